"""Bringing an older database up to this program's schema, with Alembic.

All steps run in one transaction: a database is at the old revision or at the new one, never between.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from storage.care import backup, counts_of_any
from storage.engine import HEAD, REVISIONS, Address, Database, locate, look, require_head, revision
from storage.errors import StorageError

BACKUPS_KEPT = 3


def config(connection: Connection) -> Config:
    """Alembic's settings: our migrations, on a connection that is open already."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    found.attributes["connection"] = connection
    return found


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring a database to the head revision; returns (revision before, revision after).

    An SQLite file that holds data is backed up beside itself first (``NAME.before-upgrade.N``, verified;
    the last three are kept). A missing or empty database is created. Raises SchemaTooNew for a schema of
    a newer program, StorageError when the database is not ours or cannot be reached; then nothing changed.
    """
    address = locate(url)
    if address.kind == "memory" or (address.kind == "sqlite" and address.path is None):
        raise StorageError(f"{address.shown} is made anew every time; there is nothing to upgrade")
    _prepare_file(address)
    database = Database(address, foreign_keys=False)
    try:
        with database.read() as connection:
            before = revision(connection)
            if before not in (None, *REVISIONS):
                require_head(str(before), address.shown)
            has_data = any(counts_of_any(connection).values())
        if before == HEAD:
            return before, HEAD
        if has_data and address.path is not None:
            _back_up_beside(database, address.path)
        _run(database)
    finally:
        database.close()
    return before, HEAD


def _prepare_file(address: Address) -> None:
    """Find out whose file it is before anything touches it; make it when there is none."""
    path = address.path
    if path is None:
        return
    if path.exists():
        look(address)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(f"{address.shown} cannot be created: {error.strerror}") from error


def _back_up_beside(database: Database, path: Path) -> None:
    numbered = sorted(
        (int(found.suffix[1:]), found)
        for found in path.parent.glob(f"{path.name}.before-upgrade.*")
        if found.suffix[1:].isdigit()
    )
    number = numbered[-1][0] + 1 if numbered else 1
    backup(database, path.with_name(f"{path.name}.before-upgrade.{number}"))
    for _, old in numbered[: max(0, len(numbered) + 1 - BACKUPS_KEPT)]:
        old.unlink()


def _run(database: Database) -> None:
    with database.write() as connection:
        command.upgrade(config(connection), "head")
        if database.sqlite:
            broken = connection.execute(text("PRAGMA foreign_key_check")).first()
            if broken is not None:
                raise StorageError(f"the upgrade would break references of {broken[0]}; nothing was changed")

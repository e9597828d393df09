"""Looking after a database: counting, checking, copying, restoring."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, and_, func, inspect, literal, select, text

from storage import lives
from storage.columns import Flag
from storage.engine import (
    HEAD,
    REVISIONS,
    SQLITE_MAGIC,
    Address,
    Database,
    locate,
    look,
    require_head,
    revision,
    translated,
)
from storage.errors import IntegrityFailure, StorageError
from storage.outbox import damage as damaged_mail
from storage.payloads import unpack
from storage.tables import metadata, table

PAYLOAD, SPELL, STREAM = table("payload"), table("observation"), table("stream")
LET_GO = select(table("tombstone").c.payload_id)
NO = literal(False, Flag())
SHOWN_AT_MOST = 20
BODIES_AT_ONCE = 50


def counts(connection: Connection) -> dict[str, int]:
    """Rows per table, by table name."""
    return {
        name: connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
        for name in sorted(metadata.tables)
    }


def counts_of_any(connection: Connection) -> dict[str, int]:
    """Rows per table of a database that may have an older schema: of the tables it has."""
    there = set(inspect(connection).get_table_names()) & set(metadata.tables)
    return {
        name: connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
        for name in sorted(there)
    }


# check --------------------------------------------------------------------------------------------


def check(connection: Connection) -> list[str]:
    """Every problem found: of the file, of its references, of the payloads, of the intervals."""
    found = revision(connection)
    if found != HEAD:
        return [f"schema revision is {found}, not {HEAD}"]
    return damage(connection) + _dangling(connection)


def damage(connection: Connection) -> list[str]:
    """What a good copy of a good database cannot have."""
    problems = _file_problems(connection) if connection.dialect.name == "sqlite" else []
    return [
        *problems,
        *_bad_bodies(connection),
        *lives.bad_orderings(connection),
        *_bad_intervals(connection),
        *damaged_mail(connection),
    ]


def _file_problems(connection: Connection) -> list[str]:
    """What SQLite itself finds; its own CHECK constraints are part of that."""
    lines = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
    problems = [f"integrity check: {line}" for line in lines if line != "ok"]
    for name, _, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        problems.append(f"a row of {name} refers to a row of {parent} that is not there")
    return problems


def _bad_bodies(connection: Connection) -> Iterator[str]:
    """Payloads whose bytes are not what their address says, read a few at a time."""
    last = 0
    while True:
        rows = connection.execute(
            select(PAYLOAD.c.id, PAYLOAD.c.sha256, PAYLOAD.c.size, PAYLOAD.c.body)
            .where(PAYLOAD.c.id > last, PAYLOAD.c.body.is_not(None))
            .order_by(PAYLOAD.c.id)
            .limit(BODIES_AT_ONCE)
        ).all()
        for row in rows:
            try:
                unpack(row.sha256, row.size, row.body)
            except IntegrityFailure as error:
                yield str(error)
        if not rows:
            return
        last = rows[-1].id


def _dangling(connection: Connection) -> list[str]:
    """Payloads that records name but whose bytes were never stored."""
    missing = dict(
        connection.execute(
            select(PAYLOAD.c.id, PAYLOAD.c.sha256).where(
                PAYLOAD.c.body.is_(None), PAYLOAD.c.id.not_in(LET_GO)
            )
        ).all()
    )
    if not missing:
        return []
    users: dict[int, list[str]] = {number: [] for number in missing}
    for rows in metadata.sorted_tables:
        if "payload_id" in rows.c:
            for number, times in _uses(connection, rows):
                users[number].append(f"{times} in {rows.name}")
    return [
        f"payload {missing[number]} is named by records but is not stored ({', '.join(named)})"
        for number, named in sorted(users.items(), key=lambda item: missing[item[0]])
        if named
    ]


def _uses(connection: Connection, rows: Table) -> list[tuple[int, int]]:
    query = (
        select(rows.c.payload_id, func.count())
        .join(PAYLOAD, PAYLOAD.c.id == rows.c.payload_id)
        .where(PAYLOAD.c.body.is_(None), PAYLOAD.c.id.not_in(LET_GO))
        .group_by(rows.c.payload_id)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def _bad_intervals(connection: Connection) -> list[str]:
    """Current values whose spells overlap: two different things standing at one time."""
    after = SPELL.alias("after")
    same = and_(
        after.c.stream_id == SPELL.c.stream_id,
        after.c.seen_first > SPELL.c.seen_first,
        after.c.seen_first < SPELL.c.seen_last,
        after.c.reading == SPELL.c.reading,
    )
    untimed = and_(SPELL.c.timed == NO, after.c.timed == NO)
    query = _naming_stream(SPELL.join(after, same)).where(untimed).distinct()
    return [f"{'/'.join(row)}: two values stand at one time" for row in connection.execute(query)]


def _naming_stream(source: Any) -> Any:
    return (
        select(STREAM.c.source, STREAM.c.platform, STREAM.c.external_id, STREAM.c.outcome)
        .select_from(source.join(STREAM, STREAM.c.id == SPELL.c.stream_id))
        .limit(SHOWN_AT_MOST)
    )


# copies -------------------------------------------------------------------------------------------


def backup(database: Database, target: Path) -> dict[str, int]:
    """Copy a database to a file while others write to it; the file appears whole and verified, or not.

    An existing target is replaced only if it is an SQLite file itself. Raises StorageError; for PostgreSQL
    always, naming pg_dump.
    """
    if not database.sqlite:
        raise StorageError(
            "PostgreSQL has its own tool for this: pg_dump --format=custom --file=FILE DATABASE"
        )
    _refuse_target(database.address.path, target)
    partial = target.with_name(f"{target.name}.partial")
    with translated(str(target)), database.driver() as source:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)
            with closing(sqlite3.connect(partial)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            found = verify(partial)
            _publish(partial, target)
        except OSError as error:
            raise StorageError(f"{target}: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
        if not database.read_only:
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _refuse_target(path: Path | None, target: Path) -> None:
    if not target.exists():
        return
    if path is not None and target.samefile(path):
        raise StorageError(f"{target} is the database itself; back up to another file")
    if not target.is_file():
        raise StorageError(f"{target} is not a file")
    with target.open("rb") as existing:
        head = existing.read(len(SQLITE_MAGIC))
    if head not in (b"", SQLITE_MAGIC):
        raise StorageError(f"{target} exists and is not a database; it is left alone")


def _publish(partial: Path, target: Path) -> None:
    """Make a finished file durable, then put it in place at once."""
    _sync(partial)
    partial.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def verify(path: Path) -> dict[str, int]:
    """Check a copy through and through; returns its counts.

    Raises IntegrityFailure listing what is wrong, SchemaTooNew when a newer program wrote it. An older
    schema is fine for a copy: its file and references are checked, its tables counted.
    """
    address = Address("sqlite", str(path), path=path)
    found = look(address)
    if found is None:
        raise StorageError(f"{path} holds no database")
    if found not in REVISIONS:
        require_head(found, address.shown)
    database = Database(address, read_only=True, foreign_keys=False)
    try:
        with database.read() as connection:
            problems = damage(connection) if found == HEAD else _file_problems(connection)
            if problems:
                shown = "\n".join(f"  {problem}" for problem in problems[:SHOWN_AT_MOST])
                raise IntegrityFailure(f"{path} is damaged:\n{shown}")
            return counts_of_any(connection)
    finally:
        database.close()


def restore(backup: Path, url: str, *, force: bool = False) -> dict[str, int]:
    """Put a verified backup in the place of a database; returns the counts in it.

    An existing database is refused unless ``force``; then it is kept beside, as
    ``NAME.before-restore.N`` (with its write-ahead log, when it had one that could not be merged).
    Raises StorageError, IntegrityFailure for a bad backup, SchemaTooNew for one this program cannot read.
    """
    address = locate(url)
    if address.path is None:
        raise StorageError(
            f"{address.shown}: only SQLite files are restored here; for PostgreSQL use pg_restore"
        )
    if not backup.is_file():
        raise StorageError(f"{backup} is not a file")
    path = address.path
    if path.exists() and path.samefile(backup):
        raise StorageError(f"{backup} is the database itself")
    found = verify(backup)
    if path.exists() and path.stat().st_size and not force:
        raise StorageError(f"{address.shown} exists; give force to replace it (it will be kept beside)")
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(backup, partial)
        verify(partial)
        _set_aside(path)
        _publish(partial, path)
    except OSError as error:
        raise StorageError(f"{address.shown}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return found


def _copy(backup: Path, partial: Path) -> None:
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_RDWR, 0o600))
    with (
        translated(str(backup)),
        closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(partial)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _set_aside(path: Path) -> None:
    """Keep the old database beside the new one, with nothing of it left under the old names.

    A write-ahead log left behind would be replayed into the new database, so it must go too.
    """
    if not path.exists():
        return
    try:
        _merge_log(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise StorageError(f"{path} is in use by another process; stop that first") from error
        # Too damaged to open: its log is kept beside it, unmerged.
    number = 1
    while path.with_name(f"{path.name}.before-restore.{number}").exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.before-restore.{number}{suffix}"))


def _merge_log(path: Path) -> None:
    """Leaving WAL mode needs the database for oneself alone, so this also finds out whether it is in use."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5)) as old:
        old.execute("PRAGMA journal_mode = DELETE")

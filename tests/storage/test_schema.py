"""Opening, creating, refusing and upgrading databases."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from storage import open_store, partitions, restore, upgrade
from storage.engine import HEAD, REVISIONS, Database, locate
from storage.errors import SchemaTooNew, SchemaTooOld, StorageError
from storage.migrate import config
from storage.records import Batch, Validator
from storage.tables import Rows, metadata
from tests.postgres import PostgresServer
from tests.storage.samples import KEY, hours, info, payload, point, poll, resolution

ROOT = Path(__file__).parents[2]
URL = "https://example.org/v0/market/q1"


def at_revision(url: str, revision: str) -> None:
    """Make a database as an earlier program left it."""
    address = locate(url)
    if address.path is not None:
        address.path.touch()
    database = Database(address, foreign_keys=False)
    with database.write() as connection:
        command.upgrade(config(connection), revision)
    database.close()


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as bare:
        bare.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        bare.commit()


def beside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


# opening ------------------------------------------------------------------------------------------


def test_a_missing_file_is_created_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "tracker.db"
    open_store(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o077 == 0
    assert beside(path) == ["tracker.db"]


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
def test_a_missing_file_is_an_error_that_says_so_when_it_may_not_be_created(
    sqlite_file: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        open_store(f"sqlite:///{sqlite_file}", **options)
    assert not sqlite_file.exists()


def test_an_empty_database_is_an_error_when_it_may_not_be_filled(empty_url: str) -> None:
    address = locate(empty_url)
    if address.path is not None:
        address.path.touch()
    with pytest.raises(StorageError, match="empty"):
        open_store(empty_url, create=False)


def test_an_empty_database_is_created_at_the_head_revision(empty_url: str) -> None:
    store = open_store(empty_url)
    assert store.check() == []
    store.close()
    assert upgrade(empty_url) == (HEAD, HEAD)


def test_a_database_in_memory_needs_no_file() -> None:
    store = open_store("sqlite://")
    store.append(Batch(snapshots=(poll(0), poll(1))))
    assert len(store.history(KEY)) == 1
    store.close()


def test_what_was_stored_is_there_after_reopening(url: str) -> None:
    first = open_store(url)
    first.append(Batch(snapshots=(poll(0), poll(1))))
    seen = first.history(KEY)
    first.close()
    second = open_store(url, create=False)
    assert second.history(KEY) == seen
    second.append(Batch(snapshots=(poll(2),)))
    assert second.history(KEY)[0].times_seen == 3
    second.close()


def test_a_closed_store_says_so(url: str) -> None:
    store = open_store(url)
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.streams()


def test_a_store_opened_read_only_reads_and_refuses_to_write(url: str) -> None:
    writer = open_store(url)
    writer.append(Batch(snapshots=(poll(0),)))
    reader = open_store(url, read_only=True)
    with pytest.raises(StorageError, match="read-only"):
        reader.append(Batch(snapshots=(poll(1),)))
    writer.append(Batch(snapshots=(poll(1),)))
    assert reader.history(KEY)[0].times_seen == 2
    assert reader.check() == []
    reader.close()
    writer.close()


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a file"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be created"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'tracker.db'}")


@pytest.mark.parametrize(
    "body", [b"id,probability\n1,0.5\n" * 300, b"SQLite format 3\x00" + b"\xff" * 5000, b"x"]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(sqlite_file: Path, body: bytes) -> None:
    sqlite_file.write_bytes(body)
    for attempt in (open_store, upgrade):
        with pytest.raises(StorageError, match=r"not a database|damaged"):
            attempt(f"sqlite:///{sqlite_file}")
    assert sqlite_file.read_bytes() == body
    assert beside(sqlite_file) == [sqlite_file.name]


def test_somebody_elses_database_is_refused_and_left_alone(sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as bare:
        bare.execute("CREATE TABLE notes(body)")
    before = sqlite_file.read_bytes()
    for attempt in (open_store, upgrade):
        with pytest.raises(StorageError, match="not one of"):
            attempt(f"sqlite:///{sqlite_file}")
    assert sqlite_file.read_bytes() == before


def test_a_truncated_database_is_refused(sqlite_file: Path) -> None:
    store = open_store(f"sqlite:///{sqlite_file}")
    store.append(Batch(snapshots=tuple(point(hour, 0) for hour in range(2000))))
    store.close()
    whole = sqlite_file.read_bytes()
    sqlite_file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError):  # noqa: PT012 - at opening or at the first check, as SQLite notices
        damaged = open_store(f"sqlite:///{sqlite_file}")
        try:
            if damaged.check():
                raise StorageError("found by the check")
        finally:
            damaged.close()


@pytest.mark.parametrize(
    "url",
    ["", "tracker.db", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d", "sqlite://host/x.db"],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StorageError) as refusal:
        open_store(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://ada:{}@127.0.0.1:1/db", "postgresql://ada@127.0.0.1:1/db?password={}&sslpassword={}"],
)
def test_an_unreachable_server_is_named_without_its_password(url: str) -> None:
    secret = "".join(reversed("retnuh"))  # not to be found in the source lines a traceback quotes
    with pytest.raises(StorageError, match=r"postgresql://127\.0\.0\.1:1/db") as refusal:
        open_store(url.replace("{}", secret))
    assert secret not in "".join(traceback.format_exception(refusal.value))


def test_a_wrong_password_or_database_is_an_error_not_a_traceback(postgres_url: str) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        open_store(postgres_url + "_not_there")


# other schemas ------------------------------------------------------------------------------------


def test_an_older_schema_is_refused_with_what_to_do_and_not_touched(empty_url: str) -> None:
    at_revision(empty_url, REVISIONS[0])
    path = locate(empty_url).path
    before = path.read_bytes() if path else b""
    with pytest.raises(SchemaTooOld, match="speedup db upgrade"):
        open_store(empty_url)
    if path:
        assert path.read_bytes() == before
        assert beside(path) == [path.name]


def test_a_newer_schema_is_refused_and_not_touched(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    open_store(url).close()
    set_revision(sqlite_file, "9999")
    before = sqlite_file.read_bytes()
    for attempt in (open_store, upgrade):
        with pytest.raises(SchemaTooNew, match="9999"):
            attempt(url)
    with pytest.raises(SchemaTooNew):
        restore(sqlite_file, f"sqlite:///{sqlite_file}.copy")
    assert sqlite_file.read_bytes() == before
    assert beside(sqlite_file) == [sqlite_file.name]


def test_opening_a_current_database_does_not_import_alembic(sqlite_file: Path) -> None:
    program = (
        "import sys, storage\n"
        f"storage.open_store('sqlite:///{sqlite_file}').close()\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] == 'alembic'))\n"
    )
    for _ in ("creating", "opening"):
        found = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert found.stdout.strip() == "[]"


def test_importing_storage_is_light() -> None:
    program = (
        "import sys, storage; print([m for m in ('sqlalchemy', 'sqlmodel', 'psycopg') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


# migrations ---------------------------------------------------------------------------------------


def test_the_revisions_we_name_are_the_revisions_there_are() -> None:
    database = Database(locate("sqlite://"))
    with database.read() as connection:
        script = ScriptDirectory.from_config(config(connection))
    database.close()
    walked = [step.revision for step in script.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS
    assert script.get_heads() == [HEAD]


def test_migrations_and_models_do_not_differ(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(locate(empty_url))
    with database.read() as connection:
        others = {"compare_type": True, "include_name": lambda name, *_: not partitions.is_ours(name)}
        context = MigrationContext.configure(connection, opts=others)
        found = compare_metadata(context, metadata)
    database.close()
    assert found == []


def normal(schema: list[str]) -> list[str]:
    """Table definitions with their columns and constraints sorted: Alembic lists them in another order."""
    found = []
    for statement in schema:
        head, _, rest = statement.replace("\t", "").partition("(\n")
        body, _, tail = rest.rpartition("\n)")
        # a column added later stands on the line of the one before it
        parts = re.split(r",\s*(?![^(]*\))", body)
        found.append(f"{head}|{sorted(part.strip() for part in parts)}|{tail.split()}")
    return sorted(found)


def sqlite_schema(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as bare:
        return normal([row[0] for row in bare.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")])


def test_a_created_and_an_upgraded_file_have_the_same_schema_to_the_last_check(tmp_path: Path) -> None:
    created, upgraded = tmp_path / "created.db", tmp_path / "upgraded.db"
    open_store(f"sqlite:///{created}").close()
    assert upgrade(f"sqlite:///{upgraded}") == (None, HEAD)
    assert sqlite_schema(created) == sqlite_schema(upgraded)
    assert any("STRICT" in table for table in sqlite_schema(created))


def test_a_created_and_an_upgraded_postgresql_have_the_same_schema(
    postgres_server: PostgresServer, new_postgres: Callable[[], str]
) -> None:
    created, upgraded = new_postgres(), new_postgres()
    open_store(created).close()
    assert upgrade(upgraded) == (None, HEAD)
    schemas = [postgres_server.dump_schema(url.rpartition("/")[2]) for url in (created, upgraded)]
    # pg_dump writes a random token against injection since its security release of 2025
    plain = [
        sorted(line.rstrip(",") for line in re.sub(r"\\(un)?restrict \S+", "", schema).splitlines())
        for schema in schemas
    ]
    assert plain[0] == plain[1]


def fill_first_revision(url: str) -> None:
    """Data as a program at the first revision wrote it, in plain SQL."""
    database = Database(locate(url))
    t0, t1 = ("1772366400000000", "1772370000000000")
    if not database.sqlite:
        t0, t1 = "'2026-03-01T12:00Z'", "'2026-03-01T13:00Z'"
    yes = "1" if database.sqlite else "true"
    statements = [
        f"INSERT INTO payload (sha256) VALUES ('{'a' * 64}')",
        "INSERT INTO stream (source, platform, external_id, outcome, quantity)"
        " VALUES ('manifold', 'manifold', 'q1', 'yes', 'play_money_price')",
        "INSERT INTO observation (stream_id, as_of, seen_first, reading, seen_last, times_seen, timed, state,"
        f" probability, payload_id) VALUES (1, {t0}, {t0}, 0, {t1}, 2, {yes}, 'ok', 0.5, 1)",
        f"INSERT INTO run (job, slot, state, started_at, message) VALUES ('pull', {t0}, 'done', {t0}, '')",
        "INSERT INTO sighting (source, url, payload_id, ref, status, content_type, headers, seen_first,"
        f" seen_last, times_seen) VALUES ('manifold', '{URL}', 1, 'q1', 200, '', '{{}}', {t0}, {t1}, 2)",
        "INSERT INTO http_validator (url, etag, last_modified, payload_id)"
        f" VALUES ('{URL}', '\"1\"', NULL, 1)",
        "INSERT INTO question_info (source, platform, external_id, title, url, question_type, status,"
        " payload_id, seen_first, seen_last)"
        f" VALUES ('manifold', 'manifold', 'q1', 'Will it?', '', 'BINARY', 'open', 1, {t0}, {t1})",
    ]
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def test_the_first_revision_with_data_is_upgraded_with_all_its_rows(empty_url: str) -> None:
    at_revision(empty_url, REVISIONS[0])
    fill_first_revision(empty_url)
    assert upgrade(empty_url) == (REVISIONS[0], HEAD)
    store = open_store(empty_url)
    (seen,) = store.history(KEY)
    assert (seen.snapshot.probability, seen.seen_first, seen.seen_last) == (0.5, hours(0), hours(1))
    assert seen.times_seen == 2
    assert seen.snapshot.payload_sha256 == "a" * 64
    assert store.history(KEY, known_at=hours(0.5))[0].seen_last == hours(0.5)
    assert [run.slot for run in store.runs()] == [hours(0)]
    assert store.validator(URL) == Validator(URL, '"1"', None, "a" * 64)
    store.sight("manifold", URL, "a" * 64, hours(2))
    facts = info(0, question_type="BINARY", status="open", payload_sha256="a" * 64)
    assert store.infos() == [facts]
    assert (store.question_health(), store.drifts(), store.receipts()) == ([], [], [])
    store.put_raw(payload())
    store.append(Batch(snapshots=(poll(2),), resolutions=(resolution(2),)))
    assert store.history(KEY)[0].times_seen == 3
    store.close()


def test_an_upgrade_backs_the_file_up_first_and_keeps_three(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    at_revision(url, REVISIONS[0])
    fill_first_revision(url)
    for number in (1, 2, 3, 4, 5):
        if number > 1:
            sqlite_file.unlink()
            at_revision(url, REVISIONS[0])
            fill_first_revision(url)
        assert upgrade(url) == (REVISIONS[0], HEAD)
    assert beside(sqlite_file) == [
        f"{sqlite_file.name}{end}" for end in ("", *(f".before-upgrade.{n}" for n in (3, 4, 5)))
    ]
    kept = sqlite_file.with_name(f"{sqlite_file.name}.before-upgrade.5")
    with closing(sqlite3.connect(kept)) as bare:
        assert bare.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISIONS[0],)
        assert bare.execute("SELECT count(*) FROM observation").fetchone() == (1,)


def test_an_upgrade_of_a_current_or_an_empty_file_makes_no_backup(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    assert upgrade(url) == (None, HEAD)
    assert upgrade(url) == (HEAD, HEAD)
    assert beside(sqlite_file) == [sqlite_file.name]
    open_store(url, create=False).close()


def test_a_migration_that_fails_changes_nothing(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{sqlite_file}"
    at_revision(url, REVISIONS[0])
    fill_first_revision(url)
    with closing(sqlite3.connect(sqlite_file)) as bare:
        bare.execute("CREATE TABLE lease (in_the_way)")
    with pytest.raises(StorageError, match="lease already exists"):
        upgrade(url)
    with pytest.raises(SchemaTooOld):
        open_store(url)
    with closing(sqlite3.connect(sqlite_file)) as bare:
        assert bare.execute("SELECT count(*) FROM observation").fetchone() == (1,)


def test_memory_has_nothing_to_upgrade() -> None:
    for url in ("memory://", "sqlite://"):
        with pytest.raises(StorageError, match="nothing to upgrade"):
            upgrade(url)


def test_two_new_databases_are_alike_whatever_the_hash_order(tmp_path: Path) -> None:
    made = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.db"
        code = f"import storage; storage.open_store('sqlite:///{path}').close()"
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        with closing(sqlite3.connect(path)) as database:
            made.append(list(database.iterdump()))
    assert made[0] == made[1]


def test_tables_are_described_and_rows_are_neither_mapped_nor_validated() -> None:
    """Nobody makes row objects; what that would take, took half of the time in which a database is opened."""
    rows: list[Any] = Rows.__subclasses__()
    assert {one.__tablename__ for one in rows} == {*metadata.tables}
    assert not any("__mapper__" in vars(one) or one.__pydantic_complete__ for one in rows)

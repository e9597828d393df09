"""Checking, backing up, restoring."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import open_store, restore
from storage.engine import Database, locate
from storage.errors import IntegrityFailure, StorageError
from storage.memory import MemoryStore
from storage.records import Batch, Quarantined
from storage.store import Store
from tests.storage.samples import KEY, hours, key, measured, payload, point, poll, resolution, version


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def fill(store: Store) -> str:
    sha256 = store.put_raw(payload(b'{"probability": 0.5}'))
    store.append(
        Batch(
            snapshots=(poll(0, payload_sha256=sha256), poll(1, payload_sha256=sha256), poll(2, 0.7)),
            versions=(version(0, measured("m", 1), sha256=sha256),),
            resolutions=(resolution(3, payload_sha256=sha256),),
        )
    )
    return sha256


def tamper(url: str, *statements: str) -> None:
    """What a bug, a person or a bad disk might do, constraints or not."""
    database = Database(locate(url), foreign_keys=False)
    if database.sqlite:
        with database.driver() as bare:
            bare.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                bare.execute(statement)
    else:
        with database.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
    database.close()


def hexed(url: str, body: bytes) -> str:
    return f"x'{body.hex()}'" if url.startswith("sqlite") else f"'\\x{body.hex()}'::bytea"


# check --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [zlib.compress(b'{"probability": 0.6}'), zlib.compress(b""), b"no zlib"])
def test_a_payload_that_was_tampered_with_is_found_and_never_given_out(url: str, body: bytes) -> None:
    with opened(url) as store:
        sha256 = fill(store)
        store.put_raw(payload(b"another"))
    tamper(url, f"UPDATE payload SET body = {hexed(url, body)} WHERE sha256 = '{sha256}'")
    with opened(url) as store:
        (problem,) = store.check()
        assert sha256 in problem
        with pytest.raises(IntegrityFailure, match=sha256):
            store.get_raw(sha256)
        with pytest.raises(IntegrityFailure, match=sha256):
            list(store.raw_payloads())
        assert store.history(KEY), "values do not depend on the bytes they came from"


def test_a_payload_that_was_tampered_with_is_found_in_memory_too() -> None:
    store = MemoryStore()
    sha256 = fill(store)
    store._bodies[sha256] = b"other"
    assert sha256 in store.check()[0]
    with pytest.raises(IntegrityFailure):
        store.get_raw(sha256)


def test_every_record_of_a_missing_payload_is_counted(url: str) -> None:
    with opened(url) as store:
        missing = "f" * 64
        store.append(Batch(snapshots=tuple(poll(hour, payload_sha256=missing) for hour in range(3))))
        store.quarantine(Quarantined(missing, "s", "q", "r", "1", hours(0)))
        (problem,) = store.check()
    assert missing in problem
    assert "1 in observation" in problem
    assert "1 in quarantine" in problem


def test_a_payload_that_lost_its_body_is_found(url: str) -> None:
    with opened(url) as store:
        sha256 = fill(store)
    tamper(url, "UPDATE payload SET body = NULL, size = NULL")
    with opened(url) as store:
        (problem,) = store.check()
    assert sha256 in problem
    assert "1 in sighting" in problem


def test_two_values_that_claim_to_stand_at_one_time_are_found(url: str) -> None:
    with opened(url) as store:
        store.append(Batch(snapshots=(poll(0, 0.5), poll(1, 0.6), poll(2, 0.7))))
        assert store.check() == []
        last = "seen_last + 5400000000" if url.startswith("sqlite") else "seen_last + interval '90 minutes'"
    tamper(url, f"UPDATE observation SET seen_last = {last} WHERE probability = 0.5")
    with opened(url) as store:
        (problem,) = store.check()
    assert "two values stand at one time" in problem
    assert "manifold" in problem


def test_what_sqlite_itself_finds_is_reported(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with opened(url) as store:
        fill(store)
    tamper(
        url,
        "UPDATE observation SET probability = 1.5 WHERE probability = 0.7",
        "UPDATE sighting SET payload_id = 99",
    )
    with opened(url) as store:
        problems = "\n".join(store.check())
    assert "CHECK constraint failed in observation" in problems
    assert "a row of sighting refers to a row of payload that is not there" in problems


@pytest.mark.parametrize(
    "row",
    [
        "{t}, 'ok', 1.5, 1",
        "{t}, 'ok', NULL, 1",
        "{t}, 'hidden', 0.5, 1",
        "{t}, 'ok', 0.5, 0",
    ],
)
def test_the_database_itself_refuses_nonsense(url: str, row: str) -> None:
    with opened(url) as store:
        store.append(Batch(snapshots=(poll(0),)))
    database = Database(locate(url))
    at, yes = ("5", "1") if database.sqlite else ("now()", "true")
    values = row.format(t=at)
    statement = (
        "INSERT INTO observation"
        " (stream_id, reading, timed, as_of, seen_first, seen_last, state, probability, times_seen)"
        f" SELECT id, 0, {yes}, {at}, {at}, {values} FROM stream"
    )
    with pytest.raises(StorageError, match="ck_observation"), database.write() as connection:
        connection.execute(text(statement))
    database.close()


# backup -------------------------------------------------------------------------------------------


def test_a_backup_holds_everything_and_opens_as_a_store(sqlite_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "monday.db"
    with opened(f"sqlite:///{sqlite_file}") as store:
        fill(store)
        counted = store.backup(target)
        assert counted == store.counts()
        before = (store.history(KEY), list(store.raw_payloads()), store.measurements("horizons"))
    assert [found.name for found in target.parent.iterdir()] == ["monday.db"]
    with opened(f"sqlite:///{target}") as copy:
        assert (copy.history(KEY), list(copy.raw_payloads()), copy.measurements("horizons")) == before
        assert copy.check() == []


def test_a_backup_is_whole_while_others_write(sqlite_file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with opened(url) as store:
        fill(store)
    stop, failures = threading.Event(), []

    def write() -> None:
        writer = open_store(url)
        hour = 0
        try:
            while not stop.wait(0.002):  # else the file grows faster than it can be copied
                hour += 1
                # two streams in one transaction: a torn copy would have one without the other
                snapshots = [poll(hour, hour % 7 / 10, key(name)) for name in ("left", "right")]
                writer.append(Batch(snapshots=tuple(snapshots)))
        except StorageError as error:
            failures.append(error)
        finally:
            writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with opened(url) as store:
            for number in range(8):
                target = tmp_path / f"backup-{number}.db"
                store.backup(target)
                with opened(f"sqlite:///{target}") as copy:
                    left, right = copy.history(key("left")), copy.history(key("right"))
                    assert [seen.seen_last for seen in left] == [seen.seen_last for seen in right]
                    assert copy.check() == []
    finally:
        stop.set()
        thread.join()
    assert failures == []


def test_a_backup_replaces_an_older_backup_but_nothing_else(sqlite_file: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("do not lose me")
    with opened(f"sqlite:///{sqlite_file}") as store:
        target = tmp_path / "backup.db"
        store.backup(target)
        fill(store)
        assert store.backup(target)["stream"] == 1
        with pytest.raises(StorageError, match="is not a database"):
            store.backup(notes)
        with pytest.raises(StorageError, match="the database itself"):
            store.backup(sqlite_file)
        with pytest.raises(StorageError, match="not a file"):
            store.backup(tmp_path)
        assert store.check() == []
    assert notes.read_text() == "do not lose me"


def test_a_damaged_database_gives_no_backup(sqlite_file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with opened(url) as store:
        fill(store)
    tamper(url, f"UPDATE payload SET body = {hexed(url, b'x')}")
    with opened(url) as store, pytest.raises(IntegrityFailure, match="damaged"):
        store.backup(tmp_path / "backup.db")
    assert not list(tmp_path.glob("backup.db*"))


def test_stores_without_a_file_say_what_to_do_instead(postgres_url: str, tmp_path: Path) -> None:
    with opened(postgres_url) as store, pytest.raises(StorageError, match="pg_dump"):
        store.backup(tmp_path / "backup.db")
    with pytest.raises(StorageError, match="pg_restore"):
        restore(tmp_path / "backup.db", postgres_url)
    with pytest.raises(StorageError, match="nothing to back up"):
        MemoryStore().backup(tmp_path / "backup.db")


# restore ------------------------------------------------------------------------------------------


def test_a_backup_restores_what_was_there(sqlite_file: Path, tmp_path: Path) -> None:
    url, target = f"sqlite:///{sqlite_file}", tmp_path / "backup.db"
    with opened(url) as store:
        fill(store)
        counted = store.backup(target)
        store.append(Batch(snapshots=(poll(9, 0.1),)))
    elsewhere = f"sqlite:///{tmp_path / 'new' / 'place.db'}"
    assert restore(target, elsewhere) == counted
    with opened(elsewhere) as store:
        assert store.counts() == counted
        assert store.check() == []
        store.append(Batch(snapshots=(poll(9, 0.2),)))


def test_an_existing_database_is_replaced_only_by_force_and_kept_beside(
    sqlite_file: Path, tmp_path: Path
) -> None:
    url, target = f"sqlite:///{sqlite_file}", tmp_path / "backup.db"
    with opened(url) as store:
        store.append(Batch(snapshots=(poll(0, 0.1),)))
        store.backup(target)
        store.append(Batch(snapshots=(poll(1, 0.2),)))
    with pytest.raises(StorageError, match="exists"):
        restore(target, url)
    for _ in range(2):
        restore(target, url, force=True)
    with opened(url) as store:
        assert [seen.snapshot.probability for seen in store.history(KEY)] == [0.1]
    with opened(f"{url}.before-restore.1") as old:
        assert [seen.snapshot.probability for seen in old.history(KEY)] == [0.1, 0.2]
    with opened(f"{url}.before-restore.2") as old:
        assert [seen.snapshot.probability for seen in old.history(KEY)] == [0.1]


def test_a_database_in_use_is_not_replaced(sqlite_file: Path, tmp_path: Path) -> None:
    url, target = f"sqlite:///{sqlite_file}", tmp_path / "backup.db"
    with opened(url) as store:
        store.append(Batch(snapshots=(poll(0, 0.1),)))
        store.backup(target)
        store.append(Batch(snapshots=(poll(1, 0.2),)))
        with pytest.raises(StorageError, match="in use"):
            restore(target, url, force=True)
        assert len(store.history(KEY)) == 2


def test_a_database_too_damaged_to_open_can_be_replaced(sqlite_file: Path, tmp_path: Path) -> None:
    url, target = f"sqlite:///{sqlite_file}", tmp_path / "backup.db"
    with opened(url) as store:
        fill(store)
        store.backup(target)
    sqlite_file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)
    leftover = sqlite_file.with_name(f"{sqlite_file.name}-wal")
    leftover.write_bytes(b"\x37\x7f\x06\x82" + b"\x00" * 200)
    restore(target, url, force=True)
    with opened(url) as store:
        assert store.check() == []
    assert sqlite_file.with_name(f"{sqlite_file.name}.before-restore.1").read_bytes().endswith(b"\xff")


def test_a_bad_backup_is_refused_and_nothing_changes(sqlite_file: Path, tmp_path: Path) -> None:
    url, target = f"sqlite:///{sqlite_file}", tmp_path / "backup.db"
    with opened(url) as store:
        fill(store)
        store.backup(target)
        before = store.counts()
    tamper(f"sqlite:///{target}", f"UPDATE payload SET body = {hexed('sqlite', b'x')}")
    with pytest.raises(IntegrityFailure, match="damaged"):
        restore(target, url, force=True)
    for bad, why in ((tmp_path / "none.db", "not a file"), (tmp_path / "text.db", "not a database")):
        (tmp_path / "text.db").write_text("hello")
        with pytest.raises(StorageError, match=why):
            restore(bad, url, force=True)
    with pytest.raises(StorageError, match="the database itself"):
        restore(sqlite_file, url, force=True)
    with opened(url) as store:
        assert store.counts() == before
    assert not list(tmp_path.glob("*.before-restore.*"))
    assert not list(tmp_path.glob("*.partial"))


def test_a_large_history_survives_backup_and_restore(sqlite_file: Path, tmp_path: Path) -> None:
    with opened(f"sqlite:///{sqlite_file}") as store:
        store.append(Batch(snapshots=tuple(point(hour / 60, 500, hour % 100 / 100) for hour in range(5000))))
        history = store.history(KEY)
        store.backup(tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as bare:
        assert bare.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    restore(tmp_path / "backup.db", f"sqlite:///{tmp_path / 'again.db'}")
    with opened(f"sqlite:///{tmp_path / 'again.db'}") as store:
        assert store.history(KEY) == history

"""Letting go of raw payloads: only what nothing rests on, and never without a trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from questions.receipts import Exhibit
from storage import open_store, restore
from storage.engine import Database, locate
from storage.records import Batch, Pruned, Quarantined, RawPayload, Tombstone, Validator, digest
from storage.store import Store
from storage.tables import metadata, table
from tests.storage.samples import (
    DAY,
    HOUR,
    T0,
    drift,
    health,
    hours,
    info,
    judgement,
    measured,
    payload,
    poll,
    question_version,
    receipt,
    resolution,
    version,
)

MINE = {"manifold"}
LATER = T0 + 400 * DAY


def polls(store: Store, count: int, **more: str) -> list[str]:
    """So many different answers of one URL, an hour apart, all on one day; their hashes."""
    return [store.put_raw(payload(b"answer %d" % n, n / 10, **more)) for n in range(count)]


def left(store: Store) -> set[str]:
    return {raw.sha256 for raw in store.raw_payloads()}


def test_by_default_the_first_and_last_of_each_days_answers_stay_and_the_rest_leave_a_trace(
    store: Store,
) -> None:
    first, *between, last = polls(store, 6)
    tomorrow = [store.put_raw(payload(b"tomorrow %d" % n, 24 + n)) for n in range(3)]
    elsewhere = store.put_raw(payload(b"elsewhere", 0.3, url="https://example.org/q2"))
    gone = [*between, tomorrow[1]]
    size = sum(len(b"answer 1") for _ in between) + len(b"tomorrow 1")
    foreseen = store.prune_raw(MINE, LATER, LATER, dry_run=True)
    assert (foreseen.payloads, foreseen.size_bytes, foreseen.more) == (5, size, False)
    assert len(left(store)) == 10
    assert store.prune_raw(MINE, LATER, LATER) == foreseen
    assert left(store) == {first, last, tomorrow[0], tomorrow[2], elsewhere}
    for sha256 in gone:
        assert store.get_raw(sha256) is None
        assert store.tombstone(sha256) is not None
    assert store.tombstone(between[0]) == Tombstone(between[0], len(b"answer 1"), LATER)
    assert store.tombstone(first) is None
    assert store.counts()["sighting"] == store.counts()["payload"] == 10
    assert store.counts()["tombstone"] == 5
    assert store.check() == []
    assert store.prune_raw(MINE, LATER, LATER) == Pruned()


def test_what_was_seen_lately_or_by_anybody_else_stays(store: Store) -> None:
    hashes = polls(store, 6)
    assert store.prune_raw(MINE, T0, LATER).payloads == 0
    store.sight("manifold", "https://example.org/q1", hashes[2], hours(30))
    store.put_raw(RawPayload("imported", "f", "file:///x", hours(1), 200, "", b"answer 3"))
    assert store.prune_raw(MINE, hours(30), LATER).payloads == 2
    assert left(store) == set(hashes) - {hashes[1], hashes[4]}
    assert store.prune_raw({"manifold", "imported"}, LATER, LATER).payloads == 0, (
        "ends of a day, of another URL"
    )


def test_the_same_bytes_again_are_stored_again(store: Store) -> None:
    hashes = polls(store, 3)
    assert store.prune_raw(MINE, LATER, LATER).payloads == 1
    again = payload(b"answer 1", 24 * 500)
    assert store.put_raw(again) == hashes[1]
    assert store.tombstone(hashes[1]) is None
    found = store.get_raw(hashes[1])
    assert found is not None
    assert (found.body, found.fetched_at) == (b"answer 1", hours(0.1)), "the first sight is still the first"
    assert store.check() == []


def test_a_value_may_come_to_rest_on_bytes_that_are_gone_and_that_is_no_damage(store: Store) -> None:
    hashes = polls(store, 3)
    store.prune_raw(MINE, LATER, LATER)
    store.append(Batch(snapshots=(poll(1, payload_sha256=hashes[1]),)))
    assert store.check() == []
    store.append(Batch(snapshots=(poll(2, 0.7, payload_sha256="e" * 64),)))
    assert len(store.check()) == 1, "bytes that never were are still missed"


def rests(store: Store, hashes: list[str]) -> None:
    """A record of every kind, each resting on a hash of its own."""
    told = iter(hashes)
    store.append(
        Batch(
            snapshots=(poll(0, payload_sha256=next(told)),),
            versions=(version(0, measured("m", 1), sha256=next(told)),),
            resolutions=(resolution(3, payload_sha256=next(told)),),
            infos=(info(1, payload_sha256=next(told)),),
            healths=(health(1, payload_sha256=next(told)),),
        )
    )
    store.add_drifts([drift(0, payload_sha256=next(told))])
    store.quarantine(Quarantined(next(told), "manifold", "q", "r", "1", hours(0)))
    store.set_validator(Validator("https://example.org/q1", '"1"', None, next(told)))
    exhibit = Exhibit("point", "s", "k", value=2.5, payload_sha256=next(told))
    store.add_receipts([receipt(2, evidence=(exhibit,))])
    store.add_judgements([judgement(1, citations=(f"https://example.org/raw/{next(told)}",))])
    store.add_question_versions([question_version(0, record=f'{{"seen": "{next(told)}"}}')])


def test_what_any_record_rests_on_stays_for_ever(store: Store) -> None:
    hashes = polls(store, 14)
    rests(store, hashes[1:12])
    assert store.prune_raw(MINE, LATER, LATER).payloads == 1
    assert left(store) == set(hashes) - {hashes[12]}
    assert store.check() == []


def test_every_table_that_refers_to_a_payload_is_among_those_records() -> None:
    """A new one is kept from by its foreign key; this only says that the test above must know it."""
    payloads = table("payload")
    refer = {
        rows.name
        for rows in metadata.sorted_tables
        for column in rows.c
        if any(key.column.table is payloads for key in column.foreign_keys)
    }
    assert refer == {
        "sighting", "tombstone", "quarantine", "observation", "series_version", "resolution", "question_info",
        "question_health", "drift", "http_validator",
    }  # fmt: skip


def test_a_part_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from storage import sql

    monkeypatch.setattr(sql, "PRUNED_AT_ONCE", 4)
    store = open_store(url)
    hashes = polls(store, 9)
    assert [store.prune_raw(MINE, LATER, LATER).more for _ in range(2)] == [True, False]
    assert left(store) == {hashes[0], hashes[-1]}
    store.close()


def test_a_payload_emptied_by_anything_else_is_still_damage(url: str) -> None:
    store = open_store(url)
    hashes = polls(store, 4)
    store.prune_raw(MINE, LATER, LATER)
    store.close()
    database = Database(locate(url), foreign_keys=False)
    with database.write() as connection:
        connection.execute(text(f"UPDATE payload SET body = NULL, size = NULL WHERE sha256 = '{hashes[0]}'"))
    database.close()
    store = open_store(url)
    (problem,) = store.check()
    assert hashes[0] in problem
    store.close()


def test_the_bytes_really_go_and_a_backup_made_before_has_them(sqlite_file: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{sqlite_file}")
    bodies = [bytes((n * i * i) % 251 for i in range(20_000)) for n in range(1, 12)]
    hashes = [store.put_raw(payload(body, n / 10)) for n, body in enumerate(bodies)]
    store.backup(tmp_path / "before.sqlite")
    gone = store.prune_raw(MINE, LATER, LATER)
    assert gone.payloads == 9
    store.close()
    assert not any(body[:200] in sqlite_file.read_bytes() for body in bodies[1:-1])
    restore(tmp_path / "before.sqlite", f"sqlite:///{tmp_path / 'again.sqlite'}")
    again = open_store(f"sqlite:///{tmp_path / 'again.sqlite'}")
    found = again.get_raw(hashes[4])
    assert found is not None
    assert digest(found.body) == hashes[4]
    again.close()


def test_days_are_days_of_utc(store: Store) -> None:
    midnight = T0.replace(hour=0) + DAY
    before = [
        replace(payload(b"before %d" % n), fetched_at=midnight - timedelta(microseconds=3 - n))
        for n in range(3)
    ]
    after = [replace(payload(b"after %d" % n), fetched_at=midnight + n * HOUR) for n in range(3)]
    for one in (*before, *after):
        store.put_raw(one)
    assert store.prune_raw(MINE, LATER, LATER).payloads == 2
    assert left(store) == {one.sha256 for one in (before[0], before[2], after[0], after[2])}

"""Months of observations on PostgreSQL: made ahead, in order, and no different to any reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from questions.records import Snapshot
from storage import open_store, partitions
from storage.engine import Database, locate
from storage.errors import StorageError
from storage.partitions import AHEAD, AT_ONCE, FUTURE, PAST, is_ours
from storage.records import Batch
from storage.store import Store
from tests.storage.samples import DAY, KEY, key

NOW = datetime.now(UTC)


@pytest.fixture
def kept(postgres_url: str) -> Iterator[Store]:
    store = open_store(postgres_url)
    yield store
    store.close()


def at(moment: datetime, probability: float, stream: object = KEY) -> Snapshot:
    seen = max(moment, NOW)
    return Snapshot(stream, moment, seen, probability=probability, timed_by_source=True)  # type: ignore[arg-type]


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    with closing(Database(locate(url))) as database, database.read() as connection:
        return [tuple(row) for row in connection.execute(text(question))]


def after(months: int) -> datetime:
    number = NOW.year * 12 + NOW.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def name(months: int) -> str:
    return f"observation_{after(months):%Y_%m}"


def where(url: str) -> dict[object, int]:
    found = ask(url, "SELECT tableoid::regclass::text, count(*) FROM observation GROUP BY 1")
    return {place: int(str(count)) for place, count in found}


def test_a_value_lies_in_the_month_it_is_of_and_every_instant_has_a_place(
    kept: Store, postgres_url: str
) -> None:
    moments = {
        PAST: datetime(1, 1, 1, tzinfo=UTC),
        name(0): after(0),
        name(1): after(2) - timedelta(microseconds=1),
        name(AHEAD): after(AHEAD),
        FUTURE: datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    }
    kept.append(Batch(snapshots=tuple(at(moment, n / 10) for n, moment in enumerate(moments.values()))))
    assert where(postgres_url) == dict.fromkeys(moments, 1)
    assert [seen.snapshot.as_of for seen in kept.history(KEY)] == sorted(moments.values())
    assert kept.latest()[KEY].snapshot.as_of.year == 9999


def test_months_are_made_ahead_once_and_take_what_lay_in_the_future(kept: Store, postgres_url: str) -> None:
    assert kept.make_room(NOW) == []
    later = after(AHEAD + 2) + DAY
    kept.append(Batch(snapshots=tuple(at(later + n * timedelta(hours=1), n / 200) for n in range(150))))
    kept.append(Batch(snapshots=(at(after(AHEAD + 9), 0.9),)))
    told = kept.revisions(KEY)
    assert where(postgres_url) == {FUTURE: 151}
    assert kept.make_room(after(2)) == [name(AHEAD + 1), name(AHEAD + 2)]
    assert where(postgres_url) == {name(AHEAD + 2): 150, FUTURE: 1}
    assert kept.revisions(KEY) == told
    assert kept.make_room(after(2)) == kept.make_room(after(-5)) == []
    assert kept.check() == []
    indexed = ask(postgres_url, f"SELECT indexname FROM pg_indexes WHERE tablename = '{name(AHEAD + 1)}'")
    assert len(indexed) == 2, "the key and the arrivals"


def test_a_clock_that_is_far_off_makes_no_months(kept: Store, postgres_url: str) -> None:
    before = ask(postgres_url, "SELECT count(*) FROM pg_class")
    assert kept.make_room(after(AT_ONCE + 1)) == []
    assert kept.make_room(datetime(9000, 1, 1, tzinfo=UTC)) == []
    assert ask(postgres_url, "SELECT count(*) FROM pg_class") == before
    assert len(kept.make_room(after(AT_ONCE))) == AT_ONCE


def test_the_newest_value_is_looked_for_from_the_latest_month_back(kept: Store, postgres_url: str) -> None:
    """Ordered partitions end the search at the first month with a row; sorting all of them would not."""
    streams = [key(f"q{n}") for n in range(40)]
    kept.append(
        Batch(snapshots=tuple(at(NOW - n * 5 * DAY, n / 50, one) for one in streams for n in range(20)))
    )
    plan = "\n".join(
        str(row[0])
        for row in ask(
            postgres_url,
            "EXPLAIN SELECT * FROM observation WHERE stream_id = 1"
            " ORDER BY as_of DESC, seen_first DESC, reading DESC LIMIT 1",
        )
    )
    assert "Append" in plan
    assert "Merge Append" not in plan
    assert "Sort" not in plan
    assert plan.index(FUTURE) < plan.index(name(1)) < plan.index(name(0)) < plan.index(PAST)


def test_another_who_reads_for_long_only_puts_it_off(
    kept: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "50ms")
    with closing(Database(locate(postgres_url))) as other, other.read() as connection:
        connection.execute(text("SELECT count(*) FROM observation"))
        with pytest.raises(StorageError, match="lock timeout"):
            kept.make_room(after(2))
    assert len(kept.make_room(after(2))) == 2


def test_which_names_are_made_here() -> None:
    assert all(map(is_ours, (PAST, FUTURE, "observation_2026_11", "ix_observation_seen_first")))
    assert not any(map(is_ours, (None, "observation", "stream", "observation_20", "ix_sighting_seen_first")))


def test_elsewhere_there_is_nothing_to_make() -> None:
    for url in ("memory://", "sqlite://"):
        with closing(open_store(url)) as store:
            assert store.make_room(NOW) == []

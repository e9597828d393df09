"""Whole histories go a shorter way into a database; what it stores is what point by point would be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from questions.records import History, Snapshot, StreamKey
from questions.time import to_micros
from storage.engine import Database
from storage.memory import MemoryStore
from storage.records import Batch
from storage.sql import SqlStore
from storage.store import Store
from tests.storage.samples import T0, hours, key, point, poll

GAP = timedelta(hours=3)
_numbers = count()


def history(stream: StreamKey, fetched: float, points: dict[int, float]) -> History:
    """Points by hour, told by the fetch of an hour."""
    order = sorted(points)
    return History(
        stream,
        hours(fetched),
        tuple(to_micros(hours(at)) for at in order),
        tuple(points[at] for at in order),
        f"{round(fetched * 2):064x}",
    )


def rows(database: Database, stream: StreamKey) -> list[tuple[object, ...]]:
    """The bare rows of a stream, but for its number and the payloads' (which name the same bytes)."""
    query = text(
        "SELECT o.*, p.sha256 FROM observation o JOIN stream s ON s.id = o.stream_id"
        " LEFT JOIN payload p ON p.id = o.payload_id WHERE s.external_id = :name"
        " ORDER BY o.as_of, o.seen_first, o.reading"
    )
    with database.read() as connection:
        found = connection.execute(query, {"name": stream.external_id})
        hidden = {"stream_id", "payload_id"}
        return [tuple(v for name, v in row._mapping.items() if name not in hidden) for row in found]


Told = tuple[str, float, dict[int, float]]
"""A history as a test draws it: the stream's name, the hour of its fetch, points by hour."""

chances = st.sampled_from([0.25, 0.25, 0.25, 0.75])
"""Mostly the same, so that values are confirmed, and now and then corrected."""

told: st.SearchStrategy[Told] = st.tuples(
    st.sampled_from("aab"),
    st.sampled_from([6.0, 8.5, 12.0, 13.0]),
    st.dictionaries(st.integers(0, 5), chances, min_size=1),
)
loose = st.one_of(
    st.builds(
        lambda name, at, p: poll(at, p, key(name)),
        st.sampled_from("ab"),
        st.sampled_from([3.0, 5.0, 7.0, 13.0]),
        chances,
    ),
    st.builds(
        lambda name, at, p, more: point(at, 8.5, p, key(name), **more),
        st.sampled_from("ab"),
        st.integers(0, 6),
        chances,
        st.sampled_from([{}, {"forecasters": 3}, {"volume": 2.0}]),
    ),
)
nothing: st.SearchStrategy[list[Snapshot]] = st.just([])
appends: st.SearchStrategy[list[tuple[list[Told], list[Snapshot]]]] = st.lists(
    st.one_of(
        st.tuples(st.lists(told, min_size=1, max_size=1), nothing),
        st.tuples(st.lists(told, max_size=3), nothing),
        st.tuples(st.lists(told, max_size=1), st.lists(loose, max_size=2)),
    ),
    min_size=2,
    max_size=5,
)


@given(brought=appends)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_history_is_stored_as_its_points_would_be_one_by_one(
    database: Database, brought: Sequence[tuple[Sequence[Told], Sequence[Snapshot]]]
) -> None:
    """Pieces, repetitions, corrections and late answers, alone and among loose values."""
    example = next(_numbers)
    store = SqlStore(database, max_gap=GAP)
    reference = MemoryStore(GAP)

    def stream(way: str, name: str) -> StreamKey:
        return key(f"{example}-{way}-{name}")

    def batch(way: str, several: Sequence[Told], values: Sequence[Snapshot]) -> Batch:
        return Batch(
            snapshots=tuple(replace(s, key=stream(way, s.key.external_id)) for s in values),
            histories=tuple(history(stream(way, name), fetched, points) for name, fetched, points in several),
        )

    for several, values in brought:
        short, long = batch("short", several, values), batch("long", several, values)
        report = store.append(short)
        assert report == store.append(Batch(snapshots=long.values()))
        assert report == reference.append(short)
    for name in "ab":
        assert rows(database, stream("short", name)) == rows(database, stream("long", name))
        assert store.revisions(stream("short", name)) == reference.revisions(stream("short", name))


def test_a_long_history_behind_a_later_value_is_stored_once(store: Store) -> None:
    whole = history(key("q"), 3000, {hour: hour % 100 / 100 for hour in range(2500)})
    store.append(Batch(snapshots=(poll(2800, stream=key("q")),)))
    assert store.append(Batch(histories=(whole,))).snapshots_new == 2500
    assert store.append(Batch(histories=(whole,))).snapshots_unchanged == 2500
    seen = store.history(key("q"))
    assert [one.snapshot for one in seen[:-1]] == list(whole.snapshots())
    assert (seen[-1].snapshot.as_of, seen[-1].times_seen) == (hours(2800), 1)


def test_a_correction_in_a_history_is_one_row_more(store: Store) -> None:
    points = {0: 0.1, 1: 0.2, 2: 0.3}
    store.append(Batch(histories=(history(key("q"), 5, points),)))
    report = store.append(Batch(histories=(history(key("q"), 6, {**points, 1: 0.9, 3: 0.4}),)))
    assert (report.snapshots_new, report.snapshots_unchanged) == (2, 2)
    assert [seen.snapshot.probability for seen in store.history(key("q"))] == [0.1, 0.9, 0.3, 0.4]
    assert len(store.revisions(key("q"))) == 5


@pytest.mark.parametrize(
    ("more", "new"), [({}, 1), ({"volume": 2.0}, 1), ({"forecasters": 3}, 2), ({"value": 4.5}, 2)]
)
def test_a_point_that_says_less_than_the_row_at_its_instant_is_another_account(
    store: Store, more: dict[str, Any], new: int
) -> None:
    store.append(Batch(snapshots=(point(1, 5, 0.25, key("q"), **more),)))
    assert store.append(Batch(histories=(history(key("q"), 6, {1: 0.25, 2: 0.3}),))).snapshots_new == new


def test_a_correction_taken_back_is_another_row(store: Store) -> None:
    for fetched, probability in ((5, 0.1), (6, 0.9), (7, 0.1)):
        told = history(key("q"), fetched, {1: probability, 2: 0.5})
        assert store.append(Batch(histories=(told,))).snapshots_new == (2 if fetched == 5 else 1)
    assert store.append(Batch(histories=(told,))).snapshots_new == 0
    assert [seen.snapshot.probability for seen in store.revisions(key("q"))] == [0.1, 0.9, 0.1, 0.5]


MICROS = to_micros(T0)


@pytest.mark.parametrize(
    ("as_of", "probability", "message"),
    [
        ((), (), "one or more points"),
        ((MICROS,), (0.1, 0.2), "as many times"),
        ((MICROS, MICROS), (0.1, 0.2), "strictly rise"),
        ((MICROS + 1, MICROS), (0.1, 0.2), "strictly rise"),
        ((MICROS, 10**18), (0.1, 0.2), "calendar"),
        ((-(10**18), MICROS), (0.1, 0.2), "calendar"),
        ((MICROS,), (1.5,), "0..1"),
        ((MICROS,), (float("nan"),), "0..1"),
    ],
)
def test_a_history_checks_itself(
    as_of: tuple[int, ...], probability: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        History(key("q"), T0, as_of, probability)

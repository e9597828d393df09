"""Fed as fetched, the store answers as its contract says; fed in any other order, a replay mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from questions.records import Snapshot, StreamKey
from storage import open_store
from storage.memory import MemoryStore
from storage.records import Batch, Observation
from storage.store import Store
from tests.storage.conftest import EVERY, url_for
from tests.storage.samples import hours, key, point, poll, stream_snapshots

GAP = timedelta(hours=3)
_numbers = count()


@pytest.fixture(params=EVERY, scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples of a test; every example brings a stream of its own."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    else:
        url = url_for(request.param, tmp_path_factory.mktemp("shared"), request)
    opened = open_store(url, max_gap=GAP)
    yield opened
    opened.close()


def fresh_key() -> StreamKey:
    return key(f"example-{next(_numbers)}")


def renamed(snapshots: Sequence[Snapshot], stream: StreamKey) -> list[Snapshot]:
    return [replace(snapshot, key=stream) for snapshot in snapshots]


@dataclass
class ToldRow:
    as_of: datetime
    first: Snapshot
    fetches: set[datetime] = field(default_factory=set)

    def same(self, snapshot: Snapshot) -> bool:
        names = ("state", "probability", "value", "distribution", "forecasters", "hidden_until")
        return all(getattr(self.first, name) == getattr(snapshot, name) for name in names)


class Told:
    """The contract's words, taken literally and slowly: a growing list of rows, always searched anew."""

    def __init__(self) -> None:
        self.rows: list[ToldRow] = []

    def newest(self) -> ToldRow | None:
        greatest = max((row.as_of for row in self.rows), default=None)
        return next((row for row in reversed(self.rows) if row.as_of == greatest), None)

    def last_at(self, as_of: datetime) -> ToldRow | None:
        return next((row for row in reversed(self.rows) if row.as_of == as_of), None)

    def begin(self, snapshot: Snapshot) -> None:
        self.rows.append(ToldRow(snapshot.as_of, snapshot, {snapshot.fetched_at}))

    def fetch(self, at: datetime, together: list[Snapshot]) -> None:
        confirmed: list[ToldRow] = []
        for timed in sorted((s for s in together if s.timed_by_source), key=lambda s: s.as_of):
            row = self.last_at(timed.as_of)
            if row is not None and row.same(timed):
                confirmed.append(row)
            else:
                self.begin(timed)
        newest = self.newest()
        if newest is not None and any(row is newest for row in confirmed):
            newest.fetches.add(at)
        for current in together:
            if not current.timed_by_source:
                self.current(current)

    def current(self, snapshot: Snapshot) -> None:
        newest, there = self.newest(), self.last_at(snapshot.as_of)
        if newest is not None and newest.same(snapshot):
            if snapshot.fetched_at - max(newest.fetches) <= GAP:
                newest.fetches.add(snapshot.fetched_at)
            else:
                self.begin(snapshot)
        elif there is None or not there.same(snapshot):
            self.begin(snapshot)

    def history(self) -> list[Observation]:
        last = {row.as_of: row for row in self.rows}
        return [
            Observation(row.first, row.first.fetched_at, max(row.fetches), len(row.fetches))
            for _, row in sorted(last.items())
        ]


def told(snapshots: Sequence[Snapshot], known_at: datetime | None = None) -> list[Observation]:
    oracle = Told()
    for at in sorted({s.fetched_at for s in snapshots}):
        if known_at is None or at <= known_at:
            oracle.fetch(at, [s for s in snapshots if s.fetched_at == at])
    return oracle.history()


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Snapshot], list[list[Snapshot]]]:
    """Snapshots of a stream, and the batches they arrive in: any order, any cut, with repetitions."""
    snapshots = draw(stream_snapshots())
    order = draw(st.permutations(snapshots))
    order = [*order, *draw(st.lists(st.sampled_from(snapshots), max_size=4))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=6)))
    batches = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    return snapshots, [batch for batch in batches if batch]


relaxed = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def feed(store: Store, stream: StreamKey, batches: Sequence[Sequence[Snapshot]]) -> int:
    """Append batches to a stream; returns how many snapshots were new."""
    reports = [store.append(Batch(snapshots=tuple(renamed(batch, stream)))) for batch in batches]
    return sum(report.snapshots_new for report in reports)


def by_fetch(snapshots: Sequence[Snapshot]) -> list[list[Snapshot]]:
    """The snapshots as polls bring them: one whole fetch after the other."""
    return [[s for s in snapshots if s.fetched_at == at] for at in sorted({s.fetched_at for s in snapshots})]


@given(snapshots=stream_snapshots())
@relaxed
def test_fed_as_fetched_the_history_is_what_the_contract_says_word_by_word(
    shared: Store, snapshots: list[Snapshot]
) -> None:
    stream = fresh_key()
    feed(shared, stream, by_fetch(snapshots))
    assert shared.history(stream) == told(renamed(snapshots, stream))
    assert [p for p in shared.check() if "not stored" not in p] == []


@given(snapshots=stream_snapshots(), hour=st.floats(-1, 13))
@relaxed
def test_known_at_answers_with_what_had_been_seen_by_then(
    shared: Store, snapshots: list[Snapshot], hour: float
) -> None:
    stream = fresh_key()
    feed(shared, stream, by_fetch(snapshots))
    known_at = poll(hour).fetched_at
    expected = told(renamed(snapshots, stream), known_at)
    found = shared.history(stream, known_at=known_at)
    assert [seen.snapshot for seen in found] == [seen.snapshot for seen in expected]
    assert all(e.seen_last <= f.seen_last <= known_at for e, f in zip(expected, found, strict=True))
    latest = shared.latest([stream], known_at=known_at)
    assert latest == ({stream: found[-1]} if found else {})


@pytest.mark.parametrize("timed", [True, False], ids=["points", "current values"])
@given(arrived=arrivals())
@relaxed
def test_after_any_order_of_arrival_a_replay_as_fetched_tells_every_value_right(
    shared: Store, timed: bool, arrived: tuple[list[Snapshot], list[list[Snapshot]]]
) -> None:
    snapshots = [s for s in arrived[0] if s.timed_by_source == timed]
    batches = [[s for s in batch if s.timed_by_source == timed] for batch in arrived[1]]
    stream = fresh_key()
    feed(shared, stream, batches)
    feed(shared, stream, by_fetch(snapshots))
    for at in sorted({s.fetched_at for s in snapshots}):
        expected = {seen.snapshot.as_of: content(seen) for seen in told(renamed(snapshots, stream), at)}
        found = {seen.snapshot.as_of: content(seen) for seen in shared.history(stream, known_at=at)}
        if timed:
            assert found == expected
        else:
            assert found[max(found)] == expected[max(expected)]


def content(seen: Observation) -> tuple[object, ...]:
    s = seen.snapshot
    return (s.state, s.probability, s.value, s.distribution, s.forecasters, s.hidden_until)


@given(snapshots=stream_snapshots())
@relaxed
def test_appending_everything_again_adds_nothing(shared: Store, snapshots: list[Snapshot]) -> None:
    stream = fresh_key()
    feed(shared, stream, by_fetch(snapshots))
    before, rows = shared.counts(), shared.revisions(stream)
    assert feed(shared, stream, by_fetch(snapshots)) == 0
    assert shared.counts() == before
    assert shared.revisions(stream) == rows


@given(arrived=arrivals())
@relaxed
def test_every_batch_is_reported_alike_by_every_store(
    shared: Store, arrived: tuple[list[Snapshot], list[list[Snapshot]]]
) -> None:
    _, batches = arrived
    stream = fresh_key()
    reference = MemoryStore(GAP)
    for batch in batches:
        snapshots = tuple(renamed(batch, stream))
        assert shared.append(Batch(snapshots=snapshots)) == reference.append(Batch(snapshots=snapshots))
    assert shared.revisions(stream) == reference.revisions(stream)


def test_a_spell_cut_by_a_late_value_does_not_resume_where_another_began(shared: Store) -> None:
    """The fetch at hour 8 confirmed the older value at its time and told of a newer one; hour 2 comes late."""
    stream = fresh_key()
    shared.append(Batch(snapshots=(poll(1, 0.9, stream), point(1, 8, 0.9, stream), poll(8, 0.25, stream))))
    assert shared.append(Batch(snapshots=(poll(2, 0.25, stream),))).snapshots_new == 1
    rows = [
        (seen.snapshot.as_of, seen.seen_last, seen.snapshot.probability) for seen in shared.revisions(stream)
    ]
    assert rows == [
        (hours(1), hours(1), 0.9),
        (hours(2), hours(2), 0.25),
        (hours(8), hours(8), 0.25),
    ]
    assert shared.latest([stream])[stream].snapshot.probability == 0.25

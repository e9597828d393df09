"""Whatever order snapshots arrive in, the store answers as if they had come as they were fetched."""

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
from storage.records import AppendReport, Batch, Observation
from storage.store import Store
from tests.storage.conftest import EVERY, url_for
from tests.storage.samples import key, poll, stream_snapshots

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


@given(arrived=arrivals())
@relaxed
def test_any_order_of_arrival_gives_the_history_of_the_order_of_fetching(
    shared: Store, arrived: tuple[list[Snapshot], list[list[Snapshot]]]
) -> None:
    snapshots, batches = arrived
    stream = fresh_key()
    for batch in batches:
        shared.append(Batch(snapshots=tuple(renamed(batch, stream))))
    expected = renamed(snapshots, stream)
    assert shared.history(stream) == told(expected)
    assert [p for p in shared.check() if "not stored" not in p] == []


@given(arrived=arrivals(), hour=st.floats(-1, 13))
@relaxed
def test_known_at_answers_as_a_store_would_that_was_fed_only_until_then(
    shared: Store, arrived: tuple[list[Snapshot], list[list[Snapshot]]], hour: float
) -> None:
    snapshots, batches = arrived
    stream = fresh_key()
    for batch in batches:
        shared.append(Batch(snapshots=tuple(renamed(batch, stream))))
    known_at = poll(hour).fetched_at
    expected = told(renamed(snapshots, stream), known_at)
    assert shared.history(stream, known_at=known_at) == expected
    latest = shared.latest([stream], known_at=known_at)
    assert latest == ({stream: expected[-1]} if expected else {})


@given(arrived=arrivals())
@relaxed
def test_appending_everything_again_adds_nothing(
    shared: Store, arrived: tuple[list[Snapshot], list[list[Snapshot]]]
) -> None:
    _, batches = arrived
    stream = fresh_key()
    for batch in batches:
        shared.append(Batch(snapshots=tuple(renamed(batch, stream))))
    before, rows = shared.counts(), shared.revisions(stream)
    for batch in batches:
        again = shared.append(Batch(snapshots=tuple(renamed(batch, stream))))
        assert again == AppendReport(snapshots_unchanged=len(batch))
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

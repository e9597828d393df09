"""No offset is ever lost and none is ever guessed, on any store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import create_engine, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError

from questions.records import (
    Forecast,
    ForecasterKind,
    OutcomeState,
    QuestionInfo,
    Resolution,
    Score,
    SeriesVersion,
    Snapshot,
    ValueState,
)
from questions.time import to_micros
from storage import open_store
from storage.columns import UtcMicros
from storage.records import Batch, Gap, Quarantined, Run, RunState, SourceHealth
from storage.store import Store
from tests.storage.conftest import EVERY, url_for
from tests.storage.samples import KEY, distributions, hours, key, measured, moments, payload, poll

NAIVE = datetime(2026, 3, 1, 12)
_numbers = count()


@pytest.fixture(params=EVERY, scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("postgres_template")))
    else:
        url = url_for(request.param, tmp_path_factory.mktemp("times"), request)
    opened = open_store(url)
    yield opened
    opened.close()


def fresh() -> str:
    return f"example-{next(_numbers)}"


def same_instants(found: Any, given: Any) -> None:
    """Every time of a record came back as the same instant, in UTC."""
    for item in fields(given):
        before, after = getattr(given, item.name), getattr(found, item.name)
        if isinstance(before, datetime):
            assert after.tzinfo is UTC, item.name
            assert to_micros(after) == to_micros(before), item.name
            assert after.utcoffset() == timedelta(0)
        else:
            assert after == before, item.name


relaxed = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(as_of=moments, fetched=moments, until=moments, probability=st.floats(0, 1))
@relaxed
def test_snapshots_keep_their_instants(
    shared: Store, as_of: datetime, fetched: datetime, until: datetime, probability: float
) -> None:
    stream = key(fresh())
    timed = Snapshot(
        stream, as_of, fetched, probability=probability, timed_by_source=True, hidden_until=until
    )
    shared.append(Batch(snapshots=(timed,)))
    (seen,) = shared.history(stream)
    same_instants(seen.snapshot, timed)
    assert (seen.seen_first, seen.seen_last) == (fetched, fetched)
    assert seen.seen_first.tzinfo is UTC
    assert shared.latest([stream], known_at=fetched)[stream] == seen
    assert shared.history(stream, known_at=fetched - timedelta(microseconds=1)) == []


@given(made=moments, other=moments, distribution=distributions)
@relaxed
def test_every_record_with_a_time_keeps_its_instants(
    shared: Store, made: datetime, other: datetime, distribution: Any
) -> None:
    name = fresh()
    snapshot = Snapshot(key(name), made, made, distribution=distribution)
    resolution = Resolution("s", "p", name, "yes", OutcomeState.YES, made, other, 1.0)
    info = QuestionInfo("s", "p", name, made, "t", opens_at=other, closes_at=made, resolves_by=other)
    version = SeriesVersion(name, "a" * 64, made, (replace(measured("m", 1.0), series=name),))
    forecast = Forecast(name, "yes", "ada", ForecasterKind.PERSON, made, 0.5)
    score = Score(name, "yes", "ada", made, "brier", "1", 0.25, other)
    raw = payload(name.encode(), source=name)
    raw = replace(raw, fetched_at=made)
    run = Run(name, made, RunState.DONE, other, made, "")
    gap = Gap(name, min(made, other), max(made, other), "r")
    health = SourceHealth(name, "ok", made, other, made, 0, other)
    entry = Quarantined(raw.sha256, name, "q", "r", "1", made, other)
    shared.append(Batch((snapshot,), (version,), (resolution,), (info,)))
    shared.put_raw(raw)
    shared.add_forecasts([forecast])
    shared.add_scores([score])
    shared.end_run(run)
    shared.add_gap(gap)
    shared.set_health(health)
    shared.quarantine(entry)
    same_instants(shared.history(key(name))[0].snapshot, snapshot)
    assert shared.versions(name)[0].seen_first == made
    same_instants(next(r for r in shared.resolutions() if r.external_id == name), resolution)
    same_instants(next(i for i in shared.infos() if i.external_id == name), info)
    same_instants(next(f for f in shared.forecasts() if f.question == name), forecast)
    same_instants(next(s for s in shared.scores() if s.question == name), score)
    same_instants(next(shared.raw_payloads(name)), raw)
    same_instants(shared.runs(name)[0], run)
    same_instants(shared.gaps(name)[0], gap)
    same_instants(shared.health()[name], health)
    same_instants(next(q for q in shared.quarantined(unresolved_only=False) if q.source == name), entry)


@pytest.mark.parametrize("edge", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_can_be_stored(store: Store, edge: datetime) -> None:
    hidden = Snapshot(KEY, hours(0), hours(0), ValueState.HIDDEN, hidden_until=edge)
    store.append(
        Batch(snapshots=(hidden, Snapshot(KEY, edge, hours(1), probability=0.1, timed_by_source=True)))
    )
    assert {seen.snapshot.hidden_until for seen in store.history(KEY)} == {edge, None}
    assert edge in {seen.snapshot.as_of for seen in store.history(KEY)}


NAIVE_CALLS: dict[str, Callable[[Store], object]] = {
    "history": lambda store: store.history(KEY, known_at=NAIVE),
    "latest": lambda store: store.latest(known_at=NAIVE),
    "versions": lambda store: store.versions("s", known_at=NAIVE),
    "measurements": lambda store: store.measurements("s", known_at=NAIVE),
    "diff from": lambda store: store.series_diff("s", NAIVE, hours(0)),
    "diff to": lambda store: store.series_diff("s", hours(0), NAIVE),
    "resolutions": lambda store: store.resolutions(known_at=NAIVE),
    "infos": lambda store: store.infos(known_at=NAIVE),
    "forecasts": lambda store: store.forecasts(known_at=NAIVE),
    "raw_payloads": lambda store: store.raw_payloads(since=NAIVE),
    "runs": lambda store: store.runs(since=NAIVE),
    "sight": lambda store: store.sight("s", "u", "a" * 64, NAIVE),
    "release": lambda store: store.release("a" * 64, NAIVE),
    "slot": lambda store: store.begin_run("pull", NAIVE, hours(0)),
    "claim": lambda store: store.begin_run("pull", hours(0), NAIVE),
    "run": lambda store: store.end_run(Run("pull", hours(0), RunState.DONE, NAIVE)),
    "gap": lambda store: store.add_gap(Gap("s", NAIVE, hours(0), "r")),
    "health": lambda store: store.set_health(SourceHealth("s", last_ok_at=NAIVE)),
    "quarantine": lambda store: store.quarantine(Quarantined("a", "s", "q", "r", "1", NAIVE)),
}


@pytest.mark.parametrize("name", NAIVE_CALLS)
def test_a_naive_time_is_refused_wherever_one_can_be_given(store: Store, name: str) -> None:
    before = store.counts()
    with pytest.raises(ValueError, match="naive"):
        NAIVE_CALLS[name](store)
    assert store.counts() == before


def test_the_column_refuses_naive_times_on_the_way_in() -> None:
    engine = create_engine("sqlite://")
    query = select(literal(NAIVE, UtcMicros()))
    with engine.connect() as connection, pytest.raises(StatementError, match="naive"):
        connection.execute(query)
    engine.dispose()


def test_the_column_refuses_naive_times_on_the_way_out() -> None:
    with pytest.raises(ValueError, match="naive"):
        UtcMicros().process_result_value(NAIVE, postgresql.dialect())  # type: ignore[no-untyped-call]


@given(moment=moments)
def test_the_column_is_exact_to_the_microsecond(moment: datetime) -> None:
    dialect = sqlite.dialect()
    stored = UtcMicros().process_bind_param(moment, dialect)
    assert stored == to_micros(moment)
    assert UtcMicros().process_result_value(stored, dialect) == moment


def test_a_release_date_has_no_time_to_lose(store: Store) -> None:
    point = measured("m", 1, at=date(1, 1, 1))
    store.append(Batch(versions=(SeriesVersion("horizons", "a" * 64, hours(0), (point,)),)))
    assert store.measurements("horizons") == [point]


def test_a_poll_in_another_offset_is_the_same_poll(store: Store) -> None:
    here = poll(0)
    there = hours(0).astimezone(timezone(timedelta(hours=5, minutes=45)))
    store.append(Batch(snapshots=(here,)))
    report = store.append(Batch(snapshots=(Snapshot(KEY, there, there, probability=0.5),)))
    assert report.snapshots_unchanged == 1
    assert store.history(KEY)[0].times_seen == 1

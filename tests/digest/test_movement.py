"""Movers: a change is measured against what the question usually does, and against nothing that was not known."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from questions.records import Quantity, Snapshot, StreamKey
from storage.memory import MemoryStore
from storage.records import Batch
from tracker.digest.movement import USUAL_NOISE, Move, log_odds, moves, nearest, standing
from tracker.digest.period import Period, period_at

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


def key(name: str, quantity: Quantity = Quantity.FORECASTER_MEDIAN, source: str = "metaculus") -> StreamKey:
    return StreamKey(source, "metaculus", name, "yes", quantity)


def polled(store: MemoryStore, stream: StreamKey, values: list[float], last: datetime = AT) -> None:
    """One value a week, the last one at ``last``."""
    first = last - (len(values) - 1) * WEEK
    times = [first + i * WEEK for i in range(len(values))]
    store.append(
        Batch(tuple(Snapshot(stream, at, at, probability=p) for at, p in zip(times, values, strict=True)))
    )


def found(store: MemoryStore) -> tuple[list[Move], int]:
    streams = store.streams()
    period = period_at(AT)
    return moves(store, streams, nearest(store.latest(streams, known_at=AT), AT), period)


def of(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-odds))


def test_z_is_the_change_in_log_odds_over_the_questions_own_noise() -> None:
    """Worked out by hand: 12 changes of +-0.2 before the week, then +1; alone of its kind it is its own usual."""
    store = MemoryStore()
    odds = [0.2 * (i % 2) for i in range(13)]
    polled(store, key("a"), [of(x) for x in [*odds, odds[-1] + 1.0]])
    (move,), could = found(store)
    assert could == 1
    assert move.weeks == 12
    assert move.z == pytest.approx(1.0 / 0.2)


def test_the_same_step_counts_less_where_steps_are_usual() -> None:
    store = MemoryStore()
    random = np.random.default_rng(3)
    for name, sd in (("calm", 0.1), ("wild", 0.8)):
        walk = np.cumsum(random.normal(0, sd, 13))
        polled(store, key(name), [of(x) for x in [*walk, walk[-1] + 0.6]])
    ranked, _ = found(store)
    assert [move.key.external_id for move in ranked] == ["calm", "wild"]
    assert [move.notable for move in ranked] == [True, False]


def test_on_random_walks_z_has_a_spread_of_one() -> None:
    """400 questions that move as they always did: few stand out by two, as few as chance lets."""
    store, random = MemoryStore(), np.random.default_rng(11)
    for i in range(400):
        steps = random.normal(0, random.uniform(0.15, 0.45), 15)
        polled(store, key(f"q{i:03}"), [of(x) for x in np.cumsum(steps)])
    ranked, could = found(store)
    zs = np.array([move.z for move in ranked])
    unmoved = could - len(zs)  # below two points: not looked into
    spread = math.sqrt(float((zs**2).sum()) / could)
    assert 0.85 < spread < 1.2
    assert unmoved < 0.35 * could
    assert 0.01 < sum(move.notable for move in ranked) / could < 0.10


def test_without_a_past_the_usual_noise_stands_in() -> None:
    store = MemoryStore()
    polled(store, key("new"), [0.4, 0.6])
    (move,), _ = found(store)
    assert move.weeks == 0
    assert move.z == pytest.approx((log_odds(0.6) - log_odds(0.4)) / USUAL_NOISE)


def test_what_was_learnt_later_or_long_ago_is_no_move() -> None:
    store = MemoryStore()
    seen = AT - timedelta(days=1)
    backfilled = [
        Snapshot(key("backfill"), AT - back * WEEK, seen, probability=p, timed_by_source=True)
        for back, p in ((3, 0.1), (2, 0.1), (1, 0.1))
    ]
    store.append(Batch((*backfilled, Snapshot(key("backfill"), seen, seen, probability=0.9))))
    polled(store, key("silent"), [0.2, 0.2, 0.9], last=AT - 2 * WEEK)
    polled(store, key("later"), [0.2, 0.2, 0.9], last=AT + timedelta(hours=1))
    ranked, could = found(store)
    assert {move.key.external_id for move in ranked} == set()
    assert could == 1  # "later": at 0.2 then and at the digest's time


def test_of_one_question_the_platforms_own_word_counts() -> None:
    store = MemoryStore()
    polled(store, key("q", Quantity.CROWD_DAILY, "forecastbench"), [0.5, 0.9])
    polled(store, key("q"), [0.5, 0.6])
    best = nearest(store.latest(known_at=AT), AT)
    assert [one.snapshot.key.source for one in best.values()] == ["metaculus"]
    assert not standing(None, AT)


def test_the_week_is_the_one_most_days_lie_in() -> None:
    assert period_at(datetime(2027, 1, 4, 7, tzinfo=UTC)) == Period(
        "2026-W53", datetime(2027, 1, 4, 7, tzinfo=UTC)
    )
    assert period_at(datetime(2026, 11, 20, 12, tzinfo=UTC)).label == "2026-W47"
    assert period_at(AT).since == AT - WEEK

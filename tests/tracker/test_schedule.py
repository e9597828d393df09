"""Due-ness is computed from the clock and the ledger."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, strategies as st

from storage.records import Run, RunState
from tracker.schedule import is_due, missed, next_slot, slot_at, turns

MOMENTS = st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC))
PERIODS = st.integers(min_value=60, max_value=31 * 86400).map(lambda s: timedelta(seconds=s))


@given(job=st.text(min_size=1), period=PERIODS, now=MOMENTS)
def test_now_lies_between_its_slot_and_the_next(job: str, period: timedelta, now: datetime) -> None:
    assert slot_at(job, period, now) <= now < next_slot(job, period, now)


@given(job=st.text(min_size=1), period=PERIODS, now=MOMENTS)
def test_a_slot_is_its_own_slot(job: str, period: timedelta, now: datetime) -> None:
    slot = slot_at(job, period, now)
    assert slot_at(job, period, slot) == slot
    assert slot_at(job, period, slot + period) == slot + period


def test_sources_with_one_period_are_spread_over_it() -> None:
    day, now = timedelta(days=1), datetime(2026, 8, 1, tzinfo=UTC)
    names = ["poll:manifold", "poll:metaculus", "poll:forecastbench", "poll:metr"]
    assert len({slot_at(name, day, now).time() for name in names}) == len(names)


def _run(slot: datetime, state: RunState) -> Run:
    return Run("poll:x", slot, state, slot, slot)


def test_a_finished_slot_is_not_due_and_a_failed_one_is() -> None:
    slot = datetime(2026, 8, 1, tzinfo=UTC)
    assert is_due(slot, [])
    assert is_due(slot, [_run(slot, RunState.FAILED)])
    for state in (RunState.DONE, RunState.PARTIAL, RunState.SKIPPED):
        assert not is_due(slot, [_run(slot, state)])


def test_missed_slots_become_one_gap_from_the_last_finished_slot_to_the_present_one() -> None:
    period, now = timedelta(hours=6), datetime(2026, 8, 10, 12, tzinfo=UTC)
    last = slot_at("poll:x", period, now - timedelta(days=3))
    gap = missed("poll:x", "x", period, now, [_run(last, RunState.DONE)])
    assert gap is not None
    assert (gap.start, gap.end) == (last, slot_at("poll:x", period, now))


def test_no_gap_without_a_first_run_nor_when_the_previous_slot_ran() -> None:
    period, now = timedelta(hours=6), datetime(2026, 8, 10, 12, tzinfo=UTC)
    previous = slot_at("poll:x", period, now) - period
    assert missed("poll:x", "x", period, now, []) is None
    assert missed("poll:x", "x", period, now, [_run(previous, RunState.DONE)]) is None
    assert missed("poll:x", "x", period, now, [_run(previous - period, RunState.FAILED)]) is None


NAMES = st.sets(st.text("abcdef", min_size=1, max_size=6), max_size=30)


@given(names=NAMES, cycle=PERIODS, start=MOMENTS, cuts=st.lists(st.floats(0, 1), max_size=6))
def test_in_one_cycle_everything_has_one_turn_however_it_is_cut(
    names: set[str], cycle: timedelta, start: datetime, cuts: list[float]
) -> None:
    moments = [start, *(start + cycle * cut for cut in sorted(cuts)), start + cycle]
    due = [name for last, now in pairwise(moments) for name in turns(names, cycle, last, now)]
    assert sorted(due) == sorted(names)


@given(names=NAMES, cycle=PERIODS, start=MOMENTS, part=st.floats(0, 1))
def test_turns_are_spread_evenly(names: set[str], cycle: timedelta, start: datetime, part: float) -> None:
    span = cycle * part
    assert len(turns(names, cycle, start, start + span)) <= math.ceil(len(names) * (span / cycle)) + 1


def test_without_a_last_time_all_are_due_and_with_a_later_one_none() -> None:
    at, hour = datetime(2026, 8, 1, tzinfo=UTC), timedelta(hours=1)
    assert turns(["b", "a", "b"], hour, None, at) == ("a", "b")
    assert turns(["b", "a"], hour, at, at - hour) == ()
    assert turns([], hour, None, at) == ()

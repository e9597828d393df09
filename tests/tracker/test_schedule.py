"""Due-ness is computed from the clock and the ledger."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, strategies as st

from storage.records import Run, RunState
from tracker.schedule import Every, LocalTime, is_due, missed, next_slot, owed, slot_at, turns

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


def test_the_reason_of_a_gap_is_what_the_ledger_says_of_that_time() -> None:
    period, now = timedelta(hours=6), datetime(2026, 8, 10, 12, tzinfo=UTC)
    present = slot_at("poll:x", period, now)
    last = Run("poll:x", present - 5 * period, RunState.DONE, now, now)
    off = missed("poll:x", "x", period, now, [last])
    assert off is not None
    assert "off" in off.reason
    failed = [Run("poll:x", present - n * period, RunState.FAILED, now, now, f"try {n}") for n in (3, 2, 1)]
    tried = missed("poll:x", "x", period, now, [last, *failed])
    assert tried is not None
    assert tried.reason == "3 polls tried, none succeeded; the last: try 1"
    assert (tried.start, tried.end) == (last.slot, present)


# what is owed -------------------------------------------------------------------------------------


@given(
    now=MOMENTS,
    period=PERIODS,
    most=st.integers(1, 6),
    done=st.sets(st.integers(0, 8)),
    late=st.none() | st.integers(0, 5),
)
def test_owed_are_the_last_slots_without_an_end_and_each_is_run_or_skipped(
    now: datetime, period: timedelta, most: int, done: set[int], late: int | None
) -> None:
    slots = Every("job", period)
    newest = slots.at(now)
    ledger = [_run(newest - n * period, RunState.DONE) for n in done]
    limit = None if late is None else late * period
    run, skipped = owed(slots, ledger, now, most=most, late=limit)
    expected = [newest - n * period for n in range(most) if n not in done]
    assert sorted([*run, *skipped], reverse=True) == expected
    assert all(limit is not None and now - slot > limit for slot in skipped)
    assert all(limit is None or now - slot <= limit for slot in run)


def test_a_clock_that_jumps_a_year_ahead_owes_one_poll_not_thousands() -> None:
    slots, now = Every("poll:x", timedelta(seconds=1)), datetime(2027, 8, 1, tzinfo=UTC)
    run, skipped = owed(slots, [_run(now - timedelta(days=365), RunState.DONE)], now)
    assert (run, skipped) == ((slots.at(now),), ())


# local times --------------------------------------------------------------------------------------

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # Germany: the last Sunday of March at 02:00 becomes 03:00, of October 03:00 becomes 02:00.
        ("sun 02:30 Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        ("sun 02:30 Europe/Berlin", "2026-10-24T00:00Z", "2026-10-25T00:30Z"),
        ("sun 02:30 Europe/Berlin", "2026-10-25T00:30Z", "2026-11-01T01:30Z"),
        # New York: 2026-11-01 has 01:30 twice, at 05:30Z and 06:30Z.
        ("01:30 America/New_York", "2026-11-01T00:00Z", "2026-11-01T05:30Z"),
        ("01:30 America/New_York", "2026-11-01T05:30Z", "2026-11-02T06:30Z"),
        # Lord Howe moves by half an hour: 02:00 becomes 02:30 on 2026-10-04.
        ("02:10 Australia/Lord_Howe", "2026-10-03T12:00Z", "2026-10-03T15:30Z"),
        ("mon 07:00 Europe/Berlin", "2026-11-20T00:00Z", "2026-11-23T06:00Z"),
        ("03:30", "2026-11-20T03:30Z", "2026-11-21T03:30Z"),
    ],
)
def test_local_times_at_the_changes_of_the_clock(text: str, after: str, expected: str) -> None:
    slots = LocalTime.parse(text)
    moment = slots.after(datetime.fromisoformat(after))
    assert moment == datetime.fromisoformat(expected)
    assert slots.at(moment) == moment


def _kinds_of_zones() -> list[str]:
    """One zone of every kind: those whose offsets go alike are looked at once."""
    weeks = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(0, 12 * 366, 7)]
    kinds: dict[object, str] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        kinds.setdefault(tuple(week.astimezone(zone).utcoffset() for week in weeks), name)
    return list(kinds.values())


def test_every_zone_has_exactly_one_slot_a_week_from_2024_to_2035() -> None:
    """Counted by the calendar. Greenland's clocks skip the last hour of a Saturday: then it is Sunday, 00:00."""
    names = _kinds_of_zones()
    assert len(names) > 60
    for word in ("sun 02:30", "sun 00:00", "sat 23:59"):
        for name in names:
            slots = LocalTime.parse(f"{word} {name}")
            moment, found = datetime(2024, 1, 1, 12, tzinfo=UTC), []
            while moment < datetime(2035, 12, 25, tzinfo=UTC):
                moment = slots.after(moment)
                found.append(moment.astimezone(slots.zone))
            days = {(one - timedelta(minutes=1) if one.time() == time(0) else one).date() for one in found}
            wanted = slots.weekday if slots.time != time(0) else (slots.weekday or 0) - 1
            assert {day.weekday() for day in days} <= {wanted, slots.weekday}, name
            assert len(days) == len(found) == (max(days) - min(days)).days // 7 + 1, name


@pytest.mark.parametrize(
    "text", ["", "07:00 Nowhere/Land", "noon UTC", "mon", "07:00+02:00", "mon tue 07:00 UTC x"]
)
def test_what_is_no_local_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|such as"):
        LocalTime.parse(text)

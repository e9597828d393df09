"""Time for scheduling never goes back and never stands still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, strategies as st

from tests.tracker.fakes import START, Clock
from tracker.daemon.clock import SLACK, SteadyClock


class Monotonic:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def clocks(floor: datetime | None = None) -> tuple[SteadyClock, Clock, Monotonic]:
    wall, monotonic = Clock(), Monotonic()
    return SteadyClock(floor, wall=wall, monotonic=monotonic), wall, monotonic


def test_an_hour_back_loses_no_second_of_scheduling_and_is_called_suspect_until_it_is_made_up() -> None:
    steady, wall, monotonic = clocks()
    wall.forward(hours=-1)
    monotonic.now += 10
    wall.forward(seconds=10)
    assert steady() == START + timedelta(seconds=10)
    assert steady.suspect
    wall.forward(hours=1)
    assert steady() == START + timedelta(seconds=10)
    assert not steady.suspect
    assert steady.steps["back"] == 1


@pytest.mark.parametrize("days", [1, 365])
def test_a_step_ahead_is_followed_at_once(days: int) -> None:
    steady, wall, monotonic = clocks()
    monotonic.now += 1
    wall.forward(days=days)
    assert steady() == START + timedelta(days=days)
    assert not steady.suspect
    assert steady.steps["forward"] == 1


def test_a_clock_that_starts_behind_the_work_already_done_goes_on_from_there() -> None:
    floor = START + timedelta(days=2)
    steady, wall, monotonic = clocks(floor)
    assert steady.suspect
    monotonic.now += 30
    wall.forward(seconds=30)
    assert steady() == floor + timedelta(seconds=30)


@given(
    steps=st.lists(
        st.tuples(st.floats(0.001, 3600), st.sampled_from([0.0, 0.0, 0.0, -3600.0, -2.0, 86400.0, 3.0])),
        min_size=1,
        max_size=40,
    )
)
@example(steps=[(0.5, -2.0), (1.0, -3600.0)])
@example(steps=[(0.5, -2.0), (0.25, -2.0), (6.0, -2.0)])
def test_it_never_goes_back_and_lags_real_time_by_no_more_than_the_slack(
    steps: list[tuple[float, float]],
) -> None:
    """``steps``: seconds that really pass, and seconds by which somebody moves the wall clock meanwhile."""
    steady, wall, monotonic = clocks()
    before, passed = steady(), 0.0
    begun = before
    for seconds, moved in steps:
        monotonic.now += seconds
        wall.now += timedelta(seconds=seconds + moved)
        passed += seconds
        now = steady()
        assert now >= before
        assert now >= wall.now - timedelta(milliseconds=1)
        assert now - before >= timedelta(seconds=seconds) - SLACK
        before = now
    assert before - begun >= timedelta(seconds=passed) - SLACK * len(steps)
    assert before.tzinfo is UTC

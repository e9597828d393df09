"""Ratios of proxies: against scipy's own regression, exact courses, and the coverage of the intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from questions.curated import packaged, read_table
from questions.formulas import HalvingTime, SlopeRatio
from tracker.estimates.proxies import Ratio, Unread, ratio

END = date(2028, 6, 30)
HALVING = HalvingTime(kind="halving_time", of="s/record", baseline_days=300.0, window_days=365, least=6)
SLOPES = SlopeRatio(
    kind="slope_ratio",
    of="s/loss",
    baseline_from=date(2026, 2, 26),
    baseline_to=date(2027, 2, 25),
    window_days=365,
    least=4,
)


def read(formula: HalvingTime | SlopeRatio, points: Sequence[tuple[date, float]], end: date = END) -> Ratio:
    told = ratio(formula, points, end, 0.8)
    assert isinstance(told, Ratio), told
    return told


def unread(formula: HalvingTime | SlopeRatio, points: Sequence[tuple[date, float]], end: date = END) -> str:
    told = ratio(formula, points, end, 0.8)
    assert isinstance(told, Unread)
    return told.reason


def falling(halves_in: float, every: int = 30, count: int = 12) -> list[tuple[date, float]]:
    return [
        (END - timedelta(days=every * step), 2.0 * 2 ** (every * step / halves_in)) for step in range(count)
    ]


def line(start: date, days: int, slope: float, noise: Sequence[float]) -> list[tuple[date, float]]:
    steps = len(noise)
    return [
        (
            start + timedelta(days=round(days * step / (steps - 1))),
            5.0 + slope * days * step / (steps - 1) + one,
        )
        for step, one in enumerate(noise)
    ]


@pytest.mark.parametrize(("halves_in", "multiple"), [(300.0, 1.0), (150.0, 2.0), (100.0, 3.0), (30.0, 10.0)])
def test_a_record_that_halves_k_times_as_fast_has_the_ratio_k(halves_in: float, multiple: float) -> None:
    told = read(HALVING, falling(halves_in))
    assert told.value == pytest.approx(multiple)
    assert told.lower == pytest.approx(multiple, abs=1e-6)
    assert told.upper == pytest.approx(multiple, abs=1e-6)


def test_the_interval_is_that_of_the_slope_as_scipy_has_it() -> None:
    chance = np.random.default_rng(7)
    points = [(day, value * math.exp(chance.normal(0, 0.1))) for day, value in falling(200.0)]
    told = read(HALVING, points)
    reference = stats.linregress([day.toordinal() for day, _ in points], [math.log(v) for _, v in points])
    t = stats.t.ppf(0.9, len(points) - 2)
    scale = 300 / math.log(2)
    assert told.value == pytest.approx(-reference.slope * scale)
    assert told.lower == pytest.approx((-reference.slope - t * reference.stderr) * scale)
    assert told.upper == pytest.approx((-reference.slope + t * reference.stderr) * scale)


def test_what_is_dated_later_or_before_the_window_is_not_looked_at() -> None:
    points = falling(100.0)
    more = [(END + timedelta(days=1), 1e-6), (END - timedelta(days=365), 1e9)]
    assert read(HALVING, points + more) == read(HALVING, points)


def test_what_cannot_be_read_says_why() -> None:
    assert unread(HALVING, falling(100.0, count=5)) == "5 entries in the window, 6 are needed"
    assert unread(HALVING, [(END, 1.0)] * 6) == "all entries are of one day"
    assert unread(HALVING, [*falling(100.0), (END, 0.0)]) == "a value is not positive"
    early = date(2027, 12, 31)
    assert "overlap" in unread(SLOPES, falling(100.0), early)
    base = line(date(2026, 3, 1), 300, -0.001, [0.0] * 5)
    assert unread(SLOPES, base) == "0 entries in the window, 4 are needed"
    flat = line(date(2026, 3, 1), 300, 0.0, [0.1, -0.1, 0.1, -0.1, 0.1])
    now = line(date(2027, 8, 1), 300, -0.003, [0.0] * 5)
    assert unread(SLOPES, flat + now) == "the baseline's slope cannot be told from zero"


def test_three_times_the_slope_is_the_ratio_three() -> None:
    base = line(date(2026, 3, 1), 300, -0.001, [0.0] * 6)
    now = line(date(2027, 8, 1), 300, -0.003, [0.0] * 6)
    told = read(SLOPES, base + now)
    assert (told.value, told.lower, told.upper) == pytest.approx((3.0, 3.0, 3.0))


def test_fiellers_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    """2000 worlds with a true ratio of 2: 80 % nominal, a little more with the smaller degrees of freedom."""
    chance = np.random.default_rng(2027)
    inside = told = 0
    for _ in range(2000):
        base = line(date(2026, 3, 1), 340, -0.002, chance.normal(0, 0.05, 8))
        now = line(date(2027, 7, 10), 340, -0.004, chance.normal(0, 0.05, 8))
        found = ratio(SLOPES, base + now, END, 0.8)
        if isinstance(found, Ratio):
            told += 1
            inside += found.lower <= 2.0 <= found.upper
    assert told > 1950
    assert 0.78 <= inside / told <= 0.90


def test_the_speedrun_of_2026_runs_at_about_its_baseline() -> None:
    """From the first to the last record of the year to 2026-07-17 it halved in 299 days; the fit says about that."""
    table = read_table("nanogpt_speedrun.toml", packaged()["nanogpt_speedrun.toml"])
    told = read(HALVING, [(point.at, point.value) for point in table.points], date(2026, 7, 17))
    assert 0.8 < told.value < 1.3
    assert told.lower < told.value < told.upper

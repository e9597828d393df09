"""A proxy's ratio to its baseline at a quarter's end, from the points of a series: the formulas of batteries.

The formulas are described in ``questions.formulas``. Everything here is plain least squares; scipy gives the
quantiles of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy import stats

from questions.formulas import HalvingTime, ReadingFormula, SlopeRatio

Points = Sequence[tuple[date, float]]


@dataclass(frozen=True)
class Ratio:
    """A ratio with its two-sided interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Unread:
    """Why a formula gives nothing at a quarter's end."""

    reason: str


@dataclass(frozen=True)
class _Line:
    """Slope per day of a least-squares line, its standard error, and degrees of freedom."""

    slope: float
    error: float
    freedom: int


def ratio(formula: ReadingFormula, points: Points, end: date, level: float) -> Ratio | Unread:
    """The formula's ratio at a quarter's end, with an interval at ``level`` (0..1), or why there is none.

    ``points`` are (day, value) in any order; those dated after ``end`` are not looked at.
    """
    if isinstance(formula, HalvingTime):
        return _halving(formula, points, end, level)
    return _slopes(formula, points, end, level)


def _halving(formula: HalvingTime, points: Points, end: date, level: float) -> Ratio | Unread:
    """``baseline_days`` * -slope / ln 2, the slope being that of ln(value) per day."""
    window = _between(points, end - timedelta(days=formula.window_days), end)
    if any(value <= 0 for _, value in window):
        return Unread("a value is not positive")
    line = _fit([(day, math.log(value)) for day, value in window], formula.least)
    if isinstance(line, Unread):
        return line
    scale = formula.baseline_days / math.log(2)
    reach = _quantile(level, line.freedom) * line.error
    return Ratio(-line.slope * scale, (-line.slope - reach) * scale, (-line.slope + reach) * scale)


def _slopes(formula: SlopeRatio, points: Points, end: date, level: float) -> Ratio | Unread:
    """The ratio of two independent slopes, with Fieller's interval (Biometrika 1940, 32:190-197)."""
    start = end - timedelta(days=formula.window_days)
    if start < formula.baseline_to:
        return Unread(f"the last {formula.window_days} days overlap with the baseline's")
    before = formula.baseline_from - timedelta(days=1)
    base = _fit(_between(points, before, formula.baseline_to), formula.least)
    now = _fit(_between(points, start, end), formula.least)
    if isinstance(base, Unread):
        return Unread(f"baseline: {base.reason}")
    if isinstance(now, Unread):
        return now
    t = _quantile(level, min(base.freedom, now.freedom))
    below = base.slope**2 - (t * base.error) ** 2
    if below <= 0:
        return Unread("the baseline's slope cannot be told from zero")
    product = base.slope * now.slope
    root = math.sqrt(max(product**2 - below * (now.slope**2 - (t * now.error) ** 2), 0.0))
    return Ratio(now.slope / base.slope, (product - root) / below, (product + root) / below)


def _between(points: Points, after: date, until: date) -> list[tuple[date, float]]:
    return sorted((day, value) for day, value in points if after < day <= until)


def _fit(points: Points, least: int) -> _Line | Unread:
    if len(points) < least:
        return Unread(f"{len(points)} entries in the window, {least} are needed")
    days = np.array([day.toordinal() for day, _ in points], dtype=float)
    values = np.array([value for _, value in points])
    centred = days - days.mean()
    spread = float(centred @ centred)
    if spread == 0.0:
        return Unread("all entries are of one day")
    slope = float(centred @ values) / spread
    left = values - values.mean() - slope * centred
    freedom = len(points) - 2
    return _Line(slope, math.sqrt(float(left @ left) / freedom / spread), freedom)


def _quantile(level: float, freedom: int) -> float:
    return float(stats.t.ppf(0.5 + level / 2, freedom))

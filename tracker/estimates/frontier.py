"""A series of records on the scale on which its trend is modelled, with each point's own error.

The scale is log2 for time horizons (a unit is a doubling), log2 of the odds for shares of tasks solved (a
unit doubles the odds; such scores are bounded), and a stated step for index points, which are already
logarithmic. One set of priors then serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from questions.records import Measurement
from tracker.errors import UsageError
from tracker.estimates.trend import DAYS_PER_YEAR, FLOOR_MINUTES, check_points, day_number

Floats = NDArray[np.float64]
ScaleName = Literal["log2", "log2_odds", "linear"]

# A share of 0 or 1 has no odds: half a task of a 500-task benchmark is the least it can stand for.
EDGE = 0.001
TIMES = ("minutes", "hours", "seconds")
# Epoch's index gains about 15 points a year where horizons double about three times (trend reports of
# 2025 and 2026): five points are taken as one unit, so that the priors on growth mean the same.
INDEX_STEP = 5.0
_NORMAL_QUANTILE = {0.5: 0.67449, 0.8: 1.28155, 0.9: 1.64485, 0.95: 1.95996, 0.99: 2.57583}


@dataclass(frozen=True)
class Scale:
    """How a series' values become heights a trend runs through; ``step`` values are one unit if linear."""

    name: ScaleName
    unit: str
    step: float = 1.0
    full: float = 1.0

    def height(self, value: float) -> float:
        """The height of a value: log2, log2 of the odds, or value / step."""
        if self.name == "log2":
            return math.log2(max(value, FLOOR_MINUTES))
        if self.name == "log2_odds":
            share = min(max(value / self.full, EDGE), 1.0 - EDGE)
            return math.log2(share / (1.0 - share))
        return value / self.step

    def value(self, height: float) -> float:
        """The value at a height: the inverse of ``height``; infinite beyond what a float can hold."""
        if self.name == "log2":
            return math.exp2(height) if height < 1000.0 else math.inf
        if self.name == "log2_odds":
            return self.full / (1.0 + math.exp2(min(-height, 1000.0)))
        return height * self.step


def scale_for(unit: str, step: float | None = None) -> Scale:
    """The scale of a series by its unit: minutes and hours log2, fraction and percent log2 odds.

    Anything else is linear and needs ``step``, the difference that counts as one unit (an index of
    Epoch's kind: 5 points). Raises UsageError when a step is missing or not positive.
    """
    if unit in TIMES:
        return Scale("log2", "doublings")
    if unit in ("fraction", "percent"):
        return Scale("log2_odds", "doublings of the odds", full=1.0 if unit == "fraction" else 100.0)
    if step is None and unit == "ECI points":
        step = INDEX_STEP
    if step is None or not (math.isfinite(step) and step > 0):
        raise UsageError(f"unit {unit!r} has no known scale: give a positive step that counts as one unit")
    return Scale("linear", f"steps of {step:g} {unit}", step=step)


def horizon_scale(unit: str) -> Scale:
    """The scale of a time horizon in minutes. Raises UsageError for a series in another unit."""
    if unit != "minutes":
        raise UsageError(f"a time horizon in minutes is needed, the series is in {unit}")
    return scale_for(unit)


@dataclass(frozen=True)
class Frontier:
    """Points of a series as heights over time, earliest first, with each point's error.

    ``years`` (n,) from the last point's date (so 0 for it, negative before); ``heights`` (n,);
    ``sd_low``, ``sd_high`` (n,): standard deviations of the published error downwards and upwards, in
    units of the scale, 0 where nothing is published; ``censored`` (n,): only known to lie at or above
    the height, which then is the instrument's ceiling. ``measured`` (n,): the published heights, the
    ceiling not applied.
    """

    scale: Scale
    keys: tuple[str, ...]
    dates: tuple[date, ...]
    years: Floats
    heights: Floats
    sd_low: Floats
    sd_high: Floats
    censored: NDArray[np.bool_]
    measured: Floats
    last_day: float
    warnings: tuple[str, ...] = field(default=())

    @property
    def n(self) -> int:
        return len(self.keys)

    @property
    def sd(self) -> Floats:
        """One symmetric standard deviation per point: the root mean square of both sides, (n,)."""
        mean: Floats = np.sqrt((self.sd_low**2 + self.sd_high**2) / 2.0)
        return mean

    def before(self, count: int) -> Frontier:
        """The first ``count`` points alone, years counted from the last of them."""
        shift = self.years[count - 1]
        return Frontier(
            scale=self.scale,
            keys=self.keys[:count],
            dates=self.dates[:count],
            years=self.years[:count] - shift,
            heights=self.heights[:count],
            sd_low=self.sd_low[:count],
            sd_high=self.sd_high[:count],
            censored=self.censored[:count],
            measured=self.measured[:count],
            last_day=day_number(self.dates[count - 1]),
        )

    def year_of(self, day: date) -> float:
        """Years from the last point's date to the end of a day."""
        return (day_number(day) + 1.0 - self.last_day) / DAYS_PER_YEAR


def frontier_of(points: Sequence[Measurement], scale: Scale, ceiling: float | None = None) -> Frontier:
    """Selected points as heights with errors.

    ``points`` as ``select`` gives them. Exactly equal values of one day are one point: tables that list a
    system under several settings repeat its score. Published intervals become a standard deviation per side; where
    a point has none (or an end that has no height), the median of the others stands in; if no point has
    one, all are 0 and the scatter about the curve takes their place. A point above ``ceiling``, or
    flagged ``beyond_ceiling`` when there is one, counts as "at or above the ceiling". Raises UsageError
    for fewer than three points, a single date or mixed units.
    """
    single = {(point.at, point.value): point for point in sorted(points, key=lambda point: point.key)}
    ordered = [single[where] for where in sorted(single)]
    check_points(ordered)
    days = np.array([day_number(point.at) for point in ordered])
    measured = np.array([scale.height(point.value) for point in ordered])
    sides = np.array([_sides(point, scale) for point in ordered])
    low, high, warnings = _filled(sides)
    top = math.inf if ceiling is None else scale.height(ceiling)
    censored = np.array(
        [ceiling is not None and (p.beyond_ceiling or p.value > ceiling) for p in ordered], dtype=np.bool_
    )
    if censored.any():
        warnings.append(f"{censored.sum()} points above {ceiling:g} count only as at or above it")
    return Frontier(
        scale=scale,
        keys=tuple(point.key for point in ordered),
        dates=tuple(point.at for point in ordered),
        years=(days - days[-1]) / DAYS_PER_YEAR,
        heights=np.where(censored, np.minimum(measured, top), measured),
        sd_low=low,
        sd_high=high,
        censored=censored,
        measured=measured,
        last_day=float(days[-1]),
        warnings=tuple(warnings),
    )


def _sides(point: Measurement, scale: Scale) -> tuple[float, float]:
    """Standard deviations downwards and upwards from a published interval; NaN where it gives none."""
    if point.ci_level is None or not 0.0 < point.ci_level < 1.0:
        return math.nan, math.nan
    reach = _NORMAL_QUANTILE.get(round(point.ci_level, 4)) or _normal_quantile(point.ci_level)
    height = scale.height(point.value)
    low, high = point.lower, point.upper
    down = math.nan if low is None or (scale.name != "linear" and low <= 0) else height - scale.height(low)
    up = math.nan if high is None or (scale.name != "linear" and high <= 0) else scale.height(high) - height
    return (
        down / reach if down > 0 else math.nan,
        up / reach if up > 0 else math.nan,
    )


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2.0))


def _filled(sides: Floats) -> tuple[Floats, Floats, list[str]]:
    """Both sides with gaps filled by the other points' median, or by 0 when there is none at all."""
    known = np.isfinite(sides)
    if not known.any():
        return np.zeros(len(sides)), np.zeros(len(sides)), []
    usual = float(np.median(sides[known]))
    missing = int((~known).any(axis=1).sum())
    warnings = [f"{missing} points without a full interval take the others' median error"] if missing else []
    filled = np.where(known, sides, usual)
    return filled[:, 0], filled[:, 1], warnings

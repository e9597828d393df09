"""When the trend reaches a level, and when a system is published as measured there: two different dates.

The second comes later: a system must be released, it lies off the trend, its measurement errs, and publishing
takes weeks. Simulated per draw of the trend: releases of leading systems at gaps drawn from the gaps between
past records; each one's measured height = trend + the series' shared error + own scatter and error; one that
does not exceed the last record is no record; the first record at or above the threshold, plus a reporting
lag, is the date. An instrument that stops at a ceiling never shows more.

Past gaps are gaps between successes, so where the trend barely rises past the last record, records come
a little later here than they did. The other way, forcing every release to be a record, would let records
climb without end in worlds where the trend has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.mixture import usual_sd
from tracker.estimates.ordering import generator
from tracker.estimates.posterior import ShapeFit
from tracker.estimates.trend import DAYS_PER_YEAR, calendar_date, day_number

HORIZON_YEARS = 20.0
MIN_GAPS = 5
FAN_LEVELS = (0.50, 0.80, 0.95)
MAX_RELEASES = 400
_CHUNK = 20_000
# Days from a system's release to the day METR's 1.1 file was first seen with it, for the eight that were
# added within half a year of their release (versions of 2026-02-06, 02-22 and 05-08).
METR_LAGS_DAYS = (17.0, 17.0, 31.0, 57.0, 64.0, 78.0, 79.0, 80.0)
CEILING_REASON = "above what the instrument can resolve: no published measurement on it can show this"


@dataclass(frozen=True)
class Futures:
    """Possible futures of one series: N draws.

    ``grid`` (m,): years from the last point, past and future; ``trend`` (N, m): heights there;
    ``released`` (N, r): years of releases, rising; ``published`` (N, r): when each is published;
    ``records`` (N, r): the record after each, in measured heights. Without enough past gaps the last
    three are empty and ``reason`` says so.
    """

    frontier: Frontier
    grid: Floats
    trend: Floats
    released: Floats
    published: Floats
    records: Floats
    reason: str


@dataclass(frozen=True)
class Passage:
    """When a threshold is passed: by the trend, and by a published measurement.

    Dates are medians and central intervals over draws; None = later than the horizon, or never. ``p_by``
    maps a day to the probability by its end. ``p_never_observed``: that this instrument never shows
    such a record; 1 above its ceiling, where the record's dates are those of an instrument without one.
    """

    threshold: float
    line: date | None
    line_ci80: tuple[date | None, date | None]
    line_ci95: tuple[date | None, date | None]
    line_p_by: Mapping[date, float]
    record: date | None
    record_ci80: tuple[date | None, date | None]
    record_ci95: tuple[date | None, date | None]
    record_p_by: Mapping[date, float] | None
    p_never_observed: float | None
    reason: str


def simulate(
    members: Sequence[ShapeFit],
    *,
    seed: int,
    lags_days: Sequence[float] = METR_LAGS_DAYS,
    quiet_until: date | None = None,
    horizon_years: float = HORIZON_YEARS,
    records: bool = True,
) -> Futures:
    """Futures of the trend and (unless ``records`` is False) of the records, one per draw of the members (fits to the
    same points).

    ``quiet_until``: no newer record had been released by the end of that day (only for a series still
    kept up: a frozen one is silent without meaning anything). Raises UsageError for no members, no lags,
    or lags below 0.
    """
    if not members:
        raise UsageError("no shape to simulate from")
    if not lags_days or min(lags_days) < 0:
        raise UsageError("reporting lags must be given, and 0 days or more")
    frontier = members[0].frontier
    grid = time_grid(frontier, horizon_years)
    trend = np.concatenate([fit.heights(grid, seed + i) for i, fit in enumerate(members)])
    gaps = np.diff(np.unique([day_number(day) for day in frontier.dates])) / DAYS_PER_YEAR
    if gaps.size < MIN_GAPS or not records:
        none, why = (
            np.empty((len(trend), 0)),
            _too_few(gaps.size) if records else "records were not asked for",
        )
        return Futures(frontier, grid, trend, none, none, none, why)
    random = generator(seed, 200)
    quiet = 0.0 if quiet_until is None else frontier.year_of(quiet_until)
    released = _release_times(gaps, quiet, horizon_years, len(trend), random)
    errors = [fit.measured(usual_sd(frontier)) for fit in members]
    shift, own = (np.concatenate(parts) for parts in zip(*errors, strict=True))
    centre = _interpolated(grid, trend, released) + shift[:, None]
    measured = centre + own[:, None] * random.standard_normal(centre.shape)
    highest = np.maximum.accumulate(np.maximum(measured, frontier.heights.max()), axis=1)
    lag = random.choice(np.array(lags_days), size=released.shape) / DAYS_PER_YEAR
    return Futures(frontier, grid, trend, released, released + lag, highest, "")


def passage(
    futures: Futures, threshold: float, p_dates: Iterable[date] = (), *, ceiling: float | None = None
) -> Passage:
    """When the trend, and a published record, pass a value. Raises UsageError for an impossible threshold.

    A threshold that a measured system has already passed has that system's release date, whatever the
    fitted trend says of its true height.
    """
    scale, frontier = futures.frontier.scale, futures.frontier
    if not (np.isfinite(threshold) and (scale.name == "linear" or threshold > 0)):
        raise UsageError(f"a threshold must be a positive number, got {threshold}")
    if scale.name == "log2_odds" and threshold >= scale.full:
        raise UsageError(f"a share of {scale.full:g} or more is never reached on a scale of odds")
    height, days = scale.height(threshold), list(p_dates)
    line = first_above(futures.grid, futures.trend, height)
    lines = Dates(frontier, line, days)
    records = Dates(frontier, _record_years(futures, height), days) if not futures.reason else None
    hidden = ceiling is not None and threshold > ceiling
    return Passage(
        threshold=threshold,
        line=lines.quantile(0.5),
        line_ci80=lines.interval(0.80),
        line_ci95=lines.interval(0.95),
        line_p_by=lines.p_by,
        record=records.quantile(0.5) if records else None,
        record_ci80=records.interval(0.80) if records else (None, None),
        record_ci95=records.interval(0.95) if records else (None, None),
        record_p_by=records.p_by if records else None,
        p_never_observed=1.0 if hidden else records.never if records else None,
        reason=CEILING_REASON if hidden else futures.reason,
    )


@dataclass(frozen=True)
class Fan:
    """Where possible trends lie over time: ``days`` (m,) since 1970-01-01, per share of futures a height (m,)."""

    days: Floats
    quantiles: Mapping[float, Floats]


def fan(futures: Futures, levels: Sequence[float] = FAN_LEVELS) -> Fan:
    """The median and central bands of the trend, point by point in time, in units of the series' scale."""
    shares = sorted({0.5, *(0.5 + sign * level / 2.0 for level in levels for sign in (-1, 1))})
    heights = np.quantile(futures.trend, shares, axis=0)
    days = futures.frontier.last_day + futures.grid * DAYS_PER_YEAR
    return Fan(days, dict(zip(shares, heights, strict=True)))


# Simulated releases -------------------------------------------------------------------------------------


def time_grid(frontier: Frontier, horizon: float = HORIZON_YEARS) -> Floats:
    """Years from the last point: those of the points, then on to the horizon, ever more coarsely.

    Two weeks apart for three years, six weeks up to ten, then three months.
    """
    fortnights = np.arange(1.0, 79.0) / 26.0
    later = np.concatenate([3.0 + np.arange(1.0, 62.0) * 7.0 / 61.0, np.arange(10.25, 200.0, 0.25)])
    times = np.concatenate([fortnights, later])
    return np.concatenate([np.unique(frontier.years), times[times < horizon], [horizon]])


def _too_few(gaps: int) -> str:
    return f"simulated records need {MIN_GAPS} or more gaps between past records, there are {gaps}"


def _release_times(
    gaps: Floats, quiet: float, horizon: float, draws: int, random: np.random.Generator
) -> Floats:
    """Years of coming record releases, (draws, r), reaching past the horizon on average."""
    count = min(MAX_RELEASES, int(1.2 * horizon / gaps.mean()) + 10)
    drawn = random.choice(gaps, size=(draws, count))
    if quiet > 0.0:
        longer = gaps[gaps > quiet]
        # A silence longer than any gap before: the wait from now on is like any other.
        drawn[:, 0] = random.choice(longer, size=draws) if longer.size else quiet + drawn[:, 0]
    return np.cumsum(drawn, axis=1)


def _interpolated(grid: Floats, trend: Floats, times: Floats) -> Floats:
    """Trend heights (N, r) at times (N, r); beyond the grid the last step goes on."""
    right = np.clip(np.searchsorted(grid, times), 1, grid.size - 1)
    share = (times - grid[right - 1]) / (grid[right] - grid[right - 1])
    rows = np.arange(len(trend))[:, None]
    heights: Floats = trend[rows, right - 1] * (1.0 - share) + trend[rows, right] * share
    return heights


# Dates --------------------------------------------------------------------------------------------------


def _record_years(futures: Futures, height: float) -> Floats:
    """Years to the first published record at or above a height, (N,); infinite when there is none."""
    frontier = futures.frontier
    passed = np.flatnonzero(frontier.heights >= height)
    if passed.size:
        return np.full(len(futures.trend), frontier.years[passed[0]])
    hit = futures.records >= height
    first = hit.argmax(axis=1)
    when = futures.published[np.arange(len(first)), first]
    years: Floats = np.where(hit.any(axis=1), when, np.inf)
    return years


def first_above(grid: Floats, trend: Floats, height: float | Floats) -> Floats:
    """First time a trend (N, m) is at or above a height (one, or (N,)): (N,), infinite = never.

    Straight lines between grid points; a trend that starts above is at the grid's first time.
    """
    hit = trend >= np.reshape(height, (-1, 1))
    index = hit.argmax(axis=1)
    rows = np.arange(len(trend))
    right = np.maximum(index, 1)
    low, high = trend[rows, right - 1], trend[rows, right]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(index > 0, (height - low) / (high - low), 0.0)
    when = grid[right - 1] + share * (grid[right] - grid[right - 1])
    years: Floats = np.where(hit[rows, index], when, np.inf)
    return years


def first_above_each(grid: Floats, trend: Floats, rows: NDArray[np.intp], heights: Floats) -> Floats:
    """``first_above`` of the trends in ``rows`` (n,), each for every height of its own, (n, k): (n, k).

    Where a trend's running maximum first reaches a height is found by halving, so that it takes the logarithm of the
    number of times and not that number.
    """
    width = trend.shape[1]
    highest, values = np.maximum.accumulate(trend, axis=1).ravel(), trend.ravel()
    order = np.argsort(rows, kind="stable")  # neighbours in memory one after the other
    years = np.empty(heights.shape)
    for start in range(0, len(rows), _CHUNK):
        part = order[start : start + _CHUNK]
        first, height = rows[part, None] * width, heights[part]
        index = np.zeros(height.shape, dtype=np.intp)  # how many times lie before it
        step = 1 << (width.bit_length() - 1)
        while step:
            ahead = index + step
            below = highest.take(first + np.minimum(ahead, width) - 1) < height
            index = np.where(below & (ahead <= width), ahead, index)
            step >>= 1
        never = index == width
        index[never] = 0
        right = np.maximum(index, 1)
        low, high = values.take(first + right - 1), values.take(first + right)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(index > 0, (height - low) / (high - low), 0.0)
        when = grid[right - 1] + share * (grid[right] - grid[right - 1])
        years[part] = np.where(never, np.inf, when)
    return years


class Dates:
    """Times in years from the last point, infinite = never, read as dates."""

    def __init__(self, frontier: Frontier, years: Floats, days: Sequence[date] = ()) -> None:
        self.frontier = frontier
        self.years = np.sort(years)
        self.p_by = {day: self.by(day) for day in days}

    @property
    def never(self) -> float:
        """Share of futures in which it does not happen within the horizon."""
        return float(np.mean(np.isinf(self.years)))

    def by(self, day: date) -> float:
        """Probability by the end of a day."""
        return float(np.searchsorted(self.years, self.frontier.year_of(day), side="left")) / self.years.size

    def quantile(self, p: float) -> date | None:
        """The time not exceeded by a share ``p`` of futures; None when that is never."""
        when = self.years[min(int(np.ceil(p * self.years.size)), self.years.size) - 1]
        return None if np.isinf(when) else calendar_date(self.frontier.last_day + when * DAYS_PER_YEAR)

    def interval(self, level: float) -> tuple[date | None, date | None]:
        """Central interval at a level."""
        return self.quantile(0.5 - level / 2.0), self.quantile(0.5 + level / 2.0)

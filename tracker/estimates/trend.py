"""Trends in METR-style time horizons: selections, log-linear fits, crossings.

Point estimates follow METR's own pipeline, so that its published doubling times come out to the third
decimal (the tests hold the figures). Intervals are ours unless ``ci_method`` says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from questions.records import Measurement
from tracker.errors import UsageError

Sota = Literal["file", "window", "all"]
CrossingKind = Literal["line", "new_model"]

DAYS_PER_YEAR = 365.25
# METR clips horizons here before taking logarithms: the weakest models come out near zero.
FLOOR_MINUTES = 1e-3
SLOPE_T_INTERVAL = "inverted 95% t interval of the slope (scatter of the models about the line)"
TASK_BOOTSTRAP = "publisher's bootstrap over tasks (not the scatter of the models about the line)"
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Selection:
    """Which points of a series enter a fit.

    ``start`` inclusive, ``end`` exclusive (release dates). ``sota``: ``file`` trusts the publisher's
    flag; ``window`` takes the running maximum inside the window (ties kept); ``all`` takes every point.
    ``max_minutes``: points with a central value above it are left out (METR: 960).
    """

    metric: str = "p50"
    start: date | None = None
    end: date | None = None
    sota: Sota = "file"
    max_minutes: float | None = None


@dataclass(frozen=True)
class TrendFit:
    """A straight line through log2(minutes) against days, by ordinary least squares.

    log2(minutes) = ``level_log2`` + ``slope_per_day`` * (day - ``mean_day``), days counted from
    1970-01-01. ``doubling_ci95_days``: an upper end of None means unbounded.
    """

    selection: Selection
    keys: tuple[str, ...]
    n: int
    slope_per_day: float
    level_log2: float
    mean_day: float
    sxx: float
    residual_sd_log2: float
    r_squared: float
    doubling_time_days: float
    doubling_ci95_days: tuple[float | None, float | None]
    ci_method: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossing:
    """When the fitted line crosses a threshold; interval ends of None are unbounded.

    ``p_by``: probability that the line has crossed by the end of a day.
    """

    threshold_minutes: float
    line: date | None
    line_ci80: tuple[date | None, date | None]
    line_ci95: tuple[date | None, date | None]
    p_by: Mapping[date, float]


@dataclass(frozen=True)
class DoublingInterval:
    """Doubling times over bootstrap draws, in days: 2.5%, 50% and 97.5% quantiles.

    ``used`` draws gave a positive doubling time; ``dropped`` did not, or had too few models left.
    """

    low_days: float
    median_days: float
    high_days: float
    used: int
    dropped: int


# Which points -----------------------------------------------------------------------------------------


def select(measurements: Iterable[Measurement], selection: Selection) -> list[Measurement]:
    """The points of a series that enter a fit, by (release date, key).

    METR's order of steps: first the window, then state of the art inside it, then the cap. So a model
    above the cap is not fitted but still stands above later, weaker ones; and a windowed state of the
    art may hold models that were not the best of all time. Raises UsageError when ``file`` is asked of
    a series whose publisher flags nothing.
    """
    inside = sorted(
        (point for point in measurements if _in_window(point, selection)),
        key=lambda point: (point.at, point.key),
    )
    best = _state_of_the_art(inside, selection.sota)
    if selection.max_minutes is None:
        return best
    return [point for point in best if point.value <= selection.max_minutes]


def _in_window(point: Measurement, selection: Selection) -> bool:
    return (
        point.metric == selection.metric
        and (selection.start is None or point.at >= selection.start)
        and (selection.end is None or point.at < selection.end)
    )


def _state_of_the_art(points: list[Measurement], sota: Sota) -> list[Measurement]:
    if sota == "all":
        return points
    if sota == "window":
        return _running_best(points)
    if points and all(point.is_sota is None for point in points):
        raise UsageError(f"series {points[0].series} flags no state of the art: use window or all")
    return [point for point in points if point.is_sota]


def _running_best(points: list[Measurement]) -> list[Measurement]:
    """Points not below any point released on or before their date (equal values all stay)."""
    best_on: dict[date, float] = {}
    best = -math.inf
    for point in points:
        best = best_on[point.at] = max(best, point.value)
    return [point for point in points if point.value >= best_on[point.at]]


# The line ---------------------------------------------------------------------------------------------


def fit_line(points: Sequence[Measurement], selection: Selection) -> TrendFit:
    """The exponential trend through selected points: how fast the horizon doubles.

    Ordinary least squares, unweighted, of log2(value) on the release day; values below 1e-3 count as
    1e-3 (METR/eval-analysis-public). Doubling time = 1 / slope, infinite when the slope is not positive.
    Its interval inverts the slope's 95% t interval; where that reaches 0, an end is None (unbounded).
    Points need one common unit. Raises UsageError for fewer than three points, a single release date,
    or mixed units.
    """
    check_points(points)
    days = np.array([day_number(point.at) for point in points])
    heights = np.log2(np.maximum([point.value for point in points], FLOOR_MINUTES))
    n, mean_day, level = len(points), float(days.mean()), float(heights.mean())
    offsets = days - mean_day
    sxx = float(offsets @ offsets)
    slope = float(offsets @ heights) / sxx
    residuals = heights - level - slope * offsets
    rss, tss = float(residuals @ residuals), float(((heights - level) ** 2).sum())
    sd = math.sqrt(rss / (n - 2))
    interval = _doubling_interval(slope, sd / math.sqrt(sxx), n - 2)
    return TrendFit(
        selection=selection,
        keys=tuple(point.key for point in points),
        n=n,
        slope_per_day=slope,
        level_log2=level,
        mean_day=mean_day,
        sxx=sxx,
        residual_sd_log2=sd,
        r_squared=1.0 - rss / tss if tss > 0 else 0.0,
        doubling_time_days=1.0 / slope if slope > 0 else math.inf,
        doubling_ci95_days=interval,
        ci_method=SLOPE_T_INTERVAL,
        warnings=_fit_warnings(points, slope, interval),
    )


def check_points(points: Sequence[Measurement]) -> None:
    """Three or more points, two or more dates, one unit: else UsageError."""
    if len(points) < 3:
        raise UsageError(f"a trend needs three or more points, the selection leaves {len(points)}")
    if len({point.at for point in points}) < 2:
        raise UsageError(f"a trend needs two or more release dates, all points are of {points[0].at}")
    units = sorted({point.unit for point in points})
    if len(units) > 1:
        raise UsageError(f"points have different units: {', '.join(units)}")


def _fit_warnings(
    points: Sequence[Measurement], slope: float, interval: tuple[float | None, float | None]
) -> tuple[str, ...]:
    warnings = []
    beyond = sum(point.beyond_ceiling for point in points)
    if beyond:
        warnings.append(f"{beyond} of {len(points)} points lie beyond what the instrument can resolve")
    low = sum(point.value < FLOOR_MINUTES for point in points)
    if low:
        warnings.append(f"{low} points below {FLOOR_MINUTES:g} counted as {FLOOR_MINUTES:g}")
    if slope <= 0:
        warnings.append("the fitted line does not rise: doubling time infinite, no crossing")
    elif interval[1] is None:
        warnings.append("the slope's 95% interval reaches 0: the doubling time has no upper bound")
    return tuple(warnings)


def _doubling_interval(slope: float, se: float, df: int) -> tuple[float | None, float | None]:
    reach = _t_quantile(0.975, df) * se
    low, high = slope - reach, slope + reach
    return (1.0 / high if high > 0 else None, 1.0 / low if low > 0 else None)


def bootstrap_ci(fit: TrendFit, draws: ArrayLike, dates: Sequence[date]) -> DoublingInterval:
    """The doubling time's spread over a publisher's joint bootstrap draws, by METR's rule.

    ``draws`` (n_draws, n_models) in minutes, columns released on ``dates``; pass the columns of the
    models in the fit. Columns outside the fit's window are left out. In each draw values that are not
    finite or below 1e-3 are dropped, two or more must remain, the line is refitted, and positive
    doubling times are kept. It covers the choice of tasks, not the scatter of models about the line,
    and the set of record models is fixed. The point estimate stays the fit to the published values.
    Raises UsageError for shapes that do not fit, or when no draw gives a doubling time.
    """
    values = np.asarray(draws, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(dates):
        raise UsageError(f"draws of shape {values.shape} do not fit {len(dates)} release dates")
    start, end = fit.selection.start or date.min, fit.selection.end or date.max
    inside = np.array([start <= day < end for day in dates], dtype=bool)
    days = np.array([day_number(day) for day in dates])[inside]
    slopes = _slopes(days, values[:, inside])
    doublings = 1.0 / slopes[slopes > 0]
    if not doublings.size:
        raise UsageError("no bootstrap draw has two usable models and a rising line")
    low, median, high = np.quantile(doublings, [0.025, 0.5, 0.975]).tolist()
    return DoublingInterval(low, median, high, doublings.size, len(values) - doublings.size)


def with_bootstrap(fit: TrendFit, interval: DoublingInterval) -> TrendFit:
    """The same fit carrying a bootstrap interval of its doubling time instead of the slope's."""
    warnings = fit.warnings
    if interval.dropped:
        warnings += (f"{interval.dropped} bootstrap draws gave no doubling time and were dropped",)
    ends = (interval.low_days, interval.high_days)
    return replace(fit, doubling_ci95_days=ends, ci_method=TASK_BOOTSTRAP, warnings=warnings)


def _slopes(days: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slope of log2(value) per draw over its usable values; NaN where there is none."""
    usable = np.isfinite(values) & (values >= FLOOR_MINUTES)
    heights = np.log2(np.where(usable, values, 1.0))
    count = np.maximum(usable.sum(axis=1, keepdims=True), 1)
    # Centre per draw first: day numbers near 20,000 would cost digits in a one-pass formula.
    offsets = np.where(usable, days - (usable * days).sum(axis=1, keepdims=True) / count, 0.0)
    sxx, sxy = (offsets**2).sum(axis=1), (offsets * heights).sum(axis=1)
    slopes = np.full(len(values), np.nan)
    np.divide(sxy, sxx, out=slopes, where=sxx > 0)
    return slopes


# Crossings --------------------------------------------------------------------------------------------


def crossing(
    fit: TrendFit, threshold_minutes: float, p_dates: Iterable[date] = (), *, kind: CrossingKind = "line"
) -> Crossing:
    """When the trend reaches a threshold, with honest (Fieller) intervals.

    ``kind="line"``: the fitted line itself. ``"new_model"``: one new record model, whose own scatter
    about the line widens everything; not "a model has been measured above", which also waits for a
    release and a report. The intervals solve the inverse regression (Fieller 1954, JRSS B 16:175);
    where the slope is not clearly positive they are unbounded and an end is None, as are days beyond
    the calendar. Of a set in two pieces the piece holding the estimate is given. ``line`` is None when
    the line does not rise. ``p_by`` is the posterior probability, under a flat prior, that line (or
    model) is above the threshold at the end of a day. Raises UsageError for a threshold that is not
    positive.
    """
    if not (math.isfinite(threshold_minutes) and threshold_minutes > 0):
        raise UsageError(f"a threshold must be a positive number of minutes, got {threshold_minutes}")
    rise = math.log2(threshold_minutes) - fit.level_log2
    extra = 1.0 / fit.n + (1.0 if kind == "new_model" else 0.0)
    rising = fit.slope_per_day > 0
    return Crossing(
        threshold_minutes=threshold_minutes,
        line=calendar_date(fit.mean_day + rise / fit.slope_per_day) if rising else None,
        line_ci80=_fieller_dates(fit, rise, extra, 0.80),
        line_ci95=_fieller_dates(fit, rise, extra, 0.95),
        p_by={day: _p_above(fit, rise, extra, day) for day in p_dates},
    )


def _fieller_dates(fit: TrendFit, rise: float, extra: float, level: float) -> tuple[date | None, date | None]:
    if fit.slope_per_day <= 0:
        return None, None
    low, high = _fieller_set(fit, rise, extra, level)
    return (
        calendar_date(fit.mean_day + low) if low is not None else None,
        calendar_date(fit.mean_day + high) if high is not None else None,
    )


def _fieller_set(fit: TrendFit, rise: float, extra: float, level: float) -> tuple[float | None, float | None]:
    """Days d from the mean day with (slope d - rise)^2 <= t^2 s^2 (extra + d^2 / Sxx), around the estimate.

    As a quadratic: A d^2 - 2 B d + C <= 0. A > 0: an interval. A <= 0: everything outside the roots, or
    everything; then the side of the estimate rise / slope is kept, unbounded on its far end.
    """
    noise = (_t_quantile(0.5 + level / 2.0, fit.n - 2) * fit.residual_sd_log2) ** 2
    estimate = rise / fit.slope_per_day
    if noise == 0.0:
        return estimate, estimate
    a, b, c = fit.slope_per_day**2 - noise / fit.sxx, fit.slope_per_day * rise, rise**2 - noise * extra
    discriminant = noise * (rise**2 / fit.sxx + extra * a)  # B^2 - A C without its cancellation
    if discriminant <= 0.0:  # only possible for A < 0: no day can be excluded
        return None, None
    far = b + math.copysign(math.sqrt(discriminant), b)
    other = far / a if a else -math.copysign(math.inf, far)
    one, two = sorted((other, c / far))
    if a > 0:
        return one, two
    return (two, None) if estimate >= two else (None, one)


def _p_above(fit: TrendFit, rise: float, extra: float, day: date) -> float:
    offset = day_number(day) + 1.0 - fit.mean_day
    lead = fit.slope_per_day * offset - rise
    spread = fit.residual_sd_log2 * math.sqrt(extra + offset**2 / fit.sxx)
    if spread == 0.0:
        return 1.0 if lead >= 0 else 0.0
    from scipy.special import stdtr

    return float(stdtr(fit.n - 2, lead / spread))


# Days -------------------------------------------------------------------------------------------------


def day_number(day: date) -> float:
    """Days since 1970-01-01."""
    return float((day - _EPOCH).days)


def calendar_date(day: float) -> date | None:
    """The date holding an instant in days since 1970-01-01; None beyond the years 1 to 9999."""
    ordinal = day + _EPOCH.toordinal()
    if not 1 <= ordinal < date.max.toordinal() + 1:
        return None
    return date.fromordinal(math.floor(ordinal))


@lru_cache(maxsize=256)
def _t_quantile(p: float, df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, p))

"""How good the trend forecasts would have been: every past record forecast from what was known before it.

Rolling origin. For each record in turn the shapes are fitted to what was known before its release, weights
come from the records before that, and the next record's height is forecast given its release date. Nothing
is tuned on the result: all settings are the defaults of ``shapes`` and ``mixture``.

Two plain references stand beside them: ``line``, the least-squares exponential through the records known
(what a plain extrapolation of METR's kind does), with its t distribution for a new point; and
``last_plus_slope``, the last record plus that line's slope, with the scatter of its own steps.

Read with care. That the next record's date is known, and that it is a record, is given to all; only the shapes
use that it must exceed the last one. Records are a selection: the best of several systems, so a line through
records lies above the typical system, and errors one step ahead are not errors ten steps ahead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from questions.records import Measurement, SeriesVersion
from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier, Scale, frontier_of
from tracker.estimates.mixture import (
    FIRST_FORECAST,
    NextRecord,
    forecast_next,
    is_new_record,
    leave_future_out,
    mixed_sample,
    stacking_weights,
)
from tracker.estimates.shapes import PRIORS, SHAPES, Priors, ShapeName
from tracker.estimates.trend import Selection, select

MIXTURE = "mixture"
LINE = "line"
LAST_PLUS_SLOPE = "last_plus_slope"
REFERENCES = (LINE, LAST_PLUS_SLOPE)
LEVELS = (0.50, 0.80, 0.95)
_SAMPLE = 4_000


@dataclass(frozen=True)
class ScoredForecast:
    """One record as one forecaster saw it coming. Heights and errors in units of the series' scale.

    ``error``: median forecast minus outcome (negative: too low). ``pit``: share of the forecast below
    the outcome. ``inside``: level -> outcome within the central interval. ``log_score``: log density of
    the outcome, None where a forecaster has no density of its own. ``known_from``: the day of the
    series' version the fit used, None for the newest values cut at the release date.
    """

    forecaster: str
    key: str
    released: date
    outcome: float
    median: float
    error: float
    crps: float
    pit: float
    inside: Mapping[float, bool]
    log_score: float | None
    known_from: date | None


@dataclass(frozen=True)
class Summary:
    """A forecaster's scores over all records: means of absolute error, error and CRPS; coverage by level.

    ``crps_of_median``: the CRPS of stating only the median, which is its mean absolute error.
    """

    forecaster: str
    n: int
    mean_absolute_error: float
    mean_error: float
    crps: float
    coverage: Mapping[float, float]
    log_score: float | None


@dataclass(frozen=True)
class Backtest:
    """Every scored forecast, the summaries, and the mixture's weights before each record."""

    scale: Scale
    forecasts: tuple[ScoredForecast, ...]
    summaries: tuple[Summary, ...]
    weights: Mapping[str, Mapping[ShapeName, float]]

    def summary(self, forecaster: str) -> Summary:
        """One forecaster's summary. Raises KeyError for an unknown name."""
        for summary in self.summaries:
            if summary.forecaster == forecaster:
                return summary
        raise KeyError(forecaster)


@dataclass(frozen=True)
class _Origin:
    """A moment just before a record: what was known, and what then came."""

    known: Frontier
    key: str
    released: date
    outcome: float
    known_from: date | None

    @property
    def years(self) -> float:
        return self.known.year_of(self.released) - self.known.year_of(self.known.dates[-1])


def backtest(
    points: Sequence[Measurement],
    selection: Selection,
    scale: Scale,
    *,
    ceiling: float | None = None,
    versions: Sequence[SeriesVersion] = (),
    first_forecast: int = FIRST_FORECAST,
    seed: int,
    priors: Priors = PRIORS,
) -> Backtest:
    """Forecast every record after the first ``first_forecast`` ones, and score all forecasters.

    ``selection``: which points make the frontier (its ``max_minutes`` is not applied: a point above
    ``ceiling`` is scored at its published value, and fitted as "at or above" later). ``versions``:
    published versions of the series; a record is then forecast from the newest version older than its
    release and scored at the value first published; records older than all versions use the newest
    values cut at the release date, which knows revisions nobody knew then. Raises UsageError when no
    record is left to forecast.
    """
    origins = _origins(points, replace(selection, max_minutes=None), scale, ceiling, versions, first_forecast)
    if not origins:
        raise UsageError(
            f"nothing to forecast: after the first {first_forecast} points there is no later record"
        )
    forecasts: list[ScoredForecast] = []
    weights: dict[str, Mapping[ShapeName, float]] = {}
    history: dict[ShapeName, tuple[float, ...]] = dict.fromkeys(SHAPES, ())
    for origin in origins:
        shapes = forecast_next(origin.known, origin.years, SHAPES, seed=seed, priors=priors)
        if origin.known_from is not None:
            history, _ = leave_future_out(
                origin.known, SHAPES, seed=seed, first_forecast=first_forecast, priors=priors
            )
        weights[origin.key] = stacking_weights(history)
        forecasts.extend(_score_all(origin, shapes, weights[origin.key], seed))
        history = {
            shape: (*scores, shapes[shape].log_density(max(origin.outcome, shapes[shape].record)))
            for shape, scores in history.items()
        }
    return Backtest(scale, tuple(forecasts), _summaries(forecasts), weights)


# What was known -----------------------------------------------------------------------------------------


def _origins(
    points: Sequence[Measurement],
    selection: Selection,
    scale: Scale,
    ceiling: float | None,
    versions: Sequence[SeriesVersion],
    first_forecast: int,
) -> list[_Origin]:
    whole = frontier_of(select(points, selection), scale, ceiling)
    found = []
    for index in range(first_forecast, whole.n):
        if not is_new_record(whole, index):
            continue
        key, released = whole.keys[index], whole.dates[index]
        version = _version_before(versions, released)
        known_points = points if version is None else version.measurements
        before = select(known_points, replace(selection, end=released))
        if len(before) < max(3, first_forecast):
            continue
        found.append(
            _Origin(
                known=frontier_of(before, scale, ceiling),
                key=key,
                released=released,
                outcome=float(whole.measured[index])
                if version is None
                else scale.height(_first_value(versions, key, selection.metric, released)),
                known_from=None if version is None else version.fetched_at.date(),
            )
        )
    return found


def _version_before(versions: Sequence[SeriesVersion], day: date) -> SeriesVersion | None:
    older = [version for version in versions if version.fetched_at.date() < day]
    return max(older, key=lambda version: version.fetched_at, default=None)


def _first_value(versions: Sequence[SeriesVersion], key: str, metric: str, released: date) -> float:
    """The value a system was first published with, on or after its release."""
    for version in sorted(versions, key=lambda version: version.fetched_at):
        if version.fetched_at.date() < released:
            continue
        for point in version.measurements:
            if point.key == key and point.metric == metric:
                return point.value
    raise UsageError(f"no version of the series holds {key}: the versions are older than the points")


# Scores -------------------------------------------------------------------------------------------------


def _score_all(
    origin: _Origin, shapes: Mapping[ShapeName, NextRecord], weights: Mapping[ShapeName, float], seed: int
) -> list[ScoredForecast]:
    outcome = origin.outcome
    scored = []
    logs = {}
    for shape, forecast in shapes.items():
        logs[shape] = forecast.log_density(outcome)
        sample = mixed_sample({shape: forecast}, {shape: 1.0}, _SAMPLE, seed)
        scored.append(_score(origin, shape, sample, logs[shape]))
    sample = mixed_sample(shapes, weights, _SAMPLE, seed)
    density = math.fsum(weights[shape] * math.exp(log) for shape, log in logs.items())
    scored.append(_score(origin, MIXTURE, sample, math.log(density) if density > 0 else -math.inf))
    line, step = reference_samples(origin.known, origin.years, _SAMPLE)
    scored.append(_score(origin, LINE, line, None))
    scored.append(_score(origin, LAST_PLUS_SLOPE, step, None))
    return scored


def reference_samples(known: Frontier, years: float, size: int) -> tuple[Floats, Floats]:
    """The two plain references' forecasts, ``years`` after the last known point: (size,) heights each.

    Equally spaced quantiles of Student t distributions. ``line``: the least-squares line with its
    standard prediction error for one new point. ``last_plus_slope``: scale from the steps between
    successive points, sum (step - slope gap)^2 / (n - 2).
    """
    from scipy.special import stdtrit

    x, y, n = known.years, known.measured, known.n
    offsets = x - x.mean()
    sxx = float(offsets @ offsets)
    slope = float(offsets @ y) / sxx
    rest = y - y.mean() - slope * offsets
    ahead = years - float(x.mean())
    spread = math.sqrt(float(rest @ rest) / (n - 2) * (1.0 + 1.0 / n + ahead**2 / sxx))
    steps = np.diff(y) - slope * np.diff(x)
    t = stdtrit(n - 2, (np.arange(size) + 0.5) / size)
    line: Floats = y.mean() + slope * ahead + spread * t
    last: Floats = y[-1] + slope * years + math.sqrt(float(steps @ steps) / (n - 2)) * t
    return line, last


def _score(origin: _Origin, forecaster: str, sample: Floats, log_score: float | None) -> ScoredForecast:
    outcome = origin.outcome
    median = float(np.median(sample))
    tails = np.quantile(sample, [q for level in LEVELS for q in (0.5 - level / 2.0, 0.5 + level / 2.0)])
    inside = {level: bool(tails[2 * i] <= outcome <= tails[2 * i + 1]) for i, level in enumerate(LEVELS)}
    return ScoredForecast(
        forecaster=forecaster,
        key=origin.key,
        released=origin.released,
        outcome=outcome,
        median=median,
        error=median - outcome,
        crps=crps(sample, outcome),
        pit=float(np.mean(sample <= outcome)),
        inside=inside,
        log_score=log_score,
        known_from=origin.known_from,
    )


def crps(sample: Floats, outcome: float) -> float:
    """Continuous ranked probability score of equally likely values, lower is better, in their unit.

    E|X - y| - E|X - X'| / 2, the second mean over all ordered pairs (Gneiting and Raftery 2007, JASA
    102:359, eq. 21).
    """
    x = np.sort(sample)
    m = x.size
    pairs = float((2.0 * np.arange(1, m + 1) - m - 1.0) @ x) / m**2
    return float(np.abs(x - outcome).mean()) - pairs


def _summaries(forecasts: Sequence[ScoredForecast]) -> tuple[Summary, ...]:
    names = dict.fromkeys(forecast.forecaster for forecast in forecasts)
    return tuple(_summary(name, [f for f in forecasts if f.forecaster == name]) for name in names)


def _summary(name: str, forecasts: Sequence[ScoredForecast]) -> Summary:
    count = len(forecasts)
    logs = [forecast.log_score for forecast in forecasts if forecast.log_score is not None]
    return Summary(
        forecaster=name,
        n=count,
        mean_absolute_error=math.fsum(abs(f.error) for f in forecasts) / count,
        mean_error=math.fsum(f.error for f in forecasts) / count,
        crps=math.fsum(f.crps for f in forecasts) / count,
        coverage={level: sum(f.inside[level] for f in forecasts) / count for level in LEVELS},
        log_score=math.fsum(logs) / count if len(logs) == count and all(map(math.isfinite, logs)) else None,
    )

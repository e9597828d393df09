"""Several shapes at once, weighted by how well each foretold the records of the past.

Nobody knows the shape of the trend, and shapes that fit the past equally well differ by years ahead. So the
forecast is a mixture. Its weights are found by stacking (Yao, Vehtari, Simpson, Gelman 2018, Bayesian
Analysis 13:917) of leave-future-out predictive densities (Buerkner, Gabry, Vehtari 2020, J. Stat. Comp.
Sim. 90:2499): each past record is forecast from the points before it, and the weights are those whose
mixture would have given the records that came the highest density. With about ten records that is little
evidence, so one imaginary record per shape pulls the weights towards each other, and no shape falls below
a floor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tracker.errors import UsageError
from tracker.estimates.aicc import aicc
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.ordering import generator
from tracker.estimates.posterior import ShapeFit, fit_shape
from tracker.estimates.shapes import PRIORS, SHAPES, Priors, ShapeName, fittable

WEIGHT_FLOOR = 0.05
IMAGINARY_RECORDS = 1.0
FIRST_FORECAST = 4
FORECAST_DRAWS = 2_000
_EM_STEPS = 2_000


@dataclass(frozen=True)
class NextRecord:
    """What one shape expects the next record to be, given its release date.

    A mixture of normals over draws, ``centre`` and ``sd`` (N,), each cut off below ``record``, the highest
    height so far. The curve runs through records, so that the next point is one too says little about
    the curve: every draw keeps its weight, however much of its normal lies below the record.
    """

    centre: Floats
    sd: Floats
    record: float

    def log_density(self, height: float) -> float:
        """Log density of a record's height, per unit of the scale; -inf below the last record."""
        if height < self.record:
            return -math.inf
        log_normal = -0.5 * ((height - self.centre) / self.sd) ** 2 - np.log(
            self.sd * math.sqrt(2.0 * math.pi)
        )
        return _log_mean(log_normal - self._log_exceeds())

    def sample(self, draws: int, random: np.random.Generator) -> Floats:
        """Possible heights of the next record, (draws,)."""
        rows = random.permutation(draws) % len(self.sd)
        return above(self.centre[rows], self.sd[rows], self.record, random)

    def _log_exceeds(self) -> Floats:
        from scipy.special import log_ndtr

        tails: Floats = log_ndtr((self.centre - self.record) / self.sd)
        return tails


def above(centre: Floats, sd: Floats, floor: float | Floats, random: np.random.Generator) -> Floats:
    """Normal draws cut off below a floor, of the arguments' common shape.

    By the inverse of the upper tail in logarithms, so that it is exact however far out the floor lies.
    """
    from scipy.special import log_ndtr, ndtri_exp

    log_tail = log_ndtr((centre - floor) / sd) + np.log1p(-random.random(np.broadcast(centre, floor).shape))
    heights: Floats = np.maximum(centre - sd * ndtri_exp(np.minimum(log_tail, -1e-300)), floor)
    return heights


def next_record(fit: ShapeFit, years: float, seed: int) -> NextRecord:
    """The next record's height under one shape, released ``years`` after the last point.

    Its own measurement error is taken to be the median of the last three points'.
    """
    frontier = fit.frontier
    shift, sd = fit.measured(usual_sd(frontier))
    centre = fit.heights(np.array([years]), seed)[:, 0] + shift
    return NextRecord(centre, sd, float(frontier.heights.max()))


def usual_sd(frontier: Frontier) -> float:
    """Sd of the published error to expect of the next system: the median of the last three."""
    return float(np.median(frontier.sd[-3:]))


@dataclass(frozen=True)
class Mixture:
    """All shapes fitted to the same points, with their weights.

    ``fits`` and ``weights`` by shape; ``skipped``: shape -> why it is not in. ``log_scores[shape]``: its
    log density of each record foretold, oldest first; ``criteria``: AICc. ``foretold``: the keys of
    those records.
    """

    frontier: Frontier
    fits: Mapping[ShapeName, ShapeFit]
    weights: Mapping[ShapeName, float]
    log_scores: Mapping[ShapeName, tuple[float, ...]]
    foretold: tuple[str, ...]
    criteria: Mapping[ShapeName, float | None]
    skipped: Mapping[ShapeName, str]

    @property
    def members(self) -> tuple[ShapeFit, ...]:
        """One fit per shape, with as many draws as its weight deserves of the largest fit's number."""
        most = max(fit.draws for fit in self.fits.values())
        counts = shared_out(most, [self.weights[name] for name in self.fits])
        return tuple(
            fit.take(np.arange(count) % fit.draws)
            for fit, count in zip(self.fits.values(), counts, strict=True)
            if count
        )


def fit_mixture(
    frontier: Frontier,
    *,
    draws: int = 10_000,
    seed: int,
    first_forecast: int = FIRST_FORECAST,
    priors: Priors = PRIORS,
) -> Mixture:
    """Every shape that these points allow, and weights by how each foretold the past records.

    Raises UsageError when not even the exponential can be fitted.
    """
    fits: dict[ShapeName, ShapeFit] = {}
    skipped: dict[ShapeName, str] = {}
    for shape in SHAPES:
        try:
            fits[shape] = fit_shape(frontier, shape, draws=draws, seed=seed, priors=priors)
        except UsageError as error:
            skipped[shape] = str(error)
    if "exponential" not in fits:
        raise UsageError(skipped["exponential"])
    scores, foretold = leave_future_out(
        frontier, tuple(fits), seed=seed, first_forecast=first_forecast, priors=priors
    )
    return Mixture(
        frontier=frontier,
        fits=fits,
        weights=stacking_weights(scores),
        log_scores=scores,
        foretold=foretold,
        criteria={shape: aicc(frontier, shape, priors) for shape in SHAPES},
        skipped=skipped,
    )


def leave_future_out(
    frontier: Frontier,
    shapes: Sequence[ShapeName] = SHAPES,
    *,
    seed: int,
    first_forecast: int = FIRST_FORECAST,
    priors: Priors = PRIORS,
) -> tuple[dict[ShapeName, tuple[float, ...]], tuple[str, ...]]:
    """Each shape's log density of every later record, forecast from the points before it.

    The forecast knows the record's release date, and that it is a record. Points of the same date as the
    last known one, points that are no record, and censored points are not forecast. A shape that needs
    more points than there were forecasts what the exponential does: it had nothing to add then.
    """
    scores: dict[ShapeName, list[float]] = {shape: [] for shape in shapes}
    foretold: list[str] = []
    for count in range(first_forecast, frontier.n):
        if not is_new_record(frontier, count) or frontier.censored[count]:
            continue
        densities = _foretold(
            _Past.of(frontier.before(count)),
            float(frontier.years[count] - frontier.years[count - 1]),
            float(frontier.heights[count]),
            tuple(shapes),
            seed,
            priors,
        )
        for shape, density in zip(shapes, densities, strict=True):
            scores[shape].append(density)
        foretold.append(frontier.keys[count])
    return {shape: tuple(values) for shape, values in scores.items()}, tuple(foretold)


@dataclass(frozen=True)
class _Past:
    """The points a forecast knows; equal when every number that it depends on is."""

    content: tuple[object, ...]
    known: Frontier = field(compare=False, repr=False)

    @classmethod
    def of(cls, known: Frontier) -> _Past:
        numbers = (known.years, known.heights, known.sd_low, known.sd_high, known.censored, known.measured)
        return cls((known.scale, known.last_day, known.keys, *(part.tobytes() for part in numbers)), known)


@lru_cache(maxsize=1024)
def _foretold(
    past: _Past, years: float, height: float, shapes: tuple[ShapeName, ...], seed: int, priors: Priors
) -> tuple[float, ...]:
    """Log density of one record by shape. Kept: week after week, and with one late point put back, most of the
    past is the same."""
    forecasts = forecast_next(past.known, years, shapes, seed=seed, priors=priors)
    return tuple(forecasts[shape].log_density(height) for shape in shapes)


def is_new_record(frontier: Frontier, index: int) -> bool:
    """Whether a point is later than the one before it and above all before it."""
    later = bool(frontier.years[index] > frontier.years[index - 1])
    return later and bool(frontier.measured[index] > frontier.heights[:index].max())


def forecast_next(
    known: Frontier, years: float, shapes: Sequence[ShapeName], *, seed: int, priors: Priors = PRIORS
) -> dict[ShapeName, NextRecord]:
    """Every shape's forecast of the next record, ``years`` after the last known one.

    A shape that these points do not allow forecasts what the exponential does.
    """
    plain = fit_shape(known, "exponential", draws=FORECAST_DRAWS, seed=seed, priors=priors)
    forecasts: dict[ShapeName, NextRecord] = {}
    for shape in shapes:
        fit = plain
        if shape != "exponential" and not fittable(shape, known):
            try:
                fit = fit_shape(known, shape, draws=FORECAST_DRAWS, seed=seed, priors=priors)
            except UsageError:
                fit = plain
        forecasts[shape] = next_record(fit, years, seed)
    return forecasts


def stacking_weights(
    log_scores: Mapping[ShapeName, Sequence[float]], floor: float = WEIGHT_FLOOR
) -> dict[ShapeName, float]:
    """Weights whose mixture gives the past records the highest density, drawn together by a little.

    w = floor + (1 - K floor) v, and v maximises sum_j log sum_k v_k p_jk + sum_k log v_k over the
    simplex (the second term: one imaginary record per shape), by expectation-maximisation. Without
    scores all are equal. Raises UsageError for a floor that leaves nothing to share out.
    """
    names = list(log_scores)
    if not 0.0 <= floor * len(names) < 1.0:
        raise UsageError(f"a floor of {floor:g} for each of {len(names)} shapes leaves nothing to weigh")
    table = np.array([log_scores[name] for name in names], dtype=np.float64)
    free = np.full(len(names), 1.0 / len(names))
    if table.size:
        density = np.exp(table - table.max(axis=0))
        total = density.shape[1] + IMAGINARY_RECORDS * len(names)
        for _ in range(_EM_STEPS):
            share = free[:, None] * density
            new = ((share / share.sum(axis=0)).sum(axis=1) + IMAGINARY_RECORDS) / total
            if float(np.abs(new - free).max()) < 1e-10:
                break
            free = new
    weights = floor + (1.0 - floor * len(names)) * free
    return dict(zip(names, weights.tolist(), strict=True))


def mixed_sample(
    forecasts: Mapping[ShapeName, NextRecord], weights: Mapping[ShapeName, float], draws: int, seed: int
) -> Floats:
    """Possible heights of the next record under the weighted shapes, (draws,), in rising order."""
    random = generator(seed, 100)
    counts = shared_out(draws, [weights[name] for name in forecasts])
    parts = [f.sample(count, random) for f, count in zip(forecasts.values(), counts, strict=True) if count]
    return np.sort(np.concatenate(parts))


def shared_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to weights that add up to ``total`` (largest remainders)."""
    exact = np.array(weights) * total / math.fsum(weights)
    counts = np.floor(exact).astype(int)
    missing = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return [int(count) for count in counts]


def _log_mean(logs: Floats) -> float:
    top = float(logs.max())
    return top if math.isinf(top) else top + math.log(float(np.exp(logs - top).mean()))

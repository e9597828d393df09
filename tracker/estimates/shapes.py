"""What a trend may look like: five shapes, their priors, and how each runs on beyond the data.

Every shape is linear and Gaussian once a few settings (a knot, a pace, the scatter, ...) are fixed. A shape
therefore is a grid of cells, one per combination of settings, in which level, growth and the rest have a
normal prior; the posterior over the grid is exact but for its spacing (``posterior``). Heights are in
units of the series' scale, times in years from the last point.

- exponential: level + growth * t.
- piecewise: the same, with another growth before one knot, anywhere with three points on both sides.
- superexponential: growth itself grows, in one of four ways. Quadratic: curvature >= 0. Shrinking: each
  doubling takes a fixed share of the time of the one before (AI Futures), so f = level - growth H ln(1 - t/H)
  with H years left until the horizon would be infinite. Decaying: doubling time 2^(-t/h) (metr_graph).
  Power: a power of the time since a beginning P years ago, f = level + growth P/e ((1 + t/P)^e - 1). None
  goes on below a doubling time of ``floor_days``: the date of a singularity is not in the data.
- subexponential: growth halves every so many years, and the trend nears a level: the mirror image, for
  benchmarks that near their top as for a field that meets diminishing returns.
- random_walk: growth (and, less, the level) wanders; Gaussian-process form of the local linear trend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.trend import DAYS_PER_YEAR

ShapeName = Literal["exponential", "piecewise", "superexponential", "subexponential", "random_walk"]
SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
MIN_POINTS: dict[ShapeName, int] = {
    "exponential": 3,
    "piecewise": 6,
    "superexponential": 4,
    "subexponential": 4,
    "random_walk": 4,
}
QUADRATIC, SHRINKING, DECAYING, POWER, HIGH_POWER = 0, 1, 2, 3, 4
EXPONENTS = {POWER: 1.5, HIGH_POWER: 3.0}  # of power laws; the square is among the quadratics
LN2 = math.log(2.0)
# The grid: knots and paces tried, and scatters in units of the scale (every other one for random_walk,
# which has two settings more).
_KNOTS, _PACES = 32, 10
_SCATTERS = np.geomspace(0.03, 3.0, 14)


@dataclass(frozen=True)
class Priors:
    """What is assumed before the data, the same for every series, fixed in advance.

    Growth in units a year: N(2, 2^2), so a doubling time between two months and never. Change of growth
    at the knot N(0, 2^2). Curvature half-normal, 1 unit/year^2. Years to a singularity, years in which
    the doubling time (subexponential: the growth) halves, and years since the beginning of a power law (no
    later than the first point): log-uniform over ``pace_years``. Scatter
    about the curve half-normal, 0.5. Wandering of the level half-normal 0.5 per sqrt(year), of the
    growth half-normal 1. ``shared``: the share of a published interval's variance that all points have
    in common, equally likely values; METR's 1.0 bootstrap draws correlate by 0.53 on average and by
    0.67 between neighbours.
    """

    level_sd: float = 5.0
    growth_mean: float = 2.0
    growth_sd: float = 2.0
    bend_sd: float = 2.0
    curvature_sd: float = 1.0
    pace_years: tuple[float, float] = (0.5, 30.0)
    floor_days: float = 30.0
    scatter_sd: float = 0.5
    level_walk_sd: float = 0.5
    growth_walk_sd: float = 1.0
    shared: tuple[float, ...] = (0.35, 0.55, 0.75)

    def describe(self, shape: ShapeName, unit: str) -> tuple[str, ...]:
        """The priors of a shape in words, for printing next to its result."""
        common = (
            f"growth normal {self.growth_mean:g} +- {self.growth_sd:g} {unit} a year",
            f"scatter about the curve half-normal {self.scatter_sd:g} {unit}, {_SCATTERS[0]:g} to {_SCATTERS[-1]:g}",
            f"level normal +- {self.level_sd:g} {unit} about the data",
            f"share of published error common to all points {', '.join(f'{s:g}' for s in self.shared)}",
        )
        low, high = self.pace_years
        own = {
            "exponential": (),
            "piecewise": (
                f"change of growth at the knot normal +- {self.bend_sd:g}; knot uniform, 3 points a side",
            ),
            "superexponential": (
                "quadratic, shrinking and decaying doubling times and power laws of time equally likely; "
                f"exponents {', '.join(f'{e:g}' for e in EXPONENTS.values())}",
                f"curvature half-normal {self.curvature_sd:g} per year^2; pace log-uniform {low:g} to {high:g} years",
                f"no doubling time below {self.floor_days:g} days; growth positive",
            ),
            "subexponential": (f"growth halves in log-uniform {low:g} to {high:g} years; growth positive",),
            "random_walk": (
                f"growth wanders half-normal {self.growth_walk_sd:g}, level half-normal {self.level_walk_sd:g}, "
                "per square root of a year",
            ),
        }
        return (*common, *own[shape])


PRIORS = Priors()


@dataclass(frozen=True)
class Cells:
    """A grid of settings of one shape; g of G cells, n points, q normal unknowns per cell.

    Given a cell, heights = ``offset`` (G, n) + ``load`` (G, n, q) @ unknowns + independent noise of
    variance scatter^2 + (1 - shared) sd^2, and unknowns ~ N(``mean`` (G, q), ``cov`` (G, q, q)). The last
    unknown is the shared error, in standard deviations. ``log_prior`` (G,): of the cell. ``settings``:
    (G,) values per name. Unknowns before the shared error: level, growth, bend of the parametric shapes;
    for random_walk the n trend heights and the growth at the last point.
    """

    log_prior: Floats
    scatter: Floats
    shared: Floats
    offset: Floats
    load: Floats
    mean: Floats
    cov: Floats
    settings: dict[str, Floats]


def fittable(shape: ShapeName, frontier: Frontier) -> str:
    """Why a shape cannot be fitted to these points; empty when it can."""
    least = MIN_POINTS[shape]
    if frontier.n < least:
        return f"needs {least} or more points, there are {frontier.n}"
    return ""


def cells_of(frontier: Frontier, shape: ShapeName, priors: Priors = PRIORS) -> Cells:
    """The grid of a shape for these points. Raises UsageError when the points are too few for it."""
    reason = fittable(shape, frontier)
    if reason:
        raise UsageError(f"shape {shape} {reason}")
    shared = np.array(priors.shared if frontier.sd.any() else (0.0,))
    if shape == "random_walk":
        return _random_walk(frontier, priors, _SCATTERS[::2], shared)
    knots, kinds, paces = _settings(frontier, shape, priors)
    grid = [g.ravel() for g in np.meshgrid(np.arange(knots.size), _SCATTERS, shared, indexing="ij")]
    which, tau, rho = grid[0].astype(np.intp), grid[1], grid[2]
    offset, cols = columns(frontier.years, kinds[which], paces[which])
    if shape == "piecewise":
        cols.append(np.maximum(knots[which, None] - frontier.years, 0.0))
    cols.append(np.sqrt(rho)[:, None] * frontier.sd)
    sds = [priors.level_sd, priors.growth_sd, *([priors.bend_sd] if shape == "piecewise" else []), 1.0]
    mean = [frontier.heights[-1], priors.growth_mean, *([0.0] if shape == "piecewise" else []), 0.0]
    return Cells(
        log_prior=_log_scatter_prior(tau, priors),
        scatter=tau,
        shared=rho,
        offset=offset,
        load=np.stack(cols, axis=2),
        mean=np.broadcast_to(mean, (len(tau), len(mean))),
        cov=np.broadcast_to(np.diag(np.square(sds)), (len(tau), len(sds), len(sds))),
        settings={"knot": knots[which], "kind": kinds[which], "pace": paces[which]},
    )


def _settings(frontier: Frontier, shape: ShapeName, priors: Priors) -> tuple[Floats, Floats, Floats]:
    """Knot, kind of superexponential and its pace per cell (before scatter and shared error)."""
    if shape == "piecewise":
        low, high = frontier.years[2], frontier.years[-3]
        knots = low + (high - low) * (np.arange(_KNOTS) + 0.5) / _KNOTS
        return knots, np.full(_KNOTS, -1.0), np.zeros(_KNOTS)
    spans = np.geomspace(*priors.pace_years, _PACES)
    if shape == "superexponential":
        since = beginnings(frontier.years, priors, _PACES // len(EXPONENTS))
        curvatures = _half_normal_grid(priors.curvature_sd, _PACES)
        paces = np.concatenate([curvatures, spans, spans, *(since for _ in EXPONENTS)])
        kinds = np.repeat([QUADRATIC, SHRINKING, DECAYING], _PACES).tolist()
        kinds += np.repeat(list(EXPONENTS), since.size).tolist()
        return np.zeros(paces.size), np.array(kinds, dtype=np.float64), paces
    if shape == "subexponential":
        return np.zeros(_PACES), np.full(_PACES, float(DECAYING)), -spans
    return np.zeros(1), np.full(1, -1.0), np.zeros(1)


def beginnings(years: Floats, priors: Priors, count: int) -> Floats:
    """Years since the beginning of a power law, at the last point: ``count`` of them, before the first point."""
    low, high = priors.pace_years
    least = max(low, -1.02 * float(years.min()))
    values: Floats = np.geomspace(least, max(high, 3.0 * least), count)
    return values


def _powers(kind: Floats) -> Floats:
    """The exponent of each power law, 0 for what is none; of the kinds' shape."""
    return np.select([kind == k for k in EXPONENTS], list(EXPONENTS.values()), 0.0)


def columns(years: Floats, kinds: Floats, paces: Floats) -> tuple[Floats, list[Floats]]:
    """Known part (G, n) of the curve at past times, and its columns for level and growth.

    A negative pace turns decaying doubling times into decaying growth.
    """
    times = np.broadcast_to(years, (len(kinds), years.size))
    pace = np.where(kinds >= SHRINKING, paces, 1.0)[:, None]
    kind = kinds[:, None]
    power = _powers(kind)
    growth = np.select(
        [kind == SHRINKING, kind == DECAYING, power > 0],
        [
            -pace * np.log1p(-times / np.abs(pace)),
            pace / LN2 * np.expm1(times * LN2 / pace),
            _power_law(times, pace, power),
        ],
        times,
    )
    offset = np.where(kind == QUADRATIC, paces[:, None] * times**2 / 2.0, 0.0)
    return offset, [np.ones_like(times), growth]


def _power_law(times: Floats, pace: Floats, power: Floats) -> Floats:
    """Rise by unit growth at time 0 of a power law that began ``pace`` years before; 0 where power is 0."""
    since = np.where(power > 0, np.maximum(1.0 + times / np.abs(pace), 0.0), 1.0)
    rise: Floats = np.abs(pace) / np.maximum(power, 1.0) * (since**power - 1.0)
    return rise


def _half_normal_grid(sd: float, size: int) -> Floats:
    """Equally likely values of a half-normal: its quantiles at the middles of ``size`` equal parts."""
    from scipy.special import erfinv

    values: Floats = sd * math.sqrt(2.0) * erfinv((np.arange(size) + 0.5) / size)
    return values


def _log_scatter_prior(tau: Floats, priors: Priors) -> Floats:
    """Half-normal density on a geometric grid: the spacing grows with the value."""
    log_density: Floats = -0.5 * (tau / priors.scatter_sd) ** 2 + np.log(tau)
    return log_density


def _random_walk(frontier: Frontier, priors: Priors, scatter: Floats, shared: Floats) -> Cells:
    """Level and growth as integrated Brownian motions from the first point on.

    Growth(t) = B + sg W1(t), trend(t) = A + B t + sg * integral of W1 + sl W2(t). The covariance of the
    integral at s < t is s^2 (3 t - s) / 6, of W1(T) with the integral at t <= T it is t^2 / 2.
    """
    steps = _half_normal_grid(1.0, 5)
    grid = np.meshgrid(
        scatter, priors.level_walk_sd * steps, priors.growth_walk_sd * steps, shared, indexing="ij"
    )
    tau, level, growth, rho = (axis.ravel() for axis in grid)
    since = frontier.years - frontier.years[0]
    early, late = np.minimum.outer(since, since), np.maximum.outer(since, since)
    n, q = frontier.n, frontier.n + 2
    cov = np.zeros((tau.size, q, q))
    b2, sg2 = priors.growth_sd**2, growth[:, None, None] ** 2
    cov[:, :n, :n] = (
        priors.level_sd**2
        + b2 * np.multiply.outer(since, since)
        + level[:, None, None] ** 2 * early
        + sg2 * (early**2 * (3.0 * late - early) / 6.0)
    )
    cov[:, :n, n] = cov[:, n, :n] = b2 * since + sg2[:, :, 0] * since**2 / 2.0
    cov[:, n, n] = b2 + growth**2 * since[-1]
    cov[:, n + 1, n + 1] = 1.0
    load = np.zeros((tau.size, n, q))
    load[:, :, :n] = np.eye(n)
    load[:, :, n + 1] = np.sqrt(rho)[:, None] * frontier.sd
    mean = np.concatenate([frontier.heights[0] + priors.growth_mean * since, [priors.growth_mean, 0.0]])
    return Cells(
        log_prior=_log_scatter_prior(tau, priors),
        scatter=tau,
        shared=rho,
        offset=np.zeros((tau.size, n)),
        load=load,
        mean=np.broadcast_to(mean, (tau.size, q)),
        cov=cov,
        settings={"level_walk": level, "growth_walk": growth},
    )


# Beyond the data ----------------------------------------------------------------------------------------


def bent_rise(years: Floats, growth: Floats, kind: Floats, pace: Floats, floor_days: float) -> Floats:
    """Height above the last level of growth that itself grows or decays, (N, m) for N draws and m times.

    Closed forms until the doubling time has fallen to ``floor_days``, a straight line after that.
    """
    g, kind, pace = growth[:, None], kind[:, None], pace[:, None]
    power = _powers(kind)
    fastest = np.maximum(DAYS_PER_YEAR / floor_days, g)
    with np.errstate(divide="ignore", over="ignore"):
        bent = np.select(
            [kind == QUADRATIC, kind == SHRINKING, power > 0, pace > 0],
            [
                (fastest - g) / pace,
                pace * (1.0 - g / fastest),
                pace * ((fastest / g) ** (1.0 / np.maximum(power - 1.0, 0.5)) - 1.0),
                pace * np.log2(fastest / g),
            ],
            np.inf,
        )
    curved = np.minimum(years, bent)
    rise = np.select(
        [kind == QUADRATIC, kind == SHRINKING, power > 0],
        [
            g * curved + pace * curved**2 / 2.0,
            -g * pace * np.log1p(-np.where(kind == SHRINKING, curved, 0.0) / np.abs(pace)),
            g * _power_law(np.where(power > 0, curved, 0.0), pace, power),
        ],
        g * pace / LN2 * np.expm1(np.where(kind == DECAYING, curved, 0.0) * LN2 / pace),
    )
    result: Floats = rise + fastest * np.maximum(years - bent, 0.0)
    return result


def wander(
    gaps: Floats, level: Floats, growth: Floats, walks: tuple[Floats, Floats], random: np.random.Generator
) -> Floats:
    """Random-walk growth carried on over successive ``gaps`` (m,) in years: heights (N, m).

    Exact steps of the local linear trend: over a gap d growth gains sg sqrt(d) e1 and the level
    growth d + sg d^1.5 (e1 / 2 + e2 / sqrt(12)) + sl sqrt(d) e3.
    """
    level_walk, growth_walk = walks[0][:, None], walks[1][:, None]
    e1, e2, e3 = random.standard_normal((3, len(level), gaps.size))
    root = np.sqrt(gaps)
    kicks = growth_walk * root * e1
    before = growth[:, None] + np.cumsum(kicks, axis=1) - kicks
    moves = before * gaps + gaps * (kicks / 2.0 + growth_walk * root * e2 / math.sqrt(12.0))
    result: Floats = level[:, None] + np.cumsum(moves + level_walk * root * e3, axis=1)
    return result

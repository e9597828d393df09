"""Scores of forecasts of a number or a date, given as a distribution on a grid, as quantiles or as draws.

All are losses in the unit of the outcome (days for dates): lower is better, 0 is sure and right.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tracker.scoring.scores import FloatArray

_LEVEL_TOLERANCE = 1e-9


def crps_cdf(
    x: ArrayLike, cdf: ArrayLike, outcome: ArrayLike, *, between: tuple[float, float] | None = None
) -> FloatArray:
    """Continuous ranked probability score of distributions known on a grid, over the range of that grid.

    ``x`` (K,) rises strictly, with equal or unequal steps; ``cdf`` (n, K) are P(X <= x), linear in between.
    ``outcome`` (n,) may lie beyond the grid, as far as it likes: that it lies beyond is all that counts.
    Formula: integral over the grid of (F(x) - [x >= y])^2 dx, exact. With mass beyond open bounds this is the
    threshold-weighted CRPS with weight 1 on the grid, so it stays proper (Gneiting & Ranjan 2011, J Bus Econ
    Stat 29:411). ``between`` counts a part of the range alone; fix it before outcomes are known.

    >>> crps_cdf([0.0, 1.0], [[0.0, 1.0]], [0.25]).round(4).tolist()
    [0.1458]
    """
    grid, said, y = _grid(x, cdf, outcome)
    if between is not None:
        grid, said = _cut(grid, said, between)
    steps = np.diff(grid)
    left, right = said[:, :-1], said[:, 1:]
    squares: FloatArray = (np.square(left) + left * right + np.square(right)) @ (steps / 3.0)
    at = np.clip(y, grid[0], grid[-1])
    loss: FloatArray = squares - 2.0 * _mass_after(grid, said, at) + (grid[-1] - at)
    return np.maximum(loss, 0.0)  # rounding leaves about -1e-17 for sure and right


def _mass_after(grid: FloatArray, said: FloatArray, at: FloatArray) -> FloatArray:
    """Integral of each row's F from ``at`` to the end of the grid."""
    steps = np.diff(grid)
    cells = 0.5 * (said[:, :-1] + said[:, 1:]) * steps
    rows = np.arange(len(at))
    cell = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(steps) - 1)
    whole = np.concatenate([np.cumsum(cells[:, ::-1], axis=1)[:, ::-1], np.zeros((len(at), 1))], axis=1)
    into = at - grid[cell]
    height = said[rows, cell] + (said[rows, cell + 1] - said[rows, cell]) * into / steps[cell]
    rest = 0.5 * (height + said[rows, cell + 1]) * (steps[cell] - into)
    mass: FloatArray = rest + whole[rows, cell + 1]
    return mass


def _cut(grid: FloatArray, said: FloatArray, between: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    low, high = between
    if not grid[0] <= low < high <= grid[-1]:
        raise ValueError(f"the part {between} does not lie in the range {grid[0]:g}..{grid[-1]:g}")
    inside = grid[(grid > low) & (grid < high)]
    part = np.concatenate([[low], inside, [high]])
    return part, np.stack([np.interp(part, grid, row) for row in said])


def quantile_score(levels: ArrayLike, values: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """Twice the mean pinball loss of quantiles: the scale of a CRPS, which dense even levels approach.

    ``values`` (n, K) are the ``levels`` (K,) quantiles. Few levels come out too low for a CRPS (5, 25, 50, 75
    and 95 % of a normal by about 12 %): compare only forecasts with the same levels. Formula: 2/K sum of
    (y - q)(tau - [y < q]) (Koenker & Bassett 1978; Gneiting & Raftery 2007, section 6).

    >>> quantile_score([0.25, 0.5, 0.75], [[1.0, 2.0, 3.0]], [2.5]).round(4).tolist()
    [0.5]
    """
    tau, q, y = _quantiles(levels, values, outcome)
    miss = y[:, np.newaxis] - q
    loss: FloatArray = 2.0 * np.mean(miss * (tau - (miss < 0.0)), axis=1)
    return loss


def weighted_interval_score(levels: ArrayLike, values: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """The score of a median and central intervals, each weighted by what it leaves out.

    Formula: (|y - median| / 2 + sum over K intervals of alpha/2 IS_alpha) / (K + 1/2), with IS_alpha = width +
    2/alpha times the distance by which y is missed (Bracher, Ray, Gneiting & Reich 2021, PLoS Comput Biol
    17:e1008618). Raises ValueError unless the levels are symmetric about a median that is there; for others
    see ``quantile_score``, with which it then agrees.

    >>> weighted_interval_score([0.1, 0.5, 0.9], [[1.0, 2.0, 3.0]], [3.5]).round(4).tolist()
    [0.9667]
    """
    tau, q, y = _quantiles(levels, values, outcome)
    if not (tau.size % 2 and np.allclose(tau + tau[::-1], 1.0, atol=_LEVEL_TOLERANCE)):
        raise ValueError(f"levels must be symmetric about 0.5 and hold it, got {tau.tolist()}")
    pairs = tau.size // 2
    alpha = 2.0 * tau[:pairs]
    lower, upper = q[:, :pairs], q[:, ::-1][:, :pairs]
    missed = np.maximum(lower - y[:, np.newaxis], 0.0) + np.maximum(y[:, np.newaxis] - upper, 0.0)
    intervals = 0.5 * alpha * (upper - lower) + missed
    loss: FloatArray = (0.5 * np.abs(y - q[:, pairs]) + intervals.sum(axis=1)) / (pairs + 0.5)
    return loss


def crps_draws(
    draws: ArrayLike, outcome: ArrayLike, *, estimator: Literal["fair", "ecdf"] = "fair"
) -> FloatArray:
    """CRPS of ensembles of draws, ``draws`` (n, M).

    ``fair`` estimates the score of the distribution the draws come from (1/(M(M-1)) in the spread: Ferro 2014,
    Q J R Meteorol Soc 140:1917) and needs two draws; ``ecdf`` is the score of the draws themselves as the
    forecast (1/M^2). Always say which: with ten draws they differ by some percent.

    >>> crps_draws([[0.0, 2.0]], [1.0], estimator="ecdf").tolist(), crps_draws([[0.0, 2.0]], [1.0]).tolist()
    ([0.5], [0.0])
    """
    import scoringrules  # heavy: not needed to start the program

    members = np.atleast_2d(np.asarray(draws, dtype=np.float64))
    y = np.asarray(outcome, dtype=np.float64)
    if y.shape != members.shape[:1] or not bool(np.isfinite(members).all() and np.isfinite(y).all()):
        raise ValueError("one row of finite draws and one finite outcome for each forecast")
    if members.shape[1] < (2 if estimator == "fair" else 1):
        raise ValueError("the fair estimator needs two or more draws, the other one or more")
    method = {"fair": "pwm", "ecdf": "qd"}[estimator]
    return np.asarray(
        scoringrules.crps_ensemble(y, members, estimator=method, backend="numpy"), dtype=np.float64
    )


def pit_interval(x: ArrayLike, cdf: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """Where the outcome fell in the forecast, as probabilities (n, 2): F(y) twice, where F is known.

    Beyond the grid only an interval is known: 0 to F(first) below, F(last) to 1 above. A calibrated
    forecaster's values are uniform (Dawid 1984; Czado, Gneiting & Held 2009, Biometrics 65:1254).

    >>> pit_interval([0.0, 1.0], [[0.1, 0.7]] * 3, [-5, 0.5, 2]).round(3).tolist()
    [[0.0, 0.1], [0.4, 0.4], [0.7, 1.0]]
    """
    grid, said, y = _grid(x, cdf, outcome)
    inside = np.array([np.interp(one, grid, row) for one, row in zip(y, said, strict=True)])
    low = np.where(y < grid[0], 0.0, np.where(y > grid[-1], said[:, -1], inside))
    high = np.where(y < grid[0], said[:, 0], np.where(y > grid[-1], 1.0, inside))
    return np.stack([low, high], axis=1)


def pit_histogram(pit: FloatArray, bins: int = 10) -> FloatArray:
    """Outcomes per bin of their place in the forecast (``pit_interval``); an interval is spread evenly.

    Even bins mean calibrated, a dome too wide, a bowl too narrow. Sums to the number of outcomes.

    >>> pit_histogram(np.array([[0.0, 0.5], [0.9, 0.9]]), 4).tolist()
    [0.5, 0.5, 0.0, 1.0]
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    shares = _share_between(pit, edges[:-1], edges[1:])
    point = pit[:, 0] == pit[:, 1]
    cell = np.minimum((pit[:, 0] * bins).astype(np.int64), bins - 1)
    shares[point] = 0.0
    shares[point, cell[point]] = 1.0
    total: FloatArray = shares.sum(axis=0)
    return total


def coverage(pit: FloatArray, level: float) -> tuple[float, tuple[float, float]]:
    """How often the central interval of a level held the outcome, and Wilson's 95 % interval of that share.

    One row per question. An outcome beyond the grid counts with the share of its place that lies inside.

    >>> share, (low, high) = coverage(np.array([[0.3, 0.3], [0.99, 0.99]]), 0.8)
    >>> share, round(low, 3), round(high, 3)
    (0.5, 0.095, 0.905)
    """
    if not 0.0 < level < 1.0 or not len(pit):
        raise ValueError("a level between 0 and 1, and one outcome or more")
    held = held_shares(pit, level)
    return float(held.mean()), wilson_interval(float(held.sum()), len(pit))


def held_shares(pit: FloatArray, level: float) -> FloatArray:
    """How far each outcome lies in the central interval of a level: 1 or 0, or the share of its place that does.

    >>> held_shares(np.array([[0.3, 0.3], [0.0, 0.2], [0.99, 0.99]]), 0.8).round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    low, high = np.array([0.5 * (1.0 - level)]), np.array([0.5 * (1.0 + level)])
    held = _share_between(pit, low, high)[:, 0]
    point = pit[:, 0] == pit[:, 1]
    held[point] = (pit[point, 0] >= low) & (pit[point, 0] <= high)
    return held


def wilson_interval(count: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share, ``count`` of ``n`` independent cases (Wilson 1927, JASA 22:209).

    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + 0.5 * level))
    share = count / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _share_between(pit: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    width = np.maximum(pit[:, 1] - pit[:, 0], np.finfo(float).tiny)[:, np.newaxis]
    overlap = np.minimum(pit[:, 1:], upper) - np.maximum(pit[:, :1], lower)
    shares: FloatArray = np.maximum(overlap, 0.0) / width
    return shares


def _grid(x: ArrayLike, cdf: ArrayLike, outcome: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    grid = np.asarray(x, dtype=np.float64)
    said = np.atleast_2d(np.asarray(cdf, dtype=np.float64))
    y = np.asarray(outcome, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not bool(np.all(np.diff(grid) > 0.0)):
        raise ValueError("the grid needs two or more points that strictly rise")
    if said.shape != (y.size, grid.size) or y.ndim != 1 or bool(np.isnan(y).any()):
        raise ValueError("one row of cumulative probabilities on the grid and one outcome for each forecast")
    if not bool(np.all((said >= 0.0) & (said <= 1.0))) or bool(np.any(np.diff(said, axis=1) < 0.0)):
        raise ValueError("cumulative probabilities lie in 0..1 and never fall")
    return grid, said, y


def _quantiles(
    levels: ArrayLike, values: ArrayLike, outcome: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    tau = np.asarray(levels, dtype=np.float64)
    q = np.atleast_2d(np.asarray(values, dtype=np.float64))
    y = np.asarray(outcome, dtype=np.float64)
    rising = tau.ndim == 1 and tau.size and bool(np.all(np.diff(tau) > 0.0))
    if not rising or not bool(np.all((tau > 0.0) & (tau < 1.0))):
        raise ValueError("levels lie between 0 and 1 and strictly rise")
    if q.shape != (y.size, tau.size) or not bool(np.isfinite(q).all() and np.isfinite(y).all()):
        raise ValueError("one row of finite quantiles and one finite outcome for each forecast")
    if bool(np.any(np.diff(q, axis=1) < 0.0)):
        raise ValueError("quantiles never fall")
    return tau, q, y

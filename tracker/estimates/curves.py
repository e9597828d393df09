"""When something comes, read from what a question says of several dates.

One deadline tells one probability, and a constant hazard carries it to other dates. A ladder of deadlines, a question
whose answers are dates, or a whole distribution of dates says more: a ``Curve``, the cumulative hazard
-ln(1 - F(t)) at the dates asked about, straight between them. Beyond the last one it goes on at its mean rate, but
never takes more than what is said to happen at all (``never``). A single deadline is the straight line, so both
meet on one scale, and curves are pooled as hazards are: the weighted mean of their logarithms at every time. Doubt is
one factor exp(N(0, sd)) on the whole curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.estimates.prices import MAX_PROBABILITY, MIN_PROBABILITY

Floats = NDArray[np.float64]

#: Times at which curves are pooled, years from now: far enough that what then has not come never does.
GRID: Floats = np.concatenate([[0.0], np.geomspace(0.01, 3000.0, 260)])
NODES = 41
RARER_NEVER = 1e-6  # is taken for none


@dataclass(frozen=True)
class Curve:
    """P(by ``times[k]`` years) = ``cdf[k]`` of the faster outcome; ``never`` of it does not happen at all.

    ``times`` are above 0 and strictly rise, ``cdf`` never falls. UsageError for anything else, or for more mass than 1.
    """

    times: tuple[float, ...]
    cdf: tuple[float, ...]
    never: float = 0.0

    def __post_init__(self) -> None:
        steps = zip((0.0, *self.times), self.times, strict=False)
        if not self.times or len(self.times) != len(self.cdf) or any(not a < b for a, b in steps):
            raise UsageError(f"the dates of a curve must rise from now on: {self.times}")
        if any(not 0.0 <= p <= 1.0 for p in (*self.cdf, self.never)) or list(self.cdf) != sorted(self.cdf):
            raise UsageError(f"the chances of a curve must lie in 0..1 and not fall: {self.cdf}")
        if self.cdf[-1] + self.never > 1.0 + 1e-9:
            raise UsageError(f"{self.cdf[-1]:g} by the last date and {self.never:g} never are more than 1")

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        clipped = np.clip(self.cdf, MIN_PROBABILITY, MAX_PROBABILITY)
        return np.array([0.0, *self.times]), np.array([0.0, *(-np.log1p(-clipped))])

    def hazard(self, times: Floats) -> Floats:
        """The cumulative hazard by each time, in years from when the value stood."""
        at, known = self._knots
        inside: Floats = np.interp(times, at, known)
        beyond = np.maximum(times - at[-1], 0.0)
        rate = known[-1] / at[-1]
        if self.never < RARER_NEVER:
            inside += rate * beyond
            return inside
        reached = -np.expm1(-known[-1])
        room = max(1.0 - reached - self.never, 0.0)
        inside -= np.log1p(room * np.expm1(-rate * beyond) / (1.0 - reached))
        return inside

    @property
    def log_hazard(self) -> float:
        """The mean over the dates asked about of the log of the mean hazard until then, ln(1/year)."""
        at, known = self._knots
        return float(np.mean(np.log(known[1:] / at[1:])))


def from_buckets(times: Sequence[float], shares: Sequence[float], later: float, never: float) -> Curve:
    """A curve from answers that exclude each other: ``shares[k]`` between the date before and ``times[k]``.

    Prices of all answers together make up 1 or a little more: they are scaled to 1, all alike. UsageError when they add
    up to nothing.
    """
    total = sum(shares) + later + never
    if not total > 0:
        raise UsageError("the answers of a question by dates have no price")
    cdf = np.minimum(np.cumsum(shares) / total, 1.0)
    left = 1.0 - float(cdf[-1])
    return Curve(tuple(times), tuple(cdf.tolist()), min(never / total, left))


def pooled(curves: Sequence[Curve | float], weights: Sequence[float]) -> Floats:
    """The log of the cumulative hazard on ``GRID`` (-inf at 0), curves and constant log hazards together."""
    total = np.zeros(len(GRID) - 1)
    for one, weight in zip(curves, weights, strict=True):
        later = GRID[1:]
        logs = np.log(one.hazard(later)) if isinstance(one, Curve) else one + np.log(later)
        total += weight * logs
    return np.concatenate([[-np.inf], total / sum(weights)])


def chance_by(logs: Floats, sd: float) -> Floats:
    """P(by every time of ``GRID``), averaged over the doubt about the hazard."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    cdf = -np.expm1(-np.exp(logs[None, :] + sd * nodes[:, None]))
    mean: Floats = np.clip(weights @ cdf / weights.sum(), 0.0, 1.0)
    return np.maximum.accumulate(mean)


def log_times(logs: Floats, targets: Floats) -> Floats:
    """The log of the time by which the cumulative hazard has reached each target; inf where it never does."""
    hazards = np.exp(logs)
    times = np.interp(targets, hazards, GRID)
    with np.errstate(divide="ignore"):
        found: Floats = np.where(targets > hazards[-1], np.inf, np.log(times))
    return found


def race(one: tuple[Floats, float], two: tuple[Floats, float]) -> tuple[float, float, Floats, Floats]:
    """P(the one first), P(the other first), each averaged over both doubts, and both under each doubt.

    ``one`` and ``two``: (pooled log cumulative hazard, its sd). The rest, if any, is that neither comes.
    """
    from scipy.special import ndtri

    nodes = ndtri((np.arange(NODES) + 0.5) / NODES)
    a, b = (-np.expm1(-np.exp(logs[None, :] + sd * nodes[:, None])) for logs, sd in (one, two))

    def ahead(first: Floats, second: Floats) -> Floats:
        still: Floats = 1.0 - (second[:, :-1] + second[:, 1:]) / 2.0
        won: Floats = np.diff(first, axis=1) @ still.T
        return won

    first, second = ahead(a, b), ahead(b, a)
    return float(first.mean()), float(second.mean()), first.ravel(), second.ravel()


def interval(chances: Floats) -> tuple[float, float]:
    """The middle nine tenths of chances that are equally likely."""
    low, high = np.quantile(chances, [0.05, 0.95]).tolist()
    return low, high


__all__ = ["GRID", "Curve", "chance_by", "from_buckets", "interval", "log_times", "pooled", "race"]

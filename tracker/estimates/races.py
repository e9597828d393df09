"""From when areas may come to which comes first, under declared dependence.

Two date distributions alone do not say who is first: it depends on how the dates hang together. So there are
three answers side by side: as if independent; driven by one shared factor of correlation rho (a Gaussian
copula), over a grid of rho; and the bounds that hold whatever the dependence. A pair probability stated by
somebody outside the bounds contradicts the dates; one inside them tells which rho it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from questions.records import Distribution
from tracker.errors import UsageError

Floats = NDArray[np.float64]

RHO_GRID = (0.0, 0.3, 0.6, 0.9)
MAX_RHO = 0.99
_STEP = 0.01  # largest rise of a distribution between two points of the refined grid
_NODES = 201
_REACH = 8.0  # standard deviations of the shared factor covered by the quadrature


@dataclass(frozen=True)
class DateCdf:
    """When something happens: P(by ``times[i]``) = ``cdf[i]``, straight lines between; the rest is later or never.

    ``times`` strictly rise (any unit, the same for all that race), ``cdf`` never falls; ``cdf[0]`` has
    happened by the first time. UsageError, naming the first bad place, for anything else.
    """

    times: tuple[float, ...]
    cdf: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times) != len(self.cdf) or len(self.times) < 2:
            raise UsageError("a date distribution needs two or more times and as many probabilities")
        for index, (time, chance) in enumerate(zip(self.times, self.cdf, strict=True)):
            if not np.isfinite(time) or not 0.0 <= chance <= 1.0:
                raise UsageError(f"point {index + 1} of a date distribution is ({time}, {chance})")
            if index and not time > self.times[index - 1]:
                raise UsageError(
                    f"times must rise: point {index + 1} is {time:g} after {self.times[index - 1]:g}"
                )
            if index and chance < self.cdf[index - 1]:
                raise UsageError(
                    f"a date distribution must not fall: point {index + 1} is {chance:g} "
                    f"after {self.cdf[index - 1]:g}"
                )

    @classmethod
    def from_distribution(cls, distribution: Distribution) -> DateCdf:
        """A stored distribution of dates (Unix seconds) as it stands."""
        return cls(distribution.x, distribution.cdf)

    @classmethod
    def from_draws(cls, draws: Floats, times: Sequence[float]) -> DateCdf:
        """Share of draws at or before each time; infinite draws never happen."""
        ordered = np.sort(draws)
        counts = np.searchsorted(ordered, np.asarray(times), side="right")
        return cls(tuple(map(float, times)), tuple((counts / len(draws)).tolist()))

    def at(self, times: Floats) -> Floats:
        """P(by each time); before the first time nothing is known to have happened."""
        return np.interp(times, self.times, self.cdf, left=0.0)


@dataclass(frozen=True)
class Race:
    """Two areas: who is first up to the last time both distributions cover. The four sum to 1.

    ``both_already``: both had happened by the first common time, in an order the distributions do not tell.
    """

    first: float
    second: float
    both_already: float
    neither: float

    @property
    def first_if_any(self) -> float | None:
        """P(first | one of them comes first); None when neither ever does."""
        decided = self.first + self.second
        return self.first / decided if decided > 0 else None


@dataclass(frozen=True)
class Field:
    """Several areas on one refined grid of times, ready to race. ``cdfs`` has shape (areas, times)."""

    areas: tuple[str, ...]
    times: Floats
    cdfs: Floats

    @classmethod
    def of(cls, marginals: Mapping[str, DateCdf]) -> Field:
        """The common grid of all given distributions. UsageError when they share no stretch of time."""
        if not marginals:
            raise UsageError("no date distribution to race")
        start = max(one.times[0] for one in marginals.values())
        end = min(one.times[-1] for one in marginals.values())
        if not start < end:
            raise UsageError("the date distributions share no stretch of time")
        merged = np.unique(np.concatenate([one.times for one in marginals.values()]))
        merged = merged[(merged >= start) & (merged <= end)]
        coarse = np.array([one.at(merged) for one in marginals.values()])
        cuts = np.ceil(np.diff(coarse, axis=1).max(axis=0) / _STEP).clip(1).astype(np.int64)
        parts = [
            np.linspace(a, b, n, endpoint=False) for a, b, n in zip(merged, merged[1:], cuts, strict=False)
        ]
        times = np.concatenate([*parts, merged[-1:]])
        return cls(tuple(marginals), times, np.array([one.at(times) for one in marginals.values()]))

    @cached_property
    def _scores(self) -> Floats:
        from scipy.special import ndtri

        scores: Floats = ndtri(self.cdfs)
        return scores

    def p_before(self, rho: float = 0.0) -> Floats:
        """P(row before column), (k, k), when one shared factor drives all dates with correlation ``rho``.

        0 on the diagonal. T_i = F_i^-1(Phi(sqrt(rho) Z + sqrt(1 - rho) e_i)): given Z the dates are
        independent, so the exact formula for straight-line distributions is averaged over Z. UsageError
        for a rho outside 0..0.99.
        """
        if not 0.0 <= rho <= MAX_RHO:
            raise UsageError(f"rho must lie in 0..{MAX_RHO}, got {rho}")
        return self._raced(np.full(len(self.areas), np.sqrt(rho)))

    def race(self, one: str, two: str, rho: float = 0.0) -> Race:
        """One pair, for -0.99 <= ``rho`` <= 0.99. UsageError for unknown areas or a rho outside that."""
        if not -MAX_RHO <= rho <= MAX_RHO:
            raise UsageError(f"rho must lie in -{MAX_RHO}..{MAX_RHO}, got {rho}")
        pair = self._pair(one, two)
        loadings = np.sqrt(abs(rho)) * np.array([1.0, np.sign(rho) or 1.0])
        before = pair._raced(loadings)
        already, missing = pair._corners(loadings)
        return Race(float(before[0, 1]), float(before[1, 0]), already, missing)

    def bounds(self, *, beyond: bool = False) -> tuple[Floats, Floats]:
        """The least and the most P(row before column) can be, whatever the dependence, (k, k) each.

        max(0, sup (F_A - F_B)) and min over x of F_A(x-) + 1 - F_B(x), the left limit at both ends:
        Makarov 1981, Theory Probab. Appl. 26:803; Rueschendorf 1982, Adv. Appl. Probab. 14:623.
        ``beyond``: what comes first after the last time counts too, though when it comes is not known.
        """
        a, b = self.cdfs[:, None, :], self.cdfs[None, :, :]
        least = np.clip((a - b).max(axis=2), 0.0, None)
        inside = (a + 1.0 - b).min(axis=2)
        most = np.minimum(inside, 1.0 - b[..., 0])
        if not beyond:
            most = np.minimum(most, np.broadcast_to(a[..., -1], inside.shape))
        for matrix in (least, most):
            np.fill_diagonal(matrix, 0.0)
        return least, np.clip(most, 0.0, 1.0)

    def implied_rho(self, one: str, two: str, p_first: float) -> tuple[float, ...]:
        """Every correlation in -0.99..0.99 that gives P(``one`` first) = ``p_first``, rising; usually one.

        Empty when no one-factor dependence does (always so outside ``bounds``).
        """
        from scipy.optimize import brentq

        pair = self._pair(one, two)

        def gap(rho: float) -> float:
            loadings = np.sqrt(abs(rho)) * np.array([1.0, np.sign(rho) or 1.0])
            return float(pair._raced(loadings)[0, 1]) - p_first

        grid = np.linspace(-MAX_RHO, MAX_RHO, 34)
        gaps = [gap(rho) for rho in grid]
        found = []
        for (low, at_low), (high, at_high) in zip(
            zip(grid, gaps, strict=True), zip(grid[1:], gaps[1:], strict=True), strict=False
        ):
            if at_low == 0.0:
                found.append(float(low))
            elif at_low * at_high < 0:
                found.append(float(brentq(gap, low, high, xtol=1e-6)))
        return (*found, float(grid[-1])) if gaps[-1] == 0.0 else tuple(found)

    def _pair(self, one: str, two: str) -> Field:
        for area in (one, two):
            if area not in self.areas:
                raise UsageError(
                    f"no date distribution for area {area!r}; there are: {', '.join(self.areas)}"
                )
        if one == two:
            raise UsageError(f"{one} cannot race itself")
        return Field((one, two), self.times, self.cdfs[[self.areas.index(one), self.areas.index(two)]])

    def _given(self, loadings: Floats) -> tuple[Floats, Floats]:
        """The distributions given the shared factor, (nodes, k, times), and the weight of each node."""
        if not loadings.any():
            return self.cdfs[None, :, :], np.ones(1)
        from scipy.special import ndtr

        z = np.linspace(-_REACH, _REACH, _NODES)
        weights = np.exp(-(z**2) / 2)  # equal steps converge fast for a smooth integrand that dies out
        shift = loadings[None, :, None] * z[:, None, None]
        given: Floats = ndtr((self._scores[None, :, :] - shift) / np.sqrt(1.0 - loadings**2)[None, :, None])
        return given, weights / weights.sum()

    def _raced(self, loadings: Floats) -> Floats:
        given, weights = self._given(loadings)
        steps = np.diff(given, axis=2)
        still = 1.0 - (given[..., :-1] + given[..., 1:]) / 2.0
        before = np.einsum("n,nij->ij", weights, steps @ np.swapaxes(still, 1, 2))
        start = given[..., 0]
        before += np.einsum("n,ni,nj->ij", weights, start, 1.0 - start)
        np.fill_diagonal(before, 0.0)
        raced: Floats = before
        return raced

    def _corners(self, loadings: Floats) -> tuple[float, float]:
        given, weights = self._given(loadings)
        already = float(weights @ given[..., 0].prod(axis=1))
        return already, float(weights @ (1.0 - given[..., -1]).prod(axis=1))

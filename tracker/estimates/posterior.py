"""The posterior of a trend's shape, as draws; and where those draws go next.

Two steps. First a grid: given a cell of settings everything is linear and normal, so each cell's evidence and
the posterior of its unknowns are exact (Rasmussen and Williams 2006, Gaussian Processes for Machine
Learning, 2.7). Draws come from the cells in proportion. Then importance weights bring in what is not
normal: errors larger on one side than on the other, ceiling points known only to lie above the ceiling,
growth that must be positive to grow or decay. Resampling by those weights leaves equally weighted draws.

The errors: a published height = trend + shared error + own error. Own errors have variance scatter^2 +
(1 - shared) sd^2, with the sd of the side the trend lies on (a two-piece normal). The shared error,
sqrt(shared) sd_i times one standard normal number for the whole series, is what joint resampling of tasks does:
it does not shrink with the number of points, so a line is less sure than its points suggest, and it is
still there when the next system is measured, so forecasts of measurements are no less sure for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.ordering import generator
from tracker.estimates.shapes import (
    PRIORS,
    SHAPES,
    Cells,
    Priors,
    ShapeName,
    bent_rise,
    cells_of,
    wander,
)

BENT: tuple[ShapeName, ...] = ("superexponential", "subexponential")
_MIN_VARIANCE = 1e-6
_JITTER = 1e-8


@dataclass(frozen=True)
class ShapeFit:
    """Draws of one shape given the points; N draws, n points, equal weights.

    ``level``, ``growth`` (N,): the trend's height and slope per year at the last point. ``fitted`` (N, n):
    its heights at the points. ``scatter``, ``shared``, ``common`` (N,): scatter sd, share of the
    published variance in common, and the shared error in standard deviations. ``settings``: (N,) per
    name. ``log_evidence``: log density of the heights, the priors integrated out. ``effective``: number
    of independent draws the importance weights left.
    """

    shape: ShapeName
    frontier: Frontier
    priors: Priors
    level: Floats
    growth: Floats
    fitted: Floats
    scatter: Floats
    shared: Floats
    common: Floats
    settings: dict[str, Floats] = field(repr=False)
    log_evidence: float
    effective: float

    @property
    def draws(self) -> int:
        return len(self.level)

    def take(self, rows: NDArray[np.intp]) -> ShapeFit:
        """The same fit with only some of its draws (repeats allowed)."""
        return _rows(self, rows)

    def heights(self, years: Floats, seed: int) -> Floats:
        """Possible trends at times (m,), years after the last point and in rising order: (N, m).

        Random-walk growth is simulated beyond the data; between points the fitted heights are joined
        by straight lines.
        """
        past = years < 0.0
        after = _ahead(self, years[~past], seed)
        if not past.any():
            return after
        return np.concatenate([_behind(self, years[past]), after], axis=1)

    def measured(self, sd: float) -> tuple[Floats, Floats]:
        """Shift (N,) and sd (N,) from the trend to a new system's published height.

        ``sd``: that of its published interval. The shared error is the shift.
        """
        own = np.sqrt(self.scatter**2 + (1.0 - self.shared) * sd**2 + _MIN_VARIANCE)
        return np.sqrt(self.shared) * sd * self.common, own


def fit_shape(
    frontier: Frontier, shape: ShapeName, *, draws: int, seed: int, priors: Priors = PRIORS
) -> ShapeFit:
    """Draws of one shape's posterior. Raises UsageError for too few points, or when no draw is possible.

    The latter is growing or decaying growth on a series that does not rise.
    """
    if draws < 1:
        raise UsageError(f"draws must be 1 or more, got {draws}")
    random = generator(seed, SHAPES.index(shape))
    cells = cells_of(frontier, shape, priors)
    kept = ~frontier.censored
    state = _condition(cells, frontier, kept)
    log_cell = state.log_density + cells.log_prior - _log_sum(cells.log_prior)
    log_evidence = _log_sum(log_cell)
    chosen = _systematic(np.exp(log_cell - log_evidence), draws, random)
    unknowns = state.draw(chosen, random)
    proposal = _named(cells, frontier, shape, priors, chosen, unknowns)
    log_weight = _log_weights(proposal, kept)
    top = float(log_weight.max())
    if top == -math.inf:
        raise UsageError(f"shape {shape} has no possible curve through these points: they do not rise")
    weight = np.exp(log_weight - top)
    rows = np.arange(draws) if np.ptp(weight) == 0.0 else _systematic(weight / weight.sum(), draws, random)
    return _rows(
        proposal,
        random.permutation(rows),
        log_evidence=log_evidence + top + math.log(float(weight.mean())),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
    )


# The grid -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """Every cell given the points: ``log_density`` (G,), and what its unknowns' posterior is made of."""

    cells: Cells
    log_density: Floats
    root: Floats  # Cholesky factor of the heights' covariance, (G, k, k)
    white: Floats  # root^-1 (heights - expected), (G, k)
    cross: Floats  # covariance of heights and unknowns, (G, k, q)

    def draw(self, chosen: NDArray[np.intp], random: np.random.Generator) -> Floats:
        """One draw of the unknowns for each chosen cell, (N, q); ``chosen`` in rising order."""
        used, which = np.unique(chosen, return_inverse=True)
        half = np.linalg.solve(self.root[used], self.cross[used])
        mean = self.cells.mean[used] + np.einsum("gkq,gk->gq", half, self.white[used])
        cov = self.cells.cov[used] - half.transpose(0, 2, 1) @ half
        size = mean.shape[1]
        root = np.linalg.cholesky(cov + _JITTER * np.eye(size))
        noise = random.standard_normal((len(chosen), size))
        unknowns = np.empty_like(noise)
        edges = np.flatnonzero(np.diff(which, prepend=-1, append=len(used)))
        for start, stop in pairwise(edges):
            cell = which[start]
            unknowns[start:stop] = mean[cell] + noise[start:stop] @ root[cell].T
        return unknowns


def _condition(cells: Cells, frontier: Frontier, kept: NDArray[np.bool_]) -> _State:
    load = cells.load[:, kept]
    cross = load @ cells.cov
    variance = cells.scatter[:, None] ** 2 + (1.0 - cells.shared[:, None]) * frontier.sd[kept] ** 2
    covariance = cross @ load.transpose(0, 2, 1)
    diagonal = np.arange(int(kept.sum()))
    covariance[:, diagonal, diagonal] += variance + _MIN_VARIANCE
    root = np.linalg.cholesky(covariance).astype(np.float64, copy=False)
    expected = cells.offset[:, kept] + np.einsum("gkq,gq->gk", load, cells.mean)
    white = np.linalg.solve(root, (frontier.heights[kept] - expected)[:, :, None])[:, :, 0]
    log_det = np.log(root[:, diagonal, diagonal]).sum(axis=1)
    log_density = -0.5 * (white**2).sum(axis=1) - log_det - 0.5 * diagonal.size * math.log(2.0 * math.pi)
    return _State(cells, log_density, root, white, cross)


def _named(
    cells: Cells,
    frontier: Frontier,
    shape: ShapeName,
    priors: Priors,
    chosen: NDArray[np.intp],
    unknowns: Floats,
) -> ShapeFit:
    settings = {name: values[chosen] for name, values in cells.settings.items()}
    if shape == "random_walk":
        fitted, level, growth = (
            unknowns[:, : frontier.n],
            unknowns[:, frontier.n - 1],
            unknowns[:, frontier.n],
        )
    else:
        curve = cells.load[:, :, :-1]
        fitted = cells.offset[chosen] + np.einsum("rnq,rq->rn", curve[chosen], unknowns[:, :-1])
        level, growth = unknowns[:, 0], unknowns[:, 1]
        if shape == "piecewise":
            settings["bend"] = unknowns[:, 2]
    return ShapeFit(
        shape=shape,
        frontier=frontier,
        priors=priors,
        level=level,
        growth=growth,
        fitted=fitted,
        scatter=cells.scatter[chosen],
        shared=cells.shared[chosen],
        common=unknowns[:, -1],
        settings=settings,
        log_evidence=0.0,
        effective=float(len(chosen)),
    )


# What is not normal -------------------------------------------------------------------------------------


def _log_weights(fit: ShapeFit, kept: NDArray[np.bool_]) -> Floats:
    """Log of true over normal likelihood per draw, (N,); -inf for what the shape excludes."""
    frontier = fit.frontier
    log_weight = np.zeros(fit.draws)
    expected = fit.fitted + np.sqrt(fit.shared)[:, None] * frontier.sd * fit.common[:, None]
    own = (1.0 - fit.shared)[:, None]
    base = fit.scatter[:, None] ** 2 + _MIN_VARIANCE
    if (frontier.sd_low[kept] != frontier.sd_high[kept]).any():
        gap = expected[:, kept] - frontier.heights[kept]
        low = np.sqrt(base + own * frontier.sd_low[kept] ** 2)
        high = np.sqrt(base + own * frontier.sd_high[kept] ** 2)
        even = np.sqrt(base + own * frontier.sd[kept] ** 2)
        side = np.where(gap > 0, high, low)
        true = np.log(2.0 / (low + high)) - 0.5 * (gap / side) ** 2
        log_weight += (true + np.log(even) + 0.5 * (gap / even) ** 2).sum(axis=1)
    if not kept.all():
        from scipy.special import log_ndtr

        above = (expected - frontier.heights)[:, ~kept]
        log_weight += log_ndtr(above / np.sqrt(base + own * frontier.sd[~kept] ** 2)).sum(axis=1)
    if fit.shape in BENT:
        log_weight = np.where(fit.growth > 0.0, log_weight, -np.inf)
    return log_weight


def _systematic(shares: Floats, draws: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Indices in rising order, each as often as its share says, to within one (systematic resampling)."""
    ticks = (np.arange(draws) + random.random()) / draws
    edges = np.cumsum(shares)
    rows: NDArray[np.intp] = np.searchsorted(edges, ticks * edges[-1], side="right")
    return np.minimum(rows, len(shares) - 1)


def _rows(fit: ShapeFit, rows: NDArray[np.intp], **changes: Any) -> ShapeFit:
    return replace(
        fit,
        level=fit.level[rows],
        growth=fit.growth[rows],
        fitted=fit.fitted[rows],
        scatter=fit.scatter[rows],
        shared=fit.shared[rows],
        common=fit.common[rows],
        settings={name: values[rows] for name, values in fit.settings.items()},
        **changes,
    )


def _log_sum(values: Floats) -> float:
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum()))


# Running on ---------------------------------------------------------------------------------------------


def _ahead(fit: ShapeFit, years: Floats, seed: int) -> Floats:
    if fit.shape == "random_walk":
        walks = fit.settings["level_walk"], fit.settings["growth_walk"]
        gaps = np.diff(years, prepend=0.0)
        return wander(gaps, fit.level, fit.growth, walks, generator(seed, len(SHAPES)))
    if fit.shape in BENT:
        kind, pace = fit.settings["kind"], fit.settings["pace"]
        rise = bent_rise(years, fit.growth, kind, pace, fit.priors.floor_days)
        return fit.level[:, None] + rise
    ahead: Floats = fit.level[:, None] + fit.growth[:, None] * years
    return ahead


def _behind(fit: ShapeFit, years: Floats) -> Floats:
    """The trend between the points; before the first one the line through the first two dates."""
    known, first = np.unique(fit.frontier.years, return_index=True)
    heights = fit.fitted[:, first]
    right = np.clip(np.searchsorted(known, years), 1, known.size - 1)
    share = (years - known[right - 1]) / (known[right] - known[right - 1])
    behind: Floats = heights[:, right - 1] * (1.0 - share) + heights[:, right] * share
    return behind

"""Akaike's criterion for the shapes of a trend: a plain yardstick beside the predictive weights."""

from __future__ import annotations

import math

import numpy as np

from tracker.estimates.frontier import Floats, Frontier
from tracker.estimates.shapes import (
    DECAYING,
    EXPONENTS,
    PRIORS,
    SHRINKING,
    Priors,
    ShapeName,
    beginnings,
    columns,
    fittable,
)

UNKNOWNS: dict[ShapeName, int] = {
    "exponential": 3,
    "piecewise": 5,
    "superexponential": 4,
    "subexponential": 4,
    "random_walk": 5,
}


def aicc(frontier: Frontier, shape: ShapeName, priors: Priors = PRIORS) -> float | None:
    """Akaike's criterion with small-sample correction, from a plain maximum-likelihood fit; lower is better.

    All points equally exact, ceiling points left out, no priors: comparable with what others publish for
    these data. Unknowns counted: exponential 3 (level, growth, scatter), piecewise and random_walk 5,
    superexponential and subexponential 4 (the choice among the former's kinds not counted). None when
    fewer than two points more than unknowns are there, or no scatter at all. (Hurvich and Tsai 1989,
    Biometrika 76:297.)
    """
    unknowns = UNKNOWNS[shape]
    kept = ~frontier.censored
    count = int(kept.sum())
    if count < unknowns + 2 or fittable(shape, frontier):
        return None
    years, heights = frontier.years[kept], frontier.heights[kept]
    if shape == "random_walk":
        best = max(_profile(heights, _line(years), kernel) for kernel in _kernels(years))
    else:
        best = max(_profile(heights, design) for design in _designs(frontier, shape, years, heights, priors))
    if not math.isfinite(best):
        return None
    return 2.0 * unknowns - 2.0 * best + 2.0 * unknowns * (unknowns + 1) / (count - unknowns - 1)


def _line(years: Floats) -> Floats:
    return np.column_stack([np.ones_like(years), years])


def _kernels(years: Floats) -> list[Floats]:
    """Covariances of random-walk growth in units of the scatter, over a grid of both wanderings."""
    since = years - years[0]
    early, late = np.minimum.outer(since, since), np.maximum.outer(since, since)
    ratios = [0.0, 0.3, 1.0, 3.0, 10.0, 30.0]
    return [
        np.eye(years.size) + a**2 * early + b**2 * early**2 * (3.0 * late - early) / 6.0
        for a in ratios
        for b in ratios
    ]


def _designs(
    frontier: Frontier, shape: ShapeName, years: Floats, heights: Floats, priors: Priors
) -> list[Floats]:
    """Regression columns of a parametric shape, one entry per knot or pace tried."""
    line = _line(years)
    if shape == "exponential":
        return [line]
    if shape == "piecewise":
        low, high = frontier.years[2], frontier.years[-3]
        return [np.column_stack([line, np.maximum(k - years, 0.0)]) for k in np.linspace(low, high, 33)]
    spans = np.geomspace(*priors.pace_years, 25)
    if shape == "subexponential":
        return _bent(years, np.full(spans.size, float(DECAYING)), -spans)
    since = beginnings(frontier.years, priors, spans.size)
    kinds = np.repeat([SHRINKING, DECAYING, *EXPONENTS], spans.size).astype(np.float64)
    paces = np.concatenate([np.tile(spans, 2), np.tile(since, len(EXPONENTS))])
    bent = np.column_stack([line, years**2])
    convex = np.linalg.lstsq(bent, heights, rcond=None)[0][2] >= 0.0
    return [*_bent(years, kinds, paces), bent if convex else line]


def _bent(years: Floats, kinds: Floats, paces: Floats) -> list[Floats]:
    _, (ones, growths) = columns(years, kinds, paces)
    return [np.column_stack(pair) for pair in zip(ones, growths, strict=True)]


def _profile(heights: Floats, design: Floats, covariance: Floats | None = None) -> float:
    """Log likelihood at the best coefficients and scale, the covariance known up to a factor."""
    log_det = 0.0
    if covariance is not None:
        root = np.linalg.cholesky(covariance)
        log_det = 2.0 * float(np.log(np.diag(root)).sum())
        design, heights = np.linalg.solve(root, design), np.linalg.solve(root, heights)
    beta = np.linalg.lstsq(design, heights, rcond=None)[0]
    rest = heights - design @ beta
    variance = float(rest @ rest) / heights.size
    if variance <= 1e-18:
        return math.inf
    return -0.5 * (heights.size * (math.log(2.0 * math.pi * variance) + 1.0) + log_det)

"""Invented series of records for the tests of trend shapes: exact or scattered about a known curve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from questions.records import Measurement
from tracker.estimates.frontier import Frontier, frontier_of, scale_for
from tracker.estimates.shapes import Cells

FIRST = date(2023, 1, 1)


def point(key: str, at: date, minutes: float, **more: object) -> Measurement:
    record = {"series": "s", "metric": "p50", "unit": "minutes", "is_sota": True} | more
    return Measurement(key=key, at=at, value=minutes, **record)


def points(
    log2_minutes: Sequence[float], *, gap_days: int = 73, sd: float | None = None, first: date = FIRST
) -> list[Measurement]:
    """One system every ``gap_days`` days (73 = a fifth of a year); 95% intervals if ``sd`` (doublings)."""
    reach = 0.0 if sd is None else 1.95996 * sd
    return [
        point(
            f"m{i:02d}",
            first + timedelta(days=gap_days * i),
            2.0**height,
            lower=None if sd is None else 2.0 ** (height - reach),
            upper=None if sd is None else 2.0 ** (height + reach),
            ci_level=None if sd is None else 0.95,
        )
        for i, height in enumerate(log2_minutes)
    ]


def frontier(log2_minutes: Sequence[float], *, ceiling: float | None = None, **more: object) -> Frontier:
    return frontier_of(points(log2_minutes, **more), scale_for("minutes"), ceiling)


def scattered(count: int, slope: float, sd: float, seed: int) -> list[float]:
    """Heights about a line rising ``slope`` doublings per point."""
    return (slope * np.arange(count) + sd * np.random.default_rng(seed).standard_normal(count)).tolist()


def drawn_from(
    cells: Cells, shape: str, found: Frontier, random: np.random.Generator
) -> tuple[np.ndarray, float, float, dict[str, float]]:
    """A world drawn from a shape's own priors, its errors correlated across systems.

    Measured heights (n,), the true growth and the true trend height at the last point, and the settings
    (scatter, shared, common among them).
    """
    share = np.exp(cells.log_prior - cells.log_prior.max())
    while True:
        cell = random.choice(len(share), p=share / share.sum())
        unknowns = random.multivariate_normal(cells.mean[cell], cells.cov[cell], method="cholesky", tol=1e-6)
        growth = unknowns[found.n] if shape == "random_walk" else unknowns[1]
        if growth > 0 or shape not in ("superexponential", "subexponential"):
            break
    own = np.sqrt(cells.scatter[cell] ** 2 + (1 - cells.shared[cell]) * found.sd**2)
    heights = cells.offset[cell] + cells.load[cell] @ unknowns + own * random.standard_normal(found.n)
    level = unknowns[found.n - 1] if shape == "random_walk" else unknowns[0]
    settings = {name: values[cell] for name, values in cells.settings.items()}
    if shape == "piecewise":
        settings["bend"] = unknowns[2]
    settings |= {"scatter": cells.scatter[cell], "shared": cells.shared[cell], "common": unknowns[-1]}
    return heights, float(growth), float(level), settings

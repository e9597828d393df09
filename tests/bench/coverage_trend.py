"""How often 80% and 95% intervals hold the truth, by simulation. Run by hand:

    python -m tests.bench.coverage_trend [worlds a row, default 2000] [row ...]

Worlds are drawn from each shape's own priors: 12 systems 100 days apart, published intervals of 0.45 doublings
sd with a share common to all systems, and scatter of their own. Rows: each shape fitted to worlds of its own;
``mixture``, with its predictive weights, fitted to worlds of all shapes in turn; ``line``, the least-squares
line that knows neither the intervals nor what they share, on worlds of the exponential. Told apart: the
growth at the last point, the trend a year later, and the next system's measured height 90 days later.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr

from tests.estimates.invented import drawn_from, frontier
from tracker.errors import UsageError
from tracker.estimates.frontier import Frontier
from tracker.estimates.mixture import fit_mixture
from tracker.estimates.posterior import ShapeFit, fit_shape
from tracker.estimates.shapes import SHAPES, ShapeName, cells_of

AHEAD = np.array([90 / 365.25, 1.0])
SD, DRAWS, ROWS = 0.45, 800, (*SHAPES, "mixture", "line")


@dataclass(frozen=True)
class World:
    """What was measured, and the truth about it: growth, trend in a year, the next system's height."""

    points: Frontier
    truth: tuple[float, float, float]


def worlds(shape: ShapeName, seed: int, count: int) -> list[World]:
    """Worlds of one shape, drawn from its priors."""
    template = frontier([0.0] * 12, gap_days=100, sd=SD)
    cells, random = cells_of(template, shape), np.random.default_rng([20261120, SHAPES.index(shape), seed])
    found, like = [], fit_shape(template, "exponential", draws=1, seed=0)
    for number in range(count):
        heights, growth, level, settings = drawn_from(cells, shape, template, random)
        points = replace(template, heights=heights, measured=heights)
        one = np.ones(1)
        truth = replace(
            like,
            shape=shape,
            level=one * level,
            growth=one * growth,
            scatter=one * settings["scatter"],
            shared=one * settings["shared"],
            common=one * settings["common"],
            settings={name: one * value for name, value in settings.items()},
        )
        future = truth.heights(AHEAD, number + 1)[0]
        shift, own = truth.measured(SD)
        measured = float(future[0] + shift[0] + own[0] * random.standard_normal())
        found.append(World(points, (growth, float(future[1]), measured)))
    return found


def places(world: World, fits: Sequence[ShapeFit], random: np.random.Generator) -> list[float]:
    """Where the truth stands among the draws: three shares."""
    columns: list[list[np.ndarray]] = [[], [], []]
    for fit in fits:
        heights = fit.heights(AHEAD, int(random.integers(2**31)))
        shift, own = fit.measured(SD)
        columns[0].append(fit.growth)
        columns[1].append(heights[:, 1])
        columns[2].append(heights[:, 0] + shift + own * random.standard_normal(fit.draws))
    return [
        float(np.mean(np.concatenate(column) < truth))
        for column, truth in zip(columns, world.truth, strict=True)
    ]


def line_places(world: World) -> list[float]:
    """The same three shares by the t distributions of plain least squares."""
    x, y = world.points.years, world.points.heights
    n, offsets = len(x), x - x.mean()
    sxx = float(offsets @ offsets)
    slope = float(offsets @ y) / sxx
    rest = y - y.mean() - slope * offsets
    sd = math.sqrt(float(rest @ rest) / (n - 2))
    near, year = AHEAD - x.mean()
    gaps = (
        (world.truth[0] - slope, 1.0 / sxx),
        (world.truth[1] - y.mean() - slope * year, 1.0 / n + year**2 / sxx),
        (world.truth[2] - y.mean() - slope * near, 1.0 + 1.0 / n + near**2 / sxx),
    )
    return [float(stdtr(n - 2, gap / (sd * math.sqrt(factor)))) for gap, factor in gaps]


def ranks(row: str, count: int) -> np.ndarray:
    """Shares per world of a row of the table, (count, 3); a world that cannot be fitted counts as missed."""
    random = np.random.default_rng([20261121, ROWS.index(row)])
    if row == "line":
        return np.array([line_places(world) for world in worlds("exponential", 1, count)])
    each = -(-count // len(SHAPES)) if row == "mixture" else count
    mixed = [world for shape in SHAPES if row in (shape, "mixture") for world in worlds(shape, 0, each)]
    found = np.ones((len(mixed), 3))
    for number, world in enumerate(mixed):
        try:
            fits = (
                fit_mixture(world.points, draws=DRAWS, seed=number).members
                if row == "mixture"
                else (fit_shape(world.points, SHAPES[ROWS.index(row)], draws=DRAWS, seed=number),)
            )
        except UsageError:
            continue
        found[number] = places(world, fits, random)
    return found


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else 2_000
    chosen = [row for row in ROWS if row in arguments[1:]] or list(ROWS)
    sys.stdout.write(f"{count} worlds a row; share of truths inside 80% / 95%\n")
    for row in chosen:
        off = np.abs(ranks(row, count) - 0.5)
        shares = [f"{np.mean(column <= 0.4):.3f} / {np.mean(column <= 0.475):.3f}" for column in off.T]
        sys.stdout.write(
            f"{row:17s} growth {shares[0]}   trend in a year {shares[1]}   next system {shares[2]}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

"""How often a shape's 80% and 95% intervals hold the truth, by simulation. Run by hand:

    python -m tests.bench.coverage_trend [worlds a shape, default 2000] [shape ...]

Worlds are drawn from each shape's own priors: 12 systems 100 days apart, published intervals of 0.45 doublings
sd with a share common to all systems, and scatter of their own. Each is fitted with its own shape. Told
apart: the growth at the last point, the trend a year later, and the next system's measured height 90 days later.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from tests.estimates.invented import drawn_from, frontier
from tracker.errors import UsageError
from tracker.estimates.posterior import fit_shape
from tracker.estimates.shapes import SHAPES, ShapeName, cells_of

AHEAD = np.array([90 / 365.25, 1.0])
SD, DRAWS = 0.45, 800


def ranks(shape: ShapeName, worlds: int) -> np.ndarray:
    """Where the truth stands among the draws, (worlds, 3); worlds that cannot be fitted count as misses."""
    template = frontier([0.0] * 12, gap_days=100, sd=SD)
    cells, random = cells_of(template, shape), np.random.default_rng([20261120, SHAPES.index(shape)])
    found = np.ones((worlds, 3))
    for world in range(worlds):
        heights, growth, level, settings = drawn_from(cells, shape, template, random)
        points = replace(template, heights=heights, measured=heights)
        try:
            fit = fit_shape(points, shape, draws=DRAWS, seed=world)
        except UsageError:
            continue
        one = np.zeros(1)
        truth = replace(
            fit.take(np.zeros(1, dtype=np.intp)),
            level=one + level,
            growth=one + growth,
            scatter=one + settings["scatter"],
            shared=one + settings["shared"],
            common=one + settings["common"],
            settings={name: one + value for name, value in settings.items()},
        )
        future, forecast = truth.heights(AHEAD, world + 1)[0], fit.heights(AHEAD, world + 2)
        shift, own = truth.measured(SD)
        measured = future[0] + shift[0] + own[0] * random.standard_normal()
        shifts, owns = fit.measured(SD)
        measures = forecast[:, 0] + shifts + owns * random.standard_normal(DRAWS)
        found[world] = [
            np.mean(fit.growth < growth),
            np.mean(forecast[:, 1] < future[1]),
            np.mean(measures < measured),
        ]
    return found


def main(arguments: list[str]) -> None:
    worlds = int(arguments[0]) if arguments else 2_000
    chosen = [shape for shape in SHAPES if shape in arguments[1:]] or list(SHAPES)
    sys.stdout.write(f"{worlds} worlds a shape; share of truths inside 80% / 95%\n")
    for shape in chosen:
        off = np.abs(ranks(shape, worlds) - 0.5)
        shares = [f"{np.mean(column <= 0.4):.3f} / {np.mean(column <= 0.475):.3f}" for column in off.T]
        sys.stdout.write(
            f"{shape:17s} growth {shares[0]}   trend in a year {shares[1]}   next system {shares[2]}\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

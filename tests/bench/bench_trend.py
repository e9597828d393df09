"""How long all shapes on all windows take, beside the plainest resampling of a line. Run by hand:

    python -m tests.bench.bench_trend

Each window of METR's series is fitted with every shape, 10,000 posterior draws each, with AICc. The baseline,
in the same run, is a pairs bootstrap of the least-squares line: 10,000 resamples per window as array
operations. Target: under a second for everything on two cores after import, memory under 500 MB.
"""

from __future__ import annotations

import resource
import sys
from datetime import date
from time import perf_counter

import numpy as np

from tests.estimates.published import metr_points
from tracker.estimates.aicc import aicc
from tracker.estimates.frontier import Frontier, frontier_of, scale_for
from tracker.estimates.mixture import fit_mixture
from tracker.estimates.posterior import fit_shape
from tracker.estimates.releases import passage, simulate
from tracker.estimates.shapes import SHAPES
from tracker.estimates.trend import Selection, select

RESAMPLES = 10_000
REPEATS = 5
WINDOWS = {
    "2019 on": Selection(start=date(2019, 1, 1)),
    "2023 on": Selection(start=date(2023, 1, 1)),
    "2024 on": Selection(start=date(2024, 1, 1)),
    "as in the paper, 2024": Selection(start=date(2024, 1, 1), end=date(2025, 2, 25), sota="window"),
}


def windows() -> dict[str, Frontier]:
    """METR's windows, every point with an invented interval of a factor two either way."""
    from dataclasses import replace

    newest = [
        replace(p, lower=p.value / 2, upper=p.value * 2.2, ci_level=0.95) for p in metr_points("2026-05-08")
    ]
    return {
        name: frontier_of(select(newest, chosen), scale_for("minutes"), 960.0)
        for name, chosen in WINDOWS.items()
    }


def baseline(found: Frontier, random: np.random.Generator) -> np.ndarray:
    """Slopes of a pairs bootstrap of the least-squares line."""
    rows = random.integers(found.n, size=(RESAMPLES, found.n))
    x, y = found.years[rows], found.heights[rows]
    x = x - x.mean(axis=1, keepdims=True)
    sxx = (x**2).sum(axis=1)
    return np.divide((x * y).sum(axis=1), sxx, out=np.zeros(RESAMPLES), where=sxx > 0)


def shapes(found: Frontier, draws: int) -> None:
    for shape in SHAPES:
        if found.n >= 6:
            fit_shape(found, shape, draws=draws, seed=1)
            aicc(found, shape)


def best(function, *arguments) -> float:
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        function(*arguments)
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    found = windows()
    shapes(found["2023 on"], 100)  # imports scipy
    random = np.random.default_rng(1)
    plain = sum(best(baseline, one, random) for one in found.values())
    ours = {name: best(shapes, one, RESAMPLES) for name, one in found.items()}
    total = sum(ours.values())
    say = sys.stdout.write
    for name, seconds in ours.items():
        say(f"{name:24s} {found[name].n:3d} points  {len(SHAPES)} shapes  {seconds * 1e3:7.1f} ms\n")
    say(
        f"all windows and shapes, {RESAMPLES} draws each: {total:.3f} s; bootstrap of the line: {plain:.3f} s; "
    )
    say(f"ratio {total / plain:.1f}\n")
    mixture = fit_mixture(found["2023 on"], draws=RESAMPLES, seed=1)
    weights = best(lambda: fit_mixture(found["2023 on"], draws=RESAMPLES, seed=1))
    futures = best(lambda: passage(simulate(mixture.members, seed=1), 10_020.0))
    say(f"mixture with its weights: {weights:.3f} s; simulated records: {futures:.3f} s\n")
    say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")


if __name__ == "__main__":
    main()

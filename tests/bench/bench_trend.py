"""How long all shapes on all windows take, beside the plainest resampling of a line. Run by hand:

    python -m tests.bench.bench_trend

Each of METR's windows is fitted with every shape, 10,000 posterior draws each, with AICc. The baseline, in
the same run, is a pairs bootstrap of the least-squares line: 10,000 resamples per window as array
operations. Target: under a second for everything on two cores after import, memory under 500 MB.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from time import perf_counter
from typing import Any

import numpy as np

from tests.estimates.published import metr_points
from tracker.estimates.aicc import aicc
from tracker.estimates.area_dates import area_dates
from tracker.estimates.backtest import backtest
from tracker.estimates.frontier import Frontier, frontier_of, scale_for
from tracker.estimates.mixture import fit_mixture
from tracker.estimates.posterior import fit_shape
from tracker.estimates.releases import fan, passage, simulate
from tracker.estimates.shapes import SHAPES, fittable
from tracker.estimates.trend import Selection, fit_line, select

RESAMPLES = 10_000
REPEATS = 5
PAPER = date(2025, 2, 25)
STARTS = (date(2019, 1, 1), date(2023, 1, 1), date(2023, 3, 13), date(2024, 1, 1))
# METR's pipeline: four starts, each up to the newest model and up to the paper's last.
WINDOWS = {
    f"{start} to {end or 'newest'}": Selection(start=start, end=end, sota="window")
    for end in (None, PAPER)
    for start in STARTS
}
NEEDS = {f"area {i}": 500.0 * 2.0**i for i in range(10)}


def windows() -> dict[str, Frontier]:
    """METR's windows, every point with an invented interval of a factor two either way."""
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
        if not fittable(shape, found):
            fit_shape(found, shape, draws=draws, seed=1)
            aicc(found, shape)


def best(function: Callable[..., Any], *arguments: Any, repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        function(*arguments)
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    found = windows()
    now = next(one for name, one in found.items() if name.startswith("2023-01-01 to newest"))
    shapes(now, 100)  # imports scipy
    random = np.random.default_rng(1)
    plain = {name: best(baseline, one, random) for name, one in found.items()}
    ours = {name: best(shapes, one, RESAMPLES) for name, one in found.items()}
    say = sys.stdout.write
    for name, seconds in ours.items():
        say(
            f"{name:24s} {found[name].n:3d} points  {len(SHAPES)} shapes  {seconds * 1e3:7.1f} ms  "
            f"{seconds / plain[name]:5.1f}x\n"
        )
    total, base = sum(ours.values()), sum(plain.values())
    say(
        f"all windows and shapes, {RESAMPLES} draws each: {total:.3f} s; bootstrap of the line: {base:.3f} s; "
    )
    say(f"ratio {total / base:.1f}\n")
    newest = metr_points("2026-05-08")
    lines = best(lambda: [fit_line(select(newest, chosen), chosen) for chosen in WINDOWS.values()])
    mixture = fit_mixture(now, draws=RESAMPLES, seed=1)
    weights = best(lambda: fit_mixture(now, draws=RESAMPLES, seed=1))
    futures = best(lambda: passage(simulate(mixture.members, seed=1), 10_020.0))
    bands = best(fan, simulate(mixture.members, seed=1))
    areas = best(lambda: area_dates(mixture, NEEDS, 1.5, draws=50_000, seed=1), repeats=2)
    past = best(
        lambda: backtest(
            newest, WINDOWS["2023-01-01 to newest"], scale_for("minutes"), ceiling=960.0, seed=1
        ),
        repeats=2,
    )
    say(f"METR's lines on all windows: {lines * 1e3:.1f} ms; mixture with its weights: {weights:.3f} s; ")
    say(f"simulated records: {futures:.3f} s; fan: {bands:.3f} s; ")
    say(f"ten areas, 50,000 draws: {areas:.3f} s; back-test: {past:.3f} s\n")
    say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")


if __name__ == "__main__":
    main()

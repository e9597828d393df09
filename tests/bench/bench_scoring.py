"""How long a full calibration report takes, beside the plain numpy pieces it is made of. Run by hand:

    python -m tests.bench.bench_scoring [largest power of ten of rows, default 7]

A report on 1,000,000 forecasts of 10,000 questions with 2,000 replicates: scores with intervals, bins, CORP
decomposition, curve and band, smooth calibration error, calibration line. The pieces, in the same run: the losses,
their sums by question, both resamplings as matrix products, and 2,000 isotonic regressions. Target: at most three
times their sum, under 1.5 s on two idle cores, memory under 600 MB; time grows no faster than the rows.
"""

from __future__ import annotations

import os
import resource
import sys
from time import perf_counter, process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as ``tracker.cli`` does for every command

import numpy as np
from scipy.optimize import isotonic_regression

from tracker.scoring import ForecastTable, calibrate, forecast_table

RESAMPLES, QUESTIONS, REPEATS = 2000, 10_000, 3


def table(rows: int, questions: int) -> ForecastTable:
    rng = np.random.default_rng(1)
    question = rng.integers(questions, size=rows)
    x = rng.normal(0.0, 1.5, questions)
    outcome = (rng.random(questions) < 1.0 / (1.0 + np.exp(-x))).astype(float)
    said = 1.0 / (1.0 + np.exp(-(x[question] + rng.normal(0.0, 0.3, rows))))
    names = np.array([f"q{k}" for k in range(questions)], dtype=object)
    return forecast_table(said.round(3), outcome[question], names[question])


def pieces(p: np.ndarray, y: np.ndarray, question: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    losses = [np.square(p - y), -np.log(np.where(y > 0, p, 1 - p).clip(0.001)), 1 - p / np.hypot(p, 1 - p)]
    columns = [np.ones_like(p), *losses, y, p, np.square(y)]
    sums = np.stack([np.bincount(question, weights=c, minlength=QUESTIONS) for c in columns], axis=1)
    level = np.rint(p * 100).astype(int)
    cell = question * 101 + level
    n = np.bincount(cell, minlength=QUESTIONS * 101).reshape(QUESTIONS, 101).astype(float)
    happened = np.bincount(cell, weights=y, minlength=QUESTIONS * 101).reshape(QUESTIONS, 101)
    for _ in range(20):
        drawn = rng.integers(0, QUESTIONS, size=(100, QUESTIONS)) + np.arange(100)[:, None] * QUESTIONS
        counts = np.bincount(drawn.ravel(), minlength=100 * QUESTIONS).reshape(100, QUESTIONS)
        counts.astype(float) @ sums
    weights = rng.standard_exponential((RESAMPLES, QUESTIONS))
    counted, events = weights @ n, weights @ happened
    curves = [isotonic_regression(e / c, weights=c).x for e, c in zip(events, counted, strict=True)]
    np.quantile(curves, [0.05, 0.95], axis=0)


def best(function, *arguments, clock=perf_counter, **options) -> float:
    times = []
    for _ in range(REPEATS):
        start = clock()
        function(*arguments, **options)
        times.append(clock() - start)
    return min(times)


def main() -> None:
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    calibrate(table(1000, 100), curve=True, resamples=10)  # imports scipy
    made = table(10**6, QUESTIONS)
    question = np.unique(made.question.astype(str), return_inverse=True)[1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = best(calibrate, made, curve=True, resamples=RESAMPLES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain = best(pieces, made.probability, made.outcome, question)
    print(
        f"1e6 forecasts, {RESAMPLES} replicates: {report:.2f} s, pieces {plain:.2f} s: {report / plain:.2f} times"
    )
    print(f"memory: {peak:.0f} MB at most, {before:.0f} MB before the report")
    times = {}
    for power in range(5, largest + 1):
        made = table(10**power, 10 ** (power - 2))
        times[power] = best(calibrate, made, curve=True, resamples=200, clock=process_time)
        print(
            f"1e{power} rows, 1e{power - 2} questions, 200 replicates: {times[power]:.3f} s of processor time"
        )
    exponent = np.polyfit(list(times), np.log10(list(times.values())), 1)[0]
    print(f"time grows as rows^{exponent:.2f}")


if __name__ == "__main__":
    main()

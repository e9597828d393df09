"""How often a 95% interval of a score holds the truth when snapshots of a question are correlated. Run by hand:

    python -m tests.bench.coverage_scoring [worlds, default 2000]

Each world has 50 or 200 questions with 20 daily values each, whose errors drift together, and one outcome. The
truth is the expected Brier score (calibration slope) of that forecaster over all questions he might be asked. Told:
the report's interval, the clustered interval of question means, and the report's interval had rows been independent.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.special import expit

from tracker.scoring import calibrate, forecast_table
from tracker.scoring.inference import clustered_mean, means_of
from tracker.scoring.recalibration import cox_line
from tracker.scoring.scores import brier_score

DAYS = 20
METHODS = ("report", "question means", "rows as independent", "calibration slope")


def world(questions: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, outcomes and questions of one world: errors are a walk, so neighbouring days agree."""
    truth = random.normal(0.0, 1.2, questions)
    outcome = (random.random(questions) < expit(truth)).astype(float)
    drift = 0.4 * random.normal(size=(questions, 1)) + 0.1 * np.cumsum(
        random.normal(size=(questions, DAYS)), axis=1
    )
    said = expit(truth[:, None] + drift).ravel()
    which = np.repeat(np.arange(questions), DAYS)
    return said, outcome[which], which


def truths(random: np.random.Generator) -> tuple[float, float]:
    """Expected Brier score and calibration slope, from a world of 200,000 questions."""
    p, y, which = world(200_000, random)
    line = cox_line(p, y, which)
    assert line is not None
    return float(brier_score(p, y).mean()), line.slope


def coverage(questions: int, worlds: int, seed: int = 1) -> dict[str, float]:
    """The share of worlds whose 95% interval holds the truth, by method."""
    random = np.random.default_rng([seed, questions])
    brier, slope = truths(random)
    held = dict.fromkeys(METHODS, 0)
    for number in range(worlds):
        p, y, which = world(questions, random)
        report = calibrate(forecast_table(p, y, which), resamples=1000, seed=number)
        naive = clustered_mean(brier_score(p, y), np.arange(p.size))
        means = clustered_mean(means_of(brier_score(p, y), which, questions), np.arange(questions))
        ends = (report.brier.ci95, means.ci95, naive.ci95, report.slope.ci95)
        for method, interval, truth in zip(METHODS, ends, (brier, brier, brier, slope), strict=True):
            held[method] += interval is not None and interval[0] <= truth <= interval[1]
    return {method: count / worlds for method, count in held.items()}


def main() -> None:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for questions in (50, 200):
        found = coverage(questions, worlds)
        print(
            f"{questions} questions, {worlds} worlds: " + ", ".join(f"{m} {s:.1%}" for m, s in found.items())
        )


if __name__ == "__main__":
    main()

"""Bootstrap over questions: the only honest way to an interval when a question has many forecasts.

Rows of one question share one outcome. Treating 50 rows of each question as independent gives "95 %"
intervals that cover about a quarter of the time; resampling whole questions restores the level
(Cameron & Miller 2015, J Hum Resour 50:317, on clusters; Field & Welsh 2007, JRSS B 69:369).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tracker.scoring.scores import FloatArray

_CELLS = 1_000_000  # counts drawn at once: a few megabytes, whatever the size of the problem


def question_sums(columns: Sequence[FloatArray], question: NDArray[np.int64], questions: int) -> FloatArray:
    """Sum k columns of rows per question code 0..questions-1: shape (questions, k)."""
    return np.stack([np.bincount(question, weights=one, minlength=questions) for one in columns], axis=1)


def bootstrap_questions(
    sums: FloatArray, statistic: Callable[[FloatArray], FloatArray], *, resamples: int, seed: int
) -> FloatArray:
    """Replicates of a statistic when whole questions are drawn with replacement.

    ``sums`` (questions, k) are per-question totals; ``statistic`` maps totals (r, k) of r replicates to
    (r, m) values and may give NaN where a replicate leaves it undefined. Returns (resamples, m). Only
    totals are resampled, never rows, so a million rows cost no more than their questions.
    """
    rng = np.random.default_rng(seed)
    questions = sums.shape[0]
    step = max(1, _CELLS // questions)
    parts = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, questions, size=(rows, questions))
        drawn += (np.arange(rows) * questions)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=rows * questions).reshape(rows, questions)
        parts.append(statistic(counts.astype(np.float64) @ sums))
    return np.concatenate(parts)


def percentile_interval(replicates: FloatArray, level: float = 0.95) -> FloatArray:
    """The central percentile interval of each column, undefined replicates left out: shape (2, m).

    A column without any defined replicate gives NaN.
    """
    tail = 0.5 * (1.0 - level)
    interval = np.full((2, replicates.shape[1]), np.nan)
    defined = ~np.isnan(replicates).all(axis=0)
    interval[:, defined] = np.nanquantile(replicates[:, defined], [tail, 1.0 - tail], axis=0)
    return interval

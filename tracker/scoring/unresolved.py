"""What can be said of forecasts before anything resolves: none of it is calibration, and each says what it is.

Most of our questions resolve years from now. Belief movement tells whether somebody changes his mind more, or less,
than calibrated learning would on average; a proxy score measures today's word against a later one in place of the
outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.scoring.inference import Mean, clustered_mean
from tracker.scoring.scores import FloatArray, clipped


@dataclass(frozen=True)
class Movement:
    """How much beliefs moved against how much uncertainty they lost, over many paths.

    ``excess``: the mean of movement less uncertainty lost, 0 in expectation for calibrated learning; above it:
    overreaction or noise (a market's bid and ask); below: too slow. ``ratio`` is all movement over all
    uncertainty lost, None where none was lost.
    """

    movement: float
    uncertainty_lost: float
    excess: Mean
    ratio: float | None


def belief_movement(paths: Sequence[ArrayLike], cluster: NDArray[np.int64] | None = None) -> Movement:
    """Movement of paths of probabilities, each at equal steps of time (a day: not each poll or trade).

    Formula: movement = sum (p_{t+1} - p_t)^2, uncertainty lost = p_0(1 - p_0) - p_T(1 - p_T); their expectations
    agree for every calibrated learner, whatever is learnt (Augenblick & Rabin 2021, QJE 136:933). ``cluster`` says
    which paths are of one question or event.

    >>> belief_movement([[0.5, 1.0], [0.5, 0.5]]).excess.value
    0.0
    >>> belief_movement([[0.5, 0.9, 0.5, 0.1]]).excess.value > 0
    True
    """
    if not len(paths):
        raise ValueError("no paths")
    moved, lost = [], []
    for path in paths:
        p = np.asarray(path, dtype=np.float64)
        if p.ndim != 1 or p.size < 2 or not bool(np.all((p >= 0.0) & (p <= 1.0))):
            raise ValueError("a path is two or more probabilities in 0..1, none missing")
        moved.append(float(np.square(np.diff(p)).sum()))
        lost.append(float(p[0] * (1.0 - p[0]) - p[-1] * (1.0 - p[-1])))
    excess = np.array(moved) - np.array(lost)
    groups = np.arange(len(moved)) if cluster is None else cluster
    total, away = sum(moved), sum(lost)
    return Movement(
        total / len(moved),
        away / len(lost),
        clustered_mean(excess, groups),
        total / away if away > 0.0 else None,
    )


def proxy_brier(probability: ArrayLike, later: ArrayLike) -> FloatArray:
    """The Brier score to expect of p if a later probability q were the chance of Yes: q(1 - p)^2 + (1 - q)p^2.

    A proxy, to be labelled as such: it rewards agreeing with whoever q is, who may be wrong.

    >>> proxy_brier([0.5, 0.2], [0.9, 0.2]).round(3).tolist()
    [0.25, 0.16]
    """
    p, q = (np.asarray(one, dtype=np.float64) for one in (probability, later))
    _in_unit(p, q)
    loss: FloatArray = q * np.square(1.0 - p) + (1.0 - q) * np.square(p)
    return loss


def proxy_log(probability: ArrayLike, later: ArrayLike, *, clip: float = 0.001) -> FloatArray:
    """The log score (nats) to expect likewise: -q ln p - (1 - q) ln(1 - p), p moved into [clip, 1 - clip] first.

    >>> proxy_log([0.5], [0.9]).round(4).tolist()
    [0.6931]
    """
    p, _ = clipped(probability, clip)
    q = np.asarray(later, dtype=np.float64)
    _in_unit(np.asarray(probability, dtype=np.float64), q)
    loss: FloatArray = -q * np.log(p) - (1.0 - q) * np.log(1.0 - p)
    return loss


def _in_unit(*columns: FloatArray) -> None:
    if not all(bool(np.all((column >= 0.0) & (column <= 1.0))) for column in columns):
        raise ValueError("probabilities must lie in 0..1 and not be missing")

"""Proper scores of forecasts over several options, in order or not.

``probability`` has one row per forecast and one column per option, each row summing to 1; ``outcome`` is the
position of the option that came about. Losses: lower is better. Gneiting & Raftery 2007, JASA 102:359.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracker.scoring.scores import DEFAULT_LOG_CLIP, FloatArray

_SUM_TOLERANCE = 1e-6


def brier_choice_score(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """Squared distance from the corner of the option that came about: 0 to 1.

    Formula: sum over options of (p_k - y_k)^2, halved, so that two options give the one-category form that
    ``brier_score`` gives (the original of Brier 1950 is twice this).

    >>> brier_choice_score([[0.7, 0.2, 0.1]], [0]).round(4).tolist()
    [0.07]
    """
    p, y = _checked(probability, outcome)
    happened = np.zeros_like(p)
    happened[np.arange(len(y)), y] = 1.0
    loss: FloatArray = 0.5 * np.square(p - happened).sum(axis=1)
    return loss


def log_choice_score(
    probability: ArrayLike, outcome: ArrayLike, *, clip: float = DEFAULT_LOG_CLIP
) -> FloatArray:
    """Surprise at the option that came about, in nats: -ln of its probability, at least ``clip``.

    >>> log_choice_score([[0.7, 0.2, 0.1]], [2]).round(4).tolist()
    [2.3026]
    """
    p, y = _checked(probability, outcome)
    with np.errstate(divide="ignore"):
        loss: FloatArray = -np.log(np.maximum(p[np.arange(len(y)), y], clip))
    return loss


def spherical_choice_score(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """1 - p_outcome / length of the vector of probabilities.

    >>> spherical_choice_score([[0.6, 0.8 - 0.4, 0.0]], [0]).round(4).tolist()
    [0.1679]
    """
    p, y = _checked(probability, outcome)
    loss: FloatArray = 1.0 - p[np.arange(len(y)), y] / np.linalg.norm(p, axis=1)
    return loss


def ranked_probability_score(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """For options in order (quarters, bands): how far off, weighing a near miss less than a far one.

    Formula: sum over the first K - 1 options of (P(at most k) - [outcome at most k])^2, divided by K - 1, so
    0 to 1 (Epstein 1969, J Appl Meteorol 8:985; Murphy 1971). Undivided it is (K - 1) times this.

    >>> ranked_probability_score([[0.5, 0.5, 0.0]] * 3, [0, 1, 2]).tolist()
    [0.125, 0.125, 0.625]
    """
    p, y = _checked(probability, outcome)
    steps = p.shape[1] - 1
    said = np.cumsum(p, axis=1)[:, :-1]
    happened = np.arange(steps) >= y[:, np.newaxis]
    loss: FloatArray = np.square(said - happened).sum(axis=1) / steps
    return loss


def _checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[FloatArray, NDArray[np.int64]]:
    p = np.atleast_2d(np.asarray(probability, dtype=np.float64))
    y = np.asarray(outcome)
    if p.ndim != 2 or p.shape[1] < 2 or y.shape != p.shape[:1]:
        raise ValueError("one row of two or more probabilities and one outcome for each forecast")
    if not bool(np.all((p >= 0.0) & (p <= 1.0))) or not np.allclose(p.sum(axis=1), 1.0, atol=_SUM_TOLERANCE):
        raise ValueError("the probabilities of a forecast must lie in 0..1 and sum to 1")
    if y.dtype.kind not in "iu" or not bool(np.all((y >= 0) & (y < p.shape[1]))):
        raise ValueError(f"an outcome is the position of an option, 0 to {p.shape[1] - 1}")
    return p, y.astype(np.int64)

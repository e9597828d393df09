"""Proper scores of probabilities for yes/no questions: Brier, logarithmic, spherical.

Every ``*_score`` is a loss: lower is better and zero is perfect. All three are strictly proper: nobody
can lower the expected loss by saying anything but what he believes (Gneiting & Raftery 2007, JASA
102:359). Outcomes are 1 (yes) and 0 (no); a fraction y is scored as the mean loss over yes with weight y
and no with weight 1 - y, except for Brier, where (p - y)^2 is the customary reading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

SCORE_VERSION = "1"  # changes whenever a stored score would come out differently
DEFAULT_LOG_CLIP = 0.001  # the finest tick of the platforms we read


def brier_score(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """How far each forecast was from what happened, squared: 0 (perfect) to 1.

    Formula: (p - y)^2, the one-category form; the original sums both categories and is twice that
    (Brier 1950, Mon Weather Rev 78:1). Arrays broadcast. Raises ValueError outside 0..1.

    >>> brier_score([0.9, 0.9], [1, 0]).round(4).tolist()
    [0.01, 0.81]
    """
    p, y = _checked(probability, outcome)
    return _brier(p, y)


def log_score(probability: ArrayLike, outcome: ArrayLike, *, clip: float = DEFAULT_LOG_CLIP) -> FloatArray:
    """Surprise at what happened, in nats: 0 (sure and right) to -ln(clip).

    Formula: -ln(probability given to what happened), with p moved into [clip, 1 - clip] first (Good
    1952, JRSS B 14:107). Clipping is a policy: without it one sure and wrong forecast costs an infinite
    amount; count it with ``clipped``. Raises ValueError outside 0..1, or for a clip outside [0, 0.5).

    >>> log_score([0.5, 1.0], [1, 0], clip=0.001).round(4).tolist()
    [0.6931, 6.9078]
    """
    p, y = _checked(probability, outcome)
    bounded, _ = clipped(p, clip)
    with np.errstate(divide="ignore"):
        return _log(bounded, y)


def spherical_reward(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """The classical spherical score, higher is better: 0 (sure and wrong) to 1 (sure and right).

    Formula: p_outcome / sqrt(p^2 + (1 - p)^2) (Gneiting & Raftery 2007, eq. 3.3 ff., alpha = 2).

    >>> spherical_reward([0.5, 1.0], [1, 0]).round(4).tolist()
    [0.7071, 0.0]
    """
    p, y = _checked(probability, outcome)
    return _spherical(p, y)


def spherical_score(probability: ArrayLike, outcome: ArrayLike) -> FloatArray:
    """The spherical score turned into a loss like the other two: 1 - ``spherical_reward``.

    >>> spherical_score([0.5, 1.0], [1, 0]).round(4).tolist()
    [0.2929, 1.0]
    """
    return 1.0 - spherical_reward(probability, outcome)


def clipped(probability: ArrayLike, clip: float) -> tuple[FloatArray, int]:
    """Probabilities moved into [clip, 1 - clip], and how many had to be moved.

    >>> moved, count = clipped([0.0, 0.5, 0.9999], 0.001)
    >>> moved.tolist(), count
    ([0.001, 0.5, 0.999], 2)
    """
    if not 0.0 <= clip < 0.5:
        raise ValueError(f"the clip of the log score must lie in [0, 0.5), got {clip!r}")
    p = np.asarray(probability, dtype=np.float64)
    bounded = np.clip(p, clip, 1.0 - clip)
    return bounded, int(np.count_nonzero(bounded != p))


def _brier(p: FloatArray, y: FloatArray) -> FloatArray:
    return np.square(p - y)


def _log(p: FloatArray, y: FloatArray) -> FloatArray:
    # where() keeps 0 * inf out of the certain cases when nothing was clipped
    yes = np.where(y > 0.0, -y * np.log(np.where(y > 0.0, p, 1.0)), 0.0)
    no = np.where(y < 1.0, -(1.0 - y) * np.log(np.where(y < 1.0, 1.0 - p, 1.0)), 0.0)
    loss: FloatArray = yes + no
    return loss


def _spherical(p: FloatArray, y: FloatArray) -> FloatArray:
    reward: FloatArray = (y * p + (1.0 - y) * (1.0 - p)) / np.hypot(p, 1.0 - p)
    return reward


def _checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(outcome, dtype=np.float64)
    for name, values in (("probabilities", p), ("outcomes", y)):
        if not bool(np.all((values >= 0.0) & (values <= 1.0))):  # a NaN fails both comparisons
            raise ValueError(f"{name} must lie in 0..1 and not be missing")
    return p, y

"""Metaculus' scores by its published formulas: higher is better, 0 is what a stated yardstick would get.

Baseline compares with an even spread, peer with the geometric mean of everybody's forecasts at the moment.
Sources: the Scores FAQ, and ``scoring/score_math.py`` and ``utils/the_math/formulas.py`` of the public repository
Metaculus/metaculus. A distribution is a CDF at N + 1 equally spaced places 0..1 of the question's range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tracker.scoring.scores import FloatArray

BEYOND = 0.05  # what the yardstick gives to each open end


@dataclass(frozen=True)
class Scale:
    """A question's range: a value is at place u where value = low + (high - low)(r^u - 1)/(r - 1).

    r = (high - zero)/(low - zero) where the scale bends about a ``zero`` outside the range, else it is linear.
    """

    low: float
    high: float
    zero: float | None = None

    def place(self, value: float) -> float:
        """Where in the range a value lies: 0 at the lower end, 1 at the upper, beyond them outside 0..1.

        >>> Scale(1.0, 100.0, 0.0).place(10.0), Scale(0.0, 4.0).place(5.0)
        (0.5, 1.25)
        """
        along = (value - self.low) / (self.high - self.low)
        if self.zero is None or not 0.0 < along < 1.0:
            return along
        ratio = (self.high - self.zero) / (self.low - self.zero)
        return round(math.log1p(along * (ratio - 1.0)) / math.log(ratio), 12)


def bucket_probabilities(cdf: ArrayLike) -> FloatArray:
    """Probability of each bucket: below the range, each step of it, above: N + 2 numbers that sum to 1.

    >>> bucket_probabilities([0.1, 0.5, 0.8]).round(3).tolist()
    [0.1, 0.4, 0.3, 0.2]
    """
    said = np.asarray(cdf, dtype=np.float64)
    return np.concatenate([said[:1], np.diff(said), 1.0 - said[-1:]])


def bucket_of(place: float, steps: int) -> int:
    """The bucket of an outcome at a place of the range; a border belongs to the bucket below it.

    >>> [bucket_of(u, 4) for u in (-0.1, 0.0, 0.25, 0.26, 1.0, 1.1)]
    [0, 1, 1, 2, 4, 5]
    """
    if place < 0.0:
        return 0
    if place > 1.0:
        return steps + 1
    return min(steps, max(1, math.floor(place * steps + 1 - 1e-10)))


def baseline_score(probability: ArrayLike, options: int = 2) -> FloatArray:
    """100 ln(p k)/ln(k) for the probability p given to what happened among k options: 100 sure and right.

    >>> baseline_score([0.9, 0.5, 0.1]).round(4).tolist()
    [84.7997, 0.0, -232.1928]
    """
    with np.errstate(divide="ignore"):
        reward: FloatArray = 100.0 * np.log(np.asarray(probability) * options) / math.log(options)
    return reward


def baseline_score_cdf(cdf: ArrayLike, bucket: int, *, open_bounds: int) -> float:
    """50 ln(probability of the outcome's bucket / that of the yardstick).

    The yardstick gives 0.05 to each of the ``open_bounds`` ends and the rest evenly to the steps between.
    """
    said = bucket_probabilities(cdf)
    steps = said.size - 2
    outside = bucket in (0, steps + 1)
    yardstick = BEYOND if outside else (1.0 - BEYOND * open_bounds) / steps
    return 50.0 * math.log(said[bucket] / yardstick) if said[bucket] > 0.0 else -math.inf


def peer_scores(probability: Mapping[str, float], *, continuous: bool = False) -> dict[str, float]:
    """100 N/(N-1) ln(p / geometric mean of all N) for what each forecaster gave to what happened.

    They sum to zero. Halved for a ``continuous`` question, where p is the probability of the outcome's bucket.
    One forecaster alone has nobody to be compared with and gets 0, as on Metaculus.

    >>> {name: round(score, 3) for name, score in peer_scores({"a": 0.8, "b": 0.2}).items()}
    {'a': 138.629, 'b': -138.629}
    """
    n = len(probability)
    if n < 2:
        return dict.fromkeys(probability, 0.0)
    logs = {name: math.log(p) if p > 0.0 else -math.inf for name, p in probability.items()}
    mean = sum(logs.values()) / n
    if mean == -math.inf:
        raise ValueError("somebody gave no chance to what happened: clip the forecasts first")
    factor = (50.0 if continuous else 100.0) * n / (n - 1)
    return {name: factor * (log - mean) for name, log in logs.items()}

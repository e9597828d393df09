"""What was said of a number, a date or several options, and what it came to: the records that scores are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Form(StrEnum):
    """How a distribution was given."""

    CDF = "cdf"  # linear between the points, the mass p[0] below and 1 - p[-1] above
    GRID = "grid"  # a CDF on one of Metaculus' grids: each cell is 1/K of the range, however it bends
    QUANTILES = "quantiles"  # nothing is said between and beyond the points
    DRAWS = "draws"  # x are draws from the distribution, in any order; p is empty
    OPTIONS = "options"  # x counts them; p is the probability of each, together 1
    ORDERED = "ordered"  # options that have an order: near misses are told from far ones
    RUNGS = "rungs"  # prices of one thing at several deadlines or thresholds; they may fail to rise


@dataclass(frozen=True)
class Shape:
    """A distribution as it was given: P(at most ``x[k]``) = ``p[k]``, ``x`` strictly rising; dates in Unix seconds."""

    x: tuple[float, ...]
    p: tuple[float, ...]
    form: Form = Form.CDF

    @property
    def rises(self) -> bool:
        return all(a <= b for a, b in zip(self.p, self.p[1:], strict=False))


@dataclass(frozen=True)
class Answer:
    """What a question came to, and its life in days on one scale (``lives.Life``, for a number instead of 0 or 1).

    ``value``: infinite where it lies beyond the range on that side. ``span``: the range asked about. ``dated``: value
    and range are Unix seconds. ``event`` names what it shares with other questions (default: the question itself).
    ``reveals``: when a hidden crowd was to be shown (NaN: it was not hidden).
    """

    question: str
    value: float
    opens: float
    closes: float
    ends: float
    span: tuple[float, float] | None = None
    dated: bool = False
    event: str = ""
    reveals: float = math.nan

    def __post_init__(self) -> None:
        if not self.opens < self.closes or not self.opens <= self.ends <= self.closes:
            raise ValueError(f"{self.question}: times must be opens < closes and opens <= ends <= closes")
        if math.isnan(self.value) or (self.span is not None and not self.span[0] < self.span[1]):
            raise ValueError(f"{self.question}: a value and a range that rises are needed")

    @property
    def cluster(self) -> str:
        return self.event or self.question


@dataclass(frozen=True)
class Told:
    """What somebody said over time: ``shapes[i]`` stands from ``at[i]`` (days) to ``at[i + 1]``; None: nothing does."""

    at: tuple[float, ...]
    shapes: tuple[Shape | None, ...]

    def __post_init__(self) -> None:
        if len(self.at) != len(self.shapes) or any(
            b <= a for a, b in zip(self.at, self.at[1:], strict=False)
        ):
            raise ValueError("as many distributions as times, and times must strictly rise")

    def standing(self, moment: float) -> Shape | None:
        """What stood at a moment."""
        position = int(np.searchsorted(self.at, moment, side="right")) - 1
        return self.shapes[position] if position >= 0 else None


@dataclass(frozen=True, order=True)
class Measure:
    """Which number is told, and in what: ``unit`` is range, days, rungs, or points of Metaculus.

    ``crps``, ``weighted_interval_score``, ``quantile_score``, ``ranked_probability_score`` and those of options are
    losses, ``baseline`` and ``peer`` (``scoring.peers``) are rewards. ``levels`` of the quantiles: only equal ones
    compare.
    """

    name: str
    unit: str
    levels: tuple[float, ...] = ()


BASELINE, PEER = Measure("baseline", "points"), Measure("peer", "points")
REWARDS = (BASELINE, PEER)


def place_on(x: Sequence[float], value: float) -> float:
    """Where in the grid a value lies, its cells all of one width: 0 at the first point, 1 at the last."""
    if value < x[0]:
        return -1.0
    if value > x[-1]:
        return 2.0
    # a border of two cells must come out as that border
    return round(float(np.interp(value, x, np.linspace(0.0, 1.0, len(x)))), 12)

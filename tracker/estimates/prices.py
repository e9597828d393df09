"""How a price is read: what it pays, what tied-up money does to it, how much it counts, how prices are pooled.

Nothing here corrects a price by a guess. What a price cannot tell is an interval, or no reading at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from questions.model import Transform
from questions.records import Quantity, Snapshot
from tracker.errors import UsageError

CARRY_RATE = 0.04
MIN_PROBABILITY, MAX_PROBABILITY = 0.005, 0.995

Kind = Literal["real_money", "play_money", "forecasters", "panel"]
KINDS: dict[Quantity, Kind] = {
    Quantity.FORECASTER_MEDIAN: "forecasters",
    Quantity.PLAY_MONEY_PRICE: "play_money",
    Quantity.REAL_MONEY_MID: "real_money",
    Quantity.REAL_MONEY_LAST: "real_money",
    Quantity.CROWD_DAILY: "forecasters",
    Quantity.PANEL_MEDIAN: "panel",
    Quantity.TEAM_MEAN: "panel",
}


def kind_of(quantity: Quantity, money: str | None = None) -> Kind:
    """What stands behind a value. A daily crowd value is what its platform trades in (``money`` none, play,
    real), which its own quantity does not tell."""
    if quantity is Quantity.CROWD_DAILY and money in ("play", "real"):
        return "play_money" if money == "play" else "real_money"
    return KINDS[quantity]


@dataclass(frozen=True)
class Quality:
    """How the quality of a price becomes a weight of 0..1; what a source does not tell counts as 1.

    Weight = min(1, liquidity / ``full_depth``) * exp(-age / ``memory_days``) * exp(-spread / ``spread_scale``).
    ``full_depth`` by kind, in the platform's own money. Halve or double them to see what they matter
    (``scaled``).
    """

    full_depth: dict[Kind, float] = field(default_factory=lambda: {"real_money": 1000.0, "play_money": 100.0})
    memory_days: float = 60.0
    spread_scale: float = 0.25

    def weight(self, snapshot: Snapshot, age_days: float, kind: Kind) -> float:
        full = self.full_depth.get(kind)
        depth = 1.0 if full is None or snapshot.liquidity is None else min(1.0, snapshot.liquidity / full)
        spread = snapshot.spread or 0.0
        return (
            depth * math.exp(-max(age_days, 0.0) / self.memory_days) * math.exp(-spread / self.spread_scale)
        )

    def scaled(self, *, depth: float = 1.0, memory: float = 1.0, spread: float = 1.0) -> Quality:
        return Quality(
            {kind: value * depth for kind, value in self.full_depth.items()},
            self.memory_days * memory,
            self.spread_scale * spread,
        )

    def alternatives(self) -> tuple[Quality, ...]:
        """Each setting halved and doubled."""
        return tuple(
            self.scaled(**{name: factor}) for name in ("depth", "memory", "spread") for factor in (0.5, 2.0)
        )


@dataclass(frozen=True)
class Reading:
    """A probability read from a price: ``low`` <= ``value`` <= ``high``; ``value`` None when the price alone
    does not tell one."""

    value: float | None
    low: float
    high: float
    note: str = ""


def read_price(price: float, transform: Transform, neither: float | None = None) -> Reading:
    """The probability of Yes that a price tells, by what the market pays.

    ``half_if_neither``: the price is P(yes) + P(neither) / 2, so P(yes) = price - neither / 2 where
    ``neither`` is known (from a question of its own), and else only lies in
    max(0, 2 price - 1)..price. ``share`` and ``void`` tell no probability. Raises UsageError when ``neither``
    is more than such a price leaves room for.
    """
    if transform is Transform.IDENTITY:
        return Reading(price, price, price)
    if transform is Transform.HALF_IF_NEITHER:
        if neither is None:
            return Reading(None, max(0.0, 2.0 * price - 1.0), price, "pays half if neither")
        value = price - neither / 2.0
        if not (0.0 <= neither <= 1.0 and value >= -1e-9 and value + neither <= 1.0 + 1e-9):
            raise UsageError(f"a price of {price:g} and P(neither) of {neither:g} do not go together")
        value = min(max(value, 0.0), 1.0)
        return Reading(value, value, value)
    if transform is Transform.SHARE:
        return Reading(None, 0.0, 1.0, "pays a share, not a probability")
    return Reading(None, 0.0, 1.0, "annulled by its own rules")


def carry_band(price: float, years: float, rate: float = CARRY_RATE) -> tuple[float, float]:
    """The probabilities a price can stand for when money is tied up until the end.

    With v = (1 + rate)^-years, nobody gains by moving a price in v p .. 1 - v (1 - p): buying Yes or No there
    earns less than the rate. So p lies in (price - (1 - v)) / v .. price / v, within 0..1; at 4% a year,
    17.8 cents five years out can still mean never. Raises UsageError for a rate below 0.
    """
    if not rate >= 0:
        raise UsageError(f"the rate of return must be 0 or more, got {rate}")
    v = (1.0 + rate) ** -max(years, 0.0)
    return max(0.0, (price - (1.0 - v)) / v), min(1.0, price / v)


def pool_log_odds(
    probabilities: Sequence[float], weights: Sequence[float] | None = None, *, extremize: float = 1.0
) -> float:
    """One probability of one event from several: the weighted mean of log-odds, times ``extremize``.

    Clipped to 0.005..0.995 first. Crowds that read each other are not independent, so nothing is
    extremized by default. UsageError for no probabilities, negative weights or none above 0.
    """
    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), MIN_PROBABILITY, MAX_PROBABILITY)
    weight = np.ones(len(clipped)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(clipped) or len(weight) != len(clipped) or (weight < 0).any() or not weight.sum() > 0:
        raise UsageError("a pool needs probabilities and a weight of 0 or more for each, not all 0")
    pooled = extremize * float(weight @ np.log(clipped / (1.0 - clipped))) / float(weight.sum())
    return 1.0 / (1.0 + math.exp(-pooled))


def monotone(probabilities: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Rungs of a ladder from the easiest to the hardest, made never to rise, by the least weighted change.

    Isotonic regression by pooling adjacent violators; rungs of weight 0 take part with next to none. A ladder
    that is in order already comes back as it is.
    """
    floor = max(weights, default=0.0) * 1e-9 or 1.0
    blocks: list[tuple[float, float, int]] = []  # mean, weight, rungs
    for value, weight in zip(probabilities, weights, strict=True):
        mean, mass, size = value, max(weight, floor), 1
        while blocks and blocks[-1][0] < mean:
            above, more, rungs = blocks.pop()
            mean = (mean * mass + above * more) / (mass + more)
            mass, size = mass + more, size + rungs
        blocks.append((mean, mass, size))
    return [mean for mean, _, size in blocks for _ in range(size)]

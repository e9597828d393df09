"""A voice: one source of opinion about the order in which areas are sped up, and how two compare.

Every voice (internal model, market, trend, panel) has the same shape, so that they can be laid side by
side. An area a voice has no evidence about is not in its ``coverage``: it has no view, it is not last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tracker.estimates.races import DateCdf


@dataclass(frozen=True)
class Evidence:
    """One external or internal value a voice rests on, and how it bears on an area.

    ``probability`` is the raw value; ``adjusted`` what is made of it (as paid, turned to the faster outcome,
    on its ladder), ``low`` and ``high`` what it can stand for. ``kind``: real_money, play_money, forecasters,
    panel. ``flag``: why a value has no weight, such as a spread too wide; empty when it counts.
    """

    area: str
    question: str
    source: str
    relation: str
    weight: float
    probability: float | None = None
    as_of: datetime | None = None
    label: str = ""
    kind: str = ""
    adjusted: float | None = None
    low: float | None = None
    high: float | None = None
    flag: str = ""


@dataclass(frozen=True)
class Voice:
    """What one voice says.

    ``scores``: the voice's own unit, larger = sooner; ``ranking``: soonest first, covered areas only;
    ``rank_probabilities[area][r]``: probability of rank r + 1 among the covered areas; ``mean_rank``
    counts from 1; ``p_before[a][b]``: probability that a comes before b (the rest is b first, or
    neither when the voice has such mass); ``group_means``: mean score of each group;
    ``p_capabilities_first``: probability that the capabilities mean comes before the safety mean;
    ``tau_b_self``: mean Kendall tau-b between single draws and the ranking, how firm the order is.
    ``draws`` (n, len(coverage)): sampled scores, larger = sooner, columns in ``coverage`` order.
    ``score_sds``: how unsure each score is, without the luck of how things then fall; empty where the draws
    hold nothing but that doubt. ``p_before_ci90``: 90% interval of a pair's probability where the voice estimates
    one from evidence.
    ``unused``: values that bear on an area and do not count now, with their flags. ``marginals``: when each
    area comes, by itself, in years from now; empty for a voice that says nothing about dates.
    With nothing to say, ``ranking`` is empty and ``reason`` tells why.
    """

    name: str
    model: str
    scores: Mapping[str, float] = field(default_factory=dict)
    ranking: tuple[str, ...] = ()
    rank_probabilities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    mean_rank: Mapping[str, float] = field(default_factory=dict)
    p_before: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    group_means: Mapping[str, float] = field(default_factory=dict)
    p_capabilities_first: float | None = None
    tau_b_self: float | None = None
    coverage: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    unused: tuple[Evidence, ...] = ()
    note: str = ""
    reason: str = ""
    score_sds: Mapping[str, float] = field(default_factory=dict, repr=False)
    p_before_ci90: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict, repr=False)
    marginals: Mapping[str, DateCdf] = field(default_factory=dict, compare=False, repr=False)
    draws: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Disagreement:
    """A pair on which two voices stand on opposite sides of one half by at least 0.15 each.

    ``weeks``: for how many weeks running; None when earlier weeks were not looked at.
    """

    first: str
    second: str
    p_a: float
    p_b: float
    weeks: int | None


@dataclass(frozen=True)
class RankMove:
    """Where two voices put an area among those they share; ``moved`` > 0: later by the second voice."""

    area: str
    rank_a: float
    rank_b: float

    @property
    def moved(self) -> float:
        return self.rank_b - self.rank_a


@dataclass(frozen=True)
class Comparison:
    """How two voices' orders compare on the areas both cover.

    ``tau_b``: Kendall's tau-b of the scores; ``tau_b_ci90``: from resampling both sides; ``tau_latent_ci90``:
    of tau-b behind both sides' noise (``latent``); ``tau_x``: the
    same where a tie is a statement; ``tau_null_sd``: the standard deviation of tau if the orders had
    nothing to do with each other, ``tau_null_ci90`` the exact interval that holds nine tenths of such, and
    ``p_chance`` how often they would be as far from 0; ``weighted_distance`` (0..1): share of pair weight on
    discordant pairs, each pair weighing |p - 1/2| of both sides; ``moves``: the largest first. Fewer than four
    shared areas: all None, and ``reason`` says so.
    """

    a: str
    b: str
    areas: tuple[str, ...]
    tau_b: float | None = None
    tau_b_ci90: tuple[float, float] | None = None
    tau_null_sd: float | None = None
    weighted_distance: float | None = None
    disagreements: tuple[Disagreement, ...] = ()
    reason: str = ""
    tau_x: float | None = None
    tau_null_ci90: tuple[float, float] | None = None
    p_chance: float | None = None
    moves: tuple[RankMove, ...] = ()
    tau_latent_ci90: tuple[float, float] | None = None

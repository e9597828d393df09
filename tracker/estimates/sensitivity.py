"""What would have to be thought otherwise for the internal model's order to change.

The model is linear in its weights, so these questions have exact answers: no sampling is involved.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from questions.model import FactorTable
from tracker.errors import UsageError
from tracker.estimates.factors import factor_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Swap:
    """How little it takes to level two areas, the one that now leads first.

    ``gap``: points between them. ``moved_share``: the smallest share of all weight that must move between
    factors (0..1), giving ``weights``; None when ``first`` leads under any weights. ``distance``: Euclidean
    length of the smallest change of weight shares, signs free. ``single_weights``: per factor the weight that
    alone, the others as they are, levels the pair; ``single_scores``: points one of the two areas'
    scores on that factor would have to move. Factors that cannot do it are left out.
    """

    first: str
    second: str
    gap: float
    moved_share: float | None
    weights: Mapping[str, float] | None
    distance: float | None
    single_weights: Mapping[str, float] = field(default_factory=dict)
    single_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NearestWeights:
    """The weights closest to the stated ones that give an order; infeasible (``weights`` None) is a finding.

    ``moved_share``: share of all weight that moves (0..1). ``order``: what was asked for.
    """

    order: tuple[str, ...]
    weights: Mapping[str, float] | None
    moved_share: float | None
    reason: str = ""


def smallest_swap(table: FactorTable, one: str, two: str) -> Swap:
    """The smallest change that levels a pair of areas. Raises UsageError for unknown or equal areas.

    With weight shares w and score differences d the gap is w.d. The cheapest way to close it takes weight
    from the factor with the largest d and gives it to the one with the smallest, then from the next. Signs
    left free, the Euclidean distance is |w.d| / ||d - mean(d)||.
    """
    _check(table, (one, two))
    if one == two:
        raise UsageError(f"{one} cannot swap with itself")
    scores = factor_scores(table)
    first, second = (one, two) if scores[one] >= scores[two] else (two, one)
    stated = np.array([table.weights[factor] for factor in table.factors], dtype=np.float64)
    difference = np.array([row[first] - row[second] for row in table.scores.values()])
    shares = stated / stated.sum()
    gap = float(shares @ difference)
    moved = _levelled(shares, difference, gap)
    spread = float(np.linalg.norm(difference - difference.mean()))
    return Swap(
        first,
        second,
        gap,
        None if moved is None else float(np.abs(moved - shares).sum() / 2),
        None if moved is None else dict(zip(table.factors, moved.tolist(), strict=True)),
        abs(gap) / spread if spread > 0 else None,
        _single_weights(table.factors, stated, difference),
        {
            factor: gap * float(stated.sum()) / weight
            for factor, weight in zip(table.factors, stated.tolist(), strict=True)
            if weight > 0
        },
    )


def neighbours(table: FactorTable) -> tuple[Swap, ...]:
    """The smallest change for every pair of neighbours in the model's order, from the top."""
    scores = factor_scores(table)
    order = sorted(scores, key=lambda area: -scores[area])
    return tuple(smallest_swap(table, a, b) for a, b in itertools.pairwise(order))


def nearest_weights(table: FactorTable, order: Sequence[str], *, margin: float = 0.0) -> NearestWeights:
    """The weights closest to the stated ones (in shares, sum of absolute changes) under which the areas of
    ``order`` come out in that order, each at least ``margin`` points before the next.

    A linear programme. When no weights do it, that is a finding about the table's scores and said so.
    Raises UsageError for unknown or doubled areas.
    """
    from scipy.optimize import linprog

    _check(table, order)
    if len(set(order)) != len(order):
        raise UsageError(f"an area stands twice in the order {', '.join(order)}")
    stated = np.array([table.weights[factor] for factor in table.factors], dtype=np.float64)
    shares = stated / stated.sum()
    k = len(shares)
    steps = np.array(
        [[row[a] - row[b] for row in table.scores.values()] for a, b in itertools.pairwise(order)]
    ).reshape(-1, k)
    # variables: new shares w, then bounds u >= |w - shares|
    zeros, one = np.zeros_like(steps), np.eye(k)
    found = linprog(
        np.concatenate([np.zeros(k), np.ones(k)]),
        A_ub=np.block([[-steps, zeros], [one, -one], [-one, -one]]),
        b_ub=np.concatenate([np.full(len(steps), -margin), shares, -shares]),
        A_eq=np.concatenate([np.ones(k), np.zeros(k)])[None, :],
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    if found.status == 2:
        reason = "no weights of the factors give this order: the scores themselves speak against it"
        return NearestWeights(tuple(order), None, None, reason)
    if found.status != 0:
        raise UsageError(f"the nearest weights could not be found: {found.message}")
    new = np.asarray(found.x)[:k]
    return NearestWeights(
        tuple(order),
        dict(zip(table.factors, new.tolist(), strict=True)),
        float(np.abs(new - shares).sum() / 2),
    )


def _levelled(
    shares: Floats,
    difference: Floats,
    gap: float,
) -> Floats | None:
    """Weight shares that close the gap with the least weight moved; None when none do."""
    taker = int(np.argmin(difference))
    if difference[taker] > 0:
        return None
    new = shares.copy()
    for giver in np.argsort(-difference):
        step = float(difference[giver] - difference[taker])
        if gap <= 0 or step <= 0:
            break
        moved = min(float(new[giver]), gap / step)
        new[giver] -= moved
        new[taker] += moved
        gap -= moved * step
    return new


def _single_weights(
    factors: Sequence[str],
    stated: Floats,
    difference: Floats,
) -> dict[str, float]:
    total = float(stated @ difference)
    found = {}
    for factor, weight, gain in zip(factors, stated.tolist(), difference.tolist(), strict=True):
        if gain != 0:
            value = weight - total / gain
            if value >= 0 and stated.sum() - weight + value > 0:
                found[factor] = value
    return found


def _check(table: FactorTable, areas: Sequence[str]) -> None:
    unknown = sorted(set(areas) - set(table.areas))
    if unknown:
        raise UsageError(f"unknown area {', '.join(unknown)}; the table has {', '.join(table.areas)}")

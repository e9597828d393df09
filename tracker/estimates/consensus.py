"""From probabilities of pairs, or from rankings, to one order; each method says how well an order fits.

HodgeRank fits log-odds of pairs by differences of scores and measures what no order can explain.
Bradley-Terry does the same for counts of wins. Kemeny's order reverses the least probability. Plackett-Luce
is for rankings, full or partial. Near ties they can differ: the draws' rank probabilities say how near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError

Floats = NDArray[np.float64]

CLIP = 0.001
PRIOR_WINS = 0.5
MAX_AREAS = 14


@dataclass(frozen=True)
class Hodge:
    """Scores (log-odds, mean 0) that fit pairs best; ``inconsistency``: share of the sum of squares left.

    ``loops``: the sum of log-odds round each three areas (i, j, k), the largest in size first; 0 means
    that the three fit an order exactly.
    """

    scores: Floats
    inconsistency: float
    loops: tuple[tuple[tuple[int, int, int], float], ...]


def log_odds(before: Floats) -> tuple[Floats, Floats]:
    """Log-odds of row before column given that one is first, and 1 or 0 for whether that is known, (k, k).

    Clipped to 0.001..0.999; a pair of which neither is ever first is not known.
    """
    decided = before + before.T
    known = decided > 0
    np.fill_diagonal(known, False)
    share = np.divide(before, decided, out=np.full_like(before, 0.5, dtype=np.float64), where=known)
    clipped = np.clip(share, CLIP, 1.0 - CLIP)
    return np.where(known, np.log(clipped / (1.0 - clipped)), 0.0), known.astype(np.float64)


def hodge(before: Floats, weights: Floats | None = None) -> Hodge:
    """HodgeRank of pair probabilities (Jiang, Lim, Yao and Ye 2011, Math. Program. 127:203).

    Weighted least squares of the log-odds on differences of scores; ``weights`` (k, k), symmetric, say how
    much each pair counts (default: every known pair the same).
    """
    flow, known = log_odds(before)
    weight = known if weights is None else known * weights
    laplacian = np.diag(weight.sum(axis=1)) - weight
    scores = np.linalg.pinv(laplacian, hermitian=True) @ (weight * flow).sum(axis=1)
    rest = flow - (scores[:, None] - scores[None, :])
    total = float((weight * flow**2).sum())
    loops = [
        ((i, j, k), float(flow[i, j] + flow[j, k] + flow[k, i]))
        for i, j, k in combinations(range(len(before)), 3)
        if weight[i, j] > 0 and weight[j, k] > 0 and weight[i, k] > 0
    ]
    return Hodge(
        scores,
        float((weight * rest**2).sum()) / total if total > 0 else 0.0,
        tuple(sorted(loops, key=lambda loop: (-abs(loop[1]), loop[0]))),
    )


def bradley_terry(wins: Floats, *, prior_wins: float = PRIOR_WINS) -> tuple[Floats, Floats]:
    """Strengths s with P(i before j) = 1 / (1 + exp(s_j - s_i)), mean 0, and their covariance.

    ``wins`` (k, k) may be fractional: how often row came before column. Maximum likelihood by Newton's
    method; ``prior_wins`` is added to every pair both ways (0 leaves the plain likelihood, whose strengths
    are infinite unless every area both wins and loses against the others directly or through others).
    UsageError when that is so, or for negative counts.
    """
    counts = np.asarray(wins, dtype=np.float64) + prior_wins
    np.fill_diagonal(counts, 0.0)
    if (counts < 0).any():
        raise UsageError("a number of wins cannot be negative")
    k = len(counts)
    if not _connected(counts):
        raise UsageError("some areas only win against others: their strengths have no bound without a prior")
    games, scores = counts + counts.T, np.zeros(k)
    for _ in range(100):
        chance = 1.0 / (1.0 + np.exp(scores[None, :] - scores[:, None]))
        gradient = (counts - games * chance).sum(axis=1)
        weight = games * chance * (1.0 - chance)
        information = np.diag(weight.sum(axis=1)) - weight
        step = np.linalg.pinv(information, hermitian=True) @ gradient
        scores = scores + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-10:
            break
    covariance: Floats = np.linalg.pinv(information, hermitian=True).astype(np.float64)
    return scores - scores.mean(), covariance


def kemeny(before: Floats) -> tuple[tuple[int, ...], float]:
    """The order with the least probability against it, and that sum: indices, first to last.

    Exact, by dynamic programming over sets of areas; of equally good orders always the same one.
    UsageError for more than 14 areas.
    """
    k = len(before)
    if k > MAX_AREAS:
        raise UsageError(f"an exact consensus order takes {MAX_AREAS} areas at most, got {k}")
    # cost of putting i after all of a set: the chance that i comes before each of them
    masks = np.arange(1 << k)
    inside = (masks[:, None] >> np.arange(k)) & 1
    against = inside @ before.T  # (masks, i): sum over j in the set of P(i before j)
    best = np.full(1 << k, np.inf)
    last = np.full(1 << k, -1, dtype=np.int64)
    best[0] = 0.0
    for size in range(1, k + 1):
        for mask in masks[inside.sum(axis=1) == size].tolist():
            for i in range(k - 1, -1, -1):
                if mask >> i & 1:
                    rest = mask ^ (1 << i)
                    cost = best[rest] + against[rest, i]
                    if cost < best[mask] - 1e-12:
                        best[mask], last[mask] = cost, i
    order, mask = [], (1 << k) - 1
    while mask:
        order.append(int(last[mask]))
        mask ^= 1 << order[-1]
    return tuple(reversed(order)), float(best[-1])


def plackett_luce(rankings: Sequence[Sequence[int]], count: int, *, prior: float = 0.1) -> Floats:
    """Strengths, mean 0, of ``count`` items from rankings (first to last; partial ones name some items).

    Maximum likelihood under Plackett-Luce with a little regularisation ``prior``, so that an item that is
    always last keeps a finite strength (choix; Maystre and Grossglauser 2015). An item that nobody ranks
    stays at the mean. Only what happens may be ranked: never and ties have no place here. UsageError for
    no rankings, an unknown item, or one named twice.
    """
    import choix

    usable = [tuple(ranking) for ranking in rankings if len(ranking) > 1]
    for ranking in rankings:
        if len(set(ranking)) != len(ranking) or not all(0 <= item < count for item in ranking):
            raise UsageError(f"a ranking names items of 0..{count - 1} once each, got {list(ranking)}")
    if not usable:
        raise UsageError("a ranking needs two or more items")
    strengths: Floats = np.asarray(choix.ilsr_rankings(count, usable, alpha=prior), dtype=np.float64)
    strengths -= strengths.mean()
    return strengths


def _connected(wins: Floats) -> bool:
    """Whether each area has won against each other one, directly or through others."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for k in range(len(reach)):
        reach |= reach[:, k, None] & reach[None, k, :]
    return bool(reach.all())

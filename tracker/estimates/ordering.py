"""From draws to an ordering, and from two orderings to how they compare.

A draw is one possible world: a score for every covered area, larger = sooner, ``-inf`` = never. Every
voice is built here, so that ranks, pair probabilities and ties mean the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from questions.model import Group
from tracker.errors import UsageError
from tracker.estimates.kendall import tau_b, tau_critical, tau_null_interval, tau_null_p, tau_null_sd, tau_x
from tracker.estimates.latent import latent_tau
from tracker.estimates.races import DateCdf
from tracker.estimates.voice import Comparison, Disagreement, Evidence, RankMove, Voice

__all__ = [
    "MIN_SHARED_AREAS",
    "compare",
    "disagreeing_pairs",
    "first_of_group",
    "generator",
    "group_with_the_first",
    "rank_moves",
    "tau_b",
    "tau_critical",
    "tau_null_sd",
    "voice_from_draws",
]

MIN_SHARED_AREAS = 4
DISAGREEMENT_MARGIN = 0.15
_ROUNDING = 1e-9


def generator(seed: int, stream: int = 0) -> np.random.Generator:
    """The random numbers of one purpose (``stream``) under a seed; UsageError for a negative seed."""
    if seed < 0:
        raise UsageError(f"seed must not be negative, got {seed}")
    return np.random.default_rng([seed, stream])


# From draws to a voice ------------------------------------------------------------------------------


def voice_from_draws(
    name: str,
    model: str,
    scores: Mapping[str, float],
    draws: NDArray[np.float64],
    groups: Mapping[str, str],
    *,
    p_before: NDArray[np.float64] | None = None,
    evidence: Sequence[Evidence] = (),
    unused: Sequence[Evidence] = (),
    marginals: Mapping[str, DateCdf] | None = None,
    note: str = "",
) -> Voice:
    """What draws say about the order: ranks, pairs, groups, and how firm it is.

    ``scores`` are the voice's best estimates (finite, larger = sooner; their keys are the coverage),
    ``draws`` (n, len(scores)) its possible worlds in the same column order, ``-inf`` = never. Areas tied
    in a draw share its ranks equally and neither is before the other. ``p_before`` (k, k) replaces the
    pair frequencies when the voice knows them more exactly. Equal scores are ranked by mean rank.
    Raises ValueError for NaN, for ``inf`` and for shapes that do not fit.
    """
    areas = tuple(scores)
    base = np.array([scores[area] for area in areas], dtype=np.float64)
    _check_draws(areas, base, draws)
    wins, ahead, tied = _standings(draws)
    frequencies = wins / len(draws) if p_before is None else p_before
    mean_rank = dict(
        zip(areas, (1.0 + ahead.mean(axis=1) + (tied.mean(axis=1) - 1.0) / 2.0).tolist(), strict=True)
    )
    return Voice(
        name=name,
        model=model,
        scores=dict(zip(areas, base.tolist(), strict=True)),
        ranking=tuple(sorted(areas, key=lambda area: (-scores[area], mean_rank[area]))),
        rank_probabilities=_rank_probabilities(areas, ahead, tied),
        mean_rank=mean_rank,
        p_before=_pairs(areas, frequencies),
        group_means=_group_means(areas, base, groups),
        p_capabilities_first=_p_capabilities_first(areas, draws, groups),
        tau_b_self=_mean_tau(draws, base, wins, np.asarray((tied > 1).any(axis=0))),
        coverage=areas,
        evidence=tuple(evidence),
        unused=tuple(unused),
        note=note,
        marginals=dict(marginals or {}),
        draws=draws,
    )


def _check_draws(areas: Sequence[str], base: NDArray[np.float64], draws: NDArray[np.float64]) -> None:
    if not areas:
        raise ValueError("a voice without areas has no draws: give it a reason instead")
    if draws.ndim != 2 or draws.shape[0] < 1 or draws.shape[1] != len(areas):
        raise ValueError(f"draws of shape {draws.shape} do not fit {len(areas)} areas")
    if not np.isfinite(base).all():
        raise ValueError("scores must be finite")
    if np.isnan(draws).any() or np.isposinf(draws).any():
        raise ValueError("draws must be numbers or -inf (never)")


def _standings(
    draws: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16]]:
    """Wins of row over column area (k, k); areas strictly ahead of each and level with it, (k, n).

    One pass per pair of areas over contiguous columns: for ten areas several times as fast as argsort,
    and ties need no case of their own.
    """
    columns = np.ascontiguousarray(draws.T)
    count = len(columns)
    wins = np.zeros((count, count), dtype=np.int64)
    ahead = np.zeros(columns.shape, dtype=np.int16)
    behind = np.zeros(columns.shape, dtype=np.int16)
    for i in range(count):
        for j in range(i + 1, count):
            sooner, later = columns[i] > columns[j], columns[i] < columns[j]
            wins[i, j], wins[j, i] = np.count_nonzero(sooner), np.count_nonzero(later)
            ahead[j] += sooner
            behind[i] += sooner
            ahead[i] += later
            behind[j] += later
    return wins, ahead, np.int16(count) - ahead - behind


def _rank_probabilities(
    areas: Sequence[str], ahead: NDArray[np.int16], tied: NDArray[np.int16]
) -> dict[str, tuple[float, ...]]:
    """P(rank r + 1) per area; an area tied with e - 1 others takes each of the e ranks with 1/e."""
    count, draws = ahead.shape
    share = np.zeros((count, count + 1, count))
    for first in range(count):
        for size in range(1, count - first + 1):
            share[first, size, first : first + size] = 1.0 / size
    result: dict[str, tuple[float, ...]] = {}
    for index, area in enumerate(areas):
        cell = ahead[index].astype(np.int64) * (count + 1) + tied[index]
        seen = np.bincount(cell, minlength=count * (count + 1)).reshape(count, count + 1)
        result[area] = tuple((np.einsum("fs,fsr->r", seen, share) / draws).tolist())
    return result


def _pairs(areas: Sequence[str], matrix: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    return {
        one: {two: float(matrix[i, j]) for j, two in enumerate(areas) if j != i}
        for i, one in enumerate(areas)
    }


def _mean_tau(
    draws: NDArray[np.float64],
    base: NDArray[np.float64],
    wins: NDArray[np.int64],
    level: NDArray[np.bool_],
) -> float | None:
    """Mean tau-b of the draws to the scores, over the draws that order anything; None if none does.

    Draws without a tie (not ``level``) have all their pairs, and the mean of their sums is the sum of means: they are
    taken from the counted ``wins``.
    """
    signs = np.sign(base[:, None] - base[None, :])
    pairs = math.sqrt(np.count_nonzero(signs) / 2 * math.comb(len(base), 2))
    if not pairs:
        return None
    some = draws[level]
    taus = tau_b(some, base) if len(some) else np.empty(0)
    defined = taus[~np.isnan(taus)]
    plain = wins - _standings(some)[0] if len(some) else wins
    count = defined.size + len(draws) - len(some)
    return float((defined.sum() + (signs * plain).sum() / pairs) / count) if count else None


# Groups ---------------------------------------------------------------------------------------------


def _group_columns(areas: Sequence[str], groups: Mapping[str, str]) -> dict[str, list[int]]:
    columns: dict[str, list[int]] = {}
    for index, area in enumerate(areas):
        if area in groups:
            columns.setdefault(str(groups[area]), []).append(index)
    return columns


def _group_means(
    areas: Sequence[str], base: NDArray[np.float64], groups: Mapping[str, str]
) -> dict[str, float]:
    return {group: float(base[columns].mean()) for group, columns in _group_columns(areas, groups).items()}


def _p_capabilities_first(
    areas: Sequence[str], draws: NDArray[np.float64], groups: Mapping[str, str]
) -> float | None:
    columns = _group_columns(areas, groups)
    safety, capabilities = columns.get(Group.SAFETY.value), columns.get(Group.CAPABILITIES.value)
    if not safety or not capabilities:
        return None
    return float(np.mean(draws[:, capabilities].mean(axis=1) > draws[:, safety].mean(axis=1)))


def first_of_group(voice: Voice, groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Probability that an area is the first of its own group: ``result[group][area]``.

    Worlds in which the first place of a group is shared, or in which none of it ever happens, count for
    nobody. Empty for a voice without draws.
    """
    if voice.draws is None:
        return {}
    result: dict[str, dict[str, float]] = {}
    for group, columns in _group_columns(voice.coverage, groups).items():
        members = voice.draws[:, columns]
        best = members.max(axis=1, keepdims=True)
        leads = (members == best) & np.isfinite(best)
        alone = leads & (leads.sum(axis=1, keepdims=True) == 1)
        shares = alone.mean(axis=0).tolist()
        result[group] = {voice.coverage[column]: share for column, share in zip(columns, shares, strict=True)}
    return result


def group_with_the_first(voice: Voice, groups: Mapping[str, str]) -> dict[str, float]:
    """Probability that the first area of all belongs to a group.

    A different question from ``Voice.p_capabilities_first``, which compares the groups' means. Worlds in
    which groups share the first place, or nothing ever happens, count for none. Empty without draws.
    """
    if voice.draws is None:
        return {}
    columns = _group_columns(voice.coverage, groups)
    if not columns:
        return {}
    bests = np.stack([voice.draws[:, members].max(axis=1) for members in columns.values()], axis=1)
    top = bests.max(axis=1, keepdims=True)
    leads = (bests == top) & np.isfinite(top)
    alone = leads & (leads.sum(axis=1, keepdims=True) == 1)
    return dict(zip(columns, alone.mean(axis=0).tolist(), strict=True))


# Two voices -----------------------------------------------------------------------------------------


def compare(
    a: Voice,
    b: Voice,
    *,
    resamples: int = 2_000,
    seed: int,
    weeks_history: Sequence[Collection[tuple[str, str]]] | None = None,
    tie_gaps: tuple[float, float] = (0.0, 0.0),
) -> Comparison:
    """How far two voices order their shared areas alike, and on which pairs they truly disagree.

    A voice's lean on a pair is P(first before second) + P(neither) / 2, so that mass on "never" is no
    opinion either way. ``weighted_distance`` weighs each pair by the product of both sides' |lean - 1/2|:
    a pair that is a coin flip to either side costs nothing. A disagreement has leans on opposite sides
    of 1/2 by 0.15 or more each; ``first`` is the area that ``a`` puts first, and ``p_a``, ``p_b`` are
    the leans. ``weeks`` counts this week and the unbroken run of weeks before it in which the same pair
    stood the same way, from ``weeks_history`` (one collection of (first, second) per week, newest
    last); alert from two on. ``tau_b_ci90`` is the 5% and 95% quantile of tau-b between ``resamples``
    pairs of independent draws, one of each side: two draws of one and the same voice do not agree
    perfectly, so this interval, not 1, is what agreement looks like. ``tie_gaps``: scores of ``a`` (of
    ``b``) no further apart than this are level for ``tau_b``, in that voice's own unit.
    """
    if resamples < 1:
        raise UsageError(f"resamples must be 1 or more, got {resamples}")
    areas = tuple(area for area in a.coverage if area in b.coverage)
    if len(areas) < MIN_SHARED_AREAS:
        return Comparison(a.name, b.name, areas, reason=_too_few(a, b, len(areas)))
    scores = [a.scores[area] for area in areas], [b.scores[area] for area in areas]
    tau = float(tau_b(*scores, gap_x=tie_gaps[0], gap_y=tie_gaps[1]))
    leans = _leans(a, areas), _leans(b, areas)
    return Comparison(
        a=a.name,
        b=b.name,
        areas=areas,
        tau_b=None if math.isnan(tau) else tau,
        tau_b_ci90=_tau_interval(a, b, areas, resamples, generator(seed)),
        tau_null_sd=tau_null_sd(len(areas)),
        weighted_distance=_weighted_distance(*leans),
        disagreements=_disagreements(areas, *leans, weeks_history),
        reason="one side puts all shared areas level: tau is undefined" if math.isnan(tau) else "",
        tau_x=float(tau_x(*scores)),
        tau_null_ci90=tau_null_interval(len(areas)),
        p_chance=None if math.isnan(tau) else tau_null_p(len(areas), tau),
        moves=rank_moves(areas, *scores),
        tau_latent_ci90=latent_tau(a, b, areas, resamples, generator(seed, 3)),
    )


def rank_moves(
    areas: Sequence[str], scores_a: Sequence[float], scores_b: Sequence[float]
) -> tuple[RankMove, ...]:
    """Each area's rank by two sets of scores (1 = largest, ties share the middle), the largest move first."""
    ranks = [_middle_ranks(np.asarray(scores, dtype=np.float64)) for scores in (scores_a, scores_b)]
    moves = [RankMove(area, a, b) for area, a, b in zip(areas, *ranks, strict=True)]
    return tuple(sorted(moves, key=lambda move: (-abs(move.moved), move.area)))


def _middle_ranks(scores: NDArray[np.float64]) -> list[float]:
    ahead = (scores[None, :] > scores[:, None]).sum(axis=1)
    level = (scores[None, :] == scores[:, None]).sum(axis=1)
    ranks: list[float] = (ahead + (level + 1) / 2).tolist()
    return ranks


def _too_few(a: Voice, b: Voice, shared: int) -> str:
    silent = [f"{voice.name}: {voice.reason or 'no view'}" for voice in (a, b) if not voice.coverage]
    return "; ".join([f"{shared} shared areas, {MIN_SHARED_AREAS} are needed", *silent])


def disagreeing_pairs(a: Voice, b: Voice) -> frozenset[tuple[str, str]]:
    """The pairs (first by ``a``, second) on which two voices disagree now; empty with fewer than four shared
    areas. What ``compare`` counts weeks from."""
    areas = tuple(area for area in a.coverage if area in b.coverage)
    if len(areas) < MIN_SHARED_AREAS:
        return frozenset()
    found = _disagreements(areas, _leans(a, areas), _leans(b, areas), None)
    return frozenset((pair.first, pair.second) for pair in found)


def _leans(voice: Voice, areas: Sequence[str]) -> NDArray[np.float64]:
    """P(row before column) with "neither" split in halves, (k, k); 1/2 on the diagonal."""
    before = np.array([[voice.p_before[one].get(two, 0.0) for two in areas] for one in areas])
    lean: NDArray[np.float64] = 0.5 + (before - before.T) / 2.0
    return lean


def _tau_interval(
    a: Voice, b: Voice, areas: Sequence[str], resamples: int, random: np.random.Generator
) -> tuple[float, float] | None:
    if a.draws is None and b.draws is None:
        return None
    taus = tau_b(_sample(a, areas, resamples, random), _sample(b, areas, resamples, random))
    defined = taus[~np.isnan(taus)]
    if not defined.size:
        return None
    low, high = np.quantile(defined, [0.05, 0.95]).tolist()
    return low, high


def _sample(
    voice: Voice, areas: Sequence[str], resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Random worlds of a voice on some areas, (resamples, k); its scores, (1, k), if it has no draws."""
    if voice.draws is None:
        return np.array([[voice.scores[area] for area in areas]])
    rows = random.integers(len(voice.draws), size=(resamples, 1))
    return voice.draws[rows, [voice.coverage.index(area) for area in areas]]


def _weighted_distance(lean_a: NDArray[np.float64], lean_b: NDArray[np.float64]) -> float | None:
    products = ((lean_a - 0.5) * (lean_b - 0.5))[np.triu_indices(len(lean_a), k=1)]
    total = np.abs(products).sum()
    return float(np.abs(products[products < 0]).sum() / total) if total > 0 else None


def _disagreements(
    areas: Sequence[str],
    lean_a: NDArray[np.float64],
    lean_b: NDArray[np.float64],
    weeks_history: Sequence[Collection[tuple[str, str]]] | None,
) -> tuple[Disagreement, ...]:
    """Pairs (first by ``a``, second) in disagreement, the widest gap first."""
    margin = DISAGREEMENT_MARGIN - _ROUNDING
    found = [
        Disagreement(
            areas[i],
            areas[j],
            float(lean_a[i, j]),
            float(lean_b[i, j]),
            None if weeks_history is None else 1 + _run_length((areas[i], areas[j]), weeks_history),
        )
        for i, j in np.argwhere((lean_a - 0.5 >= margin) & (0.5 - lean_b >= margin)).tolist()
    ]
    return tuple(sorted(found, key=lambda pair: (pair.p_b - pair.p_a, pair.first, pair.second)))


def _run_length(pair: tuple[str, str], weeks: Sequence[Collection[tuple[str, str]]]) -> int:
    run = 0
    for week in reversed(weeks):
        if pair not in week:
            break
        run += 1
    return run

"""What may be concluded from scores: means, paired differences and rankings whose unit is the question or event.

``cluster`` arguments are codes 0..G-1, one per row: rows of one cluster share an outcome, or a cause, and are
one piece of evidence together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.scoring.resampling import percentile_interval
from tracker.scoring.scores import FloatArray

MIN_CLUSTERS = 10
_LAMBDAS = 10
_STAKE = 0.5  # of the capital, at most, on one bet

Codes = NDArray[np.int64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and 95 % interval, both None below two (ten) clusters."""

    value: float
    se: float | None
    ci95: Interval | None
    n: int
    n_clusters: int


@dataclass(frozen=True)
class Sequential:
    """What may be read of a difference at any time, as often as one likes, and still hold.

    ``value``: the mean over steps so far; ``ci95``: its place in the confidence sequence, which holds the true
    mean at all times together with probability 0.95; ``e_first_better`` and ``e_second_better``: evidence against
    "the first (second) is no better at any step", to be believed from 20 on: what a bettor made of 1.
    """

    value: float
    ci95: Interval
    e_first_better: float
    e_second_better: float
    steps: int


@dataclass(frozen=True)
class Adjusted:
    """A forecaster's score as if all had answered the same questions; None where nothing connects them."""

    forecaster: str
    value: float | None
    ci95: Interval | None
    n_questions: int


def clustered_mean(values: FloatArray, cluster: Codes, *, level: float = 0.95) -> Mean:
    """Mean of rows with an interval that takes clusters, not rows, as the evidence.

    Formula: e_g = sum over the rows of g of (x - mean); se = sqrt(G/(G-1) sum e_g^2) / n; Student's t with G - 1
    degrees of freedom (Cameron & Miller 2015, J Hum Resour 50:317, the CR1 form of a mean).
    """
    groups, cluster = np.unique(cluster, return_inverse=True)
    n, count = len(values), groups.size
    if n == 0:
        raise ValueError("no values to average")
    mean = float(np.mean(values))
    if count < 2:
        return Mean(mean, None, None, n, count)
    errors = np.bincount(cluster, weights=values - mean)
    se = float(np.sqrt(count / (count - 1) * np.square(errors).sum()) / n)
    if count < MIN_CLUSTERS:
        return Mean(mean, se, None, n, count)
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, 0.5 + 0.5 * level)) * se
    return Mean(mean, se, (mean - half, mean + half), n, count)


def means_of(values: FloatArray, cluster: Codes, count: int) -> FloatArray:
    """The mean of each cluster's rows; NaN for a cluster without any."""
    n = np.bincount(cluster, minlength=count).astype(np.float64)
    total = np.bincount(cluster, weights=values, minlength=count)
    mean: FloatArray = total / np.where(n > 0.0, n, np.nan)
    return mean


def detectable_difference(sd: float, n: int) -> float | None:
    """The smallest true difference that n questions would show at 5 % four times out of five.

    (1.96 + 0.84) sd / sqrt(n); None below two questions.

    >>> round(detectable_difference(0.15, 441), 3)
    0.02
    """
    return 2.8015852 * sd / float(np.sqrt(n)) if n >= 2 else None


def watch(differences: Sequence[float], *, bound: float = 1.0, alpha: float = 0.05) -> Sequential:
    """A mean that may be looked at after every step, and acted on when one likes.

    ``differences`` by time, each within [-bound, bound], each step's mean unforeseeable from those before (so
    questions that are open at the same time belong into one step). Empirical-Bernstein confidence sequence:
    with S = sum (d_i - m), V = sum (d_i - mean before i)^2, c = 2 bound and psi(l) = (-ln(1 - cl) - cl) / c^2,
    the mean over a grid of l of exp(l S - psi(l) V) is at most 20 for ever with probability 0.95 (Howard,
    Ramdas, McAuliffe & Sekhon 2021, Ann Stat 49:1055; Choe & Ramdas 2024, arXiv 2110.00115).
    The evidence is the capital of a bettor who stakes a share of it, chosen from the past alone, on the sign of each
    difference (Waudby-Smith & Ramdas 2024, JRSS B 86:1; Henzi & Ziegel 2022, Biometrika 109:647).
    """
    d = np.asarray(differences, dtype=np.float64)
    if not d.size or not bool(np.all(np.abs(d) <= bound)):
        raise ValueError(f"one or more differences, each within {bound:g} of 0")
    before = np.concatenate([[0.0], np.cumsum(d)[:-1] / np.arange(1, d.size)])
    spread = float(np.square(d - before).sum())
    c = 2.0 * bound
    grid = np.geomspace(0.06, 0.9, _LAMBDAS) / c
    cost = (-np.log1p(-c * grid) - c * grid) / c**2 * spread

    def log_evidence(total: float) -> float:
        powers = grid * total - cost
        top = float(powers.max())
        return top + float(np.log(np.mean(np.exp(powers - top))))

    # each side has half of alpha; the evidence rises with the sum, so the edge is found by halving
    low, high, edge = 0.0, 2.0 * c * d.size + 100.0 / grid[0], np.log(2.0 / alpha)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if log_evidence(middle) < edge else (low, middle)
    mean, radius = float(d.mean()), high / d.size
    interval = (max(-bound, mean - radius), min(bound, mean + radius))
    return Sequential(mean, interval, _capital(-d / bound), _capital(d / bound), int(d.size))


def _capital(gain: FloatArray) -> float:
    """What 1 becomes by staking a share of it on each gain in -1..1; shares from the past, in 0..0.5."""
    seen = np.arange(gain.size)
    total = np.concatenate([[0.0], np.cumsum(gain)[:-1]])
    squares = np.concatenate([[0.0], np.cumsum(np.square(gain))[:-1]])
    # the share that would have grown fastest so far, with two steps of +-0.25 as a start
    share = np.clip((total / (seen + 2)) / ((squares + 0.125) / (seen + 2)), 0.0, _STAKE)
    return float(np.exp(min(700.0, np.log1p(share * gain).sum())))


def adjusted_scores(
    score: FloatArray,
    forecaster: Codes,
    question: Codes,
    names: Sequence[str],
    *,
    event: Codes | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Adjusted]:
    """Forecasters' scores with the difficulty of their questions taken out, by least squares.

    Model: score = forecaster + question + error, with rows of one forecaster on one question averaged first.
    Values are on the scale of the score: the level that everybody together has, plus a forecaster's own
    effect. Intervals are 95 % by a Bayesian bootstrap over events (default: questions; Rubin 1981). Only what is
    connected by common questions can be compared: in the largest connected set values are given, outside it None.
    """
    n_names, n_questions = len(names), int(question.max()) + 1 if question.size else 0
    cell = forecaster * n_questions + question
    used, where = np.unique(cell, return_inverse=True)
    mean = np.bincount(where, weights=score) / np.bincount(where)
    who, what = used // n_questions, used % n_questions
    answered = np.bincount(who, minlength=n_names)
    main = _connected(who, what, n_names, n_questions)
    inside = main[who]
    who, what, mean = who[inside], what[inside], mean[inside]
    of_cell = question if event is None else event
    of_question = np.zeros(n_questions, dtype=np.int64)
    of_question[question] = of_cell
    clusters, cluster = np.unique(of_question[what], return_inverse=True)
    matrices, sides = _normal_equations(mean, who, what, cluster, n_names)
    effects = _solve(matrices.sum(axis=0)[None], sides.sum(axis=0)[None])[0]
    level = float(mean.mean() - effects[who].mean())
    ends = np.full((2, n_names), np.nan)
    if resamples and clusters.size >= MIN_CLUSTERS:
        weights = np.random.default_rng(seed).standard_exponential((resamples, clusters.size))
        drawn = _solve(np.tensordot(weights, matrices, axes=1), weights @ sides)
        ends = level + percentile_interval(drawn)
    found = []
    for index, name in enumerate(names):
        known = bool(main[index])
        shown = known and not np.isnan(ends[0, index])
        found.append(
            Adjusted(
                name,
                float(level + effects[index]) if known else None,
                (float(ends[0, index]), float(ends[1, index])) if shown else None,
                int(answered[index]),
            )
        )
    return found


def _connected(who: Codes, what: Codes, names: int, questions: int) -> NDArray[np.bool_]:
    """The forecasters of the largest set that common questions connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = names + questions
    graph = coo_array((np.ones(who.size), (who, names + what)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    rows = np.bincount(part[who], minlength=size)
    main: NDArray[np.bool_] = part[:names] == int(np.argmax(rows))
    return main


def _normal_equations(
    mean: FloatArray, who: Codes, what: Codes, cluster: Codes, names: int
) -> tuple[FloatArray, FloatArray]:
    """Each cluster's part of the normal equations once each question's own difficulty is swept out.

    Shapes (clusters, names, names) and (clusters, names): what is kept does not grow with the rows.
    """
    order = np.argsort(what, kind="stable")
    _, start = np.unique(what[order], return_index=True)
    matrices = np.zeros((int(cluster.max()) + 1, names, names))
    sides = np.zeros((int(cluster.max()) + 1, names))
    for rows in np.split(order, start[1:]):
        if rows.size < 2:
            continue  # one forecaster alone says nothing about any other
        those, group = who[rows], cluster[rows[0]]
        matrices[group][np.ix_(those, those)] -= 1.0 / rows.size
        matrices[group, those, those] += 1.0
        sides[group, those] += mean[rows] - mean[rows].mean()
    return matrices, sides


def _solve(matrices: FloatArray, sides: FloatArray) -> FloatArray:
    """Effects that sum to zero over connected forecasters."""
    solved: FloatArray = np.einsum("rij,rj->ri", np.linalg.pinv(matrices, hermitian=True), sides)
    return solved


def discoveries(p_values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of several findings stand when at most a share ``rate`` of them may be false, on average.

    Benjamini & Hochberg 1995, JRSS B 57:289 (independent or positively dependent tests).

    >>> discoveries([0.001, 0.02, 0.04, 0.9])
    [True, True, False, False]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, p.size + 1) / max(1, p.size))
    stands = np.zeros(p.size, dtype=bool)
    if passed.size:
        stands[order[: passed[-1] + 1]] = True
    return [bool(one) for one in stands]

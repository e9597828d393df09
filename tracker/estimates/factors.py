"""The internal model: a weighted mean of factor scores per area, and how firm its order is.

Source of model and table: Jan Wehner, "Will we get automated alignment research before an AI Takeoff?",
2026-01-22. The noise is ours and declared: it stands for not knowing the weights better than a factor
of about 1.6 and not knowing a score better than a point.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from questions.model import FactorTable
from tracker.errors import UsageError
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.voice import Voice

SCORE_MIN, SCORE_MAX = 1.0, 10.0

WeightLaw = Literal["lognormal", "centred", "uniform"]
WEIGHT_LAWS: tuple[WeightLaw, ...] = get_args(WeightLaw)
_CHUNK = 8_192


@dataclass(frozen=True)
class Noise:
    """How unsure the model is of itself: the law of its weights and their sd, the sd of its scores, and by how
    many draws under which seed that is told."""

    law: WeightLaw = "lognormal"
    weight_sd: float = 0.5
    score_sd: float = 1.0
    draws: int = 50_000
    seed: int = 0


def factor_scores(
    table: FactorTable, weight_overrides: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The model's number per area: score(a) = sum_f w_f s_fa / sum_f w_f, on the table's 1..10 scale.

    Only ratios of weights matter; a factor of weight 0 is as good as absent. ``weight_overrides``
    replace single weights. UsageError for an unknown factor, a negative or non-finite weight, or
    weights that are all zero.
    """
    weights = _weights(table, weight_overrides or {})
    means = weights @ _score_matrix(table) / weights.sum()
    return dict(zip(table.areas, means.tolist(), strict=True))


def rank_factors(
    table: FactorTable,
    *,
    weight_overrides: Mapping[str, float] | None = None,
    noise: Noise | None = None,
    groups: Mapping[str, str],
    model_name: str = "weighted-factors",
) -> Voice:
    """The order of the areas by amenability to automation, with its uncertainty.

    Every draw takes weights by the law of ``noise`` (``draw_weights``) and adds N(0, score_sd) to every cell,
    clipped to 1..10, all independent (stochastic multicriteria acceptability analysis: Lahdelma
    and Salminen 2001, Operations Research 49:444). ``groups`` maps areas to "safety" or
    "capabilities". Probabilities are about the order of amenability, not yet about dates. Overrides
    make another model and show in its name. Raises UsageError as ``factor_scores`` does, and for a
    negative sd or no draws.
    """
    overrides = dict(weight_overrides or {})
    scores = factor_scores(table, overrides)
    chosen = noise or Noise()
    _, samples = draw_model(table, overrides, chosen)
    return voice_from_draws(
        name="internal",
        model=model_label(table, model_name, overrides),
        scores=scores,
        draws=samples,
        groups=groups,
        note=(
            "Amenability to automation on a 1 to 10 scale, weighted mean of "
            f"{len(table.factors)} factors; {chosen.draws} draws with {law_text(chosen)} "
            f"and scores plus N(0, {chosen.score_sd:g}). It orders; it says nothing about dates."
        ),
    )


def draw_model(
    table: FactorTable, weight_overrides: Mapping[str, float] | None, noise: Noise
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Possible weights, (draws, factors), each row summing to 1, and the areas' scores under them,
    (draws, areas). Raises UsageError as ``rank_factors`` does."""
    sds = noise.weight_sd, noise.score_sd
    if not all(sd >= 0 and math.isfinite(sd) for sd in sds):
        raise UsageError(f"standard deviations must be 0 or more: weights {sds[0]}, scores {sds[1]}")
    if noise.draws < 1:
        raise UsageError(f"draws must be 1 or more, got {noise.draws}")
    random = generator(noise.seed)
    stated = _weights(table, weight_overrides or {})
    weights = draw_weights(stated, noise.law, noise.weight_sd, noise.draws, random)
    return weights, _draw_scores(weights, _score_matrix(table), noise.score_sd, random)


def draw_weights(
    weights: NDArray[np.float64],
    law: WeightLaw,
    weight_sd: float,
    draws: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Possible weights under one of three laws, (draws, factors), each row summing to 1.

    ``lognormal``: each stated weight times exp(N(0, ``weight_sd``)). ``centred``: Dirichlet with the stated
    shares as its mean and concentration (k - 1) / weight_sd^2 - 1, which gives a factor of average weight the
    relative standard deviation ``weight_sd``. ``uniform``: flat on the simplex, no opinion about weights. A
    factor of weight 0 stays absent under all three. UsageError for a ``centred`` sd of sqrt(k - 1) or more.
    """
    if law not in WEIGHT_LAWS:
        raise UsageError(f"no such law of weights: {law}; there are: {', '.join(WEIGHT_LAWS)}")
    used = weights > 0
    count = int(used.sum())
    drawn = np.zeros((draws, len(weights)))
    if law == "lognormal":
        drawn[:] = weights * np.exp(random.normal(0.0, weight_sd, size=drawn.shape))
    elif law == "uniform" or count == 1:
        drawn[:, used] = random.standard_exponential((draws, count))
    elif weight_sd == 0:
        drawn[:] = weights
    else:
        concentration = (count - 1) / weight_sd**2 - 1
        if concentration <= 0:
            raise UsageError(
                f"a centred law on {count} factors needs an sd of weights below {math.sqrt(count - 1):.3g}, "
                f"got {weight_sd:g}"
            )
        shares = weights[used] / weights.sum()
        drawn[:, used] = random.dirichlet(concentration * shares, size=draws)
    drawn /= drawn.sum(axis=1, keepdims=True)
    return drawn


def central_weights(
    table: FactorTable, weights: NDArray[np.float64], scores: NDArray[np.float64]
) -> dict[str, dict[str, float] | None]:
    """What one has to think of the factors for an area to come first: mean weights over those draws.

    SMAA's central weight vector, shares summing to 1; None for an area that never comes first. ``weights``
    and ``scores`` are those of ``draw_model``. A shared first place counts in equal parts.
    """
    first = scores == scores.max(axis=1, keepdims=True)
    credit = first / first.sum(axis=1, keepdims=True)
    totals = credit.sum(axis=0)
    sums = credit.T @ weights
    return {
        area: dict(zip(table.factors, (sums[i] / totals[i]).tolist(), strict=True)) if totals[i] > 0 else None
        for i, area in enumerate(table.areas)
    }


def table_digest(table: FactorTable) -> str:
    """Twelve hex digits of the SHA-256 of a table's weights and scores: equal tables, equal digits."""
    content = {
        "weights": {factor: float(weight) for factor, weight in table.weights.items()},
        "scores": {
            factor: {area: float(score) for area, score in row.items()}
            for factor, row in table.scores.items()
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _weights(table: FactorTable, overrides: Mapping[str, float]) -> NDArray[np.float64]:
    unknown = sorted(set(overrides) - set(table.factors))
    if unknown:
        raise UsageError(f"unknown factor {', '.join(unknown)}; the table has {', '.join(table.factors)}")
    for factor, weight in overrides.items():
        if not 0 <= weight <= 1e6:
            raise UsageError(f"weight of {factor} must be a number of 0 or more (at most 1e6), got {weight}")
    weights = np.array([overrides.get(factor, table.weights[factor]) for factor in table.factors])
    if not weights.sum() > 0:
        raise UsageError("all weights are zero: at least one factor needs a positive weight")
    return weights.astype(np.float64)


def _score_matrix(table: FactorTable) -> NDArray[np.float64]:
    """Scores, (factors, areas), rows and columns in the table's order."""
    return np.array([[table.scores[factor][area] for area in table.areas] for factor in table.factors])


def _draw_scores(
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
    score_sd: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Weighted means under noise, (draws, areas); factor by factor and part by part, so that memory stays
    small."""
    if score_sd == 0:
        exact: NDArray[np.float64] = weights @ scores
        return exact
    total = np.zeros((len(weights), scores.shape[1]))
    for start in range(0, len(weights), _CHUNK):
        part = total[start : start + _CHUNK]
        cells = np.empty_like(part)
        for index, row in enumerate(scores):
            random.standard_normal(out=cells)
            cells *= score_sd
            cells += row
            np.clip(cells, SCORE_MIN, SCORE_MAX, out=cells)
            cells *= weights[start : start + _CHUNK, index, None]
            part += cells
    return total


def law_text(noise: Noise) -> str:
    """The law of weights in words."""
    return {
        "lognormal": f"weights times exp(N(0, {noise.weight_sd:g}))",
        "centred": f"weights from a Dirichlet law around the stated ones (relative sd {noise.weight_sd:g})",
        "uniform": "weights from a flat Dirichlet law",
    }[noise.law]


def model_label(table: FactorTable, name: str, overrides: Mapping[str, float] | None = None) -> str:
    """A model's name: its method, its table's version, and the weights that were replaced."""
    changed = {f: weight for f, weight in (overrides or {}).items() if weight != table.weights[f]}
    extra = ", ".join(f"{factor}={weight:g}" for factor, weight in sorted(changed.items()))
    return f"{name} {table.version}" + (f" with {extra}" if extra else "")

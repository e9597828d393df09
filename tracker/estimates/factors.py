"""The internal model: a weighted mean of factor scores per area, and how firm its order is.

Source of model and table: Jan Wehner, "Will we get automated alignment research before an AI Takeoff?",
2026-01-22. The noise is ours and declared: it stands for not knowing the weights better than a factor
of about 1.6 and not knowing a score better than a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from questions.model import FactorTable
from tracker.errors import UsageError
from tracker.estimates.ordering import generator, voice_from_draws
from tracker.estimates.voice import Voice

SCORE_MIN, SCORE_MAX = 1.0, 10.0


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
    weight_sd: float = 0.5,
    score_sd: float = 1.0,
    draws: int = 50_000,
    seed: int,
    groups: Mapping[str, str],
    model_name: str = "weighted-factors",
) -> Voice:
    """The order of the areas by amenability to automation, with its uncertainty.

    Each draw multiplies every weight by exp(N(0, ``weight_sd``)) and adds N(0, ``score_sd``) to every
    cell, clipped to 1..10, all independent (stochastic multicriteria acceptability analysis: Lahdelma
    and Salminen 2001, Operations Research 49:444). ``groups`` maps areas to "safety" or
    "capabilities". Probabilities are about the order of amenability, not yet about dates. Overrides
    make another model and show in its name. Raises UsageError as ``factor_scores`` does, and for a
    negative sd or no draws.
    """
    overrides = dict(weight_overrides or {})
    if not (weight_sd >= 0 and score_sd >= 0 and math.isfinite(weight_sd) and math.isfinite(score_sd)):
        raise UsageError(f"standard deviations must be 0 or more: weights {weight_sd}, scores {score_sd}")
    if draws < 1:
        raise UsageError(f"draws must be 1 or more, got {draws}")
    scores = factor_scores(table, overrides)
    weights = _weights(table, overrides)
    samples = _draw_scores(weights, _score_matrix(table), weight_sd, score_sd, draws, generator(seed))
    return voice_from_draws(
        name="internal",
        model=_model_label(table, model_name, overrides),
        scores=scores,
        draws=samples,
        groups=groups,
        note=(
            "Amenability to automation on a 1 to 10 scale, weighted mean of "
            f"{len(table.factors)} factors; {draws} draws with weights times exp(N(0, {weight_sd:g})) "
            f"and scores plus N(0, {score_sd:g}). It orders; it says nothing about dates."
        ),
    )


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
    weight_sd: float,
    score_sd: float,
    draws: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Weighted means under noise, (draws, areas); factor by factor, so that memory stays small."""
    noisy = weights * np.exp(random.normal(0.0, weight_sd, size=(draws, len(weights))))
    total = np.zeros((draws, scores.shape[1]))
    for index, row in enumerate(scores):
        cells = random.standard_normal(total.shape)
        cells *= score_sd
        cells += row
        np.clip(cells, SCORE_MIN, SCORE_MAX, out=cells)
        cells *= noisy[:, index, None]
        total += cells
    total /= noisy.sum(axis=1, keepdims=True)
    return total


def _model_label(table: FactorTable, name: str, overrides: Mapping[str, float]) -> str:
    changed = {factor: weight for factor, weight in overrides.items() if weight != table.weights[factor]}
    extra = ", ".join(f"{factor}={weight:g}" for factor, weight in sorted(changed.items()))
    return f"{name} {table.version}" + (f" with {extra}" if extra else "")

"""From amenability to forecasts on our ordering questions, so that the model is scored like everybody.

The factor model orders areas; it knows neither dates nor levels. Two declared steps make forecasts of it. First,
being more amenable is not the same as being first: p' = 1/2 + shrinkage * (p - 1/2), with a shrinkage of 0.7 until
resolved ordering questions say otherwise. Second, a question can also end in a tie or in neither, of which the model
says nothing: ``decided`` is the chance taken for one area coming first at all, the rest goes half to each of the
other outcomes. At 1/2 that is the least presumptuous split of four outcomes. The same numbers hold at every threshold.

A question about two groups of areas (safety before capabilities) is read off the model's draws as the question
counts: the group of which ``areas_needed`` areas have crossed first. "The first area of either group" and "most areas
of either group" are two questions with two answers; neither is which group's mean is larger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from questions.question import ANNUL, Ordering, Question
from questions.records import Forecast, ForecasterKind
from tracker.errors import UsageError
from tracker.estimates.voice import Voice

PRIOR_SHRINKAGE = 0.7
PRIOR_QUESTIONS = 10.0
DECIDED = 0.5
PREFIX = "factor-model"


def shrunk(p: float, shrinkage: float) -> float:
    """A probability drawn towards one half: 1/2 + shrinkage * (p - 1/2)."""
    return 0.5 + shrinkage * (p - 0.5)


def fit_shrinkage(resolved: Sequence[tuple[float, bool]]) -> tuple[float, tuple[float, float]]:
    """The shrinkage that resolved ordering questions support: posterior mean and 90% interval, 0..1.

    ``resolved``: the model's P(first) and whether that area came first, one entry per question that one
    of its two areas won. Prior: Beta with mean 0.7 and the weight of ten questions; likelihood: Bernoulli of p'.
    Without any question the prior speaks.
    """
    grid = (np.arange(2_000) + 0.5) / 2_000
    a, b = PRIOR_SHRINKAGE * PRIOR_QUESTIONS, (1.0 - PRIOR_SHRINKAGE) * PRIOR_QUESTIONS
    log_density = (a - 1.0) * np.log(grid) + (b - 1.0) * np.log1p(-grid)
    for p, came_first in resolved:
        if not 0.0 <= p <= 1.0:
            raise UsageError(f"a probability must lie in 0..1, got {p}")
        said = 0.5 + grid * (p - 0.5)
        log_density += np.log(np.maximum(said if came_first else 1.0 - said, 1e-300))
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    below = np.cumsum(density)
    low, high = (float(np.interp(q, below, grid)) for q in (0.05, 0.95))
    return float(density @ grid), (low, high)


def model_forecasts(
    voice: Voice,
    questions: Iterable[Question],
    *,
    made_at: datetime,
    version: str,
    name: str = "base",
    threshold: float | None = None,
    shrinkage: float = PRIOR_SHRINKAGE,
    decided: float = DECIDED,
) -> tuple[Forecast, ...]:
    """The model's forecast of every outcome of every ordering question whose areas, or groups of areas, it covers.

    Probabilities of one question sum to 1. ``threshold``: only questions at it. ``version`` names everything the
    numbers depend on. Questions that have closed by ``made_at`` are left out. UsageError for a
    ``shrinkage`` or ``decided`` outside 0..1.
    """
    for what, value in (("shrinkage", shrinkage), ("decided", decided)):
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise UsageError(f"{what} must lie in 0..1, got {value}")
    forecasts = []
    for question in questions:
        arms, level = question.ordering, question.threshold
        if arms is None or level is None or (threshold is not None and level.value != threshold):
            continue
        lean = arm_lean(voice, arms)
        if lean is None or question.dates.close <= made_at:
            continue
        p = shrunk(lean, shrinkage)
        others = [outcome for outcome in question.outcomes if outcome not in (arms.a, arms.b, ANNUL)]
        share = decided if others else 1.0
        chances = {arms.a: share * p, arms.b: share * (1.0 - p)}
        chances |= dict.fromkeys(others, (1.0 - share) / max(len(others), 1))
        forecasts += [
            Forecast(
                question.id,
                outcome,
                f"{PREFIX}:{name}",
                ForecasterKind.MODEL,
                made_at,
                chances[outcome],
                version=version,
                comment=(
                    f"P({arms.a} first | one is first) = {p:.4f}; P(one is first) = {share:g} by declaration"
                    if outcome == arms.a
                    else ""
                ),
            )
            for outcome in question.outcomes
            if outcome in chances
        ]
    return tuple(forecasts)


def arm_lean(voice: Voice, arms: Ordering) -> float | None:
    """P(arm a first) with "neither" split in halves; None when the voice does not cover the areas.

    Of groups: the share of draws in which the ``areas_needed``-th area of a comes before that of b; ties count half.
    """
    a, b = arms.of("a"), arms.of("b")
    if not {*a, *b} <= set(voice.coverage):
        return None
    if len(a) == len(b) == 1:
        return 0.5 + (voice.p_before[a[0]][b[0]] - voice.p_before[b[0]][a[0]]) / 2
    if voice.draws is None:
        return None
    crossed = [
        np.sort(voice.draws[:, [voice.coverage.index(area) for area in side]], axis=1)[:, -arms.areas_needed]
        for side in (a, b)
    ]
    return float(np.mean(crossed[0] > crossed[1]) + np.mean(crossed[0] == crossed[1]) / 2)


def changed(forecasts: Sequence[Forecast], known: Iterable[Forecast]) -> tuple[Forecast, ...]:
    """The forecasts that say something else than the last ones of their forecaster; of a question all or none."""
    standing: dict[tuple[str, str, str], Forecast] = {}
    for one in sorted(known, key=lambda forecast: forecast.made_at):
        standing[one.question, one.outcome, one.forecaster] = one

    def same(one: Forecast) -> bool:
        old = standing.get((one.question, one.outcome, one.forecaster))
        return old is not None and old.version == one.version and old.probability == one.probability

    moved = {one.question for one in forecasts if not same(one)}
    return tuple(one for one in forecasts if one.question in moved)

"""Versions of the internal model: the base table and declared variations of it, each a table of its own.

A version is never an edit: it has a name, a table (or two, mixed) and says what it stands for. A user's own
table has the same versions. Variations: internal to the essay (its own sensitivity checks) or proposed in its
discussion (Jan Wehner, "Will we get automated alignment research before an AI Takeoff?", 2026-01-22).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from questions.model import FactorTable, Group
from tracker.errors import UsageError
from tracker.estimates.factors import (
    SCORE_MAX,
    SCORE_MIN,
    Noise,
    draw_model,
    factor_scores,
    law_text,
    rank_factors,
    table_digest,
)
from tracker.estimates.ordering import voice_from_draws
from tracker.estimates.voice import Voice

BASE = "base"
HUMAN_SHARE, ASSISTANT_SHARE = 5, 3
SCHEMING, TASK_LENGTH, FEEDBACK, INCENTIVE = (
    "scheming_risk",
    "task_length",
    "feedback_quality",
    "economic_incentive",
)
SLOW_TO_EVALUATE = ("post_training", "data_generation", "agent_scaffolding")


@dataclass(frozen=True)
class ModelVersion:
    """One version: ``tables`` (two or more are mixed in equal parts) and ``note``, what it stands for."""

    name: str
    note: str
    tables: tuple[FactorTable, ...]

    @property
    def digest(self) -> str:
        return "+".join(table_digest(table) for table in self.tables)

    def as_one_table(self, weight_overrides: Mapping[str, float] | None = None) -> FactorTable:
        """The table that gives the version's scores: of a mixture, whose tables differ in weights alone, the one with
        the mean of their shares of weight. With ``weight_overrides`` in place of some."""
        first, count = self.tables[0], len(self.tables)
        if count == 1:
            weights = {factor: first.weights[factor] for factor in first.factors}
        else:
            weights = {
                factor: sum(one.weights[factor] / sum(one.weights.values()) for one in self.tables) / count
                for factor in first.factors
            }
        return first.model_copy(update={"weights": weights | dict(weight_overrides or {})})

    def scores(self) -> dict[str, float]:
        """The version's number per area; the mean of the tables' where it mixes several."""
        each = [factor_scores(table) for table in self.tables]
        return {area: sum(scores[area] for scores in each) / len(each) for area in each[0]}


def model_versions(table: FactorTable, groups: Mapping[str, str]) -> dict[str, ModelVersion]:
    """The versions a table gives rise to, by name; those whose factors or areas it lacks are left out."""
    found = [ModelVersion(BASE, "the table as it stands", (table,))]
    weights = table.weights
    found.append(
        ModelVersion(
            "equal-weights",
            "every factor counts the same",
            (_reweighted(table, "equal-weights", dict.fromkeys(table.factors, 1.0)),),
        )
    )
    if SCHEMING in weights:
        without, twice = 0.0, 2.0 * weights[SCHEMING]
        found += [
            *_with_weight(table, "scheming-0", SCHEMING, without, "models do not scheme: that factor is out"),
            *_with_weight(table, "scheming-double", SCHEMING, twice, "scheming counts twice as much"),
        ]
        names = ("scheming-0", "scheming-double")
        halves = tuple(version.tables[0] for version in found if version.name in names)
        if len(halves) == len(names):
            found.append(
                ModelVersion("scheming-mixture", "models either do not scheme or do so for sure", halves)
            )
    if INCENTIVE in weights:
        racing = 6.6
        found += _with_weight(
            table, "racing", INCENTIVE, racing, "incentives to race matter most (weight 6.6)"
        )
    safety = [area for area in table.areas if groups.get(area) == Group.SAFETY.value]
    found += _scenario(
        table,
        "slow-feedback",
        FEEDBACK,
        SLOW_TO_EVALUATE,
        -2.0,
        "long tasks make capability work slow to judge",
    )
    found += _scenario(
        table, "short-safety-tasks", TASK_LENGTH, safety, 1.0, "safety research stays short-horizon"
    )
    for factor in table.factors:
        found += _with_weight(table, f"without-{factor}", factor, 0.0, f"{factor} left out")
    return {version.name: version for version in found}


def rank_version(
    version: ModelVersion,
    *,
    weight_overrides: Mapping[str, float] | None = None,
    noise: Noise,
    groups: Mapping[str, str],
) -> Voice:
    """The order of the areas under a version; a mixture takes an equal part of the draws from each table.

    Weights by hand belong to a single table: UsageError with a mixture, and as ``rank_factors`` raises it.
    """
    if len(version.tables) == 1:
        return rank_factors(version.tables[0], weight_overrides=weight_overrides, noise=noise, groups=groups)
    if weight_overrides:
        raise UsageError(f"weights cannot be replaced in {version.name}, which mixes several tables")
    count = len(version.tables)
    if noise.draws < count:
        raise UsageError(f"draws must be {count} or more for a mixture of {count} tables, got {noise.draws}")
    samples = []
    for i, table in enumerate(version.tables):
        part = noise.draws // count + (i < noise.draws % count)
        samples.append(draw_model(table, None, replace(noise, draws=part, seed=noise.seed + i))[1])
    return voice_from_draws(
        name="internal",
        model="weighted-factors " + " or ".join(table.version for table in version.tables),
        scores=version.scores(),
        draws=np.concatenate(samples),
        groups=groups,
        note=(
            f"Amenability to automation on a 1 to 10 scale: {version.note}; {noise.draws} draws, as many from each "
            f"of {count} tables, with {law_text(noise)} and scores plus N(0, {noise.score_sd:g}). It orders; it "
            "says nothing about dates."
        ),
    )


def add_factors(table: FactorTable, extra: FactorTable) -> FactorTable:
    """A table with further factors, such as an eighth: quantity over quality. A version of its own.

    UsageError for a factor that the table has already.
    """
    taken = sorted(set(table.factors) & set(extra.factors))
    if taken:
        raise UsageError(f"the table has {', '.join(taken)} already: added factors need names of their own")
    return table.model_copy(
        update={
            "version": f"{table.version}+{extra.version}",
            "weights": dict(table.weights) | dict(extra.weights),
            "scores": dict(table.scores)
            | {factor: {area: row[area] for area in table.areas} for factor, row in extra.scores.items()},
        }
    )


def mix_raters(human: FactorTable, assistants: Sequence[FactorTable]) -> FactorTable:
    """One table of separate raters: the human's scores count 5/8, the assistants' together 3/8 (as in the
    essay, where one author and three assistants rated). Weights of factors are the human's.

    UsageError when a rater lacks a factor or brings one of its own.
    """
    if not assistants:
        return human
    for table in assistants:
        other = sorted(set(table.factors) ^ set(human.factors))
        if other:
            raise UsageError(
                f"raters must score the same factors: {table.version} and {human.version} differ in "
                f"{', '.join(other)}"
            )
    whole = HUMAN_SHARE + ASSISTANT_SHARE
    scores = {
        factor: {
            area: (
                HUMAN_SHARE * score
                + ASSISTANT_SHARE * sum(t.scores[factor][area] for t in assistants) / len(assistants)
            )
            / whole
            for area, score in row.items()
        }
        for factor, row in human.scores.items()
    }
    versions = " and ".join(table.version for table in assistants)
    return human.model_copy(
        update={
            "version": f"{human.version} ({HUMAN_SHARE}:{ASSISTANT_SHARE} with {versions})",
            "scores": scores,
        }
    )


def chosen(versions: Mapping[str, ModelVersion], name: str) -> ModelVersion:
    """The version with this name. UsageError, with the names there are, for another."""
    if name not in versions:
        raise UsageError(f"no such version of the model: {name}; there are: {', '.join(versions)}")
    return versions[name]


def _with_weight(
    table: FactorTable, name: str, factor: str, weight: float, note: str
) -> tuple[ModelVersion, ...]:
    """The version with one weight replaced; none when nothing would be left to weigh."""
    weights = dict(table.weights) | {factor: weight}
    if not sum(weights.values()) > 0:
        return ()
    return (ModelVersion(name, note, (_reweighted(table, name, weights),)),)


def _scenario(
    table: FactorTable, name: str, factor: str, areas: Iterable[str], points: float, note: str
) -> tuple[ModelVersion, ...]:
    """The version with some areas' scores on one factor moved, within 1..10."""
    moved = set(areas) & set(table.areas)
    if factor not in table.weights or not moved:
        return ()
    row = {
        area: min(max(score + points, SCORE_MIN), SCORE_MAX) if area in moved else score
        for area, score in table.scores[factor].items()
    }
    changed = table.model_copy(
        update={"version": f"{table.version}/{name}", "scores": dict(table.scores) | {factor: row}}
    )
    return (ModelVersion(name, note, (changed,)),)


def _reweighted(table: FactorTable, name: str, weights: Mapping[str, float]) -> FactorTable:
    return table.model_copy(update={"version": f"{table.version}/{name}", "weights": dict(weights)})

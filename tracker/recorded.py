"""The score of every forecast that counts, kept: at fixed days before the scheduled close, by rule.

A score is never edited. Where an outcome was corrected, or the rules changed, the forecast is scored anew under
another ``score_version``: the version of the rules, and behind a ``+`` how often what they say of this forecast has
changed. The one computed last holds; the others tell what was said before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from questions.catalogue import Catalogue
from questions.records import Score
from questions.time import EPOCH
from storage.store import Store
from tracker.numbers import Numbers, stored_numbers
from tracker.own import VALUE
from tracker.scorecard import stored_forecasts
from tracker.scoring.lives import LEADS
from tracker.scoring.numeric import measures
from tracker.scoring.scores import SCORE_VERSION, brier_score, log_score, spherical_score
from tracker.scoring.shapes import Measure
from tracker.scoring.table import ForecastTable, Status, heard_once

_Key = tuple[str, str, str, datetime, str]


def record_scores(store: Store, catalogue: Catalogue, *, now: datetime) -> int:
    """Score what can be scored by now, and keep what was not said before; returns how many are new."""
    table = stored_forecasts(store, catalogue, lead_days=LEADS, now=now, known_at=now)
    numbers = stored_numbers(store, catalogue, now=now, known_at=now)
    found = [*_of_probabilities(table, now), *_of_numbers(numbers, now)]
    last: dict[_Key, Score] = {}
    times: dict[_Key, int] = {}
    for score in sorted(store.scores(), key=lambda score: score.computed_at):
        if score.score_version.partition("+")[0] == SCORE_VERSION:
            last[_key(score)] = score
            times[_key(score)] = times.get(_key(score), 0) + 1
    return store.add_scores(_news(found, last, times))


def latest(scores: Iterable[Score]) -> list[Score]:
    """Of each forecast's scores by one rule the one computed last, of the newest version of the rules."""
    found: dict[_Key, Score] = {}
    for score in sorted(scores, key=lambda score: score.computed_at):
        found[_key(score)] = score
    return list(found.values())


def _news(found: Iterable[Score], last: dict[_Key, Score], times: dict[_Key, int]) -> Iterator[Score]:
    for score in found:
        before = last.get(_key(score))
        if before is None:
            yield score
        elif not math.isclose(before.value, score.value, rel_tol=1e-9, abs_tol=1e-12):
            yield replace(score, score_version=f"{SCORE_VERSION}+{times[_key(score)]}")


def _key(score: Score) -> _Key:
    return (score.question, score.outcome, score.forecaster, score.made_at, score.rule)


def _of_probabilities(table: ForecastTable, now: datetime) -> Iterator[Score]:
    rows = table.rows(heard_once(table) & (table.status == Status.SCORED))
    if not len(rows):
        return
    assert rows.option is not None
    assert rows.forecaster is not None
    assert rows.made_at is not None
    p, y = rows.probability, rows.outcome
    losses = {
        "brier": brier_score(p, y),
        "log_score": log_score(p, y),
        "spherical": spherical_score(p, y),
    }
    moments = rows.made_at.astype("datetime64[us]").tolist()
    for rule, loss in losses.items():
        told = zip(rows.question, rows.option, rows.forecaster, moments, loss.tolist(), strict=True)
        for question, outcome, forecaster, at, value in told:
            yield Score(
                question, outcome, forecaster, at.replace(tzinfo=UTC), rule, SCORE_VERSION, value, now
            )


def _of_numbers(numbers: Numbers, now: datetime) -> Iterator[Score]:
    for (forecaster, question), said in sorted(numbers.told.items()):
        answer = numbers.answers[question]
        for lead in LEADS:
            at = answer.closes - lead
            shape = said.standing(at) if answer.opens <= at < answer.ends else None
            for measure, value in measures(shape, answer).items() if shape is not None else ():
                made_at = EPOCH + timedelta(days=at)
                yield Score(question, VALUE, forecaster, made_at, _rule(measure), SCORE_VERSION, value, now)


def _rule(measure: Measure) -> str:
    levels = f" at {' '.join(f'{level:g}' for level in measure.levels)}" if measure.levels else ""
    return f"{measure.name}, {measure.unit}{levels}"

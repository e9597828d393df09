"""Who was better, on what both were asked, and how sure that is.

Forecasters answer different questions, so raw means are never compared. Either only what both forecast, at the
same moment, counts (``compare``); or the difficulty of each question is estimated and taken out
(``inference.adjusted_scores``). The interval of a fixed day must not be looked at every week until it excludes
zero; the confidence sequence beside it may.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.scoring.inference import (
    MIN_CLUSTERS,
    Adjusted,
    Mean,
    Sequential,
    adjusted_scores,
    clustered_mean,
    detectable_difference,
    means_of,
    watch,
)
from tracker.scoring.lives import mean_json
from tracker.scoring.scores import FloatArray, brier_score
from tracker.scoring.table import ForecastTable, Labels, Status, codes, evidence

By = Literal["forecaster", "source"]
Codes = NDArray[np.int64]

_WEEK = np.timedelta64(7, "D")
_MONDAY = np.datetime64("1970-01-05", "us")


@dataclass(frozen=True)
class Paired:
    """Two forecasters on their common questions. ``difference`` is of Brier scores, a - b: negative, a is better.

    Each common question counts once. ``won`` is the share on which a had the lower score (a tie is half).
    ``detectable`` is the true difference that so many questions would show four times out of five; ``sequence``,
    over weeks of scheduled closes, may be looked at as often as one likes (None without closes).
    """

    a: str
    b: str
    difference: Mean
    won: float
    detectable: float | None
    sequence: Sequential | None


@dataclass(frozen=True)
class Comparison:
    """Everybody against everybody, and everybody's score with the difficulty of the questions taken out."""

    by: By
    pairs: tuple[Paired, ...]
    adjusted: tuple[Adjusted, ...]


@dataclass(frozen=True, eq=False)
class _Scored:
    """Scored rows as columns of codes: what at what moment (``cell``), whose, on what, about what event."""

    score: FloatArray
    cell: Codes
    who: Codes
    question: Codes
    event: Codes
    closes_at: NDArray[np.datetime64] | None


def compare(
    table: ForecastTable, by: By = "forecaster", *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare forecasters (or sources) by Brier score on scored forecasts of the same thing at the same moment.

    The same thing is a question, option and threshold; the same moment is the lead time where lead times were
    asked for, else ``made_at`` to the second; without either all of a question's forecasts are averaged. A pair
    without common questions is left out. Raises UsageError when the table does not name forecasters.
    """
    label: Labels | None = getattr(table, by)
    if label is None:
        raise UsageError(f"cannot compare: these forecasts have no {by} column")
    chosen = table.status == Status.SCORED
    rows = table.rows(chosen)
    if not len(rows):
        return Comparison(by, (), ())
    who, labels = codes(label[chosen])
    names = [name or "unknown" for (name,) in labels]
    scored = _Scored(
        brier_score(rows.probability, rows.outcome),
        _cells(rows),
        who,
        codes(rows.question)[0],
        codes(evidence(rows))[0],
        rows.closes_at,
    )
    pairs = (
        _pair(scored, (a, b), (names[a], names[b])) for a, b in itertools.combinations(range(len(names)), 2)
    )
    # difficulty is of a question at a moment: it is easier near its end
    adjusted = adjusted_scores(
        scored.score, who, scored.cell, names, event=scored.event, resamples=resamples, seed=seed
    )
    return Comparison(by, tuple(pair for pair in pairs if pair is not None), tuple(adjusted))


def _cells(rows: ForecastTable) -> Codes:
    """What was forecast and when, as one code per row."""
    columns: list[Labels] = [
        column for column in (rows.question, rows.option, rows.threshold) if column is not None
    ]
    if rows.leads and rows.lead_days is not None:
        columns.append(rows.lead_days.astype(str).astype(object))
    elif rows.made_at is not None:
        columns.append(rows.made_at.astype("datetime64[s]").astype(str).astype(object))
    return codes(*columns)[0]


def _pair(scored: _Scored, pair: tuple[int, int], names: tuple[str, str]) -> Paired | None:
    count = int(scored.cell.max()) + 1
    first, second = (
        means_of(scored.score[scored.who == one], scored.cell[scored.who == one], count) for one in pair
    )
    common = np.flatnonzero(~np.isnan(first - second))
    if not common.size:
        return None
    where = np.zeros(count, dtype=np.int64)
    where[scored.cell] = np.arange(scored.cell.size)
    row = where[common]  # any row of the cell: its question, event and close are the cell's
    asked, of_question = np.unique(scored.question[row], return_inverse=True)
    difference = means_of((first - second)[common], of_question, asked.size)
    at = np.zeros(asked.size, dtype=np.int64)
    at[of_question] = row
    event = scored.event[at]
    mean = clustered_mean(difference, event)
    closes = None if scored.closes_at is None else scored.closes_at[at]
    return Paired(
        *names,
        difference=mean,
        won=float(np.mean((difference < 0.0) + 0.5 * (difference == 0.0))),
        detectable=None
        if mean.se is None
        else detectable_difference(mean.se * float(np.sqrt(mean.n_clusters)), mean.n_clusters),
        sequence=_sequence(difference, event, closes),
    )


def _sequence(
    difference: FloatArray, event: Codes, closes: NDArray[np.datetime64] | None
) -> Sequential | None:
    """The confidence sequence over weeks: an event in the week of its last close, a week as one step."""
    if closes is None or bool(np.isnat(closes).any()):
        return None
    _, event = np.unique(event, return_inverse=True)
    size = int(event.max()) + 1
    last = np.full(size, np.datetime64("0001-01-01", "us"))
    np.maximum.at(last, event, closes.astype("datetime64[us]"))
    weeks, step = np.unique((last - _MONDAY) // _WEEK, return_inverse=True)
    return watch(means_of(means_of(difference, event, size), step, weeks.size).tolist())


def comparison_json(found: Comparison) -> dict[str, Any]:
    """A comparison under the public names, ready for ``json.dumps``."""
    return {
        "by": found.by,
        "score": "brier",
        "pairs": [_paired_json(pair) for pair in found.pairs],
        "adjusted": list(_adjusted_json(found)),
    }


def _paired_json(pair: Paired) -> dict[str, Any]:
    sequence = pair.sequence
    document = {
        "a": pair.a,
        "b": pair.b,
        "difference": mean_json(pair.difference),
        "won_by_a": pair.won,
        "detectable_difference": pair.detectable,
        "sequence": {"value": None, "ci95": None, "reason": "the scheduled closes are not all known"}
        if sequence is None
        else {
            "value": sequence.value,
            "ci95": list(sequence.ci95),
            "e_a_better": sequence.e_first_better,
            "e_b_better": sequence.e_second_better,
            "weeks": sequence.steps,
        },
    }
    if pair.detectable is None:
        document["reason"] = "one event tells nothing of the spread"
    return document


def _adjusted_json(found: Comparison) -> Iterator[dict[str, Any]]:
    for one in found.adjusted:
        document: dict[str, Any] = {
            found.by: one.forecaster,
            "value": one.value,
            "ci95": None if one.ci95 is None else list(one.ci95),
            "n": one.n_questions,
        }
        if one.value is None:
            document["reason"] = "no common question connects this one to the others"
        elif one.ci95 is None:
            document["reason"] = f"fewer than {MIN_CLUSTERS} events say too little"
        yield document

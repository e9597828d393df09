"""What ``speedup calibration --export`` writes: each forecast with its scores, reports, bins, numbers and dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from questions.time import iso
from tracker.columns import Column, File, Format, Rows, Sheet, columns, guide, write

if TYPE_CHECKING:
    from tracker.scoring.calibration import CalibrationReport
    from tracker.scoring.table import ForecastTable

_GROUP = ("forecaster", "source", "area", "threshold", "month", "lead")
_ESTIMATES = ("brier", "log_score", "spherical", "brier_skill", "intercept", "slope")
_COUNTS = (
    "forecasts",
    "questions",
    "events",
    "pending",
    "overdue",
    "void",
    "fraction",
    "resolved_early",
    "after_resolution",
    "sure_and_wrong",
)
_WHICH = (("group", "text", "empty: all; else such as forecaster=ann"),)
_VERSION = ("score_version", "text", "changes with the rules: only equal ones compare")

FORECASTS = Sheet(
    "forecasts",
    "Every forecast that was looked at, with its losses (lower is better) where it is scored.",
    columns(
        ("question", "text", "the unit of evidence"),
        ("option", "text", "which outcome of it the probability is of"),
        ("threshold", "text", ""),
        ("forecaster", "text", ""),
        ("source", "text", "who delivered it"),
        ("area", "text", "areas it bears on, | between"),
        ("event", "text", "what several questions share; intervals count it once"),
        ("made_at", "time", "the moment at which it stood"),
        ("closes_at", "time", "scheduled close"),
        ("resolved_at", "time", "when the outcome was out"),
        ("lead_days", "number", "days to the scheduled close (else to the outcome)"),
        ("probability", "number", "0..1"),
        ("outcome", "number", "1, 0, a fraction; empty while pending"),
        ("status", "text", "scored, or why not: fraction, void, pending, resolved_early, after_resolution"),
        ("brier", "number", "(p - y)^2"),
        ("log_score", "number", "-ln(probability given to what happened), clipped; nats"),
        ("spherical", "number", "1 - p_outcome / sqrt(p^2 + (1 - p)^2)"),
        ("clipped", "true/false", "whether the log score moved the probability"),
        _VERSION,
    ),
)
REPORTS = Sheet(
    "reports",
    "One row for all forecasts and one for each group: scores with 95 % intervals over questions, calibration.",
    columns(
        *_WHICH,
        *((name, "count", "") for name in _COUNTS),
        ("base_rate", "number", "how often it happened"),
        *(
            (f"{name}{end}", "number", meaning)
            for name in _ESTIMATES
            for end, meaning in (("", ""), ("_low", "95 % interval"), ("_high", "95 % interval"))
        ),
        ("miscalibration", "number", "CORP; brier = miscalibration - discrimination + uncertainty"),
        ("discrimination", "number", "CORP"),
        ("uncertainty", "number", "CORP"),
        ("ece", "number", "over bins of equal width"),
        ("smooth_ece", "number", "without bins"),
        ("log_clip", "number", "probabilities are moved into [log_clip, 1 - log_clip] for the log score"),
        _VERSION,
    ),
)
BINS = Sheet(
    "bins",
    "The reliability table of all forecasts and of each group.",
    columns(
        *_WHICH,
        ("lower", "number", "closed"),
        ("upper", "number", "open, but for the last"),
        ("n", "count", "forecasts"),
        ("n_questions", "count", ""),
        ("mean_forecast", "number", ""),
        ("observed", "number", "how often it happened"),
        ("observed_low", "number", "95 % interval over questions"),
        ("observed_high", "number", "95 % interval over questions"),
    ),
)
NUMBERS = Sheet(
    "numbers",
    "Scores of numbers and dates, over the life of questions (lead empty) and at fixed leads; they mix with nothing.",
    columns(
        ("forecaster", "text", ""),
        (
            "score",
            "text",
            "crps, weighted_interval_score, quantile_score, ranked_probability_score, baseline",
        ),
        ("unit", "text", "days, range (the question's own as 1), rungs, points"),
        ("levels", "numbers", "of the quantiles; only equal ones compare"),
        (
            "lead",
            "text",
            "days before the scheduled close, midpoint, or spot (the reveal, else the end); empty: averaged over life",
        ),
        ("n_questions", "count", ""),
        ("n_events", "count", ""),
        ("value", "number", "lower is better, but for baseline"),
        ("low", "number", "95 % interval, clustered by event"),
        ("high", "number", "95 % interval, clustered by event"),
        _VERSION,
    ),
)


def files(
    forecasts: ForecastTable,
    report: CalibrationReport,
    distributions: Mapping[str, Any] | None,
    *,
    at: datetime,
    form: Format,
) -> Iterator[File]:
    """The tables, then the README; ``distributions``: the document's part on numbers and dates, if there is one."""
    reports = [report, *report.groups]
    given = [
        (FORECASTS, _forecasts(forecasts, report.log_clip)),
        (REPORTS, map(_report, reports)),
        (BINS, (row for one in reports for row in _bins(one))),
    ]
    if distributions is not None and distributions.get("scores") is not None:
        given.append((NUMBERS, _numbers(distributions["scores"])))
    told = []
    for sheet, rows in given:
        file = write(sheet, rows, form)
        told.append((sheet, file.rows))
        yield file
    about = (
        f"As known at {iso(at)}; {report.resamples} resamples over questions, seed {report.seed}.",
        *(f"Note: {note}." for note in report.notes),
    )
    yield guide("Scores by Speedup Tracker", about, told, form)


def _forecasts(table: ForecastTable, clip: float) -> Rows:
    from tracker.scoring.scores import SCORE_VERSION, brier_score, clipped, log_score, spherical_score
    from tracker.scoring.table import Status

    scored = table.status == Status.SCORED
    p, y = table.probability[scored], table.outcome[scored]
    losses = (brier_score(p, y), log_score(p, y, clip=clip), spherical_score(p, y))
    moved = clipped(table.probability, clip)[0] != table.probability
    made: dict[str, Sequence[object]] = {}
    for column in FORECASTS.columns:
        values = getattr(table, column.name, None)
        if isinstance(values, np.ndarray):
            made[column.name] = _cells(values, column)
        else:
            made[column.name] = [None] * len(table)
    made["status"] = [Status(code).name.lower() for code in table.status.tolist()]
    for name, loss in zip(("brier", "log_score", "spherical"), losses, strict=True):
        whole = np.full(len(table), np.nan)
        whole[scored] = loss
        made[name] = _cells(whole, Column(name, "number", ""))
    made["clipped"] = moved.tolist()
    made["score_version"] = [SCORE_VERSION] * len(table)
    yield from zip(*made.values(), strict=True)


def _cells(values: np.ndarray[Any, Any], column: Column) -> list[object]:
    if column.kind == "time":
        moments = values.astype("datetime64[us]").tolist()
        return [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]
    if column.kind == "number":
        return [None if number != number else number for number in values.tolist()]
    return list(values.tolist())


def _name(report: CalibrationReport) -> str:
    return ", ".join(f"{key}={report.group[key]}" for key in _GROUP if key in report.group)


def _report(report: CalibrationReport) -> Sequence[object]:
    from tracker.scoring.scores import SCORE_VERSION

    row: list[object] = [_name(report), *(getattr(report, f"n_{name}") for name in _COUNTS), report.base_rate]
    for name in _ESTIMATES:
        estimate = getattr(report, name)
        row += [estimate.value, *(estimate.ci95 or (None, None))]
    corp = report.corp
    row += [None] * 3 if corp is None else [corp.miscalibration, corp.discrimination, corp.uncertainty]
    return [*row, report.ece, report.smooth_ece, report.log_clip, SCORE_VERSION]


def _bins(report: CalibrationReport) -> Rows:
    for one in report.bins:
        ends = one.ci95 or (None, None)
        yield (
            _name(report),
            one.lower,
            one.upper,
            one.n,
            one.n_questions,
            one.mean_forecast,
            one.observed,
            *ends,
        )


def _numbers(scores: Sequence[Mapping[str, Any]]) -> Rows:
    from tracker.scoring.scores import SCORE_VERSION

    for one in scores:
        spot = [{**one["spot"], "lead": "spot"}] if "spot" in one else []
        for mean in (one["over_life"], *one["leads"], *spot):
            yield (
                one["forecaster"], one["score"], one["unit"], one["levels"], mean.get("lead"), mean["n"],
                mean["n_events"], mean["value"], *(mean["ci95"] or (None, None)), SCORE_VERSION,
            )  # fmt: skip

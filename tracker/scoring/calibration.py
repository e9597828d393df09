"""How well forecasts did: proper scores, calibration and their intervals, as one report.

Headline numbers are means over forecasts. Every interval is a bootstrap over *questions*: rows of one
question share one outcome and are never taken as independent evidence.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import UsageError
from tracker.scoring.grouping import groups_of
from tracker.scoring.recalibration import line_of
from tracker.scoring.reliability import (
    MAX_LEVELS,
    Corp,
    Tally,
    band_of_counts,
    bin_index,
    calibration_error_of,
    cell_counts,
    consistency_band,
    curve_of,
    decomposition_of,
    equal_width_edges,
    in_order,
    levels_of,
    quantile_edges,
    smooth_error_of,
    tally_of,
)
from tracker.scoring.resampling import bootstrap_questions, percentile_interval, question_sums
from tracker.scoring.scores import (
    DEFAULT_LOG_CLIP,
    SCORE_VERSION,
    FloatArray,
    brier_score,
    clipped,
    log_score,
    spherical_score,
)
from tracker.scoring.table import (
    ForecastTable,
    Status,
    codes,
    evidence,
    heard_once,
    numbered_questions,
    picked_from,
)

MIN_QUESTIONS = 10  # below it a percentile bootstrap covers less than 90 % where it says 95 %
MIN_CURVE_QUESTIONS = 20  # below it a curve shows noise
MAX_BINS = 100
_ROWS = 1 << 18

_NOTHING = "no forecast with a known outcome to score"
_LINE = ("intercept", "slope")
_SCORES = ("brier", "log_score", "spherical", "brier_skill")

Interval = tuple[float, float]


@dataclass(frozen=True)
class ScoreEstimate:
    """A mean and its 95 % interval; None where it cannot be said (the report's ``reasons`` tell why)."""

    value: float | None = None
    ci95: Interval | None = None


@dataclass(frozen=True)
class Bin:
    """Forecasts in [lower, upper) (the last bin closed): how many, what they said, what happened.

    ``ci95`` is of ``observed``, by resampling questions; None where all outcomes agree or questions are few.
    """

    lower: float
    upper: float
    n: int
    n_questions: int
    mean_forecast: float | None
    observed: float | None
    ci95: Interval | None


@dataclass(frozen=True)
class Curve:
    """The CORP reliability curve at the forecast values used, with its 90 % band, and questions per value.

    ``n`` and ``n_questions`` are per value. More than 201 values are put on a grid of 0.01. ``consistent_lower`` and
    ``consistent_upper``: where 90 % of the curves of calibrated forecasts lie; empty unless each question (event) has
    one forecast.
    """

    forecast: tuple[float, ...]
    recalibrated: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    n: tuple[int, ...]
    n_questions: tuple[int, ...]
    consistent_lower: tuple[float, ...] = ()
    consistent_upper: tuple[float, ...] = ()


@dataclass(frozen=True)
class CalibrationReport:
    """Scores and calibration of one set of forecasts.

    Counted rows: ``n_forecasts`` (scored) over ``n_questions`` about ``n_events`` events; not scored:
    ``n_void`` (annulled), ``n_pending`` (no outcome yet; ``n_overdue`` of them past their close), ``n_fraction``
    (outcome other than 0 and 1, unless scored because asked), ``n_after_resolution`` (made when the outcome was
    out), ``n_resolved_early`` (resolved before a scheduled close that has not passed), ``n_repeated`` (a crowd's
    word that was heard nearer to it as well). ``n_close_unknown`` counts scored questions without a scheduled close:
    with them early Yes outcomes may be over-represented. ``n_clipped``: forecasts moved by ``log_clip``;
    ``n_sure_and_wrong``: those of 0 or 1 that came out otherwise, whose log score without it would be infinite.

    All scores are losses, lower is better; ``log_score`` in nats, ``spherical`` = 1 - spherical reward.
    ``brier_skill`` = 1 - Brier / Brier of always saying ``reference``, a probability fixed in advance, or where
    it is None the base rate of the same rows (higher is better; the latter knows what nobody knew then).
    ``intercept`` and ``slope``: logit P(yes) = intercept + slope logit p; 0 and 1 are calibrated, a slope above 1
    is too timid. ``curve`` is there when it was asked for and at least 20 questions were scored.
    ``reasons`` maps the path of every missing value (``brier.ci95``, ``bins.3.observed``) to why.
    """

    n_forecasts: int
    n_questions: int
    n_void: int
    n_pending: int
    n_fraction: int
    n_after_resolution: int
    n_resolved_early: int
    n_close_unknown: int
    n_clipped: int
    base_rate: float | None
    log_clip: float
    brier: ScoreEstimate
    log_score: ScoreEstimate
    spherical: ScoreEstimate
    brier_skill: ScoreEstimate
    ece: float | None
    ece_bins: int
    smooth_ece: float | None
    corp: Corp | None
    bins: tuple[Bin, ...]
    resamples: int
    seed: int
    group: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[CalibrationReport, ...] = ()
    notes: tuple[str, ...] = ()
    n_events: int = 0
    n_repeated: int = 0
    n_overdue: int = 0
    n_sure_and_wrong: int = 0
    reference: float | None = None
    intercept: ScoreEstimate = ScoreEstimate()
    slope: ScoreEstimate = ScoreEstimate()
    curve: Curve | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


def calibrate(
    table: ForecastTable,
    *,
    bins: str | int = "10",
    resamples: int = 2000,
    seed: int = 0,
    group_by: Collection[str] = (),
    log_clip: float = DEFAULT_LOG_CLIP,
    score_fractions: bool = False,
    reference: float | None = None,
    curve: bool = False,
    shape: bool = True,
) -> CalibrationReport:
    """Score the forecasts of a table whose outcome is known, and say how calibrated they are.

    ``bins``: a number N of equal-width bins, or ``quantile:N``; the calibration error always has N bins
    of equal width. ``group_by``: forecaster, source, area, threshold, month (of ``made_at``), lead; each
    group's report is what its rows alone would give. ``score_fractions`` scores outcomes strictly between
    0 and 1 too. ``reference``: the probability that skill is measured against. ``curve`` also draws the
    CORP curve with its band; without ``shape`` only scores and bins are told, not the measures of how forecasts and
    outcomes go together (calibration errors, CORP, line). Intervals resample events
    (questions that share one together). The same table, bins and seed give the same report, whatever the order
    of the rows.

    Raises UsageError for a bad ``bins``, an unknown group, or a group whose column the table lacks.
    """
    settings = _Settings(
        *_parse_bins(bins), resamples, seed, log_clip, score_fractions, reference, curve, shape
    )
    if reference is not None and not 0.0 < reference < 1.0:
        raise UsageError(f"the reference must lie between 0 and 1, got {reference:g}")
    if resamples < 0:
        raise UsageError(f"resamples must not be negative, got {resamples}")
    report = replace(_report(table, settings), notes=table.notes)
    if not group_by:
        return report
    return replace(report, groups=tuple(_group_reports(table, tuple(group_by), settings)))


@dataclass(frozen=True)
class _Settings:
    bins: int
    by_quantile: bool
    resamples: int
    seed: int
    log_clip: float
    score_fractions: bool
    reference: float | None
    curve: bool
    shape: bool

    def edges(self, scored: _Scored) -> FloatArray:
        if self.by_quantile and scored.outcome.size:
            return quantile_edges(scored.probability, self.bins)
        return equal_width_edges(self.bins)


@dataclass(frozen=True, eq=False)
class _Scored:
    """The rows that are scored, as columns in the order of questions, which are numbered 0..n_questions-1."""

    outcome: FloatArray
    which: NDArray[np.int64]  # of the tally's values each row is
    tally: Tally
    question: NDArray[np.int64]
    n_questions: int
    event: NDArray[np.int64]  # of each question
    n_events: int

    @property
    def probability(self) -> FloatArray:
        return self.tally.value[self.which]

    @property
    def event_of_row(self) -> NDArray[np.int64]:
        return self.question if self.n_events == self.n_questions else self.event[self.question]


def _parse_bins(bins: str | int) -> tuple[int, bool]:
    match = re.fullmatch(r"(quantile:)?([0-9]{1,4})", str(bins).strip())
    if match is None or not 1 <= int(match[2]) <= MAX_BINS:
        raise UsageError(f"bins must be a number from 1 to {MAX_BINS} or quantile:N, got {bins!r}")
    return int(match[2]), match[1] is not None


def _group_reports(
    table: ForecastTable, group_by: tuple[str, ...], settings: _Settings
) -> Iterator[CalibrationReport]:
    for group, rows in groups_of(table, group_by):
        yield replace(_report(table.rows(rows), settings), group=group)


def _report(told: ForecastTable, settings: _Settings) -> CalibrationReport:
    once = heard_once(told)
    table = told if once.all() else told.rows(once)
    scored_rows = table.status == Status.SCORED
    if settings.score_fractions:
        scored_rows |= (table.status == Status.FRACTION) & (table.outcome > 0.0) & (table.outcome < 1.0)
    question, questions = numbered_questions(table, scored_rows)
    probability = picked_from(table.probability, scored_rows)
    outcome = picked_from(table.outcome, scored_rows)
    value, which = levels_of(probability)
    tally = tally_of(value, which, outcome)
    events = _events(table, scored_rows, question)
    question, which, outcome = in_order(question, which, outcome)
    scored = _Scored(outcome, which, tally, question, questions, *events)
    apart = np.bincount(table.status[~scored_rows], minlength=len(Status)).tolist()
    reasons: dict[str, str] = {}
    estimates, bins = _estimates(scored, settings, reasons)
    some = scored.n_questions > 0
    shape = some and settings.shape
    line = _line(scored, reasons) if settings.shape else (ScoreEstimate(), ScoreEstimate())
    curve = _curve(scored, settings, reasons) if settings.curve else None
    if not some:
        reasons |= dict.fromkeys(("base_rate", "ece.value", "smooth_ece.value", "corp"), _NOTHING)
    elif not shape:
        unasked = [f"{name}.{part}" for name in _LINE for part in ("value", "ci95")]
        reasons |= dict.fromkeys(("ece.value", "smooth_ece.value", "corp", *unasked), "not asked for")
    return CalibrationReport(
        n_forecasts=scored.outcome.size,
        n_questions=scored.n_questions,
        n_events=scored.n_events,
        n_void=apart[Status.VOID],
        n_pending=apart[Status.PENDING],
        n_fraction=apart[Status.FRACTION],
        n_after_resolution=apart[Status.AFTER_RESOLUTION],
        n_resolved_early=apart[Status.RESOLVED_EARLY],
        n_close_unknown=_questions_without_close(table, scored_rows, question),
        n_repeated=len(told) - len(table),
        n_overdue=0 if table.overdue is None else int(table.overdue.sum()),
        n_clipped=int(tally.n[clipped(value, settings.log_clip)[0] != value].sum()),
        n_sure_and_wrong=_sure_and_wrong(tally),
        base_rate=tally.base_rate if some else None,
        log_clip=settings.log_clip,
        brier=estimates["brier"],
        log_score=estimates["log_score"],
        spherical=estimates["spherical"],
        brier_skill=estimates["brier_skill"],
        reference=settings.reference,
        ece=calibration_error_of(tally, settings.bins) if shape else None,
        ece_bins=settings.bins,
        smooth_ece=smooth_error_of(tally) if shape else None,
        corp=decomposition_of(tally) if shape else None,
        bins=bins,
        resamples=settings.resamples,
        seed=settings.seed,
        intercept=line[0],
        slope=line[1],
        curve=curve,
        reasons=reasons,
    )


def _sure_and_wrong(tally: Tally) -> int:
    """Forecasts of 0 of what happened, and of 1 of what did not."""
    wrong = np.where(
        tally.value == 0.0, tally.happened, np.where(tally.value == 1.0, tally.n - tally.happened, 0.0)
    )
    return int(np.ceil(wrong).sum())


def _events(
    table: ForecastTable, rows: NDArray[np.bool_], question: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """The event of each question (a question's own where it shares none), and how many there are."""
    if table.event is None:
        return np.arange(int(question.max()) + 1 if question.size else 0), int(question.max(initial=-1)) + 1
    event, names = codes(evidence(table)[rows])
    of_question = np.zeros(int(question.max(initial=-1)) + 1, dtype=np.int64)
    of_question[question] = event
    return of_question, len(names)


def _line(scored: _Scored, reasons: dict[str, str]) -> tuple[ScoreEstimate, ScoreEstimate]:
    """Calibration intercept and slope; with the reason where they are missing."""
    line = None
    if scored.n_questions > 0 and scored.tally.binary:
        line = line_of(scored.tally, scored.which, scored.outcome, scored.event_of_row)
    if line is None:
        why = "no line fits: forecasts or outcomes all agree, or the ones tell the others apart wholly"
        why = why if scored.n_questions else _NOTHING
        reasons |= {f"{name}.{part}": why for name in _LINE for part in ("value", "ci95")}
        return ScoreEstimate(), ScoreEstimate()
    if line.slope_ci95 is None:
        reasons |= {f"{name}.ci95": _why_no_interval(scored.n_events) for name in _LINE}
    return ScoreEstimate(line.intercept, line.intercept_ci95), ScoreEstimate(line.slope, line.slope_ci95)


def _curve(scored: _Scored, settings: _Settings, reasons: dict[str, str]) -> Curve | None:
    if scored.n_questions < MIN_CURVE_QUESTIONS:
        reasons["curve"] = (
            f"too few to say: {scored.n_questions} questions, a curve needs {MIN_CURVE_QUESTIONS}"
        )
        return None
    drawn, which = scored.tally, scored.which
    if drawn.value.size > MAX_LEVELS:
        value, place = np.unique(np.round(drawn.value, 2), return_inverse=True)
        drawn, which = drawn.at(value, place), place[which]
    whole = curve_of(drawn)
    resamples = settings.resamples or 1
    shape = (scored.n_questions, drawn.value.size)
    n, happened = cell_counts(scored.question, which, scored.outcome, shape, np.float32)
    questions = np.count_nonzero(n, axis=0)
    if scored.n_events < scored.n_questions:
        n, happened = (_summed(column, scored.event, scored.n_events) for column in (n, happened))
    band = band_of_counts(drawn.value, n, happened, resamples=resamples, seed=settings.seed)
    columns = [whole.forecast, whole.recalibrated, band.lower, band.upper, whole.n, questions]
    if scored.n_events == scored.outcome.size and drawn.binary:
        calibrated = consistency_band(whole.forecast, whole.n, resamples=resamples, seed=settings.seed)
        columns += [calibrated.lower, calibrated.upper]
    return Curve(*(tuple(column.tolist()) for column in columns))


def _summed(table: NDArray[Any], event: NDArray[np.int64], events: int) -> FloatArray:
    """Rows of questions added up to rows of events."""
    total = np.zeros((events, table.shape[1]))
    np.add.at(total, event, table)
    return total


def _questions_without_close(
    table: ForecastTable, rows: NDArray[np.bool_], question: NDArray[np.int64]
) -> int:
    if table.closes_at is None:
        return int(question.max(initial=-1)) + 1
    return int(np.count_nonzero(np.bincount(question[np.isnat(table.closes_at[rows])])))


def _estimates(
    scored: _Scored, settings: _Settings, reasons: dict[str, str]
) -> tuple[dict[str, ScoreEstimate], tuple[Bin, ...]]:
    """Point values and bootstrap intervals of the scores and of each bin's frequency."""
    edges = settings.edges(scored)
    if scored.n_questions == 0:
        reasons |= {f"{name}.{part}": _NOTHING for name in _SCORES for part in ("value", "ci95")}
        empty = np.zeros((1, edges.size - 1))
        return dict.fromkeys(_SCORES, ScoreEstimate()), _bins(edges, empty, empty, empty[0], None, reasons)
    bin_of = bin_index(scored.tally.value, edges)
    shape = (scored.n_questions, edges.size - 1)
    n, happened = cell_counts(scored.question, bin_of[scored.which], scored.outcome, shape)
    said = np.bincount(bin_of, scored.tally.n * scored.tally.value, shape[1]).astype(np.float64)
    sums = np.hstack([_score_sums(scored, settings), n, happened])
    if scored.n_events < scored.n_questions:
        sums = question_sums(list(sums.T), scored.event, scored.n_events)
    values = _statistics(sums.sum(axis=0, keepdims=True))[0]
    interval = _interval(sums, settings)
    estimates = _score_estimates(values, interval, scored.n_events, reasons)
    return estimates, _bins(edges, n, happened, said, interval, reasons)


def _score_sums(scored: _Scored, settings: _Settings) -> FloatArray:
    """Per question: rows, the three losses, outcomes, squared outcomes and the reference's loss.

    What ``_statistics`` reads; the reference's loss is NaN where it is the base rate.
    """
    reference = math.nan if settings.reference is None else settings.reference
    total = np.zeros((scored.n_questions, 7))
    told = _losses(scored.tally.value, settings) if scored.tally.binary else None
    for start in range(0, scored.outcome.size, _ROWS):  # what is kept in between stays small
        part = slice(start, start + _ROWS)
        y, question = scored.outcome[part], scored.question[part]
        if told is None:
            p = scored.tally.value[scored.which[part]]
            losses = [brier_score(p, y), log_score(p, y, clip=settings.log_clip), spherical_score(p, y)]
        else:
            at = 2 * scored.which[part] + y.astype(np.int64)
            losses = [one[at] for one in told]
        first = int(question[0])  # rows are in the order of questions: a part touches few of them
        asked, place = total[first : int(question[-1]) + 1], question - first
        asked[:, 0] += np.bincount(place)
        for column, loss in enumerate([*losses, y], start=1):
            asked[:, column] += np.bincount(place, weights=loss)
        if told is None:
            asked[:, 5] += np.bincount(place, weights=np.square(y))
    if told is not None:
        total[:, 5] = total[:, 4]
    # (r - y)^2, summed over rows
    total[:, 6] = reference**2 * total[:, 0] - 2.0 * reference * total[:, 4] + total[:, 5]
    return total


def _losses(value: FloatArray, settings: _Settings) -> FloatArray:
    """The three losses (3, 2 values) of each forecast value when it does not happen, and when it does, by turns."""
    p, y = np.repeat(value, 2), np.tile([0.0, 1.0], value.size)
    return np.stack([brier_score(p, y), log_score(p, y, clip=settings.log_clip), spherical_score(p, y)])


def _statistics(totals: FloatArray) -> FloatArray:
    """Totals (r, 7 + 2 bins) to Brier, log, spherical, skill and bin frequencies (r, 4 + bins).

    NaN where a replicate has no variation in outcomes (skill) or no forecast in a bin.
    """
    rows = totals[:, :1]
    losses = totals[:, 1:4] / rows
    base_rate = totals[:, 4:5] / rows
    variance = totals[:, 5:6] / rows - np.square(base_rate)
    fixed = totals[:, 6:7] / rows
    yardstick = np.where(np.isnan(fixed), variance, fixed)
    # rounding leaves about 1e-16 where all outcomes agree
    skill = 1.0 - losses[:, :1] / np.where(yardstick > 1e-12, yardstick, np.nan)
    n, happened = np.hsplit(totals[:, 7:], 2)
    frequency = happened / np.where(n > 0.0, n, np.nan)
    return np.hstack([losses, skill, frequency])


def _interval(sums: FloatArray, settings: _Settings) -> FloatArray | None:
    """95 % intervals (2, statistics), or None where there are too few questions or no resamples."""
    if settings.resamples == 0 or len(sums) < MIN_QUESTIONS:
        return None
    replicates = bootstrap_questions(sums, _statistics, resamples=settings.resamples, seed=settings.seed)
    return percentile_interval(replicates)


def _score_estimates(
    values: FloatArray,
    interval: FloatArray | None,
    questions: int,
    reasons: dict[str, str],
) -> dict[str, ScoreEstimate]:
    estimates = {}
    for column, name in enumerate(_SCORES):
        value = None if np.isnan(values[column]) else float(values[column])
        ci95 = None if interval is None or value is None else _pair(interval[:, column])
        estimates[name] = ScoreEstimate(value, ci95)
        if value is None:
            same = "all outcomes agree: the base rate is 0 or 1 and cannot be beaten"
            reasons |= {f"{name}.value": same, f"{name}.ci95": same}
        elif ci95 is None:
            reasons[f"{name}.ci95"] = _why_no_interval(questions)
    return estimates


def _why_no_interval(questions: int) -> str:
    if questions < MIN_QUESTIONS:
        many = "1 question" if questions == 1 else f"{questions} questions"
        return f"{many}; a bootstrap over fewer than {MIN_QUESTIONS} says too little"
    return "no resamples were asked for"


def _pair(ends: FloatArray) -> Interval:
    return float(ends[0]), float(ends[1])


def _bins(
    edges: FloatArray,
    n: FloatArray,
    happened: FloatArray,
    said: FloatArray,
    interval: FloatArray | None,
    reasons: dict[str, str],
) -> tuple[Bin, ...]:
    """The reliability table from counts per question (questions, bins) and the sum of forecasts per bin."""
    made = []
    for position, (lower, upper) in enumerate(itertools.pairwise(edges.tolist())):
        rows, yes = n[:, position].sum(), happened[:, position].sum()
        questions = int(np.count_nonzero(n[:, position]))
        why = _why_no_bin_interval(rows, yes, questions, interval)
        made.append(
            Bin(
                lower=lower,
                upper=upper,
                n=int(rows),
                n_questions=questions,
                mean_forecast=float(said[position] / rows) if rows else None,
                observed=float(yes / rows) if rows else None,
                ci95=None if interval is None or why else _pair(interval[:, len(_SCORES) + position]),
            )
        )
        if why:
            missing = ("ci95",) if rows else ("mean_forecast", "observed", "ci95")
            reasons |= {f"bins.{position}.{name}": why for name in missing}
    return tuple(made)


def _why_no_bin_interval(rows: float, yes: float, questions: int, interval: FloatArray | None) -> str:
    if rows == 0:
        return "no forecast falls in this bin"
    if questions < MIN_QUESTIONS or interval is None:
        return _why_no_interval(questions)
    if yes in (0.0, rows):
        return "all outcomes in this bin agree: resampling cannot show how far they might differ"
    return ""


def to_json(report: CalibrationReport) -> dict[str, Any]:
    """The report under the public names, ready for ``json.dumps``.

    A missing value is null and its reason stands beside it (``reason`` in the same object) and in
    ``reasons`` by path. NaN and infinity cannot occur.
    """
    counts = {one.name: getattr(report, one.name) for one in fields(report) if one.name.startswith("n_")}
    document: dict[str, Any] = {**report.group, **counts, "base_rate": report.base_rate}
    document["log_clip"] = report.log_clip
    document["score_version"] = SCORE_VERSION
    document["ci_method"] = f"bootstrap over questions, {report.resamples} resamples, seed {report.seed}"
    for name in _SCORES:
        document[name] = _score_json(getattr(report, name)) | _reason(report, name)
    document["log_score"]["unit"] = "nats"
    document["spherical"]["formula"] = "1 - p_outcome / sqrt(p^2 + (1 - p)^2)"
    document["brier_skill"]["reference"] = "base_rate" if report.reference is None else report.reference
    for name in _LINE:
        document[name] = _score_json(getattr(report, name)) | _reason(report, name)
    if report.curve is not None or "curve" in report.reasons:
        document["curve"] = _curve_json(report)
    document["ece"] = {"value": report.ece, "bins": report.ece_bins} | _reason(report, "ece")
    document["smooth_ece"] = {"value": report.smooth_ece} | _reason(report, "smooth_ece")
    document["corp"] = _corp_json(report)
    document["bins"] = [
        _bin_json(one) | _reason(report, f"bins.{position}") for position, one in enumerate(report.bins)
    ]
    if not report.group:
        document["groups"] = [to_json(group) for group in report.groups]
        document["notes"] = list(report.notes)
    return document | {"reasons": dict(report.reasons)}


def _score_json(score: ScoreEstimate) -> dict[str, Any]:
    return {"value": score.value, "ci95": None if score.ci95 is None else list(score.ci95)}


def _corp_json(report: CalibrationReport) -> dict[str, Any]:
    if report.corp is not None:
        return asdict(report.corp)
    return {"miscalibration": None, "discrimination": None, "uncertainty": None} | _reason(report, "corp")


def _curve_json(report: CalibrationReport) -> dict[str, Any]:
    if report.curve is None:
        return {"points": None} | _reason(report, "curve")
    columns = {name: values for name, values in asdict(report.curve).items() if values}
    points = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    document: dict[str, Any] = {"band_level": 0.9, "points": points}
    if not report.curve.consistent_lower:
        document["reason"] = (
            "no consistency band: a question (event) has several forecasts; ask for one lead time"
        )
    return document


def _bin_json(one: Bin) -> dict[str, Any]:
    return {**asdict(one), "ci95": None if one.ci95 is None else list(one.ci95)}


def _reason(report: CalibrationReport, path: str) -> dict[str, str]:
    """The reason why something at or directly below a path is missing, if anything is."""
    for missing, why in report.reasons.items():
        if missing == path or missing.rpartition(".")[0] == path:
            return {"reason": why}
    return {}

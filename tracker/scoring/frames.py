"""The scores as plain functions over pandas DataFrames: one row per forecast, columns by name.

The same numbers as ``speedup calibration``, computed by the same code. A frame has the columns ``probability``
(0..1), ``outcome`` (1, 0, another number, or missing while open) and ``question``; it may have ``forecaster``,
``source``, ``area`` (several joined by ``|``), ``threshold``, ``event`` (what several share), ``void``, and the times
``made_at``, ``closes_at``, ``resolved_at``, ``opens_at`` (aware, or ISO 8601 text with an offset). Other columns are
left alone.

>>> import pandas as pd
>>> said = pd.DataFrame({
...     "question": ["a", "b", "c", "d"], "forecaster": ["ann", "ann", "bob", "bob"],
...     "probability": [0.2, 0.8, 0.8, 0.6], "outcome": [0, 1, 0, 1],
... })
>>> calibration(said, resamples=0)[["forecasts", "questions", "brier", "brier_skill"]].round(3).to_dict("list")
{'forecasts': [4], 'questions': [4], 'brier': [0.22], 'brier_skill': [0.12]}
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import UsageError
from tracker.scoring.calibration import CalibrationReport, ScoreEstimate, calibrate
from tracker.scoring.compare import By, compare
from tracker.scoring.lives import LEADS, MIDPOINT, from_table, records
from tracker.scoring.numeric import NumericRecord, numeric_records
from tracker.scoring.recalibration import out_of_sample
from tracker.scoring.scores import brier_score, clipped, log_score, spherical_score
from tracker.scoring.shapes import Answer, Form, Shape, Told
from tracker.scoring.table import ForecastTable, Moments, Status, at_leads, forecast_table

if TYPE_CHECKING:
    import pandas as pd

_LABELS = ("forecaster", "source", "area", "threshold", "event")
_TIMES = ("made_at", "resolved_at", "closes_at", "opens_at")
_ESTIMATES = ("brier", "log_score", "spherical", "brier_skill", "intercept", "slope")


def table_of(frame: pd.DataFrame, *, now: datetime | None = None) -> ForecastTable:
    """The frame as the table that every score reads; ``now`` turns on the early-resolution rule.

    Raises UsageError that names the column, and the first row, where something is missing or no number or time.
    """
    for name in ("probability", "outcome", "question"):
        if name not in frame:
            raise UsageError(
                f"the frame has no column {name!r}; it has: {', '.join(map(str, frame.columns))}"
            )
    columns: dict[str, Any] = {
        name: frame[name].fillna("").to_numpy(dtype=object) for name in _LABELS if name in frame
    }
    columns |= {name: _moments(frame, name) for name in _TIMES if name in frame}
    if frame["question"].isna().any():
        raise UsageError(f"question: row {frame.index[frame['question'].isna()][0]} has none")
    return forecast_table(
        _numbers(frame, "probability"),
        _numbers(frame, "outcome"),
        frame["question"].to_numpy(dtype=object),
        void=frame["void"].fillna(False).to_numpy(dtype=bool) if "void" in frame else None,
        now=now,
        **columns,
    )


def scores(frame: pd.DataFrame, *, clip: float = 0.001, now: datetime | None = None) -> pd.DataFrame:
    """Each forecast's losses beside it: ``status`` and, where that is ``scored``, three numbers.

    brier = (p - y)^2; log_score = -ln(probability given to what happened), p moved into [clip, 1 - clip] first,
    in nats; spherical = 1 - p_outcome / sqrt(p^2 + (1 - p)^2). Lower is better.

    >>> import pandas as pd
    >>> one = pd.DataFrame({"question": ["a", "b"], "probability": [0.9, 0.5], "outcome": [0, None]})
    >>> scores(one)[["status", "brier", "log_score"]].round(3).to_dict("list")
    {'status': ['scored', 'pending'], 'brier': [0.81, nan], 'log_score': [2.303, nan]}
    """
    table = table_of(frame, now=now)
    made = frame.copy()
    made["status"] = [Status(code).name.lower() for code in table.status.tolist()]
    scored = table.status == Status.SCORED
    p, y = table.probability[scored], table.outcome[scored]
    losses = {
        "brier": brier_score(p, y),
        "log_score": log_score(p, y, clip=clip),
        "spherical": spherical_score(p, y),
    }
    for name, loss in losses.items():
        column = np.full(len(table), np.nan)
        column[scored] = loss
        made[name] = column
    made["clipped"] = clipped(table.probability, clip)[0] != table.probability
    return made


def calibration(
    frame: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    leads: Sequence[int] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    reference: float | None = None,
    now: datetime | None = None,
) -> pd.DataFrame:
    """One row for all forecasts, or one for each group ``by`` (forecaster, source, area, threshold, month, lead).

    Means of the losses with 95 % intervals (``brier_low``, ``brier_high``, …) from resampling events; ``mcb``,
    ``dsc`` and ``unc`` with brier = mcb - dsc + unc (CORP); ``intercept`` and ``slope`` of logit P(yes) = intercept +
    slope logit p; ``ece`` over ten bins and ``smooth_ece``; what was not scored, by reason. ``leads`` takes each
    forecaster's word at these days before the scheduled close.

    >>> import pandas as pd
    >>> said = pd.DataFrame({"question": list("abcd"), "source": list("xxyy"),
    ...     "probability": [0.2, 0.8, 0.8, 0.6], "outcome": [0, 1, 0, 1]})
    >>> calibration(said, by=["source"], resamples=0)[["source", "brier"]].round(3).to_dict("list")
    {'source': ['x', 'y'], 'brier': [0.04, 0.4]}
    """
    import pandas as pd

    table = table_of(frame, now=now)
    if leads is not None:
        table = at_leads(table, leads)
    report = calibrate(table, group_by=by, resamples=resamples, seed=seed, reference=reference)
    return pd.DataFrame([_row(one) for one in (report.groups if by else (report,))])


def reliability(
    frame: pd.DataFrame, *, resamples: int = 2000, seed: int = 0, now: datetime | None = None
) -> pd.DataFrame:
    """The CORP reliability curve: how often it happened at each forecast value, with a 90 % band.

    Isotonic regression of outcomes on forecasts, equal forecasts pooled (Dimitriadis, Gneiting & Jordan 2021).
    Raises UsageError below 20 questions: too few to say.

    >>> import pandas as pd
    >>> said = pd.DataFrame({"question": range(40), "probability": [0.2, 0.7] * 20,
    ...     "outcome": [0, 1, 0, 1, 0, 0, 1, 1] * 5})
    >>> reliability(said, resamples=100)[["forecast", "recalibrated", "n_questions"]].to_dict("list")
    {'forecast': [0.2, 0.7], 'recalibrated': [0.25, 0.75], 'n_questions': [20, 20]}
    """
    import pandas as pd

    report = calibrate(table_of(frame, now=now), curve=True, resamples=resamples, seed=seed)
    if report.curve is None:
        raise UsageError(report.reasons["curve"])
    return pd.DataFrame({name: list(values) for name, values in vars(report.curve).items() if values})


def over_life(
    frame: pd.DataFrame, *, leads: Sequence[int] = LEADS, now: datetime | None = None
) -> pd.DataFrame:
    """Scores averaged over each question's life and at fixed leads, one row per forecaster.

    A forecast stands until the same forecaster's next. ``brier`` and ``log_score`` are integrals over the time for
    which one stood, divided by that time; ``baseline`` = 100 ln(2p)/ln 2 and ``peer`` = 100 N/(N-1) ln(p / geometric
    mean of all N) are divided by the scheduled life, as Metaculus does; ``coverage`` is the share of it. Each
    question counts once; one on which nobody else forecast has no peer score. Needs forecaster or source, made_at and
    closes_at.

    >>> import pandas as pd
    >>> said = pd.DataFrame({"question": "a", "forecaster": "ann", "probability": [0.5, 0.9], "outcome": 1,
    ...     "made_at": ["2025-01-01", "2025-01-06"], "closes_at": "2025-01-11"})
    >>> over_life(said)[["brier", "coverage", "brier_7", "brier_midpoint"]].round(3).to_dict("list")
    {'brier': [0.13], 'coverage': [1.0], 'brier_7': [0.25], 'brier_midpoint': [0.01]}
    """
    import pandas as pd

    rows = []
    for one in records(*from_table(table_of(frame, now=now)), leads=leads):
        row: dict[str, Any] = {
            "forecaster": one.forecaster,
            "questions": one.n_questions,
            "coverage": one.coverage,
        }
        for name in ("brier", "log_score", "baseline", "peer"):
            mean = getattr(one, name)
            row |= _estimate(name, ScoreEstimate() if mean is None else ScoreEstimate(mean.value, mean.ci95))
        for lead in (*leads, MIDPOINT):
            at = one.at_leads.get(str(lead))
            row[f"brier_{lead}"] = np.nan if at is None else at.value
        rows.append(row)
    return pd.DataFrame(rows)


def comparison(frame: pd.DataFrame, *, by: By = "forecaster", now: datetime | None = None) -> pd.DataFrame:
    """Pairs on what both forecast at the same moment: mean difference of Brier scores, a - b (negative: a is better).

    Intervals are clustered by event, Student's t; ``ever_low`` and ``ever_high`` may be looked at every week.

    >>> import pandas as pd
    >>> said = pd.DataFrame({"question": list("aabb"), "forecaster": ["ann", "bob"] * 2,
    ...     "probability": [0.9, 0.5, 0.2, 0.5], "outcome": [1, 1, 0, 0]})
    >>> comparison(said)[["a", "b", "questions", "difference", "won_by_a"]].round(4).to_dict("list")
    {'a': ['ann'], 'b': ['bob'], 'questions': [2], 'difference': [-0.225], 'won_by_a': [1.0]}
    """
    import pandas as pd

    rows = []
    for pair in compare(table_of(frame, now=now), by, resamples=0).pairs:
        ever = (np.nan, np.nan) if pair.sequence is None else pair.sequence.ci95
        rows.append(
            {
                "a": pair.a,
                "b": pair.b,
                "questions": pair.difference.n,
                "events": pair.difference.n_clusters,
                **_estimate("difference", ScoreEstimate(pair.difference.value, pair.difference.ci95)),
                "ever_low": ever[0],
                "ever_high": ever[1],
                "won_by_a": pair.won,
                "detectable": pair.detectable,
            }
        )
    return pd.DataFrame(rows)


def recalibrated(frame: pd.DataFrame, *, now: datetime | None = None) -> pd.DataFrame:
    """Forecasts corrected by their source's past record, each by what was known when it was made.

    One row for each forecast with 30 questions to learn from, under the name ``… (adjusted)``. See
    ``tracker.scoring.recalibration`` for the model; while its record does not bear it out, nothing is corrected.
    """
    import pandas as pd

    found = out_of_sample(table_of(frame, now=now))
    assert found.made_at is not None
    return pd.DataFrame(
        {
            "question": found.question,
            "forecaster": found.forecaster,
            "made_at": pd.to_datetime(found.made_at, utc=True),
            "probability": found.probability,
            "outcome": found.outcome,
        }
    )


def numbers(frame: pd.DataFrame, *, leads: Sequence[int] = LEADS) -> pd.DataFrame:
    """Distributions of numbers and dates scored over each question's life and at leads: a row per forecaster and score.

    Columns: ``question``, ``forecaster``, ``made_at``, ``opens_at``, ``closes_at``, ``resolved_at``, ``value`` (the
    answer; infinite beyond the range), ``x`` and ``p`` (lists: P(at most x) = p), ``form`` (cdf, grid, quantiles;
    draws: x are draws and p is empty) and, if there are dates, ``dated``: then value and x are Unix seconds. ``lower``
    and ``upper``, the question's range, are needed for quantiles and draws of numbers. crps = integral
    (F(x) - [x >= y])^2 dx over the grid; weighted_interval_score = (|y - median|/2 + sum over K intervals of
    alpha/2 IS_alpha)/(K + 1/2); crps_draws = mean |x - y| - sum over pairs of |x - x'| / (M (M - 1)). ``range``: in
    units of the grid's width, or of the range. Intervals are clustered by question.

    >>> import pandas as pd
    >>> said = pd.DataFrame({"question": "a", "forecaster": "ann", "made_at": ["2025-01-01"], "form": "cdf",
    ...     "opens_at": "2025-01-01", "closes_at": "2025-02-01", "resolved_at": "2025-02-01", "value": 0.5,
    ...     "x": [[0.0, 1.0]], "p": [[0.0, 1.0]]})
    >>> numbers(said, leads=(7,))[["score", "unit", "over_life", "lead_7"]].round(4).to_dict("list")
    {'score': ['crps'], 'unit': ['range'], 'over_life': [0.0833], 'lead_7': [0.0833]}
    """
    import pandas as pd

    needed = (
        "question",
        "forecaster",
        "value",
        "x",
        "p",
        "form",
        "made_at",
        "opens_at",
        "closes_at",
        "resolved_at",
    )
    for name in needed:
        if name not in frame:
            raise UsageError(
                f"the frame has no column {name!r}; it has: {', '.join(map(str, frame.columns))}"
            )
    days = {
        name: (_moments(frame, name) - np.datetime64(0, "us")) / np.timedelta64(1, "D") for name in needed[6:]
    }
    dated = frame["dated"].to_numpy(dtype=bool) if "dated" in frame else np.zeros(len(frame), dtype=bool)
    spans = _spans(frame)
    said: dict[tuple[str, str], dict[float, Shape]] = {}
    answers: dict[str, Answer] = {}
    for row, (question, forecaster, value, x, p, form) in enumerate(
        zip(*(frame[name].tolist() for name in needed[:6]), strict=True)
    ):
        made, opens, closes, resolved = (float(days[name][row]) for name in needed[6:])
        try:
            shape = Shape(tuple(map(float, x)), tuple(map(float, p)), Form(form))
            ends = min(resolved, closes)
            answers[str(question)] = Answer(
                str(question), float(value), opens, closes, ends, spans[row], dated=bool(dated[row])
            )
        except ValueError as error:
            raise UsageError(f"row {frame.index[row]}: {error}") from error
        said.setdefault((str(forecaster), str(question)), {})[made] = shape
    told = {key: Told(tuple(sorted(at)), tuple(at[t] for t in sorted(at))) for key, at in said.items()}
    try:
        found = numeric_records(told, answers, leads=leads)
    except ValueError as error:
        raise UsageError(f"a distribution cannot be scored: {error}") from error
    return pd.DataFrame([_numeric_row(one, leads) for one in found])


def _spans(frame: pd.DataFrame) -> list[tuple[float, float] | None]:
    """The range of each row's question; None where it is not told."""
    if "lower" not in frame or "upper" not in frame:
        return [None] * len(frame)
    ends = zip(_numbers(frame, "lower").tolist(), _numbers(frame, "upper").tolist(), strict=True)
    return [None if np.isnan(low) or np.isnan(high) else (low, high) for low, high in ends]


def _numeric_row(one: NumericRecord, leads: Sequence[int]) -> dict[str, Any]:
    measure = one.measure
    row: dict[str, Any] = {"forecaster": one.forecaster, "score": measure.name, "unit": measure.unit}
    row |= {"levels": measure.levels, "questions": one.n_questions, "time_covered": one.coverage}
    row |= _estimate("over_life", ScoreEstimate(one.mean.value, one.mean.ci95))
    for lead in (*leads, MIDPOINT):
        at = one.at_leads.get(str(lead))
        row[f"lead_{lead}"] = np.nan if at is None else at.value
    return row


def _row(report: CalibrationReport) -> dict[str, Any]:
    row: dict[str, Any] = {**report.group, "forecasts": report.n_forecasts, "questions": report.n_questions}
    row |= {"events": report.n_events, "base_rate": report.base_rate}
    for name in _ESTIMATES:
        row |= _estimate(name, getattr(report, name))
    corp = report.corp
    row["mcb"] = None if corp is None else corp.miscalibration
    row["dsc"] = None if corp is None else corp.discrimination
    row["unc"] = None if corp is None else corp.uncertainty
    row |= {"ece": report.ece, "smooth_ece": report.smooth_ece}
    for name in (
        "pending",
        "overdue",
        "void",
        "fraction",
        "resolved_early",
        "after_resolution",
        "repeated",
        "clipped",
    ):
        row[name] = getattr(report, f"n_{name}")
    return row


def _estimate(name: str, estimate: ScoreEstimate) -> dict[str, Any]:
    low, high = (np.nan, np.nan) if estimate.ci95 is None else estimate.ci95
    return {
        name: np.nan if estimate.value is None else estimate.value,
        f"{name}_low": low,
        f"{name}_high": high,
    }


def _numbers(frame: pd.DataFrame, name: str) -> Any:
    import pandas as pd

    try:
        values = pd.to_numeric(frame[name]).to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: {error}; write 55% as 0.55, yes as 1") from error
    bad = ~((values >= 0.0) & (values <= 1.0)) if name == "probability" else np.isinf(values)
    if bad.any():
        where = frame.index[bad][0]
        raise UsageError(f"{name}: row {where} has {frame[name][where]!r}, which is no {name}")
    return values


def _moments(frame: pd.DataFrame, name: str) -> Moments:
    import pandas as pd

    column = frame[name]
    naive = isinstance(column.dtype, np.dtype) and column.dtype.kind == "M"
    text = [str(value) for value in column if isinstance(value, str)]
    if naive or any(len(one) > 10 and not _has_offset(one) for one in text):
        raise UsageError(f"{name}: a time without an offset could be any day; make it aware, or add Z")
    try:
        moments = pd.to_datetime(column, utc=True, format="ISO8601" if text else None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: {error}") from error
    return moments.dt.tz_convert(None).to_numpy(dtype="datetime64[us]")


def _has_offset(text: str) -> bool:
    return text.endswith("Z") or text[-6:-5] in ("+", "-") or text[-5:-4] in ("+", "-")

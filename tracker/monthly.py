"""Calibration history: what everybody's record was at the end of each month, as it was known then.

A month's entry is computed from what the store had seen by the month's last moment, and kept: it is what our
page said. Later corrections change later entries, never an earlier one; entries are made anew only when
the scores themselves change (``SCORE_VERSION``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from questions.catalogue import Catalogue
from questions.records import Score
from questions.time import utc
from storage.store import Store
from tracker.errors import UsageError
from tracker.report.plots.scores import Month
from tracker.scorecard import first_told, stored_forecasts
from tracker.scoring.calibration import CalibrationReport, calibrate
from tracker.scoring.scores import SCORE_VERSION
from tracker.scoring.table import ForecastTable

SUBJECT = "calibration"  # stands for the question: the entry is of all of them
ALL = "all"  # everybody together
MAX_MONTHS = 240
RESAMPLES = 2000  # of what is kept: an entry made with fewer would stay as it is


def stored_history(
    store: Store,
    catalogue: Catalogue,
    *,
    lead_days: Sequence[int] | None,
    now: datetime,
    known_at: datetime | None = None,
    resamples: int = RESAMPLES,
    chosen: Callable[[ForecastTable], ForecastTable] | None = None,
) -> list[Month]:
    """Every forecaster's record at the end of each whole month since the first outcome, by forecaster and month.

    Entries that were made before are read, the others computed and kept. ``known_at`` leaves later months out.
    ``chosen`` takes a part of the forecasts: of a part nothing is read and nothing kept.
    """
    receipts = [one.made_at for one in store.receipts(known_at=known_at) if one.state.final]
    told = [*first_told(store, store.resolutions(known_at=known_at)).values(), *receipts]
    if not told:
        return []
    way = _way(lead_days)
    kept: dict[datetime, list[Score]] = {}
    for score in store.scores() if chosen is None else ():
        if (score.question, score.outcome, score.score_version) == (SUBJECT, way, SCORE_VERSION):
            kept.setdefault(score.made_at, []).append(score)
    found: list[Month] = []
    for end in _month_ends(min(told), now if known_at is None else known_at):
        if end not in kept:
            table = stored_forecasts(store, catalogue, lead_days=lead_days, now=end, known_at=end)
            part = table if chosen is None else chosen(table)
            kept[end] = list(_scores(_report(part, resamples), way, end, now))
            if chosen is None:
                store.add_scores(kept[end])
        found.extend(_months(kept[end]))
    return sorted(found, key=lambda one: (one.forecaster, one.month))


def kept_history(store: Store, *, lead_days: Sequence[int] | None, known_at: datetime) -> list[Month]:
    """The entries that are kept of months over at ``known_at``, by forecaster and month; nothing is made."""
    kept: dict[datetime, list[Score]] = {}
    wanted = (SUBJECT, _way(lead_days), SCORE_VERSION)
    for score in store.scores():
        if (score.question, score.outcome, score.score_version) == wanted and score.made_at <= known_at:
            kept.setdefault(score.made_at, []).append(score)
    found = [month for entry in kept.values() for month in _months(entry)]
    return sorted(found, key=lambda one: (one.forecaster, one.month))


def _way(lead_days: Sequence[int] | None) -> str:
    return "daily" if lead_days is None else "+".join(f"{lead}" for lead in sorted(set(lead_days)))


def table_history(table: ForecastTable, *, now: datetime, resamples: int = 2000) -> list[Month]:
    """The same of a table: at each month's end the forecasts whose outcome was out and whose close had passed.

    Raises UsageError without resolved_at. What is told of the past by a file is what the file knows today.
    """
    if table.resolved_at is None:
        raise UsageError("the history needs to know when outcomes were out (resolved_at)")
    over = table.resolved_at
    if table.closes_at is not None:
        over = np.where(np.isnat(table.closes_at), over, np.maximum(over, table.closes_at))
    table = table.rows(~np.isnat(over))
    over = over[~np.isnat(over)]
    if not len(table):
        return []
    first = over.min().astype("datetime64[us]").item().replace(tzinfo=UTC)
    found: list[Month] = []
    for end in _month_ends(first, now):
        rows = table.rows(over <= np.datetime64(end.replace(tzinfo=None), "us"))
        found.extend(_months(list(_scores(_report(rows, resamples), "file", end, now))))
    return sorted(found, key=lambda one: (one.forecaster, one.month))


def _report(table: ForecastTable, resamples: int) -> CalibrationReport:
    by = "forecaster" if table.forecaster is not None else "source" if table.source is not None else None
    report = calibrate(table, group_by=[by] if by else [], resamples=resamples)
    groups = (
        replace(group, group={"forecaster": ", ".join(group.group.values())}) for group in report.groups
    )
    return replace(report, groups=tuple(groups))


def _month_ends(first: datetime, until: datetime) -> Iterator[datetime]:
    """The last microsecond of every month from that of ``first`` on that is over by ``until``; the latest 240."""
    year, month = utc(first).year, utc(first).month
    ends = []
    while True:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        end = datetime(year, month, 1, tzinfo=UTC) - timedelta(microseconds=1)
        if end > until:
            break
        ends.append(end)
    yield from ends[-MAX_MONTHS:]


def _scores(report: CalibrationReport, way: str, end: datetime, now: datetime) -> Iterator[Score]:
    """A month's entry as scores: ``n_questions`` always, the Brier score and its interval where there is one."""
    for name, one in ((ALL, report), *((group.group["forecaster"], group) for group in report.groups)):
        values = {"n_questions": float(one.n_questions)}
        if one.brier.value is not None:
            values["brier"] = one.brier.value
        if one.brier.ci95 is not None:
            values["brier_low"], values["brier_high"] = one.brier.ci95
        if one.log_score.value is not None:
            values["log_score"] = one.log_score.value
        for rule, value in values.items():
            yield Score(SUBJECT, way, name, end, rule, SCORE_VERSION, value, now)


def _months(scores: Sequence[Score]) -> Iterator[Month]:
    by_name: dict[str, dict[str, float]] = {}
    for score in scores:
        by_name.setdefault(score.forecaster, {})[score.rule] = score.value
    for name, values in by_name.items():
        if "brier" in values:
            low, high = values.get("brier_low"), values.get("brier_high")
            ends = None if low is None or high is None else (low, high)
            yield Month(scores[0].made_at.date(), name, int(values["n_questions"]), values["brier"], ends)

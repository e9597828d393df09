"""The table that scoring reads: one row per forecast, columns as arrays, and what may be scored."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from questions.time import utc
from tracker.errors import UsageError
from tracker.scoring.scores import FloatArray

Labels = NDArray[np.object_]
Moments = NDArray[np.datetime64]
MomentsLike = Moments | Sequence[datetime | None]


AREAS_JOINED = "|"  # between the areas of a row that has several


class Status(IntEnum):
    """Why a row is scored, or under which heading it is counted instead."""

    SCORED = 0
    FRACTION = 1  # outcome is a number other than 0 and 1
    VOID = 2  # annulled, ambiguous, cancelled
    PENDING = 3  # no outcome yet
    RESOLVED_EARLY = 4  # resolved, but its scheduled close has not passed (see ``forecast_table``)
    AFTER_RESOLUTION = 5  # made when the outcome was out already


@dataclass(frozen=True, eq=False)
class ForecastTable:
    """Forecasts as columns of one length; make it with ``forecast_table``, which checks them.

    ``question`` is the unit of evidence: rows of one question are never treated as independent. Times are
    UTC (NaT: unknown); ``lead_days`` counts back from the scheduled close, else from the resolution.
    ``overdue``: no outcome yet although the scheduled close has passed; such rows are pending all the same.
    ``question_code``: the question as a number, rising as its name does (None: not numbered yet).
    ``leads``: the lead times that were asked for (empty: all rows are there). ``area`` may hold several,
    joined by ``|``: such a row counts in each area's group and once in a total. ``event`` names what several
    questions have in common (empty: nothing): intervals count it once. ``option`` is which outcome of the
    question the probability is of. ``crowd`` says whose word a row is and ``hops`` how far from there it was
    heard: of one word heard twice a total scores the nearest alone (``heard_once``). ``notes`` say, for people,
    what to mind about the rows.
    """

    probability: FloatArray
    outcome: FloatArray
    question: Labels
    status: NDArray[np.int8]
    forecaster: Labels | None = None
    source: Labels | None = None
    area: Labels | None = None
    threshold: Labels | None = None
    event: Labels | None = None
    option: Labels | None = None
    crowd: Labels | None = None
    hops: NDArray[np.int64] | None = None
    made_at: Moments | None = None
    resolved_at: Moments | None = None
    closes_at: Moments | None = None
    opens_at: Moments | None = None
    lead_days: FloatArray | None = None
    question_code: NDArray[np.int64] | None = None
    overdue: NDArray[np.bool_] | None = None
    leads: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.probability.size)

    def rows(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> ForecastTable:
        """The rows picked by a mask or by positions (which may repeat)."""
        columns: dict[str, Any] = {}
        for column in fields(self):
            values = getattr(self, column.name)
            if isinstance(values, np.ndarray):
                columns[column.name] = values[which]
        return replace(self, **columns)


def forecast_table(
    probability: ArrayLike,
    outcome: ArrayLike,
    question: ArrayLike,
    *,
    void: ArrayLike | None = None,
    forecaster: ArrayLike | None = None,
    source: ArrayLike | None = None,
    area: ArrayLike | None = None,
    threshold: ArrayLike | None = None,
    event: ArrayLike | None = None,
    option: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    hops: ArrayLike | None = None,
    made_at: MomentsLike | None = None,
    resolved_at: MomentsLike | None = None,
    closes_at: MomentsLike | None = None,
    opens_at: MomentsLike | None = None,
    now: datetime | None = None,
    notes: Sequence[str] = (),
) -> ForecastTable:
    """Put forecasts in a table and decide for each row whether it may be scored.

    ``outcome``: 1, 0, another number (counted apart), NaN (pending); ``void``: mask of annulled rows.
    Labels are text or numbers; times are datetime64 in UTC, or lists of aware datetimes and None.

    A question whose scheduled close (``closes_at``) lies after ``now`` is not scored even if it has
    resolved: "will it happen by D" can only resolve Yes early, so counting what has resolved so far makes
    calibrated forecasts look far too low. Raises ValueError for columns of different length or a
    probability outside 0..1.
    """
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(outcome, dtype=np.float64)
    annulled = np.zeros(p.shape, dtype=bool) if void is None else np.asarray(void, dtype=bool)
    made, resolved, closes = _moments(made_at), _moments(resolved_at), _moments(closes_at)
    table = ForecastTable(
        probability=p,
        outcome=y,
        question=_label_column(question),
        status=np.zeros(p.shape, dtype=np.int8),
        forecaster=_labels(forecaster),
        source=_labels(source),
        area=_labels(area),
        threshold=_labels(threshold),
        event=_labels(event),
        option=_labels(option),
        crowd=_labels(crowd),
        hops=None if hops is None else np.asarray(hops, dtype=np.int64),
        made_at=made,
        resolved_at=resolved,
        closes_at=closes,
        opens_at=_moments(opens_at),
        notes=tuple(notes),
    )
    _check_columns(table)
    if annulled.shape != p.shape:
        raise ValueError(f"void has shape {annulled.shape}, probability has {p.size} rows")
    return _decided(table, annulled, now)


def _decided(table: ForecastTable, void: NDArray[np.bool_], now: datetime | None) -> ForecastTable:
    """The table with what may be scored, what is overdue, lead times and questions as numbers."""
    status = _status(table, void, now)
    late = np.zeros(status.shape, dtype=bool)
    if table.closes_at is not None and now is not None:
        late = (status == Status.PENDING) & (table.closes_at <= _datetime64(now))
    return replace(
        table,
        status=status,
        lead_days=_lead_days(table),
        question_code=codes(table.question)[0],
        overdue=late,
    )


def numbered_questions(table: ForecastTable, rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """The questions of some rows as numbers 0.. in the order of their names, without gaps, and how many."""
    if table.question_code is None:
        numbers, names = codes(table.question[rows])
        return numbers, len(names)
    picked = picked_from(table.question_code, rows)
    used = np.bincount(picked) > 0
    return (picked if used.all() else (np.cumsum(used) - 1)[picked]), int(used.sum())


def picked_from(column: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[Any]:
    """The rows of a column that a mask picks; the column itself, uncopied, where that is all of them."""
    return column if rows.all() else column[rows]


def _check_columns(table: ForecastTable) -> None:
    p, y = table.probability, table.outcome
    if p.ndim != 1 or not bool(np.all((p >= 0.0) & (p <= 1.0))):
        raise ValueError("probabilities are one column of numbers in 0..1, none missing")
    for column in fields(table):
        values = getattr(table, column.name)
        if isinstance(values, np.ndarray) and values.shape != p.shape:
            raise ValueError(f"{column.name} has shape {values.shape}, probability has {p.size} rows")
    if bool(np.isinf(y).any()):
        raise ValueError("outcomes must be finite, or NaN while pending")


def _status(table: ForecastTable, void: NDArray[np.bool_], now: datetime | None) -> NDArray[np.int8]:
    """One status per row; where several hold, the one set last here."""
    outcome = table.outcome
    status = np.full(outcome.shape, Status.SCORED, dtype=np.int8)
    status[(outcome != 0.0) & (outcome != 1.0)] = Status.FRACTION
    if table.made_at is not None and table.resolved_at is not None:
        status[table.made_at > table.resolved_at] = Status.AFTER_RESOLUTION  # false for NaT
    if table.closes_at is not None and now is not None:
        status[table.closes_at > _datetime64(now)] = Status.RESOLVED_EARLY
    status[np.isnan(outcome)] = Status.PENDING
    status[void] = Status.VOID
    return status


def _lead_days(table: ForecastTable) -> FloatArray | None:
    """Days from each forecast to the scheduled close where that is known, else to the resolution."""
    if table.made_at is None or (table.resolved_at is None and table.closes_at is None):
        return None
    unknown = np.full(len(table), np.datetime64("NaT", "us"))
    closes = unknown if table.closes_at is None else table.closes_at
    resolved = unknown if table.resolved_at is None else table.resolved_at
    ahead = np.where(np.isnat(closes), resolved, closes) - table.made_at
    days: FloatArray = ahead / np.timedelta64(1, "D")
    return days


def _labels(values: ArrayLike | None) -> Labels | None:
    return None if values is None else _label_column(values)


def _label_column(values: ArrayLike) -> Labels:
    column = np.asarray(values)
    if column.dtype.kind != "O":
        return column.astype(str).astype(object)
    if not all(isinstance(label, str) for label in column.flat):
        column = np.array(["" if label is None else str(label) for label in column.flat], dtype=object)
    return column


def _moments(values: MomentsLike | None) -> Moments | None:
    if values is None:
        return None
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    return np.array(
        [_datetime64(value) for value in np.asarray(values, dtype=object)], dtype="datetime64[us]"
    )


def _datetime64(moment: datetime | None) -> np.datetime64:
    return (
        np.datetime64("NaT", "us")
        if moment is None
        else np.datetime64(utc(moment).replace(tzinfo=None), "us")
    )


def select(
    table: ForecastTable,
    *,
    forecasters: Collection[str] = (),
    sources: Collection[str] = (),
    areas: Collection[str] = (),
    since: date | None = None,
    until: date | None = None,
) -> ForecastTable:
    """The rows of these forecasters, sources and areas, made on the days ``since``..``until`` (UTC, both
    included). Empty means all.

    Raises UsageError for a label the table does not have, and for a filter on a column it lacks.
    """
    keep = np.ones(len(table), dtype=bool)
    for name, wanted in (("forecaster", forecasters), ("source", sources), ("area", areas)):
        if wanted:
            keep &= _carries(table, name, wanted)
    if since is not None or until is not None:
        keep &= _made_between(table, since, until)
    return table.rows(keep)


def _carries(table: ForecastTable, name: str, wanted: Collection[str]) -> NDArray[np.bool_]:
    column = getattr(table, name)
    if column is None:
        raise UsageError(f"these forecasts have no {name} column to filter on")
    several = name == "area"
    known = {
        part for label in set(column.tolist()) for part in (label.split(AREAS_JOINED) if several else [label])
    }
    for label in sorted(set(wanted) - known):
        close = difflib.get_close_matches(label, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)[:20]) or 'none'}"
        raise UsageError(f"no forecasts with {name} {label!r}; {hint}")
    if several:
        chosen = {
            label for label in set(column.tolist()) if not set(wanted).isdisjoint(label.split(AREAS_JOINED))
        }
    else:
        chosen = set(wanted)
    return np.isin(column.astype(str), list(chosen))


def _made_between(table: ForecastTable, since: date | None, until: date | None) -> NDArray[np.bool_]:
    if table.made_at is None:
        raise UsageError("since and until need to know when forecasts were made (a made_at column)")
    keep = ~np.isnat(table.made_at)
    if since is not None:
        keep &= table.made_at >= _datetime64(_midnight(since))
    if until is not None:
        keep &= table.made_at < _datetime64(_midnight(until) + timedelta(days=1))
    return keep


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def at_leads(table: ForecastTable, lead_days: Sequence[int]) -> ForecastTable:
    """One forecast per question, forecaster and lead time: the last one made by then.

    Lead times (days, 1 or more) count back from the scheduled close; where it is unknown they count back
    from the resolution, which leaks the outcome, and a note says so. Rows that cannot be scored are kept
    once per question and forecaster, for the counts. Raises UsageError when the times are not known.
    """
    leads = checked_leads(lead_days)
    if table.made_at is None or table.lead_days is None:
        raise UsageError("lead times need made_at and closes_at, or at least resolved_at")
    scorable = np.isin(table.status, (Status.SCORED, Status.FRACTION))
    keys = _row_keys(table)
    aside = _last_per_key(keys, table.made_at, ~scorable)
    parts, lead_of, resolved_by_then = (
        [aside],
        [np.full(aside.size, np.nan)],
        [np.zeros(aside.size, dtype=bool)],
    )
    for lead in leads:
        rows = _last_per_key(keys, table.made_at, scorable & (table.lead_days >= lead))
        parts.append(rows)
        lead_of.append(np.full(rows.size, float(lead)))
        resolved_by_then.append(_resolved_before_lead(table, lead)[rows])
    picked = table.rows(np.concatenate(parts))
    status = np.where(np.concatenate(resolved_by_then), Status.AFTER_RESOLUTION, picked.status).astype(
        np.int8
    )
    picked = replace(picked, status=status, lead_days=np.concatenate(lead_of), leads=leads)
    return replace(picked, notes=(*table.notes, *_leak_note(picked)))


def _resolved_before_lead(table: ForecastTable, lead: int) -> NDArray[np.bool_]:
    """Questions that had resolved already ``lead`` days before their scheduled close."""
    if table.closes_at is None or table.resolved_at is None:
        return np.zeros(len(table), dtype=bool)
    gone: NDArray[np.bool_] = table.closes_at - np.timedelta64(lead, "D") > table.resolved_at
    return gone


def checked_leads(lead_days: Sequence[int]) -> tuple[int, ...]:
    """Lead times in rising order, once each; UsageError when there is none or one is below a day."""
    leads = tuple(sorted(set(lead_days)))
    if not leads or leads[0] < 1:
        raise UsageError(f"lead times are whole days, 1 or more; got {list(lead_days)}")
    return leads


def _leak_note(picked: ForecastTable) -> tuple[str, ...]:
    guessed = np.ones(len(picked), dtype=bool) if picked.closes_at is None else np.isnat(picked.closes_at)
    guessed &= np.isin(picked.status, (Status.SCORED, Status.FRACTION))
    count = int(guessed.sum())
    return (leak_note(count),) if count else ()


def leak_note(count: int) -> str:
    """What to say of forecasts whose lead time could only be counted back from the outcome."""
    return f"lead from resolution: leaks ({count} forecasts on questions whose scheduled close is unknown)"


def _row_keys(table: ForecastTable) -> NDArray[np.int64]:
    """One code per (question, option, forecaster, source, threshold)."""
    columns = [getattr(table, name) for name in ("question", "option", "forecaster", "source", "threshold")]
    return codes(*(column for column in columns if column is not None))[0]


def heard_once(table: ForecastTable) -> NDArray[np.bool_]:
    """Which rows to keep so that no crowd's word at a moment counts twice: the one heard nearest to it.

    Rows that are not scored are one per stream, each with the time of its last value; of those of one crowd
    one is kept, whatever the time.
    """
    if table.crowd is None or table.hops is None or not len(table):
        return np.ones(len(table), dtype=bool)
    whose, _ = codes(table.crowd)
    scorable = np.isin(table.status, (Status.SCORED, Status.FRACTION, Status.AFTER_RESOLUTION))
    unknown = np.full(len(table), -1, dtype=np.int64)
    at = unknown if table.made_at is None else np.where(scorable, table.made_at.astype(np.int64), -1)
    lead = np.full(len(table), np.nan) if table.lead_days is None else table.lead_days
    lead = np.where(scorable, np.nan_to_num(lead, nan=-1.0), -1.0)
    order = np.lexsort((table.hops, lead, at, scorable, whose))
    keys = (whose[order], scorable[order], at[order], lead[order])
    new = np.ones(order.size, dtype=bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    kept = np.zeros(len(table), dtype=bool)
    kept[order[new]] = True
    return kept


def codes(*columns: Labels) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """Number the different combinations of labels in sorted order: a code per row, and the combinations."""
    coded = np.zeros(columns[0].size, dtype=np.int64)
    together: list[tuple[str, ...]] = [()]
    for column in columns:  # one column at a time: rows of tuples would be slow and large
        names = sorted(set(column.tolist()))
        number = {name: code for code, name in enumerate(names)}
        one = np.fromiter(map(number.__getitem__, column.tolist()), dtype=np.int64, count=column.size)
        if len(together) == 1:  # the first column: every name in it is used
            coded, together = one, [(*together[0], name) for name in names]
            continue
        used, coded = np.unique(coded * len(names) + one, return_inverse=True)
        together = [(*together[pair // len(names)], names[pair % len(names)]) for pair in used.tolist()]
    return coded, together


def joined(first: ForecastTable, second: ForecastTable) -> ForecastTable:
    """The rows of both, with the columns that both have; the first one's lead times and notes."""
    columns: dict[str, Any] = {}
    for column in fields(first):
        one, other = getattr(first, column.name), getattr(second, column.name)
        if isinstance(one, np.ndarray):
            columns[column.name] = None if other is None else np.concatenate([one, other])
    return replace(first, **columns | {"question_code": None})  # each numbers its own questions


def evidence(table: ForecastTable) -> Labels:
    """What each row's outcome is one piece of evidence with: its event where it has one, else its question."""
    if table.event is None:
        return table.question
    return np.where(table.event == "", table.question, "event\0" + table.event)


def _last_per_key(keys: NDArray[np.int64], made_at: Moments, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions of the newest allowed row of each key."""
    candidates = np.flatnonzero(allowed & ~np.isnat(made_at))
    ordered: NDArray[np.int64] = candidates[np.lexsort((made_at[candidates], keys[candidates]))]
    last = np.append(keys[ordered][1:] != keys[ordered][:-1], np.ones(min(1, ordered.size), dtype=bool))
    newest: NDArray[np.int64] = ordered[last]
    return newest

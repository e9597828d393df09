"""Forecasts from a CSV file that somebody else made: read strictly, every mistake told at once."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np

from questions.time import parse_utc
from tracker.errors import Problem, UsageError
from tracker.scoring.table import ForecastTable, Labels, Moments, codes, forecast_table
from tracker.sheets import odds, percent

ROLES = (
    "probability", "outcome", "question", "forecaster", "source", "area", "threshold", "event",
    "made_at", "resolved_at", "closes_at", "opens_at",
)  # fmt: skip
_REQUIRED = ROLES[:3]
_LABELS = ("question", "forecaster", "source", "area", "threshold", "event")
_MOMENTS = ("made_at", "resolved_at", "closes_at", "opens_at")
_OPTIONAL_MOMENTS = _MOMENTS[1:]
_VOID_WORDS = frozenset((
    "void", "voided", "annul", "annulled", "nullified", "n/a", "na", "ambiguous", "invalid",
    "cancel", "cancelled", "canceled",
))  # fmt: skip
_PENDING_WORDS = frozenset(["", "pending", "open", "unresolved", "none", "null", "nan"])
_MAX_PROBLEMS = 20

Columns = tuple[tuple[str, int], ...]  # name and position of each column that makes up a role
_VOID = math.inf  # stands for "annulled" while the rows are read; never leaves this module


def read_forecasts_csv(
    path: Path | str, columns: Mapping[str, str], *, now: datetime | None = None
) -> ForecastTable:
    """Read forecasts and outcomes from a CSV file with a header line (UTF-8, commas).

    ``columns`` maps roles to the file's column names: probability, outcome and question are needed;
    forecaster, source, area (several joined by ``|``), threshold, event (what several questions share), made_at,
    resolved_at, closes_at and opens_at are optional. A label made of several columns is written
    ``question=source+id``. ``percent`` and ``odds`` may stand for probability: 55 or 55%, and 3:1 for 0.75.

    Outcome cells: 1/0, yes/no, true/false; any other number is kept apart; empty, open or pending; void,
    annulled, n/a, ambiguous or cancelled. Times are ISO 8601 with an offset; a bare date is midnight UTC.
    ``now`` turns on the early-resolution rule of ``forecast_table`` where closes_at is given.

    Raises UsageError that lists up to 20 mistakes with file, line and column.
    """
    path = Path(path)
    given = [role for role in columns if role in ("probability", *_SAID)]
    if len(given) > 1:
        raise UsageError(f"{path}: {' and '.join(given)} are given; name one column for the probability")
    said = given[0] if given else "probability"
    renamed = {"probability" if role in _SAID else role: column for role, column in columns.items()}
    parts = _open_parts(path, renamed)
    rows = _read_rows(path, parts, said)
    _find_duplicates(rows)
    if rows.problems:
        raise UsageError(_report(rows))
    outcome = np.array(rows.cells["outcome"], dtype=np.float64)
    void = np.isinf(outcome)
    return forecast_table(
        np.array(rows.cells["probability"], dtype=np.float64),
        np.where(void, np.nan, outcome),
        rows.labels("question"),
        void=void,
        now=now,
        **rows.optional(),
    )


class _Optional(TypedDict, total=False):
    forecaster: Labels
    source: Labels
    area: Labels
    threshold: Labels
    event: Labels
    made_at: Moments
    resolved_at: Moments
    closes_at: Moments
    opens_at: Moments


@dataclass
class _Rows:
    """What has been read: per role the cells of the faultless rows, their lines, and what was wrong."""

    path: Path
    cells: dict[str, list[Any]]
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    found: int = 0

    def wrong(self, line: int, column: str, message: str) -> None:
        self.found += 1
        if len(self.problems) < 2 * _MAX_PROBLEMS:
            self.problems.append(Problem(str(self.path), line, column, message))

    def labels(self, role: str) -> Labels:
        return np.array(self.cells[role], dtype=object)

    def moments(self, role: str) -> Moments:
        return np.array(self.cells[role], dtype="datetime64[us]")

    def optional(self) -> _Optional:
        """The columns a file may or may not have, those that were asked for."""
        columns: dict[str, Labels | Moments] = {}
        for role in self.cells:
            if role in _LABELS[1:]:
                columns[role] = self.labels(role)
            elif role in _MOMENTS:
                columns[role] = self.moments(role)
        return cast("_Optional", columns)


def _open_parts(path: Path, columns: Mapping[str, str]) -> dict[str, Columns]:
    """For each role the (name, position) of its columns; all mistakes in ``columns`` in one UsageError."""
    header = next((record for _, record in _records(path)), None)
    if header is None:
        raise UsageError(f"{path}: the file is empty; a header line with column names is needed")
    mistakes = [f"{role} is not known{_hint(role, ROLES)}" for role in columns if role not in ROLES]
    mistakes += [f"{role} is missing; say {role}=COLUMN" for role in _REQUIRED if role not in columns]
    parts: dict[str, Columns] = {}
    for role, written in columns.items():
        names = [written] if written in header or role not in _LABELS else written.split("+")
        for name in names:
            if header.count(name) != 1:
                what = (
                    "stands twice in the header" if name in header else f"is no column{_hint(name, header)}"
                )
                mistakes.append(f"{role}={written}: {name!r} {what}")
        parts[role] = tuple((name, header.index(name)) for name in names if name in header)
    if mistakes:
        raise UsageError(
            "\n".join([f"{path}:1: columns are wrong:", *(f"  {mistake}" for mistake in mistakes)])
        )
    return parts


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(known) == 1 and ";" in known[0]:
        return "; the header has semicolons, but commas are needed between columns"
    return f"; there are: {', '.join(known)}"


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts on; blank lines are left out."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for record in reader:
                if any(cell.strip() for cell in record):
                    yield line + 1, record
                line = reader.line_num
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason}, after line {line})") from error
    except csv.Error as error:
        raise UsageError(f"{path}:{line + 1}: not readable as CSV: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_rows(path: Path, parts: Mapping[str, Columns], said: str) -> _Rows:
    parsers = _parsers() | {"probability": _SAID.get(said, _probability)}
    readers = [(role, parsers[role], columns) for role, columns in parts.items()]
    rows = _Rows(path, {role: [] for role in parts})
    records = _records(path)
    _, header = next(records)
    for line, record in records:
        if len(record) != len(header):
            rows.wrong(line, "", f"{len(record)} cells, the header has {len(header)}")
            continue
        before = rows.found
        values = []
        for _, parse, columns in readers:
            try:
                values.append(parse(*[record[position].strip() for _, position in columns]))
            except ValueError as error:
                rows.wrong(line, "+".join(name for name, _ in columns), str(error))
        if rows.found == before:
            rows.lines.append(line)
            for (role, _, _), value in zip(readers, values, strict=True):
                rows.cells[role].append(value)
    return rows


def _parsers() -> dict[str, Callable[..., object]]:
    """One reader of cells per role; made anew for each file, so that remembered cells are let go."""
    parsers: dict[str, Callable[..., object]] = dict.fromkeys(_LABELS, cache(_label))
    parsers.update({role: cache(_optional_moment) for role in _OPTIONAL_MOMENTS})
    parsers["made_at"] = cache(_moment)
    return parsers | {"probability": _probability, "outcome": cache(_outcome), "question": cache(_question)}


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _probability(text: str) -> float:
    if not text:
        raise ValueError("the probability is empty; leave the row out if there is no forecast")
    if text.endswith("%"):
        raise ValueError(f"{text!r} is a percentage; write 55% as 0.55")
    if "," in text:
        raise ValueError(f"{text!r} is not a number; write the decimal point as a point")
    number = _number(text)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{text} is not a probability; it must lie in 0..1")
    return number


def _said(reader: Callable[[str], float | None]) -> Callable[[str], float]:
    def read(text: str) -> float:
        found = reader(text)
        if found is None:
            raise ValueError("the probability is empty; leave the row out if there is no forecast")
        return found

    return read


# other ways of saying a probability, read only where asked for
_SAID = {"percent": _said(percent), "odds": _said(odds)}


def _outcome(text: str) -> float:
    word = text.casefold()
    if word in _VOID_WORDS:
        return _VOID
    if word in _PENDING_WORDS:
        return math.nan
    if word in ("yes", "true"):
        return 1.0
    if word in ("no", "false"):
        return 0.0
    try:
        number = _number(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no outcome; write 1, 0, a number, void, or nothing while it is open")
    return number


def _label(*cells: str) -> str:
    return "/".join(cells)


def _question(*cells: str) -> str:
    if not all(cells):
        raise ValueError("the cell is empty; every forecast needs its question")
    return "/".join(cells)


def _moment(text: str) -> np.datetime64:
    if not text:
        raise ValueError("the time is empty")
    try:
        return np.datetime64(parse_utc(text).replace(tzinfo=None), "us")
    except ValueError as error:
        why = "has no offset; add Z or +00:00" if "naive" in str(error) else "is not an ISO 8601 date or time"
        raise ValueError(f"{text!r} {why}") from error


def _optional_moment(text: str) -> np.datetime64:
    return _moment(text) if text else np.datetime64("NaT", "us")


def _find_duplicates(rows: _Rows) -> None:
    """The same question, forecaster and time twice: one of the two is a mistake, and nobody knows which."""
    if "made_at" not in rows.cells or not rows.lines:
        return
    roles = [role for role in ("question", "forecaster", "source", "threshold") if role in rows.cells]
    key, _ = codes(*[rows.labels(role) for role in roles])
    made_at = rows.moments("made_at")
    order = np.lexsort((made_at, key))
    same = (key[order][1:] == key[order][:-1]) & (made_at[order][1:] == made_at[order][:-1])
    for position in np.flatnonzero(same):
        first, second = rows.lines[order[position]], rows.lines[order[position + 1]]
        rows.wrong(second, "", f"same {', '.join(roles)} and made_at as line {first}")


def _report(rows: _Rows) -> str:
    head = f"{rows.path}: {rows.found} mistake{'s' if rows.found != 1 else ''}; nothing was read"
    shown = [f"  {problem}" for problem in sorted(rows.problems)[:_MAX_PROBLEMS]]
    more = [f"  and {rows.found - len(shown)} more"] if rows.found > len(shown) else []
    return "\n".join([head, *shown, *more])

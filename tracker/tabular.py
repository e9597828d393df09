"""Reading hostile tables: CSV whose columns may be gone, doubled or moved, cells that may be anything.

Shared by the adapters that read tables; built on ``tracker.payload``. A table without a needed column is
refused as a whole; a row that does not fit is a Fault and the rest is taken.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from questions.records import Measurement
from tracker.errors import ParseError
from tracker.payload import Gathering, join, looks_like_html, plain

MAX_ROWS = 2_000_000
MAX_COLUMNS = 200
MAX_KEY = 160
EARLIEST = date(2015, 1, 1)  # no measured system is older; an earlier date is a slip of the pen
AHEAD = timedelta(days=31)  # a system may be announced before its release, not a year before
STANDARD_ERROR_LEVEL = 0.6827  # coverage of plus or minus one standard error under a normal distribution

_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Row:
    """One row: the line it begins on and its cells by column, without surrounding blanks."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def rows_of_csv(found: Gathering, body: bytes, needed: Collection[str], *, at: str = "") -> Iterator[Row]:
    """The rows of a CSV with a header, one by one; blank lines are passed over.

    ``at`` names the table inside the payload (a zip's member). Raises ParseError naming source, ref and
    column: HTML or bytes that are no UTF-8, a needed column missing, a column given twice, or text that is
    no CSV. A row with another number of cells than the header has is a Fault.
    """
    source, ref = found.raw.source, found.raw.ref
    if looks_like_html(body):
        raise ParseError(source, ref, at, "an HTML page came where CSV was expected")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParseError(source, ref, at, "is not UTF-8 text") from None
    if "\x00" in text:
        raise ParseError(source, ref, at, "has NUL characters: it is no text")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for count, record in enumerate(reader):
            if count > MAX_ROWS:
                raise ParseError(source, ref, at, f"more than {MAX_ROWS} rows")
            if not any(cell.strip() for cell in record):
                continue
            if header is None:
                header = _header(found, record, needed, at)
            elif len(record) != len(header):
                where = join(at, f"line {reader.line_num}")
                found.fault(ref, where, f"{len(record)} cells, the header has {len(header)}")
            else:
                cells = (cell.strip() for cell in record)
                yield Row(reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        where = join(at, f"line {reader.line_num}")
        raise ParseError(source, ref, where, f"is not readable as CSV: {plain(str(error), 80)}") from None
    if header is None:
        raise ParseError(source, ref, at, "the table is empty")


def _header(found: Gathering, record: Sequence[str], needed: Collection[str], at: str) -> list[str]:
    header = [cell.strip() for cell in record]
    for column in sorted(needed):
        if column not in header:
            shown = ", ".join(plain(name, 40) for name in header[:12])
            raise ParseError(
                found.raw.source, found.raw.ref, join(at, column), f"no such column; there are: {shown}"
            )
    named = [name for name in header if name]
    if len(header) > MAX_COLUMNS or len(set(named)) != len(named):
        raise ParseError(found.raw.source, found.raw.ref, at, "a column stands twice, or there are too many")
    return header


def number(text: str) -> float:
    """A finite decimal number. Raises ValueError for anything else, an empty cell included."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError("is no number" if text else "is empty")
    return value


def maybe_number(text: str) -> float | None:
    """A finite number, or None for an empty cell. Raises ValueError for anything else."""
    return number(text) if text else None


def within(value: float, lowest: float, highest: float) -> float:
    """The value. Raises ValueError outside the bounds: a wrong column, or another scale than before."""
    if not lowest <= value <= highest:
        raise ValueError(f"{value:g} does not lie in {lowest:g}..{highest:g}: another scale or column?")
    return value


def day(text: str) -> date:
    """A date written like 2025-01-31. Raises ValueError."""
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise ValueError("is no date like 2025-01-31") from None


def release_day(text: str, fetched_at: datetime) -> date:
    """A date on which a system can have been released, as seen at ``fetched_at``. Raises ValueError."""
    at = day(text)
    if not EARLIEST <= at <= fetched_at.date() + AHEAD:
        raise ValueError(f"{at} cannot be a release date")
    return at


def key_of(*parts: str) -> str:
    """A system's id made of cells, joined with ``@``. Raises ValueError if it cannot be an id."""
    key = "@".join(part for part in parts if part)
    if not key or len(key) > MAX_KEY or plain(key, MAX_KEY) != key:
        raise ValueError("is empty, too long or has control characters")
    return key


def read_cells(
    found: Gathering, ref: str, at: str, row: Row, wanted: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any] | None:
    """The cells of a row by column, each through its reader; a Fault for each wrong one, and then None.

    Faults name ``at``, the row's line (unless it is 0: a row that is no line of a text) and the column.
    """
    told: dict[str, Any] = {}
    for column, reader in wanted.items():
        try:
            told[column] = reader(row[column])
        except ValueError as error:
            where = (f"line {row.line}", column) if row.line else (column,)
            found.fault(ref, join(at, *where), str(error))
    return told if len(told) == len(wanted) else None


@dataclass
class Points:
    """The points of one series as they are read: one for each key and metric.

    Of several rows of one system the ``best`` value is kept (several settings of one model); otherwise a
    second row that says something else is a Fault and the first is kept.
    """

    found: Gathering
    series: str
    best: bool = False

    def __post_init__(self) -> None:
        self._points: dict[tuple[str, str], Measurement] = {}
        self._again = 0

    def add(self, point: Measurement, at: str) -> None:
        """Take a point in; ``at`` names its place in the payload."""
        name = (point.key, point.metric)
        known = self._points.setdefault(name, point)
        if known is point:
            return
        if self.best:
            self._again += 1
            self._points[name] = max(known, point, key=lambda one: (one.value, str(one)))
        elif known != point:
            self.found.fault(point.key, at, "two different rows of one system and metric; the first is kept")

    def __len__(self) -> int:
        return len(self._points)

    def ordered(self) -> tuple[Measurement, ...]:
        """All points, in an order that does not depend on the payload's."""
        if self._again:
            self.found.note(
                f"{self.series}: of several rows of one system the best was taken ({self._again} times)"
            )
        return tuple(self._points[name] for name in sorted(self._points))


def first_reason(found: Gathering) -> str:
    """Why nothing could be read, for a ParseError: the first fault."""
    return f"no point can be read; first: {found.faults[0].message}" if found.faults else "no point in it"

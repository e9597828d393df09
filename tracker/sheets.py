"""Tables that people write by hand, as CSV or JSON: read strictly, every mistake told with line and column.

What a table's columns mean is said by a subclass of ``Sheet``; here is only how rows and cells are got at.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from questions.time import iso, parse_utc
from storage.records import RawPayload
from tracker.errors import Problem, UsageError
from tracker.payload import OK, plain

MAX_BYTES = 10 * 1024 * 1024
SHOWN = 100  # problems written out in one message

Format = Literal["csv", "json"]
CONTENT_TYPES: Mapping[Format, str] = {"csv": "text/csv", "json": "application/json"}
Cells = Mapping[str, object]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

_ODDS = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*:\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)")


def require_good(problems: Sequence[Problem]) -> None:
    """Raise UsageError with every problem, its line and its column, if there is any."""
    if not problems:
        return
    count = len(problems)
    lines = [f"{count} problem{'s' if count > 1 else ''} in {problems[0].file}; nothing was stored"]
    lines += [f"  {problem}" for problem in sorted(problems)[:SHOWN]]
    lines += [f"  … and {count - SHOWN} more"] if count > SHOWN else []
    raise UsageError("\n".join(lines))


def kept_file(source: str, body: bytes, *, name: str, who: str, at: datetime, form: Format) -> RawPayload:
    """A file's bytes as they are kept: ``name`` is what the person calls it, ``who`` entered it at ``at``.

    Raises UsageError for a name that could not stand in one line, and for too large a file.
    """
    for what, text in (("--who", who), ("the file's name", name)):
        if not text.strip() or plain(text, 201) != text or len(text) > 200:
            raise UsageError(f"{what}: must be one line of 1 to 200 characters")
    if len(body) > MAX_BYTES:
        raise UsageError(f"{name}: is larger than {MAX_BYTES} bytes")
    headers = {"entered-by": who, "entered-at": iso(at), "file": name}
    return RawPayload(source, name, name, at, OK, CONTENT_TYPES[form], body, headers)


@dataclass
class Sheet(ABC):
    """What has been read of a file so far. A subclass names the columns, their readers, and takes rows.

    A reader is given a cell's text ("" for none) and raises ValueError with what would be right.
    """

    columns: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    required: ClassVar[Sequence[str]] = ()

    raw: RawPayload
    problems: list[Problem] = field(default_factory=list)

    @abstractmethod
    def add(self, line: int, told: Mapping[str, Any]) -> None:
        """Take one row whose cells were all read; what contradicts itself becomes a problem."""

    def wrong(self, line: int, column: str, message: str) -> None:
        self.problems.append(Problem(self.raw.ref, line, column, message))

    def names(self, line: int, names: Iterable[str], needed: Sequence[str] = ()) -> None:
        """Check the names of columns or keys: a mistyped one must not be left out in silence."""
        times = Counter(names)
        for name in times:
            if name not in self.columns:
                close = difflib.get_close_matches(name, self.columns, n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(self.columns)}"
                self.wrong(line, plain(name, 60), f"is no column; {hint}")
            elif times[name] > 1:
                self.wrong(line, name, "stands twice")
        for name in needed:
            if name not in times:
                self.wrong(line, name, "is missing")

    def take(self, line: int, cells: Cells) -> None:
        """Read one row; every cell that is wrong becomes a problem, and the row is left out."""
        before = len(self.problems)
        told: dict[str, Any] = {}
        for column, reader in self.columns.items():
            try:
                told[column] = reader(_text(cells.get(column)))
            except ValueError as error:
                self.wrong(line, column, str(error))
        if len(self.problems) == before:
            self.add(line, told)

    def read(self) -> int:
        """Read all rows; returns how many there were. Depends on nothing but ``raw``."""
        try:
            text = self.raw.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.raw.body.count(b"\n", 0, error.start) + 1
            self.wrong(line, "", f"is not UTF-8 text ({error.reason})")
            return 0
        written_in_json = self.raw.content_type == CONTENT_TYPES["json"]
        rows = _json_rows(text, self) if written_in_json else _csv_rows(text, self)
        count = 0
        for line, cells in rows:
            count += 1
            self.take(line, cells)
        return count


# --- rows -----------------------------------------------------------------------------------------------


def _csv_rows(text: str, sheet: Sheet) -> Iterator[tuple[int, Cells]]:
    """Rows with the line each begins on (a quoted cell may hold line breaks); blank lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 0
    try:
        for record in reader:
            begins, line = line + 1, reader.line_num
            if not any(cell.strip() for cell in record):
                continue
            if header is None:
                header = [cell.strip() for cell in record]
                sheet.names(begins, header, sheet.required)
                if sheet.problems:
                    return
            elif len(record) != len(header):
                sheet.wrong(begins, "", f"{len(record)} cells, the header has {len(header)}")
            else:
                yield begins, dict(zip(header, record, strict=True))
    except csv.Error as error:
        sheet.wrong(line + 1, "", f"is not readable as CSV: {error}")


def _json_rows(text: str, sheet: Sheet) -> Iterator[tuple[int, Cells]]:
    """The objects of a JSON list with the line each begins on."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_refuse)
    at, line = _past_blanks(text, 0), 1
    if text[at : at + 1] != "[":
        sheet.wrong(1, "", "should be a list of objects, one for each value")
        return
    counted, at = 0, _past_blanks(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            sheet.wrong(error.lineno, "", f"is not JSON: {error.msg}")
            return
        except (ValueError, RecursionError) as error:
            sheet.wrong(line, "", f"is not JSON that can be read: {error}")
            return
        if isinstance(value, _Pairs):
            sheet.names(line, [name for name, _ in value])
            yield line, dict(value)
        else:
            sheet.wrong(line, "", "should be an object")
        at = _past_blanks(text, at)
        more = text[at : at + 1] == ","
        at = _past_blanks(text, at + 1) if more else at
    if text[at : at + 1] != "]" or _past_blanks(text, at + 1) != len(text):
        sheet.wrong(text.count("\n", 0, at) + 1, "", "here should be a comma, or ] and then nothing more")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, doubled keys included."""


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _past_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


# --- cells ----------------------------------------------------------------------------------------------


def _text(cell: object) -> str:
    """A cell as text: CSV has nothing else; in JSON a number stands for itself and null for nothing."""
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise ValueError("should be text or a number")
    text = str(cell).strip() if isinstance(cell, str) else repr(cell)
    if len(text) > 1000 or plain(text, 1001) != text:
        raise ValueError("should be one line of at most 1000 characters")
    return text


def needed(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader that refuses an empty cell."""

    def read(text: str) -> Any:
        if not text:
            raise ValueError("is missing")
        return reader(text)

    return read


def named(limit: int, default: str = "") -> Callable[[str], str]:
    """A reader of a name of at most ``limit`` characters; ``default`` where the cell is empty."""

    def read(text: str) -> str:
        text = text or default
        if not 1 <= len(text) <= limit:
            raise ValueError(f"should have 1 to {limit} characters")
        return text

    return read


def moment(text: str) -> datetime:
    """A date (midnight UTC) or a time with an offset."""
    try:
        return parse_utc(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no date or time with an offset, such as 2026-03-01 or 2026-03-01T12:00Z"
        ) from None


def number(text: str) -> float | None:
    """A finite number, or nothing."""
    if not text:
        return None
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number")
    return number


def probability(text: str) -> float | None:
    """A number in 0..1, or nothing; a percentage is refused with what would be right."""
    if text.endswith("%"):
        raise ValueError(f"{text!r}: write a number from 0 to 1 (0.26, not 26%)")
    found = number(text)
    if found is not None and not 0.0 <= found <= 1.0:
        raise ValueError(f"{text!r} does not lie in 0..1")
    return found


def percent(text: str) -> float | None:
    """A percentage, with or without its sign, as a probability; or nothing."""
    found = number(text.removesuffix("%").rstrip())
    if found is not None and not 0.0 <= found <= 100.0:
        raise ValueError(f"{text!r} does not lie in 0..100")
    return None if found is None else found / 100.0


def odds(text: str) -> float | None:
    """Odds for:against as a probability, ``3:1`` as 0.75; or nothing."""
    if not text:
        return None
    match = _ODDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: write odds as for:against, such as 3:1")
    yes, no = float(match[1]), float(match[2])
    if yes + no == 0.0:
        raise ValueError(f"{text!r}: both sides are zero")
    return yes / (yes + no)

"""Values that a person may see but a program may not, entered from a file: the same path as everything else.

A panel's medians in a report, a community prediction beyond the tier of our key, any page that has no API: a
person writes them into a CSV or JSON file and says who they are. The file's bytes are kept as a raw payload
before anything is read of them, with who entered it, when, and the file's name in the payload's headers
(``entered-by``, ``entered-at``, ``file``); where each value was read stands in the file itself (columns
``url`` and ``note``). Every value carries the hash of that payload, like any other, so a skeptic gets from
the number to the file and its author; ``speedup import --list`` shows them, ``speedup reparse imported`` reads
them again. Streams have the source ``imported``: nothing entered by hand ever passes for a platform's word.

Columns: ``platform``, ``external_id``, ``outcome`` (default ``yes``), ``as_of`` (a date, midnight UTC, or ISO
8601 with an offset), ``probability`` (0..1) or ``value`` (real units), ``quantity`` (default
``panel_median``), ``forecasters``, ``volume`` and ``liquidity`` (the platform's money), ``spread`` (0..1),
``url``, ``note``. JSON is a list of objects with these keys. A value is known from when it was entered,
whatever its ``as_of``.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from questions.model import Link
from questions.records import Quantity, Snapshot, StreamKey
from questions.time import iso, parse_utc
from storage.records import AppendReport, RawPayload
from storage.store import Store
from tracker.errors import Problem, UsageError
from tracker.payload import Gathering, https_url, plain
from tracker.source import Parsed, Plan, SourceTraits

__all__ = ["COLUMNS", "NAME", "Entered", "Format", "Imported", "Reading", "enter", "payload_of", "read"]

NAME = "imported"
COLUMNS = (
    "platform", "external_id", "outcome", "as_of", "probability", "value", "quantity", "forecasters",
    "volume", "liquidity", "spread", "url", "note",
)  # fmt: skip
REQUIRED = ("platform", "external_id", "as_of")
MAX_BYTES = 10 * 1024 * 1024
SHOWN = 100  # problems written out in one message

Format = Literal["csv", "json"]
CONTENT_TYPES: Mapping[Format, str] = {"csv": "text/csv", "json": "application/json"}
OK = 200

_PLATFORM = re.compile(r"[a-z][a-z0-9_]{0,59}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Reading:
    """What a file says: its values, where each was read (url, note), and everything that is wrong in it."""

    snapshots: tuple[Snapshot, ...]
    origins: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]

    @property
    def without_origin(self) -> int:
        """How many values do not say where they were read."""
        return sum(not (url or note) for url, note in self.origins)

    def require_good(self) -> None:
        """Raise UsageError with every problem, its line and its column, if there is any."""
        if not self.problems:
            return
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count > 1 else ''} in {self.problems[0].file}; nothing was stored"]
        lines += [f"  {problem}" for problem in sorted(self.problems)[:SHOWN]]
        lines += [f"  … and {count - SHOWN} more"] if count > SHOWN else []
        raise UsageError("\n".join(lines))


@dataclass(frozen=True)
class Entered:
    """What entering a file did. ``payload`` is the one kept; ``known``: these very bytes were entered before."""

    payload: RawPayload
    known: bool
    appended: AppendReport


class Imported:
    """The adapter of what was entered by hand: asks nothing, reads the files that were kept."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="",
        hosts=(),
        pace_s=0.0,
        period_hours=24.0,
        platforms=(),
        credit="entered by hand (see speedup import --list)",
        licence="that of the page each value was read from",
        backfill_per_link=False,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Nothing: files come from people."""
        return Plan(())

    def parse(self, raw: RawPayload) -> Parsed:
        """Read a kept file again. What is wrong in it is a Fault (no such file is ever kept by ``enter``)."""
        reading, found = read(raw), Gathering(raw)
        found.add(*reading.snapshots)
        for problem in reading.problems:
            found.fault(raw.ref, f"line {problem.line} {problem.key}".strip(), problem.message)
        return found.parsed(nothing_is_an_error=True)


def payload_of(body: bytes, *, name: str, who: str, at: datetime, form: Format) -> RawPayload:
    """A file's bytes as they are kept: ``name`` is what the person calls it, ``who`` entered it at ``at``.

    Raises UsageError for a name that could not stand in one line, and for too large a file.
    """
    for what, text in (("--who", who), ("the file's name", name)):
        if not text.strip() or plain(text, 201) != text or len(text) > 200:
            raise UsageError(f"{what}: must be one line of 1 to 200 characters")
    if len(body) > MAX_BYTES:
        raise UsageError(f"{name}: is larger than {MAX_BYTES} bytes")
    headers = {"entered-by": who, "entered-at": iso(at), "file": name}
    return RawPayload(NAME, name, name, at, OK, CONTENT_TYPES[form], body, headers)


def enter(store: Store, payload: RawPayload) -> Entered:
    """Keep a file and store its values; entering the same bytes again, by whomever, adds nothing.

    Raises UsageError with all problems of the file; then nothing was stored.
    """
    read(payload).require_good()
    before = store.get_raw(payload.sha256)
    known = before is not None and before.source == NAME
    kept = before if before is not None and known else payload
    if not known:
        store.put_raw(payload)
    # Also when it is known: a kill after the bytes were kept must not leave them unread for good.
    return Entered(kept, known, store.append(Imported().parse(kept).batch))


def read(raw: RawPayload) -> Reading:
    """All values and all problems of a file. Depends on nothing but ``raw``."""
    table = _Table(raw)
    try:
        text = raw.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        table.wrong(raw.body.count(b"\n", 0, error.start) + 1, "", f"is not UTF-8 text ({error.reason})")
        return table.reading()
    rows = _json_rows(text, table) if raw.content_type == CONTENT_TYPES["json"] else _csv_rows(text, table)
    for line, cells in rows:
        table.take(line, cells)
    if not table.snapshots and not table.problems:
        table.wrong(0, "", "there are no values in it")
    return table.reading()


# --- rows -----------------------------------------------------------------------------------------------

Cells = Mapping[str, object]


@dataclass
class _Table:
    """What has been read of a file so far."""

    raw: RawPayload
    digest: str = field(init=False)
    snapshots: list[Snapshot] = field(default_factory=list)
    origins: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lines: dict[tuple[StreamKey, datetime], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digest = self.raw.sha256

    def wrong(self, line: int, column: str, message: str) -> None:
        self.problems.append(Problem(self.raw.ref, line, column, message))

    def reading(self) -> Reading:
        return Reading(tuple(self.snapshots), tuple(self.origins), tuple(self.problems))

    def names(self, line: int, names: Iterable[str], needed: Sequence[str] = ()) -> None:
        """Check the names of columns or keys: a mistyped one must not be left out in silence."""
        times = Counter(names)
        for name in times:
            if name not in COLUMNS:
                close = difflib.get_close_matches(name, COLUMNS, n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(COLUMNS)}"
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
        for column, reader in _READERS.items():
            try:
                told[column] = reader(_text(cells.get(column)))
            except ValueError as error:
                self.wrong(line, column, str(error))
        if len(self.problems) == before:
            self._add(line, told)

    def _add(self, line: int, told: Mapping[str, Any]) -> None:
        key = StreamKey(NAME, told["platform"], told["external_id"], told["outcome"], told["quantity"])
        as_of, at = told["as_of"], self.raw.fetched_at
        said = self.lines.setdefault((key, as_of), line)
        if (told["probability"] is None) == (told["value"] is None):
            self.wrong(line, "probability", "give either probability or value")
        elif as_of > at:
            self.wrong(line, "as_of", f"{iso(as_of)} lies after the import ({iso(at)})")
        elif said != line:
            self.wrong(line, "as_of", f"line {said} has a value of the same stream and time")
        else:
            self.origins.append((told["url"], told["note"]))
            self.snapshots.append(
                Snapshot(
                    key=key,
                    as_of=as_of,
                    fetched_at=at,
                    probability=told["probability"],
                    value=told["value"],
                    timed_by_source=True,
                    forecasters=told["forecasters"],
                    volume=told["volume"],
                    liquidity=told["liquidity"],
                    spread=told["spread"],
                    payload_sha256=self.digest,
                )
            )


def _csv_rows(text: str, table: _Table) -> Iterator[tuple[int, Cells]]:
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
                table.names(begins, header, REQUIRED)
                if table.problems:
                    return
            elif len(record) != len(header):
                table.wrong(begins, "", f"{len(record)} cells, the header has {len(header)}")
            else:
                yield begins, dict(zip(header, record, strict=True))
    except csv.Error as error:
        table.wrong(line + 1, "", f"is not readable as CSV: {error}")


def _json_rows(text: str, table: _Table) -> Iterator[tuple[int, Cells]]:
    """The objects of a JSON list with the line each begins on."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_refuse)
    at, line = _past_blanks(text, 0), 1
    if text[at : at + 1] != "[":
        table.wrong(1, "", "should be a list of objects, one for each value")
        return
    counted, at = 0, _past_blanks(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            table.wrong(error.lineno, "", f"is not JSON: {error.msg}")
            return
        except (ValueError, RecursionError) as error:
            table.wrong(line, "", f"is not JSON that can be read: {error}")
            return
        if isinstance(value, _Pairs):
            table.names(line, [name for name, _ in value])
            yield line, dict(value)
        else:
            table.wrong(line, "", "should be an object")
        at = _past_blanks(text, at)
        more = text[at : at + 1] == ","
        at = _past_blanks(text, at + 1) if more else at
    if text[at : at + 1] != "]" or _past_blanks(text, at + 1) != len(text):
        table.wrong(text.count("\n", 0, at) + 1, "", "here should be a comma, or ] and then nothing more")


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


def _needed(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not text:
            raise ValueError("is missing")
        return reader(text)

    return read


def _platform(text: str) -> str:
    if not _PLATFORM.fullmatch(text):
        raise ValueError(f"{text!r}: a platform's name has small letters, digits and _, such as leap")
    return text


def _named(limit: int, default: str = "") -> Callable[[str], str]:
    def read(text: str) -> str:
        text = text or default
        if not 1 <= len(text) <= limit:
            raise ValueError(f"should have 1 to {limit} characters")
        return text

    return read


def _as_of(text: str) -> datetime:
    try:
        return parse_utc(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no date or time with an offset, such as 2026-03-01 or 2026-03-01T12:00Z"
        ) from None


def _number(text: str) -> float | None:
    if not text:
        return None
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number")
    return number


def _probability(text: str) -> float | None:
    if text.endswith("%"):
        raise ValueError(f"{text!r}: write a number from 0 to 1 (0.26, not 26%)")
    number = _number(text)
    if number is not None and not 0.0 <= number <= 1.0:
        raise ValueError(f"{text!r} does not lie in 0..1")
    return number


def _amount(text: str) -> float | None:
    number = _number(text)
    if number is not None and number < 0:
        raise ValueError(f"{text!r} is less than nothing")
    return number


def _quantity(text: str) -> Quantity:
    text = text or Quantity.PANEL_MEDIAN.value
    try:
        return Quantity(text)
    except ValueError:
        raise ValueError(f"{text!r} is no quantity; there are: {', '.join(Quantity)}") from None


def _forecasters(text: str) -> int | None:
    if text and not _COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is no count of people")
    return int(text) if text else None


def _url(text: str) -> str:
    if text and https_url(text) != text:
        raise ValueError(f"{text[:80]!r} is no https address")
    return text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "platform": _needed(_platform),
    "external_id": _needed(_named(120)),
    "outcome": _named(200, "yes"),
    "as_of": _needed(_as_of),
    "probability": _probability,
    "value": _number,
    "quantity": _quantity,
    "forecasters": _forecasters,
    "volume": _amount,
    "liquidity": _amount,
    "spread": _probability,
    "url": _url,
    "note": str,
}

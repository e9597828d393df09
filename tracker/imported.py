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

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from questions.model import Link
from questions.records import Quantity, Snapshot, StreamKey
from questions.time import iso
from storage.records import AppendReport, RawPayload
from storage.store import Store
from tracker.errors import Problem
from tracker.payload import Gathering, https_url
from tracker.sheets import Format, Sheet, kept_file, moment, named, needed, number, probability, require_good
from tracker.source import Parsed, Plan, SourceTraits

__all__ = ["COLUMNS", "NAME", "Entered", "Imported", "Reading", "enter", "payload_of", "read"]

NAME = "imported"
COLUMNS = (
    "platform", "external_id", "outcome", "as_of", "probability", "value", "quantity", "forecasters",
    "volume", "liquidity", "spread", "url", "note",
)  # fmt: skip

_PLATFORM = re.compile(r"[a-z][a-z0-9_]{0,59}")
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
        require_good(self.problems)


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
    return kept_file(NAME, body, name=name, who=who, at=at, form=form)


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
    table.read()
    if not table.snapshots and not table.problems:
        table.wrong(0, "", "there are no values in it")
    return Reading(tuple(table.snapshots), tuple(table.origins), tuple(table.problems))


# --- cells ----------------------------------------------------------------------------------------------


def _platform(text: str) -> str:
    if not _PLATFORM.fullmatch(text):
        raise ValueError(f"{text!r}: a platform's name has small letters, digits and _, such as leap")
    return text


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


def _amount(text: str) -> float | None:
    found = number(text)
    if found is not None and found < 0:
        raise ValueError(f"{text!r} is less than nothing")
    return found


def _url(text: str) -> str:
    if text and https_url(text) != text:
        raise ValueError(f"{text[:80]!r} is no https address")
    return text


# --- rows -----------------------------------------------------------------------------------------------


@dataclass
class _Table(Sheet):
    """What has been read of a file so far."""

    columns = {  # noqa: RUF012 - a constant of the class
        "platform": needed(_platform),
        "external_id": needed(named(120)),
        "outcome": named(200, "yes"),
        "as_of": needed(moment),
        "probability": probability,
        "value": number,
        "quantity": _quantity,
        "forecasters": _forecasters,
        "volume": _amount,
        "liquidity": _amount,
        "spread": probability,
        "url": _url,
        "note": str,
    }
    required = ("platform", "external_id", "as_of")

    digest: str = field(init=False)
    snapshots: list[Snapshot] = field(default_factory=list)
    origins: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lines: dict[tuple[StreamKey, datetime], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.digest = self.raw.sha256

    def add(self, line: int, told: Mapping[str, Any]) -> None:
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

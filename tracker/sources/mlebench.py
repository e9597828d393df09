"""MLE-bench's leaderboard: a Markdown table in the repository's README.

Each row is an agent with its models: the share of Kaggle competitions with any medal, in percent, for the
three difficulties and all 75 together, plus or minus one standard error. Columns have been added and
swapped over time, so they are found by their headings. Entries that the maintainers call not comparable (a
second table with a column of notes, a column of known leakage) are a series of their own: the highest
scores are among them. Since 2026-04-24 no new entries are taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import FORBIDDEN, Gathering, denied, join, looks_like_html, plain, require_ok
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import (
    STANDARD_ERROR_LEVEL,
    Points,
    Row,
    first_reason,
    key_of,
    number,
    read_cells,
    release_day,
    within,
)

NAME = "mlebench"
SERIES = "mle_bench"
NOT_COMPARABLE = "mle_bench_not_comparable"
UNIT = "percent"
PATH = "README.md"
MAX_BYTES = 2 * 1024 * 1024

#: A word that begins a column's heading -> what it holds.
_HEADINGS = {
    "agent": "agent", "llm": "llm", "low": "low", "medium": "medium", "high": "high", "all": "all",
    "running": "hours", "date": "date", "notes": "notes",
}  # fmt: skip
_SPLITS = ("low", "medium", "high", "all")
_NEEDED = ("agent", "llm", "all", "date")

_FOOTNOTE = re.compile(r"\[\^[^\]]{1,20}\]")
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\([^()\s]{0,500}\)")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_RULE = re.compile(r"\s*:?-{3,}:?\s*")
_CHECKED = ("✓", "✔", "✅", "yes")


class MleBench:
    """The adapter. It follows no questions: the README is asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="https://raw.githubusercontent.com/openai/mle-bench/main",
        hosts=("raw.githubusercontent.com",),
        pace_s=5.0,
        period_hours=168.0,
        platforms=(),
        credit="OpenAI, MLE-bench (github.com/openai/mle-bench, arXiv 2410.07095)",
        licence="MIT",
        max_body_bytes=MAX_BYTES,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The README; its table holds every entry."""
        return Plan((Request(NAME, "leaderboard", PATH, conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        series = {name: Points(found, name) for name in (SERIES, NOT_COMPARABLE)}
        for row in _tables(found):
            for point in _points(found, row):
                series[point.series].add(point, join("", f"line {row.line}", point.metric))
        if not len(series[SERIES]):
            raise ParseError(NAME, raw.ref, "All (%)", first_reason(found))
        found.versions.extend(
            SeriesVersion(name, found.digest, found.at, points.ordered())
            for name, points in series.items()
            if len(points)
        )
        return found.parsed()


def _tables(found: Gathering) -> Iterator[Row]:
    """The rows of every table that has agents, scores on all tasks and dates. Raises ParseError."""
    raw = found.raw
    if looks_like_html(raw.body):
        raise ParseError(NAME, raw.ref, "", "an HTML page came where Markdown was expected")
    try:
        lines = raw.body.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ParseError(NAME, raw.ref, "", "is not UTF-8 text") from None
    tables = 0
    for index, line in enumerate(lines[:-1]):
        cells = _cells(line)
        if cells and all(_RULE.fullmatch(cell) for cell in _cells(lines[index + 1]) or ["x"]):
            header = [_heading(cell) for cell in cells]
            if set(_NEEDED) <= set(header):
                tables += 1
                yield from _rows(found, header, lines, index + 2)
    if tables:
        return
    raise ParseError(NAME, raw.ref, "Agent", "there is no table with agents, scores on all tasks and dates")


def _rows(found: Gathering, header: Sequence[str], lines: Sequence[str], start: int) -> Iterator[Row]:
    if len(set(header) - {""}) != len([name for name in header if name]):
        raise ParseError(NAME, found.raw.ref, "Agent", "a column of the table stands twice")
    for number_, line in enumerate(lines[start:], start + 1):
        cells = _cells(line)
        if not cells:
            return
        if len(cells) != len(header):
            found.fault(found.raw.ref, f"line {number_}", f"{len(cells)} cells, the header has {len(header)}")
            continue
        yield Row(number_, {name: cell for name, cell in zip(header, cells, strict=True) if name})


def _cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table without links and footnotes; nothing if it is no such line."""
    line = line.strip()
    if len(line) < 3 or len(line) > 20_000 or not line.startswith("|"):
        return []
    inner = line.removeprefix("|").removesuffix("|")
    return [_LINK.sub(r"\1", _BREAK.sub(" ", _FOOTNOTE.sub("", cell))).strip() for cell in inner.split("|")]


def _heading(cell: str) -> str:
    lower = cell.lower()
    if "leak" in lower:
        return "leakage"
    first = re.match(r"[a-z]+", lower)
    return _HEADINGS.get(first[0], "") if first else ""


def _points(found: Gathering, row: Row) -> list[Measurement]:
    here = [split for split in _SPLITS if row[split]]
    readers: dict[str, Callable[[str], Any]] = {
        "agent": lambda text: key_of(
            text, row["llm"], f"{row['hours']}h" if row["hours"] else "", row["date"]
        ),
        "date": partial(release_day, fetched_at=found.at),
    }
    told = read_cells(
        found, plain(row["agent"], 80) or "table", "", row, readers | dict.fromkeys(here, _score)
    )
    if told is None:
        return []
    why = row["notes"] or ("known leakage" if row["leakage"].lower() in _CHECKED else "")
    return [
        Measurement(
            series=NOT_COMPARABLE if why else SERIES,
            key=told["agent"],
            metric=split,
            at=told["date"],
            value=told[split][0],
            unit=UNIT,
            lower=None if told[split][1] is None else max(0.0, told[split][0] - told[split][1]),
            upper=None if told[split][1] is None else min(100.0, told[split][0] + told[split][1]),
            ci_level=None if told[split][1] is None else STANDARD_ERROR_LEVEL,
            label=plain(f"{row['agent']}, {row['llm']}" + (f" ({why})" if why else ""), 200),
        )
        for split in here
    ]


def _score(text: str) -> tuple[float, float | None]:
    """A percentage and its standard error, such as ``44.0 ± 1.3``; the error may be missing."""
    value, sign, error = text.partition("±")
    spread = within(number(error.strip()), 0.0, 100.0) if sign else None
    return within(number(value.strip()), 0.0, 100.0), spread


__all__ = ["NOT_COMPARABLE", "PATH", "SERIES", "MleBench"]

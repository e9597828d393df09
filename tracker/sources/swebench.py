"""SWE-bench's leaderboards: one JSON file with every submission to every list.

Read are ``Verified`` (any scaffold) and ``bash-only`` (one minimal scaffold, so that models differ and scaffolds do
not). ``date`` is the day of submission, not of the model's release. Entries are reported by their submitters;
``checked`` says whether the maintainers reproduced them. The file is under CC BY-NC 4.0: it is kept for
its reader and never passed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import (
    FORBIDDEN,
    Gathering,
    Payload,
    denied,
    join,
    plain,
    read_object,
    read_part,
    require_ok,
    rows_of,
)
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import Points, Row, first_reason, key_of, read_cells, release_day

NAME = "swebench"
UNIT = "percent"
PATH = "data/leaderboards.json"
#: The file's name of a list -> our series.
LISTS = {"Verified": "swebench_verified", "bash-only": "swebench_bash_only"}
UNCHECKED = " (not checked by the maintainers)"


class _Entry(Payload):
    folder: str
    date: str
    resolved: Annotated[float, Field(ge=0, le=100)]
    name: str = ""
    checked: bool | str | None = None


class SweBench:
    """The adapter. It follows no questions: the file is asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="https://raw.githubusercontent.com/SWE-bench/swe-bench.github.io/master",
        hosts=("raw.githubusercontent.com",),
        pace_s=5.0,
        period_hours=168.0,
        platforms=(),
        credit="SWE-bench (swebench.com)",
        licence="CC BY-NC 4.0: non-commercial use; figures are cited, the file is not redistributed",
        read_timeout_s=60.0,
        max_body_bytes=48 * 1024 * 1024,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The file; it holds every list whole."""
        return Plan((Request(NAME, "leaderboards", PATH, conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        boards = rows_of(raw, read_object(raw), "leaderboards")
        names = [board.get("name") if isinstance(board, dict) else None for board in boards]
        for name, series in LISTS.items():
            if names.count(name) != 1:
                found.fault(name, join("leaderboards", name), f"is there {names.count(name)} times, not once")
                continue
            index = names.index(name)
            _read(found, series, boards[index].get("results"), join("leaderboards", index, "results"))
        if not found.versions:
            raise ParseError(NAME, raw.ref, "leaderboards", first_reason(found))
        return found.parsed()


def _read(found: Gathering, series: str, results: Any, at: str) -> None:
    if not isinstance(results, list):
        found.fault(series, at, "should be a list")
        return
    points = Points(found, series)
    for index, value in enumerate(results):
        point = _point(found, series, value, join(at, index))
        if point is not None:
            points.add(point, join(at, index))
    if len(points):
        found.versions.append(SeriesVersion(series, found.digest, found.at, points.ordered()))
    else:
        found.fault(series, at, "no entry can be read")


def _point(found: Gathering, series: str, value: Any, at: str) -> Measurement | None:
    named = value.get("folder") if isinstance(value, dict) else None
    ref = plain(named, 80) if isinstance(named, str) and named.strip() else series
    entry, faults = read_part(_Entry, value, ref, at)
    found.faults.extend(faults)
    if entry is None:
        return None
    row = Row(0, {"folder": entry.folder, "date": entry.date[:10]})
    told = read_cells(
        found, ref, at, row, {"folder": key_of, "date": partial(release_day, fetched_at=found.at)}
    )
    if told is None:
        return None
    return Measurement(
        series=series,
        key=told["folder"],
        metric="resolved",
        at=told["date"],
        value=entry.resolved,
        unit=UNIT,
        label=plain(entry.name, 120) + ("" if entry.checked is True else UNCHECKED),
    )


__all__ = ["LISTS", "PATH", "SweBench"]

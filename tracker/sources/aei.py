"""Anthropic's Economic Index: which releases there are, and how people and programs use Claude in each.

The data set's list of files gives the series ``aei_releases``, so that a new release is seen. The tables of a
release are asked for next, as far as they are not too large (``MAX_TABLE``; the consumer table of June 2026 has 219
MB and is left out). Of a table only the rows about all of the world together are read. Releases are not
one series: windows, plans and classifiers differ, so each table is a series of its own, named by product and
date, and a comparison across them must say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
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
    read_list,
    read_part,
    require_ok,
)
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import (
    EARLIEST,
    Points,
    Row,
    day,
    first_reason,
    number,
    read_cells,
    rows_of_csv,
    within,
)

NAME = "aei"
RELEASES = "aei_releases"
TREE_REF = "releases"
TREE = "api/datasets/Anthropic/EconomicIndex/tree/main"
FILES = "datasets/Anthropic/EconomicIndex/resolve/main/"
MAX_TABLE = 96 * 1024 * 1024

_TABLE = re.compile(
    r"release_(\d{4})_(\d{2})_(\d{2})/(?:[a-z_]{1,40}/){0,3}aei_(?:raw_)?(claude_ai|1p_api)_[0-9a-z_-]{1,60}\.csv"
)
_RELEASE = re.compile(r"release_(\d{4})_(\d{2})_(\d{2})/")
_REF = re.compile(r"(claude_ai|1p_api)_(\d{4}-\d{2}-\d{2})")

#: Column names of the two layouts: releases up to 2026-03 (weeks), and from 2026-06 on (months).
_WEEKS = ("geography", "facet", "level", "variable", "cluster_name", "date_end", "value")
_MONTHS = ("geo_level", "category_name", "hierarchy_level", "metric_id", "date_end", "value")
#: Weekly releases: how people work with it, by our metric; what is neither counts to neither.
_MODES = {
    "directive": "automation", "feedback loop": "automation",
    "task iteration": "augmentation", "learning": "augmentation", "validation": "augmentation",
}  # fmt: skip
#: Monthly releases: the file's metric -> ours, its unit, and the most that is possible.
_OVERALL = {
    "collaboration_bucket_automation_pct": ("automation", "percent", 100.0),
    "collaboration_bucket_augmentation_pct": ("augmentation", "percent", 100.0),
    "ai_autonomy_mean": ("autonomy", "points of 1 to 5", 5.0),
    "human_only_time_mean": ("human_only_time", "hours", 1e6),
    "human_with_ai_time_mean": ("human_with_ai_time", "minutes", 1e6),
}


class _File(Payload):
    path: Annotated[str, Field(max_length=400)]
    type: str
    size: Annotated[int, Field(ge=0, le=2**50)]


class EconomicIndex:
    """The adapter. It follows no questions: the list of files is asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="https://huggingface.co",
        hosts=("huggingface.co", "cdn-lfs.huggingface.co", "cdn-lfs.hf.co", "cas-bridge.xethub.hf.co"),
        pace_s=5.0,
        period_hours=168.0,
        platforms=(),
        credit="Anthropic, Economic Index (huggingface.co/datasets/Anthropic/EconomicIndex)",
        licence="CC BY (data), MIT (code)",
        read_timeout_s=120.0,
        max_body_bytes=MAX_TABLE,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The list of files; the tables follow from it."""
        return Plan((Request(NAME, TREE_REF, TREE, (("recursive", "true"),)),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        table = _REF.fullmatch(raw.ref)
        if table is None:
            _read_tree(found)
        else:
            _read_table(found, f"{NAME}_{table[1]}_{table[2].replace('-', '_')}")
        return found.parsed()


def _read_tree(found: Gathering) -> None:
    points = Points(found, RELEASES)
    for index, value in enumerate(read_list(found.raw)):
        at = join("", index)
        if isinstance(value, dict) and value.get("type") == "directory":
            continue
        file, faults = read_part(_File, value, found.raw.ref, at)
        found.faults.extend(faults)
        if file is None:
            continue
        released = _release_of(found, file.path, at)
        if released is None or file.size == 0:
            continue
        points.add(
            Measurement(RELEASES, plain(file.path, 160), "size", released, float(file.size), "bytes"), at
        )
        table = _TABLE.fullmatch(file.path)
        if table is not None:
            _follow(found, file, table[4], released)
    if not len(points):
        raise ParseError(NAME, found.raw.ref, "path", first_reason(found))
    found.versions.append(SeriesVersion(RELEASES, found.digest, found.at, points.ordered()))


def _release_of(found: Gathering, path: str, at: str) -> date | None:
    """The day in the name of a file's folder; None for files of no release and for those we do not read."""
    dated = _RELEASE.match(path)
    if dated is None or not path.endswith(".csv"):
        return None
    try:
        released = date(*map(int, dated.groups()))
    except ValueError:
        released = date.min
    if not EARLIEST <= released <= found.at.date():
        found.fault(plain(path, 80), join(at, "path"), "is dated on no day a release can have")
        return None
    return released


def _follow(found: Gathering, file: _File, product: str, released: date) -> None:
    if file.size > MAX_TABLE:
        found.note(f"{file.path}: {file.size} bytes are more than we take; left out")
        return
    found.follow.append(Request(NAME, f"{product}_{released}", FILES + file.path, conditional=True))


def _read_table(found: Gathering, series: str) -> None:
    points = Points(found, series)
    header = found.raw.body[:4096].split(b"\n", 1)[0]
    read = _months(found, series) if b"metric_id" in header else _weeks(found, series)
    for point, at in read:
        points.add(point, at)
    if not len(points):
        raise ParseError(NAME, found.raw.ref, "value", first_reason(found))
    found.versions.append(SeriesVersion(series, found.digest, found.at, points.ordered()))


def _months(found: Gathering, series: str) -> Iterator[tuple[Measurement, str]]:
    """A release of calendar months: the metrics of all use together, one point for each month."""
    for row in rows_of_csv(found, found.raw.body, _MONTHS):
        named = _OVERALL.get(row["metric_id"])
        if named is None or (row["geo_level"], row["category_name"]) != ("global", "overall"):
            continue
        metric, unit, most = named
        told = _told(found, row, most)
        if told is not None:
            yield _point(series, metric, told, unit), f"line {row.line}"


def _weeks(found: Gathering, series: str) -> Iterator[tuple[Measurement, str]]:
    """A release of one week: the share of conversations that automate, and of those that augment."""
    shares: dict[tuple[str, date], float] = {}
    modes: set[tuple[str, date]] = set()
    for row in rows_of_csv(found, found.raw.body, _WEEKS):
        if (row["geography"], row["facet"], row["variable"]) != (
            "global",
            "collaboration",
            "collaboration_pct",
        ):
            continue
        told = _told(found, row, 100.0)
        metric = _MODES.get(row["cluster_name"].replace("_", " "))
        if told is None or metric is None:
            continue
        if (row["cluster_name"], told["date_end"]) in modes:
            found.fault(series, f"line {row.line}", "a way of working stands twice; the first is kept")
            continue
        modes.add((row["cluster_name"], told["date_end"]))
        shares[metric, told["date_end"]] = shares.get((metric, told["date_end"]), 0.0) + told["value"]
    for at in sorted({at for _, at in shares}):
        missing = sorted(mode for mode in _MODES if (mode, at) not in modes)
        if missing:
            found.fault(
                series, f"cluster_name {at}", f"these ways of working are missing: {', '.join(missing)}"
            )
            continue
        for metric in ("automation", "augmentation"):
            value = {"value": shares[metric, at], "date_end": at}
            yield _point(series, metric, value, "percent"), f"cluster_name {at}"


def _told(found: Gathering, row: Row, most: float) -> dict[str, Any] | None:
    return read_cells(
        found,
        found.raw.ref,
        "",
        row,
        {"date_end": day, "value": lambda text: within(number(text), 0.0, most)},
    )


def _point(series: str, metric: str, told: Mapping[str, Any], unit: str) -> Measurement:
    at = told["date_end"]
    return Measurement(series, at.isoformat(), metric, at, told["value"], unit)


__all__ = ["FILES", "MAX_TABLE", "RELEASES", "TREE", "TREE_REF", "EconomicIndex"]

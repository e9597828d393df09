"""Epoch AI's frontier data centres: dated states of each site, those still planned included.

``data/data_centers/data_center_timelines.csv`` has a row for each site and date. A point's key is the site
and the date. Rows dated after the day of retrieval are Epoch's projections, not observations; the file is
read whole, so that the same bytes always give the same points, and ``at`` tells which are which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import FORBIDDEN, Gathering, denied, join, plain, require_ok
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import (
    EARLIEST,
    Points,
    Row,
    day,
    first_reason,
    key_of,
    maybe_number,
    read_cells,
    rows_of_csv,
    within,
)

NAME = "epoch_dc"
SERIES = "epoch_data_centers"
PATH = "data/data_centers/data_center_timelines.csv"
LATEST = date(2050, 1, 1)

_SITE, _DATE = "Data center", "Date"
#: Column -> (metric, unit, the most that is possible). Each may be missing, but not all of them.
QUANTITIES = {
    "H100 equivalents": ("h100_equivalents", "H100-equivalents", 1e9),
    "Power (MW)": ("power", "MW", 1e6),
    "IT power (MW)": ("it_power", "MW", 1e6),
}


class EpochDataCenters:
    """The adapter. It follows no questions: the table is asked for whatever the links are."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="https://epoch.ai",
        hosts=("epoch.ai", "www.epoch.ai"),
        pace_s=5.0,
        period_hours=168.0,
        platforms=(),
        credit="Epoch AI, Frontier Data Centers (epoch.ai/data/data-centers)",
        licence="CC BY 4.0",
        max_body_bytes=8 * 1024 * 1024,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The table; it holds every site."""
        return Plan((Request(NAME, "timelines", PATH, conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        points = Points(found, SERIES)
        told: set[str] = set()
        for row in rows_of_csv(found, raw.body, (_SITE, _DATE)):
            told.update(row.cells)
            for point, column in _points(found, row):
                points.add(point, join("", f"line {row.line}", column))
        for column in QUANTITIES:
            if column not in told:
                found.note(f"{column}: no such column any more")
        if not len(points):
            raise ParseError(NAME, raw.ref, next(iter(QUANTITIES)), first_reason(found))
        found.versions.append(SeriesVersion(SERIES, found.digest, found.at, points.ordered()))
        return found.parsed()


def _points(found: Gathering, row: Row) -> Iterator[tuple[Measurement, str]]:
    here = {column: most for column, (_, _, most) in QUANTITIES.items() if row[column]}
    told = read_cells(
        found,
        plain(row[_SITE], 80),
        "",
        row,
        {_SITE: lambda text: key_of(text, row[_DATE]), _DATE: _when}
        | {column: partial(_amount, most=most) for column, most in here.items()},
    )
    if told is None:
        return
    for column in here:
        metric, unit, _ = QUANTITIES[column]
        yield (
            Measurement(
                SERIES, told[_SITE], metric, told[_DATE], told[column], unit, label=plain(row[_SITE], 120)
            ),
            column,
        )


def _when(text: str) -> date:
    at = day(text)
    if not EARLIEST <= at <= LATEST:
        raise ValueError(f"{at} is no date of a data centre")
    return at


def _amount(text: str, most: float) -> float | None:
    value = maybe_number(text.replace(",", ""))
    return None if value is None else within(value, 0.0, most)


__all__ = ["PATH", "QUANTITIES", "SERIES", "EpochDataCenters"]

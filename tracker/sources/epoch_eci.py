"""Epoch AI's Capabilities Index: one CSV, every model's score on a scale fitted to many benchmarks.

``data/eci_scores.csv`` is recomputed as a whole: the scale is anchored at two models (Claude 3.5 Sonnet 130,
GPT-5 150, without intervals), and every other score moves a little each time, so each version is kept.
Intervals are at 90 %. The index is linear in time by construction: read it in points a year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from questions.model import Link
from questions.records import Measurement, SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import FORBIDDEN, Gathering, denied, plain, require_ok
from tracker.source import Parsed, Plan, Request, SourceTraits
from tracker.tabular import (
    Points,
    Row,
    first_reason,
    key_of,
    maybe_number,
    number,
    read_cells,
    release_day,
    rows_of_csv,
    within,
)

NAME = "epoch_eci"
UNIT = "ECI points"
CI_LEVEL = 0.90
PATH = "data/eci_scores.csv"
LOWEST, HIGHEST = -200.0, 1000.0  # far outside what the scale can reach: another column

_MODEL, _ECI, _LOW, _HIGH, _DATE, _SHOWN = "Model", "eci", "eci_ci_low", "eci_ci_high", "date", "Display name"


class EpochEci:
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
        credit="Epoch AI, Epoch Capabilities Index (epoch.ai/eci)",
        licence="CC BY 4.0",
        max_body_bytes=4 * 1024 * 1024,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The table; it holds every model."""
        return Plan((Request(NAME, "eci", PATH, conditional=True),))

    def parse(self, raw: RawPayload) -> Parsed:
        if raw.status in FORBIDDEN:
            return denied(raw)
        require_ok(raw)
        found = Gathering(raw)
        points = Points(found, NAME)
        left_out = 0
        for row in rows_of_csv(found, raw.body, (_MODEL, _ECI, _LOW, _HIGH, _DATE)):
            if not row[_ECI] or not row[_DATE]:
                left_out += 1
                continue
            point = _point(found, row)
            if point is not None:
                points.add(point, f"line {row.line}")
        if left_out:
            found.note(f"{left_out} models without a score or a date are left out")
        if not len(points):
            raise ParseError(NAME, raw.ref, _ECI, first_reason(found))
        found.versions.append(SeriesVersion(NAME, found.digest, found.at, points.ordered()))
        return found.parsed()


def _point(found: Gathering, row: Row) -> Measurement | None:
    told = read_cells(
        found,
        plain(row[_MODEL], 80),
        "",
        row,
        {
            _MODEL: key_of,
            _ECI: _score,
            _LOW: maybe_number,
            _HIGH: maybe_number,
            _DATE: partial(release_day, fetched_at=found.at),
        },
    )
    if told is None:
        return None
    low, high = told[_LOW], told[_HIGH]
    if low is not None and high is not None and low > high:
        found.fault(told[_MODEL], f"line {row.line}", f"the interval is upside down: {low} > {high}")
        return None
    return Measurement(
        series=NAME,
        key=told[_MODEL],
        metric="eci",
        at=told[_DATE],
        value=told[_ECI],
        unit=UNIT,
        lower=low,
        upper=high,
        ci_level=None if low is None and high is None else CI_LEVEL,
        label=plain(row[_SHOWN], 120),
    )


def _score(text: str) -> float:
    return within(number(text), LOWEST, HIGHEST)


__all__ = ["PATH", "EpochEci"]

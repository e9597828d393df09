"""ForecastBench: daily crowd values of questions of four platforms, and what became of them.

A resolution set (one per fortnight) lists, for every question of its round, either the outcome or the
crowd's value at the end of ``resolution_date`` (23:59:59 UTC: the publisher's own code says so, and its
midnight freeze values equal the row of the day before, not of the same day). A question set gives titles
and the crowd's value at the moment the round was frozen. ``platform`` of every record is where the crowd forecast; rows
made from data series and rows that combine two questions are not ours and are passed over.
Source of the shapes: forecastingresearch/forecastbench-datasets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from questions.model import Link
from questions.records import OutcomeState, Quantity, QuestionInfo, Resolution, Snapshot, StreamKey
from questions.time import parse_utc
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import (
    FORBIDDEN,
    MISSING,
    Gathering,
    Payload,
    Probability,
    UtcText,
    criteria_digest,
    denied,
    https_url,
    join,
    plain,
    read_object,
    read_part,
    require_ok,
)
from tracker.schedule import turns
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "forecastbench"
YES = "yes"
PLATFORMS = ("infer", "manifold", "metaculus", "polymarket")
DATA_SERIES = ("acled", "dbnomics", "fred", "wikipedia", "yfinance")
ANCHOR = date(2025, 3, 2)  # every second Sunday from here on
BEFORE_THE_GRID = (date(2024, 7, 21),)  # the one round of the first year
FORTNIGHT = timedelta(days=14)
LOOK_BACK = timedelta(days=370)
#: The newest rounds are asked for at every poll; older ones by turns. So a question that stands in no round of
#: the last six weeks has a value every eighth day, and its outcome as late: that keeps a poll at eight requests.
AT_EVERY_POLL = 3
REREAD = timedelta(days=8)
END_OF_DAY = timedelta(hours=23, minutes=59, seconds=59)

LATEST = "datasets/question_sets/latest-llm.json"
QUESTION_SETS = "datasets/question_sets/"
RESOLUTION_SETS = "datasets/resolution_sets/"

_POINTER = re.compile(rb"\s*([0-9]{4}-[0-9]{2}-[0-9]{2}-llm\.json)\s*")


def _number(value: object) -> object:
    """Question sets print their numbers as text."""
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[0-9]*\.?[0-9]+([eE]-?[0-9]{1,3})?", value[:60]) is None:
        raise ValueError("is no number")
    return float(value[:60])


def _stated(value: object) -> object:
    return None if value in ("N/A", "") else value


def _day(value: object) -> object:
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        raise ValueError("is no date like 2026-01-31")
    try:
        return parse_utc(value)
    except ValueError:
        raise ValueError("is not in the calendar") from None


_Id = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[\x21-\x7e]+$")]
_Text = Annotated[UtcText, BeforeValidator(_stated)]
_Stated = Annotated[str | None, BeforeValidator(_stated)]


class _Row(Payload):
    id: _Id
    day: Annotated[datetime, BeforeValidator(_day), Field(alias="resolution_date")]
    value: Annotated[Probability, Field(alias="resolved_to")]
    resolved: bool


class _Asked(Payload):
    id: _Id
    title: Annotated[str, Field(alias="question")]
    url: str | None = None
    opens: Annotated[_Text, Field(alias="market_info_open_datetime")] = None
    closes: Annotated[_Text, Field(alias="market_info_close_datetime")] = None
    frozen: Annotated[UtcText, Field(alias="freeze_datetime")] = None
    value: Annotated[Probability | None, BeforeValidator(_number), Field(alias="freeze_datetime_value")] = (
        None
    )
    criteria: Annotated[_Stated, Field(alias="resolution_criteria")] = None
    background: _Stated = None
    rules: Annotated[_Stated, Field(alias="market_info_resolution_criteria")] = None


class ForecastBench:
    """The adapter. Static files: asked conditionally, and a fortnight without a file is an answer."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting="forecastbench",
        base_url="https://raw.githubusercontent.com/forecastingresearch/forecastbench-datasets/main",
        hosts=("raw.githubusercontent.com",),
        pace_s=0.5,
        period_hours=24.0,
        platforms=PLATFORMS,
        credit="ForecastBench, Forecasting Research Institute (www.forecastbench.org)",
        licence="CC BY-SA 4.0",
        max_body_bytes=8 * 1024 * 1024,
        backfill_per_link=False,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """The newest question set and every resolution set of the last 370 days (or back to ``since``).

        Old rounds stay worth asking: their open questions get a new value every day. Nothing is asked
        when no link is on one of the four platforms.
        """
        start = now - LOOK_BACK if since is None else min(now - LOOK_BACK, since)
        return _plan(links, _rounds(start.date(), now.date()))

    def plan_after(self, links: Sequence[Link], last: datetime | None, now: datetime) -> Plan:
        """The newest question set, the newest rounds, and those of the last 370 days whose turn has come."""
        rounds = _rounds((now - LOOK_BACK).date(), now.date())
        newest, older = rounds[:AT_EVERY_POLL], rounds[AT_EVERY_POLL:]
        due = turns([day.isoformat() for day in older], REREAD, last, now)
        return _plan(links, newest + [day for day in older if day.isoformat() in due])

    def parse(self, raw: RawPayload) -> Parsed:
        """A resolution set, a question set, or the pointer to the newest question set."""
        if raw.status in FORBIDDEN:
            return denied(raw)
        if raw.status in MISSING:
            return Parsed()
        require_ok(raw)
        pointer = _POINTER.fullmatch(raw.body[:200]) if len(raw.body) <= 200 else None
        if pointer is not None:
            return Parsed(follow=(_question_set(raw, pointer[1].decode("ascii")),))
        body = read_object(raw)
        found = Gathering(raw)
        if "resolutions" in body:
            _read_rows(found, "resolutions", body["resolutions"], _resolution_row)
        elif "questions" in body:
            _read_rows(found, "questions", body["questions"], _question_row)
        else:
            raise ParseError(NAME, raw.ref, "", "has neither resolutions nor questions")
        return found.parsed(nothing_is_an_error=True)


def _rounds(start: date, end: date) -> list[date]:
    """The days on which a round was due, newest first, from ``start`` to ``end``."""
    early = [due for due in BEFORE_THE_GRID if start <= due <= end]
    steps = max(0, -((ANCHOR - start) // FORTNIGHT))  # the first Sunday of the grid not before start
    due, grid = ANCHOR + steps * FORTNIGHT, []
    while due <= end:
        grid.append(due)
        due += FORTNIGHT
    return [*reversed(grid), *early]


def _plan(links: Sequence[Link], rounds: Sequence[date]) -> Plan:
    if not any(link.platform in PLATFORMS for link in links):
        return Plan(())
    newest = Request(NAME, "latest", LATEST, accept_missing=True, conditional=True)
    return Plan((newest, *(_resolution_set(due) for due in rounds)))


def _resolution_set(due: date) -> Request:
    path = f"{RESOLUTION_SETS}{due.isoformat()}_resolution_set.json"
    return Request(NAME, due.isoformat(), path, accept_missing=True, conditional=True)


def _question_set(raw: RawPayload, name: str) -> Request:
    """The file a pointer names. The pattern keeps it inside its folder; the date must exist."""
    try:
        date.fromisoformat(name[:10])
    except ValueError:
        raise ParseError(NAME, raw.ref, "", "the pointer names a day that is not in the calendar") from None
    return Request(
        NAME, name.removesuffix(".json"), QUESTION_SETS + name, accept_missing=True, conditional=True
    )


# --- rows -----------------------------------------------------------------------------------------------


def _read_rows(found: Gathering, name: str, rows: object, read: Any) -> None:
    if not isinstance(rows, list):
        raise ParseError(NAME, found.raw.ref, name, "should be a list")
    for number, row in enumerate(rows):
        at = join(name, number)
        if not isinstance(row, dict):
            found.fault(found.raw.ref, at, "should be an object")
            continue
        source = row.get("source")
        if isinstance(row.get("id"), list) or source in DATA_SERIES:
            continue
        if not isinstance(source, str):
            found.fault(found.raw.ref, join(at, "source"), "should be the name of a source")
        elif source not in PLATFORMS:
            found.note(f"source {plain(source, 40)!r} is not known; its rows are passed over")
        else:
            read(found, source, row, at)


def _ref(row: dict[str, Any], otherwise: str) -> str:
    value = row.get("id")
    return plain(value, 120) if isinstance(value, str) and value else otherwise


def _resolution_row(found: Gathering, platform: str, value: dict[str, Any], at: str) -> None:
    """An open question's value at the end of a day, or an outcome.

    An outcome known early may carry the day the question was to close, which can lie ahead: then we do
    not know when it came. A value from the future is nonsense.
    """
    row, faults = read_part(_Row, value, _ref(value, found.raw.ref), at)
    found.faults.extend(faults)
    if row is None:
        return
    if row.resolved:
        found.add(_resolution(found, platform, row))
    elif row.day + END_OF_DAY > found.at:
        found.fault(row.id, join(at, "resolution_date"), "was not over when the file was read")
    else:
        found.add(_snapshot(found, platform, row.id, row.day + END_OF_DAY, row.value))


def _question_row(found: Gathering, platform: str, value: dict[str, Any], at: str) -> None:
    """A title, and the crowd's value when the round was frozen."""
    row, faults = read_part(_Asked, value, _ref(value, found.raw.ref), at)
    found.faults.extend(faults)
    if row is None:
        return
    found.add(
        QuestionInfo(
            source=NAME,
            platform=platform,
            external_id=row.id,
            fetched_at=found.at,
            title=plain(row.title),
            url=https_url(row.url),
            question_type="binary",
            opens_at=row.opens,
            closes_at=row.closes,
            criteria_sha256=criteria_digest(row.criteria, row.background, row.rules),
            payload_sha256=found.digest,
        )
    )
    if row.value is None:
        if not any(fault.field.endswith("freeze_datetime_value") for fault in faults):
            found.fault(row.id, join(at, "freeze_datetime_value"), "is missing")
    elif row.frozen is None or row.frozen > found.at:
        found.fault(row.id, join(at, "freeze_datetime"), "is missing or lies after the file was read")
    else:
        found.add(_snapshot(found, platform, row.id, row.frozen, row.value))


def _snapshot(found: Gathering, platform: str, question: str, as_of: datetime, value: float) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, platform, question, YES, Quantity.CROWD_DAILY),
        as_of=as_of,
        fetched_at=found.at,
        probability=value,
        timed_by_source=True,
        payload_sha256=found.digest,
    )


def _resolution(found: Gathering, platform: str, row: _Row) -> Resolution:
    known = {1.0: OutcomeState.YES, 0.0: OutcomeState.NO}
    return Resolution(
        source=NAME,
        platform=platform,
        external_id=row.id,
        outcome=YES,
        state=known.get(row.value, OutcomeState.FRACTION),
        fetched_at=found.at,
        resolved_at=row.day if row.day <= found.at else None,
        value=row.value,
        text=str(row.value),
        payload_sha256=found.digest,
    )


__all__ = ["ForecastBench"]

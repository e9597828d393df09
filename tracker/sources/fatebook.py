"""Fatebook: a team's own predictions, averaged here, with their history.

The platform gives every forecast and no aggregate by its API. Ours is ``team_mean``: the plain mean of each
person's latest forecast, and ``forecasters`` says of how many people. (The site's own "community forecast"
is another number: the geometric mean of their odds.) Streams: outcome ``yes`` of a yes-or-no question, the
option's text of a multiple choice. Each forecast makes a point at its own time; the mean as it is now stands
at the time of the fetch, so that a forecast somebody takes back does not stay the newest word. Forecasts that
are hidden from the key's owner are not in the answer and not in the mean.

More than a few questions are read from the list of all that the key's owner made, forecast or was shown; those it
lacks are asked for alone. The key is a query parameter (``SourceTraits.secret_param``). Answers name people, and a
list holds questions that nobody follows: both stay in your database, and only what is followed is read.
Source of the shapes: Sage-Future/fatebook @3eb5379 (2025-12), pages/api/v0/getQuestion.ts,
lib/web/question_router/get_questions.ts and types.ts, prisma/schema.prisma, lib/interactive_handlers/resolve.ts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BeforeValidator, Field

from questions.model import Link
from questions.records import (
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
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
    join,
    plain,
    read_object,
    read_part,
    refs,
    require_ok,
    rows_of,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME, YES = "fatebook", "yes"
ONE, LIST = "v0/getQuestion", "v0/getQuestions"
PER_PAGE = 100
#: So few questions are asked for alone; more of them from the list, so long as it may still hold that many.
FEW = 5
PAGES = 20
BINARY, MULTIPLE_CHOICE = "BINARY", "MULTIPLE_CHOICE"
STATES = {
    "YES": (OutcomeState.YES, 1.0),
    "NO": (OutcomeState.NO, 0.0),
    "AMBIGUOUS": (OutcomeState.AMBIGUOUS, None),
}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DECIMAL = re.compile(r"[0-9]{0,20}\.?[0-9]{1,40}(?:[eE][+-]?[0-9]{1,3})?")


def _decimal(value: object) -> object:
    """A number that may come as text: the platform keeps decimals, and some answers write them so."""
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


class _User(Payload):
    id: Annotated[str, Field(min_length=1, max_length=100)]


class _Option(Payload):
    id: str | None = None
    text: Annotated[str, Field(min_length=1)]
    resolution: str | None = None
    resolved: Annotated[UtcText, Field(alias="resolvedAt")] = None

    @property
    def outcome(self) -> str:
        return plain(self.text, 200)


class _Forecast(Payload):
    p: Annotated[Probability | None, BeforeValidator(_decimal), Field(alias="forecast")]
    made: Annotated[UtcText, Field(alias="createdAt")]
    user: _User | None = None
    option: _Option | None = None
    option_id: Annotated[str | None, Field(alias="optionId")] = None


class _Question(Payload):
    title: str
    kind: Annotated[str, Field(alias="type")]
    forecasts: list[Any]
    notes: str | None = None
    created: Annotated[UtcText, Field(alias="createdAt")] = None
    resolves: Annotated[UtcText, Field(alias="resolveBy")] = None
    resolved: bool = False
    resolution: str | None = None
    resolved_at: Annotated[UtcText, Field(alias="resolvedAt")] = None
    options: list[Any] | None = None


class Fatebook:
    """The adapter. A few questions one by one; more by the page."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting="fatebook",
        base_url="https://fatebook.io/api",
        hosts=("fatebook.io",),
        pace_s=1.0,
        period_hours=6.0,
        platforms=(NAME,),
        credit="Fatebook (fatebook.io)",
        licence="forecasts belong to those who made them; keep private ones private",
        secret="fatebook_key",  # noqa: S106 - the name of the setting, not the secret
        secret_param="apiKey",  # noqa: S106
        secret_required=True,
        unsettled=("open",),
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Every question by itself, or the list of all; histories come along either way."""
        ids = dict.fromkeys(link.external_id for link in links if link.platform == NAME)
        why = "is no Fatebook question id (what follows -- in its address)"
        skipped = {question: why for question in ids if _ID.fullmatch(question) is None}
        asked = [question for question in ids if question not in skipped]
        return Plan((_page(asked, 0),) if len(asked) > FEW else tuple(map(_request, asked)), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """One question, or a page of them. 401 is a refusal (of the key, or of the question); 404 of one
        question is its state ``gone``."""
        if raw.status in FORBIDDEN:
            return denied(raw)
        found = Gathering(raw)
        if urlsplit(raw.url).path.endswith("/" + LIST):
            _read_page(found)
        elif len(refs(raw)) == 1:
            _read_one(found)
        else:
            raise ParseError(NAME, raw.ref, "", "was asked for under no question id")
        return found.parsed(nothing_is_an_error=True)


def _request(question: str) -> Request:
    return Request(NAME, question, ONE, (("questionId", question),), private=True, accept_missing=True)


def _page(questions: Sequence[str], start: int) -> Request:
    params = (("limit", str(PER_PAGE)), ("cursor", str(start)))
    return Request(NAME, ",".join(questions), LIST, params, private=True, accept_missing=True)


def _read_one(found: Gathering) -> None:
    if found.raw.status in MISSING:
        found.add(_now(found, found.raw.ref, YES, ValueState.GONE))
        return
    require_ok(found.raw)
    question, faults = read_part(_Question, read_object(found.raw), found.raw.ref, "")
    found.faults.extend(faults)
    if question is not None:
        _question(found, found.raw.ref, question, "")


def _read_page(found: Gathering) -> None:
    """The asked questions on one page of the list. The rest may be on the next, which is asked for while the
    list goes on and many are missing; then one by one."""
    asked, rows = refs(found.raw), list[Any]()
    if found.raw.status not in MISSING:
        require_ok(found.raw)
        rows = rows_of(found.raw, read_object(found.raw), "items")
    seen = set[str]()
    for number, value in enumerate(rows):
        name, at = value.get("id") if isinstance(value, dict) else None, join("items", number)
        if not isinstance(name, str):
            found.fault(found.raw.ref, join(at, "id"), "is missing or no text")
        elif name in asked:
            seen.add(name)
            question, faults = read_part(_Question, value, name, at)
            found.faults.extend(faults)
            if question is not None:
                _question(found, name, question, at)
    missing = [name for name in asked if name not in seen]
    start = re.fullmatch(r"[0-9]{1,6}", dict(parse_qsl(urlsplit(found.raw.url).query)).get("cursor", ""))
    following = (int(start[0]) if start else 0) + PER_PAGE
    if len(missing) > FEW and len(rows) >= PER_PAGE and following < PAGES * PER_PAGE:
        found.follow.append(_page(missing, following))
    else:
        found.follow.extend(_request(name) for name in missing)


def _question(found: Gathering, name: str, question: _Question, at: str) -> None:
    found.add(_info(found, name, question))
    if question.kind not in (BINARY, MULTIPLE_CHOICE):
        found.note(f"{name}: type {plain(question.kind, 40)}: no forecast of an event that we know")
        return
    options = _options(found, name, question, at)
    told: dict[str, list[_Forecast]] = {outcome: [] for outcome in options}
    for outcome, forecast in _forecasts(found, name, question, options, at):
        told.setdefault(outcome, []).append(forecast)
    for outcome, forecasts in (told or {YES: []}).items():
        _means(found, name, outcome, forecasts, over=question.resolved)
    if question.kind == MULTIPLE_CHOICE:
        _resolve_options(found, name, question, options, list(told))
    elif question.resolved:
        _resolve(found, name, YES, question.resolution, question.resolved_at)


def _info(found: Gathering, name: str, question: _Question) -> QuestionInfo:
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=name,
        fetched_at=found.at,
        title=plain(question.title),
        url=f"https://fatebook.io/q/--{name}" if _ID.fullmatch(name) else "",
        question_type=plain(question.kind, 40).lower(),
        status="resolved" if question.resolved else "open",
        opens_at=question.created,
        closes_at=question.resolves,  # forecasts are taken until it is resolved: no other time ends them
        resolves_by=question.resolves,
        criteria_sha256=criteria_digest(question.notes),
        payload_sha256=found.digest,
    )


def _options(found: Gathering, name: str, question: _Question, at: str) -> dict[str, _Option]:
    """The options by outcome, if the answer lists them (``getQuestion`` did not in 2025-12)."""
    options: dict[str, _Option] = {}
    for number, value in enumerate(question.options or () if question.kind == MULTIPLE_CHOICE else ()):
        option, faults = read_part(_Option, value, name, join(at, "options", number))
        found.faults.extend(faults)
        if option is not None and option.outcome:
            options.setdefault(option.outcome, option)
    return options


def _forecasts(
    found: Gathering, name: str, question: _Question, options: Mapping[str, _Option], place: str
) -> Iterator[tuple[str, _Forecast]]:
    """Every readable forecast that is shown to us, with its outcome; none from after the fetch."""
    by_id = {option.id: option for option in options.values() if option.id is not None}
    for number, value in enumerate(question.forecasts):
        at = join(place, "forecasts", number)
        forecast, faults = read_part(_Forecast, value, name, at)
        found.faults.extend(faults)
        if forecast is None or faults or forecast.p is None:
            continue
        option = forecast.option or by_id.get(forecast.option_id or "")
        if forecast.user is None or forecast.made is None:
            found.fault(name, at, "a forecast needs its user and its time")
        elif (option is None) != (question.kind == BINARY):
            found.fault(name, join(at, "option"), f"does not go with type {question.kind}")
        elif forecast.made > found.at:
            found.note(f"{name}: forecasts from after the fetch are left out: the clocks differ")
        else:
            yield (YES if option is None else option.outcome or "?"), forecast


# --- values ---------------------------------------------------------------------------------------------


def _means(found: Gathering, name: str, outcome: str, forecasts: Sequence[_Forecast], *, over: bool) -> None:
    """The mean of everybody's latest forecast, after each forecast and (unless it is all over) now."""
    latest: dict[str, float] = {}
    ordered = sorted(forecasts, key=lambda one: (one.made, one.user and one.user.id, one.p))
    for made, together in groupby(ordered, key=lambda one: one.made):
        for forecast in together:
            assert forecast.user is not None
            assert forecast.p is not None
            latest[forecast.user.id] = forecast.p
        found.add(_now(found, name, outcome, latest=latest, made=made))
    if not over:
        state = ValueState.OK if latest else ValueState.NO_FORECAST
        found.add(_now(found, name, outcome, state, latest=latest))


def _now(
    found: Gathering,
    name: str,
    outcome: str,
    state: ValueState = ValueState.OK,
    *,
    latest: dict[str, float] | None = None,
    made: datetime | None = None,
) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, name, outcome, Quantity.TEAM_MEAN),
        as_of=made or found.at,
        fetched_at=found.at,
        state=state,
        probability=math.fsum(latest.values()) / len(latest) if latest else None,
        timed_by_source=made is not None,
        forecasters=len(latest) if latest is not None else None,
        payload_sha256=found.digest,
    )


# --- outcomes -------------------------------------------------------------------------------------------


def _resolve(found: Gathering, name: str, outcome: str, word: str | None, at: datetime | None) -> None:
    """YES, NO or AMBIGUOUS. No forecast is looked at."""
    state, value = STATES.get(word or "", (None, None))
    if state is None:
        found.fault(name, "resolution", f"{plain(word or 'nothing', 40)!r} is no outcome we know")
        return
    found.add(
        Resolution(
            source=NAME,
            platform=NAME,
            external_id=name,
            outcome=outcome,
            state=state,
            fetched_at=found.at,
            resolved_at=at,
            value=value,
            text=plain(word or "", 60),
            payload_sha256=found.digest,
        )
    )


def _resolve_options(
    found: Gathering,
    name: str,
    question: _Question,
    options: Mapping[str, _Option],
    outcomes: Sequence[str],
) -> None:
    """An option's own word first. The question's is kept as YES (one of the options) or NO (none of them).

    Which option it was is not told by YES alone: then no outcome is given, and a note says so.
    """
    word, at = question.resolution, question.resolved_at
    for outcome in outcomes:
        own = options.get(outcome)
        if own is not None and own.resolution is not None:
            _resolve(found, name, outcome, own.resolution, own.resolved or at)
        elif not question.resolved:
            continue
        elif word in outcomes and word not in STATES:
            _resolve(found, name, outcome, "YES" if outcome == word else "NO", at)
        elif word == "YES":
            found.note(f"{name}: resolved to one of its options; the answer does not say which")
        else:
            _resolve(found, name, outcome, "NO" if word == "OTHER" else word, at)


__all__ = ["Fatebook"]

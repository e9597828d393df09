"""Fatebook: a team's own predictions, averaged here, with their history.

The platform gives every forecast and no aggregate by its API. Ours is ``team_mean``: the plain mean of each
person's latest forecast, and ``forecasters`` says of how many people. (The site's own "community forecast"
is another number: the geometric mean of their odds.) Streams: outcome ``yes`` of a yes-or-no question, the
option's text of a multiple choice. Each forecast makes a point at its own time; the mean as it is now stands
at the time of the fetch, so that a forecast somebody takes back does not stay the newest word. Forecasts that
are hidden from the key's owner are not in the answer and not in the mean.

The key is a query parameter (``SourceTraits.secret_param``). Answers name people: they stay in your database.
Source of the shapes: Sage-Future/fatebook @3eb5379 (2025-12), pages/api/v0/getQuestion.ts, prisma/schema.prisma,
lib/interactive_handlers/resolve.ts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

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
from tracker.payload import (
    FORBIDDEN,
    MISSING,
    Gathering,
    Payload,
    Probability,
    UtcText,
    denied,
    join,
    plain,
    read_object,
    read_part,
    refs,
    require_ok,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME, YES = "fatebook", "yes"
PATH = "v0/getQuestion"
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


class _Question(Payload):
    title: str
    kind: Annotated[str, Field(alias="type")]
    forecasts: list[Any]
    created: Annotated[UtcText, Field(alias="createdAt")] = None
    resolves: Annotated[UtcText, Field(alias="resolveBy")] = None
    resolved: bool = False
    resolution: str | None = None
    resolved_at: Annotated[UtcText, Field(alias="resolvedAt")] = None
    options: list[Any] | None = None


class Fatebook:
    """The adapter. One call per question: a list has raw rows and leaves the resolved ones out."""

    parser_version = "1"
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
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Every question by itself; its history comes along."""
        ids = dict.fromkeys(link.external_id for link in links if link.platform == NAME)
        why = "is no Fatebook question id (what follows -- in its address)"
        skipped = {question: why for question in ids if _ID.fullmatch(question) is None}
        return Plan(tuple(_request(question) for question in ids if question not in skipped), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """One question. 401 is a refusal (of the key, or of the question); 404 is its state ``gone``."""
        if raw.status in FORBIDDEN:
            return denied(raw)
        found = Gathering(raw)
        if raw.status in MISSING and len(refs(raw)) == 1:
            found.add(_now(found, YES, ValueState.GONE))
            return found.parsed()
        require_ok(raw)
        question, faults = read_part(_Question, read_object(raw), raw.ref, "")
        found.faults.extend(faults)
        if question is not None and len(refs(raw)) == 1:
            _question(found, question)
        return found.parsed(nothing_is_an_error=True)


def _request(question: str) -> Request:
    return Request(NAME, question, PATH, (("questionId", question),), private=True, accept_missing=True)


def _question(found: Gathering, question: _Question) -> None:
    found.add(_info(found, question))
    if question.kind not in (BINARY, MULTIPLE_CHOICE):
        found.note(f"{found.raw.ref}: type {plain(question.kind, 40)}: no forecast of an event that we know")
        return
    options = _options(found, question)
    told: dict[str, list[_Forecast]] = {option: [] for option in options}
    for outcome, forecast in _forecasts(found, question):
        told.setdefault(outcome, []).append(forecast)
    for outcome, forecasts in (told or {YES: []}).items():
        _means(found, outcome, forecasts, over=question.resolved)
    if question.kind == MULTIPLE_CHOICE:
        _resolve_options(found, question, options, list(told))
    elif question.resolved:
        _resolve(found, YES, question.resolution, question.resolved_at)


def _info(found: Gathering, question: _Question) -> QuestionInfo:
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=found.raw.ref,
        fetched_at=found.at,
        title=plain(question.title),
        url=f"https://fatebook.io/q/--{found.raw.ref}" if _ID.fullmatch(found.raw.ref) else "",
        question_type=plain(question.kind, 40).lower(),
        status="resolved" if question.resolved else "open",
        opens_at=question.created,
        closes_at=question.resolves,  # forecasts are taken until it is resolved: no other time ends them
        resolves_by=question.resolves,
        payload_sha256=found.digest,
    )


def _options(found: Gathering, question: _Question) -> dict[str, _Option]:
    """The options by outcome, if the answer lists them (``getQuestion`` did not in 2025-12)."""
    options: dict[str, _Option] = {}
    for number, value in enumerate(question.options or () if question.kind == MULTIPLE_CHOICE else ()):
        option, faults = read_part(_Option, value, found.raw.ref, join("options", number))
        found.faults.extend(faults)
        if option is not None and option.outcome:
            options.setdefault(option.outcome, option)
    return options


def _forecasts(found: Gathering, question: _Question) -> Iterator[tuple[str, _Forecast]]:
    """Every readable forecast that is shown to us, with its outcome; none from after the fetch."""
    for number, value in enumerate(question.forecasts):
        at = join("forecasts", number)
        forecast, faults = read_part(_Forecast, value, found.raw.ref, at)
        found.faults.extend(faults)
        if forecast is None or faults or forecast.p is None:
            continue
        if forecast.user is None or forecast.made is None:
            found.fault(found.raw.ref, at, "a forecast needs its user and its time")
        elif (forecast.option is None) != (question.kind == BINARY):
            found.fault(found.raw.ref, join(at, "option"), f"does not go with type {question.kind}")
        elif forecast.made > found.at:
            found.note(f"{found.raw.ref}: forecasts from after the fetch are left out: the clocks differ")
        else:
            yield (YES if forecast.option is None else forecast.option.outcome or "?"), forecast


# --- values ---------------------------------------------------------------------------------------------


def _means(found: Gathering, outcome: str, forecasts: Sequence[_Forecast], *, over: bool) -> None:
    """The mean of everybody's latest forecast, after each forecast and (unless it is all over) now."""
    latest: dict[str, float] = {}
    ordered = sorted(forecasts, key=lambda one: (one.made, one.user and one.user.id, one.p))
    for made, together in groupby(ordered, key=lambda one: one.made):
        for forecast in together:
            assert forecast.user is not None
            assert forecast.p is not None
            latest[forecast.user.id] = forecast.p
        found.add(_now(found, outcome, latest=latest, made=made))
    if not over:
        found.add(_now(found, outcome, ValueState.OK if latest else ValueState.NO_FORECAST, latest=latest))


def _now(
    found: Gathering,
    outcome: str,
    state: ValueState = ValueState.OK,
    *,
    latest: dict[str, float] | None = None,
    made: datetime | None = None,
) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, found.raw.ref, outcome, Quantity.TEAM_MEAN),
        as_of=made or found.at,
        fetched_at=found.at,
        state=state,
        probability=math.fsum(latest.values()) / len(latest) if latest else None,
        timed_by_source=made is not None,
        forecasters=len(latest) if latest is not None else None,
        payload_sha256=found.digest,
    )


# --- outcomes -------------------------------------------------------------------------------------------


def _resolve(found: Gathering, outcome: str, word: str | None, at: datetime | None) -> None:
    """YES, NO or AMBIGUOUS. No forecast is looked at."""
    state, value = STATES.get(word or "", (None, None))
    if state is None:
        found.fault(found.raw.ref, "resolution", f"{plain(word or 'nothing', 40)!r} is no outcome we know")
        return
    found.add(
        Resolution(
            source=NAME,
            platform=NAME,
            external_id=found.raw.ref,
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
    found: Gathering, question: _Question, options: dict[str, _Option], outcomes: Sequence[str]
) -> None:
    """An option's own word first. The question's is kept as YES (one of the options) or NO (none of them).

    Which option it was is not told by YES alone: then no outcome is given, and a note says so.
    """
    word, at = question.resolution, question.resolved_at
    for outcome in outcomes:
        own = options.get(outcome)
        if own is not None and own.resolution is not None:
            _resolve(found, outcome, own.resolution, own.resolved or at)
        elif not question.resolved:
            continue
        elif word in outcomes and word not in STATES:
            _resolve(found, outcome, "YES" if outcome == word else "NO", at)
        elif word == "YES":
            found.note(f"{found.raw.ref}: resolved to one of its options; the answer does not say which")
        else:
            _resolve(found, outcome, "NO" if word == "OTHER" else word, at)


__all__ = ["Fatebook"]

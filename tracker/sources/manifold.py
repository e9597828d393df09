"""Manifold: play-money prices. Many prices in one call, one market at a time for everything else.

Streams: outcome ``yes`` of a binary market, the answer's id of a market with answers, ``value`` of a
pseudo-numeric market (real units). A market's price stays where it was when the market resolves, and an
answer's becomes exactly 1 or 0; neither is ever read as a forecast or as an outcome: outcomes come from
``resolution`` alone. Source of the shapes: manifoldmarkets/manifold, docs/docs/api.md and
backend/api/src/get-market-probs.ts (2026-08).
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

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
    Amount,
    Count,
    Gathering,
    Payload,
    Probability,
    UtcMillis,
    denied,
    https_url,
    join,
    plain,
    read_object,
    read_part,
    refs,
    require_ok,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "manifold"
YES, VALUE = "yes", "value"
#: The API allows 100 ids, but its query parser (qs, since 6.14.1) may turn a list of more than 20 repeated
#: parameters into an object, which the API then refuses.
IDS_PER_CALL = 20
REREAD_DAYS = 7
PROBS_PATH, MARKET_PATH = "v0/market-probs", "v0/market/"

PRICED = ("BINARY", "PSEUDO_NUMERIC")
ANSWERED = ("MULTIPLE_CHOICE", "MULTI_NUMERIC", "DATE", "NUMBER")
UNPRICED = ("STONK", "POLL", "BOUNTIED_QUESTION", "PERP", "FREE_RESPONSE", "NUMERIC", "QUADRATIC_FUNDING")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Answer(Payload):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    probability: Probability | None = None
    resolution: str | None = None
    resolution_time: Annotated[UtcMillis, Field(alias="resolutionTime")] = None
    resolution_probability: Annotated[Probability | None, Field(alias="resolutionProbability")] = None
    volume: Amount = None
    liquidity: Annotated[Amount, Field(alias="totalLiquidity")] = None


class _Market(Payload):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    kind: Annotated[str, Field(alias="outcomeType")]
    title: Annotated[str, Field(alias="question")] = ""
    url: str | None = None
    created: Annotated[UtcMillis, Field(alias="createdTime")] = None
    closes: Annotated[UtcMillis, Field(alias="closeTime")] = None
    probability: Probability | None = None
    value: float | None = None
    low: Annotated[float | None, Field(alias="min")] = None
    high: Annotated[float | None, Field(alias="max")] = None
    log: Annotated[bool | None, Field(alias="isLogScale")] = None
    answers: list[Any] | None = None
    bettors: Annotated[Count, Field(alias="uniqueBettorCount")] = None
    volume: Amount = None
    liquidity: Annotated[Amount, Field(alias="totalLiquidity")] = None
    resolved: Annotated[bool, Field(alias="isResolved")] = False
    resolution: str | None = None
    resolution_time: Annotated[UtcMillis, Field(alias="resolutionTime")] = None
    resolution_probability: Annotated[Probability | None, Field(alias="resolutionProbability")] = None


class _Prices(Payload):
    prob: Probability | None = None
    answers: Annotated[dict[str, Any] | None, Field(alias="answerProbs")] = None


class Manifold:
    """The adapter. Prices of all linked markets at every poll; each whole market once a week."""

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting="manifold",
        base_url="https://api.manifold.markets",
        hosts=("api.manifold.markets",),
        pace_s=0.25,
        period_hours=1.0,
        platforms=(NAME,),
        credit="Manifold (manifold.markets)",
        licence="Manifold terms of service; non-commercial use, collected through the API",
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Prices in bulk, and whole markets for a first sight, a weekly turn, or a numeric value.

        With ``since`` every market is asked for whole. Otherwise a seventh of them is, by the day and
        the id: title, quality and resolution are read again weekly. A link whose outcome is ``value`` is
        always asked for whole: the bulk answer holds the bare price of a numeric market.
        """
        asked: dict[str, bool] = {}
        skipped: dict[str, str] = {}
        for link in links:
            if link.platform != NAME:
                continue
            if _ID.fullmatch(link.external_id) is None:
                skipped[link.external_id] = "is no Manifold market id (letters, digits, _ and -)"
                continue
            asked[link.external_id] = asked.get(link.external_id, False) or link.outcome == VALUE
        bulk = [market for market, numeric in asked.items() if not numeric]
        whole = [
            market for market, numeric in asked.items() if numeric or since is not None or _turn(market, now)
        ]
        return Plan((*_bulk(bulk), *(_whole(market) for market in whole)), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """Bulk prices, or one market. A 404 for one market is its state ``gone``."""
        if raw.status in FORBIDDEN:
            return denied(raw)
        found = Gathering(raw)
        if raw.status in MISSING and PROBS_PATH not in raw.url and len(refs(raw)) == 1:
            found.add(_snapshot(found, raw.ref, YES, state=ValueState.GONE))
            return found.parsed()
        require_ok(raw)
        body = read_object(raw)
        if "outcomeType" in body or "question" in body:
            _market(found, body)
        else:
            _prices(found, body)
        return found.parsed(nothing_is_an_error=True)


def _turn(market: str, now: datetime) -> bool:
    return zlib.crc32(market.encode()) % REREAD_DAYS == now.toordinal() % REREAD_DAYS


def _whole(market: str) -> Request:
    return Request(NAME, market, MARKET_PATH + market, accept_missing=True)


def _bulk(markets: Sequence[str]) -> Iterable[Request]:
    """One call per twenty ids. A single id is named twice: alone it would not be read as a list."""
    for start in range(0, len(markets), IDS_PER_CALL):
        ids = markets[start : start + IDS_PER_CALL]
        params = tuple(("ids", market) for market in (ids if len(ids) > 1 else [*ids, *ids]))
        yield Request(NAME, ",".join(ids), PROBS_PATH, params)


# --- bulk prices ----------------------------------------------------------------------------------------


def _prices(found: Gathering, body: dict[str, Any]) -> None:
    """``{market: {prob} | {answerProbs: {answer: p}}}``; markets it does not know are left out of it."""
    for market, entry in body.items():
        if _ID.fullmatch(market) is None:
            found.fault(found.raw.ref, join("", market), "is no market id")
            continue
        part, faults = read_part(_Prices, entry, market, market)
        found.faults.extend(faults)
        if part is None or faults:
            continue
        if part.prob is None and part.answers is None:
            found.fault(market, market, "has neither prob nor answerProbs")
        if part.prob is not None:
            found.add(_snapshot(found, market, YES, part.prob))
        for answer, price in (part.answers or {}).items():
            _answer_price(found, market, answer, price)
    for market in refs(found.raw):
        if market not in body and _ID.fullmatch(market):
            found.follow.append(_whole(market))


def _answer_price(found: Gathering, market: str, answer: str, price: object) -> None:
    """A price of exactly 0 or 1 cannot be traded: the answer is resolved, and this is no forecast."""
    at = join(market, "answerProbs", answer)
    part, faults = read_part(_Prices, {"prob": price}, market, at)
    if _ID.fullmatch(answer) is None or part is None or part.prob is None or faults:
        found.fault(market, at, "should be a number from 0 to 1 under an answer's id")
    elif part.prob not in (0.0, 1.0):
        found.add(_snapshot(found, market, answer, part.prob))


# --- one market -----------------------------------------------------------------------------------------


def _market(found: Gathering, body: dict[str, Any]) -> None:
    market, faults = read_part(_Market, body, found.raw.ref, "")
    found.faults.extend(faults)
    if market is None:
        return
    if _ID.fullmatch(market.id) is None:
        found.fault(found.raw.ref, "id", "is no market id")
        return
    found.add(_info(found, market))
    if market.kind == "BINARY":
        _binary(found, market)
    elif market.kind == "PSEUDO_NUMERIC":
        _pseudo_numeric(found, market)
    elif market.kind in ANSWERED:
        _answers(found, market)
    else:
        why = "no forecast of an event" if market.kind in UNPRICED else "a type we do not know"
        found.note(f"{market.id}: outcomeType {plain(market.kind, 40)}: {why}")


def _info(found: Gathering, market: _Market) -> QuestionInfo:
    closed = market.closes is not None and market.closes <= found.at
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=market.id,
        fetched_at=found.at,
        title=plain(market.title),
        url=https_url(market.url),
        question_type=plain(market.kind, 40).lower(),
        status="resolved" if market.resolved else "closed" if closed else "open",
        opens_at=market.created,
        closes_at=market.closes,
        payload_sha256=found.digest,
    )


def _binary(found: Gathering, market: _Market) -> None:
    if market.resolved:
        _resolve(found, market, YES, market.resolution, market.resolution_probability, market.resolution_time)
    elif market.probability is None:
        found.fault(market.id, "probability", "is missing")
    else:
        found.add(_quality(found, market, YES, probability=market.probability))


def _pseudo_numeric(found: Gathering, market: _Market) -> None:
    if market.resolved:
        _resolve_value(found, market)
        return
    value = market.value if market.value is not None else _mapped(market, market.probability)
    if value is None:
        found.fault(market.id, "value", "is missing")
    else:
        found.add(_quality(found, market, VALUE, value=value))


def _mapped(market: _Market, p: float | None) -> float | None:
    """The real value at price p: linear, or on a scale of log10(x - min + 1) (Manifold's own mapping)."""
    if p is None or market.low is None or market.high is None or market.high <= market.low:
        return None
    width = market.high - market.low
    value = market.low + (float((width + 1) ** p) - 1 if market.log else width * p)
    return value if math.isfinite(value) else None


def _answers(found: Gathering, market: _Market) -> None:
    if not market.answers:
        found.fault(market.id, "answers", "a market of this type needs answers")
        return
    for number, entry in enumerate(market.answers):
        at = join("answers", number)
        answer, faults = read_part(_Answer, entry, market.id, at)
        found.faults.extend(faults)
        if answer is None:
            continue
        if _ID.fullmatch(answer.id) is None:
            found.fault(market.id, join(at, "id"), "is no answer id")
        elif answer.resolution is not None or market.resolved:
            _resolve_answer(found, market, answer)
        elif answer.probability is None:
            found.fault(market.id, join(at, "probability"), "is missing")
        else:
            found.add(_quality(found, market, answer.id, probability=answer.probability, answer=answer))


# --- outcomes -------------------------------------------------------------------------------------------


def _resolve_answer(found: Gathering, market: _Market, answer: _Answer) -> None:
    """An answer's own word first; else what the market's word means for it."""
    at = answer.resolution_time or market.resolution_time
    fraction = answer.resolution_probability
    word = answer.resolution
    if word is None:
        word = market.resolution
        ids = {entry.get("id") for entry in market.answers or () if isinstance(entry, dict)}
        if word in ids:
            word = "YES" if word == answer.id else "NO"
        elif word == "CHOOSE_MULTIPLE":
            word = "MKT"
        if word == "MKT" and fraction is None:
            fraction = answer.probability  # a resolved answer's probability is what it pays
    _resolve(found, market, answer.id, word, fraction, at)


def _resolve(
    found: Gathering,
    market: _Market,
    outcome: str,
    word: str | None,
    fraction: float | None,
    at: datetime | None,
) -> None:
    """YES, NO, MKT (pays a fraction) or CANCEL. The price is never looked at."""
    states = {
        "YES": (OutcomeState.YES, 1.0),
        "NO": (OutcomeState.NO, 0.0),
        "CANCEL": (OutcomeState.VOID, None),
        "MKT": (OutcomeState.FRACTION, fraction),
    }
    state, value = states.get(word or "", (None, None))
    if state is None:
        found.fault(market.id, "resolution", f"{plain(word or 'nothing', 40)!r} is no outcome we know")
    elif state is OutcomeState.FRACTION and value is None:
        found.fault(market.id, "resolutionProbability", "is missing, and the market pays a fraction")
    else:
        found.add(_resolution(found, market, outcome, state, value, word or "", at))


def _resolve_value(found: Gathering, market: _Market) -> None:
    """A pseudo-numeric market resolves MKT at the price of its value (YES and NO are the two ends)."""
    word, at = market.resolution, market.resolution_time
    if word == "CANCEL":
        found.add(_resolution(found, market, VALUE, OutcomeState.VOID, None, word, at))
        return
    price = {"YES": 1.0, "NO": 0.0, "MKT": market.resolution_probability}.get(word or "")
    value = _mapped(market, price)
    if value is None:
        found.fault(market.id, "resolution", "no value can be told from it")
        return
    found.add(_resolution(found, market, VALUE, OutcomeState.VALUE, value, word or "", at))


def _resolution(
    found: Gathering,
    market: _Market,
    outcome: str,
    state: OutcomeState,
    value: float | None,
    word: str,
    at: datetime | None,
) -> Resolution:
    return Resolution(
        source=NAME,
        platform=NAME,
        external_id=market.id,
        outcome=outcome,
        state=state,
        fetched_at=found.at,
        resolved_at=at,
        value=value,
        text=plain(word, 60),
        payload_sha256=found.digest,
    )


# --- values ---------------------------------------------------------------------------------------------


def _snapshot(
    found: Gathering,
    market: str,
    outcome: str,
    probability: float | None = None,
    state: ValueState = ValueState.OK,
) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, market, outcome, Quantity.PLAY_MONEY_PRICE),
        as_of=found.at,
        fetched_at=found.at,
        state=state,
        probability=probability,
        payload_sha256=found.digest,
    )


def _quality(
    found: Gathering,
    market: _Market,
    outcome: str,
    *,
    probability: float | None = None,
    value: float | None = None,
    answer: _Answer | None = None,
) -> Snapshot:
    """A value with what tells a thick market from a thin one; an answer has its own volume and pool."""
    pool: _Market | _Answer = market if answer is None else answer
    return Snapshot(
        key=StreamKey(NAME, NAME, market.id, outcome, Quantity.PLAY_MONEY_PRICE),
        as_of=found.at,
        fetched_at=found.at,
        probability=probability,
        value=value,
        forecasters=market.bettors,
        volume=pool.volume,
        liquidity=pool.liquidity,
        payload_sha256=found.digest,
    )


__all__ = ["Manifold"]

"""Polymarket: real-money prices. Gamma lists markets, the Data API has histories and outcomes, CLOB is the fallback.

A link names a market by its condition id; its one stream is ``yes``. The present value is the middle of bid
and ask, or the last trade where there is no narrow quote. Histories are kept as middles: neither API says what its
points are, but of 13,632 daily values that ForecastBench took from CLOB the commonest is 0.0005, half the finest
tick, which no trade can have. An outcome is read from payouts (or, failing those, from who may redeem), never
from a price; half and half is what it is, a fraction.

Source of the shapes: polymarket-client 0.14.0 (the official Python client), py-clob-client #216 and #334 (2026-11).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

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
from questions.time import EPOCH, parse_utc, to_micros
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import (
    FORBIDDEN,
    MISSING,
    DecimalAmount,
    DecimalProbability,
    Gathering,
    Payload,
    UtcText,
    columns,
    criteria_digest,
    denied,
    from_seconds,
    join,
    plain,
    read_object,
    read_part,
    refs,
    require_ok,
    rows_of,
)
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "polymarket"
YES = "yes"
CLOB, DATA = "polymarket_clob", "polymarket_data"

LISTING, HISTORY, CLOB_HISTORY = "markets/keyset", "v2/prices-history", "prices-history"
RESOLUTIONS, CLOB_MARKET = "v2/resolutions", "markets/"

#: The API allows 100. Fifty keep the address near 4 kB; many servers refuse one of more than 8 kB.
IDS_PER_CALL = 50
LIMIT = 100
RESOLUTIONS_PER_CALL = 20
WINNERS_PER_CALL = 5  # of markets that an answer with outcomes leaves out: CLOB tells one a call
WIDEST = Decimal("0.10")  # above this spread the platform itself shows the last trade instead of the middle
DOLLAR = 1_000_000  # payouts are in millionths

#: Steps of half a day are the finest that are kept for good, and the finest CLOB has for resolved markets. One
#: step for everything: the same instant is never told twice in different ways.
STEP_S = 43_200
LONGEST_WINDOW = timedelta(days=15)
POINTS = 10_000
PAGES = 20  # of one history: a life of 270 years in steps of half a day

ORACLE = ("", "requested", "proposed", "disputed", "resolved", "settled")
DISPUTE = ("challenged", "reproposed", "disputed", "arbitration")
PENDING = ("initialized", "posed", "proposed", "active", *DISPUTE)

_CONDITION = re.compile(r"0x(?:[0-9a-f]{64}|[0-9a-f]{62})")
_TOKEN = re.compile(r"[0-9]{1,78}")
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SINCE = re.compile(r"since=(-?[0-9]{1,11})")
_PAGE = re.compile(r"page=([0-9]{1,4})")
_ONE_MARKET = re.compile(r"/markets/0x[0-9a-f]{62,64}")

_TEXTS = TypeAdapter(list[str])


def _listed(value: object) -> object:
    """A list that came as JSON inside a text."""
    if not isinstance(value, str):
        return value
    try:
        return _TEXTS.validate_json(value)
    except ValidationError:
        raise ValueError("is no JSON list of texts") from None


def _stamp(value: object) -> object:
    """Seconds since 1970, as a number or as text, or an ISO 8601 time."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,11}", value):
        return from_seconds(int(value))
    if isinstance(value, str):
        try:
            return parse_utc(value)
        except ValueError:
            raise ValueError("is no time") from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_seconds(value)
    return value


_Texts = Annotated[list[str] | None, BeforeValidator(_listed)]
_Stamp = Annotated[datetime, BeforeValidator(_stamp)]


class _Market(Payload):
    title: Annotated[str | None, Field(alias="question")] = None
    slug: str | None = None
    criteria: Annotated[str | None, Field(alias="description")] = None
    events: list[Any] | None = None
    opens: Annotated[UtcText, Field(alias="startDate")] = None
    closes: Annotated[UtcText, Field(alias="endDate")] = None
    active: bool | None = None
    closed: bool | None = None
    accepting: Annotated[bool | None, Field(alias="acceptingOrders")] = None
    oracle: Annotated[str | None, Field(alias="umaResolutionStatus")] = None
    newer_oracle: Annotated[str | None, Field(alias="resolutionStatus")] = None
    outcomes: _Texts = None
    tokens: Annotated[_Texts, Field(alias="clobTokenIds")] = None
    positions: Annotated[_Texts, Field(alias="positionIds")] = None
    bid: Annotated[DecimalProbability | None, Field(alias="bestBid")] = None
    ask: Annotated[DecimalProbability | None, Field(alias="bestAsk")] = None
    last: Annotated[DecimalProbability | None, Field(alias="lastTradePrice")] = None
    volume: Annotated[DecimalAmount | None, Field(alias="volumeNum")] = None
    volume_text: Annotated[DecimalAmount | None, Field(alias="volume")] = None
    liquidity: Annotated[DecimalAmount | None, Field(alias="liquidityNum")] = None
    liquidity_text: Annotated[DecimalAmount | None, Field(alias="liquidity")] = None


PRICES = ("bestBid", "bestAsk", "lastTradePrice")


class _Event(Payload):
    slug: str | None = None
    closes: Annotated[UtcText, Field(alias="endDate")] = None


class _DataPoint(Payload):
    at: Annotated[_Stamp, Field(alias="timestamp")]
    price: DecimalProbability
    step_s: Annotated[int, Field(alias="resolution_seconds")]


class _ClobPoint(Payload):
    at: Annotated[_Stamp, Field(alias="t")]
    price: Annotated[DecimalProbability, Field(alias="p")]


_Past = TypeVar("_Past", _DataPoint, _ClobPoint)
_Price = Decimal | float
_CLOB_COLUMNS = {"t": (int,), "p": (int, float)}
_DATA_COLUMNS = {"timestamp": (int,), "price": (int, float), "resolution_seconds": (int,)}


class _Pages(Payload):
    more: Annotated[bool, Field(alias="has_more")] = False
    cursor: Annotated[str | None, Field(alias="next_cursor", max_length=1000)] = None


class _Payout(Payload):
    status: str
    payouts: list[DecimalAmount] | None = None
    resolved: Annotated[_Stamp | None, Field(alias="resolved_at")] = None


class _Token(Payload):
    outcome: str
    winner: bool


class _ClobMarket(Payload):
    closed: bool
    tokens: list[_Token]


class Polymarket:
    """The adapter. All linked markets in bulk at every poll, finished ones among them by a second call."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting="polymarket_gamma",
        base_url="https://gamma-api.polymarket.com",
        hosts=("gamma-api.polymarket.com", "clob.polymarket.com", "data-api.polymarket.com"),
        pace_s=0.2,
        period_hours=1.0,
        platforms=(NAME,),
        credit="Polymarket (polymarket.com)",
        licence="no licence or attribution rule for the data is known; collected through the public API",
        other_bases={CLOB: "https://clob.polymarket.com", DATA: "https://data-api.polymarket.com"},
        unsettled=("open",),
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Listings of fifty markets a call. ``since`` travels in the ref: histories are asked for by token
        id, which only the listing knows."""
        asked: list[str] = []
        skipped: dict[str, str] = {}
        for link in links:
            if link.platform != NAME:
                continue
            if _CONDITION.fullmatch(link.external_id):
                asked.append(link.external_id)
            else:
                skipped[link.external_id] = (
                    "is no Polymarket condition id (0x and 64 or 62 lower-case hex digits)"
                )
        batches = _batches(list(dict.fromkeys(asked)), IDS_PER_CALL)
        return Plan(tuple(_listing(batch, since) for batch in batches), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """A listing, a history, outcomes, or CLOB's market; which one, its address tells."""
        if raw.status in FORBIDDEN:
            return denied(raw, _asked(raw))
        found, path = Gathering(raw), urlsplit(raw.url).path
        if path.endswith("/" + HISTORY):
            _data_history(found)
        elif path.endswith("/" + CLOB_HISTORY):
            _clob_history(found)
        elif path.endswith("/" + RESOLUTIONS):
            _payouts(found)
        elif _ONE_MARKET.search(path):
            _winners(found)
        else:
            _markets(found)
        return found.parsed(nothing_is_an_error=True)


# --- what to ask ----------------------------------------------------------------------------------------


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _listing(ids: Sequence[str], since: datetime | None, *, closed: bool = False) -> Request:
    """Markets by condition id. Finished ones are left out unless asked for, and then only they come."""
    params = (
        ("limit", str(LIMIT)),
        *((("closed", "true"),) if closed else ()),
        *(("condition_ids", one) for one in ids),
    )
    mark = () if since is None else (f"since={int((since - EPOCH).total_seconds())}",)
    return Request(NAME, ",".join((*ids, *mark)), LISTING, params)


def _asked(raw: RawPayload) -> list[str]:
    return [one for one in refs(raw) if _CONDITION.fullmatch(one)]


def _since(raw: RawPayload) -> datetime | None:
    """How far back history is wanted, if it is."""
    mark = _mark(raw, _SINCE)
    return None if mark is None else from_seconds(mark)


def _mark(raw: RawPayload, pattern: re.Pattern[str]) -> int | None:
    """A number that a ref carries besides the ids."""
    marks = (pattern.fullmatch(part) for part in refs(raw))
    return next((int(mark[1]) for mark in marks if mark is not None), None)


def _query(raw: RawPayload) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(raw.url).query))


def _history(condition: str, token: str, since: datetime, now: datetime) -> Request:
    """The whole life, or when that is shorter than 15 days only what came after ``since``."""
    start = int((since - EPOCH).total_seconds()) // STEP_S * STEP_S
    span: tuple[tuple[str, str], ...] = (("interval", "max"),)
    if now - from_seconds(start) <= LONGEST_WINDOW:
        span = (("start", str(start)), ("end", str(int((now - EPOCH).total_seconds()))))
    params = (("token_id", token), *span, ("bucket_seconds", str(STEP_S)), ("limit", str(POINTS)))
    return Request(NAME, condition, HISTORY, params, accept_missing=True, base=DATA)


def _fallback(condition: str, query: Mapping[str, str]) -> Request:
    """The same stretch of the same token's history from CLOB, whose ``market`` is a token id too."""
    span: tuple[tuple[str, str], ...] = (("interval", "max"),)
    if "start" in query:
        span = (("startTs", query["start"]), ("endTs", query.get("end", query["start"])))
    params = (("market", query.get("token_id", "")), *span, ("fidelity", str(STEP_S // 60)))
    return Request(NAME, condition, CLOB_HISTORY, params, accept_missing=True, base=CLOB)


def _outcomes_of(conditions: Sequence[str]) -> Iterator[Request]:
    for batch in _batches(sorted(conditions), RESOLUTIONS_PER_CALL):
        ids = ",".join(_padded(one) for one in batch)
        yield Request(
            NAME, ",".join(batch), RESOLUTIONS, (("condition_id", ids),), accept_missing=True, base=DATA
        )


def _padded(condition: str) -> str:
    """A short id of protocol v2 (31 bytes) as the 32 bytes it stands for."""
    return condition + "00" if len(condition) == 64 and condition.startswith(("0x01", "0x02")) else condition


def _names(raw: RawPayload) -> dict[str, str]:
    """Padded id -> the id it was asked under; so a short id gets its records under its own name."""
    return {_padded(one): one for one in _asked(raw)}


def _named(value: object, key: str, names: Mapping[str, str]) -> str | None:
    """The condition id of a row, under the name it was asked for; None when it has none."""
    text = value.get(key) if isinstance(value, dict) else None
    if not isinstance(text, str) or _CONDITION.fullmatch(text.lower()) is None:
        return None
    return names.get(_padded(text.lower()), text.lower())


# --- listings -------------------------------------------------------------------------------------------


def _markets(found: Gathering) -> None:
    """Open markets, or finished ones. Ids an answer lacks are looked for among the finished; then gone."""
    require_ok(found.raw)
    body = read_object(found.raw)
    rows, names, since = rows_of(found.raw, body, "markets"), _names(found.raw), _since(found.raw)
    finished = _query(found.raw).get("closed") == "true"
    seen, closed = set[str | None](), list[str]()
    for number, value in enumerate(rows):
        at = join("markets", number)
        condition = _named(value, "conditionId", names)
        seen.add(condition)
        if condition is None:
            found.fault(found.raw.ref, join(at, "conditionId"), "is no condition id")
            continue
        market, faults = read_part(_Market, value, condition, at)
        found.faults.extend(faults)
        if market is not None:
            wrong = {re.split(r"[.\[]", fault.field.removeprefix(at + "."))[0] for fault in faults}
            if _market(found, condition, market, wrong, since, finished):
                closed.append(condition)
    found.follow.extend(_outcomes_of(closed))
    missing = [one for one in names.values() if one not in seen]
    if missing and None not in seen:  # a row without an id may be one of them
        _missing(found, missing, since, finished, more=bool(body.get("next_cursor")))


def _missing(
    found: Gathering, missing: Sequence[str], since: datetime | None, finished: bool, *, more: bool
) -> None:
    if more and len(missing) == len(_asked(found.raw)):
        found.fault(found.raw.ref, "next_cursor", "there is a further page, and no market asked for on this")
    elif more or not finished:
        found.follow.append(_listing(missing, since, closed=finished or not more))
    else:
        for condition in missing:
            found.add(_state(found, condition, ValueState.GONE))


def _market(
    found: Gathering,
    condition: str,
    market: _Market,
    wrong: set[str],
    since: datetime | None,
    finished: bool,
) -> bool:
    """Read one market. True when it is closed: then its outcome is to be asked for, and no price counts."""
    closed = finished if market.closed is None else market.closed
    digest = criteria_digest(market.criteria)
    if digest or since is not None:  # an answer without the rules must not wipe out what is known of them
        found.add(_info(found, condition, market, closed, digest))
    if market.oracle not in (None, *ORACLE):
        found.note(f"{condition}: umaResolutionStatus {plain(market.oracle or '', 40)!r} is not known")
    labels = [label.casefold() for label in market.outcomes or ()]
    if labels != ["yes", "no"]:
        if market.outcomes is not None:
            shown = " / ".join(plain(label, 40) for label in market.outcomes[:4])
            found.note(f"{condition}: its outcomes are {shown}, not Yes / No: passed over")
        elif "outcomes" not in wrong:
            found.fault(condition, "outcomes", "is missing")
        return False
    if not closed and not wrong.intersection(PRICES):
        _price(found, condition, market)
    if since is not None:
        token = next(iter(market.tokens or market.positions or ()), "")
        if _TOKEN.fullmatch(token):
            found.follow.append(_history(condition, token, since, found.at))
        elif "clobTokenIds" not in wrong:
            found.note(f"{condition}: has no token yet, so no history")
    return closed


def _status(market: _Market, closed: bool) -> str:
    """``active`` stays true on closed markets; a market that takes no orders is over or in dispute."""
    if closed:
        final = {market.oracle, market.newer_oracle} & {"resolved", "settled"}
        return "resolved" if final else "closed"
    if market.active is None:
        return ""
    if not market.active:
        return "upcoming"
    return "closed" if market.accepting is False else "open"


def _info(
    found: Gathering, condition: str, market: _Market, closed: bool, criteria_sha256: str
) -> QuestionInfo:
    """Titles, and the planned end of trading (the day it resolved is not among these dates)."""
    event, _ = read_part(_Event, next(iter(market.events or ()), {}), condition, "")
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=condition,
        fetched_at=found.at,
        title=plain(market.title or ""),
        url=_address(market, event),
        question_type="binary",
        status=_status(market, closed),
        opens_at=market.opens,
        closes_at=market.closes or (None if event is None else event.closes),
        criteria_sha256=criteria_sha256,
        payload_sha256=found.digest,
    )


def _address(market: _Market, event: _Event | None) -> str:
    for kind, slug in (("event", event.slug if event else None), ("market", market.slug)):
        if slug is not None and _SLUG.fullmatch(slug):
            return f"https://polymarket.com/{kind}/{slug}"
    return ""


def _price(found: Gathering, condition: str, market: _Market) -> None:
    """Nobody can bid 0 or ask 1, nor trade at either: those mean that there is no bid, ask or trade."""
    bid, ask, last = market.bid, market.ask, market.last
    spread = ask - bid if bid is not None and ask is not None and bid > 0 and ask < 1 else None
    if spread is not None and spread < 0:
        found.fault(condition, "bestAsk", "lies below bestBid")
        return
    if bid is not None and ask is not None and spread is not None and spread <= WIDEST:
        quantity, price = Quantity.REAL_MONEY_MID, (bid + ask) / 2
    elif last is not None and 0 < last < 1:
        quantity, price = Quantity.REAL_MONEY_LAST, last
    else:
        found.add(_state(found, condition, ValueState.NO_TRADE))
        return
    found.add(
        Snapshot(
            key=StreamKey(NAME, NAME, condition, YES, quantity),
            as_of=found.at,
            fetched_at=found.at,
            probability=float(price),
            volume=_amount(market.volume, market.volume_text),
            liquidity=_amount(market.liquidity, market.liquidity_text),
            spread=None if spread is None else float(spread),
            payload_sha256=found.digest,
        )
    )


def _amount(number: Decimal | None, text: Decimal | None) -> float | None:
    amount = text if number is None else number
    return None if amount is None else float(amount)


def _state(found: Gathering, condition: str, state: ValueState) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, condition, YES, Quantity.REAL_MONEY_MID),
        as_of=found.at,
        fetched_at=found.at,
        state=state,
        payload_sha256=found.digest,
    )


# --- histories ------------------------------------------------------------------------------------------


def _one(raw: RawPayload) -> str:
    """The condition id a history or a single market was asked for. Raises ParseError when it is not one."""
    asked = _asked(raw)
    if len(asked) != 1:
        raise ParseError(NAME, raw.ref, "", "was asked for under no condition id")
    return asked[0]


def _data_history(found: Gathering) -> None:
    """Points, oldest first; the one without a step is the payout, and what comes after it is no forecast.

    An unknown token, or no points: CLOB is asked instead.
    """
    condition, query = _one(found.raw), _query(found.raw)
    if found.raw.status in MISSING:
        _ask_clob(found, condition, query)
        return
    require_ok(found.raw)
    body = read_object(found.raw)
    rows = rows_of(found.raw, body, "data")
    if not rows:
        _ask_clob(found, condition, query)
        return
    told = _ordinary(found, columns(rows, _DATA_COLUMNS))
    points: list[tuple[int, _Price, int]] = (
        list(zip(*told, strict=True))
        if told is not None
        else [
            (to_micros(p.at), p.price, p.step_s)
            for p in _one_by_one(found, condition, _DataPoint, rows, "data")
        ]
    )
    paid = min((at for at, _, step_s in points if step_s <= 0), default=math.inf)
    _add_points(found, condition, [(at, price) for at, price, _ in points if at < paid])
    _next_page(found, condition, query, body.get("pagination"))


def _ask_clob(found: Gathering, condition: str, query: Mapping[str, str]) -> None:
    if "cursor" in query:
        return  # a last page without points
    found.note(f"{condition}: the Data API has no history; asked CLOB for it")
    found.follow.append(_fallback(condition, query))


def _next_page(found: Gathering, condition: str, query: dict[str, str], value: object) -> None:
    pages, faults = read_part(_Pages, {} if value is None else value, condition, "pagination")
    found.faults.extend(faults)
    if pages is None or not pages.more or not pages.cursor:
        return
    number = (_mark(found.raw, _PAGE) or 1) + 1
    if pages.cursor == query.pop("cursor", None):
        found.fault(condition, "pagination.next_cursor", "leads to this page again")
    elif number > PAGES:
        found.fault(
            condition, "pagination.next_cursor", f"leads on after {PAGES} pages: no history is so long"
        )
    else:
        params, ref = (*query.items(), ("cursor", pages.cursor)), f"{condition},page={number}"
        found.follow.append(Request(NAME, ref, HISTORY, params, accept_missing=True, base=DATA))


def _clob_history(found: Gathering) -> None:
    """``{"history": [{t, p}]}``; nothing when there is no order book for the token."""
    condition = _one(found.raw)
    if found.raw.status in MISSING:
        return
    require_ok(found.raw)
    rows = rows_of(found.raw, read_object(found.raw), "history")
    told = _ordinary(found, columns(rows, _CLOB_COLUMNS))
    points: list[tuple[int, _Price]] = (
        list(zip(*told, strict=True))
        if told is not None
        else [(to_micros(p.at), p.price) for p in _one_by_one(found, condition, _ClobPoint, rows, "history")]
    )
    _add_points(found, condition, points)


def _ordinary(found: Gathering, told: list[list[Any]] | None) -> list[list[Any]] | None:
    """Columns of times (seconds, made microseconds), prices and the rest, if nothing in them is out of range.

    Reads a page of numbers many times as fast as ``_one_by_one``, which reads anything and says what is wrong.
    """
    if told is None or not told[0]:
        return None
    times, prices, *rest = told
    if min(times) < 0 or max(times) > to_micros(found.at) // 1_000_000:
        return None
    if not all(0 <= price <= 1 for price in prices):
        return None
    return [[at * 1_000_000 for at in times], prices, *rest]


def _one_by_one(
    found: Gathering, condition: str, model: type[_Past], rows: Sequence[Any], name: str
) -> Iterator[_Past]:
    for number, value in enumerate(rows):
        point, faults = read_part(model, value, condition, join(name, number))
        found.faults.extend(faults)
        if point is not None:
            yield point


def _add_points(found: Gathering, condition: str, points: Sequence[tuple[int, _Price]]) -> None:
    """Past middles (microseconds, price). Exactly 0 or 1 is a payout and no forecast."""
    now = to_micros(found.at)
    if any(at > now for at, _ in points):
        found.fault(condition, "timestamp", "lies after the answer")
    key = StreamKey(NAME, NAME, condition, YES, Quantity.REAL_MONEY_MID)
    found.add_points(key, ((at, float(price)) for at, price in points if at <= now and 0 < price < 1))


# --- outcomes -------------------------------------------------------------------------------------------


def _payouts(found: Gathering) -> None:
    """What each share pays. Markets it does not know, or knows no payout of, are asked for at CLOB."""
    names = _names(found.raw)
    told: set[str] = set()
    if found.raw.status not in MISSING:
        require_ok(found.raw)
        for number, value in enumerate(rows_of(found.raw, read_object(found.raw), "data")):
            at = join("data", number)
            condition = _named(value, "condition_id", names)
            row, faults = read_part(_Payout, value, condition or found.raw.ref, at)
            found.faults.extend(faults)
            if condition is None:
                found.fault(found.raw.ref, join(at, "condition_id"), "is no condition id")
            elif row is not None and _payout(found, condition, row, at):
                told.add(condition)
    hour = (found.at - EPOCH) // timedelta(hours=1)
    untold = sorted(set(names.values()) - told, key=lambda one: crc32(f"{hour} {one}".encode()))
    for condition in untold[:WINNERS_PER_CALL]:  # the others at a later poll
        path = CLOB_MARKET + condition
        found.follow.append(Request(NAME, condition, path, accept_missing=True, base=CLOB))


def _payout(found: Gathering, condition: str, row: _Payout, at: str) -> bool:
    """Take an outcome in. False when this row cannot tell and another source should be asked."""
    if row.status != "resolved":
        if row.status not in PENDING:
            found.note(f"{condition}: resolution status {plain(row.status, 40)!r} is not known")
        return True
    if row.payouts is None or not any(row.payouts):
        return False
    if len(row.payouts) != 2 or sum(row.payouts) != DOLLAR:
        found.fault(condition, join(at, "payouts"), "should be two that make one dollar")
        return False
    yes, no = row.payouts
    found.add(_resolution(found, condition, float(yes / DOLLAR), f"payouts {yes}, {no}", row.resolved))
    return True


def _winners(found: Gathering) -> None:
    """CLOB's market: both winners is half and half; none means that there is no outcome yet."""
    condition = _one(found.raw)
    if found.raw.status in MISSING:
        return
    require_ok(found.raw)
    market, faults = read_part(_ClobMarket, read_object(found.raw), condition, "")
    found.faults.extend(faults)
    if market is None or not market.closed:
        return
    won = {token.outcome.casefold(): token.winner for token in market.tokens}
    if len(market.tokens) != 2 or set(won) != {"yes", "no"}:
        found.fault(condition, "tokens", "should be Yes and No")
    elif any(won.values()):
        words = " and ".join(token.outcome for token in market.tokens if token.winner)
        value = 0.5 if all(won.values()) else float(won["yes"])
        found.add(_resolution(found, condition, value, f"winner {words}", None))


def _resolution(found: Gathering, condition: str, value: float, text: str, at: datetime | None) -> Resolution:
    known = {1.0: OutcomeState.YES, 0.0: OutcomeState.NO}
    return Resolution(
        source=NAME,
        platform=NAME,
        external_id=condition,
        outcome=YES,
        state=known.get(value, OutcomeState.FRACTION),
        fetched_at=found.at,
        resolved_at=at if at is not None and at <= found.at else None,
        value=value,
        text=plain(text, 60),
        payload_sha256=found.digest,
    )


__all__ = ["Polymarket"]

"""Kalshi: real-money prices in dollars, of contracts that pay one dollar if Yes: the price is the probability.

A link names a market by its ticker; its one stream is ``yes``. The present value is the middle of bid and ask, or the
last trade where there is no narrow quote. History comes as daily candles, which end at midnight US Eastern: their
end is kept as the instant it is. A candle without a trade has no price, which is not a price of zero. Markets
leave the live endpoints some months after they settled; what is not there is asked for among the historical ones.

Source of the shapes: kalshi-typescript 3.30.0 (Kalshi's generated client), forecastbench #253 (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zlib import crc32

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
from questions.time import EPOCH
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
from tracker.schedule import turns
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "kalshi"
YES = "yes"
MARKETS, EVENTS, CANDLES = "markets", "events/", "markets/candlesticks"
OLD_MARKETS = "historical/markets"

TICKERS_PER_CALL = 100
LIMIT = 1000
#: In which every market's title and rules are read again, a few at a poll. Polls so rare that more are due take
#: some of these, other ones every day.
REREAD = timedelta(days=7)
FEW = 3
NEWS = timedelta(hours=26)  # a market that ended within this time is looked at whole
DAY_MINUTES = 1440
#: A call gives at most 5,000 candles.
LOOK_BACK = timedelta(days=4_900)
WIDEST = Decimal("0.10")  # a middle of a wider quote says little
SHOWN = 20  # markets of an event named in a note

PRICED = ("initialized", "inactive", "active")
UNPRICED = ("closed", "determined", "disputed", "amended")
SETTLED = "finalized"
STATUSES = {
    "initialized": "upcoming",
    "inactive": "open",  # trading is held up; nothing is over
    "active": "open",
    **dict.fromkeys(UNPRICED, "closed"),
    SETTLED: "resolved",
}

_TICKER = re.compile(r"[A-Z0-9](?:[A-Z0-9_-]|\.(?!\.)){0,99}")
_WHOLE = "whole="  # in the ref of a bulk call: a market whose event is wanted too


def _seconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if value is None else str(value)
    return from_seconds(value)


class _Market(Payload):
    ticker: str
    event: Annotated[str | None, Field(alias="event_ticker")] = None
    kind: Annotated[str, Field(alias="market_type")] = "binary"
    title: str | None = None
    yes_title: Annotated[str | None, Field(alias="yes_sub_title")] = None
    opens: Annotated[UtcText, Field(alias="open_time")] = None
    closes: Annotated[UtcText, Field(alias="close_time")] = None
    resolves: Annotated[UtcText, Field(alias="latest_expiration_time")] = None
    rules: Annotated[str | None, Field(alias="rules_primary")] = None
    more_rules: Annotated[str | None, Field(alias="rules_secondary")] = None
    status: str
    bid: Annotated[DecimalProbability | None, Field(alias="yes_bid_dollars")] = None
    ask: Annotated[DecimalProbability | None, Field(alias="yes_ask_dollars")] = None
    last: Annotated[DecimalProbability | None, Field(alias="last_price_dollars")] = None
    volume: Annotated[DecimalAmount | None, Field(alias="volume_fp")] = None
    result: str | None = None
    settled: Annotated[UtcText, Field(alias="settlement_ts")] = None
    paid: Annotated[DecimalProbability | None, Field(alias="settlement_value_dollars")] = None
    expired_at: Annotated[str | None, Field(alias="expiration_value")] = None


PRICES = ("yes_bid_dollars", "yes_ask_dollars", "last_price_dollars")


class _Event(Payload):
    ticker: Annotated[str, Field(alias="event_ticker")]
    series: Annotated[str | None, Field(alias="series_ticker")] = None
    title: str | None = None
    markets: list[Any] | None = None


class _Quote(Payload):
    """Live and historical candles have different names for the same."""

    live: Annotated[DecimalProbability | None, Field(alias="close_dollars")] = None
    old: Annotated[DecimalProbability | None, Field(alias="close")] = None

    @property
    def close(self) -> Decimal | None:
        return self.old if self.live is None else self.live


class _Candle(Payload):
    end: Annotated[datetime, BeforeValidator(_seconds), Field(alias="end_period_ts")]
    bid: Annotated[_Quote | None, Field(alias="yes_bid")] = None
    ask: Annotated[_Quote | None, Field(alias="yes_ask")] = None
    price: _Quote | None = None


class Kalshi:
    """The adapter. All linked markets in bulk at every poll; the event of each, with its title, once a week."""

    parser_version = "2"
    traits = SourceTraits(
        name=NAME,
        setting="kalshi",
        base_url="https://external-api.kalshi.com/trade-api/v2",
        hosts=("external-api.kalshi.com", "api.elections.kalshi.com"),
        pace_s=1.2,
        period_hours=1.0,
        platforms=(NAME,),
        credit="Kalshi (kalshi.com)",
        licence="no statement on re-use of the data is known; collected through the public API",
        unsettled=("upcoming", "open", "closed"),
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Markets in bulk. On a first sight (``since``) each is read alone, with its event, which has the title, and
        its daily candles, one market a call so that none can spoil another's."""
        tickers, skipped = _tickers(links)
        if since is None:
            return Plan(tuple(_bulk(MARKETS, tickers)), skipped)
        alone = [_single(ticker) for ticker in tickers]
        return Plan((*alone, *(_candles(ticker, since, now) for ticker in tickers)), skipped)

    def plan_after(self, links: Sequence[Link], last: datetime | None, now: datetime) -> Plan:
        """Markets in bulk, a few of them, whose turn has come, with the event that has their title and rules."""
        tickers, skipped = _tickers(links)
        due = turns(tickers, REREAD, last, now)
        chosen = sorted(due, key=lambda ticker: crc32(f"{now.date()} {ticker}".encode()))
        most = max(FEW, -(-len(tickers) // TICKERS_PER_CALL))
        return Plan(tuple(_bulk(MARKETS, tickers, chosen[:most])), skipped)

    def parse(self, raw: RawPayload) -> Parsed:
        """Markets, one market, an event, or candles; which of them, the address tells."""
        if raw.status in FORBIDDEN:
            return denied(raw, _asked(raw))
        found, steps = Gathering(raw), urlsplit(raw.url).path.split("/")
        old = "historical" in steps
        if steps[-1] == "candlesticks":
            _read_candles(found, old)
        elif steps[-2:-1] == ["events"]:
            _read_event(found, unquote(steps[-1]))
        elif steps[-2:-1] == ["markets"]:
            _read_single(found)
        else:
            _read_markets(found, old)
        return found.parsed(nothing_is_an_error=True)


# --- what to ask ----------------------------------------------------------------------------------------


def _tickers(links: Sequence[Link]) -> tuple[list[str], dict[str, str]]:
    """The tickers to ask for, each once, and what is none."""
    names = dict.fromkeys(link.external_id for link in links if link.platform == NAME)
    why = "is no Kalshi ticker (capital letters, digits, - . and _)"
    skipped = {name: why for name in names if _TICKER.fullmatch(name) is None}
    return [name for name in names if name not in skipped], skipped


def _bulk(path: str, tickers: Sequence[str], whole: Collection[str] = ()) -> Iterator[Request]:
    """One call per hundred tickers; combined markets flood every list that does not leave them out."""
    for start in range(0, len(tickers), TICKERS_PER_CALL):
        batch = tickers[start : start + TICKERS_PER_CALL]
        ref = ",".join((*batch, *(_WHOLE + ticker for ticker in batch if ticker in whole)))
        params = (("mve_filter", "exclude"), ("limit", str(LIMIT)), ("tickers", ",".join(batch)))
        yield Request(NAME, ref, path, params)


def _single(ticker: str) -> Request:
    return Request(NAME, ticker, f"{MARKETS}/{ticker}", accept_missing=True)


def _event(ticker: str, event: str) -> Request:
    params = (("with_nested_markets", "true"),)
    return Request(NAME, ticker, EVENTS + event, params, accept_missing=True)


def _candles(ticker: str, since: datetime, now: datetime) -> Request:
    start = max(since, now - LOOK_BACK)
    params = (
        ("market_tickers", ticker),
        ("start_ts", str(int((start - EPOCH).total_seconds()))),
        ("end_ts", str(int((now - EPOCH).total_seconds()))),
        ("period_interval", str(DAY_MINUTES)),
    )
    return Request(NAME, ticker, CANDLES, params, accept_missing=True)


def _asked(raw: RawPayload) -> list[str]:
    return [ticker for ticker in refs(raw) if _TICKER.fullmatch(ticker)]


def _one(raw: RawPayload) -> str:
    """The ticker a call was about. Raises ParseError when it is not one."""
    asked = _asked(raw)
    if len(asked) != 1:
        raise ParseError(NAME, raw.ref, "", "was asked for under no ticker")
    return asked[0]


# --- markets --------------------------------------------------------------------------------------------


def _read_markets(found: Gathering, old: bool) -> None:
    """Many markets. Tickers the live answer lacks are asked for among the historical ones; what is not
    there either may be an event's ticker."""
    require_ok(found.raw)
    body = read_object(found.raw)
    whole = {part.removeprefix(_WHOLE) for part in refs(found.raw) if part.startswith(_WHOLE)}
    seen: set[str | None] = set()
    for number, value in enumerate(rows_of(found.raw, body, "markets")):
        at = join("markets", number)
        market = _market(found, value, at)
        ticker = value.get("ticker") if isinstance(value, dict) else None
        seen.add(ticker if isinstance(ticker, str) else None)
        if old and market is not None:
            _tell(found, market, None)
        elif market is not None and (market.ticker in whole or _ended_lately(market, found.at)):
            _ask_event(found, market)
    missing = [ticker for ticker in _asked(found.raw) if ticker not in seen]
    if not missing or None in seen:  # a row without a ticker may be one of them
        return
    if body.get("cursor") and len(missing) == len(_asked(found.raw)):
        found.fault(found.raw.ref, "cursor", "there is a further page, and no market asked for is on this")
    elif body.get("cursor"):
        found.follow.extend(_bulk(OLD_MARKETS if old else MARKETS, missing))
    elif old:
        found.follow.extend(_event(ticker, ticker) for ticker in missing)
    else:
        found.follow.extend(_bulk(OLD_MARKETS, missing))


def _read_single(found: Gathering) -> None:
    """One market, and the event it belongs to, which has the title. Not there: look among the old ones."""
    if found.raw.status in MISSING:
        found.follow.extend(_bulk(OLD_MARKETS, [_one(found.raw)]))
        return
    require_ok(found.raw)
    body = read_object(found.raw)
    if not isinstance(body.get("market"), dict):
        raise ParseError(NAME, found.raw.ref, "market", "should be an object")
    market = _market(found, body["market"], "market")
    if market is not None and not _ask_event(found, market):
        _tell(found, market, None)


def _ask_event(found: Gathering, market: _Market) -> bool:
    """Ask for the event of a market, once for all its markets; False when it names none."""
    if market.event is None or _TICKER.fullmatch(market.event) is None:
        return False
    request = _event(market.ticker, market.event)
    if all(request.path != known.path for known in found.follow):
        found.follow.append(request)
    return True


def _ended_lately(market: _Market, now: datetime) -> bool:
    """Whether trading ended, or the outcome came, not long ago: its status is news then."""
    if market.status not in (*UNPRICED, SETTLED):
        return False
    ends = (market.settled, market.closes)
    return any(end is not None and timedelta(0) <= now - end <= NEWS for end in ends)


def _market(found: Gathering, value: object, at: str) -> _Market | None:
    """Read one market's value or outcome; None (and a Fault) when it has no usable ticker or status."""
    market, faults = read_part(_Market, value, _name(value, found.raw.ref), at)
    found.faults.extend(faults)
    if market is None:
        return None
    if _TICKER.fullmatch(market.ticker) is None:
        found.fault(found.raw.ref, join(at, "ticker"), "is no ticker")
        return None
    if market.kind != "binary":
        found.note(f"{market.ticker}: market_type {plain(market.kind, 40)}: its price is no probability")
    elif market.status == SETTLED:
        _settled(found, market, at)
    elif market.status in PRICED:
        if not any(fault.field.endswith(PRICES) for fault in faults):
            _price(found, market, at)
    elif market.status not in UNPRICED:
        found.note(f"{market.ticker}: status {plain(market.status, 40)!r} is not known: no value taken")
    return market


def _name(value: object, otherwise: str) -> str:
    ticker = value.get("ticker") if isinstance(value, dict) else None
    return ticker if isinstance(ticker, str) and _TICKER.fullmatch(ticker) else otherwise


def _middle(bid: Decimal | None, ask: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """(middle if the quote is narrow, spread if there is a quote). A bid of 0 or an ask of 1 is none."""
    if bid is None or ask is None or not 0 < bid <= ask < 1:
        return None, None
    return ((bid + ask) / 2 if ask - bid <= WIDEST else None), ask - bid


def _price(found: Gathering, market: _Market, at: str) -> None:
    if market.bid is None and market.ask is None and market.last is None:
        found.fault(market.ticker, join(at, PRICES[0]), "is missing, as are the ask and the last price")
        return
    if market.bid is not None and market.ask is not None and 0 < market.ask < market.bid:
        found.fault(market.ticker, join(at, PRICES[1]), "lies below the bid")
        return
    middle, spread = _middle(market.bid, market.ask)
    quantity, price = Quantity.REAL_MONEY_MID, middle
    if middle is None and market.last is not None and 0 < market.last < 1:
        quantity, price = Quantity.REAL_MONEY_LAST, market.last
    if price is None:
        found.add(_state(found, market.ticker, ValueState.NO_TRADE))
        return
    found.add(
        Snapshot(
            key=StreamKey(NAME, NAME, market.ticker, YES, quantity),
            as_of=found.at,
            fetched_at=found.at,
            probability=float(price),
            volume=None if market.volume is None else float(market.volume),
            spread=None if spread is None else float(spread),
            payload_sha256=found.digest,
        )
    )


def _state(found: Gathering, ticker: str, state: ValueState) -> Snapshot:
    return Snapshot(
        key=StreamKey(NAME, NAME, ticker, YES, Quantity.REAL_MONEY_MID),
        as_of=found.at,
        fetched_at=found.at,
        state=state,
        payload_sha256=found.digest,
    )


def _settled(found: Gathering, market: _Market, at: str) -> None:
    word = market.result or ""
    state, value = _outcome(found, market, word, at)
    if state is None or value is None:
        return
    early = market.settled is None or market.settled > found.at
    found.add(
        Resolution(
            source=NAME,
            platform=NAME,
            external_id=market.ticker,
            outcome=YES,
            state=state,
            fetched_at=found.at,
            resolved_at=None if early else market.settled,
            value=float(value),
            text=plain(f"{word}: {market.expired_at}" if market.expired_at else word, 200),
            payload_sha256=found.digest,
        )
    )


def _outcome(
    found: Gathering, market: _Market, word: str, at: str
) -> tuple[OutcomeState | None, Decimal | None]:
    """What a result pays. ``scalar`` is a fraction: a tie, or a question that could not be judged."""
    paid = market.paid
    fixed = {"yes": (OutcomeState.YES, Decimal(1)), "no": (OutcomeState.NO, Decimal(0))}
    known = {**fixed, "scalar": (OutcomeState.FRACTION, paid)}
    state, value = known.get(word, (None, None))
    if state is None:
        found.fault(
            market.ticker, join(at, "result"), f"{plain(word or 'nothing', 40)!r} is no outcome we know"
        )
    elif value is None:
        found.fault(market.ticker, join(at, "settlement_value_dollars"), "is missing, and a fraction is paid")
    elif paid is not None and paid != value:
        found.fault(market.ticker, join(at, "settlement_value_dollars"), "is not what the result pays")
        return None, None
    return state, value


# --- events ---------------------------------------------------------------------------------------------


def _read_event(found: Gathering, event_asked: str) -> None:
    """The titles of an event's markets. Asked for under the link's own ticker it tells that this is no
    market: it is gone, or it never was one but names the whole event."""
    ticker = _one(found.raw)
    if found.raw.status in MISSING:
        if event_asked == ticker:
            found.add(_state(found, ticker, ValueState.GONE))
        return
    require_ok(found.raw)
    body = read_object(found.raw)
    event, faults = read_part(_Event, body.get("event"), ticker, "event")
    found.faults.extend(faults)
    if event is None:
        return
    at = "event.markets" if event.markets else "markets"
    members: list[str] = []
    for number, value in enumerate(event.markets or rows_of(found.raw, {"markets": None, **body}, "markets")):
        market, faults = read_part(_Market, value, _name(value, ticker), join(at, number))
        found.faults.extend(faults)
        if market is not None and _TICKER.fullmatch(market.ticker):
            _tell(found, market, event)
            members.append(market.ticker)
    if event_asked == ticker and ticker not in members:
        shown = ", ".join(members[:SHOWN]) or "none it tells of"
        found.note(f"{ticker}: looks like an event's ticker, not a market's; its markets: {shown}")
        found.add(_state(found, ticker, ValueState.GONE))


def _tell(found: Gathering, market: _Market, event: _Event | None) -> None:
    """What is told of a market besides its price; without its rules nothing: what is known of them stands."""
    if market.rules is None and market.more_rules is None:
        found.note(f"{market.ticker}: came without its rules, so its title and status are passed over")
        return
    if market.status not in STATUSES:
        found.note(f"{market.ticker}: status {plain(market.status, 40)!r} is not known: no value taken")
    found.add(_info(found, market, event))


def _info(found: Gathering, market: _Market, event: _Event | None) -> QuestionInfo:
    own = market.yes_title or ""
    title = f"{event.title}: {own}" if event is not None and event.title and own else ""
    series = event.series if event is not None else None
    known = series is not None and _TICKER.fullmatch(series)
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=market.ticker,
        fetched_at=found.at,
        title=plain(title or (event.title if event else None) or market.title or own),
        url=f"https://kalshi.com/markets/{series.lower()}" if series is not None and known else "",
        question_type=plain(market.kind, 40),
        status=STATUSES.get(market.status, ""),
        opens_at=market.opens,
        closes_at=market.closes,
        resolves_by=market.resolves,
        criteria_sha256=criteria_digest(market.rules, market.more_rules),
        payload_sha256=found.digest,
    )


# --- candles --------------------------------------------------------------------------------------------


def _read_candles(found: Gathering, old: bool) -> None:
    """Daily candles of one market. None among the live ones: the historical ones are asked for."""
    ticker, rows = _one(found.raw), list[tuple[str, Any]]()
    if found.raw.status not in MISSING:
        require_ok(found.raw)
        body = read_object(found.raw)
        parts = [("", body)] if "candlesticks" in body else _parts(found, body)
        for at, part in parts:
            if part.get("market_ticker", part.get("ticker")) != ticker:
                found.fault(ticker, join(at, "ticker"), "is another than was asked for")
                continue
            listed = rows_of(found.raw, part, "candlesticks")
            rows += [(join(at, "candlesticks", number), value) for number, value in enumerate(listed)]
    for at, value in rows:
        _candle(found, ticker, value, at)
    if not rows and not found.faults and not old:
        query = parse_qsl(urlsplit(found.raw.url).query)
        params = tuple((name, value) for name, value in query if name != "market_tickers")
        path = f"{OLD_MARKETS}/{ticker}/candlesticks"
        found.follow.append(Request(NAME, ticker, path, params, accept_missing=True))


def _parts(found: Gathering, body: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    parts = [
        (join("markets", number), part) for number, part in enumerate(rows_of(found.raw, body, "markets"))
    ]
    for at, part in parts:
        if not isinstance(part, dict):
            found.fault(found.raw.ref, at, "should be an object")
    return [(at, part) for at, part in parts if isinstance(part, dict)]


def _close(quote: _Quote | None) -> Decimal | None:
    return None if quote is None else quote.close


def _candle(found: Gathering, ticker: str, value: object, at: str) -> None:
    """The close of a day: the middle of a narrow quote, else the last trade of that day, else nothing."""
    candle, faults = read_part(_Candle, value, ticker, at)
    found.faults.extend(faults)
    if candle is None or faults or candle.end > found.at:  # a day that is not over has no close
        return
    middle, spread = _middle(_close(candle.bid), _close(candle.ask))
    traded = _close(candle.price)
    quantity, price = Quantity.REAL_MONEY_MID, middle
    if middle is None and traded is not None and 0 < traded < 1:
        quantity, price = Quantity.REAL_MONEY_LAST, traded
    if price is None:
        return
    found.add(
        Snapshot(
            key=StreamKey(NAME, NAME, ticker, YES, quantity),
            as_of=candle.end,
            fetched_at=found.at,
            probability=float(price),
            timed_by_source=True,
            spread=None if spread is None else float(spread),
            payload_sha256=found.digest,
        )
    )


__all__ = ["Kalshi"]

"""Manifold: play-money prices. Many prices in one call, one market at a time for everything else.

Streams: outcome ``yes`` of a binary market, the answer's id of a market with answers, ``value`` of a
numeric or date market (real units, dates in Unix seconds): the value of a pseudo-numeric one, and of a ladder
of answers the value Manifold itself computes from them, with the distribution where the answers are thresholds.
A market's price stays where it was when the market resolves, and an
answer's becomes exactly 1 or 0; neither is ever read as a forecast or as an outcome: outcomes come from
``resolution`` alone.

History. There is no time series: it is rebuilt from the bets, each of which tells the price before and after
it. A whole market, asked for with ``since``, leads to the first page of its bets, a page to the next. They
are points with the platform's own time in the same streams as the prices seen at polls, which stand at the
time of the fetch: a market maker's price holds until the next bet. What a chain needs to know of the market
travels in the refs of its requests (``id?since=…``, ``id?created=…``, ``id?min=…&max=…&log=…``, times in
milliseconds), because the platform refuses parameters it does not know and a stored page must be readable by
itself.

Source of the shapes: manifoldmarkets/manifold @1e3ad3be (2026-08), docs/docs/api.md and, in backend,
get-market-probs.ts, get-bets.ts, supabase/bets.ts, anonymize-user.ts; in common, bet.ts, new-bet.ts, redeem.ts,
multi-numeric.ts, multi-date.ts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field

from questions.model import Link
from questions.records import (
    Distribution,
    OutcomeState,
    Quantity,
    QuestionInfo,
    Resolution,
    Snapshot,
    StreamKey,
    ValueState,
)
from questions.time import EPOCH, to_micros
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import (
    FORBIDDEN,
    MISSING,
    Amount,
    Count,
    Gathering,
    Payload,
    Probability,
    UtcMillis,
    criteria_digest,
    denied,
    https_url,
    join,
    plain,
    read_list,
    read_object,
    read_part,
    read_rows,
    refs,
    require_ok,
)
from tracker.schedule import turns
from tracker.source import Parsed, Plan, Request, SourceTraits

NAME = "manifold"
YES, VALUE = "yes", "value"
IDS_PER_CALL = 100  # what the documentation and the code allow
#: Every market is read whole once in this time: 250 markets make three such requests an hour. Markets whose
#: price says that they may be resolved have a turn a day, one per bulk answer and poll at most (a little
#: more than a day, so that a poll at the same hour every day meets all of them).
REREAD = timedelta(hours=84)
SOONER, BETWEEN_POLLS = timedelta(minutes=61), timedelta(hours=1)
SOONER_TURNS = 23
NEARLY_SURE = 0.99
PROBS_PATH, MARKET_PATH, BETS_PATH = "v0/market-probs", "v0/market/", "v0/bets"
#: Bets a page holds: what the documentation names. The code allows ten times as many, which is kept for the
#: case that more bets than a page holds were made in one millisecond.
PAGE, WIDE = 1_000, 10_000
LAST_MS = 253_402_300_799_999  # the end of the year 9999

PRICED = ("BINARY", "PSEUDO_NUMERIC")
LADDERS = ("MULTI_NUMERIC", "DATE")
ANSWERED = ("MULTIPLE_CHOICE", "MULTI_NUMERIC", "DATE", "NUMBER")
UNPRICED = ("STONK", "POLL", "BOUNTIED_QUESTION", "PERP", "FREE_RESPONSE", "NUMERIC", "QUADRATIC_FUNDING")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DELETED = re.compile(r"deleted_[A-Za-z0-9]{8}")  # the name given to the account of somebody who left


class _Answer(Payload):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    probability: Probability | None = None
    resolution: str | None = None
    resolution_time: Annotated[UtcMillis, Field(alias="resolutionTime")] = None
    resolution_probability: Annotated[Probability | None, Field(alias="resolutionProbability")] = None
    volume: Amount = None
    liquidity: Annotated[Amount, Field(alias="totalLiquidity")] = None
    midpoint: float | None = None


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
    token: str | None = None
    answers: list[Any] | None = None
    exclusive: Annotated[bool | None, Field(alias="shouldAnswersSumToOne")] = None
    text: Annotated[str | None, Field(alias="textDescription")] = None
    description: Any = None
    creator: Annotated[str | None, Field(alias="creatorUsername")] = None
    bettors: Annotated[Count, Field(alias="uniqueBettorCount")] = None
    volume: Amount = None
    liquidity: Annotated[Amount, Field(alias="totalLiquidity")] = None
    last_bet: Annotated[UtcMillis, Field(alias="lastBetTime")] = None
    resolved: Annotated[bool, Field(alias="isResolved")] = False
    resolution: str | None = None
    resolution_time: Annotated[UtcMillis, Field(alias="resolutionTime")] = None
    resolution_probability: Annotated[Probability | None, Field(alias="resolutionProbability")] = None


class _Bet(Payload):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    market: Annotated[str, Field(alias="contractId")]
    made: Annotated[int, Field(alias="createdTime", ge=0, le=LAST_MS)]
    before: Annotated[Probability, Field(alias="probBefore")]
    after: Annotated[Probability, Field(alias="probAfter")]
    amount: float | None = None
    fills: list[Any] | None = None
    redemption: Annotated[bool | None, Field(alias="isRedemption")] = None
    rebalance: Annotated[bool | None, Field(alias="isRebalance")] = None
    answer: Annotated[str | None, Field(alias="answerId")] = None

    @property
    def traded(self) -> bool:
        """Whether the row is a trade. A limit order nobody has filled is none, nor are shares redeemed.

        But a bet on one of several answers whose prices sum to one moves the others too, and these moves
        come as redemptions that were filled and changed the price.
        """
        moved = bool(self.amount) or bool(self.fills)
        redeemed = bool(self.redemption) and not self.rebalance
        return moved and not (redeemed and self.before == self.after)


class _Prices(Payload):
    prob: Probability | None = None
    answers: Annotated[dict[str, Any] | None, Field(alias="answerProbs")] = None


@dataclass(frozen=True)
class _Scale:
    """How a price of a pseudo-numeric market is read: linear, or on a scale of log10(x - min + 1)."""

    low: float
    high: float
    log: bool

    def value(self, p: float) -> float | None:
        """The real value at price p (Manifold's own mapping), None where it is too large to be told."""
        width = self.high - self.low
        try:
            value = self.low + (float((width + 1) ** p) - 1 if self.log else width * p)
        except OverflowError:
            return None
        return value if math.isfinite(value) else None


@dataclass(frozen=True)
class _Thread:
    """What a chain of requests about one market carries along in its refs. Times in milliseconds.

    ``since``: how far back bets are wanted (on a whole market). ``created``: when the market was made, on a
    page before whose first bet there was no other. ``scale``: how to read its prices, if they are no
    probabilities.
    """

    market: str
    since: int | None = None
    created: int | None = None
    scale: _Scale | None = None

    @property
    def ref(self) -> str:
        told: dict[str, object] = {"since": self.since, "created": self.created}
        if self.scale is not None:
            told |= {"min": self.scale.low, "max": self.scale.high, "log": int(self.scale.log)}
        query = urlencode({name: value for name, value in told.items() if value is not None})
        return f"{self.market}?{query}" if query else self.market

    @classmethod
    def of(cls, raw: RawPayload) -> _Thread:
        """Read a ref back. Raises ParseError when it is none of ours."""
        market, _, query = raw.ref.partition("?")
        told = {name: values[-1] for name, values in parse_qs(query).items()}
        try:
            since, created = (int(told[name]) if name in told else None for name in ("since", "created"))
            scaled = "min" in told
            scale = _Scale(float(told["min"]), float(told["max"]), told["log"] == "1") if scaled else None
        except (ValueError, KeyError):
            raise ParseError(raw.source, market, "ref", "is not one this adapter makes") from None
        return cls(market, since, created, scale)


class Manifold:
    """The adapter. Prices of all linked markets at every poll; each whole market in its turn."""

    parser_version = "5"
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
        unsettled=("open", "closed"),
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Prices in bulk, or whole markets: for a first sight, or a numeric value.

        With ``since`` every market is asked for whole, and its bets since then follow. A link whose outcome is
        ``value`` is always asked for whole: the bulk answer holds the bare prices of a numeric market. A whole
        market holds its price, so it is not asked for in bulk as well.
        """
        return _plan(links, lambda markets: markets if since is not None else (), since)

    def plan_after(self, links: Sequence[Link], last: datetime | None, now: datetime) -> Plan:
        """Prices in bulk, and those markets whole whose turn came since the last poll.

        Only a whole market tells its title, dates, criteria, quality and outcome.
        """
        return _plan(links, lambda markets: turns(markets, REREAD, last, now))

    def parse(self, raw: RawPayload) -> Parsed:
        """Bulk prices, one market, or a page of bets. A 404 for one market is its state ``gone``."""
        thread = _Thread.of(raw)
        raw = replace(raw, ref=thread.market)
        if raw.status in FORBIDDEN:
            return denied(raw)
        found = Gathering(raw)
        bets = urlsplit(raw.url).path.endswith(BETS_PATH)
        if raw.status in MISSING and PROBS_PATH not in raw.url and len(refs(raw)) == 1:
            if bets:
                found.note(f"{raw.ref}: no history of bets is to be had (HTTP {raw.status})")
            else:
                found.add(_snapshot(found, raw.ref, YES, state=ValueState.GONE))
            return found.parsed()
        require_ok(raw)
        if bets:
            whole = read_rows(_Bet, raw)
            _bets_page(found, read_list(raw) if whole is None else whole, thread)
            return found.parsed(nothing_is_an_error=True)
        body = read_object(raw)
        if "outcomeType" in body or "question" in body:
            _market(found, body, thread.since)
        else:
            _prices(found, body)
        return found.parsed(nothing_is_an_error=True)


def _plan(
    links: Sequence[Link],
    whole: Callable[[Collection[str]], Collection[str]],
    since: datetime | None = None,
) -> Plan:
    """Bulk prices of the linked markets but those that ``whole`` picks, which are asked for by themselves."""
    numeric: dict[str, bool] = {}
    skipped: dict[str, str] = {}
    for link in links:
        if link.platform != NAME:
            continue
        if _ID.fullmatch(link.external_id) is None:
            skipped[link.external_id] = "is no Manifold market id (letters, digits, _ and -)"
            continue
        numeric[link.external_id] = numeric.get(link.external_id, False) or link.outcome == VALUE
    picked = set(whole(numeric))
    alone = [market for market, real in numeric.items() if real or market in picked]
    bulk = _bulk([market for market in numeric if market not in set(alone)])
    start = None if since is None else _ms(since)
    return Plan((*bulk, *(_whole(market, start) for market in alone)), skipped)


def _ms(moment: datetime) -> int:
    return to_micros(moment) // 1000


def _whole(market: str, since: int | None = None) -> Request:
    return Request(NAME, _Thread(market, since).ref, MARKET_PATH + market, accept_missing=True)


def _bets(thread: _Thread, after: int, limit: int) -> Request:
    """A page of bets made later than ``after`` (exclusive, milliseconds), oldest first.

    The moves of the other answers are left out unless asked for (``includeZeroShareRedemptions``).
    """
    params = (
        ("contractId", thread.market),
        ("limit", str(limit)),
        ("order", "asc"),
        ("afterTime", str(after)),
        ("includeZeroShareRedemptions", "true"),
    )
    return Request(NAME, thread.ref, BETS_PATH, params, accept_missing=True)


def _bulk(markets: Sequence[str]) -> Iterable[Request]:
    """One call per hundred ids. A single id is named twice: alone it would not be read as a list."""
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
    asked = [market for market in refs(found.raw) if _ID.fullmatch(market)]
    found.follow.extend(_whole(market) for market in asked if market not in body)
    _look_at_the_decided(found, [market for market in asked if _decided(body.get(market))])


def _decided(entry: object) -> bool:
    """Whether a price makes it worth a look if the market is resolved. It is a reason to ask and no more."""
    part, faults = read_part(_Prices, entry, "", "")
    if part is None or faults:
        return False
    if part.prob is not None:
        return not 1 - NEARLY_SURE < part.prob < NEARLY_SURE
    return any(type(price) in (int, float) and price in (0, 1) for price in (part.answers or {}).values())


def _look_at_the_decided(found: Gathering, markets: Sequence[str]) -> None:
    cycle = SOONER * max(SOONER_TURNS, len(markets))
    found.follow.extend(
        _whole(market) for market in turns(markets, cycle, found.at - BETWEEN_POLLS, found.at)
    )


def _answer_price(found: Gathering, market: str, answer: str, price: object) -> None:
    """A price of exactly 0 or 1 cannot be traded: the answer is resolved, and this is no forecast."""
    at = join(market, "answerProbs", answer)
    part, faults = read_part(_Prices, {"prob": price}, market, at)
    if _ID.fullmatch(answer) is None or part is None or part.prob is None or faults:
        found.fault(market, at, "should be a number from 0 to 1 under an answer's id")
    elif part.prob not in (0.0, 1.0):
        found.add(_snapshot(found, market, answer, part.prob))


# --- one market -----------------------------------------------------------------------------------------


def _market(found: Gathering, body: dict[str, Any], since: int | None) -> None:
    market, faults = read_part(_Market, body, found.raw.ref, "")
    found.faults.extend(faults)
    if market is None:
        return
    if _ID.fullmatch(market.id) is None:
        found.fault(found.raw.ref, "id", "is no market id")
        return
    if market.id != found.raw.ref:
        found.fault(found.raw.ref, "id", "is another market than the one asked for")
        return
    if market.creator is not None and _DELETED.fullmatch(market.creator):
        found.note(f"{market.id}: the account of its creator was deleted; nobody may be there to resolve it")
    if market.token not in (None, "MANA"):
        found.note(f"{market.id}: its token is {plain(market.token or '', 20)}, which is no play money")
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
        return
    if since is not None:
        _lead_to_bets(found, market, since)


def _lead_to_bets(found: Gathering, market: _Market, since: int) -> None:
    """Ask for the bets since then; since it was made, if that is later, which gives its first price too."""
    scale = _scale(market) if market.kind == "PSEUDO_NUMERIC" else None
    if market.kind == "PSEUDO_NUMERIC" and scale is None:
        found.fault(market.id, "min", "without min and max no price can be read: its bets are not asked for")
        return
    created = None if market.created is None else _ms(market.created)
    if created is not None and since > created:
        created = None
    thread = _Thread(market.id, created=created, scale=scale)
    after = max(0, (since if created is None else created) - 1)
    found.follow.append(_bets(thread, after, PAGE))


def _info(found: Gathering, market: _Market) -> QuestionInfo:
    closed = market.closes is not None and market.closes <= found.at
    ended = "void" if market.resolution == "CANCEL" else "resolved"
    text = market.text if market.text is not None else " ".join(_texts(market.description))
    return QuestionInfo(
        source=NAME,
        platform=NAME,
        external_id=market.id,
        fetched_at=found.at,
        title=plain(market.title),
        url=https_url(market.url),
        question_type=plain(market.kind, 40).lower(),
        status=ended if market.resolved else "closed" if closed else "open",
        opens_at=market.created,
        closes_at=market.closes,
        criteria_sha256=criteria_digest(text),
        payload_sha256=found.digest,
    )


def _texts(node: object) -> Iterator[str]:
    """The words of a description, which is a text or a tree of nodes (TipTap), in reading order."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for part in node:
            if isinstance(part, dict):
                yield from _texts(part)
    elif isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        yield from _texts(node.get("content") if isinstance(node.get("content"), list) else None)


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
    scale = _scale(market)
    return None if p is None or scale is None else scale.value(p)


def _scale(market: _Market) -> _Scale | None:
    if market.low is None or market.high is None or market.high <= market.low:
        return None
    return _Scale(market.low, market.high, bool(market.log))


def _answers(found: Gathering, market: _Market) -> None:
    if not market.answers:
        found.fault(market.id, "answers", "a market of this type needs answers")
        return
    rungs: dict[float, float] = {}
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
        elif answer.probability not in (0.0, 1.0):  # those are payouts: see _answer_price
            found.add(_quality(found, market, answer.id, probability=answer.probability, answer=answer))
        p = {None: answer.probability, "YES": 1.0, "NO": 0.0}.get(answer.resolution)
        if p is not None and answer.midpoint is not None:
            rungs[answer.midpoint] = p
    if market.kind in LADDERS:
        _ladder(found, market, dict(sorted(rungs.items())))


# --- ladders --------------------------------------------------------------------------------------------


def _ladder(found: Gathering, market: _Market, rungs: Mapping[float, float]) -> None:
    """The value that a ladder of answers stands for: each answer's midpoint and its price, midpoints rising.

    Manifold's own formula (multi-numeric.ts, multi-date.ts). Answers that exclude each other are buckets: the
    mean of their midpoints, by their prices' shares. Others are thresholds, "at least this number" or "before
    this date": the mean over the steps between them, and the distribution itself. A rung that resolved stands
    at 1 or 0. Where a rung is missing nothing is said; the answers' own streams have what there is.
    """
    if market.resolved:
        if market.resolution == "CANCEL":
            _resolve_value(found, market)
        return
    x, p = list(rungs), list(rungs.values())
    if len(x) < 2 or len(x) != len(market.answers or ()):
        found.note(f"{market.id}: no value is given: a ladder needs two rungs or more, each with a midpoint")
        return
    if market.exclusive is None:
        found.note(f"{market.id}: no value is given: whether the answers exclude each other is not told")
        return
    if market.exclusive and not 0.9 <= math.fsum(p) <= 1.1:
        found.note(f"{market.id}: no value is given: prices of all answers should sum to about 1")
        return
    try:
        value, distribution = _mean(x, p, market.exclusive, dates=market.kind == "DATE")
        found.add(_quality(found, market, VALUE, value=value, distribution=distribution))
    except (ValueError, OverflowError):
        found.fault(market.id, "answers", "the midpoints give no value: too large, or too close together")


def _mean(
    x: list[float], p: list[float], exclusive: bool, *, dates: bool
) -> tuple[float, Distribution | None]:
    """The mean (dates in seconds) and the distribution. ValueError or OverflowError: beyond all numbers."""
    distribution = None
    if exclusive:
        steps = [price / math.fsum(p) for price in p]
    elif dates:
        distribution = _steps(x, p, seconds=True)
        steps = [*(after - before for before, after in pairwise([0.0, *p])), 1 - p[-1]]
        x = [*x, 2 * x[-1] - x[-2]]
    else:
        distribution = _steps(x, [1 - price for price in p], seconds=False)
        steps = [before - after for before, after in pairwise([*p, 0.0])]
    mean = math.fsum(point * step for point, step in zip(x, steps, strict=True))
    return mean / 1000 if dates else mean, distribution


def _steps(x: Sequence[float], cdf: Sequence[float], *, seconds: bool) -> Distribution:
    """The distribution through the thresholds; prices that cross are pooled so that it does not fall.

    Pooling adjacent violators (isotonic least squares); the answers' streams keep the raw prices.
    """
    rising = list(cdf)
    if any(after < before for before, after in pairwise(cdf)):
        from scipy.optimize import isotonic_regression  # heavy: seldom needed

        rising = [float(p) for p in isotonic_regression(cdf).x]
    points = tuple(point / 1000 if seconds else point for point in x)
    level = [max(rising[: number + 1]) for number in range(len(rising))]
    return Distribution(points, tuple(min(max(p, 0.0), 1.0) for p in level), "date" if seconds else "")


# --- bets -----------------------------------------------------------------------------------------------


def _bets_page(found: Gathering, rows: Sequence[Any], thread: _Thread) -> None:
    """The price after every bet of a page, and the request for the next page."""
    after, limit = _asked(found.raw)
    bets = list(_readable(found, rows, after))
    left = _go_on(found, thread, rows, {bet.made for bet in bets}, after, limit)
    own = YES if thread.scale is None else VALUE
    together: dict[tuple[int, str], list[_Bet]] = {}
    for bet in bets:
        if bet.made < left:
            together.setdefault((bet.made, bet.answer or own), []).append(bet)
    if thread.created is not None and together and not found.faults:
        _first_price(found, thread, together[min(together)])
    prices: dict[str, list[tuple[int, float]]] = {}
    for (made, outcome), several in together.items():
        trades = [bet for bet in several if bet.traded]
        if trades:
            prices.setdefault(outcome, []).append((made, _last(trades).after))
    for outcome, points in prices.items():
        _add_prices(found, thread, outcome, points)


def _asked(raw: RawPayload) -> tuple[int, int]:
    """What a page was asked with: bets later than this (ms), and at most how many."""
    params = parse_qs(urlsplit(raw.url).query)
    try:
        return int(params["afterTime"][-1]), int(params["limit"][-1])
    except (KeyError, ValueError):
        raise ParseError(raw.source, raw.ref, "url", "a page of bets needs afterTime and limit") from None


def _readable(found: Gathering, rows: Sequence[Any], after: int) -> Iterable[_Bet]:
    """The bets of a page, read already or as they can be, each once; none of another market, time or the future."""
    seen: dict[str, _Bet] = {}
    now = _ms(found.at)
    for number, row in enumerate(rows):
        at = f"[{number}]"
        bet, faults = (row, ()) if isinstance(row, _Bet) else read_part(_Bet, row, found.raw.ref, at)
        found.faults.extend(faults)
        if bet is None or faults:
            continue
        known = seen.setdefault(bet.id, bet)
        if known is not bet:
            if known != bet:
                found.fault(found.raw.ref, join(at, "id"), "two different bets have this id; first kept")
            continue
        if bet.market != found.raw.ref:
            found.fault(found.raw.ref, join(at, "contractId"), "is another market")
        elif bet.answer is not None and _ID.fullmatch(bet.answer) is None:
            found.fault(found.raw.ref, join(at, "answerId"), "is no answer id")
        elif bet.made < after:
            found.fault(found.raw.ref, join(at, "createdTime"), "is before the time that was asked for")
        elif bet.made > now:
            found.note(f"{found.raw.ref}: bets from after the fetch are left out: the clocks differ")
        elif bet.made > after:  # at that very millisecond: a rest of it, read on the page before
            yield bet


def _go_on(
    found: Gathering, thread: _Thread, rows: Sequence[Any], times: set[int], after: int, limit: int
) -> int:
    """Ask for the next page after a full one; bets made at or after the returned time are left to it.

    A page may end between two bets of one millisecond (one bet on an exclusive answer moves every other at
    the same instant), and their order is not fixed. So the next page begins with the last millisecond of
    this one, which is read there, where it is whole. When that is no step ahead, because one millisecond
    fills the page, the page is asked for again ten times as long; what does not fit then is named.
    """
    if len(rows) < PAGE:
        return LAST_MS + 1
    if not times:
        found.fault(
            thread.market, "", "nothing on a full page of bets can be read: the pages after it are lost"
        )
        return LAST_MS + 1
    first, last = min(times), max(times)
    if last - 1 > after:
        begun = thread if first == last else replace(thread, created=None)
        found.follow.append(_bets(begun, last - 1, PAGE))
        return last
    if limit < WIDE:
        found.follow.append(_bets(thread, after, WIDE))
        return first
    if len(rows) in (PAGE, limit):
        found.fault(
            thread.market, "", f"more than {len(rows)} bets at one instant; the rest cannot be asked for"
        )
    found.follow.append(_bets(replace(thread, created=None), max(last, after + 1), PAGE))
    return LAST_MS + 1


def _first_price(found: Gathering, thread: _Thread, earliest: Sequence[_Bet]) -> None:
    """A market's first bet tells the price it was made with. Of an answer, which may be younger, it does not."""
    ends = [bet.after for bet in earliest if bet.before != bet.after]
    starts = {bet.before for bet in earliest if bet.before not in ends}
    made = thread.created
    if len(starts) == 1 and earliest[0].answer is None and made is not None and made < earliest[0].made:
        _add_prices(found, thread, YES if thread.scale is None else VALUE, [(made, starts.pop())])


def _last(trades: Sequence[_Bet]) -> _Bet:
    """Of several trades in one millisecond the one from whose price no other went on."""
    if len(trades) == 1:
        return trades[0]
    ends = [
        bet for bet in trades if not any(bet.after == other.before for other in trades if other is not bet)
    ]
    return max(ends or trades, key=lambda bet: bet.id)


def _add_prices(found: Gathering, thread: _Thread, outcome: str, points: Sequence[tuple[int, float]]) -> None:
    """Prices of one stream, each at a time in milliseconds."""
    key = StreamKey(NAME, NAME, thread.market, outcome, Quantity.PLAY_MONEY_PRICE)
    if thread.scale is not None:
        for made, p in points:
            _add_value(found, key, thread.scale, made, p)
        return
    # an answer at exactly 0 or 1 cannot be traded: see _answer_price
    told = points if outcome in (YES, VALUE) else [point for point in points if point[1] not in (0.0, 1.0)]
    found.add_points(key, ((made * 1000, p) for made, p in told))


def _add_value(found: Gathering, key: StreamKey, scale: _Scale, made: int, p: float) -> None:
    value = scale.value(p)
    if value is None:
        found.fault(key.external_id, "probAfter", "lies beyond every number on the market's scale")
        return
    found.add(
        Snapshot(
            key=key,
            as_of=EPOCH + timedelta(milliseconds=made),
            fetched_at=found.at,
            value=value,
            timed_by_source=True,
            payload_sha256=found.digest,
        )
    )


# --- outcomes -------------------------------------------------------------------------------------------


def _resolve_answer(found: Gathering, market: _Market, answer: _Answer) -> None:
    """An answer's own word first; else what the market's word means for it.

    A market whose answers exclude each other and that pays several of them (CHOOSE_MULTIPLE, MKT) does not
    tell the shares: the answers have no word of their own, and their ``resolutionProbability`` is then the
    price before the resolution (resolve-market-helpers.ts). It is settled, with an outcome that is not told.
    """
    at = answer.resolution_time or market.resolution_time
    word = answer.resolution
    if word is None:
        word = market.resolution
        ids = {entry.get("id") for entry in market.answers or () if isinstance(entry, dict)}
        if word in ids:
            word = "YES" if word == answer.id else "NO"
        elif word in ("CHOOSE_MULTIPLE", "MKT"):
            found.note(f"{market.id}: it pays several answers, and their shares are not told")
            found.add(_resolution(found, market, answer.id, OutcomeState.VALUE, None, word, at))
            return
    _resolve(found, market, answer.id, word, answer.resolution_probability, at)


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
    distribution: Distribution | None = None,
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
        distribution=distribution,
        forecasters=market.bettors,
        volume=pool.volume,
        liquidity=pool.liquidity,
        payload_sha256=found.digest,
        last_trade_at=market.last_bet,
    )


__all__ = ["Manifold"]

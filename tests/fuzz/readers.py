"""What an answer states, read a second time and plainly: every number beside the question and the time it is for.

These readers share nothing with the adapters. They take each unit (a bet, a step, a row) by itself, and tell all
that it may be taken to say; so an adapter may say less, but a value it stores that no unit states is wrong.
A statement is (question, outcome, time in milliseconds or "now" or "end", number).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import yaml

from tests.sources.answers import AT

Statement = tuple[str, str, int | str, float]

NOW = round(AT.timestamp() * 1000)
LAST = 1e12  # seconds: far beyond the calendar
_NUMBER = re.compile(r"\s*-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def number(value: Any) -> float | None:
    """A number, or text that is one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value[:100]):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def share(value: Any) -> float | None:
    """A number from 0 to 1."""
    found = number(value)
    return found if found is not None and 0.0 <= found <= 1.0 else None


def text_millis(value: Any) -> int | None:
    """A time as ISO text with an offset, in milliseconds."""
    return millis(value) if isinstance(value, str) and not _NUMBER.fullmatch(value[:100]) else None


def millis(value: Any) -> int | None:
    """A time as ISO text or whole or numeric Unix seconds, in milliseconds."""
    if isinstance(value, str) and _NUMBER.fullmatch(value[:100]) and not value.isdecimal():
        return None
    if isinstance(value, str) and not value.isdecimal():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    found = number(value)
    return None if found is None or abs(found) > LAST else round(found * 1000)


def parts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def manifold_prices(body: Any, ref: str) -> Iterator[Statement]:
    for market, entry in _object(body).items():
        if (p := share(_object(entry).get("prob"))) is not None:
            yield market, "yes", "now", p
        for answer, price in _object(_object(entry).get("answerProbs")).items():
            if (p := share(price)) is not None:
                yield market, answer, "now", p


def manifold_market(body: Any, ref: str) -> Iterator[Statement]:
    market = _object(body)
    name, resolved = str(market.get("id")), market.get("isResolved") is True
    kind = market.get("outcomeType")
    if kind == "BINARY":
        word, paid = market.get("resolution"), share(market.get("resolutionProbability"))
        ends = {"YES": 1.0, "NO": 0.0, "MKT": paid}
        p = ends.get(word) if resolved and isinstance(word, str) else share(market.get("probability"))
        if p is not None:
            yield name, "yes", "end" if resolved else "now", p
    elif kind in ("MULTIPLE_CHOICE", "MULTI_NUMERIC", "DATE", "NUMBER"):
        for answer in parts(market.get("answers")):
            word, own = answer.get("resolution"), str(answer.get("id"))
            word = word if isinstance(word, str) else market.get("resolution")
            ended = resolved or answer.get("resolution") is not None
            if not ended and (p := share(answer.get("probability"))) is not None:
                yield name, own, "now", p
            for key in ("resolutionProbability", "probability"):
                if ended and word in ("MKT", "CHOOSE_MULTIPLE") and (p := share(answer.get(key))) is not None:
                    yield name, own, "end", p
            if ended and isinstance(word, str) and word not in ("MKT", "CHOOSE_MULTIPLE", "CANCEL"):
                yield name, own, "end", float(word in ("YES", own))


def manifold_bets(body: Any, ref: str) -> Iterator[Statement]:
    for bet in parts(body):
        at, p = number(bet.get("createdTime")), share(bet.get("probAfter"))
        if not (number(bet.get("amount")) or bet.get("fills")):
            continue  # an order nobody has taken
        if at is not None and p is not None and bet.get("contractId") == ref:
            yield ref, "yes" if bet.get("answerId") is None else str(bet["answerId"]), int(at), p


def metaculus_post(body: Any, ref: str) -> Iterator[Statement]:
    post = _object(body)
    question = _object(post.get("question"))
    name, kind = str(post.get("id")), question.get("type")
    outcomes = ["yes"]
    if kind == "multiple_choice":
        outcomes = _list(question.get("all_options_ever") or question.get("options"))
    method = question.get("default_aggregation_method")
    method = method if isinstance(method, str) and method else "recency_weighted"
    told = _object(_object(question.get("aggregations")).get(method))
    latest = _object(told.get("latest"))
    for step in [*parts(told.get("history")), latest]:
        at = millis(number(step.get("start_time")))
        twin = _list(latest.get("centers")) if latest.get("start_time") == step.get("start_time") else []
        for place, (outcome, center) in enumerate(zip(outcomes, _list(step.get("centers")), strict=False)):
            withdrawn = place < len(twin) and twin[place] is None
            if at is not None and not withdrawn and (p := share(center)) is not None:
                yield name, str(outcome), at, p
    word = question.get("resolution")
    if kind == "binary" and word in ("yes", "no"):
        yield name, "yes", "end", float(word == "yes")
    elif kind == "multiple_choice" and isinstance(word, str):
        for outcome in outcomes:
            yield name, str(outcome), "end", float(outcome == word)


def polymarket_listing(body: Any, ref: str) -> Iterator[Statement]:
    for row in parts(_object(body).get("markets")):
        name = str(row.get("conditionId")).lower()
        bid, ask = share(row.get("bestBid")), share(row.get("bestAsk"))
        middle = None if bid is None or ask is None else (bid + ask) / 2
        for price in (middle, share(row.get("lastTradePrice"))):
            if price is not None and row.get("closed") is not True:
                yield name, "yes", "now", price


def polymarket_history(body: Any, ref: str) -> Iterator[Statement]:
    """Up to the payout, which is a point without a step."""
    points = parts(_object(body).get("data"))
    paid = min((at for at in map(_payout, points) if at is not None), default=None)
    for point in points:
        at, price = millis(point.get("timestamp")), share(point.get("price"))
        if at is not None and price is not None and (paid is None or at < paid):
            yield ref.partition(",")[0], "yes", at, price


def _payout(point: dict[str, Any]) -> int | None:
    """When a payout was, if a point is one."""
    step = point.get("resolution_seconds")
    whole = isinstance(step, int) and not isinstance(step, bool) and share(point.get("price")) is not None
    return millis(point.get("timestamp")) if whole and step <= 0 else None


def kalshi_markets(body: Any, ref: str) -> Iterator[Statement]:
    for row in parts(_object(body).get("markets")):
        name = str(row.get("ticker"))
        bid, ask = share(row.get("yes_bid_dollars")), share(row.get("yes_ask_dollars"))
        middle = None if bid is None or ask is None else (bid + ask) / 2
        if row.get("status") == "finalized":
            paid = share(row.get("settlement_value_dollars"))
            ends = {"yes": 1.0, "no": 0.0, "scalar": paid}
            result = row.get("result")
            end = ends.get(result) if isinstance(result, str) else None
            if end is not None:
                yield name, "yes", "end", end
        elif row.get("status") in ("initialized", "inactive", "active"):
            for price in (middle, share(row.get("last_price_dollars"))):
                if price is not None:
                    yield name, "yes", "now", price


def kalshi_candles(body: Any, ref: str) -> Iterator[Statement]:
    for market in parts(_object(body).get("markets")):
        for candle in parts(market.get("candlesticks")):
            at = millis(number(candle.get("end_period_ts")))
            bid, ask, last = (
                share(_object(candle.get(name)).get("close_dollars"))
                for name in ("yes_bid", "yes_ask", "price")
            )
            middle = None if bid is None or ask is None else (bid + ask) / 2
            for price in (middle, last):
                named = ref in (market.get("market_ticker"), market.get("ticker"))
                if price is not None and at is not None and named:
                    yield ref, "yes", at, price


def fatebook_question(body: Any, ref: str) -> Iterator[Statement]:
    """Means of everybody's latest forecast, at each time there is one up to now. Ids have at most 100 characters."""
    question = _object(body)
    forecasts = []
    for one in parts(question.get("forecasts")):
        at, p = one.get("createdAt"), share(one.get("forecast"))
        user = _object(one.get("user")).get("id")
        chosen = one.get("option")
        option = _object(chosen).get("text") if chosen is not None else None
        if not isinstance(_object(chosen).get("id"), str | None):
            continue
        when = text_millis(at)
        known = isinstance(user, str) and 0 < len(user) <= 100
        plain = option is None or isinstance(option, str)
        if when is not None and when <= NOW and p is not None and known and plain:
            forecasts.append((when, user, p, option))
    binary = question.get("type") == "BINARY"
    for outcome in {one[3] for one in forecasts}:
        own = sorted(one[:3] for one in forecasts if one[3] == outcome)
        for moment in {one[0] for one in own}:
            latest = {user: p for at, user, p in own if at <= moment}
            mean = math.fsum(latest.values()) / len(latest)
            name = "yes" if binary else "".join(filter(str.isprintable, outcome or "")).strip()[:200] or "?"
            yield ref, name, moment, mean
            yield ref, name, "now", mean
    if question.get("resolved") is True and question.get("resolution") in ("YES", "NO"):
        yield ref, "yes", "end", float(question["resolution"] == "YES")


def forecastbench_outcomes(body: Any, ref: str) -> Iterator[Statement]:
    for row in parts(_object(body).get("resolutions")):
        p, day = share(row.get("resolved_to")), row.get("resolution_date")
        at = millis(f"{day}T23:59:59+00:00") if isinstance(day, str) else None
        if p is not None and at is not None:
            yield str(row.get("id")), "yes", "end" if row.get("resolved") is True else at, p


def forecastbench_questions(body: Any, ref: str) -> Iterator[Statement]:
    for row in parts(_object(body).get("questions")):
        p, at = share(row.get("freeze_datetime_value")), millis(row.get("freeze_datetime"))
        if p is not None and at is not None:
            yield str(row.get("id")), "yes", at, p


def metr_results(body: bytes, ref: str) -> Iterator[Statement]:
    """All scalars as text; PyYAML's own reading, in which the later of two equal keys counts."""
    try:
        top = yaml.load(body, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, ValueError):
        return
    for key, row in _object(_object(top).get("results")).items():
        day = _object(row).get("release_date")
        at = millis(f"{day.strip()}T00:00:00+00:00") if isinstance(day, str) else None
        for metric in ("p50", "p80"):
            estimate = _object(_object(_object(row).get("metrics")).get(f"{metric}_horizon_length"))
            text = estimate.get("estimate")
            value = number(text.replace("_", "") if isinstance(text, str) else None)  # YAML 1.1: 1_000
            if at is not None and value is not None and value > 0:
                yield str(key), metric, at, value


Reader = Callable[[Any, str], Iterator[Statement]]

"""What a poll of hundreds of known questions costs on Polymarket, Kalshi, ForecastBench and Fatebook."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from questions.records import OutcomeState
from tests.servers.spec import load_spec
from tests.sources.answers import AT, PAYLOADS, link
from tests.sources.test_poll_cost import World
from tracker.source import Request, Rereading
from tracker.sources import SOURCES

GAMMA, DATA, KALSHI = (
    load_spec(name) for name in ("polymarket-gamma-read", "polymarket-data-v2-read", "kalshi-read-3.30.0")
)
MANY = 250
CONDITIONS = [f"0x{number:064x}" for number in range(MANY)]
TICKERS = [f"KXEX{number:03d}-27-A" for number in range(MANY)]
QUESTIONS = [f"exQ{number}" for number in range(60)]
ROUND, ASKED, QUESTION = (
    json.loads((PAYLOADS / path).read_bytes())
    for path in (
        "forecastbench/2026-11-08_resolution_set.json",
        "forecastbench/2026-11-08-llm.json",
        "fatebook/question.json",
    )
)


def polymarket(decided: set[str]) -> Callable[[Request], Any]:
    def reply(request: Request) -> Any:
        params = dict(request.params)
        if request.path == "v2/prices-history":
            return DATA.example("dataHistory", "whole_life")
        if request.path == "v2/resolutions":
            (row,) = DATA.example("dataResolutions", "yes")["data"]
            return {"data": [{**row, "condition_id": one} for one in params["condition_id"].split(",")]}
        closed = "closed" in params
        shown = GAMMA.example("gammaMarket", "resolved_yes" if closed else "open")
        ids = [one for name, one in request.params if name == "condition_ids"]
        return {"markets": [{**shown, "conditionId": one} for one in ids if (one in decided) == closed]}

    return reply


def kalshi(decided: set[str]) -> Callable[[Request], Any]:
    def market(ticker: str) -> dict[str, Any]:
        shown = KALSHI.example("getMarket", "finalized_yes" if ticker in decided else "open")["market"]
        return {**shown, "ticker": ticker, "event_ticker": ticker.removesuffix("-A")}

    def reply(request: Request) -> Any:
        params, name = dict(request.params), request.path.rpartition("/")[2]
        if request.path == "markets":
            return {"markets": [market(one) for one in params["tickers"].split(",")], "cursor": ""}
        if request.path == "markets/candlesticks":
            days = copy.deepcopy(KALSHI.example("batchCandles", "two")["markets"][0])
            return {"markets": [{**days, "market_ticker": params["market_tickers"]}]}
        if request.path.startswith("events/"):
            event = KALSHI.example("getEvent", "nested")["event"]
            return {"event": {**event, "event_ticker": name, "markets": [market(f"{name}-A")]}}
        return {"market": market(name)}

    return reply


def forecastbench(decided: set[str]) -> Callable[[Request], Any]:
    return lambda request: ASKED if "question_sets" in request.path else ROUND


def fatebook(decided: set[str]) -> Callable[[Request], Any]:
    over = {"resolved": True, "resolution": "NO", "resolvedAt": "2026-11-01T00:00:00.000Z"}

    def reply(request: Request) -> Any:
        rows = {one: {**QUESTION, **(over if one in decided else {})} for one in request.ref.split(",")}
        if request.path == "v0/getQuestion":
            return rows[request.ref]
        return {"items": [{**row, "id": one} for one, row in rows.items()]}

    return reply


PLATFORMS = {
    "polymarket": (polymarket, "polymarket", CONDITIONS),
    "kalshi": (kalshi, "kalshi", TICKERS),
    "forecastbench": (forecastbench, "metaculus", ["990001"]),
    "fatebook": (fatebook, "fatebook", QUESTIONS),
}


def known(name: str, count: int = MANY) -> tuple[World, set[str], list[Request]]:
    """Questions that were polled once, which of them are decided, and what is asked from now on."""
    make, platform, ids = PLATFORMS[name]
    decided, asked = set[str](), list[Request]()
    answer = make(decided)

    def reply(request: Request) -> Any:
        asked.append(request)
        return answer(request)

    world = World(SOURCES[name], [link(platform, one) for one in ids[:count]], reply)
    world.poll()
    asked.clear()
    return world, decided, asked


@pytest.mark.parametrize(
    ("name", "hours", "most"),
    [
        ("polymarket", [1, 2, 24, 168], 5),
        ("kalshi", [1, 2, 24, 168], 6),
        ("forecastbench", [24, 24, 24, 24], 8),
        ("fatebook", [6, 12, 24, 168], 1),
    ],
)
def test_a_poll_of_known_questions_costs_a_handful_of_requests(
    name: str, hours: list[int], most: int
) -> None:
    """With Manifold's 6, Metaculus's 5 and METR's 2 a cycle of all sources over a thousand stays below 40."""
    world, _, asked = known(name)
    costs = [world.poll(later).requests for later in hours]
    pointers = sum(request.ref == "latest" for request in asked) // len(hours)  # each leads to one file more
    assert max(costs) + pointers <= most
    assert len(world.store.latest()) == len({one.external_id for one in world.links})


@pytest.mark.parametrize("name", ["polymarket", "kalshi"])
def test_every_known_question_has_its_value_at_every_poll(name: str) -> None:
    world, _, _ = known(name)
    assert world.poll().values == MANY


@pytest.mark.parametrize("name", ["polymarket", "kalshi"])
def test_an_outcome_is_seen_at_the_next_poll_and_a_settled_question_costs_little(name: str) -> None:
    world, decided, asked = known(name, 100)
    decided |= {one.external_id for one in world.links[::2]}
    first = world.poll()
    assert (first.requests <= 8, first.appended.resolutions_new) == (True, 50)
    assert world.poll().requests <= 6  # the decided ones are asked for together now
    world.poll(31 * 24)
    asked.clear()
    later = world.poll()
    by_path = Counter(request.path for request in asked)
    assert later.requests <= 4
    assert later.values == 50
    assert by_path["markets/keyset" if name == "polymarket" else "markets"] <= 3
    assert len(world.store.resolutions()) == 50


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("name", ["polymarket", "kalshi", "fatebook"])
def test_an_outcome_that_is_taken_back_is_no_outcome_and_may_come_again(name: str, count: int) -> None:
    world, decided, _ = known(name, count)
    question = world.links[0].external_id
    decided.add(question)
    world.poll(6)
    first = world.outcome(question)
    assert first in (OutcomeState.YES, OutcomeState.NO)
    decided.clear()
    for _ in range(3):
        world.poll(7 * 24)
    assert world.outcome(question) is OutcomeState.UNRESOLVED
    decided.add(question)
    world.poll(6)
    assert world.outcome(question) is first


#: Requests that unchanged answers lead to, at most: ForecastBench's pointer to its newest questions, Kalshi's
#: events whose turn it is, the newest release in a tree of files.
FOLLOWING = {"forecastbench": 1, "kalshi": 3, "aei": 1}


def followed(name: str) -> list[tuple[str, str]]:
    """The questions of a platform that are followed; ForecastBench delivers those of its platforms too."""
    ids = {
        "manifold": [f"market{number:03d}" for number in range(MANY)],
        "metaculus": [str(990_000 + number) for number in range(MANY)],
        "polymarket": CONDITIONS,
        "kalshi": TICKERS,
        "fatebook": QUESTIONS[:0],
    }
    if name == "forecastbench":
        return [
            (platform, one) for platform in ("manifold", "metaculus", "polymarket") for one in ids[platform]
        ]
    return [(name, one) for one in ids.get(name, [])]


def test_a_cycle_of_all_sources_over_a_thousand_known_questions_costs_forty_requests() -> None:
    """Every source polled once more, each a period of its own after the last poll; nothing has changed."""
    cost: Counter[str] = Counter()
    for name, source in SOURCES.items():
        links = [link(platform, one) for platform, one in followed(name)]
        last = AT - timedelta(hours=source.traits.period_hours)
        if isinstance(source, Rereading):
            requests = source.plan_after(links, last, AT).requests
        else:
            requests = source.plan(links, AT, None).requests
        cost[name] = len(requests) + FOLLOWING.get(name, 0)
    assert sum(len(followed(name)) for name in ("manifold", "metaculus", "polymarket", "kalshi")) == 1000
    assert sum(cost.values()) <= 40, cost

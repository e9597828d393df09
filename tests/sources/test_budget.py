"""What a poll costs: hundreds of known questions in a handful of requests, and an outcome is seen all the same."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from questions.model import Link
from questions.time import EPOCH
from storage.memory import MemoryStore
from storage.records import RawPayload, Validator
from tests.servers.spec import load_spec
from tests.sources.answers import AT, PAYLOADS, link
from tests.tracker.fakes import Clock
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.http import NotModified, kept_url, request_url
from tracker.source import Request, SourceTraits
from tracker.sources import SOURCES

GAMMA, DATA, KALSHI = (
    load_spec(name) for name in ("polymarket-gamma-read", "polymarket-data-v2-read", "kalshi-read-3.30.0")
)
CONDITIONS = [f"0x{number:064x}" for number in range(250)]
TICKERS = [f"KXEX{number:03d}-27-A" for number in range(250)]
QUESTIONS = [f"exQ{number}" for number in range(60)]
ROUND = (PAYLOADS / "forecastbench" / "2026-11-08_resolution_set.json").read_bytes()
ASKED = (PAYLOADS / "forecastbench" / "2026-11-08-llm.json").read_bytes()
QUESTION = json.loads((PAYLOADS / "fatebook" / "question.json").read_bytes())


@dataclass
class Platforms:
    """Polymarket, Kalshi, ForecastBench and Fatebook in one: what is decided is said in the test."""

    decided: set[str] = field(default_factory=set)
    asked: list[Request] = field(default_factory=list)

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModified:
        self.asked.append(request)
        url = kept_url(self.url_for(request, base_url))
        if validator is not None:
            return NotModified(request.source, request.ref, url, now(), validator.payload_sha256)
        body = getattr(self, f"_{request.source}")(request, dict(request.params))
        headers = {"etag": '"a"'} if request.conditional else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return RawPayload(request.source, request.ref, url, now(), 200, "application/json", data, headers)

    def url_for(self, request: Request, base_url: str) -> str:
        return request_url(base_url, request)

    def _polymarket(self, request: Request, params: Mapping[str, str]) -> Any:
        if request.path == "v2/prices-history":
            return DATA.example("dataHistory", "whole_life")
        if request.path == "v2/resolutions":
            (row,) = DATA.example("dataResolutions", "yes")["data"]
            return {"data": [{**row, "condition_id": one} for one in params["condition_id"].split(",")]}
        closed = "closed" in params
        shown = GAMMA.example("gammaMarket", "resolved_yes" if closed else "open")
        ids = [one for name, one in request.params if name == "condition_ids"]
        return {"markets": [{**shown, "conditionId": i} for i in ids if (i in self.decided) == closed]}

    def _kalshi(self, request: Request, params: Mapping[str, str]) -> Any:
        if request.path == "markets":
            return {"markets": [self._market(one) for one in params["tickers"].split(",")], "cursor": ""}
        if request.path == "markets/candlesticks":
            days = copy.deepcopy(KALSHI.example("batchCandles", "two")["markets"][0])
            return {"markets": [{**days, "market_ticker": params["market_tickers"]}]}
        name = request.path.rpartition("/")[2]
        if request.path.startswith("events/"):
            event = KALSHI.example("getEvent", "nested")["event"]
            return {"event": {**event, "event_ticker": name, "markets": [self._market(f"{name}-A")]}}
        return {"market": self._market(name)}

    def _market(self, ticker: str) -> dict[str, Any]:
        shown = KALSHI.example("getMarket", "finalized_yes" if ticker in self.decided else "open")["market"]
        return {**shown, "ticker": ticker, "event_ticker": ticker.removesuffix("-A")}

    def _forecastbench(self, request: Request, params: Mapping[str, str]) -> Any:
        if request.ref == "latest":
            return b"2026-11-08-llm.json"
        return ASKED if "question_sets" in request.path else ROUND

    def _fatebook(self, request: Request, params: Mapping[str, str]) -> Any:
        return {"items": [{**QUESTION, "id": one} for one in request.ref.split(",")]}


@dataclass
class Poll:
    """Polls of one source after another, over the same links, with one memory."""

    source: str
    links: list[Link]
    net: Platforms = field(default_factory=Platforms)
    clock: Clock = field(default_factory=lambda: Clock(AT))
    store: MemoryStore = field(default_factory=MemoryStore)

    def once(self, **later: float) -> SourceReport:
        self.clock.forward(**later)
        settings = Settings(fatebook_key="k")
        report = Collector(self.store, SOURCES[self.source], self.net, settings, self.clock).run(self.links)
        assert (report.status, report.errors) == ("ok", [])
        return report


def known(source: str, platform: str, ids: list[str]) -> Poll:
    poll = Poll(source, [link(platform, one) for one in ids])
    poll.once()
    poll.net.asked.clear()
    return poll


@pytest.fixture(scope="module")
def everything() -> dict[str, Poll]:
    """560 questions of four sources, all known."""
    return {
        "polymarket": known("polymarket", "polymarket", CONDITIONS),
        "kalshi": known("kalshi", "kalshi", TICKERS),
        "forecastbench": known("forecastbench", "metaculus", ["990001"]),
        "fatebook": known("fatebook", "fatebook", QUESTIONS),
    }


def test_a_poll_of_hundreds_of_known_questions_costs_a_handful_of_requests(
    everything: dict[str, Poll],
) -> None:
    """Measured: 5 + 5 + 14 + 1. A cycle of all sources is to stay below 40 for a thousand questions."""
    costs = {
        name: max(poll.once(hours=hours).requests for hours in (1, 2, 24, 30))
        for name, poll in everything.items()
    }
    assert costs["polymarket"] <= 5
    assert costs["kalshi"] <= 5
    assert costs["forecastbench"] <= 14
    assert costs["fatebook"] == 1
    assert sum(costs.values()) <= 25


@pytest.mark.parametrize("source", ["polymarket", "kalshi"])
def test_every_known_question_has_its_value_at_every_poll(source: str, everything: dict[str, Poll]) -> None:
    assert everything[source].once(hours=1).values == 250


def test_every_hour_of_a_week_costs_no_more() -> None:
    links = [link("kalshi", one) for one in TICKERS]
    for hour in range(168):
        requests = SOURCES["kalshi"].plan(links, EPOCH + timedelta(hours=hour), None).requests
        whole = sum(part.startswith("whole=") for request in requests for part in request.ref.split(","))
        assert len(requests) + whole <= 5


@pytest.mark.parametrize(
    ("source", "ids"), [("polymarket", CONDITIONS), ("kalshi", TICKERS)], ids=["polymarket", "kalshi"]
)
def test_an_outcome_is_seen_at_the_next_poll_and_a_settled_question_costs_little(
    source: str, ids: list[str]
) -> None:
    poll = known(source, source, ids[:100])
    poll.net.decided |= set(ids[:100:2])
    first = poll.once(hours=1)
    assert first.appended.resolutions_new == 50
    assert first.requests <= 8
    assert poll.once(hours=1).requests <= 6  # the decided ones are asked for together now
    later = poll.once(days=31)
    by_path = Counter(request.path for request in poll.net.asked[-later.requests :])
    listed = "markets/keyset" if source == "polymarket" else "markets"
    assert by_path[listed] <= 3
    assert later.requests <= 6
    assert len(poll.store.resolutions()) == 50

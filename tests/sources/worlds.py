"""Every platform in small on one loopback port, and one poll of it through the real client, collector and store.

    with World("manifold") as world:
        report = world.poll()                  # honest answers
        world.fault = lambda seen, body: reply(503)
        report = world.poll()                  # every answer is spoiled

``world.stored()`` is everything the store says, told so that two stores can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from storage.memory import MemoryStore
from storage.store import Store
from tests.servers.local import Answer, LocalServer, Seen, reply
from tests.servers.spec import load_spec
from tests.sources.answers import AT, GOOD, PAYLOADS, link
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.drift import compare
from tracker.http import HttpClient, HttpSettings
from tracker.sources import SOURCES

QUICK = HttpSettings(attempts=1, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)
KEY = "0123456789"
MARKET, POST, CONDITION, TICKER = "exMkt0001AbC", "990001", "0x" + "ab" * 32, "KXEX10X-27-A"
QUESTION, EVENT = "exQuestion1", "KXEX10X-27"

Stored = dict[tuple[str, str, str, str], dict[str, float | str]]
Fault = Callable[[Seen, bytes], Answer]


def _bodies() -> dict[str, dict[str, bytes]]:
    """source -> path -> what it answers there; everything else is a 404."""
    manifold, metaculus = load_spec("manifold-read"), load_spec("metaculus-read")
    kalshi, gamma = load_spec("kalshi-read-3.30.0"), load_spec("polymarket-gamma-read")
    data, clob = load_spec("polymarket-data-v2-read"), load_spec("polymarket-clob-read")
    post = metaculus.example("getPost", "binary_open")
    sets, files = "/datasets/resolution_sets", PAYLOADS / "forecastbench"
    json_of = {
        "manifold": {
            f"/v0/market/{MARKET}": manifold.example("getMarket", "binary"),
            "/v0/market-probs": {MARKET: {"prob": 0.2594}},
            "/v0/bets": manifold.example("listBets", "page"),
        },
        "metaculus": {
            f"/api/posts/{POST}/": post,
            "/api/posts/": {"next": None, "previous": None, "results": [post]},
        },
        "polymarket": {
            "/gamma/markets/keyset": gamma.example("gammaMarketsKeyset", "page1"),
            "/data/v2/prices-history": data.example("dataHistory", "whole_life"),
            "/clob/prices-history": clob.example("clobHistory", "points"),
        },
        "kalshi": {
            f"/markets/{TICKER}": kalshi.example("getMarket", "open"),
            "/markets": {"markets": [kalshi.example("getMarket", "open")["market"]], "cursor": ""},
            "/markets/candlesticks": {"markets": kalshi.example("batchCandles", "two")["markets"][:1]},
            "/historical/markets": {"markets": [], "cursor": ""},
            f"/events/{EVENT}": kalshi.example("getEvent", "nested"),
        },
        "fatebook": {"/v0/getQuestion": json.loads(GOOD["fatebook"][2])},
        "forecastbench": {
            f"{sets}/2026-11-08_resolution_set.json": json.loads(GOOD["forecastbench"][2]),
            "/datasets/question_sets/2026-11-08-llm.json": json.loads(
                (files / "2026-11-08-llm.json").read_bytes()
            ),
        },
        "metr": {},
    }
    bodies = {
        source: {path: json.dumps(value).encode() for path, value in paths.items()}
        for source, paths in json_of.items()
    }
    bodies["forecastbench"]["/datasets/question_sets/latest-llm.json"] = b"2026-11-08-llm.json"
    for suite in ("1_0", "1_1"):
        body = (PAYLOADS / "metr" / f"horizon_{suite}.yaml").read_bytes()
        bodies["metr"][f"/assets/benchmark_results_{suite}.yaml"] = body
    return bodies | _tables()


def _tables() -> dict[str, dict[str, bytes]]:
    """The feeds of measurements that are tables: each good answer at its own address, and what follows from it."""
    paths = {
        "epoch_hub": "/data/benchmark_data.zip",
        "epoch_eci": "/data/eci_scores.csv",
        "epoch_dc": "/data/data_centers/data_center_timelines.csv",
        "swebench": "/data/leaderboards.json",
        "mlebench": "/README.md",
        "aei": "/api/datasets/Anthropic/EconomicIndex/tree/main",
    }
    bodies = {name: {path: GOOD[name][2]} for name, path in paths.items()}
    files = "/datasets/Anthropic/EconomicIndex/resolve/main"
    week = "release_2026_01_15/data/intermediate/aei_raw_1p_api_2025-11-13_to_2025-11-20.csv"
    month = "release_2026_06_26/data/aei_1p_api_2026-06-26.csv"
    bodies["aei"][f"{files}/{week}"] = (PAYLOADS / "aei" / "weeks.csv").read_bytes()
    bodies["aei"][f"{files}/{month}"] = (PAYLOADS / "aei" / "months.csv").read_bytes()
    return bodies


BODIES = _bodies()

#: What each source is asked about: (platform, id).
FOLLOWED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "manifold": (("manifold", MARKET),),
    "metaculus": (("metaculus", POST),),
    "polymarket": (("polymarket", CONDITION),),
    "kalshi": (("kalshi", TICKER),),
    "fatebook": (("fatebook", QUESTION),),
    "forecastbench": (
        ("manifold", "exMkt0001"),
        ("manifold", "exMkt0002"),
        ("metaculus", POST),
        ("polymarket", "0x" + "0" * 62 + "aa"),
        ("polymarket", "0x" + "0" * 62 + "bb"),
        ("infer", "4321"),
    ),
    **dict.fromkeys(("metr", "epoch_hub", "epoch_eci", "epoch_dc", "swebench", "mlebench", "aei"), ()),
}

#: A client that waits for nobody: shared, because making one takes longer than a poll.
CLIENT = HttpClient(user_agent="speedup-tracker tests", settings=QUICK)


@dataclass
class World:
    """One platform, its followed questions, a store, and a clock that stands at ``now``."""

    source: str
    store: Store = field(default_factory=MemoryStore)
    client: HttpClient = CLIENT
    now: datetime = AT
    fault: Fault | None = None
    server: LocalServer = field(default_factory=LocalServer)

    def __enter__(self) -> Self:
        self.server.route_others(self._answer)
        self.server.__enter__()
        self.client._holds.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def _answer(self, seen: Seen) -> Answer:
        body = BODIES[self.source].get(seen.path)
        if body is None:
            return reply(404, b'{"detail": "Not found."}')
        return reply(200, body) if self.fault is None else self.fault(seen, body)

    @property
    def settings(self) -> Settings:
        bases = {"polymarket_gamma": "/gamma", "polymarket_data": "/data", "polymarket_clob": "/clob"}
        traits = SOURCES[self.source].traits
        names = (traits.setting, *traits.other_bases)
        urls = {f"{name}_url": self.server.url + bases.get(name, "") for name in names}
        return Settings.model_validate({**urls, "metaculus_token": KEY, "fatebook_key": KEY})

    def poll(self, since: datetime | None = None) -> SourceReport:
        """One poll of all that is followed."""
        links = [link(platform, one) for platform, one in FOLLOWED[self.source]]
        source = SOURCES[self.source]
        return Collector(self.store, source, self.client, self.settings, lambda: self.now).run(links, since)

    def drifts(self) -> list[str]:
        """What differs in the stored answers from the shapes expected of them."""
        return [
            f"{one.place}: {one.kind.value}"
            for raw in self.store.raw_payloads(self.source)
            for one in compare(self.source, raw)
        ]

    def stored(self) -> Stored:
        return stored(self.store)


def stored(store: Store) -> Stored:
    """Everything a store says: stream -> time -> number or state; resolutions and measurements likewise."""
    told: Stored = {}
    for key in store.streams():
        name = (key.source, key.external_id, key.outcome, key.quantity.value)
        for seen in store.history(key):
            one = seen.snapshot
            number = one.probability if one.probability is not None else one.value
            told.setdefault(name, {})[one.as_of.isoformat()] = one.state.value if number is None else number
    for end in store.resolutions():
        name = (end.source, end.external_id, end.outcome, "resolution")
        said = end.state.value if end.value is None else end.value
        told.setdefault(name, {})["end"] = said
    for series in store.series_ids():
        for point in store.measurements(series):
            told.setdefault(("metr", series, point.key, point.metric), {})[point.at.isoformat()] = point.value
    return told


def numbers(told: Stored) -> set[tuple[tuple[str, str, str, str], str, float]]:
    """The numbers among what a store says, each with its stream and its time."""
    return {
        (name, at, said)
        for name, points in told.items()
        for at, said in points.items()
        if not isinstance(said, str)
    }


def later(world: World, **amount: float) -> None:
    """The world's clock goes on."""
    world.now += timedelta(**amount)

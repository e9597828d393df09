"""What holds of every adapter together with the store: nothing is lost in writing and reading, pages may come in
any order, and polls may be interleaved in any way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings, strategies as st

from questions.model import Link
from questions.time import EPOCH
from storage.memory import MemoryStore
from storage.records import RawPayload
from tests.fuzz import readers
from tests.sources.answers import AT, SOME_ID, answer, link
from tests.sources.manifold_bets import MARKET, path_of
from tests.sources.replay import Paths, replay_nights, replay_own
from tests.sources.worlds import CONDITION, TICKER, Stored, stored
from tracker.collect import Collector
from tracker.config import Settings
from tracker.http import request_url
from tracker.source import Request, SourceTraits
from tracker.sources import SOURCES

CHANCES = st.integers(1, 9999).map(lambda number: number / 10_000)
DAYS = st.integers(0, 300).map(lambda number: date(2025, 6, 1) + timedelta(days=number))
PATHS = st.dictionaries(DAYS, CHANCES, min_size=1, max_size=12).map(lambda path: dict(sorted(path.items())))
FEW = settings(max_examples=10, deadline=None)
MANY = settings(max_examples=50, deadline=None)


# --- written down and read again ------------------------------------------------------------------------


@FEW
@given(PATHS, PATHS, PATHS)
def test_any_path_survives_its_platforms_format(bets: Any, steps: Any, points: Any) -> None:
    """Manifold's bets, Metaculus's steps, Polymarket's points: served, collected, stored, equal."""
    paths: Paths = {
        ("manifold", MARKET): bets,
        ("metaculus", "990001"): steps,
        ("polymarket", SOME_ID["polymarket"]): points,
    }
    done = replay_own(paths, MemoryStore())
    assert done.differences == []
    assert done.values == len(bets) + len(steps) + len(points)


@FEW
@given(PATHS)
def test_any_nights_survive_forecastbench(path: dict[date, float]) -> None:
    paths: Paths = {(platform, "7"): path for platform in ("infer", "manifold", "metaculus", "polymarket")}
    done = replay_nights(paths, [*path][:3], MemoryStore())
    assert (done.differences, done.values) == ([], 4 * min(3, len(path)))


@MANY
@given(st.dictionaries(DAYS, st.tuples(st.integers(1, 9000), st.integers(0, 1000)), min_size=1, max_size=20))
def test_any_narrow_quotes_survive_kalshis_candles(book: dict[date, tuple[int, int]]) -> None:
    """The middle of bid and ask, in ten thousandths of a dollar."""
    rows = [candle(moment(day), bid, min(bid + width, 9_999)) for day, (bid, width) in book.items()]
    told = read("kalshi", candles(rows), TICKER, f"markets/candlesticks?market_tickers={TICKER}")
    assert told == {
        moment(day): (bid + min(bid + width, 9_999)) / 20_000 for day, (bid, width) in sorted(book.items())
    }


@MANY
@given(st.lists(st.tuples(DAYS, st.sampled_from("ABC"), CHANCES), min_size=1, max_size=12))
def test_any_forecasts_of_a_team_survive_as_their_means(made: list[tuple[date, str, float]]) -> None:
    body = {
        "title": "?",
        "type": "BINARY",
        "resolved": True,
        "resolution": "AMBIGUOUS",
        "forecasts": [
            {"forecast": p, "createdAt": moment(day).isoformat(), "user": {"id": user, "name": user}}
            for day, user, p in made
        ],
    }
    told = read("fatebook", body, "exQuestion1", "v0/getQuestion?questionId=exQuestion1")
    latest = {(day, user): p for day, user, p in sorted(made)}  # of one moment the greatest counts
    expected = {}
    for now in {day for day, _ in latest}:
        newest = {user: p for (day, user), p in sorted(latest.items()) if day <= now}
        expected[moment(now)] = sum(newest.values()) / len(newest)
    assert told.keys() == expected.keys()
    assert all(abs(told[at] - mean) < 1e-12 for at, mean in expected.items())


@MANY
@given(
    st.dictionaries(
        st.text("abcdefghij_-", min_size=1, max_size=12),
        st.tuples(DAYS, st.floats(1e-3, 1e6), st.floats(1e-3, 1e6)),
        min_size=1,
        max_size=8,
    )
)
def test_any_horizons_survive_metrs_file(systems: dict[str, tuple[date, float, float]]) -> None:
    lines = ["benchmark_name: METR-Horizon-v1.1", "results:"]
    for key, (day, p50, p80) in systems.items():
        lines += [f"  '{key}':", f"    release_date: {day}", "    metrics:"]
        for name, value in (("p50", p50), ("p80", p80)):
            lines += [f"      {name}_horizon_length:", f"        estimate: {value!r}"]
    raw = answer("metr", "\n".join(lines).encode())
    (version,) = SOURCES["metr"].parse(raw).batch.versions
    told = {(one.key, one.metric): (one.at, one.value) for one in version.measurements}
    assert told == {
        (key, metric): (day, value)
        for key, (day, *values) in systems.items()
        for metric, value in zip(("p50", "p80"), values, strict=True)
    }


@MANY
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True), CHANCES, min_size=1, max_size=20)
)
def test_any_prices_survive_the_bulk_call(prices: dict[str, float]) -> None:
    body = json.dumps({name: {"prob": p} for name, p in prices.items()}).encode()
    raw = answer("manifold", body, ref=",".join(prices), url="https://h/v0/market-probs?ids=a")
    said = SOURCES["manifold"].parse(raw).batch.snapshots
    assert {one.key.external_id: one.probability for one in said} == prices
    assert {one[0]: one[3] for one in readers.manifold_prices(json.loads(body), "")} == prices


def moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def quote(cents: int) -> dict[str, str]:
    return {"close_dollars": f"{cents / 10_000:.4f}"}


def candle(at: datetime, bid: int, ask: int) -> dict[str, Any]:
    end = int((at - EPOCH).total_seconds())
    return {"end_period_ts": end, "yes_bid": quote(bid), "yes_ask": quote(ask), "price": {}}


def candles(rows: Sequence[Any]) -> dict[str, Any]:
    return {"markets": [{"market_ticker": TICKER, "candlesticks": [*rows]}]}


def read(source: str, body: Any, ref: str, path: str) -> dict[datetime, float]:
    """The values with a time of their own that an adapter reads of one answer, sorted by it."""
    parsed = SOURCES[source].parse(answer(source, body, ref=ref, url=f"https://h/{path}"))
    assert parsed.faults == ()
    said = sorted(parsed.batch.snapshots, key=lambda one: one.as_of)
    return {one.as_of: one.probability for one in said if one.timed_by_source and one.probability is not None}


# --- pages in any order ---------------------------------------------------------------------------------


def pages(count: int, size: int) -> dict[str, list[RawPayload]]:
    """A history of ``count`` points of four platforms, cut into answers of ``size`` points each."""
    times = [1_788_220_800 + 43_200 * number for number in range(count)]
    chances = [round(0.2 + 0.6 * ((number * 7) % 11) / 11, 4) for number in range(count)]
    points = [
        {"timestamp": at, "price": p, "resolution_seconds": 43_200}
        for at, p in zip(times, chances, strict=True)
    ]
    rows = path_of(chances)
    books = [(EPOCH + timedelta(seconds=at), int(p * 9_000)) for at, p in zip(times, chances, strict=True)]
    days = [candle(at, bid, bid + 20) for at, bid in books]
    nights = [night(date(2026, 1, 1) + timedelta(days=number), p) for number, p in enumerate(chances)]
    cut = [slice(start, start + size) for start in range(0, count, size)]
    urls = {
        "polymarket": (CONDITION, "v2/prices-history?token_id=1"),
        "manifold": (MARKET, f"v0/bets?contractId={MARKET}&afterTime=0&limit=1000"),
        "kalshi": (TICKER, "markets/candlesticks"),
        "forecastbench": ("2026-01-04", "datasets/resolution_sets/2026-01-04_resolution_set.json"),
    }
    bodies: dict[str, list[Any]] = {
        "polymarket": [{"data": points[part]} for part in cut],
        "manifold": [rows[part] for part in cut],
        "kalshi": [candles(days[part]) for part in cut],
        "forecastbench": [{"resolutions": nights[part]} for part in cut],
    }
    return {
        source: [answer(source, body, ref=ref, url=f"https://h/{path}") for body in bodies[source]]
        for source, (ref, path) in urls.items()
    }


def night(day: date, p: float) -> dict[str, Any]:
    """A row of a resolution set: an open question's value at the end of a day."""
    row = {"id": "exMkt1", "source": "manifold", "direction": None, "resolution_date": day.isoformat()}
    return {**row, "resolved_to": p, "resolved": False}


@MANY
@given(st.data(), st.sampled_from(["polymarket", "manifold", "kalshi", "forecastbench"]))
def test_pages_in_any_order_and_twice_give_the_same_store(data: st.DataObject, source: str) -> None:
    count = data.draw(st.integers(1, 12))
    answers = pages(count, data.draw(st.integers(1, count)))[source]
    straight = keep(source, answers)
    assert sum(len(path) for path in straight.values()) == count
    again = data.draw(st.lists(st.sampled_from(answers), max_size=3))
    assert keep(source, data.draw(st.permutations([*answers, *again]))) == straight


def keep(source: str, answers: Sequence[RawPayload]) -> Stored:
    store = MemoryStore()
    for raw in answers:
        parsed = SOURCES[source].parse(raw)
        assert parsed.faults == ()
        store.append(parsed.batch)
    return stored(store)


# --- polls in any interleaving --------------------------------------------------------------------------


@dataclass
class Wire:
    """A client without a network: every answer is made by a function of the request and the time."""

    answers: Callable[[Request, datetime], Any]
    asked: list[str] = field(default_factory=list)

    def fetch(
        self, request: Request, traits: SourceTraits, *, base_url: str, now: Callable[[], datetime], **_: Any
    ) -> RawPayload:
        self.asked.append(request.path)
        body = json.dumps(self.answers(request, now())).encode()
        url = self.url_for(request, base_url)
        return RawPayload(traits.name, request.ref, url, now(), 200, "application/json", body)

    def url_for(self, request: Request, base_url: str) -> str:
        return request_url(base_url, request)


def price(name: str, at: datetime) -> float:
    """What a question stands at: it moves every few hours."""
    hours = int((at - AT).total_seconds() // 3600)
    return round(0.1 + 0.8 * ((hours // 3 * 37 + len(name) * 11 + ord(name[-1])) % 97) / 97, 4)


def platform(request: Request, at: datetime) -> Any:
    """Manifold and Metaculus, as far as a poll of prices needs them."""
    ids = [value for name, value in request.params if name == "ids"]
    if request.path == "v0/market-probs":
        return {one: {"prob": price(one, at)} for one in ids}
    if request.path == "v0/bets":
        return []
    name = request.path.strip("/").rpartition("/")[2]
    if request.source == "manifold":
        whole = {"id": name, "question": "?", "outcomeType": "BINARY", "isResolved": False}
        return {**whole, "probability": price(name, at)}
    posts = [post(one, at) for one in (ids or [name])]
    return {"next": None, "previous": None, "results": posts} if ids else posts[0]


def post(name: str, at: datetime) -> dict[str, Any]:
    moments = [AT + timedelta(hours=hours) for hours in range(0, 48, 3) if AT + timedelta(hours=hours) <= at]
    steps = [
        {"start_time": one.timestamp(), "end_time": None, "centers": [price(name, one)]} for one in moments
    ]
    told = {"recency_weighted": {"history": steps, "latest": steps[-1]}}
    question = {"id": 1, "title": "?", "type": "binary", "status": "open", "aggregations": told}
    return {"id": int(name), "title": "?", "status": "open", "question": question}


MARKETS = [link("manifold", name) for name in ("exMktA", "exMktBB", "exMktCCC")]
POSTS = [link("metaculus", name) for name in ("990001", "990002")]


def poll(store: MemoryStore, source: str, links: Sequence[Link], at: datetime) -> None:
    wire, keys = Wire(platform), Settings.model_validate({"metaculus_token": "t"})
    report = Collector(store, SOURCES[source], wire, keys, lambda: at).run(links)
    assert report.errors == []
    assert wire.asked


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_polls_in_any_interleaving_give_the_same_history(data: st.DataObject) -> None:
    """At each hour some sources are polled, for all questions at once or one by one, in any order."""
    hours = sorted(data.draw(st.sets(st.integers(0, 40), min_size=2, max_size=8)))
    together, apart = MemoryStore(), MemoryStore()
    for hour in hours:
        at = AT + timedelta(hours=hour)
        poll(together, "manifold", MARKETS, at)
        poll(together, "metaculus", POSTS, at)
        single = [("manifold", [one]) for one in MARKETS] + [("metaculus", [one]) for one in POSTS]
        for source, links in data.draw(st.permutations(single)):
            poll(apart, source, links, at)
    assert stored(apart) == stored(together)
    path = stored(together)["manifold", "exMktA", "yes", "play_money_price"]
    standing = {hour: price("exMktA", AT + timedelta(hours=hour)) for hour in hours}
    assert set(path.values()) == set(standing.values())

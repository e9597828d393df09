"""Manifold's history through the collector, over real HTTP and into a store: whole, once, and whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from questions.model import Link, Relation, View
from questions.records import Quantity, StreamKey
from questions.time import EPOCH
from storage import open_store
from storage.records import Observation, RawPayload, RunState
from storage.store import Store
from tests.servers.local import LocalServer, json_reply, too_many
from tests.sources.manifold_bets import CREATED, MARKET, Bet, Bets, path_of
from tests.tracker.fakes import Clock
from tracker.collect import HISTORY, Collector, SourceReport, reparse
from tracker.config import Settings
from tracker.estimates.market import read_links
from tracker.http import HttpClient, HttpSettings
from tracker.scoring.history import forecasts_from_history
from tracker.source import Request
from tracker.sources.manifold import Manifold

SOURCE = Manifold()
KEY = StreamKey("manifold", "manifold", MARKET, "yes", Quantity.PLAY_MONEY_PRICE)
LINK = Link(
    platform="manifold",
    external_id=MARKET,
    url="https://manifold.markets/x/y",
    label="a market",
    relation=Relation.PROXY,
    view=View.MODEL,
    areas=("interpretability",),
    by=datetime(2028, 1, 1, tzinfo=UTC),
)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def many(count: int) -> list[Bet]:
    """A market's life: a bet every twenty minutes; three of them in one millisecond, at the end of a page."""
    prices = [0.2 + 0.6 * (number * 7919 % 10_007) / 10_007 for number in range(count)]
    rows = path_of(prices, every=20 * 60_000)
    for number in (998, 999, 1000) if count > 1000 else ():
        rows[number]["createdTime"] = rows[998]["createdTime"]
    return rows


class Platform:
    """A market whose price follows its bets, over HTTP on loopback."""

    def __init__(self, server: LocalServer, rows: list[Bet]) -> None:
        self.server, self.bets = server, Bets(rows)
        server.route_others(self.bets.answer)
        server.route(f"/v0/market/{MARKET}", lambda _: json_reply(self.market()))
        server.route("/v0/market-probs", lambda _: json_reply({MARKET: {"prob": self.price}}))

    @property
    def price(self) -> float:
        return float(self.bets.rows[-1]["probAfter"]) if self.bets.rows else 0.5

    def market(self) -> dict[str, Any]:
        return {
            "id": MARKET,
            "question": "a question",
            "outcomeType": "BINARY",
            "createdTime": CREATED,
            "closeTime": 1830297540000,
            "probability": self.price,
            "isResolved": False,
            "uniqueBettorCount": 41,
        }

    @property
    def pages(self) -> int:
        return len(self.server.seen("/v0/bets"))


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as local:
        yield local


@pytest.fixture(params=["memory", "sqlite"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens stores, each empty, and closes them in the end."""
    opened: list[Store] = []

    def make() -> Store:
        url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / f'{len(opened)}.sqlite'}"
        opened.append(open_store(url))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


class Cut(HttpClient):
    """The real client, until the process is killed at a given page of bets."""

    def __init__(self, at_page: int | None = None) -> None:
        super().__init__(
            user_agent="tests", settings=HttpSettings(attempts=1, backoff_max_s=0.0, backoff_initial_s=0.0)
        )
        self.left = at_page

    def fetch(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if request.path == "v0/bets" and self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return super().fetch(request, *args, **kwargs)


def collect(
    store: Store,
    server: LocalServer,
    clock: Clock,
    since: datetime | None = None,
    *,
    cut_at: int | None = None,
    link: Link = LINK,
) -> SourceReport:
    with Cut(cut_at) as client:
        settings = Settings(manifold_url=server.url)
        return Collector(store, SOURCE, client, settings, clock).run([link], since)


def timed(store: Store) -> list[tuple[datetime, float | None]]:
    return [
        (one.snapshot.as_of, one.snapshot.probability)
        for one in store.history(KEY)
        if one.snapshot.timed_by_source
    ]


def expected(rows: list[Bet]) -> list[tuple[datetime, float]]:
    """The price the market was made with, and the last one of every millisecond with a bet."""
    last = {row["createdTime"]: row["probAfter"] for row in rows}
    made = {CREATED: rows[0]["probBefore"], **last}
    return [(EPOCH + timedelta(milliseconds=ms), price) for ms, price in made.items()]


# --- whole, and once ------------------------------------------------------------------------------------


def test_a_first_sight_brings_the_whole_history(server: LocalServer, new_store: Callable[[], Store]) -> None:
    rows = many(2500)
    platform, store = Platform(server, rows), new_store()
    report = collect(store, server, Clock(START))
    assert report.status == "ok", report.errors
    assert platform.pages == 3
    assert timed(store) == expected(rows)
    assert len(timed(store)) == 2500 - 2 + 1
    (now,) = store.latest([KEY]).values()
    assert (now.snapshot.as_of, now.snapshot.probability) == (START, platform.price)
    assert store.check() == []


def test_a_second_backfill_adds_nothing(server: LocalServer, new_store: Callable[[], Store]) -> None:
    Platform(server, many(1200))
    store, clock = new_store(), Clock(START)
    first = collect(store, server, clock, EPOCH)
    before = [one.snapshot for one in store.revisions(KEY)]
    clock.forward(hours=1)
    second = collect(store, server, clock, EPOCH)
    assert first.appended.snapshots_new == 1200 - 2 + 2
    assert second.appended.snapshots_new == 0
    assert second.appended.snapshots_unchanged == first.appended.snapshots_new
    assert [one.snapshot for one in store.revisions(KEY)] == before


def test_reading_the_stored_pages_again_adds_nothing(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    Platform(server, many(1200))
    store, clock = new_store(), Clock(START)
    collect(store, server, clock)
    before = timed(store)
    again = reparse(store, SOURCE, {("manifold", MARKET)}, None, clock())
    assert (again.status, again.appended.snapshots_new) == ("ok", 0)
    assert timed(store) == before


def test_a_known_market_is_not_asked_for_its_history_again(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    platform, store, clock = Platform(server, many(10)), new_store(), Clock(START)
    collect(store, server, clock)
    for _ in range(8 * 2):  # over a week: on one day of it the market is read whole
        clock.forward(hours=12)
        assert collect(store, server, clock).status == "ok"
    assert platform.pages == 1


def test_since_asks_for_no_more_than_what_is_wanted(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    rows = many(100)
    Platform(server, rows)
    store = new_store()
    since = EPOCH + timedelta(milliseconds=rows[60]["createdTime"])
    collect(store, server, Clock(START), since)
    assert timed(store) == expected(rows)[61:]


# --- killed, refused, resumed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_page", "since"),
    [(0, None), (1, None), (2, None), (1, EPOCH)],
    ids=["before the first page", "after the first", "after the second", "of a pull --backfill"],
)
def test_a_backfill_killed_between_two_pages_and_started_again_ends_with_the_same_history(
    server: LocalServer, new_store: Callable[[], Store], at_page: int, since: datetime | None
) -> None:
    Platform(server, many(2100))
    whole, broken, clock = new_store(), new_store(), Clock(START)
    collect(whole, server, clock, since)
    with pytest.raises(KeyboardInterrupt):
        collect(broken, server, clock, since, cut_at=at_page)
    assert len(timed(broken)) < len(timed(whole))
    assert [seen.snapshot.as_of for seen in broken.latest().values()] == [START]  # the market is known by now

    clock.forward(minutes=5)
    assert collect(broken, server, clock, since).status == "ok"
    assert timed(broken) == timed(whole)
    assert broken.check() == []
    clock.forward(minutes=5)
    assert collect(broken, server, clock, since).appended.snapshots_new <= 1  # at most the price as it is now
    assert timed(broken) == timed(whole)


def test_a_page_the_platform_refused_is_asked_for_again_at_the_next_poll(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    rows = many(1500)
    platform, store, clock = Platform(server, rows), new_store(), Clock(START)
    server.route("/v0/bets", platform.bets.answer, too_many(status=503), platform.bets.answer)
    report = collect(store, server, clock)
    assert report.status == "partial"
    assert [error.ref for error in report.errors] == [MARKET]
    assert 0 < len(timed(store)) < 1000
    (run,) = store.runs(HISTORY + "manifold")
    assert (run.state, run.message) == (RunState.PARTIAL, f"manifold:{MARKET}")

    clock.forward(hours=1)
    assert collect(store, server, clock).status == "ok"
    assert timed(store) == expected(rows)
    (run,) = store.runs(HISTORY + "manifold")
    assert (run.state, run.message) == (RunState.DONE, "")
    asked = platform.pages
    clock.forward(hours=1)
    collect(store, server, clock)
    assert platform.pages == asked


# --- beside the prices seen at polls --------------------------------------------------------------------


def polled(store: Store, server: LocalServer, platform: Platform, clock: Clock) -> list[Bet]:
    """A week of polling every six hours while people bet every five, then a backfill. Returns all bets."""
    collect(store, server, clock)
    price, number = platform.price, len(platform.bets.rows)
    for hour in range(1, 7 * 24 + 1):
        clock.forward(hours=1)
        if hour % 5 == 0:
            made = int(clock.now.timestamp() * 1000) - 30 * 60_000
            price, before = 0.2 + (hour % 11) / 20, price
            platform.bets.rows += [
                {**path_of([price], made)[0], "id": f"late{number + hour}", "probBefore": before}
            ]
        if hour % 6 == 0:
            collect(store, server, clock)
    collect(store, server, clock, EPOCH)
    return platform.bets.rows


def standing(history: list[Observation], at: datetime) -> float | None:
    return [one.snapshot.probability for one in history if one.snapshot.as_of <= at][-1]


def test_the_history_of_bets_and_polls_together_is_the_price_at_every_moment(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    store, clock = new_store(), Clock(START)
    rows = polled(store, server, Platform(server, many(20)), clock)
    history = store.history(KEY)
    assert [one.snapshot.as_of for one in history] == sorted({one.snapshot.as_of for one in history})
    for hour in range(1, 7 * 24):
        moment = START + timedelta(hours=hour, minutes=10)
        ms = moment.timestamp() * 1000
        truth = [row["probAfter"] for row in rows if row["createdTime"] <= ms][-1]
        assert standing(history, moment) == truth, moment


def test_what_was_known_before_the_backfill_is_what_the_polls_had_seen(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    store, clock = new_store(), Clock(START)
    polled(store, server, Platform(server, many(20)), clock)
    before = store.history(KEY, known_at=clock.now - timedelta(seconds=1))
    late = [one for one in before if one.snapshot.as_of > START]
    assert late
    assert not any(one.snapshot.timed_by_source for one in late)


def test_a_price_nobody_trades_stays_fresh_as_long_as_it_is_seen(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    """The newest value is the one that polls confirm, not the last bet's: that may be months old."""
    store, clock = new_store(), Clock(START)
    Platform(server, many(5))
    collect(store, server, clock, EPOCH)
    for day in range(90):
        clock.forward(days=1)
        collect(store, server, clock, EPOCH if day % 30 == 0 else None)
    (reading,), skipped = read_links([LINK], store.latest().values(), now=clock.now)
    assert skipped == []
    assert clock.now - reading.as_of < timedelta(days=8)


def test_a_question_can_be_scored_by_what_its_bets_say_of_the_time_before_the_first_poll(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    from questions.records import OutcomeState, Resolution

    rows, store = many(500), new_store()
    Platform(server, rows)
    collect(store, server, Clock(START))
    first = EPOCH + timedelta(milliseconds=CREATED)
    close = first + timedelta(days=6)
    said = Resolution(
        "manifold", "manifold", MARKET, "yes", OutcomeState.YES, START, resolved_at=close, value=1.0
    )
    table = forecasts_from_history(
        {KEY: store.history(KEY)},
        [said],
        lead_days=(2,),
        closes={("manifold", MARKET): close},
        now=START,
    )
    ms = (close - timedelta(days=2)).timestamp() * 1000
    truth = [row["probAfter"] for row in rows if row["createdTime"] <= ms][-1]
    assert list(table.probability) == [truth]


def test_the_bytes_of_every_page_are_kept_and_every_point_leads_to_its_page(
    server: LocalServer, new_store: Callable[[], Store]
) -> None:
    Platform(server, many(1100))
    store = new_store()
    collect(store, server, Clock(START))
    pages = {raw.sha256: raw for raw in store.raw_payloads("manifold") if "/v0/bets" in raw.url}
    assert len(pages) == 2
    for one in store.history(KEY):
        if one.snapshot.timed_by_source:
            raw = pages[one.snapshot.payload_sha256 or ""]
            assert isinstance(raw, RawPayload)
            assert MARKET in raw.ref

"""Polymarket: three hosts, quotes before trades, histories with a fallback, and outcomes from payouts alone."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, ValueState
from questions.time import EPOCH
from storage.memory import MemoryStore
from storage.records import RawPayload
from tests.servers.local import json_reply, reply
from tests.servers.spec import SpecServer, load_spec
from tests.sources.answers import AT, GOOD, answer, link, outcome, told, value
from tests.sources.test_contract import check, parse_or_refuse, read_mutated
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.errors import ParseError
from tracker.http import HttpClient, HttpSettings, request_url
from tracker.source import Parsed, Request
from tracker.sources import polymarket
from tracker.sources.polymarket import CLOB, DATA, Polymarket

NOON = "2026-11-20T12:00:00Z"
GAMMA_SPEC, CLOB_SPEC, DATA_SPEC = (
    load_spec(f"polymarket-{name}-read") for name in ("gamma", "clob", "data-v2")
)
SOURCE = Polymarket()
AB = "0x" + "ab" * 32  # the condition id of every example
YES_TOKEN = "1" + "0" * 75 + "1"
ID = {number: "0x" + f"{number:02x}" * 32 for number in range(1, 10)}
SHORT = "0x01" + "05" * 30  # 31 bytes, as protocol v2 has them

GAMMA = "https://gamma-api.polymarket.com/markets/keyset"
PRICES = "https://data-api.polymarket.com/v2/prices-history"
RESOLUTIONS = "https://data-api.polymarket.com/v2/resolutions"
OLD_PRICES = "https://clob.polymarket.com/prices-history"
MARKET = "https://clob.polymarket.com/markets"


def market(name: str = "open", /, **changes: Any) -> dict[str, Any]:
    """An example of the document, with some keys changed."""
    return {**copy.deepcopy(GAMMA_SPEC.example("gammaMarket", name)), **changes}


def listing(*rows: Any, ref: str = AB, closed: bool = False, **rest: Any) -> Parsed:
    url = f"{GAMMA}?condition_ids={AB}&limit=100{'&closed=true' if closed else ''}"
    return SOURCE.parse(answer("polymarket", {"markets": list(rows), **rest}, ref=ref, url=url))


def history(body: Any, query: str = f"token_id={YES_TOKEN}&interval=max", **how: Any) -> Parsed:
    return SOURCE.parse(answer("polymarket", body, ref=AB, url=f"{PRICES}?{query}", **how))


def old_history(body: Any, **how: Any) -> Parsed:
    url = f"{OLD_PRICES}?market={YES_TOKEN}&interval=max&fidelity=720"
    return SOURCE.parse(answer("polymarket", body, ref=AB, url=url, **how))


def payouts(body: Any, ref: str = AB, **how: Any) -> Parsed:
    return SOURCE.parse(answer("polymarket", body, ref=ref, url=f"{RESOLUTIONS}?condition_id={ref}", **how))


def winners(body: Any, **how: Any) -> Parsed:
    return SOURCE.parse(answer("polymarket", body, ref=AB, url=f"{MARKET}/{AB}", **how))


def resolution(name: str = "yes", **changes: Any) -> dict[str, Any]:
    (row,) = copy.deepcopy(DATA_SPEC.example("dataResolutions", name))["data"]
    return {**row, **changes}


def asked(requests: tuple[Request, ...]) -> list[tuple[str, str, str]]:
    """(base, path, ref) of each."""
    return [(request.base, request.path, request.ref) for request in requests]


def params(request: Request) -> dict[str, str]:
    return dict(request.params)


# --- what is asked --------------------------------------------------------------------------------------


def test_markets_are_listed_fifty_a_call_and_never_twice() -> None:
    ids = [f"0x{number:064x}" for number in range(120)]
    plan = SOURCE.plan([link("polymarket", one) for one in [*ids, *ids]], AT, None)
    assert [request.path for request in plan.requests] == ["markets/keyset"] * 3
    assert [len(request.ref.split(",")) for request in plan.requests] == [50, 50, 20]
    named = [value for request in plan.requests for name, value in request.params if name == "condition_ids"]
    assert named == ids
    assert all(("limit", "100") in request.params and request.base == "" for request in plan.requests)


def test_a_call_keeps_its_address_short_enough_for_any_server() -> None:
    """Many servers refuse one of more than 8,190 bytes (the default of Apache; nginx: 8 kB)."""
    ids = [f"0x{number:064x}" for number in range(50)]
    (request,) = SOURCE.plan([link("polymarket", one) for one in ids], AT, None).requests
    assert len(f"{GAMMA}?" + "&".join(f"{name}={text}" for name, text in request.params)) < 4_200


def test_markets_that_neither_the_open_nor_the_closed_have_are_gone() -> None:
    ids = [f"0x{number:064x}" for number in range(50)]
    (request,) = listing(ref=",".join(ids)).follow
    url = request_url("https://gamma-api.polymarket.com", request)
    parsed = SOURCE.parse(answer("polymarket", {"markets": []}, ref=request.ref, url=url))
    assert sorted(s.key.external_id for s in parsed.batch.snapshots) == sorted(ids)
    assert {s.state for s in parsed.batch.snapshots} == {ValueState.GONE}


def test_ids_of_31_bytes_are_ids_too() -> None:
    (request,) = SOURCE.plan([link("polymarket", SHORT)], AT, None).requests
    assert ("condition_ids", SHORT) in request.params


@pytest.mark.parametrize(
    "name", ["0xAB" + "ab" * 31, "ab" * 32, "0x" + "ab" * 30, "990001", "../x", "0x" + "g" * 64]
)
def test_an_id_that_cannot_be_one_is_skipped_with_the_reason(name: str) -> None:
    plan = SOURCE.plan([link("polymarket", name)], AT, EPOCH)
    assert plan.requests == ()
    assert "no Polymarket condition id" in plan.skipped[name]


def test_three_hosts_are_reached_under_three_settings() -> None:
    traits = SOURCE.traits
    bases = dict(traits.base_of(Request("polymarket", "x", "x", base=base)) for base in ("", CLOB, DATA))
    assert bases == {
        "polymarket_gamma": "https://gamma-api.polymarket.com",
        "polymarket_clob": "https://clob.polymarket.com",
        "polymarket_data": "https://data-api.polymarket.com",
    }
    assert {url.removeprefix("https://") for url in bases.values()} == set(traits.hosts)
    assert all(f"{setting}_url" in Settings.model_fields for setting in bases)


# --- the present value ----------------------------------------------------------------------------------


MID, LAST = Quantity.REAL_MONEY_MID, Quantity.REAL_MONEY_LAST


@pytest.mark.parametrize(
    ("name", "values", "follow"),
    [
        ("open", [(AB, "yes", NOON, 0.265)], []),
        ("proposed", [(AB, "yes", NOON, 0.265)], []),
        ("no_prices", [(AB, "yes", NOON, "no_trade")], []),
        ("resolved_yes", [], [(DATA, "v2/resolutions", AB)]),
        ("resolved_split", [], [(DATA, "v2/resolutions", AB)]),
    ],
)
def test_the_values_of_every_example(name: str, values: list[Any], follow: list[Any]) -> None:
    parsed = listing(market(name))
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == values
    assert asked(parsed.follow) == follow
    assert parsed.batch.resolutions == ()
    assert (parsed.faults, parsed.notes) == ((), ())


@pytest.mark.parametrize(
    ("name", "ids", "follow"),
    [
        ("page1", [AB], []),
        ("last_page", [], [(DATA, "v2/resolutions", AB)]),
        ("empty", [], [("", "markets/keyset", AB)]),
    ],
)
def test_the_pages_of_every_example(name: str, ids: list[str], follow: list[Any]) -> None:
    body = GAMMA_SPEC.example("gammaMarketsKeyset", name)
    parsed = SOURCE.parse(answer("polymarket", body, ref=AB, url=f"{GAMMA}?condition_ids={AB}&limit=100"))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == ids
    assert asked(parsed.follow) == follow
    assert parsed.faults == ()


def test_a_listing_of_many_kinds() -> None:
    parsed = SOURCE.parse(answer("polymarket", GOOD["polymarket"][2]))
    read = [(*value(s), s.key.quantity, s.spread, s.volume, s.liquidity) for s in parsed.batch.snapshots]
    padded = SHORT + "00"
    assert read == [
        (ID[1], "yes", NOON, 0.265, MID, 0.01, 5321.734, 1200.5),
        (padded, "yes", NOON, 0.65, MID, 0.1, 5321.734, 1200.5),
        (ID[2], "yes", NOON, 0.12375, MID, 0.0025, 77.25, 12.5),
        (ID[3], "yes", NOON, 0.31, LAST, 0.3, 5321.734, 1200.5),
        (ID[4], "yes", NOON, "no_trade", MID, None, None, None),
    ]
    assert not any(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)
    assert parsed.notes == (f"{ID[6]}: its outcomes are Over / Under, not Yes / No: passed over",)
    assert parsed.faults == ()
    assert parsed.follow == ()


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        (0.26, 0.27, 0.5, (MID, 0.265)),
        (0.45, 0.55, 0.5, (MID, 0.5)),  # a spread of exactly 0.10: no float comes in between
        (0.45, 0.5501, 0.52, (LAST, 0.52)),
        (0.0, 0.01, 0.004, (LAST, 0.004)),  # a bid of 0 is none
        (0.99, 1.0, 0.995, (LAST, 0.995)),  # an ask of 1 is none
        (None, 0.27, 0.26, (LAST, 0.26)),
        (0.26, None, None, (MID, "no_trade")),
        (0, 1, 0, (MID, "no_trade")),
        (None, None, 1, (MID, "no_trade")),
        ("0.2600", "0.2625", None, (MID, 0.26125)),
        (0.3, 0.3, None, (MID, 0.3)),
    ],
)
def test_a_narrow_quote_comes_before_the_last_trade(bid: Any, ask: Any, last: Any, expected: Any) -> None:
    (snapshot,) = listing(market(bestBid=bid, bestAsk=ask, lastTradePrice=last)).batch.snapshots
    assert (snapshot.key.quantity, value(snapshot)[3]) == expected


def test_a_crossed_book_is_a_fault_and_gives_no_value() -> None:
    parsed = listing(market(bestBid=0.6, bestAsk=0.4))
    assert parsed.batch.snapshots == ()
    assert [(fault.ref, fault.field) for fault in parsed.faults] == [(AB, "bestAsk")]


@pytest.mark.parametrize("key", ["bestBid", "bestAsk", "lastTradePrice"])
@pytest.mark.parametrize("price", [1.0001, -0.1, "x", "", True, [], {"p": 1}, 42, "1e999", "0x1", " 0.5"])
def test_a_price_that_is_none_spoils_its_market_only(key: str, price: object) -> None:
    parsed = listing(market(**{key: price}), market(conditionId=ID[2]))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [ID[2]]
    assert [(fault.ref, fault.field) for fault in parsed.faults] == [(AB, f"markets[0].{key}")]


def test_nan_is_no_price() -> None:
    body = json.dumps({"markets": [market(bestBid=float("nan")), market(conditionId=ID[2])]}).encode()
    parsed = SOURCE.parse(answer("polymarket", body))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [ID[2]]
    assert [fault.field for fault in parsed.faults] == ["markets[0].bestBid"]


def test_a_closed_market_gives_no_price_whatever_its_book_says() -> None:
    parsed = listing(market(closed=True, bestBid=0.5, bestAsk=0.52))
    assert parsed.batch.snapshots == ()
    assert parsed.batch.resolutions == ()
    assert parsed.batch.infos[0].status == "closed"


@pytest.mark.parametrize("prices", ['["1", "0"]', '["0.5", "0.5"]', '["0", "0"]', "not json", 7])
def test_an_outcome_is_never_read_from_a_price(prices: Any) -> None:
    assert listing(market("resolved_yes", outcomePrices=prices)).batch.resolutions == ()


def test_what_a_market_tells_of_itself() -> None:
    (info,) = listing(market()).batch.infos
    assert info.title == "Will AI area A reach 10x before 2028?"
    assert info.url == "https://polymarket.com/event/ai-area-a-10x"
    assert (info.question_type, info.status) == ("binary", "open")
    assert info.opens_at == datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert info.closes_at == datetime(2027, 12, 31, 23, 59, tzinfo=UTC)


def test_the_rules_are_told_by_their_digest_and_a_changed_word_changes_it() -> None:
    digests = [
        listing(market(description=text)).batch.infos[0].criteria_sha256
        for text in ("Rule text.", " Rule\n\ntext. ", "Rule text!")
    ]
    words = hashlib.sha256(b"Rule text.").hexdigest()
    assert (digests[0], digests[1]) == (words, words)
    assert digests[2] not in ("", words)


@pytest.mark.parametrize("text", [None, "", " \n", 7, ...])
def test_an_answer_without_the_rules_does_not_wipe_out_what_is_known_of_them(text: Any) -> None:
    body = market(description=text)
    if text is ...:
        del body["description"]
    store = MemoryStore()
    for row in (market(), body):
        store.append(listing(row).batch)
    assert [value(s)[3] for s in listing(body).batch.snapshots] == [0.265]
    (info,) = store.infos()
    assert info.criteria_sha256 == hashlib.sha256(b"Rule text.").hexdigest()
    (first,) = listing(body, ref=wish(EPOCH)).batch.infos  # on a first sight nothing is known to be wiped out
    assert (first.title, first.criteria_sha256) == ("Will AI area A reach 10x before 2028?", "")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "open"),
        ({"acceptingOrders": None}, "open"),
        ({"acceptingOrders": False}, "closed"),
        ({"active": False}, "upcoming"),
        ({"active": None}, ""),
        ({"closed": True}, "closed"),
        ({"closed": True, "umaResolutionStatus": "proposed"}, "closed"),
        ({"closed": True, "umaResolutionStatus": "disputed"}, "closed"),
        ({"closed": True, "umaResolutionStatus": "resolved"}, "resolved"),
        ({"closed": True, "umaResolutionStatus": "settled"}, "resolved"),
        ({"closed": True, "version": "v2", "resolutionStatus": "resolved"}, "resolved"),
        ({"umaResolutionStatus": "resolved"}, "open"),  # still trading: no word of the oracle closes it
    ],
)
def test_the_words_of_the_platform_are_made_words_that_all_share(
    changes: dict[str, Any], status: str
) -> None:
    (info,) = listing(market(**changes)).batch.infos
    assert info.status == status


def test_the_planned_end_of_a_finished_market_stays_what_it_was() -> None:
    (info,) = listing(market("resolved_yes")).batch.infos
    assert (info.status, info.closes_at) == ("resolved", datetime(2027, 12, 31, 23, 59, tzinfo=UTC))


def test_a_market_without_an_end_takes_that_of_its_event() -> None:
    event = {"id": "1", "slug": "an-event", "endDate": "2028-01-31T00:00:00Z"}
    (info,) = listing(market(endDate=None, events=[event])).batch.infos
    assert info.closes_at == datetime(2028, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("events", [None, [], ["x"], [{"slug": "a/../b"}], [{"slug": "<x>"}]])
def test_without_a_good_event_the_address_is_the_markets_own(events: Any) -> None:
    (info,) = listing(market(events=events)).batch.infos
    assert info.url == "https://polymarket.com/market/will-ai-area-a-reach-10x-before-2028"


@pytest.mark.parametrize(
    "outcomes", ['["Up", "Down"]', ["No", "Yes"], '["Yes"]', '["Yes", "No", "Maybe"]', "[]"]
)
def test_markets_on_anything_but_yes_and_no_are_passed_over(outcomes: Any) -> None:
    parsed = listing(market(outcomes=outcomes, closed=True))
    assert parsed.batch.snapshots == ()
    assert parsed.follow == ()
    assert "passed over" in parsed.notes[0]


@pytest.mark.parametrize("outcomes", [None, "", "not json", "[1, 2]", 7, "[" * 5000, '{"Yes": "No"}'])
def test_outcomes_that_cannot_be_read_are_a_fault(outcomes: Any) -> None:
    parsed = listing(market(outcomes=outcomes))
    assert parsed.batch.snapshots == ()
    assert {fault.ref for fault in parsed.faults} == {AB}
    assert all("outcomes" in fault.field for fault in parsed.faults)
    assert len(parsed.faults) >= 1


def test_an_unknown_word_of_the_oracle_is_noted() -> None:
    assert "'quarrelled'" in listing(market(umaResolutionStatus="quarrelled")).notes[0]


@pytest.mark.parametrize("key", ["volumeNum", "liquidity", "endDate", "slug", "events", "acceptingOrders"])
def test_a_wrong_extra_is_a_fault_and_the_value_is_kept(key: str) -> None:
    parsed = listing(market(**{key: {"not": "this"}}))
    assert [value(snapshot)[3] for snapshot in parsed.batch.snapshots] == [0.265]
    assert [fault.field for fault in parsed.faults] == [f"markets[0].{key}"]


def test_a_hostile_title_is_one_harmless_line() -> None:
    (info,) = listing(market(question="a\x00b\x1b[31m\n\u202eevil" + "x" * 5000)).batch.infos
    assert info.title.startswith("a b [31m  evilx")
    assert len(info.title) == 500


# --- what a listing leaves out --------------------------------------------------------------------------


def test_what_an_open_listing_lacks_is_looked_for_once_among_the_finished() -> None:
    parsed = listing(market(), ref=f"{AB},{ID[1]},{ID[2]}")
    (request,) = parsed.follow
    assert request.params == (
        ("limit", "100"),
        ("closed", "true"),
        ("condition_ids", ID[1]),
        ("condition_ids", ID[2]),
    )
    assert request.ref == f"{ID[1]},{ID[2]}"
    assert all(snapshot.state is ValueState.OK for snapshot in parsed.batch.snapshots)


def test_what_neither_listing_has_is_gone() -> None:
    parsed = listing(market("resolved_yes"), ref=f"{AB},{ID[1]}", closed=True)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [(ID[1], "yes", NOON, "gone")]
    assert asked(parsed.follow) == [(DATA, "v2/resolutions", AB)]


def test_a_row_without_an_id_may_be_the_missing_one_so_nothing_is_concluded() -> None:
    parsed = listing({"conditionId": 7}, market(), ref=f"{AB},{ID[1]}", closed=True)
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [AB]
    assert [fault.field for fault in parsed.faults] == ["markets[0].conditionId"]
    assert parsed.follow == ()


@pytest.mark.parametrize("closed", [False, True])
def test_when_there_are_further_pages_the_rest_is_asked_for_again(closed: bool) -> None:
    parsed = listing(market(), ref=f"{AB},{ID[1]}", closed=closed, next_cursor="exCursor1")
    (request,) = parsed.follow
    assert request.ref == ID[1]
    assert (("closed", "true") in request.params) == closed
    assert all(snapshot.state is ValueState.OK for snapshot in parsed.batch.snapshots)


def test_a_page_without_any_market_asked_for_is_a_fault_and_not_a_loop() -> None:
    parsed = listing(market(), ref=ID[1], next_cursor="exCursor1")
    assert parsed.follow == ()
    assert [fault.field for fault in parsed.faults] == ["next_cursor"]


def test_a_short_id_gets_its_records_under_its_own_name() -> None:
    parsed = listing(market(conditionId=SHORT + "00"), ref=SHORT)
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [SHORT]
    assert parsed.follow == ()


def test_an_id_in_capitals_is_the_same_id() -> None:
    parsed = listing(market(conditionId="0x" + "AB" * 32))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [AB]


# --- histories ------------------------------------------------------------------------------------------


def wish(since: datetime) -> str:
    (request,) = SOURCE.plan([link("polymarket", AB)], AT, since).requests
    return request.ref


def test_a_wish_for_history_travels_in_the_ref_and_the_token_comes_from_the_listing() -> None:
    (request,) = listing(market(), ref=wish(EPOCH)).follow
    assert (request.base, request.path, request.ref) == (DATA, "v2/prices-history", AB)
    assert params(request) == {
        "token_id": YES_TOKEN,
        "interval": "max",
        "bucket_seconds": "43200",
        "limit": "10000",
    }
    assert request.accept_missing


def test_the_wish_goes_on_to_the_finished_ones() -> None:
    (request,) = listing(ref=wish(EPOCH)).follow
    assert request.ref == f"{AB},since=0"
    follow = listing(market("resolved_yes"), ref=request.ref, closed=True).follow
    assert {request.path for request in follow} == {"v2/prices-history", "v2/resolutions"}


@pytest.mark.parametrize("days", [0, 1, 7, 14, 14.4, 15])
def test_a_short_stretch_is_asked_for_as_a_window_on_the_same_grid(days: float) -> None:
    since = AT - timedelta(days=days)
    (request,) = listing(market(), ref=wish(since)).follow
    asked_for = params(request)
    start, end = int(asked_for["start"]), int(asked_for["end"])
    assert end == int(AT.timestamp())
    assert since.timestamp() - 43_200 < start <= since.timestamp()
    assert start % 43_200 == 0
    assert end - start <= 15 * 86_400
    assert "interval" not in asked_for


@pytest.mark.parametrize("days", [15.1, 15.6, 30, 365])
def test_a_long_stretch_is_asked_for_as_the_whole_life(days: float) -> None:
    (request,) = listing(market(), ref=wish(AT - timedelta(days=days))).follow
    assert params(request)["interval"] == "max"
    assert "start" not in params(request)


def test_a_market_without_a_token_has_no_history_and_one_with_positions_has() -> None:
    parsed = listing(market("no_prices"), ref=wish(EPOCH))
    assert parsed.follow == ()
    assert "no token yet" in parsed.notes[0]
    newer = market(clobTokenIds=None, positionIds='["77", "78"]')
    (request,) = listing(newer, ref=wish(EPOCH)).follow
    assert params(request)["token_id"] == "77"


@pytest.mark.parametrize("tokens", ['["1&x=1", "2"]', '["", "2"]', [""], ["1" * 79], "[]"])
def test_a_token_that_is_none_is_not_asked_for(tokens: Any) -> None:
    parsed = listing(market(clobTokenIds=tokens), ref=wish(EPOCH))
    assert parsed.follow == ()
    assert [value(snapshot)[3] for snapshot in parsed.batch.snapshots] == [0.265]


def grid(*prices: float) -> list[tuple[str, float]]:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    return [
        (f"{start + number * timedelta(hours=12):%Y-%m-%dT%H:00:00Z}", price)
        for number, price in enumerate(prices)
    ]


LIFE = grid(0.18, 0.19, 0.2, 0.21, 0.22, 0.23, 0.24, 0.25)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("whole_life", LIFE),
        ("settled", grid(0.18, 0.19, 0.2)),
        ("page1", grid(0.18, 0.19, 0.2, 0.21)),
        ("empty", []),
    ],
)
def test_the_points_of_every_example(name: str, points: list[Any]) -> None:
    parsed = history(DATA_SPEC.example("dataHistory", name))
    assert [value(snapshot)[2:] for snapshot in parsed.batch.values()] == points
    assert {snapshot.key.quantity for snapshot in parsed.batch.values()} <= {MID}
    assert all(snapshot.timed_by_source for snapshot in parsed.batch.values())
    assert parsed.batch.resolutions == ()
    assert parsed.faults == ()


def test_a_long_history_is_followed_page_by_page() -> None:
    query = f"token_id={YES_TOKEN}&interval=max&bucket_seconds=43200&limit=10000"
    (request,) = history(DATA_SPEC.example("dataHistory", "page1"), query).follow
    assert (request.base, request.path, request.ref) == (DATA, "v2/prices-history", f"{AB},page=2")
    assert params(request) == {
        "token_id": YES_TOKEN,
        "interval": "max",
        "bucket_seconds": "43200",
        "limit": "10000",
        "cursor": "exCursor1",
    }


def test_a_page_that_leads_to_itself_is_a_fault_and_not_a_loop() -> None:
    parsed = history(DATA_SPEC.example("dataHistory", "page1"), f"token_id={YES_TOKEN}&cursor=exCursor1")
    assert parsed.follow == ()
    assert [fault.field for fault in parsed.faults] == ["pagination.next_cursor"]
    assert len(parsed.batch.values()) == 4


@pytest.mark.parametrize(
    ("cursors", "pages"),
    [
        ((["a"]), 2),  # the same again and again
        ((["a", "b", "c"]), 4),  # a circle
        (([f"c{number}" for number in range(50)]), 20),  # ever new ones
    ],
    ids=["repeats", "circle", "endless"],
)
def test_pages_without_an_end_come_to_one(cursors: list[str], pages: int, platform: Platform) -> None:
    def page(_: Any) -> Any:
        cursor = cursors[len(asked) % len(cursors)]
        asked.append(cursor)
        rows = [{"timestamp": 1788220800, "price": 0.18, "resolution_seconds": 43200}]
        return json_reply({"data": rows, "pagination": {"has_more": True, "next_cursor": cursor}})

    asked: list[str] = []
    platform.data.route("/v2/prices-history", page)
    report = platform.poll(AB)
    assert len(asked) == pages
    (key,) = platform.store.streams()
    assert [row.snapshot.probability for row in platform.store.history(key)] == [0.18, 0.265]
    assert [error.kind for error in report.errors] == ([] if cursors == ["a", "b", "c"] else ["shape"])


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ("interval=max&bucket_seconds=43200", {"interval": "max"}),
        ("start=1788220800&end=1788300000", {"startTs": "1788220800", "endTs": "1788300000"}),
    ],
)
@pytest.mark.parametrize(("body", "status"), [("empty", 200), ("missing", 404)])
def test_what_the_data_api_does_not_have_is_asked_for_at_clob(
    query: str, span: dict[str, str], body: str, status: int
) -> None:
    shown = DATA_SPEC.example("dataHistory", body, status)
    parsed = history(shown, f"token_id={YES_TOKEN}&{query}", status=status)
    (request,) = parsed.follow
    assert (request.base, request.path, request.ref) == (CLOB, "prices-history", AB)
    assert params(request) == {"market": YES_TOKEN, **span, "fidelity": "720"}
    assert "asked CLOB" in parsed.notes[0]
    assert parsed.batch.values() == ()


def test_an_empty_last_page_is_not_asked_for_elsewhere() -> None:
    empty = DATA_SPEC.example("dataHistory", "empty")
    assert history(empty, f"token_id={YES_TOKEN}&cursor=exCursor1").follow == ()


@pytest.mark.parametrize(
    ("name", "points"),
    [("points", LIFE), ("empty", [])],
)
def test_the_points_of_every_example_of_clob(name: str, points: list[Any]) -> None:
    parsed = old_history(CLOB_SPEC.example("clobHistory", name))
    assert [value(snapshot)[2:] for snapshot in parsed.batch.values()] == points
    assert {snapshot.key.quantity for snapshot in parsed.batch.values()} <= {MID}
    assert (parsed.follow, parsed.faults) == ((), ())


def test_both_histories_of_the_same_points_are_the_same_records() -> None:
    one = history(DATA_SPEC.example("dataHistory", "whole_life")).batch.values()
    other = old_history(CLOB_SPEC.example("clobHistory", "points")).batch.values()
    assert [(s.key, s.as_of, s.probability) for s in one] == [(s.key, s.as_of, s.probability) for s in other]


def test_without_an_order_book_there_is_no_history() -> None:
    assert old_history({"error": "No orderbook exists"}, status=404) == Parsed()


def test_a_payout_is_never_a_forecast() -> None:
    rows = [
        {"timestamp": 1788220800, "price": 0.18, "resolution_seconds": 43200},
        {"timestamp": 1788264000, "price": 0.5, "resolution_seconds": 0},
        {"timestamp": 1788264000, "price": 0.5, "resolution_seconds": 43200},
        {"timestamp": 1788307200, "price": 0.5, "resolution_seconds": 43200},
    ]
    assert [value(s)[3] for s in history({"data": rows}).batch.values()] == [0.18]
    ends = {"history": [{"t": 1788220800, "p": 0.18}, {"t": 1788264000, "p": 1}, {"t": 1788307200, "p": 0}]}
    assert [value(s)[3] for s in old_history(ends).batch.values()] == [0.18]


@pytest.mark.parametrize(
    "point",
    [
        {"timestamp": 1788220800, "price": 1.2, "resolution_seconds": 43200},
        {"timestamp": 1788220800, "resolution_seconds": 43200},
        {"timestamp": 10**18, "price": 0.2, "resolution_seconds": 43200},
        {"timestamp": True, "price": 0.2, "resolution_seconds": 43200},
        {"timestamp": 1795265000, "price": 0.2, "resolution_seconds": 43200},  # after the answer
        "x",
    ],
)
def test_a_point_that_is_none_is_a_fault_and_the_rest_is_taken(point: Any) -> None:
    good = {"timestamp": 1788264000, "price": 0.19, "resolution_seconds": 43200}
    parsed = history({"data": [point, good]})
    assert [value(snapshot)[3] for snapshot in parsed.batch.values()] == [0.19]
    assert [fault.ref for fault in parsed.faults] == [AB]


def past(at: Any = None, price: Any = None) -> dict[str, Any]:
    return {"timestamp": at, "price": price, "resolution_seconds": 43200}


pages = st.lists(
    st.builds(
        past,
        st.integers(1788220800, 1788220803)
        | st.sampled_from([-1, 1900000000, 10**12, 1788220800.5, "1788220801", None]),
        st.sampled_from([0, 0.18, 0.19, 1, 1e-320])
        | st.sampled_from([1.5, -0.1, True, "0.2", None, 10**400]),
    )
    | st.sampled_from([past(1788220802, 1) | {"resolution_seconds": 0}, {}, "none", None]),
    max_size=8,
)


def parsed_or_refused(read: Callable[[Any], Parsed], body: Any) -> Parsed | str:
    try:
        return read(body)
    except ParseError as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(rows=pages)
def test_a_page_read_in_columns_says_what_it_says_read_row_by_row(rows: list[Any]) -> None:
    old = [
        {"t": row.get("timestamp"), "p": row.get("price")} if isinstance(row, dict) else row for row in rows
    ]
    for read, body in ((history, {"data": rows}), (old_history, {"history": old})):
        quick = parsed_or_refused(read, body)
        with patch.object(polymarket, "columns", return_value=None):
            assert parsed_or_refused(read, body) == quick


@pytest.mark.parametrize("ref", ["", "990001", f"{AB},{ID[1]}"])
def test_a_history_that_belongs_to_no_one_market_is_refused(ref: str) -> None:
    raw = answer("polymarket", DATA_SPEC.example("dataHistory"), ref=ref, url=f"{PRICES}?token_id=1")
    with pytest.raises(ParseError, match="condition id"):
        SOURCE.parse(raw)


# --- outcomes -------------------------------------------------------------------------------------------


WHEN = "2026-11-02T17:00:00Z"


@pytest.mark.parametrize(
    ("name", "outcomes", "follow"),
    [
        ("yes", [(AB, "yes", "yes", 1.0, WHEN)], []),
        ("split", [(AB, "yes", "fraction", 0.5, WHEN)], []),
        ("pending", [], []),
        ("none", [], [(CLOB, f"markets/{AB}", AB)]),
    ],
)
def test_the_outcomes_of_every_example(name: str, outcomes: list[Any], follow: list[Any]) -> None:
    parsed = payouts(DATA_SPEC.example("dataResolutions", name))
    assert [outcome(one) for one in parsed.batch.resolutions] == outcomes
    assert asked(parsed.follow) == follow
    assert (parsed.faults, parsed.notes, parsed.batch.snapshots) == ((), (), ())


@pytest.mark.parametrize(
    ("paid", "expected"),
    [
        ([1000000, 0], ("yes", 1.0)),
        ([0, 1000000], ("no", 0.0)),
        ([500000, 500000], ("fraction", 0.5)),
        ([250000, 750000], ("fraction", 0.25)),
        (["1000000", "0"], ("yes", 1.0)),
    ],
)
def test_payouts_are_kept_as_what_they_are(paid: list[Any], expected: tuple[str, float]) -> None:
    (one,) = payouts({"data": [resolution(payouts=paid)]}).batch.resolutions
    assert (one.state.value, one.value) == expected
    assert one.text == f"payouts {paid[0]}, {paid[1]}"


@pytest.mark.parametrize("paid", [[0, 0], ["0", "0"], None])
def test_payouts_of_nothing_tell_nothing_and_another_source_is_asked(paid: Any) -> None:
    parsed = payouts({"data": [resolution(payouts=paid)]})
    assert parsed.batch.resolutions == ()
    assert asked(parsed.follow) == [(CLOB, f"markets/{AB}", AB)]
    assert parsed.faults == ()


@pytest.mark.parametrize(
    "paid", [[1000000, 1000000], [1, 1], [1000000], [1000000, 0, 0], [-1, 1000001], "1,0", {}]
)
def test_payouts_that_make_no_dollar_are_a_fault(paid: Any) -> None:
    parsed = payouts({"data": [resolution(payouts=paid)]})
    assert parsed.batch.resolutions == ()
    assert all(fault.field.startswith("data[0].payouts") for fault in parsed.faults)
    assert {fault.ref for fault in parsed.faults} == {AB}


@pytest.mark.parametrize("status", ["initialized", "posed", "proposed", "disputed", "arbitration", "active"])
def test_a_price_proposed_or_disputed_is_no_outcome_whatever_is_paid(status: str) -> None:
    parsed = payouts({"data": [resolution(status=status)]})
    assert (parsed.batch.resolutions, parsed.follow, parsed.notes) == ((), (), ())


def test_an_unknown_status_is_noted_and_no_outcome() -> None:
    parsed = payouts({"data": [resolution(status="settled twice")]})
    assert parsed.batch.resolutions == ()
    assert "'settled twice'" in parsed.notes[0]


@pytest.mark.parametrize(
    ("told", "when"),
    [
        (1793638800, WHEN),
        ("1793638800", WHEN),
        ("2026-11-02T17:00:00Z", WHEN),
        (None, None),
        (1893638800, None),  # not over yet: nonsense
    ],
)
def test_the_time_of_an_outcome_comes_in_three_forms(told: Any, when: str | None) -> None:
    (one,) = payouts({"data": [resolution(resolved_at=told)]}).batch.resolutions
    assert outcome(one)[4] == when


def test_outcomes_are_asked_for_twenty_a_call_with_short_ids_written_out() -> None:
    rows = [market("resolved_yes", conditionId=f"0x{number:064x}") for number in range(24)]
    short = market("resolved_yes", conditionId=SHORT)
    ref = ",".join([*(row["conditionId"] for row in rows), SHORT])
    follow = listing(*rows, short, ref=ref, closed=True).follow
    assert [request.path for request in follow] == ["v2/resolutions"] * 2
    ids = [one for request in follow for one in params(request)["condition_id"].split(",")]
    assert [len(params(request)["condition_id"].split(",")) for request in follow] == [20, 5]
    assert SHORT + "00" in ids
    assert set(ids) - {SHORT + "00"} == {row["conditionId"] for row in rows}


def test_a_short_id_gets_its_outcome_under_its_own_name() -> None:
    parsed = payouts({"data": [resolution(condition_id=SHORT + "00")]}, ref=SHORT)
    assert [one.external_id for one in parsed.batch.resolutions] == [SHORT]
    assert parsed.follow == ()


def test_one_bad_row_does_not_spoil_the_others() -> None:
    rows = [resolution(condition_id=None), resolution(condition_id=ID[1], status=7), "x", resolution()]
    parsed = payouts({"data": rows}, ref=f"{AB},{ID[1]}")
    assert [one.external_id for one in parsed.batch.resolutions] == [AB]
    assert asked(parsed.follow) == [(CLOB, f"markets/{ID[1]}", ID[1])]
    assert {fault.field for fault in parsed.faults} >= {"data[0].condition_id", "data[1].status"}


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("open", []),
        ("resolved_yes", [(AB, "yes", "yes", 1.0, None)]),
        ("resolved_split", [(AB, "yes", "fraction", 0.5, None)]),
    ],
)
def test_the_winners_of_every_example(name: str, outcomes: list[Any]) -> None:
    parsed = winners(CLOB_SPEC.example("clobMarket", name))
    assert [outcome(one) for one in parsed.batch.resolutions] == outcomes
    assert (parsed.faults, parsed.follow, parsed.batch.snapshots) == ((), (), ())


def clob_market(*won: bool, closed: bool = True, labels: tuple[str, ...] = ("Yes", "No")) -> dict[str, Any]:
    tokens = [{"outcome": label, "winner": one, "price": 1} for label, one in zip(labels, won, strict=True)]
    return {"closed": closed, "tokens": tokens}


def test_who_may_redeem_tells_an_outcome_and_a_price_never_does() -> None:
    (no,) = winners(clob_market(False, True)).batch.resolutions
    assert (no.state.value, no.value, no.text) == ("no", 0.0, "winner No")
    (turned,) = winners(clob_market(False, True, labels=("No", "Yes"))).batch.resolutions
    assert turned.state.value == "yes"
    assert winners(clob_market(False, False)).batch.resolutions == ()
    assert winners(clob_market(True, False, closed=False)).batch.resolutions == ()


@pytest.mark.parametrize("labels", [("Up", "Down"), ("Yes", "Yes"), ("Yes",), ("Yes", "No", "No")])
def test_winners_of_another_question_are_a_fault(labels: tuple[str, ...]) -> None:
    body = clob_market(*(True for _ in labels), labels=labels)
    with pytest.raises(ParseError, match="tokens"):
        winners(body)


@pytest.mark.parametrize("name", ["missing", "no_book"])
def test_a_market_that_clob_does_not_know_has_no_outcome_there(name: str) -> None:
    assert winners(CLOB_SPEC.example("clobMarket", name, 404), status=404) == Parsed()


def test_when_the_data_api_knows_none_of_them_clob_is_asked_for_each() -> None:
    parsed = payouts(DATA_SPEC.example("dataResolutions", "missing", 404), ref=f"{AB},{ID[1]}", status=404)
    assert [request.path for request in parsed.follow] == [f"markets/{ID[1]}", f"markets/{AB}"]


def test_of_many_that_the_data_api_does_not_know_a_few_are_asked_for_and_other_ones_later() -> None:
    ids = [f"0x{number:064x}" for number in range(20)]
    polls = [
        {
            request.ref
            for request in payouts({"data": []}, ref=",".join(ids), at=AT + timedelta(hours=hour)).follow
        }
        for hour in range(48)
    ]
    assert {len(poll) for poll in polls} == {5}
    assert set.union(*polls) == set(ids)


# --- all of it ------------------------------------------------------------------------------------------

#: Which test above says what is read of the good examples of an operation that is asked.
COVERED = {
    ("gamma", "gammaMarket"): test_the_values_of_every_example,
    ("gamma", "gammaMarketsKeyset"): test_the_pages_of_every_example,
    ("data-v2", "dataHistory"): test_the_points_of_every_example,
    ("data-v2", "dataResolutions"): test_the_outcomes_of_every_example,
    ("clob", "clobHistory"): test_the_points_of_every_example_of_clob,
    ("clob", "clobMarket"): test_the_winners_of_every_example,
}


@pytest.mark.parametrize(("spec", "operation"), COVERED)
def test_every_good_example_of_the_documents_is_covered_above(spec: str, operation: str) -> None:
    marks = COVERED[spec, operation].pytestmark
    named = {case[0] for mark in marks for case in mark.args[1]}
    assert named == set(load_spec(f"polymarket-{spec}-read").operations[operation].names(200))


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_listing_with_another_status_is_no_answer(status: int) -> None:
    with pytest.raises(ParseError, match=str(status)):
        SOURCE.parse(answer("polymarket", {"markets": []}, status=status))


@pytest.mark.parametrize("url", [PRICES, OLD_PRICES, RESOLUTIONS, f"{MARKET}/{AB}", GAMMA])
@pytest.mark.parametrize(
    "body", [{"error": "oops"}, {"data": 3, "history": 3, "markets": 3, "tokens": 3}, {}]
)
def test_an_error_under_status_200_is_refused(url: str, body: Any) -> None:
    with pytest.raises(ParseError):
        SOURCE.parse(answer("polymarket", body, ref=AB, url=url))


@pytest.mark.parametrize("url", [PRICES, OLD_PRICES, RESOLUTIONS, f"{MARKET}/{AB}", GAMMA])
def test_a_refusal_denies_the_markets_it_was_about_and_nothing_else(url: str) -> None:
    raw = answer("polymarket", {}, ref=f"{AB},since=0", url=url, status=403)
    assert SOURCE.parse(raw) == Parsed(denied=(AB,))


def every_example() -> Iterator[Any]:
    listed = f"{GAMMA}?condition_ids={AB}&limit=100"
    places = {
        ("gamma", "gammaMarketsKeyset"): listed,
        ("data-v2", "dataHistory"): f"{PRICES}?token_id=1&interval=max",
        ("data-v2", "dataResolutions"): f"{RESOLUTIONS}?condition_id={AB}",
        ("clob", "clobHistory"): f"{OLD_PRICES}?market=1&interval=max",
        ("clob", "clobMarket"): f"{MARKET}/{AB}",
    }
    for (spec, operation), url in places.items():
        for name in load_spec(f"polymarket-{spec}-read").operations[operation].names(200):
            shown = load_spec(f"polymarket-{spec}-read").example(operation, name)
            yield pytest.param(url, shown, id=f"{operation}-{name}")
    for name in GAMMA_SPEC.operations["gammaMarket"].names(200):
        shown = {"markets": [GAMMA_SPEC.example("gammaMarket", name)]}
        yield pytest.param(f"{listed}&closed=true", shown, id=f"gammaMarket-{name}")


@pytest.mark.parametrize(("url", "shown"), [*every_example()])
def test_mutated_examples_are_read_or_refused(url: str, shown: Any) -> None:
    raw = answer("polymarket", shown, ref=f"{AB},since=0", url=url)
    assert parse_or_refuse(raw)
    read_mutated(random.Random(url + json.dumps(shown)), raw)


def number() -> st.SearchStrategy[Any]:
    return st.none() | st.floats() | st.integers(-2, 10**20) | st.text(max_size=6) | st.decimals().map(str)


@settings(max_examples=200, deadline=None)
@given(bid=number(), ask=number(), last=number())
def test_whatever_the_book_says_a_value_lies_within_it(bid: Any, ask: Any, last: Any) -> None:
    body = json.dumps({"markets": [market(bestBid=bid, bestAsk=ask, lastTradePrice=last)]}).encode()
    raw = answer("polymarket", body, ref=AB)
    parsed = SOURCE.parse(raw)
    check(parsed, raw)
    for snapshot in parsed.batch.snapshots:
        if snapshot.key.quantity is MID and snapshot.probability is not None:
            assert float(bid) <= snapshot.probability <= float(ask) <= float(bid) + 0.1 + 1e-12
        elif snapshot.probability is not None:
            assert snapshot.probability == float(last)


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), doubled=st.integers(0, 3))
def test_the_order_of_rows_and_their_repetition_say_nothing(chance: random.Random, doubled: int) -> None:
    listed = json.loads(GOOD["polymarket"][2])["markets"]
    points = DATA_SPEC.example("dataHistory", "settled")["data"]
    old_points = CLOB_SPEC.example("clobHistory", "points")["history"]
    paid = [resolution(), resolution("split", condition_id=ID[1])]
    for rows, read in (
        (listed, lambda mixed: listing(*mixed)),
        (points, lambda mixed: history({"data": mixed})),
        (old_points, lambda mixed: old_history({"history": mixed})),
        (paid, lambda mixed: payouts({"data": mixed}, ref=f"{AB},{ID[1]}")),
    ):
        mixed = [*rows, *chance.choices(rows, k=doubled)]
        chance.shuffle(mixed)
        assert told(read(mixed)) == told(read(rows))


# --- over real sockets ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    quick = HttpSettings(attempts=1, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)
    with HttpClient(user_agent="speedup-tracker tests", settings=quick) as client:
        yield client


class Platform:
    """Gamma, Data and CLOB on three loopback ports, and one poll of them."""

    def __init__(self, client: HttpClient, store: MemoryStore) -> None:
        self.client, self.store = client, store
        self.gamma, self.data, self.clob = (
            SpecServer(f"polymarket-{name}-read") for name in ("gamma", "data-v2", "clob")
        )

    def __enter__(self) -> Platform:
        for server in (self.gamma, self.data, self.clob):
            server.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for server in (self.gamma, self.data, self.clob):
            server.__exit__(*error)

    def poll(self, *ids: str, at: datetime = AT) -> SourceReport:
        addresses = Settings(
            polymarket_gamma_url=self.gamma.url,
            polymarket_data_url=self.data.url,
            polymarket_clob_url=self.clob.url,
        )
        collector = Collector(self.store, SOURCE, self.client, addresses, lambda: at)
        return collector.run([link("polymarket", one) for one in ids])

    def asked(self) -> list[str]:
        servers = {"gamma": self.gamma, "data": self.data, "clob": self.clob}
        return sorted(f"{name} {one.path}" for name, server in servers.items() for one in server.requests)


@pytest.fixture
def platform(client: HttpClient) -> Iterator[Platform]:
    with Platform(client, MemoryStore()) as platform:
        yield platform


def test_a_market_seen_for_the_first_time_comes_with_its_history(platform: Platform) -> None:
    report = platform.poll(AB)
    assert (report.status, report.errors) == ("ok", [])
    (key,) = platform.store.streams()
    assert (key.external_id, key.quantity) == (AB, MID)
    values = [(row.snapshot.probability, row.snapshot.timed_by_source) for row in platform.store.history(key)]
    assert values == [
        *((price, True) for _, price in LIFE),
        (0.265, False),
    ]
    assert platform.asked() == ["data /v2/prices-history", "gamma /markets/keyset"]


def test_a_known_market_costs_one_call(platform: Platform) -> None:
    platform.poll(AB)
    assert platform.asked() == ["data /v2/prices-history", "gamma /markets/keyset"]
    report = platform.poll(AB, at=AT + timedelta(hours=1))
    assert report.requests == 1
    assert platform.asked() == ["data /v2/prices-history", *["gamma /markets/keyset"] * 2]


def test_a_finished_market_is_found_with_its_outcome_and_past(platform: Platform) -> None:
    finished = {"markets": [market("resolved_yes")]}
    platform.gamma.route(
        "/markets/keyset",
        lambda seen: json_reply(finished if ("closed", "true") in seen.query else {"markets": []}),
    )
    platform.data.choose("dataHistory", example="settled")
    report = platform.poll(AB)
    assert report.status == "ok"
    assert [outcome(one) for one in platform.store.resolutions()] == [(AB, "yes", "yes", 1.0, WHEN)]
    (key,) = platform.store.streams()
    assert [row.snapshot.probability for row in platform.store.history(key)] == [0.18, 0.19, 0.2]
    assert platform.asked() == [
        "data /v2/prices-history",
        "data /v2/resolutions",
        "gamma /markets/keyset",
        "gamma /markets/keyset",
    ]


def test_when_the_data_api_has_nothing_clob_answers_in_its_place(platform: Platform) -> None:
    platform.gamma.choose("gammaMarketsKeyset", example="last_page")
    platform.data.choose("dataHistory", status=404)
    platform.data.choose("dataResolutions", example="none")
    platform.clob.choose("clobMarket", example="resolved_split")
    report = platform.poll(AB)
    assert report.status == "ok"
    assert any("asked CLOB" in note for note in report.notes)
    assert [outcome(one) for one in platform.store.resolutions()] == [(AB, "yes", "fraction", 0.5, None)]
    (key,) = platform.store.streams()
    assert len(platform.store.history(key)) == 8
    assert platform.asked() == [
        f"clob /markets/{AB}",
        "clob /prices-history",
        "data /v2/prices-history",
        "data /v2/resolutions",
        "gamma /markets/keyset",
    ]


def test_one_host_that_is_down_costs_only_what_it_has(platform: Platform) -> None:
    platform.data.route_others(lambda _: reply(503))
    report = platform.poll(AB)
    assert report.status == "partial"
    assert [(error.ref, error.kind) for error in report.errors] == [(AB, "http_503")]
    assert [row.snapshot.probability for row in platform.store.latest().values()] == [0.265]


def test_a_market_that_is_nowhere_is_gone(platform: Platform) -> None:
    platform.gamma.choose("gammaMarketsKeyset", example="empty")
    report = platform.poll(AB)
    assert report.status == "ok"
    assert [row.snapshot.state for row in platform.store.latest().values()] == [ValueState.GONE]


def test_stored_bytes_read_again_say_the_same(platform: Platform) -> None:
    platform.poll(AB)
    for raw in platform.store.raw_payloads("polymarket"):
        assert isinstance(raw, RawPayload)
        assert SOURCE.parse(raw) == SOURCE.parse(raw)
        check(SOURCE.parse(raw), raw)

"""Kalshi: dollars that are probabilities, days that end in the East, and markets that move to the archive."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, ValueState
from questions.time import EPOCH
from storage.memory import MemoryStore
from tests.servers.local import json_reply
from tests.servers.spec import SpecServer, load_spec
from tests.sources.answers import AT, GOOD, answer, link, outcome, told, value
from tests.sources.test_contract import check, parse_or_refuse, read_mutated
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.errors import ParseError
from tracker.http import HttpClient, HttpSettings
from tracker.source import Parsed, Request
from tracker.sources.kalshi import Kalshi

NOON = "2026-11-20T12:00:00Z"
WHEN = "2026-11-02T18:00:00Z"
MID, LAST = Quantity.REAL_MONEY_MID, Quantity.REAL_MONEY_LAST
SPEC = load_spec("kalshi-read-3.30.0")
SOURCE = Kalshi()
API = "https://external-api.kalshi.com/trade-api/v2"
A, HORIZON, EVENT = "KXEX10X-27-A", "KXEXHOR-27-T100", "KXEX10X-27"
SPAN = "start_ts=1788220800&end_ts=1795176000&period_interval=1440"


def market(name: str = "open", /, **changes: Any) -> dict[str, Any]:
    """An example of the document, with some keys changed."""
    return {**copy.deepcopy(SPEC.example("getMarket", name)["market"]), **changes}


def read(path: str, body: Any, ref: str = A, **how: Any) -> Parsed:
    return SOURCE.parse(answer("kalshi", body, ref=ref, url=f"{API}/{path}", **how))


def bulk(*rows: Any, ref: str = A, **rest: Any) -> Parsed:
    return read(f"markets?tickers={ref}", {"markets": list(rows), "cursor": "", **rest}, ref)


def single(body: Any, ref: str = A, **how: Any) -> Parsed:
    return read(f"markets/{ref}", body, ref, **how)


def archive(*rows: Any, ref: str = A, **rest: Any) -> Parsed:
    return read(f"historical/markets?tickers={ref}", {"markets": list(rows), "cursor": "", **rest}, ref)


def event(body: Any, ref: str = A, name: str = EVENT, **how: Any) -> Parsed:
    return read(f"events/{name}?with_nested_markets=true", body, ref, **how)


def candles(*rows: Any, ref: str = A) -> Parsed:
    body = {"markets": [{"market_ticker": ref, "candlesticks": list(rows)}]}
    return read(f"markets/candlesticks?market_tickers={ref}&{SPAN}", body, ref)


def candle(**changes: Any) -> dict[str, Any]:
    (part,) = SPEC.example("batchCandles", "two")["markets"][:1]
    return {**copy.deepcopy(part["candlesticks"][0]), **changes}


def quote(close: str | None) -> dict[str, str | None]:
    return {"open_dollars": close, "low_dollars": close, "high_dollars": close, "close_dollars": close}


def asked(requests: tuple[Request, ...]) -> list[tuple[str, str]]:
    return [(request.path, request.ref) for request in requests]


def params(request: Request) -> dict[str, str]:
    return dict(request.params)


def wanted_whole(names: Sequence[str], last: datetime | None, at: datetime) -> list[str]:
    """The markets whose events one poll asks for besides."""
    plan = SOURCE.plan_after([link("kalshi", one) for one in names], last, at)
    parts = [part for request in plan.requests for part in request.ref.split(",")]
    return [part.removeprefix("whole=") for part in parts if part.startswith("whole=")]


# --- what is asked --------------------------------------------------------------------------------------


def test_markets_are_asked_for_a_hundred_a_call_without_combined_ones() -> None:
    names = [f"KX{number:05d}-27" for number in range(230)]
    plan = SOURCE.plan([link("kalshi", one) for one in [*names, *names]], AT, None)
    assert [request.path for request in plan.requests] == ["markets"] * 3
    asked_for = [params(request)["tickers"].split(",") for request in plan.requests]
    assert [len(batch) for batch in asked_for] == [100, 100, 30]
    assert [one for batch in asked_for for one in batch] == names
    assert {params(request)["mve_filter"] for request in plan.requests} == {"exclude"}
    assert {params(request)["limit"] for request in plan.requests} == {"1000"}


@pytest.mark.parametrize("count", [1, 70, 168, 250, 400])
def test_every_market_is_looked_at_whole_once_a_week_and_few_at_a_time(count: int) -> None:
    names = [f"KX{number:05d}-27" for number in range(count)]
    hours = [AT + timedelta(hours=hour) for hour in range(169)]
    polls = [wanted_whole(names, last, now) for last, now in pairwise(hours)]
    assert sorted(one for poll in polls for one in poll) == names
    assert max(len(poll) for poll in polls) <= max(3, -(-count // 100))


@pytest.mark.parametrize("hours", [1, 6, 24, 24 * 7])
def test_rare_polls_cost_no_more_and_every_market_has_its_turn_in_time(hours: int) -> None:
    names = [f"KX{number:05d}-27" for number in range(30)]
    times = [AT + timedelta(hours=n * hours) for n in range(170)]
    polls = [wanted_whole(names, last, now) for last, now in pairwise(times)]
    assert max(len(poll) for poll in polls) <= 3
    assert {one for poll in polls for one in poll} == set(names)


def test_the_titles_of_markets_whose_last_poll_is_unknown_do_not_come_all_at_once() -> None:
    names = [f"KX{number:05d}-27" for number in range(250)]
    assert len(wanted_whole(names, None, AT)) == 3
    (one, *_) = SOURCE.plan([link("kalshi", name) for name in names], AT, None).requests
    assert "whole=" not in one.ref


def test_a_market_whose_turn_it_is_is_followed_to_its_event_and_its_siblings_come_along() -> None:
    sibling = market(ticker="KXEX10X-27-B")
    ref = f"{A},KXEX10X-27-B,{HORIZON},whole={A},whole=KXEX10X-27-B"
    parsed = bulk(market(), sibling, market("threshold"), ref=ref)
    assert asked(parsed.follow) == [(f"events/{EVENT}", A)]
    assert len(parsed.batch.snapshots) == 3
    assert parsed.batch.infos == ()
    assert bulk(market(), ref=A).follow == ()


@pytest.mark.parametrize(
    ("changes", "news"),
    [
        ({"status": "closed", "close_time": "2026-11-20T11:00:00Z"}, True),
        ({"status": "determined", "close_time": "2026-11-19T11:00:00Z"}, True),
        ({"status": "closed", "close_time": "2026-11-18T11:00:00Z"}, False),
        ({"status": "closed", "close_time": "2026-12-18T11:00:00Z"}, False),
        ({"status": "finalized", "result": "no", "settlement_ts": "2026-11-20T11:00:00Z"}, True),
        ({"status": "finalized", "result": "no", "settlement_ts": "2026-11-01T11:00:00Z"}, False),
        ({"status": "active", "close_time": "2026-11-20T11:00:00Z"}, False),
    ],
)
def test_a_market_that_has_just_ended_is_looked_at_whole_at_once(changes: dict[str, Any], news: bool) -> None:
    assert asked(bulk(market(**changes)).follow) == ([(f"events/{EVENT}", A)] if news else [])


def test_a_refusal_of_a_list_denies_its_markets_and_nothing_else() -> None:
    parsed = read(f"markets?tickers={A}", {}, ref=f"{A},{HORIZON},whole={A}", status=403)
    assert parsed == Parsed(denied=(A, HORIZON))


def test_a_first_sight_reads_a_market_alone_and_asks_for_its_candles() -> None:
    whole, days = SOURCE.plan([link("kalshi", A)], AT, EPOCH).requests
    assert (whole.path, whole.accept_missing) == (f"markets/{A}", True)
    assert (days.path, days.accept_missing) == ("markets/candlesticks", True)
    assert params(days)["market_tickers"] == A
    assert params(days)["period_interval"] == "1440"


@pytest.mark.parametrize("since", [EPOCH, AT - timedelta(days=30), AT])
def test_no_call_asks_for_more_candles_than_one_gives(since: datetime) -> None:
    days = params(SOURCE.plan([link("kalshi", A)], AT, since).requests[1])
    start, end = int(days["start_ts"]), int(days["end_ts"])
    assert end == int(AT.timestamp())
    assert start >= since.timestamp()
    assert (end - start) / 86_400 <= 5_000


@pytest.mark.parametrize("name", ["kxex10x-27", "../x", "A/B", "A,B", "A..B", "-A", "A B", "Ü", "X" * 101])
def test_a_ticker_that_cannot_be_one_is_skipped_with_the_reason(name: str) -> None:
    plan = SOURCE.plan([link("kalshi", name)], AT, EPOCH)
    assert plan.requests == ()
    assert "no Kalshi ticker" in plan.skipped[name]


@pytest.mark.parametrize("name", ["OAIAGI-26", "KXAGICO-COMP-26Q2", "KXHIGHNY-24DEC01-T45.5", "KXD-27-T-5"])
def test_tickers_as_they_are_found_are_asked_for(name: str) -> None:
    assert SOURCE.plan([link("kalshi", name)], AT, EPOCH).skipped == {}


# --- the present value ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("open", [(A, "yes", NOON, 0.26)]),
        ("threshold", [(HORIZON, "yes", NOON, 0.26)]),
        ("finalized_yes", []),
        ("finalized_no", []),
        ("finalized_scalar", []),
        ("determined", []),
    ],
)
def test_the_values_of_every_example(name: str, values: list[Any]) -> None:
    shown = SPEC.example("getMarket", name)
    parsed = single(shown, ref=shown["market"]["ticker"])
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == values
    assert (parsed.faults, parsed.notes, parsed.batch.infos) == ((), (), ())
    follow = shown["market"]["event_ticker"]
    assert asked(parsed.follow) == [(f"events/{follow}", shown["market"]["ticker"])]


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("open", []),
        ("threshold", []),
        ("determined", []),
        ("finalized_yes", [("KXEX10X-26-A", "yes", "yes", 1.0, WHEN)]),
        ("finalized_no", [("KXEX10X-26-B", "yes", "no", 0.0, WHEN)]),
        ("finalized_scalar", [("KXEX10X-26-C", "yes", "fraction", 0.5, WHEN)]),
    ],
)
def test_the_outcomes_of_every_example(name: str, outcomes: list[Any]) -> None:
    parsed = single(SPEC.example("getMarket", name))
    assert [outcome(one) for one in parsed.batch.resolutions] == outcomes


@pytest.mark.parametrize(
    ("name", "values", "outcomes"),
    [
        ("page1", [(A, "yes", NOON, 0.26), (HORIZON, "yes", NOON, 0.26)], []),
        ("last_page", [], [("KXEX10X-26-A", "yes", "yes", 1.0, WHEN)]),
        ("empty", [], []),
    ],
)
def test_the_pages_of_every_example(name: str, values: list[Any], outcomes: list[Any]) -> None:
    ref = {"page1": f"{A},{HORIZON}", "last_page": "KXEX10X-26-A", "empty": A}[name]
    parsed = read(f"markets?tickers={ref}", SPEC.example("getMarkets", name), ref)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == values
    assert [outcome(one) for one in parsed.batch.resolutions] == outcomes
    assert asked(parsed.follow) == ([("historical/markets", A)] if name == "empty" else [])
    assert parsed.faults == ()


def test_a_list_of_many_kinds() -> None:
    parsed = SOURCE.parse(answer("kalshi", GOOD["kalshi"][2]))
    said = [(*value(s), s.key.quantity, s.spread, s.volume) for s in parsed.batch.snapshots]
    assert said == [
        (A, "yes", NOON, 0.26, MID, 0.02, 5321.0),
        ("KXEX10X-27-B", "yes", NOON, 0.3, LAST, 0.395, 12.5),
        ("KXEX10X-27-C", "yes", NOON, "no_trade", MID, None, None),
    ]
    assert [outcome(one) for one in parsed.batch.resolutions] == [
        ("KXEX10X-27-D", "yes", "fraction", 0.375, WHEN)
    ]
    assert parsed.batch.resolutions[0].text == "scalar: Fair price"
    assert parsed.notes == ("KXEX10X-27-F: status 'suspended' is not known: no value taken",)
    assert parsed.faults == ()


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        ("0.2500", "0.2700", "0.9900", (MID, 0.26)),
        ("0.450000", "0.550000", "0.9900", (MID, 0.5)),  # a spread of exactly 0.10
        ("0.4500", "0.5501", "0.5200", (LAST, 0.52)),
        ("0.0000", "0.0300", "0.0200", (LAST, 0.02)),  # nobody bids
        ("0.9700", "1.0000", "0.9800", (LAST, 0.98)),  # nobody asks
        ("0.0000", "1.0000", "0.0000", (MID, "no_trade")),  # never traded: no price of zero
        ("0.0000", "0.0000", "0.3100", (LAST, 0.31)),
        (None, None, "0.3100", (LAST, 0.31)),
        ("0.2500", "0.2700", None, (MID, 0.26)),
        (0.25, 0.27, None, (MID, 0.26)),
        ("0.123457", "0.123459", "0.5", (MID, 0.123458)),
    ],
)
def test_a_narrow_quote_comes_before_the_last_trade(bid: Any, ask: Any, last: Any, expected: Any) -> None:
    body = market(yes_bid_dollars=bid, yes_ask_dollars=ask, last_price_dollars=last)
    (snapshot,) = bulk(body).batch.snapshots
    assert (snapshot.key.quantity, value(snapshot)[3]) == expected


@pytest.mark.parametrize("status", ["initialized", "inactive", "active"])
def test_a_market_that_may_still_trade_has_a_value(status: str) -> None:
    assert len(bulk(market(status=status)).batch.snapshots) == 1


@pytest.mark.parametrize("status", ["closed", "determined", "disputed", "amended"])
@pytest.mark.parametrize("result", ["", "yes", "scalar"])
def test_before_it_is_final_nothing_is_an_outcome_and_after_trading_nothing_a_price(
    status: str, result: str
) -> None:
    parsed = bulk(market(status=status, result=result, settlement_value_dollars="1.0000"))
    assert (parsed.batch.snapshots, parsed.batch.resolutions) == ((), ())
    assert (parsed.faults, parsed.notes) == ((), ())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"result": ""}, "result"),
        ({"result": "void"}, "result"),
        ({"result": None}, "result"),
        ({"result": "scalar"}, "settlement_value_dollars"),
        ({"result": "scalar", "settlement_value_dollars": "1.2"}, "settlement_value_dollars"),
        ({"result": "yes", "settlement_value_dollars": "0.5000"}, "settlement_value_dollars"),
        ({"result": "no", "settlement_value_dollars": "1.0000"}, "settlement_value_dollars"),
    ],
)
def test_an_outcome_that_does_not_add_up_is_a_fault(changes: dict[str, Any], field: str) -> None:
    parsed = bulk(market(status="finalized", **changes), market(ticker=HORIZON))
    assert parsed.batch.resolutions == ()
    assert {(fault.ref, fault.field) for fault in parsed.faults} == {(A, f"markets[0].{field}")}
    assert len(parsed.batch.snapshots) == 1


def test_a_result_counts_without_its_payment_and_without_its_time() -> None:
    (one,) = bulk(market(status="finalized", result="yes")).batch.resolutions
    assert (one.state.value, one.resolved_at, one.text) == ("yes", None, "yes")
    (early,) = bulk(market("finalized_yes", settlement_ts="2027-01-01T00:00:00Z")).batch.resolutions
    assert early.resolved_at is None


def test_a_scalar_market_has_no_probability() -> None:
    parsed = bulk(market(market_type="scalar"))
    assert parsed.batch.snapshots == ()
    assert "no probability" in parsed.notes[0]


def test_renamed_prices_are_a_fault_and_not_a_market_without_trades() -> None:
    body = market()
    for key in ("yes_bid_dollars", "yes_ask_dollars", "last_price_dollars"):
        body[key.removesuffix("_dollars")] = 26
        del body[key]
    parsed = bulk(body, market(ticker=HORIZON))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [HORIZON]
    assert [(fault.ref, fault.field) for fault in parsed.faults] == [(A, "markets[0].yes_bid_dollars")]


@pytest.mark.parametrize("key", ["yes_bid_dollars", "yes_ask_dollars", "last_price_dollars"])
@pytest.mark.parametrize("price", ["1.0001", "-0.1", "x", "", True, [], 42, "NaN", "1e999", "0.2600 "])
def test_a_price_that_is_none_spoils_its_market_only(key: str, price: object) -> None:
    parsed = bulk(market(**{key: price}), market(ticker=HORIZON))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [HORIZON]
    assert [(fault.ref, fault.field) for fault in parsed.faults] == [(A, f"markets[0].{key}")]


def test_a_crossed_book_is_a_fault_and_gives_no_value() -> None:
    parsed = bulk(market(yes_bid_dollars="0.6", yes_ask_dollars="0.4"), market(ticker=HORIZON))
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == [HORIZON]
    assert [fault.field for fault in parsed.faults] == ["markets[0].yes_ask_dollars"]


@pytest.mark.parametrize("key", ["volume_fp", "close_time", "yes_sub_title", "expiration_value"])
def test_a_wrong_extra_is_a_fault_and_the_value_is_kept(key: str) -> None:
    parsed = bulk(market(**{key: {"not": "this"}}))
    assert [value(snapshot)[3] for snapshot in parsed.batch.snapshots] == [0.26]
    assert [fault.field for fault in parsed.faults] == [f"markets[0].{key}"]


# --- live, then the archive, then the event -------------------------------------------------------------


def test_what_the_live_list_lacks_is_asked_for_in_the_archive_in_one_call() -> None:
    (request,) = bulk(market(), ref=f"{A},KXOLD-1,KXOLD-2").follow
    assert (request.path, request.ref) == ("historical/markets", "KXOLD-1,KXOLD-2")
    assert params(request)["tickers"] == "KXOLD-1,KXOLD-2"
    assert params(request)["mve_filter"] == "exclude"


def test_a_single_market_that_is_not_there_is_asked_for_in_the_archive() -> None:
    (request,) = single(SPEC.example("getMarket", "error", 404), status=404).follow
    assert (request.path, request.ref) == ("historical/markets", A)


@pytest.mark.parametrize("name", ["page"])
def test_the_archives_pages_of_every_example(name: str) -> None:
    parsed = read("historical/markets?tickers=x", SPEC.example("histMarkets", name), "KXEX10X-26-A")
    assert [outcome(one) for one in parsed.batch.resolutions] == [("KXEX10X-26-A", "yes", "yes", 1.0, WHEN)]
    assert [(info.external_id, info.title) for info in parsed.batch.infos] == [
        ("KXEX10X-26-A", "Interpretability")
    ]
    assert (parsed.follow, parsed.faults, parsed.batch.snapshots) == ((), (), ())


@pytest.mark.parametrize("name", ["finalized_yes"])
def test_the_archives_market_of_every_example(name: str) -> None:
    shown = SPEC.example("histMarket", name)
    parsed = read("historical/markets/KXEX10X-26-A", shown, "KXEX10X-26-A")
    assert [outcome(one) for one in parsed.batch.resolutions] == [("KXEX10X-26-A", "yes", "yes", 1.0, WHEN)]


def test_what_is_not_in_the_archive_either_may_be_an_event() -> None:
    (request,) = archive(ref=EVENT).follow
    assert (request.path, request.ref) == (f"events/{EVENT}", EVENT)
    assert request.params == (("with_nested_markets", "true"),)
    assert request.accept_missing


@pytest.mark.parametrize("name", ["nested", "flat"])
def test_an_events_ticker_is_no_market_and_its_markets_are_named(name: str) -> None:
    parsed = event(SPEC.example("getEvent", name), ref=EVENT)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [(EVENT, "yes", NOON, "gone")]
    assert parsed.notes == (f"{EVENT}: looks like an event's ticker, not a market's; its markets: {A}",)


def test_of_a_large_event_twenty_markets_are_named() -> None:
    body = SPEC.example("getEvent", "nested")
    members = [market(ticker=f"KXEX10X-27-{number}") for number in range(30)]
    (note,) = event({"event": {**body["event"], "markets": members}}, ref=EVENT).notes
    assert note.endswith(", ".join(f"KXEX10X-27-{number}" for number in range(20)))


def test_a_ticker_that_is_nowhere_is_gone() -> None:
    parsed = event(SPEC.example("getEvent", "error", 404), ref=EVENT, status=404)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [(EVENT, "yes", NOON, "gone")]
    assert parsed.notes == ()


def test_an_event_that_is_not_there_says_nothing_of_a_market_that_is() -> None:
    assert event(SPEC.example("getEvent", "error", 404), ref=A, status=404) == Parsed()


def test_a_market_may_have_the_name_of_its_event() -> None:
    body = {"event": {**SPEC.example("getEvent", "nested")["event"], "markets": [market(ticker=EVENT)]}}
    parsed = event(body, ref=EVENT)
    assert parsed.batch.snapshots == ()
    assert [info.external_id for info in parsed.batch.infos] == [EVENT]


@pytest.mark.parametrize("again", ["markets", "historical/markets"])
def test_when_there_are_further_pages_the_rest_is_asked_for_again(again: str) -> None:
    ask = archive if again.startswith("historical") else bulk
    (request,) = ask(market(), ref=f"{A},KXOLD-1", cursor="exCursor1").follow
    assert (request.path, request.ref) == (again, "KXOLD-1")
    with pytest.raises(ParseError, match="further page"):
        ask(ref="KXOLD-1", cursor="exCursor1")


def test_a_row_without_a_ticker_may_be_the_missing_one_so_nothing_is_concluded() -> None:
    parsed = archive(market(ticker=None), market(), ref=f"{A},KXOLD-1")
    assert parsed.follow == ()
    assert [fault.field for fault in parsed.faults] == ["markets[0].ticker"]


def test_a_list_may_be_null() -> None:
    assert asked(read("markets?tickers=x", {"markets": None, "cursor": ""}).follow) == [
        ("historical/markets", A)
    ]


# --- titles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nested", "flat"])
def test_the_titles_of_every_example(name: str) -> None:
    parsed = event(SPEC.example("getEvent", name))
    assert [(info.external_id, info.title) for info in parsed.batch.infos] == [
        (A, "Which areas reach 10x in 2027?: Interpretability")
    ]
    assert (parsed.faults, parsed.notes, parsed.batch.snapshots, parsed.follow) == ((), (), (), ())


def test_what_an_event_tells_of_a_market() -> None:
    (info,) = event(SPEC.example("getEvent", "nested")).batch.infos
    assert info.url == "https://kalshi.com/markets/kxex10x"
    assert (info.question_type, info.status) == ("binary", "open")
    assert info.criteria_sha256 == hashlib.sha256(b"Rule text.").hexdigest()
    assert info.opens_at == datetime(2026, 8, 1, 14, tzinfo=UTC)
    assert info.closes_at == datetime(2027, 12, 31, 23, 59, tzinfo=UTC)
    assert info.resolves_by == datetime(2028, 1, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("initialized", "upcoming"),
        ("inactive", "open"),
        ("active", "open"),
        ("closed", "closed"),
        ("determined", "closed"),
        ("disputed", "closed"),
        ("amended", "closed"),
        ("finalized", "resolved"),
        ("suspended", ""),
    ],
)
def test_the_words_of_the_platform_are_made_words_that_all_share(word: str, status: str) -> None:
    body = SPEC.example("getEvent", "nested")
    parsed = event({"event": {**body["event"], "markets": [market(status=word)]}})
    assert [info.status for info in parsed.batch.infos] == [status]
    assert [("suspended" in note) for note in parsed.notes] == ([True] if status == "" else [])


def test_both_parts_of_the_rules_count() -> None:
    body = SPEC.example("getEvent", "nested")["event"]

    def criteria(**rules: str) -> str:
        return event({"event": {**body, "markets": [market(**rules)]}}).batch.infos[0].criteria_sha256

    assert criteria(rules_secondary=" ") == criteria() == hashlib.sha256(b"Rule text.").hexdigest()
    assert criteria(rules_secondary="And more.") == hashlib.sha256(b"Rule text.\nAnd more.").hexdigest()


def test_an_event_that_leaves_out_the_rules_does_not_wipe_out_what_is_known_of_them() -> None:
    body, bare = SPEC.example("getEvent", "nested")["event"], market()
    del bare["rules_primary"], bare["rules_secondary"]
    store = MemoryStore()
    for row in (market(), bare):
        parsed = event({"event": {**body, "markets": [row]}})
        store.append(parsed.batch)
    assert "without its rules" in parsed.notes[0]
    assert [info.criteria_sha256 for info in store.infos()] == [hashlib.sha256(b"Rule text.").hexdigest()]


@pytest.mark.parametrize("name", [None, "a/b", "../x"])
def test_a_market_without_a_good_event_has_a_title_of_its_own(name: str | None) -> None:
    parsed = single({"market": market(event_ticker=name, title="A title of old")})
    assert parsed.follow == ()
    assert [(info.external_id, info.title) for info in parsed.batch.infos] == [(A, "A title of old")]


@pytest.mark.parametrize("series", [None, "a/b", "<x>", 7])
def test_an_address_is_only_made_of_a_good_series(series: Any) -> None:
    body = SPEC.example("getEvent", "nested")
    parsed = event({"event": {**body["event"], "series_ticker": series}})
    assert {info.url for info in parsed.batch.infos} == {""}


def test_a_hostile_title_is_one_harmless_line() -> None:
    body = SPEC.example("getEvent", "nested")
    parsed = event({"event": {**body["event"], "title": "a\x00b\x1b[31m\n\u202eevil" + "x" * 5000}})
    assert parsed.batch.infos[0].title.startswith("a b [31m  evilx")
    assert len(parsed.batch.infos[0].title) == 500


def test_one_bad_member_does_not_spoil_its_siblings() -> None:
    body = SPEC.example("getEvent", "nested")
    parsed = event({"event": {**body["event"], "markets": ["x", {"ticker": 7}, market()]}})
    assert [info.external_id for info in parsed.batch.infos] == [A]
    assert {fault.field.split("]")[0] for fault in parsed.faults} == {"event.markets[0", "event.markets[1"}


# --- candles --------------------------------------------------------------------------------------------

DAYS = [
    (A, "yes", "2026-11-10T05:00:00Z", 0.24),
    (A, "yes", "2026-11-11T05:00:00Z", 0.25),
    (A, "yes", "2026-11-12T05:00:00Z", 0.26),
]
OLD = "KXEX10X-26-A"
OLD_DAYS = [
    (OLD, "yes", "2026-03-10T04:00:00Z", 0.5),
    (OLD, "yes", "2026-03-11T04:00:00Z", 0.52),
    (OLD, "yes", "2026-03-12T04:00:00Z", 0.55),
]


@pytest.mark.parametrize(
    ("operation", "name", "path", "days"),
    [
        ("batchCandles", "two", f"markets/candlesticks?market_tickers={A}", DAYS),
        ("candles", "daily", f"series/KXEX10X/markets/{A}/candlesticks?start_ts=1", DAYS),
        ("candles", "empty", f"series/KXEX10X/markets/{A}/candlesticks?start_ts=1", []),
        ("histCandles", "daily", f"historical/markets/{OLD}/candlesticks?start_ts=1", OLD_DAYS),
    ],
)
def test_the_days_of_every_example(operation: str, name: str, path: str, days: list[Any]) -> None:
    """A day ends at midnight in New York: 05:00 UTC in winter, 04:00 UTC in summer; kept as it is."""
    body = SPEC.example(operation, name)
    if operation == "batchCandles":
        body = {"markets": body["markets"][:1]}  # we ask for one market a call
    parsed = read(path, body, OLD if operation == "histCandles" else A)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == days
    assert {snapshot.key.quantity for snapshot in parsed.batch.snapshots} <= {MID}
    assert {snapshot.spread for snapshot in parsed.batch.snapshots} <= {0.02}
    assert all(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)
    assert (parsed.faults, parsed.batch.resolutions) == ((), ())


@pytest.mark.parametrize("form", ["live", "old"])
@pytest.mark.parametrize(
    ("bid", "ask", "price", "expected"),
    [
        ("0.2300", "0.2500", "0.3000", (MID, 0.24)),
        ("0.2300", "0.2500", None, (MID, 0.24)),  # no trade that day: the quote still stands
        ("0.1000", "0.5000", "0.3000", (LAST, 0.3)),
        ("0.1000", "0.5000", None, None),  # and without a quote the day has no value at all
        ("0.0000", "1.0000", None, None),
        ("0.0000", "1.0000", "0.0000", None),
        ("0.0000", "0.0200", "0.0100", (LAST, 0.01)),
    ],
)
def test_a_day_without_a_trade_is_no_price_of_zero(
    form: str, bid: str, ask: str, price: str | None, expected: Any
) -> None:
    key = "close_dollars" if form == "live" else "close"
    day = {
        "end_period_ts": 1794286800,
        "yes_bid": {key: bid},
        "yes_ask": {key: ask},
        "price": {key: price, key.replace("close", "previous"): "0.7700"},
    }
    said = [(s.key.quantity, s.probability) for s in candles(day).batch.snapshots]
    assert said == ([] if expected is None else [expected])


def test_a_price_without_any_members_is_a_day_without_a_trade() -> None:
    assert candles(candle(price={}, yes_bid=quote("0.1"), yes_ask=quote("0.9"))).batch.snapshots == ()
    (kept,) = candles(candle(price=None)).batch.snapshots
    assert kept.key.quantity is MID


@pytest.mark.parametrize(
    ("first", "lengths"),
    [(date(2026, 3, 5), [24, 24, 23, 24]), (date(2025, 10, 30), [24, 24, 25, 24])],
    ids=["spring", "autumn"],
)
def test_days_stay_days_when_the_clocks_of_new_york_change(first: date, lengths: list[int]) -> None:
    """Independent truth: the time zone database. 05:00 UTC in winter, 04:00 in summer; never a day lost."""
    midnights = [
        datetime.combine(first + timedelta(days=number), time(), ZoneInfo("America/New_York")).astimezone(UTC)
        for number in range(1, 6)
    ]
    rows = [candle(end_period_ts=int(end.timestamp())) for end in midnights]
    read_as = [snapshot.as_of for snapshot in candles(*rows).batch.snapshots]
    assert read_as == midnights
    assert [(b - a) / timedelta(hours=1) for a, b in pairwise(read_as)] == lengths
    assert {moment.hour for moment in read_as} == {4, 5}


def test_a_day_that_is_not_over_has_no_close() -> None:
    later = int(AT.timestamp()) + 1
    parsed = candles(candle(), candle(end_period_ts=later))
    assert [value(snapshot)[2] for snapshot in parsed.batch.snapshots] == ["2026-11-10T05:00:00Z"]
    assert parsed.faults == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"end_period_ts": "soon"}, "end_period_ts"),
        ({"end_period_ts": None}, "end_period_ts"),
        ({"end_period_ts": 10**20}, "end_period_ts"),
        ({"yes_bid": quote("1.5")}, "yes_bid.close_dollars"),
        ({"yes_bid": 0.24}, "yes_bid"),
        ({"price": quote("x")}, "price.close_dollars"),
    ],
)
def test_a_day_that_cannot_be_read_is_a_fault_and_the_others_are_taken(
    changes: dict[str, Any], field: str
) -> None:
    parsed = candles(candle(**changes), candle(end_period_ts=1794373200))
    assert [value(snapshot)[2] for snapshot in parsed.batch.snapshots] == ["2026-11-11T05:00:00Z"]
    assert [(f.ref, f.field) for f in parsed.faults] == [(A, f"markets[0].candlesticks[0].{field}")]


@pytest.mark.parametrize(
    "body",
    [
        {"markets": []},
        {"markets": None},
        {"markets": [{"market_ticker": A, "candlesticks": []}]},
        {"markets": [{"market_ticker": A, "candlesticks": None}]},
        {"ticker": A, "candlesticks": []},
        None,
    ],
)
def test_without_live_candles_the_archive_is_asked_for_the_same_stretch(body: Any) -> None:
    status = 404 if body is None else 200
    url = f"markets/candlesticks?market_tickers={A}&{SPAN}"
    (request,) = read(url, {} if body is None else body, status=status).follow
    assert (request.path, request.ref) == (f"historical/markets/{A}/candlesticks", A)
    assert request.params == (
        ("start_ts", "1788220800"),
        ("end_ts", "1795176000"),
        ("period_interval", "1440"),
    )
    assert request.accept_missing


def test_a_market_without_candles_in_the_archive_has_none() -> None:
    path = f"historical/markets/{A}/candlesticks?{SPAN}"
    assert read(path, {"ticker": A, "candlesticks": []}) == Parsed()
    assert read(path, SPEC.example("histCandles", "error", 404), status=404) == Parsed()


def test_candles_of_another_market_are_refused() -> None:
    with pytest.raises(ParseError, match="another"):
        read(f"markets/candlesticks?{SPAN}", {"markets": [{"market_ticker": HORIZON, "candlesticks": []}]})


# --- all of it ------------------------------------------------------------------------------------------

COVERED = {
    "getMarkets": test_the_pages_of_every_example,
    "getMarket": test_the_values_of_every_example,
    "histMarkets": test_the_archives_pages_of_every_example,
    "histMarket": test_the_archives_market_of_every_example,
    "getEvent": test_the_titles_of_every_example,
    "batchCandles": test_the_days_of_every_example,
    "candles": test_the_days_of_every_example,
    "histCandles": test_the_days_of_every_example,
}


@pytest.mark.parametrize("operation", COVERED)
def test_every_good_example_of_the_document_is_covered_above(operation: str) -> None:
    cases = [case for mark in COVERED[operation].pytestmark for case in mark.args[1]]
    if COVERED[operation] is test_the_days_of_every_example:
        cases = [case[1:] for case in cases if case[0] == operation]
    named = {case if isinstance(case, str) else case[0] for case in cases}
    assert named == set(SPEC.operations[operation].names(200))


@pytest.mark.parametrize(
    "path",
    ["markets?tickers=x", f"markets/{A}", f"events/{EVENT}", "markets/candlesticks", "historical/markets"],
)
@pytest.mark.parametrize(
    "body", [{"error": "too many requests"}, {"market": 3, "markets": 3, "event": 3}, {}]
)
def test_an_error_under_status_200_is_refused(path: str, body: Any) -> None:
    with pytest.raises(ParseError):
        read(path, body)


@pytest.mark.parametrize("path", [f"markets/{A}", f"events/{EVENT}", "markets/candlesticks"])
def test_what_belongs_to_no_one_market_is_refused(path: str) -> None:
    with pytest.raises(ParseError, match="ticker"):
        read(path, {}, ref="A,B", status=404)


def every_example() -> Iterator[Any]:
    places = {
        "getMarkets": f"markets?tickers={A}",
        "getMarket": f"markets/{A}",
        "histMarkets": f"historical/markets?tickers={OLD}",
        "histMarket": f"historical/markets/{OLD}",
        "getEvent": f"events/{EVENT}",
        "batchCandles": f"markets/candlesticks?market_tickers={A}",
        "candles": f"series/KXEX10X/markets/{A}/candlesticks",
        "histCandles": f"historical/markets/{OLD}/candlesticks",
    }
    for operation, path in places.items():
        ref = OLD if operation.startswith("hist") else A
        for name in SPEC.operations[operation].names(200):
            yield pytest.param(path, ref, SPEC.example(operation, name), id=f"{operation}-{name}")


@pytest.mark.parametrize(("path", "ref", "shown"), [*every_example()])
def test_mutated_examples_are_read_or_refused(path: str, ref: str, shown: Any) -> None:
    raw = answer("kalshi", shown, ref=ref, url=f"{API}/{path}")
    assert parse_or_refuse(raw)
    read_mutated(random.Random(path + json.dumps(shown)), raw)


def number() -> st.SearchStrategy[Any]:
    cents = st.integers(0, 10_000).map(lambda n: f"{n / 10_000:.4f}")
    return cents | cents | st.none() | st.floats() | st.integers(-2, 10**20) | st.text(max_size=6)


@settings(max_examples=200, deadline=None)
@given(bid=number(), ask=number(), last=number())
def test_whatever_the_book_says_a_value_lies_within_it(bid: Any, ask: Any, last: Any) -> None:
    row = market(yes_bid_dollars=bid, yes_ask_dollars=ask, last_price_dollars=last)
    raw = answer("kalshi", json.dumps({"markets": [row, market(ticker=HORIZON)]}).encode())
    parsed = SOURCE.parse(raw)
    check(parsed, raw)
    for snapshot in parsed.batch.snapshots:
        if snapshot.key.external_id == HORIZON or snapshot.probability is None:
            continue
        if snapshot.key.quantity is MID:
            assert float(bid) <= snapshot.probability <= float(ask) <= float(bid) + 0.1 + 1e-12
        else:
            assert snapshot.probability == float(last)


@settings(max_examples=40, deadline=None)
@given(chance=st.randoms(use_true_random=False), doubled=st.integers(0, 3))
def test_the_order_of_rows_and_their_repetition_say_nothing(chance: random.Random, doubled: int) -> None:
    listed = json.loads(GOOD["kalshi"][2])["markets"]
    days = SPEC.example("batchCandles", "two")["markets"][0]["candlesticks"]
    nested = SPEC.example("getEvent", "nested")["event"]
    members = [market(), market("threshold"), market("finalized_no")]
    for rows, read_rows in (
        (listed, lambda mixed: bulk(*mixed)),
        (days, lambda mixed: candles(*mixed)),
        (members, lambda mixed: event({"event": {**nested, "markets": mixed}})),
    ):
        mixed = [*rows, *chance.choices(rows, k=doubled)]
        chance.shuffle(mixed)
        assert told(read_rows(mixed)) == told(read_rows(rows))


# --- over real sockets ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    quick = HttpSettings(attempts=1, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)
    with HttpClient(user_agent="speedup-tracker tests", settings=quick) as client:
        yield client


@pytest.fixture
def server() -> Iterator[SpecServer]:
    with SpecServer("kalshi-read-3.30.0") as server:
        yield server


def poll(
    client: HttpClient, server: SpecServer, store: MemoryStore, *names: str, at: datetime = AT
) -> SourceReport:
    addresses = Settings(kalshi_url=f"{server.url}/trade-api/v2")
    links = [link("kalshi", one) for one in names]
    return Collector(store, SOURCE, client, addresses, lambda: at).run(links)


def paths(server: SpecServer) -> list[str]:
    return [seen.path.removeprefix("/trade-api/v2/") for seen in server.requests]


def test_a_market_seen_for_the_first_time_comes_with_its_title_and_its_days(
    client: HttpClient, server: SpecServer
) -> None:
    server.route(
        "/trade-api/v2/markets/candlesticks",
        json_reply({"markets": SPEC.example("batchCandles", "two")["markets"][:1]}),
    )
    now = market(yes_bid_dollars="0.2700", yes_ask_dollars="0.2900")
    server.route(f"/trade-api/v2/markets/{A}", json_reply({"market": now}))
    store = MemoryStore()
    report = poll(client, server, store, A)
    assert (report.status, report.errors) == ("ok", [])
    (key,) = store.streams()
    said = [(row.snapshot.probability, row.snapshot.timed_by_source) for row in store.history(key)]
    assert said == [(0.24, True), (0.25, True), (0.26, True), (0.28, False)]
    assert [info.title for info in store.infos()] == ["Which areas reach 10x in 2027?: Interpretability"]
    assert sorted(paths(server)) == [f"events/{EVENT}", f"markets/{A}", "markets/candlesticks"]


def test_a_settled_market_is_found_in_the_archive_with_its_outcome_and_its_days(
    client: HttpClient, server: SpecServer
) -> None:
    server.choose(f"/trade-api/v2/markets/{OLD}", status=404)
    server.route("/trade-api/v2/markets/candlesticks", json_reply({"code": "not_found"}, 404))
    store = MemoryStore()
    report = poll(client, server, store, OLD)
    assert (report.status, report.errors) == ("ok", [])
    assert [outcome(one) for one in store.resolutions()] == [(OLD, "yes", "yes", 1.0, WHEN)]
    (key,) = store.streams()
    assert [value(row.snapshot) for row in store.history(key)] == OLD_DAYS
    assert sorted(paths(server)) == [
        "historical/markets",
        f"historical/markets/{OLD}/candlesticks",
        f"markets/{OLD}",
        "markets/candlesticks",
    ]


def test_an_events_ticker_in_the_catalogue_is_told_to_whoever_wrote_it(
    client: HttpClient, server: SpecServer
) -> None:
    server.choose(f"/trade-api/v2/markets/{EVENT}", status=404)
    server.route("/trade-api/v2/historical/markets", json_reply({"markets": [], "cursor": ""}))
    server.route("/trade-api/v2/markets/candlesticks", json_reply({"markets": []}))
    server.choose("histCandles", status=404)
    store = MemoryStore()
    report = poll(client, server, store, EVENT)
    assert report.status == "ok"
    assert any("looks like an event's ticker" in note and A in note for note in report.notes)
    assert [row.snapshot.state for row in store.latest().values()] == [ValueState.GONE]


def test_known_markets_cost_one_call(client: HttpClient, server: SpecServer) -> None:
    names = ["KXEXA-27", "KXEXB-27"]
    assert wanted_whole(names, AT, AT + timedelta(hours=1)) == []
    rows = [market(ticker=one) for one in names]
    server.route("/trade-api/v2/markets", json_reply({"markets": rows, "cursor": ""}))
    server.route("/trade-api/v2/markets/candlesticks", json_reply({"markets": []}))
    for one in names:
        server.route(f"/trade-api/v2/markets/{one}", json_reply({"market": market(ticker=one)}))
    server.choose("histCandles", status=404)
    store = MemoryStore()
    poll(client, server, store, *names)
    before = len(paths(server))
    report = poll(client, server, store, *names, at=AT + timedelta(hours=1))
    assert (report.status, report.requests) == ("ok", 1)
    assert paths(server)[before:] == ["markets"]
    assert len(store.latest()) == 2

"""Manifold's history from its bets: which rows are trades, what price they leave, and how pages hang together."""

from __future__ import annotations

import copy
import json
import random
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, ValueState
from questions.time import EPOCH, parse_utc
from storage.records import Batch
from tests.servers.spec import load_spec
from tests.sources.answers import AT, PAYLOADS, answer, link, value
from tests.sources.manifold_bets import CREATED, MARKET, Bet, Bets, bet, path_of
from tests.sources.test_contract import check, mutated
from tracker.errors import ParseError
from tracker.source import Parsed, Request
from tracker.sources import manifold
from tracker.sources.manifold import Manifold

SOURCE = Manifold()
SPEC = load_spec("manifold-read")
EXCLUSIVE = json.loads((PAYLOADS / "manifold" / "bets-exclusive.json").read_text())
MINUTE = 60_000


def market(name: str = "binary", **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {**copy.deepcopy(SPEC.example("getMarket", name)), **changes}
    return {key: part for key, part in found.items() if part is not None}


def whole(body: dict[str, Any], since: int | None = 0) -> Parsed:
    ref = body["id"] if since is None else f"{body['id']}?since={since}"
    return SOURCE.parse(answer("manifold", body, ref=ref, url=f"https://api/v0/market/{body['id']}"))


def page(
    rows: Any, ref: str = MARKET, *, after: int = 0, limit: int | None = None, status: int = 200
) -> Parsed:
    params = {"contractId": ref.partition("?")[0], "limit": limit or manifold.PAGE, "afterTime": after}
    url = f"https://api.manifold.markets/v0/bets?{urlencode(params)}"
    raw = answer("manifold", rows, ref=ref, url=url, status=status)
    parsed = SOURCE.parse(raw)
    check(parsed, raw)
    return parsed


def prices(parsed: Parsed) -> list[float | None]:
    return [snapshot.probability for snapshot in parsed.batch.values()]


def followed(parsed: Parsed) -> list[tuple[str, dict[str, str]]]:
    return [(request.ref, dict(request.params)) for request in parsed.follow]


# --- what leads to bets ---------------------------------------------------------------------------------


def test_history_is_asked_for_only_when_it_is_wanted() -> None:
    (first_sight,) = SOURCE.plan([link("manifold", MARKET)], AT, EPOCH).requests
    assert first_sight.ref == f"{MARKET}?since=0"
    assert first_sight.params == ()
    assert whole(market(), since=0).follow
    assert whole(market(), since=None).follow == ()


def test_a_market_leads_to_its_bets_from_its_creation_on() -> None:
    (request,) = whole(market(), since=0).follow
    assert request.path == "v0/bets"
    assert dict(request.params) == {
        "contractId": MARKET,
        "limit": "1000",
        "order": "asc",
        "afterTime": str(CREATED - 1),
        "includeZeroShareRedemptions": "true",
    }
    assert request.ref == f"{MARKET}?created={CREATED}"


def test_a_later_since_leads_to_the_bets_since_then() -> None:
    since = CREATED + 5 * MINUTE
    ((ref, params),) = followed(whole(market(), since=since))
    assert (ref, params["afterTime"]) == (MARKET, str(since - 1))


def test_a_market_that_does_not_tell_its_creation_leads_to_all_its_bets() -> None:
    ((ref, params),) = followed(whole(market(createdTime=None), since=0))
    assert (ref, params["afterTime"]) == (MARKET, "0")


@pytest.mark.parametrize("name", ["resolved_yes", "resolved_cancel", "multiple_choice_dependent", "date"])
def test_resolved_markets_and_markets_with_answers_have_a_history_too(name: str) -> None:
    assert [request.path for request in whole(market(name)).follow] == ["v0/bets"]


@pytest.mark.parametrize("kind", ["STONK", "POLL", "PERP", "SOMETHING_NEW"])
def test_types_that_forecast_no_event_have_no_history(kind: str) -> None:
    assert whole(market(outcomeType=kind)).follow == ()


@pytest.mark.parametrize("ref", [f"{MARKET}?since=x", f"{MARKET}?min=0&log=1", f"{MARKET}?created="])
def test_a_ref_that_is_not_ours_is_refused_or_means_nothing(ref: str) -> None:
    if ref.endswith("created="):
        assert page([], ref).batch == Batch()
    else:
        with pytest.raises(ParseError, match="ref"):
            page([], ref)


# --- which rows are trades ------------------------------------------------------------------------------


def test_the_documents_page_has_one_trade_and_one_order_nobody_filled() -> None:
    parsed = page(SPEC.example("listBets", "page"), after=CREATED)
    assert [value(snapshot) for snapshot in parsed.batch.values()] == [
        (MARKET, "yes", "2026-11-19T04:00:00Z", 0.2594)
    ]
    (snapshot,) = parsed.batch.values()
    assert snapshot.timed_by_source
    assert snapshot.key.quantity is Quantity.PLAY_MONEY_PRICE
    assert parsed.follow == ()


def test_a_bet_on_an_answer_is_that_answers_price_whatever_side_it_took() -> None:
    parsed = page(SPEC.example("listBets", "answers"), "exMkt0003AbC")
    assert [value(snapshot)[1:] for snapshot in parsed.batch.values()] == [
        ("exAns01", "2026-11-19T04:00:00Z", 0.5)
    ]


def test_a_bet_on_an_exclusive_answer_moves_the_others_and_redeemed_shares_move_nothing() -> None:
    parsed = page(EXCLUSIVE, "exMkt0003AbC")
    assert [value(snapshot)[1:] for snapshot in parsed.batch.values()] == [
        ("exAns00", "2026-11-19T04:00:00Z", 0.188),
        ("exAns01", "2026-11-19T04:00:00Z", 0.53),
        ("exAns02", "2026-11-19T04:00:00Z", 0.282),
        ("exAns02", "2026-11-19T06:00:00Z", 0.282),  # a rebalance: the price it was made at
    ]
    at_once = [s.probability for s in parsed.batch.values() if s.as_of == parse_utc("2026-11-19T04:00:00Z")]
    assert sum(p for p in at_once if p is not None) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"amount": -10}, True),  # a sale
        ({"amount": 0}, True),  # filled by a limit order, see fills
        ({"fills": []}, True),
        ({"fills": None}, True),
        ({"amount": 0, "fills": [], "isFilled": False}, False),
        ({"amount": None, "fills": None}, False),
        ({"amount": 0, "fills": [], "isCancelled": True}, False),
        ({"isRedemption": True}, True),  # another answer's side of a bet: it moved the price
        ({"isRedemption": True, "probAfter": 0.5}, False),
        ({"isRedemption": True, "isRebalance": True, "probAfter": 0.5}, True),
        ({"probAfter": 0.5}, True),  # a trade with a limit order at the price
    ],
)
def test_what_is_a_trade(changes: dict[str, Any], kept: bool) -> None:
    row = {key: part for key, part in bet(1, CREATED, 0.5, 0.6, **changes).items() if part is not None}
    assert bool(page([row]).batch.values()) == kept


def test_an_empty_page_is_no_fault_and_no_value() -> None:
    parsed = page(SPEC.example("listBets", "empty"))
    assert (parsed.batch, parsed.faults, parsed.follow) == (Batch(), (), ())


def test_bets_after_a_resolution_are_kept_for_scoring_to_leave_out() -> None:
    late = bet(2, CREATED + 9 * MINUTE, 0.6, 0.99)
    assert prices(page([bet(1, CREATED, 0.5, 0.6), late])) == [0.6, 0.99]


# --- the price a market was made with -------------------------------------------------------------------


def test_the_first_bet_tells_the_price_the_market_was_made_with() -> None:
    parsed = page(path_of([0.55, 0.6]), f"{MARKET}?created={CREATED}", after=CREATED - 1)
    assert [value(snapshot)[2:] for snapshot in parsed.batch.values()] == [
        ("2026-07-28T09:00:00Z", 0.5),
        ("2026-07-28T09:01:00Z", 0.55),
        ("2026-07-28T09:01:01Z", 0.6),
    ]


def test_an_order_nobody_filled_tells_the_first_price_as_well() -> None:
    order = bet(0, CREATED + 10, 0.35, 0.35, amount=0, fills=[], isFilled=False)
    assert prices(page([order], f"{MARKET}?created={CREATED}", after=CREATED - 1)) == [0.35]


@pytest.mark.parametrize(
    ("ref", "row"),
    [
        pytest.param(MARKET, bet(1, CREATED + 1, 0.5, 0.6), id="creation not known"),
        pytest.param(f"{MARKET}?created={CREATED}", bet(1, CREATED, 0.5, 0.6), id="bet at the creation"),
        pytest.param(
            f"{MARKET}?created={CREATED}",
            bet(1, CREATED + 1, 0.5, 0.6, answerId="exAns01"),
            id="an answer may be younger than its market",
        ),
    ],
)
def test_without_a_known_creation_no_first_price_is_made_up(ref: str, row: Bet) -> None:
    assert prices(page([row], ref)) == [0.6]


def test_an_unreadable_bet_may_have_been_the_first_so_no_first_price_is_told() -> None:
    rows = [{**bet(0, CREATED + 1, 0.5, 0.6), "probAfter": 7}, bet(1, CREATED + 2, 0.6, 0.7)]
    parsed = page(rows, f"{MARKET}?created={CREATED}")
    assert prices(parsed) == [0.7]
    assert [fault.field for fault in parsed.faults] == ["[0].probAfter"]


# --- numeric markets ------------------------------------------------------------------------------------


def test_the_prices_of_a_numeric_market_are_read_on_its_scale() -> None:
    """10^(p log10(max - min + 1)) + min - 1 with p = 1/2, min 0, max 99: ten, less one."""
    numeric = market("pseudo_numeric_log", max=99)
    (request,) = whole(numeric).follow
    assert request.ref == f"exMkt0006AbC?created={numeric['createdTime']}&min=0.0&max=99.0&log=1"
    rows = [{**bet(1, numeric["createdTime"] + 1, 0.25, 0.5), "contractId": "exMkt0006AbC"}]
    parsed = page(rows, request.ref)
    assert [(s.key.outcome, s.probability) for s in parsed.batch.values()] == [("value", None)] * 2
    assert [s.value for s in parsed.batch.values()] == pytest.approx([10**0.5 - 1, 9.0])


def test_a_linear_scale_is_linear() -> None:
    parsed = page([bet(1, CREATED, 0.5, 0.75)], f"{MARKET}?min=-100.0&max=100.0&log=0")
    assert [snapshot.value for snapshot in parsed.batch.values()] == [50.0]


def test_without_a_scale_the_bets_of_a_numeric_market_are_not_asked_for() -> None:
    parsed = whole(market("pseudo_numeric_log", min=None, max=None))
    assert parsed.follow == ()
    assert [fault.field for fault in parsed.faults] == ["min"]


# --- bad rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"probAfter": 1.01}, "[0].probAfter"),
        ({"probAfter": "0.5"}, "[0].probAfter"),
        ({"probBefore": None}, "[0].probBefore"),
        ({"createdTime": "2026-08-01"}, "[0].createdTime"),
        ({"createdTime": 10**18}, "[0].createdTime"),
        ({"createdTime": True}, "[0].createdTime"),
        ({"contractId": "exMkt9999"}, "[0].contractId"),
        ({"answerId": "../x"}, "[0].answerId"),
        ({"id": ""}, "[0].id"),
        ({"amount": "10"}, "[0].amount"),
        ({"createdTime": CREATED - 60 * MINUTE}, "[0].createdTime"),
    ],
)
def test_a_bad_row_is_a_fault_and_the_rest_is_taken(changes: dict[str, Any], field: str) -> None:
    rows = [bet(1, CREATED + 1, 0.5, 0.6, **changes), bet(2, CREATED + 2, 0.6, 0.7)]
    parsed = page(rows, after=CREATED)
    assert prices(parsed) == [0.7]
    assert [fault.field for fault in parsed.faults] == [field]


def test_a_bet_from_after_the_fetch_is_left_out_and_noted() -> None:
    ahead = int(AT.timestamp() * 1000) + 1
    parsed = page([bet(1, ahead - 1, 0.5, 0.6), bet(2, ahead, 0.6, 0.7)])
    assert prices(parsed) == [0.6]
    assert any("clocks" in note for note in parsed.notes)


def test_the_same_bet_twice_is_one() -> None:
    assert prices(page([bet(1, CREATED, 0.5, 0.6), bet(1, CREATED, 0.5, 0.6)])) == [0.6]


def test_what_is_no_list_is_refused() -> None:
    for body in ({"message": "no"}, "text", 3, None):
        with pytest.raises(ParseError):
            page(body)
    with pytest.raises(ParseError, match="afterTime"):
        SOURCE.parse(answer("manifold", [], ref=MARKET, url="https://api/v0/bets?contractId=a"))


def test_a_missing_history_is_a_note_and_a_refused_one_is_denied() -> None:
    gone = page({"message": "Not found"}, f"{MARKET}?created=1", status=404)
    assert gone.batch == Batch()
    assert gone.notes == (f"{MARKET}: no history of bets is to be had (HTTP 404)",)
    assert page({}, f"{MARKET}?created=1", status=403).denied == (MARKET,)


def test_a_missing_market_is_gone_under_its_own_id() -> None:
    raw = answer("manifold", {}, ref=f"{MARKET}?since=0", url=f"https://api/v0/market/{MARKET}", status=404)
    (snapshot,) = SOURCE.parse(raw).batch.values()
    assert (snapshot.key.external_id, snapshot.state) == (MARKET, ValueState.GONE)


@pytest.mark.parametrize("shown", [EXCLUSIVE, SPEC.example("listBets", "page")], ids=["exclusive", "page"])
def test_mutated_pages_are_read_or_refused(shown: Any) -> None:
    chance = random.Random("bets")
    readable = 0
    for _ in range(300):
        body = copy.deepcopy(shown)
        for _ in range(chance.randint(1, 3)):
            body = mutated(chance, body)
        try:
            readable += bool(page(body, "exMkt0003AbC" if shown is EXCLUSIVE else MARKET).batch.values())
        except ParseError:
            continue
    assert readable > 100, "the mutations are so wild that they test only the refusal"


def test_two_different_bets_under_one_id_are_named_and_the_same_one_twice_is_not() -> None:
    first, second = EXCLUSIVE[0], {**EXCLUSIVE[1], "id": EXCLUSIVE[0]["id"]}
    parsed = page([first, second, first], "exMkt0003AbC")
    assert [(fault.field, fault.message) for fault in parsed.faults] == [
        ("[1].id", "two different bets have this id; first kept")
    ]
    assert [one.key.outcome for one in parsed.batch.values()] == [first["answerId"]]
    assert page([first, first], "exMkt0003AbC").faults == ()


def parsed_or_refused(body: Any) -> Parsed | str:
    try:
        return page(body)
    except ParseError as error:
        return str(error)


def test_a_page_read_at_once_says_what_it_says_read_row_by_row() -> None:
    chance = random.Random("rows")
    rows = path_of([0.5 + number / 100 for number in range(1, 9)])
    at_once = 0
    for _ in range(300):
        body = [dict(row) for row in rows]
        which = chance.randrange(len(body))
        body[which] = mutated(chance, body[which])
        with patch.object(manifold, "read_list", wraps=manifold.read_list) as reads:
            whole = parsed_or_refused(body)
        at_once += not reads.called
        with patch.object(manifold, "read_rows", return_value=None):
            assert parsed_or_refused(body) == whole
    assert 50 < at_once < 250, "both ways are to be tested"


# --- pages ----------------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "PAGE", 4)
    monkeypatch.setattr(manifold, "WIDE", 9)


def walk(bets: Bets, request: Request) -> tuple[list[Parsed], list[dict[str, str]]]:
    """Ask page after page until there is none to follow."""
    pages, asked = [], []
    waiting = [request]
    while waiting:
        ahead = waiting.pop()
        params = dict(ahead.params)
        assert params not in asked, "a page that was asked for already is not asked for again"
        asked.append(params)
        assert len(asked) < 200, "the chain does not end"
        pages.append(
            page(bets.page(params), ahead.ref, after=int(params["afterTime"]), limit=int(params["limit"]))
        )
        waiting.extend(pages[-1].follow)
    return pages, asked


def start() -> Request:
    (request,) = whole(market(), since=0).follow
    return request


def together(pages: list[Parsed]) -> dict[tuple[str, Any], float | None]:
    """What all pages say; no page contradicts or repeats another."""
    said: dict[tuple[str, Any], float | None] = {}
    for parsed in pages:
        for snapshot in parsed.batch.values():
            name = (snapshot.key.outcome, snapshot.as_of)
            assert name not in said
            said[name] = snapshot.probability
    return said


def test_a_full_page_leads_to_the_next_and_a_short_one_ends_it(small_pages: None) -> None:
    rows = path_of([0.5 + number / 100 for number in range(1, 10)])
    pages, asked = walk(Bets(rows), start())
    assert [int(params["afterTime"]) for params in asked] == [
        CREATED - 1,
        rows[3]["createdTime"] - 1,
        rows[6]["createdTime"] - 1,
    ]
    assert list(together(pages).values()) == [0.5, *(row["probAfter"] for row in rows)]


def test_the_bets_of_one_millisecond_at_the_end_of_a_page_are_read_on_the_next(small_pages: None) -> None:
    """Three answers move at once, the page ends after the first of them; nothing is lost or told twice."""
    rows = [
        bet(n, CREATED + at, 0.3, 0.3 + n / 100, answerId=f"exAns0{n % 3}")
        for n, at in enumerate([1, 2, 3, 7, 7, 7, 8])
    ]
    for seed in range(20):
        pages, _ = walk(Bets(rows, random.Random(seed)), start())
        assert len(together(pages)) == 7


def test_a_millisecond_that_fills_a_page_is_asked_for_again_in_a_longer_one(small_pages: None) -> None:
    rows = [bet(n, CREATED + 5, 0.3, 0.3 + n / 100, answerId=f"exAns0{n}") for n in range(6)]
    rows += [bet(7, CREATED + 6, 0.5, 0.7, answerId="exAns00")]
    pages, asked = walk(Bets(rows), start())
    assert len(together(pages)) == 7
    assert "9" in {params["limit"] for params in asked}
    assert all(parsed.faults == () for parsed in pages)


def test_a_millisecond_that_fills_the_longest_page_is_named_and_passed(small_pages: None) -> None:
    rows = [bet(n, CREATED + 5, 0.3, 0.3 + n / 100, answerId=f"exAns{n:02d}") for n in range(12)]
    rows += [bet(20, CREATED + 6, 0.5, 0.7, answerId="exAns00")]
    pages, _ = walk(Bets(rows), start())
    said = together(pages)
    assert len(said) == 10  # nine of the twelve, and the bet after them
    (fault,) = [fault for parsed in pages for fault in parsed.faults]
    assert "one instant" in fault.message


def test_a_platform_that_gives_only_short_pages_is_not_taken_for_complete(small_pages: None) -> None:
    """Asked for a longer page it gives no more than the usual one: then there may be more."""
    rows = [bet(n, CREATED + 5, 0.3, 0.3 + n / 100, answerId=f"exAns{n:02d}") for n in range(6)]
    pages, _ = walk(Bets(rows, most=4), start())
    assert [fault.message for parsed in pages for fault in parsed.faults] == [
        "more than 4 bets at one instant; the rest cannot be asked for"
    ]


def test_a_platform_that_does_not_heed_the_time_asked_for_is_named_and_the_chain_ends(
    small_pages: None,
) -> None:
    calls = []

    class Deaf(Bets):
        def page(self, params: Any) -> list[Bet]:
            calls.append(params)
            return super().page({**params, "afterTime": "0", "limit": "4"})

    with pytest.raises(ParseError, match="before the time"):
        walk(Deaf(path_of([0.51, 0.52, 0.53, 0.54, 0.55])), start())
    assert len(calls) < 10


def test_a_full_page_of_nonsense_is_refused(small_pages: None) -> None:
    with pytest.raises(ParseError):
        page([{"id": "x"}] * 4)


def test_of_several_bets_in_one_millisecond_the_last_in_the_chain_counts() -> None:
    rows = [bet(3, CREATED, 0.5, 0.6), bet(2, CREATED, 0.6, 0.55), bet(1, CREATED, 0.55, 0.7)]
    for seed in range(6):
        random.Random(seed).shuffle(rows)
        assert prices(page(rows)) == [0.7]


@st.composite
def markets(draw: st.DrawFn) -> list[Bet]:
    """Bets on up to three answers in a few milliseconds, so that many fall together; prices hang together."""
    count = draw(st.integers(0, 40))
    times = sorted(draw(st.lists(st.integers(0, 12), min_size=count, max_size=count)))
    price = {"exAns00": 0.2, "exAns01": 0.3, "exAns02": 0.5}
    rows = []
    for number, at in enumerate(times):
        name = draw(st.sampled_from(sorted(price)))
        new = round(0.01 + 0.97 * (number + 1) / 41 + 0.0001 * int(name[-1]), 6)  # never the same twice
        rows.append(bet(number, CREATED + at, price[name], new, answerId=name))
        price[name] = new
    return rows


@settings(max_examples=150, deadline=None)
@given(rows=markets(), seed=st.integers(0, 3), size=st.integers(2, 6))
def test_however_the_pages_fall_the_history_is_the_last_price_of_every_millisecond(
    rows: list[Bet], seed: int, size: int
) -> None:
    expected = {(row["answerId"], row["createdTime"]): row["probAfter"] for row in rows}
    patch = pytest.MonkeyPatch()
    try:
        patch.setattr(manifold, "PAGE", size)
        patch.setattr(manifold, "WIDE", 50)
        pages, _ = walk(Bets(rows, random.Random(seed)), start())
    finally:
        patch.undo()
    said = {
        (outcome, round(as_of.timestamp() * 1000)): price
        for (outcome, as_of), price in together(pages).items()
    }
    assert said == expected

"""Manifold: prices in bulk, whole markets, and outcomes that are never read off a price."""

from __future__ import annotations

import copy
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from questions.records import Quantity, ValueState
from questions.time import EPOCH
from tests.servers.spec import load_spec
from tests.sources.answers import AT, GOOD, answer, link, outcome, value
from tracker.errors import ParseError
from tracker.source import Parsed
from tracker.sources.manifold import Manifold

NOON = "2026-11-20T12:00:00Z"
SPEC = load_spec("manifold-read")
SOURCE = Manifold()


def market(name: str, **changes: Any) -> dict[str, Any]:
    """An example of the document, with some keys changed (None takes a key away)."""
    found: dict[str, Any] = copy.deepcopy(SPEC.example("getMarket", name))
    for key, new in changes.items():
        if new is None:
            found.pop(key)
        else:
            found[key] = new
    return found


def whole(body: Any, **how: Any) -> Parsed:
    ref = str(body.get("id", "exMkt0001AbC")) if isinstance(body, dict) else "exMkt0001AbC"
    return SOURCE.parse(answer("manifold", body, ref=ref, url=f"https://api/v0/market/{ref}", **how))


def bulk(body: Any, ids: str = "exMkt0001AbC") -> Parsed:
    return SOURCE.parse(answer("manifold", body, ref=ids, url=f"https://api/v0/market-probs?ids={ids}"))


# --- what is asked --------------------------------------------------------------------------------------


def off_turn(count: int) -> list[str]:
    """Ids of markets whose weekly turn to be read whole is not on the day of ``AT``."""
    names = (f"market{number:03d}" for number in range(10 * count))
    return [name for name in names if zlib.crc32(name.encode()) % 7 != AT.toordinal() % 7][:count]


def test_prices_are_asked_in_calls_of_twenty() -> None:
    ids = off_turn(45)
    plan = SOURCE.plan([link("manifold", one) for one in ids], AT, None)
    calls = [request for request in plan.requests if request.path == "v0/market-probs"]
    assert [len(call.params) for call in calls] == [20, 20, 5]
    assert [name for call in calls for _, name in call.params] == ids
    assert calls[2].ref == ",".join(ids[40:])


def test_a_single_id_is_named_twice_so_that_it_is_read_as_a_list() -> None:
    (name,) = off_turn(1)
    (call,) = SOURCE.plan([link("manifold", name)], AT, None).requests
    assert call.params == (("ids", name), ("ids", name))
    assert call.ref == name


def test_every_market_is_read_whole_once_a_week() -> None:
    ids = [f"market{number:03d}" for number in range(70)]
    days = [AT + timedelta(days=number) for number in range(7)]
    read = [
        request.ref
        for day in days
        for request in SOURCE.plan([link("manifold", one) for one in ids], day, None).requests
        if request.path.startswith("v0/market/")
    ]
    assert sorted(read) == ids


def test_which_day_is_a_markets_turn_comes_from_its_id() -> None:
    day = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    turn = zlib.crc32(b"market") % 7 == day.toordinal() % 7
    asked = SOURCE.plan([link("manifold", "market")], day, None).requests
    assert [request.path for request in asked] == ["v0/market/market" if turn else "v0/market-probs"]


def test_a_first_sight_reads_every_market_whole_and_not_its_price_once_more() -> None:
    asked = SOURCE.plan([link("manifold", "a"), link("manifold", "b")], AT, EPOCH).requests
    assert [request.path for request in asked] == ["v0/market/a", "v0/market/b"]
    assert all(request.accept_missing for request in asked)


def test_a_numeric_link_is_read_whole_at_every_poll_and_never_in_bulk() -> None:
    for day in range(7):
        plan = SOURCE.plan([link("manifold", "number", "value")], AT + timedelta(days=day), None)
        assert [request.path for request in plan.requests] == ["v0/market/number"]


def test_links_of_other_platforms_and_repeated_markets_cost_nothing() -> None:
    (name,) = off_turn(1)
    links = [link("metaculus", "1"), link("manifold", name, "x"), link("manifold", name, "y")]
    assert [request.ref for request in SOURCE.plan(links, AT, None).requests] == [name]
    assert len(SOURCE.plan(links, AT, EPOCH).requests) == 1
    assert SOURCE.plan(links[:1], AT, EPOCH).requests == ()


@pytest.mark.parametrize("name", ["../me", "a/b", "a b", "a?x=1", "ü", "x" * 65])
def test_an_id_that_cannot_be_one_is_skipped_with_the_reason(name: str) -> None:
    plan = SOURCE.plan([link("manifold", name)], AT, EPOCH)
    assert plan.requests == ()
    assert "no Manifold market id" in plan.skipped[name]


# --- bulk prices ----------------------------------------------------------------------------------------


def test_bulk_prices_are_values_of_now() -> None:
    parsed = SOURCE.parse(answer("manifold", GOOD["manifold"][2]))
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [
        ("exMkt0001AbC", "yes", NOON, 0.2594),
        ("exMkt0003AbC", "exAns00", NOON, 0.2),
        ("exMkt0003AbC", "exAns01", NOON, 0.5),
        ("exMkt0003AbC", "exAns02", NOON, 0.3),
        ("exMkt0007AbC", "exAns00", NOON, 0.3),
    ]
    assert {snapshot.key.quantity for snapshot in parsed.batch.snapshots} == {Quantity.PLAY_MONEY_PRICE}
    assert not any(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)
    assert parsed.batch.resolutions == ()
    assert parsed.faults == ()
    assert parsed.follow == ()


def test_an_answer_at_exactly_one_is_resolved_and_no_forecast() -> None:
    parsed = bulk({"exMkt0001AbC": {"answerProbs": {"a": 1, "b": 0, "c": 0.5}}})
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [("exMkt0001AbC", "c", NOON, 0.5)]
    assert parsed.batch.resolutions == ()


def test_a_market_left_out_of_the_answer_is_asked_for_by_itself() -> None:
    parsed = bulk({"a": {"prob": 0.5}}, "a,b")
    assert [(request.path, request.accept_missing) for request in parsed.follow] == [("v0/market/b", True)]


@pytest.mark.parametrize("price", [1.0001, -0.1, "0.5", True, None, [], {"p": 1}, 42])
def test_a_price_that_is_no_probability_is_a_fault_and_the_rest_is_taken(price: object) -> None:
    parsed = bulk({"a": {"prob": price}, "b": {"prob": 0.5}, "c": {"answerProbs": {"x": price, "y": 0.25}}})
    assert [value(s)[:2] + value(s)[3:] for s in parsed.batch.snapshots] == [
        ("b", "yes", 0.5),
        ("c", "y", 0.25),
    ]
    assert [fault.ref for fault in parsed.faults] == ["a", "c"]
    assert parsed.faults[1].field == "c.answerProbs.x"


def test_nan_is_no_probability() -> None:
    parsed = bulk(b'{"a": {"prob": NaN}, "b": {"prob": 1e999}, "c": {"prob": 0.5}}')
    assert [snapshot.key.external_id for snapshot in parsed.batch.snapshots] == ["c"]
    assert [fault.ref for fault in parsed.faults] == ["a", "b"]


def test_when_nothing_can_be_read_the_payload_is_refused() -> None:
    with pytest.raises(ParseError, match="a"):
        bulk({"a": {"probability": 0.5}}, "a")


# --- one market -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("binary", [("exMkt0001AbC", "yes", NOON, 0.2594)]),
        (
            "multiple_choice_dependent",
            [
                ("exMkt0003AbC", "exAns00", NOON, 0.2),
                ("exMkt0003AbC", "exAns01", NOON, 0.5),
                ("exMkt0003AbC", "exAns02", NOON, 0.3),
            ],
        ),
        ("multiple_choice_independent", [("exMkt0003AbC", "exAns00", NOON, 0.3)]),
        (
            "multi_numeric",
            [
                ("exMkt0003AbC", "exAns00", NOON, 0.2),
                ("exMkt0003AbC", "exAns01", NOON, 0.5),
                ("exMkt0003AbC", "exAns02", NOON, 0.3),
            ],
        ),
        ("date", [("exMkt0003AbC", "exAns00", NOON, 0.1), ("exMkt0003AbC", "exAns01", NOON, 0.4)]),
        ("pseudo_numeric_log", [("exMkt0006AbC", "value", NOON, 9.95)]),
        ("resolved_yes", []),
        ("resolved_mkt", []),
        ("resolved_cancel", []),
        ("multiple_choice_dependent_resolved", []),
    ],
)
def test_the_values_of_every_example(name: str, values: list[tuple[str, str, str, object]]) -> None:
    parsed = whole(market(name))
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == values
    assert parsed.faults == ()
    assert parsed.notes == ()
    assert {snapshot.forecasters for snapshot in parsed.batch.snapshots} <= {41}


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("binary", []),
        ("resolved_yes", [("exMkt0002AbC", "yes", "yes", 1.0, "2026-11-02T17:00:00Z")]),
        ("resolved_mkt", [("exMkt0004AbC", "yes", "fraction", 0.35, "2026-11-02T17:00:00Z")]),
        ("resolved_cancel", [("exMkt0005AbC", "yes", "void", None, "2026-11-02T17:00:00Z")]),
        ("multiple_choice_dependent", []),
        (
            "multiple_choice_dependent_resolved",
            [
                ("exMkt0003AbC", "exAns00", "no", 0.0, "2026-11-02T00:00:00Z"),
                ("exMkt0003AbC", "exAns01", "yes", 1.0, "2026-11-02T00:00:00Z"),
                ("exMkt0003AbC", "exAns02", "no", 0.0, "2026-11-02T00:00:00Z"),
            ],
        ),
        ("multiple_choice_independent", [("exMkt0003AbC", "exAns01", "yes", 1.0, "2026-11-02T00:00:00Z")]),
        ("multi_numeric", []),
        ("date", []),
        ("pseudo_numeric_log", []),
    ],
)
def test_the_outcomes_of_every_example(name: str, outcomes: list[Any]) -> None:
    assert [outcome(one) for one in whole(market(name)).batch.resolutions] == outcomes


def test_every_good_example_of_the_document_is_covered_above() -> None:
    named = {
        case.values[0] if hasattr(case, "values") else case[0]
        for mark in test_the_values_of_every_example.pytestmark  # type: ignore[attr-defined]
        for case in mark.args[1]
    }
    assert named == set(SPEC.operations["getMarket"].names(200))


def test_what_a_market_tells_of_itself() -> None:
    (info,) = whole(market("binary")).batch.infos
    assert info.title == "Will AI speed up interpretability research 10x before 2028?"
    assert info.url == "https://manifold.markets/ExampleMaker/will-ai-speed-up-interpretability-r"
    assert (info.question_type, info.status) == ("binary", "open")
    assert info.opens_at == datetime(2026, 7, 28, 9, tzinfo=UTC)
    assert info.closes_at == datetime(2027, 12, 31, 23, 59, tzinfo=UTC)


def test_quality_travels_with_the_value() -> None:
    (snapshot,) = whole(market("binary")).batch.snapshots
    assert (snapshot.forecasters, snapshot.volume, snapshot.liquidity) == (41, 5321.7, 1000.0)
    first = whole(market("multiple_choice_dependent")).batch.snapshots[0]
    assert (first.forecasters, first.volume, first.liquidity) == (41, 410.5, 500.0)


def test_a_market_past_its_closing_time_is_closed_not_resolved() -> None:
    parsed = whole(market("binary", closeTime=1795000000000))
    assert parsed.batch.infos[0].status == "closed"
    assert len(parsed.batch.snapshots) == 1


def test_an_outcome_is_never_read_from_a_price() -> None:
    parsed = whole(market("binary", probability=1.0))
    assert parsed.batch.resolutions == ()
    frozen = whole(market("resolved_yes", probability=0.03, resolutionProbability=0.03))
    assert [one.state.value for one in frozen.batch.resolutions] == ["yes"]


def test_a_numeric_market_without_its_value_is_mapped_by_us() -> None:
    """10^(p log10(max - min + 1)) + min - 1 with p = 1/2, min 0, max 99: ten, less one."""
    (snapshot,) = whole(market("pseudo_numeric_log", value=None, max=99)).batch.snapshots
    assert snapshot.value == pytest.approx(9.0)
    (linear,) = whole(market("pseudo_numeric_log", value=None, isLogScale=False)).batch.snapshots
    assert linear.value == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resolution": "MKT", "resolutionProbability": 0.25, "isLogScale": False}, ("value", 25.0)),
        ({"resolution": "YES", "isLogScale": False}, ("value", 100.0)),
        ({"resolution": "NO"}, ("value", 0.0)),
        ({"resolution": "CANCEL"}, ("void", None)),
    ],
)
def test_a_numeric_market_resolves_to_a_value(changes: dict[str, Any], expected: tuple[str, Any]) -> None:
    parsed = whole(market("pseudo_numeric_log", isResolved=True, resolutionTime=1793577600000, **changes))
    assert [(one.outcome, one.state.value, one.value) for one in parsed.batch.resolutions] == [
        ("value", *expected)
    ]
    assert parsed.batch.snapshots == ()


@pytest.mark.parametrize(
    ("word", "own", "expected"),
    [
        ("CANCEL", None, ["void", "void", "void"]),
        ("exAns02", None, ["no", "no", "yes"]),
        ("MKT", 0.5, ["fraction", "fraction", "fraction"]),
        ("CHOOSE_MULTIPLE", 0.5, ["fraction", "fraction", "fraction"]),
    ],
)
def test_answers_without_a_word_of_their_own_take_the_markets(
    word: str, own: float | None, expected: list[str]
) -> None:
    body = market("multiple_choice_dependent", isResolved=True, resolution=word, resolutionTime=1793577600000)
    for entry in body["answers"]:
        if own is not None:
            entry["resolutionProbability"] = own
    parsed = whole(body)
    assert [one.state.value for one in parsed.batch.resolutions] == expected
    assert parsed.batch.snapshots == ()


def test_an_unknown_resolution_word_is_a_fault() -> None:
    parsed = whole(market("resolved_yes", resolution="MAYBE"))
    assert parsed.batch.resolutions == ()
    assert [fault.field for fault in parsed.faults] == ["resolution"]


def test_a_fraction_without_its_number_is_a_fault() -> None:
    parsed = whole(market("resolved_mkt", resolutionProbability=None))
    assert [fault.field for fault in parsed.faults] == ["resolutionProbability"]


@pytest.mark.parametrize("kind", ["STONK", "POLL", "BOUNTIED_QUESTION", "PERP", "SOMETHING_NEW"])
def test_types_that_forecast_no_event_are_noted(kind: str) -> None:
    parsed = whole(market("binary", outcomeType=kind))
    assert parsed.batch.snapshots == ()
    (note,) = parsed.notes
    assert kind in note
    assert parsed.batch.infos[0].question_type == kind.lower()


def test_a_missing_market_is_gone() -> None:
    parsed = whole(SPEC.example("getMarket", "missing", 404), status=404)
    (snapshot,) = parsed.batch.snapshots
    assert (snapshot.key.external_id, snapshot.state) == ("exMkt0001AbC", ValueState.GONE)


def test_a_missing_bulk_call_says_nothing_about_its_markets() -> None:
    with pytest.raises(ParseError, match="404"):
        SOURCE.parse(
            answer("manifold", {}, ref="a", url="https://api/v0/market-probs?ids=a&ids=a", status=404)
        )


@pytest.mark.parametrize("price", ["0.5", 1.5, -0.01, True, None])
def test_a_market_whose_price_is_no_probability_gives_no_value(price: object) -> None:
    parsed = whole({**market("binary"), "probability": price})
    assert parsed.batch.snapshots == ()
    assert [fault.field for fault in parsed.faults] == ["probability"]
    assert len(parsed.batch.infos) == 1


@pytest.mark.parametrize("key", ["volume", "totalLiquidity", "uniqueBettorCount", "closeTime", "url"])
def test_a_wrong_extra_is_a_fault_and_the_value_is_kept(key: str) -> None:
    parsed = whole({**market("binary"), key: {"not": "this"}})
    assert [value(snapshot)[3] for snapshot in parsed.batch.snapshots] == [0.2594]
    assert [fault.field for fault in parsed.faults] == [key]


def test_a_closing_time_beyond_the_calendar_is_no_closing_time() -> None:
    parsed = whole(market("binary", closeTime=8_640_000_000_000_000))
    assert parsed.batch.infos[0].closes_at is None
    assert parsed.faults == ()


def test_one_bad_answer_does_not_spoil_its_siblings() -> None:
    body = market("multiple_choice_dependent")
    body["answers"][1] = {"id": "exAns01", "probability": 7}
    body["answers"].append("not an answer")
    parsed = whole(body)
    assert [snapshot.key.outcome for snapshot in parsed.batch.snapshots] == ["exAns00", "exAns02"]
    assert {fault.field for fault in parsed.faults} == {"answers[1].probability", "answers[3]"}


def test_a_hostile_title_is_one_harmless_line() -> None:
    (info,) = whole(market("binary", question="a\x00b\x1b[31m\n\u202eevil" + "x" * 5000)).batch.infos
    assert info.title.startswith("a b [31m  evilx")
    assert len(info.title) == 500


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://plain", "https://a b", 'https://a"onclick='])
def test_only_https_addresses_are_kept(url: str) -> None:
    assert whole(market("binary", url=url)).batch.infos[0].url == ""


def test_the_order_of_answers_does_not_matter() -> None:
    body = market("multiple_choice_dependent")
    turned = {**body, "answers": list(reversed(body["answers"]))}
    one, other = whole(body), whole(turned)
    assert [value(s) for s in one.batch.snapshots] == [value(s) for s in other.batch.snapshots]


def test_an_error_object_under_status_200_is_refused() -> None:
    with pytest.raises(ParseError):
        SOURCE.parse(answer("manifold", json.dumps({"message": "oops"}).encode(), ref=""))

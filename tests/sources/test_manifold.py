"""Manifold: prices in bulk, whole markets, and outcomes that are never read off a price."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.model import Link
from questions.records import Distribution, Quantity, Snapshot, ValueState
from questions.time import EPOCH
from tests.servers.spec import load_spec
from tests.sources.answers import AT, GOOD, answer, link, outcome, value
from tracker.errors import ParseError
from tracker.payload import criteria_digest
from tracker.source import Parsed
from tracker.sources.manifold import Manifold

Y27, Y28 = 1798675200.0, 1830211200.0
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


def names(count: int) -> list[str]:
    return [f"market{number:03d}" for number in range(count)]


def links_to(ids: list[str]) -> list[Link]:
    return [link("manifold", one) for one in ids]


def test_prices_are_asked_in_calls_of_a_hundred() -> None:
    ids = names(245)
    calls = SOURCE.plan(links_to(ids), AT, None).requests
    assert {call.path for call in calls} == {"v0/market-probs"}
    assert [len(call.params) for call in calls] == [100, 100, 45]
    assert [name for call in calls for _, name in call.params] == ids
    assert calls[2].ref == ",".join(ids[200:])


def test_a_single_id_is_named_twice_so_that_it_is_read_as_a_list() -> None:
    (name,) = names(1)
    (call,) = SOURCE.plan([link("manifold", name)], AT, None).requests
    assert call.params == (("ids", name), ("ids", name))
    assert call.ref == name


def test_an_hourly_poll_of_known_markets_costs_six_requests_and_reads_each_whole_in_its_turn() -> None:
    ids = names(250)
    polls = [AT + timedelta(hours=number) for number in range(85)]
    read: list[str] = []
    for last, now in pairwise(polls):
        asked = SOURCE.plan_after(links_to(ids), last, now).requests
        whole = [request.ref for request in asked if request.path.startswith("v0/market/")]
        in_bulk = [
            market for request in asked if request.path == "v0/market-probs" for _, market in request.params
        ]
        assert len(asked) <= 6
        assert sorted([*whole, *in_bulk]) == ids
        read += whole
    assert sorted(read) == ids


@settings(deadline=None)
@given(gaps=st.lists(st.integers(1, 60 * 24 * 9), min_size=1, max_size=12), count=st.integers(1, 40))
def test_no_market_is_forgotten_however_seldom_polls_are(gaps: list[int], count: int) -> None:
    """Between two reads of a market lie a cycle and one pause at most, whatever the pauses (minutes) are."""
    links = links_to(names(count))
    now, seen = AT, dict.fromkeys(names(count), AT)
    for gap in gaps:
        last, now = now, now + timedelta(minutes=gap)
        for request in SOURCE.plan_after(links, last, now).requests:
            if request.path.startswith("v0/market/"):
                seen[request.ref] = now
        assert all(now - then < timedelta(hours=84) + (now - last) for then in seen.values())


def test_when_no_poll_before_is_known_every_market_is_read_whole() -> None:
    asked = SOURCE.plan_after(links_to(["a", "b"]), None, AT).requests
    assert [request.path for request in asked] == ["v0/market/a", "v0/market/b"]
    assert [request.ref for request in asked] == ["a", "b"]


def test_a_first_sight_reads_every_market_whole_and_not_its_price_once_more() -> None:
    asked = SOURCE.plan([link("manifold", "a"), link("manifold", "b")], AT, EPOCH).requests
    assert [request.path for request in asked] == ["v0/market/a", "v0/market/b"]
    assert all(request.accept_missing for request in asked)


def test_a_numeric_link_is_read_whole_at_every_poll_and_never_in_bulk() -> None:
    links = [link("manifold", "number", "value")]
    for plan in (SOURCE.plan(links, AT, None), SOURCE.plan_after(links, AT, AT)):
        assert [request.path for request in plan.requests] == ["v0/market/number"]


def test_links_of_other_platforms_and_repeated_markets_cost_nothing() -> None:
    (name,) = names(1)
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


@pytest.mark.parametrize(
    ("prices", "looked_at"),
    [
        ({"prob": 0.5}, False),
        ({"prob": 0.985}, False),
        ({"prob": 0.995}, True),
        ({"prob": 0.004}, True),
        ({"answerProbs": {"x": 0.999, "y": 0.001}}, False),
        ({"answerProbs": {"x": 1, "y": 0}}, True),
        ({"answerProbs": {"x": 0.5, "y": 0.0, "z": 0.5}}, True),
    ],
)
def test_a_market_that_may_be_resolved_is_looked_at_within_a_day_or_so(
    prices: dict[str, Any], looked_at: bool
) -> None:
    """The price is a reason to ask only: nothing is read off it."""
    asked = []
    for hour in range(24):
        raw = answer(
            "manifold",
            {"a": prices, "b": {"prob": 0.5}},
            ref="a,b",
            url="https://api/v0/market-probs?ids=a&ids=b",
            at=AT + timedelta(hours=hour),
        )
        parsed = SOURCE.parse(raw)
        assert parsed.batch.resolutions == ()
        asked += [request.ref for request in parsed.follow]
    assert asked == (["a"] if looked_at else [])


def test_however_many_markets_look_decided_a_bulk_answer_leads_to_one_of_them_at_most() -> None:
    ids = names(100)
    body, seen = {one: {"prob": 0.999} for one in ids}, set()
    for hour in range(102):
        raw = answer("manifold", body, ref=",".join(ids), url="https://m/v0/market-probs?ids=a",
                     at=AT + timedelta(hours=hour))  # fmt: skip
        asked = [request.ref for request in SOURCE.parse(raw).follow]
        assert len(asked) <= 1
        seen.update(asked)
    assert seen == set(ids)


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
                ("exMkt0003AbC", "value", NOON, 0.2 * 5 + 0.5 * 30 + 0.3 * 75),
            ],
        ),
        (
            "date",
            [
                ("exMkt0003AbC", "exAns00", NOON, 0.1),
                ("exMkt0003AbC", "exAns01", NOON, 0.4),
                ("exMkt0003AbC", "value", NOON, 0.1 * Y27 + 0.3 * Y28 + 0.6 * (2 * Y28 - Y27)),
            ],
        ),
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


@pytest.mark.parametrize("word", [0.01, [], None], ids=["number", "list", "renamed"])
def test_the_payout_of_a_resolved_answer_is_no_price_even_if_its_word_cannot_be_read(word: Any) -> None:
    """A platform that renames or retypes ``resolution`` leaves a probability of exactly 1 that is no forecast."""
    body = market("multiple_choice_independent")
    (ended,) = (answer for answer in body["answers"] if "resolution" in answer)
    assert ended["probability"] == 1
    ended["resolution"] = word
    parsed = whole(body)
    assert [value(snapshot) for snapshot in parsed.batch.snapshots] == [
        ("exMkt0003AbC", "exAns00", NOON, 0.3)
    ]
    assert parsed.batch.resolutions == ()


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
    assert snapshot.last_trade_at == datetime(2026, 11, 19, 4, tzinfo=UTC)
    first = whole(market("multiple_choice_dependent")).batch.snapshots[0]
    assert (first.forecasters, first.volume, first.liquidity) == (41, 410.5, 500.0)


def test_a_cancelled_market_is_void_and_any_other_resolved_one_is_resolved() -> None:
    said = {
        name: whole(market(name)).batch.infos[0].status for name in SPEC.operations["getMarket"].names(200)
    }
    assert {name for name, status in said.items() if status == "void"} == {"resolved_cancel"}
    assert {name for name, status in said.items() if status == "resolved"} == {
        "resolved_yes",
        "resolved_mkt",
        "multiple_choice_dependent_resolved",
    }


def test_criteria_are_the_description_however_it_comes() -> None:
    as_text = whole(market("binary")).batch.infos[0].criteria_sha256
    assert as_text == criteria_digest("Rule text.")
    tree = whole(market("binary", textDescription=None)).batch.infos[0].criteria_sha256
    bare = whole(market("binary", textDescription=None, description=" Rule\ntext. ")).batch.infos[0]
    assert tree == bare.criteria_sha256 == as_text
    changed = whole(market("binary", textDescription="Rule text, amended.")).batch.infos[0]
    assert changed.criteria_sha256 not in ("", as_text)
    for nothing in ("", " ", None):
        body = market("binary", textDescription=nothing, description=None)
        assert whole(body).batch.infos[0].criteria_sha256 == ""


@pytest.mark.parametrize(
    "description", [3, [], ["x"], {"content": "x"}, {"text": 1}, {"content": [None, {"content": {}}]}]
)
def test_a_description_of_another_shape_is_no_text_and_no_fault(description: object) -> None:
    parsed = whole(market("binary", textDescription=None, description=description))
    assert parsed.batch.infos[0].criteria_sha256 == ""
    assert parsed.faults == ()


def test_a_deleted_account_of_the_creator_is_noted() -> None:
    (note,) = whole(market("binary", creatorUsername="deleted_a1B2c3D4")).notes
    assert "creator" in note
    assert whole(market("binary", creatorUsername="deleted_scenes")).notes == ()


def test_an_answer_about_another_market_is_refused() -> None:
    with pytest.raises(ParseError, match="another market"):
        SOURCE.parse(answer("manifold", market("binary"), ref="mine", url="https://api/v0/market/mine"))


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
        ("MKT", 0.5, ["value", "value", "value"]),
        ("CHOOSE_MULTIPLE", 0.5, ["value", "value", "value"]),
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
    told = {one.value for one in parsed.batch.resolutions}
    assert told <= {None, 0.0, 1.0}, "a price before the resolution is no outcome"


def test_an_answer_that_pays_a_fraction_by_its_own_word_has_that_fraction() -> None:
    body = market("multiple_choice_independent")
    body["answers"][0] |= {"resolution": "MKT", "resolutionProbability": 0.35, "probability": 0.35}
    assert [(one.outcome, one.state.value, one.value) for one in whole(body).batch.resolutions] == [
        ("exAns00", "fraction", 0.35),
        ("exAns01", "yes", 1.0),
    ]
    del body["answers"][0]["resolutionProbability"]
    parsed = whole(body)
    assert [one.outcome for one in parsed.batch.resolutions] == ["exAns01"]
    assert [fault.field for fault in parsed.faults] == ["resolutionProbability"]


@pytest.mark.parametrize("when", [1790000000000, 1795170000000, 1830297540001, None])
def test_a_market_may_resolve_early_or_late_or_again(when: int | None) -> None:
    """The moment is the platform's; before or after the close makes no difference, nor does what was said before."""
    for word, state in (("YES", "yes"), ("NO", "no")):
        (one,) = whole(market("resolved_yes", resolution=word, resolutionTime=when)).batch.resolutions
        assert one.state.value == state
        assert one.resolved_at == (None if when is None else EPOCH + timedelta(milliseconds=when))


def test_another_token_than_play_money_is_noted() -> None:
    (note,) = whole(market("binary", token="CASH")).notes
    assert "CASH" in note


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


@settings(deadline=None)
@given(data=st.data())
def test_a_permuted_bulk_answer_gives_the_same(data: st.DataObject) -> None:
    body = json.loads(GOOD["manifold"][2])
    names = data.draw(st.permutations(sorted(body)))
    turned = {}
    for name in names:
        answers = body[name].get("answerProbs")
        order = data.draw(st.permutations(sorted(answers))) if answers else []
        turned[name] = {"answerProbs": {one: answers[one] for one in order}} if answers else body[name]
    ref = ",".join(names)
    one, other = bulk(body, ",".join(sorted(body))), bulk(turned, ref)
    assert [value(s) for s in other.batch.snapshots] == [value(s) for s in one.batch.snapshots]
    assert (other.follow, other.faults, other.notes) == (one.follow, one.faults, one.notes)


def test_the_order_of_answers_does_not_matter() -> None:
    body = market("multiple_choice_dependent")
    turned = {**body, "answers": list(reversed(body["answers"]))}
    one, other = whole(body), whole(turned)
    assert [value(s) for s in one.batch.snapshots] == [value(s) for s in other.batch.snapshots]


def test_an_error_object_under_status_200_is_refused() -> None:
    with pytest.raises(ParseError):
        SOURCE.parse(answer("manifold", json.dumps({"message": "oops"}).encode(), ref=""))


# --- ladders --------------------------------------------------------------------------------------------


def ladder(kind: str, rungs: list[tuple[float, float]], *, exclusive: bool, **changes: Any) -> dict[str, Any]:
    rows = [
        {"id": f"r{number}", "index": number, "probability": p, "midpoint": x}
        for number, (x, p) in enumerate(rungs)
    ]
    base = market("date" if kind == "DATE" else "multi_numeric")
    return {**base, "answers": rows, "shouldAnswersSumToOne": exclusive, **changes}


def on_ladder(body: dict[str, Any]) -> Snapshot | None:
    found = [snapshot for snapshot in whole(body).batch.snapshots if snapshot.key.outcome == "value"]
    return found[0] if found else None


def test_dates_as_thresholds_are_a_distribution() -> None:
    """A price of "before this date" is the distribution there; what is left lies beyond the last date."""
    snapshot = on_ladder(market("date"))
    assert snapshot is not None
    assert snapshot.distribution == Distribution((Y27, Y28), (0.1, 0.4), "date")
    assert (snapshot.forecasters, snapshot.volume, snapshot.liquidity) == (41, 5321.7, 1000.0)


def test_numbers_as_thresholds_fall() -> None:
    """P(at least 10, 20, 40) = 0.9, 0.5, 0.2: mean 10 * 0.4 + 20 * 0.3 + 40 * 0.2."""
    snapshot = on_ladder(ladder("MULTI_NUMERIC", [(10, 0.9), (20, 0.5), (40, 0.2)], exclusive=False))
    assert snapshot is not None
    assert snapshot.value == pytest.approx(18.0)
    assert snapshot.distribution is not None
    assert snapshot.distribution.x == (10.0, 20.0, 40.0)
    assert snapshot.distribution.cdf == pytest.approx((0.1, 0.5, 0.8))


def test_buckets_have_a_mean_and_no_distribution_for_their_edges_are_not_told() -> None:
    snapshot = on_ladder(ladder("DATE", [(1000.0, 0.5), (3000.0, 0.55)], exclusive=True))
    assert snapshot is not None
    assert snapshot.value == pytest.approx((0.5 + 3 * 0.55) / 1.05)
    assert snapshot.distribution is None


def test_prices_that_cross_are_pooled_in_the_distribution_and_raw_in_their_streams() -> None:
    """Isotonic regression of 0.1, 0.5, 0.3, 0.6 pools the middle two to 0.4."""
    rungs = [(1000.0, 0.1), (2000.0, 0.5), (3000.0, 0.3), (4000.0, 0.6)]
    parsed = whole(ladder("DATE", rungs, exclusive=False))
    (ladder_value,) = [s for s in parsed.batch.snapshots if s.key.outcome == "value"]
    assert ladder_value.distribution is not None
    assert ladder_value.distribution.cdf == pytest.approx((0.1, 0.4, 0.4, 0.6))
    assert [s.probability for s in parsed.batch.snapshots if s.key.outcome != "value"] == [0.1, 0.5, 0.3, 0.6]


def test_a_rung_that_resolved_stands_at_what_it_became() -> None:
    body = ladder("DATE", [(1000.0, 0.07), (2000.0, 0.4)], exclusive=False)
    body["answers"][0]["resolution"] = "NO"
    snapshot = on_ladder(body)
    assert snapshot is not None
    assert snapshot.distribution is not None
    assert snapshot.distribution.cdf == (0.0, 0.4)
    body["answers"][0]["resolution"] = "CANCEL"
    assert on_ladder(body) is None


@pytest.mark.parametrize(
    ("rungs", "exclusive"),
    [
        ([(1.0, 0.5)], False),
        ([(1.0, 0.5), (1.0, 0.6)], False),
        ([(1.0, 0.5), (None, 0.6)], False),
        ([(1.0, 0.5), (2.0, 0.1)], True),
        ([(1.0, 0.5), (2.0, 0.6)], None),
        ([(-1.7e308, 0.5), (1.7e308, 0.6)], False),
        ([(1e-323, 0.5), (2e-323, 0.6)], False),
    ],
)
def test_a_ladder_that_tells_no_value_gives_none_and_its_rungs_are_kept(
    rungs: list[tuple[Any, float]], exclusive: bool | None
) -> None:
    body = ladder("DATE", rungs, exclusive=bool(exclusive))
    if exclusive is None:
        del body["shouldAnswersSumToOne"]
    parsed = whole(body)
    assert [s.key.outcome for s in parsed.batch.snapshots] == [f"r{number}" for number in range(len(rungs))]
    assert parsed.notes or parsed.faults


def test_a_resolved_ladder_has_no_value_any_more_and_a_cancelled_one_is_void() -> None:
    body = ladder("DATE", [(1000.0, 0.1), (2000.0, 0.4)], exclusive=False, isResolved=True)
    parsed = whole({**body, "resolution": "CANCEL"})
    assert parsed.batch.snapshots == ()
    assert {(one.outcome, one.state.value) for one in parsed.batch.resolutions} == {
        ("r0", "void"), ("r1", "void"), ("value", "void"),
    }  # fmt: skip
    assert whole({**body, "resolution": "r1"}).batch.snapshots == ()


RUNGS = st.lists(
    st.tuples(st.integers(-10_000, 10_000), st.floats(0.001, 0.999)),
    min_size=2,
    max_size=8,
    unique_by=lambda rung: rung[0],
)


@settings(deadline=None)
@given(rungs=RUNGS, kind=st.sampled_from(["DATE", "MULTI_NUMERIC"]), exclusive=st.booleans(), data=st.data())
def test_the_order_of_rungs_does_not_matter_and_the_distribution_never_falls(
    rungs: list[tuple[float, float]], kind: str, exclusive: bool, data: st.DataObject
) -> None:
    body = ladder(kind, rungs, exclusive=exclusive)
    turned = {**body, "answers": data.draw(st.permutations(body["answers"]))}
    assert [value(s) for s in whole(body).batch.snapshots] == [
        value(s) for s in whole(turned).batch.snapshots
    ]
    assert on_ladder(body) is not None or exclusive  # a Distribution that falls cannot be made


@settings(deadline=None)
@given(rungs=RUNGS)
def test_the_mean_over_dates_is_the_area_above_the_distribution(rungs: list[tuple[float, float]]) -> None:
    """For a step function with the last step one period past the last date: E = x0 + sum of (1 - F) * widths."""
    points = sorted(x for x, _ in rungs)
    cdf = sorted(p for _, p in rungs)
    snapshot = on_ladder(ladder("DATE", list(zip(points, cdf, strict=True)), exclusive=False))
    assert snapshot is not None
    ends = [*points[1:], 2 * points[-1] - points[-2]]
    area = sum((1 - p) * (end - x) for x, p, end in zip(points, cdf, ends, strict=True))
    assert snapshot.value == pytest.approx((points[0] + area) / 1000, abs=1e-6)

"""Metaculus: community predictions with their history, and four kinds of absence."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from questions.records import Quantity, ValueState
from questions.time import EPOCH, iso
from tests.servers.spec import load_spec
from tests.sources.answers import AT, answer, link, outcome, value
from tracker.errors import ParseError
from tracker.payload import criteria_digest
from tracker.source import Parsed
from tracker.sources.metaculus import Metaculus

SPEC = load_spec("metaculus-read")
SOURCE = Metaculus()
NOON = "2026-11-20T12:00:00Z"


def start(seconds: float) -> str:
    return iso(EPOCH + timedelta(seconds=seconds))


#: The moments of the histories of the document's binary questions.
B1, B2, B3, B4 = (start(s) for s in (1788264000.25, 1788868800.25, 1789473600.25, 1790078400.25))


def post(name: str, change: Callable[[dict[str, Any]], Any] | None = None) -> dict[str, Any]:
    """An example of the document; ``change`` may alter it."""
    found: dict[str, Any] = copy.deepcopy(SPEC.example("getPost", name))
    if change is not None:
        change(found)
    return found


def question(name: str, **changes: Any) -> dict[str, Any]:
    return post(name, lambda found: found["question"].update(changes))


def community(name: str, **changes: Any) -> dict[str, Any]:
    """An example with a changed aggregation (history, latest)."""
    return post(name, lambda found: found["question"]["aggregations"]["recency_weighted"].update(changes))


def single(body: Any, **how: Any) -> Parsed:
    ref = str(body.get("id", 990001)) if isinstance(body, dict) else "990001"
    return SOURCE.parse(answer("metaculus", body, ref=ref, url=f"https://m/api/posts/{ref}/", **how))


def page(body: Any, ids: str, **how: Any) -> Parsed:
    return SOURCE.parse(answer("metaculus", body, ref=ids, url="https://m/api/posts/?ids=1", **how))


def values(parsed: Parsed) -> list[tuple[str, str, str, object]]:
    return [value(snapshot) for snapshot in parsed.batch.snapshots]


# --- what is asked --------------------------------------------------------------------------------------


def test_posts_are_asked_together_with_their_history() -> None:
    links = [link("metaculus", str(990000 + number)) for number in range(120)]
    plan = SOURCE.plan(links, AT, None)
    assert [len([1 for name, _ in call.params if name == "ids"]) for call in plan.requests] == [50, 50, 20]
    assert {call.path for call in plan.requests} == {"api/posts/"}
    rest = dict(plan.requests[0].params)
    assert (rest["with_cp"], rest["include_cp_history"], rest["limit"]) == ("true", "true", "100")
    assert rest["include_descriptions"] == "true"  # so that a change of the rules is seen at every poll
    assert all(call.private for call in plan.requests)


def test_history_is_asked_for_one_by_one() -> None:
    plan = SOURCE.plan([link("metaculus", "1"), link("metaculus", "2", "value")], AT, EPOCH)
    assert [call.path for call in plan.requests] == ["api/posts/1/", "api/posts/2/"]
    assert all(call.private and call.accept_missing for call in plan.requests)


@pytest.mark.parametrize("name", ["q990121", "if_yes", "if_no"])
def test_members_and_branches_are_asked_one_by_one(name: str) -> None:
    plan = SOURCE.plan([link("metaculus", "7", name), link("metaculus", "8")], AT, None)
    assert [call.path for call in plan.requests] == ["api/posts/", "api/posts/7/"]
    assert plan.requests[0].ref == "8"


@pytest.mark.parametrize("name", ["../users/me", "12/..", "0", "-1", "1a", "٣", ""])
def test_an_id_that_is_no_number_is_skipped(name: str) -> None:
    odd = link("metaculus", "1").model_copy(update={"external_id": name})
    plan = SOURCE.plan([odd], AT, None)
    assert plan.requests == ()
    assert list(plan.skipped) == [name]


def test_the_key_is_the_setting_metaculus_token() -> None:
    traits = SOURCE.traits
    assert (traits.secret, traits.secret_header, traits.secret_prefix) == (
        "metaculus_token",
        "Authorization",
        "Token ",
    )
    assert traits.secret_required


# --- every example of the document ----------------------------------------------------------------------

YES_HISTORY = {
    "binary_open": ("990001", [0.18, 0.21, 0.19, 0.26]),
    "binary_resolved_yes": ("990002", [0.55, 0.71, 0.9, 0.97]),
    "binary_annulled": ("990003", [0.4, 0.41, 0.39, 0.4]),
}


@pytest.mark.parametrize("name", YES_HISTORY)
def test_a_binary_question_gives_its_history(name: str) -> None:
    ref, said = YES_HISTORY[name]
    parsed = single(post(name))
    moments = (B1, B2, B3, B4)
    assert values(parsed) == [(ref, "yes", at, p) for at, p in zip(moments, said, strict=True)]
    assert [snapshot.forecasters for snapshot in parsed.batch.snapshots] == [11, 15, 19, 23]
    assert all(snapshot.timed_by_source for snapshot in parsed.batch.snapshots)
    assert {snapshot.key.quantity for snapshot in parsed.batch.snapshots} == {Quantity.FORECASTER_MEDIAN}
    assert parsed.faults == ()
    assert parsed.denied == ()


def test_a_multiple_choice_gives_each_option_and_ends_a_removed_one() -> None:
    parsed = single(post("multiple_choice"))
    early, late = start(1788264000), start(1789128000)
    assert values(parsed) == [
        ("990006", "Alignment theory", early, 0.1),
        ("990006", "Alignment theory", late, "gone"),
        ("990006", "Another area", early, 0.4),
        ("990006", "Another area", late, 0.45),
        ("990006", "Interpretability", early, 0.2),
        ("990006", "Interpretability", late, 0.22),
        ("990006", "Post-training", early, 0.3),
        ("990006", "Post-training", late, 0.33),
    ]


def test_a_linear_question_gives_real_values() -> None:
    """Range 0 to 50: location 0.242039 is 12.10195."""
    parsed = single(post("numeric_linear"))
    assert [(v[1], v[2]) for v in values(parsed)] == [
        ("value", start(1788264000)),
        ("value", start(1789473600)),
    ]
    assert [s.value for s in parsed.batch.snapshots] == pytest.approx([50 * 0.203655, 50 * 0.242039])
    early, late = parsed.batch.snapshots
    assert early.distribution is None
    assert late.distribution is not None
    assert (late.distribution.x[0], late.distribution.x[1], late.distribution.x[-1]) == (0.0, 0.25, 50.0)
    assert (late.distribution.cdf[0], late.distribution.cdf[-1]) == (0.0, 0.999)
    assert late.distribution.unit == "x"


def test_a_logarithmic_question_gives_real_values() -> None:
    """Range 1 to 1000 about 0 is plainly logarithmic: location u is 1000^u."""
    (snapshot,) = single(post("numeric_log")).batch.snapshots
    assert snapshot.value == pytest.approx(1000**0.450391)
    assert snapshot.distribution is not None
    assert snapshot.distribution.x[100] == pytest.approx(1000**0.5, rel=1e-5)
    assert snapshot.distribution.unit == "hours"


def test_a_date_question_gives_unix_seconds() -> None:
    (snapshot,) = single(post("date")).batch.snapshots
    low, high = 1780272000.0, 2095891200.0
    assert snapshot.value == pytest.approx(low + (high - low) * 0.367748)
    assert snapshot.distribution is not None
    assert snapshot.distribution.unit == "date"
    assert snapshot.distribution.x[0] == datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    assert snapshot.distribution.x[-1] == datetime(2036, 6, 1, tzinfo=UTC).timestamp()
    assert len(snapshot.distribution.x) == 201


def test_a_discrete_question_has_a_bucket_per_outcome() -> None:
    (snapshot,) = single(post("discrete")).batch.snapshots
    assert snapshot.value == pytest.approx(-0.5 + 11 * 0.315789)
    assert snapshot.distribution is not None
    assert snapshot.distribution.x == tuple(number - 0.5 for number in range(12))


def test_a_group_gives_a_stream_per_member() -> None:
    parsed = single(post("group"))
    assert values(parsed) == [
        *(
            ("990020", "q990121", at, p)
            for at, p in zip((B1, B2, B3, B4), (0.05, 0.06, 0.05, 0.04), strict=True)
        ),
        *(
            ("990020", "q990122", at, p)
            for at, p in zip((B1, B2, B3, B4), (0.2, 0.22, 0.24, 0.26), strict=True)
        ),
    ]
    (info,) = parsed.batch.infos
    assert (info.external_id, info.question_type) == ("990020", "group_of_questions")


def test_a_conditional_gives_a_stream_per_branch() -> None:
    parsed = single(post("conditional"))
    assert values(parsed) == [
        *(("990030", "if_no", at, p) for at, p in zip((B1, B2, B3, B4), (0.2, 0.2, 0.19, 0.18), strict=True)),
        *(
            ("990030", "if_yes", at, p)
            for at, p in zip((B1, B2, B3, B4), (0.4, 0.41, 0.42, 0.44), strict=True)
        ),
    ]


def test_a_notebook_is_noted_and_nothing_else() -> None:
    parsed = single(post("notebook"))
    assert parsed.batch.snapshots == ()
    assert parsed.batch.infos == ()
    assert parsed.notes == ("990040: a notebook, nothing to forecast",)


OUTCOMES: dict[str, list[Any]] = {
    "binary_open": [],
    "binary_resolved_yes": [("990002", "yes", "yes", 1.0, "2026-11-02T17:00:00Z")],
    "binary_annulled": [("990003", "yes", "void", None, "2026-10-10T00:00:00Z")],
    "binary_cp_hidden": [],
    "binary_no_access": [],
    "multiple_choice": [],
    "numeric_linear": [],
    "numeric_log": [],
    "date": [],
    "date_resolved": [
        ("990011", "value", "value", datetime(2026, 10, 14, tzinfo=UTC).timestamp(), "2026-10-14T00:00:00Z")
    ],
    "discrete": [],
    "group": [],
    "conditional": [],
    "notebook": [],
}


@pytest.mark.parametrize("name", SPEC.operations["getPost"].names(200))
def test_the_outcomes_of_every_example(name: str) -> None:
    parsed = single(post(name))
    assert [outcome(one) for one in parsed.batch.resolutions] == OUTCOMES[name]
    assert parsed.faults == ()
    assert parsed.follow == ()


def test_what_a_post_tells_of_itself() -> None:
    (info,) = single(post("binary_open")).batch.infos
    assert info.url == "https://www.metaculus.com/questions/990001/"
    assert (info.question_type, info.status) == ("binary", "open")
    assert info.title
    assert info.opens_at == datetime(2026, 8, 1, tzinfo=UTC)
    assert info.closes_at == datetime(2027, 12, 31, 23, 59, tzinfo=UTC)
    assert info.resolves_by == datetime(2028, 1, 31, tzinfo=UTC)


def test_the_actual_closing_time_counts_only_once_a_question_is_closed() -> None:
    (info,) = single(post("binary_resolved_yes")).batch.infos
    assert info.closes_at == datetime(2026, 11, 2, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "words", "status"),
    [
        ("binary_open", {}, "open"),
        ("binary_open", {"status": "upcoming"}, "upcoming"),
        ("binary_open", {"status": "closed"}, "closed"),
        ("binary_resolved_yes", {}, "resolved"),
        ("binary_annulled", {}, "void"),
        ("binary_open", {"status": "resolved", "resolution": "ambiguous"}, "resolved"),
        ("date_resolved", {}, "resolved"),
    ],
)
def test_the_status_is_one_of_five_words(name: str, words: dict[str, Any], status: str) -> None:
    assert single(question(name, **words)).batch.infos[0].status == status


@pytest.mark.parametrize(
    ("word", "status"),
    [("approved", "upcoming"), ("draft", "upcoming"), ("pending", "upcoming"), ("open", "open"),
     ("closed", "closed"), ("pending_resolution", "closed"), ("resolved", "resolved")],
)  # fmt: skip
def test_the_status_of_a_group_is_the_posts(word: str, status: str) -> None:
    parsed = single(post("group", lambda found: found.update(status=word)))
    assert parsed.batch.infos[0].status == status
    assert parsed.notes == ()


def test_a_group_is_void_when_all_of_it_is() -> None:
    def annul(found: dict[str, Any]) -> None:
        found["status"] = "resolved"
        for member in found["group_of_questions"]["questions"]:
            member["resolution"] = "annulled"

    assert single(post("group", annul)).batch.infos[0].status == "void"


def test_a_status_we_do_not_know_is_noted_and_none() -> None:
    parsed = single(question("binary_open", status="simmering"))
    assert parsed.batch.infos[0].status == ""
    assert parsed.notes == ("990001: status 'simmering' is not known",)
    assert len(parsed.batch.snapshots) == 4


def criteria(body: dict[str, Any]) -> str:
    return single(body).batch.infos[0].criteria_sha256


def test_criteria_are_the_resolution_criteria_and_the_fine_print() -> None:
    rule = "Resolves per the rule in the question text."
    assert criteria(post("binary_open")) == criteria_digest(rule)
    with_print = question("binary_open", fine_print="Only this year.")
    assert criteria(with_print) == criteria_digest(rule, "Only this year.")
    assert criteria(question("binary_open", resolution_criteria=rule.replace(" ", "\n "))) == criteria_digest(
        rule
    )


@pytest.mark.parametrize("missing", [None, "", "absent"])
def test_criteria_that_are_withheld_have_no_digest(missing: str | None) -> None:
    body = question("binary_open", resolution_criteria=missing, fine_print=missing)
    if missing == "absent":
        del body["question"]["resolution_criteria"], body["question"]["fine_print"]
    assert criteria(body) == ""
    assert single(body).faults == ()


def test_the_criteria_of_a_group_are_its_own_and_its_members() -> None:
    before = criteria(post("group"))

    def another_year(found: dict[str, Any]) -> None:
        members = found["group_of_questions"]["questions"]
        members.append({**copy.deepcopy(members[0]), "id": 990199, "label": "2029"})
        members.reverse()

    assert criteria(post("group", another_year)) == before
    shared = criteria(post("group", lambda found: found["group_of_questions"].update(fine_print="New.")))
    own = criteria(
        post("group", lambda found: found["group_of_questions"]["questions"][1].update(fine_print="New."))
    )
    assert len({before, shared, own, ""}) == 4


def test_the_criteria_of_a_conditional_are_those_of_all_its_parts() -> None:
    digests = {criteria(post("conditional"))}
    for part in ("condition", "condition_child", "question_yes", "question_no"):
        digests.add(criteria(post("conditional", lambda found, part=part: found["conditional"][part].update(  # type: ignore[misc]
            fine_print="New."))))  # fmt: skip
    assert len(digests - {""}) == 5


# --- pages ----------------------------------------------------------------------------------------------


def test_a_page_gives_single_questions_and_follows_groups() -> None:
    parsed = page(SPEC.example("listPosts", "page1"), "990001,990020")
    assert {v[0] for v in values(parsed)} == {"990001"}
    assert [p for *_, p in values(parsed)] == [0.18, 0.21, 0.19, 0.26]
    assert [request.path for request in parsed.follow] == ["api/posts/990020/"]
    assert [info.external_id for info in parsed.batch.infos] == ["990001"]


def test_a_conditional_on_a_page_is_followed() -> None:
    parsed = page({"results": [post("conditional")]}, "990030")
    assert values(parsed) == []
    assert [request.path for request in parsed.follow] == ["api/posts/990030/"]


def test_posts_a_page_leaves_out_are_asked_for_one_by_one() -> None:
    parsed = page(SPEC.example("listPosts", "empty"), "990001,990002")
    assert [request.path for request in parsed.follow] == ["api/posts/990001/", "api/posts/990002/"]
    assert all(request.private and request.accept_missing for request in parsed.follow)


def test_the_endless_next_link_is_not_followed() -> None:
    body = {**SPEC.example("listPosts", "last_page")}
    assert body["next"]
    assert page(body, "990006").follow == ()


def test_a_permuted_page_gives_the_same_records() -> None:
    names = [n for n in SPEC.operations["getPost"].names(200) if n not in ("group", "conditional")]
    posts = [post(name) for name in names]
    ids = ",".join(str(one["id"]) for one in posts)
    one = page({"results": posts}, ids)
    for seed in range(5):
        shuffled = list(posts)
        random.Random(seed).shuffle(shuffled)
        other = page({"results": shuffled}, ids)
        assert values(other) == values(one)
        assert [outcome(r) for r in other.batch.resolutions] == [outcome(r) for r in one.batch.resolutions]
        assert (other.notes, other.denied, other.follow) == (one.notes, one.denied, one.follow)


def test_a_post_listed_twice_counts_once() -> None:
    twice = page({"results": [post("binary_open"), post("binary_open")]}, "990001")
    assert values(twice) == values(single(post("binary_open")))
    assert twice.faults == ()


def test_one_bad_post_does_not_spoil_a_page() -> None:
    bad = post("binary_open", lambda found: found.update(id="990001x"))
    parsed = page({"results": [bad, "text", None, {"id": 5}, post("binary_annulled")]}, "990003")
    assert {v[0] for v in values(parsed)} == {"990003"}
    assert {fault.field for fault in parsed.faults} == {
        "results[0].id",
        "results[1]",
        "results[2]",
        "results[3].question",
    }


def test_a_page_of_nothing_readable_is_refused() -> None:
    with pytest.raises(ParseError, match=r"results\[0\]"):
        page({"results": ["text"]}, "")
    with pytest.raises(ParseError, match="results"):
        page({"results": {}}, "")


# --- absence --------------------------------------------------------------------------------------------


def test_hidden_not_permitted_and_no_forecast_are_kept_apart() -> None:
    hidden = single(post("binary_cp_hidden"))
    assert values(hidden) == [("990004", "yes", NOON, "hidden")]
    assert hidden.batch.snapshots[0].hidden_until == datetime(2027, 1, 15, tzinfo=UTC)
    assert hidden.denied == ()

    not_permitted = single(post("binary_no_access"))
    assert values(not_permitted) == [("990005", "yes", NOON, "not_permitted")]
    assert not_permitted.batch.snapshots[0].hidden_until is None
    assert not_permitted.denied == ("990005",)

    none_yet = single(post("binary_no_access", lambda found: found.update(nr_forecasters=0)))
    assert values(none_yet) == [("990005", "yes", NOON, "no_forecast")]
    assert none_yet.denied == ()


def test_a_question_that_is_not_open_yet_has_no_forecast_though_others_wait() -> None:
    later = question(
        "binary_no_access", open_time="2026-12-01T00:00:00Z", cp_reveal_time="2026-12-08T00:00:00Z"
    )
    assert values(single(later)) == [("990005", "yes", NOON, "no_forecast")]
    assert values(single(question("binary_no_access", status="upcoming")))[0][3] == "no_forecast"


def test_a_reveal_time_in_the_past_does_not_hide() -> None:
    late = answer("metaculus", post("binary_cp_hidden"), ref="990004", at=datetime(2027, 1, 16, tzinfo=UTC))
    assert [s.state for s in SOURCE.parse(late).batch.snapshots] == [ValueState.NOT_PERMITTED]


def test_without_any_count_the_likelier_reason_is_taken_and_said() -> None:
    def uncounted(found: dict[str, Any]) -> None:
        del found["nr_forecasters"], found["forecasts_count"]

    parsed = single(post("binary_no_access", uncounted))
    assert values(parsed)[0][3] == "not_permitted"
    assert "no count of forecasters" in parsed.notes[0]


def test_the_count_of_forecasts_stands_in_for_the_count_of_forecasters() -> None:
    def change(found: dict[str, Any]) -> None:
        found.update(nr_forecasters=None, forecasts_count=0)

    assert values(single(post("binary_no_access", change)))[0][3] == "no_forecast"


def test_an_empty_member_beside_a_visible_one_has_no_forecast() -> None:
    def change(found: dict[str, Any]) -> None:
        members = found["group_of_questions"]["questions"]
        members[0]["aggregations"]["recency_weighted"] = {"history": [], "latest": None}

    parsed = single(post("group", change))
    assert ("990020", "q990121", NOON, "no_forecast") in values(parsed)
    assert parsed.denied == ()


def test_an_unpermitted_choice_says_so_for_each_option() -> None:
    parsed = single(community("multiple_choice", history=[], latest=None))
    assert [v[3] for v in values(parsed)] == ["not_permitted"] * 4
    assert parsed.denied == ("990006",)


def test_a_refusal_denies_every_post_asked_for() -> None:
    parsed = page(SPEC.example("listPosts", "unauthenticated", 403), "1,2", status=403)
    assert parsed.denied == ("1", "2")
    assert values(parsed) == [("1", "yes", NOON, "not_permitted"), ("2", "yes", NOON, "not_permitted")]


def test_a_refusal_in_html_is_a_refusal_too() -> None:
    assert single(b"<html>no</html>", status=403).denied == ("990001",)


def test_a_missing_post_is_gone() -> None:
    assert values(single(SPEC.example("getPost", "missing", 404), status=404)) == [
        ("990001", "yes", NOON, "gone")
    ]


@pytest.mark.parametrize("word", ["deleted", "rejected"])
@pytest.mark.parametrize("name", ["binary_open", "binary_no_access", "multiple_choice", "numeric_linear"])
def test_a_removed_post_is_gone_whatever_else_it_tells(name: str, word: str) -> None:
    parsed = single(post(name, lambda found: found.update(status=word)))
    latest: dict[str, object] = {}
    for _, stream, _, said in values(parsed):
        latest[stream] = said
    assert set(latest.values()) == {"gone"}
    assert parsed.denied == ()
    assert parsed.faults == ()
    assert parsed.batch.infos[0].status == ""
    assert any(word in note for note in parsed.notes)


def test_a_removed_post_without_its_question_is_gone() -> None:
    def strip(found: dict[str, Any]) -> None:
        del found["question"]
        found["status"] = "deleted"

    parsed = single(post("binary_open", strip))
    assert values(parsed) == [("990001", "yes", NOON, "gone")]
    assert parsed.faults == ()


def test_an_answer_about_another_post_is_refused() -> None:
    raw = answer("metaculus", post("binary_open"), ref="990077", url="https://m/api/posts/990077/")
    with pytest.raises(ParseError, match="another post"):
        SOURCE.parse(raw)


def test_no_aggregations_at_all_are_an_absence_to_be_explained() -> None:
    assert values(single(question("binary_open", aggregations=None))) == [
        ("990001", "yes", NOON, "not_permitted")
    ]
    assert values(single(question("binary_open", aggregations={}))) == [
        ("990001", "yes", NOON, "not_permitted")
    ]


def test_a_question_whose_values_end_has_no_forecast_and_is_not_gone() -> None:
    history = post("binary_open")["question"]["aggregations"]["recency_weighted"]["history"]
    history[-1]["centers"] = [None]
    parsed = single(community("binary_open", history=history, latest=None))
    assert values(parsed)[-1] == ("990001", "yes", B4, "no_forecast")


def test_a_missing_list_says_nothing_about_its_posts() -> None:
    with pytest.raises(ParseError, match="404"):
        page({}, "990001", status=404)


def test_when_everybody_withdrew_there_is_no_forecast_since() -> None:
    history = post("binary_open")["question"]["aggregations"]["recency_weighted"]["history"]
    history[-1]["end_time"] = 1793000000.0
    parsed = single(community("binary_open", history=history, latest=None))
    assert values(parsed)[-1] == ("990001", "yes", start(1793000000), "no_forecast")
    assert parsed.batch.snapshots[-1].timed_by_source


@pytest.mark.parametrize("end", [None, 1e15, 1893456000.0])
def test_a_value_in_force_is_not_ended(end: float | None) -> None:
    history = post("binary_open")["question"]["aggregations"]["recency_weighted"]["history"]
    history[-1]["end_time"] = end
    assert values(single(community("binary_open", history=history, latest=None)))[-1][3] == 0.26


# --- history --------------------------------------------------------------------------------------------


def test_what_starts_after_the_fetch_is_left_out() -> None:
    early = answer("metaculus", post("binary_open"), ref="990001", at=EPOCH + timedelta(seconds=1789000000))
    assert [v[3] for v in map(value, SOURCE.parse(early).batch.snapshots)] == [0.18, 0.21]


def test_the_latest_value_is_taken_without_a_history() -> None:
    assert [v[2:] for v in values(single(community("binary_open", history=[])))] == [(B4, 0.26)]


def test_missing_counts_are_tolerated() -> None:
    latest = {"start_time": 1790078400.25, "centers": [0.5]}
    (snapshot,) = single(community("binary_open", history=None, latest=latest)).batch.snapshots
    assert (snapshot.probability, snapshot.forecasters) == (0.5, None)


@pytest.mark.parametrize("center", [1.01, -0.5, "0.4", True, [0.4], 1e400])
def test_a_bad_item_is_a_fault_and_the_others_are_taken(center: object) -> None:
    history = post("binary_open")["question"]["aggregations"]["recency_weighted"]["history"]
    history[1]["centers"] = [center]
    parsed = single(community("binary_open", history=history))
    assert [v[3] for v in values(parsed)] == [0.18, 0.19, 0.26]
    assert len(parsed.faults) == 1
    assert "recency_weighted" in parsed.faults[0].field or "centers" in parsed.faults[0].field


@pytest.mark.parametrize("moment", [1e300, -1e300, "2026-09-01T00:00:00Z", None, True])
def test_an_impossible_time_is_a_fault(moment: object) -> None:
    history = post("binary_open")["question"]["aggregations"]["recency_weighted"]["history"]
    history[0]["start_time"] = moment
    parsed = single(community("binary_open", history=history))
    assert [v[3] for v in values(parsed)] == [0.21, 0.19, 0.26]
    assert "start_time" in parsed.faults[0].field


def test_values_that_fit_no_option_are_a_fault() -> None:
    parsed = single(question("multiple_choice", all_options_ever=["Interpretability", "Post-training"]))
    assert values(parsed) == []
    assert "4 values for 2 outcomes" in parsed.faults[0].message


def test_two_options_of_one_name_are_a_fault() -> None:
    parsed = single(question("multiple_choice", all_options_ever=["a", "a", "b", "c"]))
    assert values(parsed) == []
    assert "all_options_ever" in parsed.faults[0].field


def test_an_unknown_type_is_noted() -> None:
    parsed = single(question("binary_open", type="ranking"))
    assert values(parsed) == []
    assert "ranking" in parsed.notes[0]


def test_a_post_that_lost_its_question_is_a_fault() -> None:
    with pytest.raises(ParseError, match="question: is missing"):
        single(post("binary_open", lambda found: found.pop("question")))


@settings(deadline=None)
@given(data=st.data(), name=st.sampled_from(["binary_open", "multiple_choice", "numeric_linear", "group"]))
def test_points_out_of_order_and_told_twice_are_harmless(data: st.DataObject, name: str) -> None:
    body = post(name)
    members = [body["question"]] if "question" in body else body["group_of_questions"]["questions"]
    for member in members:
        told = member["aggregations"]["recency_weighted"]
        twice = [*told["history"], *data.draw(st.lists(st.sampled_from(told["history"]), max_size=4))]
        told["history"] = data.draw(st.permutations(twice))
    if "question" not in body:
        body["group_of_questions"]["questions"] = data.draw(st.permutations(members))
    shuffled, straight = single(body), single(post(name))
    assert values(shuffled) == values(straight)
    assert [s.distribution for s in shuffled.batch.snapshots] == [
        s.distribution for s in straight.batch.snapshots
    ]
    assert shuffled.faults == ()


@settings(deadline=None)
@given(
    weights=st.lists(st.floats(0, 1), min_size=3, max_size=30).filter(lambda w: sum(w) > 0.1),
    zero=st.sampled_from([None, -50.0, 0.0, 2000.0]),
)
def test_mass_outside_an_open_range_is_kept_and_the_grid_is_even_in_locations(
    weights: list[float], zero: float | None
) -> None:
    """The first weight lies below the range, the last above; point i of N stands at location i / N, by the
    platform's own inverse (utils/the_math)."""
    total = sum(weights)
    cdf = [sum(weights[: number + 1]) / total for number in range(len(weights) - 1)]
    size = len(cdf) - 1

    def change(found: dict[str, Any]) -> None:
        scaling = found["question"]["scaling"]
        scaling.update(zero_point=zero, continuous_range=None, open_lower_bound=True, open_upper_bound=True)
        found["question"].update(open_lower_bound=True, open_upper_bound=True)
        found["question"]["aggregations"]["recency_weighted"] = {
            "history": [],
            "latest": {"start_time": 1789473600.0, "centers": [0.5], "forecast_values": cdf},
        }

    (snapshot,) = single(post("numeric_log", change)).batch.snapshots
    assert snapshot.distribution is not None
    assert snapshot.distribution.cdf[0] == pytest.approx(weights[0] / total)
    assert 1 - snapshot.distribution.cdf[-1] == pytest.approx(weights[-1] / total)
    low, high = 1.0, 1000.0
    for number, x in enumerate(snapshot.distribution.x):
        if zero is None:
            location = (x - low) / (high - low)
        else:
            ratio = (high - zero) / (low - zero)
            location = (math.log((x - low) * (ratio - 1) + (high - low)) - math.log(high - low)) / math.log(
                ratio
            )
        assert location == pytest.approx(number / size, abs=1e-9)


# --- numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("center", "bound"), [(1.0, "open_upper_bound"), (0.0, "open_lower_bound")])
def test_a_median_beyond_an_open_bound_gives_no_value(center: float, bound: str) -> None:
    def change(found: dict[str, Any]) -> None:
        found["question"][bound] = found["question"]["scaling"][bound] = True
        found["question"]["aggregations"]["recency_weighted"]["history"][0]["centers"] = [center]
        found["question"]["aggregations"]["recency_weighted"]["latest"]["centers"] = [center]

    parsed = single(post("numeric_linear", change))
    (snapshot,) = parsed.batch.snapshots
    assert snapshot.value is None
    assert snapshot.distribution is not None
    assert "beyond the range" in parsed.notes[0]


def test_a_median_at_a_closed_bound_is_that_bound() -> None:
    latest = {"start_time": 1789473600.0, "centers": [0.0]}
    (snapshot,) = single(community("numeric_linear", history=[], latest=latest)).batch.snapshots
    assert snapshot.value == 0.0


def test_without_a_published_grid_the_scaling_gives_it() -> None:
    def change(found: dict[str, Any]) -> None:
        found["question"]["scaling"]["continuous_range"] = None

    (with_grid,) = single(post("numeric_log")).batch.snapshots
    (without,) = single(post("numeric_log", change)).batch.snapshots
    assert with_grid.distribution is not None
    assert without.distribution is not None
    assert without.distribution.x == pytest.approx(with_grid.distribution.x, rel=1e-4)
    assert all(b > a for a, b in pairwise(without.distribution.x))


@pytest.mark.parametrize("grid", [[1.0, 2.0], [None] * 201, ["x"] * 201, [3.0] * 201])
def test_a_grid_of_the_wrong_length_or_kind_is_not_used(grid: list[Any]) -> None:
    body = post("numeric_log", lambda found: found["question"]["scaling"].update(continuous_range=grid))
    (snapshot,) = single(body).batch.snapshots
    assert snapshot.distribution is not None
    assert snapshot.distribution.x[-1] == pytest.approx(1000.0)


@pytest.mark.parametrize(
    "scaling",
    [
        {"range_min": None},
        {"range_max": "50"},
        {"range_min": 50.0, "range_max": 0.0},
        {"range_min": 0.0, "range_max": 0.0},
        {"range_min": -1.7e308, "range_max": 1.7e308},
        {"zero_point": 25.0},
        {"zero_point": 0.0},
    ],
)
def test_a_scaling_that_makes_no_sense_gives_no_value_and_one_fault(scaling: dict[str, Any]) -> None:
    parsed = single(post("numeric_linear", lambda found: found["question"]["scaling"].update(scaling)))
    assert values(parsed) == []
    assert any("scaling" in fault.field for fault in parsed.faults)
    assert len(parsed.faults) <= 2


@pytest.mark.parametrize("cdf", [[0.0, 0.5, 0.4], [0.0, 1.2], [0.5], [], [0.0, None, 1.0], [-0.1, 1.0]])
def test_a_distribution_that_is_none_leaves_the_median(cdf: list[float | None]) -> None:
    latest = {"start_time": 1789473600.0, "centers": [0.5], "forecast_values": cdf}
    parsed = single(community("numeric_linear", history=[], latest=latest))
    assert [(s.value, s.distribution) for s in parsed.batch.snapshots] == [(25.0, None)]
    assert len(parsed.faults) == 1


def test_rounding_at_the_ends_of_a_distribution_is_forgiven() -> None:
    latest = {
        "start_time": 1789473600.0,
        "centers": [0.5],
        "forecast_values": [-1e-17, 0.5, 0.5 - 1e-16, 1 + 1e-15],
    }
    (snapshot,) = single(community("numeric_linear", history=[], latest=latest)).batch.snapshots
    assert snapshot.distribution is not None
    assert snapshot.distribution.cdf == (0.0, 0.5, 0.5, 1.0)


@pytest.mark.parametrize("zero", [-100.0, 0.0, 0.5, 2000.0])
def test_locations_and_values_agree_with_the_inverse_formula(zero: float) -> None:
    """Going back with Metaculus's own inverse gives the location again (utils/the_math, from value to unit)."""

    def change(found: dict[str, Any]) -> None:
        found["question"]["scaling"].update(zero_point=zero, continuous_range=None)

    (snapshot,) = single(post("numeric_log", change)).batch.snapshots
    assert snapshot.value is not None
    low, high = 1.0, 1000.0
    ratio = (high - zero) / (low - zero)
    back = (math.log((snapshot.value - low) * (ratio - 1) + (high - low)) - math.log(high - low)) / math.log(
        ratio
    )
    assert back == pytest.approx(0.450391)


# --- outcomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [
        ("binary_open", "yes", [("yes", "yes", 1.0)]),
        ("binary_open", "no", [("yes", "no", 0.0)]),
        ("binary_open", "ambiguous", [("yes", "ambiguous", None)]),
        ("binary_open", "annulled", [("yes", "void", None)]),
        ("binary_open", "", []),
        ("numeric_linear", "41.5", [("value", "value", 41.5)]),
        ("numeric_linear", "above_upper_bound", [("value", "value", None)]),
        ("numeric_linear", "below_lower_bound", [("value", "value", None)]),
        ("numeric_linear", "annulled", [("value", "void", None)]),
        ("date", "2026-10-14 00:00:00+00:00", [("value", "value", 1791936000.0)]),
        (
            "multiple_choice",
            "Post-training",
            [
                ("Alignment theory", "no", 0.0),
                ("Another area", "no", 0.0),
                ("Interpretability", "no", 0.0),
                ("Post-training", "yes", 1.0),
            ],
        ),
        (
            "multiple_choice",
            "Alignment theory",
            [
                ("Alignment theory", "yes", 1.0),
                ("Another area", "no", 0.0),
                ("Interpretability", "no", 0.0),
                ("Post-training", "no", 0.0),
            ],
        ),
    ],
)
def test_what_the_words_mean(name: str, word: str, expected: list[tuple[str, str, float | None]]) -> None:
    parsed = single(question(name, resolution=word, actual_resolve_time="2026-11-01T00:00:00Z"))
    assert [(r.outcome, r.state.value, r.value) for r in parsed.batch.resolutions] == expected
    assert {r.text for r in parsed.batch.resolutions} <= {word}


@pytest.mark.parametrize(
    ("name", "word"),
    [("binary_open", "perhaps"), ("numeric_linear", "nan"), ("numeric_linear", "lots"), ("date", "soon"),
     ("date", "2026-10-14T00:00:00"), ("multiple_choice", "None of these")],
)  # fmt: skip
def test_a_word_that_means_nothing_is_a_fault(name: str, word: str) -> None:
    parsed = single(question(name, resolution=word))
    assert parsed.batch.resolutions == ()
    assert parsed.batch.snapshots != ()
    assert [fault.field for fault in parsed.faults] == ["question.resolution"]


def test_a_branch_that_did_not_happen_is_void() -> None:
    def change(found: dict[str, Any]) -> None:
        found["conditional"]["question_yes"]["resolution"] = "annulled"

    parsed = single(post("conditional", change))
    assert [(r.outcome, r.state.value) for r in parsed.batch.resolutions] == [("if_yes", "void")]


def test_without_an_answer_time_the_entry_time_stands_in() -> None:
    body = question(
        "binary_open",
        resolution="no",
        actual_resolve_time=None,
        resolution_set_time="2026-11-03T09:20:11.402Z",
    )
    (resolution,) = single(body).batch.resolutions
    assert resolution.resolved_at == datetime(2026, 11, 3, 9, 20, 11, 402000, tzinfo=UTC)

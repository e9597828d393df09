"""Each rule, policy and state, decided by hand in worlds of a few observations."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from questions.evidence import world_of
from questions.question import ANNUL, PENDING, Fixture, Question
from questions.resolver import Resolver, expectation, fixture_findings
from questions.time import parse_utc
from questions.verdicts import State, Verdict
from tests.questions.examples import binary

CLOSE, RESOLVE = "2027-12-31", "2028-03-31"
SERIES = {"kind": "series_threshold", "series": "horizon", "metric": "p50"}
TEN = {"value": 10.0, "comparator": ">="}
NUMBERS = {"lower": 0.0, "upper": 99.0, "open_lower": False, "open_upper": True}
DATES = {"lower": parse_utc("2026-01-01"), "upper": parse_utc(CLOSE)}


def seen(at: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    for name in ("published",):
        if name in more:
            more[name] = date.fromisoformat(more[name])
    told = {"series": "horizon", "metric": "p50", "value": value}
    return {"at": date.fromisoformat(at), **told, **more}


def mark(at: str, event: str, series: str = "horizon") -> dict[str, Any]:
    return {"at": date.fromisoformat(at), "series": series, "event": event}


def asked(rule: dict[str, Any] | None = None, **more: Any) -> Question:
    """A binary question "is it 10 or more by the end of 2027", with changes."""
    resolution = {"authority": "a script"} | {
        name: more.pop(name) for name in list(more) if name.startswith("if_")
    }
    told = {"threshold": TEN, "rule": rule or SERIES, "resolution": resolution, **more}
    return Question.model_validate(binary(**told))


def verdict(question: Question, *world: dict[str, Any], now: str = "2029-01-01") -> Verdict:
    fixture = Fixture.model_validate({"name": "w", "world": world, "expected": PENDING})
    return Resolver(question).verdict(world_of(fixture), parse_utc(now))


def comes_to(question: Question, *world: dict[str, Any], now: str = "2029-01-01") -> str:
    return expectation(verdict(question, *world, now=now))


# thresholds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comparator", "value", "expected"),
    [
        (">=", 10.0, "yes"), (">", 10.0, "no"), (">=", 9.99, "no"),
        ("<=", 10.0, "yes"), ("<", 10.0, "no"), ("<", 9.99, "yes"),
    ],
)  # fmt: skip
def test_exactly_at_the_threshold_the_comparator_decides(
    comparator: str, value: float, expected: str
) -> None:
    statistic = "max" if comparator.startswith(">") else "min"
    question = asked({**SERIES, "statistic": statistic}, threshold={"value": 10.0, "comparator": comparator})
    assert comes_to(question, seen("2027-06-01", value)) == expected


@pytest.mark.parametrize(
    ("statistic", "expected"), [("max", "yes"), ("min", "no"), ("last", "no"), ("count", "no")]
)
def test_the_statistic_says_which_point_counts(statistic: str, expected: str) -> None:
    question = asked({**SERIES, "statistic": statistic, "at_least": 2})
    points = [seen("2027-03-01", 4.0), seen("2027-06-01", 11.0), seen("2027-09-01", 9.0)]
    assert comes_to(question, *points) == expected
    newest = [*points, seen("2027-11-01", 12.0)]
    assert comes_to(question, *newest) == ("no" if statistic == "min" else "yes")


def test_only_the_named_metric_and_key_count_and_the_end_of_the_interval_named() -> None:
    question = asked({**SERIES, "key": "model-a", "reading": "lower"})
    other = [seen("2027-06-01", 20.0, lower=15.0, key="model-b")]
    other += [seen("2027-06-01", 20.0, lower=15.0, key="model-a", metric="p80")]
    other += [seen("2027-06-01", 20.0, lower=9.0, key="model-a")]
    assert comes_to(question, *other) == "no"
    found = verdict(question, *other, seen("2027-07-01", 20.0, lower=10.0, key="model-a"))
    assert (found.outcome, dict(found.computed)) == ("yes", {"value": 10.0, "threshold": 10.0})


def test_the_event_dates_the_outcome_and_a_backdated_report_counts_in_time_only() -> None:
    late = seen("2027-11-15", 12.0, published="2028-03-01")
    found = verdict(asked(), late)
    assert (found.outcome, found.resolved_at) == ("yes", datetime(2027, 11, 15, 12, tzinfo=UTC))
    assert comes_to(asked(), seen("2027-01-10", 1.0), {**late, "published": date(2028, 4, 1)}) == "no"
    assert comes_to(asked(), seen("2028-01-01", 12.0)) == "no"


def test_by_publication_the_day_it_came_out_decides() -> None:
    question = asked(dates={**binary()["dates"], "event_basis": "publication_date"})
    assert comes_to(question, seen("2027-12-01", 12.0, published="2028-01-02")) == "no"
    found = verdict(question, seen("2026-05-01", 12.0, published="2027-02-01"))
    assert (found.outcome, found.resolved_at) == ("yes", datetime(2027, 2, 1, 12, tzinfo=UTC))


def test_grace_days_can_reach_beyond_the_resolve_date() -> None:
    question = asked(dates={**binary()["dates"], "report_grace_days": 120})
    late = seen("2027-11-15", 12.0, published="2028-04-20")
    assert comes_to(question, seen("2027-01-10", 1.0), late) == "yes"
    assert comes_to(asked(), seen("2027-01-10", 1.0), late) == "no"


def test_events_before_a_given_day_do_not_count() -> None:
    question = asked({**SERIES, "since": parse_utc("2027-01-01")})
    assert comes_to(question, seen("2026-12-31", 12.0)) == "no"
    assert comes_to(asked(), seen("2026-12-31", 12.0)) == "yes"


def test_several_looks_in_a_row_must_show_it() -> None:
    question = asked({**SERIES, "looks": 2})
    high = seen("2027-05-01", 12.0, key="m")
    blip = seen("2027-05-01", 8.0, key="m", published="2027-07-01")
    assert comes_to(question, high) == "no"
    assert comes_to(question, high, blip) == "no"
    assert comes_to(question, high, seen("2027-06-01", 1.0)) == "yes"


# policies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "expected"), [("latest", "no"), ("first_published", "yes"), ("known_at_close", "yes")]
)
def test_a_revision_after_the_close_counts_as_the_record_says(policy: str, expected: str) -> None:
    question = asked(if_revised=policy)
    first = seen("2027-06-01", 12.0, key="m", published="2027-06-05")
    revised = seen("2027-06-01", 8.0, key="m", published="2028-02-01")
    assert comes_to(question, first, revised) == expected
    too_late = {**revised, "published": date(2028, 5, 1)}
    assert comes_to(question, first, too_late) == "yes"


def test_a_point_taken_back_no_longer_counts() -> None:
    taken = seen("2027-06-01", key="m", event="withdrawn", published="2027-09-01")
    assert comes_to(asked(), seen("2027-06-01", 12.0, key="m"), taken, seen("2027-02-02", 1.0)) == "no"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("pin", "no"), ("latest", "yes"), ("named_successor", "yes"), ("annul_on_change", ANNUL), (None, "yes")],
)
def test_another_version_counts_as_the_record_says(policy: str | None, expected: str) -> None:
    measurement = {"version_policy": policy, "successors": ["2"]}
    world = seen("2026-06-01", 1.0, version="1"), seen("2027-06-01", 12.0, version="2")
    assert comes_to(asked(measurement=measurement), *world) == expected
    pinned = {**measurement, "version": "2"}
    assert comes_to(asked(measurement=pinned), seen("2027-06-01", 12.0, version="2")) == "yes"


def test_a_crossing_before_the_version_changed_stands() -> None:
    question = asked(measurement={"version_policy": "annul_on_change"})
    world = seen("2027-03-01", 12.0, version="1"), seen("2027-06-01", 1.0, version="2")
    assert comes_to(question, *world) == "yes"


@pytest.mark.parametrize(
    ("policy", "low", "high"),
    [
        ("counts_if_decisive", "no", "yes"), ("not_counted", "no", "no"), ("counts_as_value", "no", "yes"),
        ("annul", ANNUL, "yes"), (None, "no", "no"),
    ],
)  # fmt: skip
def test_a_bare_bound_counts_as_the_record_says(policy: str | None, low: str, high: str) -> None:
    question = asked(if_bound_only=policy)
    assert comes_to(question, seen("2027-06-01", 9.0, bound="lower"), seen("2027-01-01", 1.0)) == low
    assert comes_to(question, seen("2027-06-01", 10.0, bound="lower"), seen("2027-01-01", 1.0)) == high


def test_at_most_so_much_never_shows_at_least_so_much() -> None:
    question = asked(if_bound_only="counts_if_decisive")
    assert comes_to(question, seen("2027-06-01", 99.0, bound="upper"), seen("2027-01-01", 1.0)) == "no"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("annul", ANNUL),
        ("default_outcome", "no"),
        ("last_snapshot", "no"),
        ("judges", PENDING),
        (None, PENDING),
    ],
)
def test_a_source_that_is_gone_is_dealt_with_as_the_record_says(policy: str | None, expected: str) -> None:
    question = asked(if_gone=policy)
    assert comes_to(question, seen("2027-03-01", 4.0), mark("2027-06-01", "gone")) == expected
    assert comes_to(question, seen("2027-03-01", 12.0), mark("2027-06-01", "gone")) == "yes"
    back = seen("2027-09-01", 5.0)
    assert comes_to(question, seen("2027-03-01", 4.0), mark("2027-06-01", "gone"), back) == "no"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("annul", ANNUL), ("default_outcome", "no"), ("wait", PENDING), (None, PENDING), ("judges", PENDING)],
)
def test_a_source_that_says_nothing_is_dealt_with_as_the_record_says(
    policy: str | None, expected: str
) -> None:
    question = asked(if_silent=policy)
    assert comes_to(question) == expected
    assert comes_to(question, mark("2027-02-01", "silent")) == expected
    late = seen("2027-06-01", 12.0, published="2028-05-01")
    assert comes_to(question, late) == ("yes" if policy in ("wait", None) else expected)


@pytest.mark.parametrize(
    ("policy", "expected"), [("annul", ANNUL), ("only_before", "no"), ("accept", "yes"), (None, ANNUL)]
)
def test_a_changed_method_is_dealt_with_as_the_record_says(policy: str | None, expected: str) -> None:
    question = asked(if_method_changes=policy)
    world = seen("2027-03-01", 4.0), mark("2027-06-01", "method_changed"), seen("2027-09-01", 12.0)
    assert comes_to(question, *world) == expected
    assert comes_to(question, seen("2027-03-01", 12.0), *world[1:]) == "yes"


# other outcomes -----------------------------------------------------------------------------------


def test_a_number_is_the_outcome_of_a_numeric_question() -> None:
    rule = {"kind": "series_value", "series": "horizon", "statistic": "max"}
    question = asked(
        rule, kind="numeric", numeric_range=NUMBERS, outcomes=["value", "none"], default_outcome="none",
        if_silent="default_outcome",
    )  # fmt: skip
    found = verdict(question, seen("2027-03-01", 7.0), seen("2027-04-01", 5.0))
    assert (found.outcome, found.value) == ("value", 7.0)
    assert comes_to(question, seen("2027-03-01", 7.0), now="2027-06-01") == PENDING
    assert comes_to(question) == "none"


@pytest.mark.parametrize(("value", "expected"), [(4.9, "low"), (5.0, "mid"), (9.9, "mid"), (10.0, "high")])
def test_buckets_include_their_lower_edge(value: float, expected: str) -> None:
    buckets = [
        {"outcome": "low", "upper": 5.0}, {"outcome": "mid", "lower": 5.0, "upper": 10.0},
        {"outcome": "high", "lower": 10.0},
    ]  # fmt: skip
    rule = {"kind": "series_value", "series": "horizon", "buckets": buckets}
    names = ["low", "mid", "high", "other"]
    question = asked(rule, kind="multiple_choice", outcomes=names, default_outcome="other")
    assert comes_to(question, seen("2027-03-01", value)) == expected


def test_the_first_crossing_is_a_date() -> None:
    rule = {"kind": "first_crossing", "series": "horizon"}
    question = asked(rule, kind="date", date_range=DATES, outcomes=["date", "later"], default_outcome="later")
    points = (
        seen("2027-03-01", 4.0),
        seen("2027-08-01", 12.0),
        seen("2027-05-07", 10.0, published="2027-09-01"),
    )
    found = verdict(question, *points)
    assert (found.outcome, found.on) == ("date", date(2027, 5, 7))
    assert verdict(question, *points, now="2027-08-15").on == date(2027, 8, 1)
    assert comes_to(question, points[0]) == "later"


def order(**more: Any) -> Question:
    arms = {name: {"series": f"s{name}"} for name in "ab"}
    ordering = {
        "a": "ai_control", "b": "post_training", "tie_window_days": 30,
        "tie_outcome": "tie", "neither_outcome": "neither", "both_before_open": "annul",
    }  # fmt: skip
    names = ["ai_control", "post_training"]
    return asked(
        {"kind": "series_order", **arms}, kind="ordering", areas=names, ordering=ordering,
        outcomes=[*names, "tie", "neither"], default_outcome="neither", **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("2027-03-01", "2027-06-01", "ai_control"), ("2027-06-01", "2027-03-01", "post_training"),
        ("2027-03-01", "2027-03-31", "tie"), ("2027-03-01", "2027-04-01", "ai_control"),
        ("2027-03-01", None, "ai_control"), (None, None, "neither"), ("2026-03-01", "2026-09-01", ANNUL),
        ("2026-12-20", "2027-01-05", "tie"),
    ],
)  # fmt: skip
def test_of_two_series_the_first_to_cross_wins_outside_the_tie_window(
    a: str | None, b: str | None, expected: str
) -> None:
    world = [
        seen(day or "2027-02-01", 12.0 if day else 1.0, series=series)
        for day, series in ((a, "sa"), (b, "sb"))
    ]
    assert comes_to(order(), *world) == expected


def test_an_ordering_of_series_waits_for_the_end() -> None:
    world = seen("2027-03-01", 12.0, series="sa"), seen("2027-02-01", 1.0, series="sb")
    assert comes_to(order(), *world, now="2027-06-01") == PENDING


def platform(**more: Any) -> Question:
    rule = {
        "kind": "platform_outcome", "platform": "manifold", "external_id": "m1",
        "outcomes": {"yes": "yes", "no": "no"}, **more.pop("rule", {}),
    }  # fmt: skip
    return asked(rule, **more)


def told(at: str, outcome: str, source: str = "", **more: Any) -> dict[str, Any]:
    return seen(at, more.pop("value", None), series="manifold:m1", metric=source, outcome=outcome, **more)


@pytest.mark.parametrize(
    ("rule", "said", "value", "expected"),
    [
        ({}, "yes", None, "yes"), ({}, "no", None, "no"), ({}, "void", None, ANNUL), ({}, "ambiguous", None, ANNUL),
        ({"outcomes": {"yes": "no", "no": "yes", "void": "no"}}, "void", None, "no"),
        ({}, "fraction", 0.7, ANNUL), ({"fraction": "majority"}, "fraction", 0.7, "yes"),
        ({"fraction": "majority"}, "fraction", 0.5, ANNUL), ({"fraction": "majority"}, "fraction", 0.2, "no"),
        ({"outcomes": {"Lab A": "yes", "Lab B": "no"}}, "Lab B", None, "no"), ({}, "Lab C", None, ANNUL),
    ],
)  # fmt: skip
def test_what_a_platform_says_becomes_ours(
    rule: dict[str, Any], said: str, value: float | None, expected: str
) -> None:
    found = verdict(platform(rule=rule), told("2027-05-01", said, value=value))
    assert expectation(found) == expected
    assert found.resolved_at == datetime(2027, 5, 1, 12, tzinfo=UTC)


def test_two_sources_that_disagree_or_a_word_taken_back_is_a_dispute() -> None:
    yes, no = told("2027-05-01", "yes", "manifold"), told("2027-05-02", "no", "forecastbench")
    assert verdict(platform(), yes, no).state is State.DISPUTED
    back = told("2027-06-01", "unresolved", "manifold")
    assert verdict(platform(), yes, back).state is State.DISPUTED
    again = told("2027-07-01", "no", "manifold")
    assert verdict(platform(), yes, back, again).outcome == "no"


def test_a_platform_that_never_resolves_is_overdue_until_it_does() -> None:
    assert verdict(platform()).state is State.OVERDUE
    assert comes_to(platform(), told("2028-11-01", "yes")) == "yes"
    assert comes_to(platform(if_silent="annul"), told("2028-11-01", "yes")) == ANNUL
    assert comes_to(platform(if_gone="annul"), mark("2027-05-01", "gone", "manifold:m1")) == ANNUL


def says(judge: str, outcome: str, published: str = "2028-01-10", **more: Any) -> dict[str, Any]:
    return seen(
        "2027-11-01", series=f"judge:{judge}", metric="", outcome=outcome, published=published, **more
    )


def test_two_judges_who_agree_decide_and_a_third_when_they_do_not() -> None:
    question = asked({"kind": "judged"}, threshold=None)
    ada, bob = says("ada", "yes"), says("bob", "no", "2028-01-11")
    assert verdict(question, ada).state is State.OVERDUE
    assert verdict(question, ada, ada).state is State.OVERDUE
    assert verdict(question, ada, says("bob", "yes")).outcome == "yes"
    assert verdict(question, ada, bob).state is State.DISPUTED
    third = verdict(question, ada, bob, says("cyd", "no", "2028-02-01"))
    assert (third.state, third.outcome, len(third.used)) == (State.RESOLVED, "no", 3)
    assert verdict(question, ada, bob, says("ada", "no", "2028-01-20")).outcome == "no"
    assert comes_to(question, ada, says("bob", "maybe")) == PENDING
    assert comes_to(question, says("ada", ANNUL), says("bob", ANNUL)) == ANNUL


def test_a_conditional_counts_only_when_its_parent_came_out_so() -> None:
    condition = {
        "parent": "p", "parent_deadline": parse_utc("2027-06-30"), "if_parent_no": "annul", "if_parent_void": "no",
    }  # fmt: skip
    question = asked(kind="conditional", conditional=condition)
    point = seen("2027-09-01", 12.0)
    assert comes_to(question, point) == PENDING
    for outcome, at, expected in (
        ("yes", "2027-05-01", "yes"), ("no", "2027-05-01", ANNUL), (ANNUL, "2027-05-01", "no"),
        ("yes", "2027-07-01", ANNUL),
    ):  # fmt: skip
        assert comes_to(question, point, seen(at, series="question:p", outcome=outcome)) == expected


# states -------------------------------------------------------------------------------------------


def test_a_question_goes_from_open_to_resolved() -> None:
    low = seen("2027-06-01", 4.0)
    fresh = seen("2028-01-10", 4.0)
    states = {
        "2026-12-01": State.OPEN, "2027-07-01": State.OPEN, "2028-01-05": State.AWAITING_DATA,
        "2028-01-11": State.CLOSED, "2028-03-31": State.RESOLVED,
    }  # fmt: skip
    for now, state in states.items():
        assert verdict(asked(), low, fresh, now=now).state is state, now
    assert verdict(asked(), now="2028-01-11").state is State.AWAITING_DATA
    assert verdict(asked(), now="2028-03-31").state is State.OVERDUE


def test_between_resolve_and_the_last_report_it_awaits_data() -> None:
    question = asked(dates={**binary()["dates"], "report_grace_days": 120})
    world = seen("2027-06-01", 4.0), seen("2028-01-10", 4.0)
    assert verdict(question, *world, now="2028-04-05").state is State.AWAITING_DATA
    assert verdict(question, *world, now="2028-04-29").outcome == "no"


def test_nothing_is_decided_before_a_question_opens_and_early_when_nothing_can_undo_it() -> None:
    high = seen("2026-06-01", 12.0)
    assert verdict(asked(), high, now="2026-12-31").state is State.OPEN
    assert verdict(asked(), high, now="2027-01-01").outcome == "yes"


# fixtures -----------------------------------------------------------------------------------------


def test_a_fixture_that_comes_out_otherwise_is_told_and_an_outcome_that_none_reaches() -> None:
    worlds = [
        {"name": "crosses", "world": [seen("2027-06-01", 12.0)], "expected": "yes"},
        {"name": "stays", "world": [seen("2027-06-01", 12.0)], "expected": "no"},
    ]
    first, second = fixture_findings(asked(fixtures=worlds))
    assert "'stays' comes to yes (resolved: horizon 2027-06-01 is 12 >= 10), not no" in first
    assert "no test world reaches 'no'" in second


def test_fixtures_may_ask_on_a_day_and_for_a_date_or_a_number() -> None:
    world = [seen("2027-06-01", 12.0, published="2027-08-01")]
    early = {"name": "early", "world": world, "expected": PENDING, "asked_on": date(2027, 7, 1)}
    low = {"name": "low", "world": [seen("2027-06-01", 1.0)], "expected": "no"}
    high = {"name": "high", "world": world, "expected": "yes"}
    assert fixture_findings(asked(fixtures=[early, low, high])) == []
    rule = {"kind": "first_crossing", "series": "horizon"}
    wrong = {"name": "day", "world": world, "expected": "date", "expected_on": date(2027, 6, 2)}
    dated = asked(
        rule, kind="date", date_range=DATES, outcomes=["date", "later"], default_outcome="later",
        fixtures=[wrong],
    )  # fmt: skip
    assert "comes to date on 2027-06-01" in fixture_findings(dated)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": None}, "compares with the"),
        ({"kind": "numeric", "numeric_range": NUMBERS}, "series_threshold is for kind binary"),
        ({"rule": {**SERIES, "yes": "maybe"}}, "'maybe' is none of yes, no"),
        ({"resolution": {"authority": "a", "if_gone": "drop"}}, "only a battery has proxies to drop"),
        ({"outcomes": ["yes", "pending"], "default_outcome": "pending"}, "is not an outcome"),
        ({"resolution": {"authority": "a", "if_gone": "perhaps"}}, "annul"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Question.model_validate(binary(**{"threshold": TEN, "rule": SERIES, **changes}))


def test_buckets_with_a_gap_are_refused() -> None:
    buckets = [{"outcome": "a", "upper": 5.0}, {"outcome": "b", "lower": 6.0}]
    with pytest.raises(ValueError, match="'b' must begin where 'a' ends"):
        asked(
            {"kind": "series_value", "series": "s", "buckets": buckets}, kind="multiple_choice",
            outcomes=["a", "b"], default_outcome="b",
        )  # fmt: skip

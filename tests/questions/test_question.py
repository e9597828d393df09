"""A question that could never be resolved cannot be written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from questions.catalogue import Catalogue
from questions.question import Battery, Panel, Proxy, Question
from questions.time import parse_utc
from tests.questions.examples import binary, dates

ORDERING: dict[str, Any] = {
    "kind": "ordering",
    "areas": ["ai_control", "post_training"],
    "outcomes": ["ai_control", "post_training", "tie", "neither"],
    "default_outcome": "neither",
    "threshold": {"value": 2.0},
    "ordering": {
        "a": "ai_control",
        "b": "post_training",
        "tie_window_days": 92,
        "tie_outcome": "tie",
        "neither_outcome": "neither",
        "both_before_open": "annul",
    },
}
PROXY: dict[str, Any] = {
    "id": "K1",
    "name": "n",
    "evidence": "progress_rate",
    "measures": "m",
    "ratio": "c",
    "weakness": "w",
}
DATE_RANGE = {"lower": parse_utc("2027-01-01"), "upper": parse_utc("2027-12-31")}
NUMERIC_RANGE = {"lower": 0.0, "upper": 9.0, "open_lower": False, "open_upper": True}


def ordering(**changes: Any) -> dict[str, Any]:
    return binary(**{**ORDERING, **changes})


def arms(**changes: Any) -> dict[str, Any]:
    return {"ordering": {**ORDERING["ordering"], **changes}}


GOOD = {
    "binary": binary(),
    "ordering": ordering(),
    "date": binary(kind="date", date_range=DATE_RANGE),
    "numeric": binary(kind="numeric", numeric_range=NUMERIC_RANGE),
    "multiple choice": binary(kind="multiple_choice", outcomes=["a", "b", "other"], default_outcome="other"),
    "conditional": binary(
        kind="conditional",
        conditional={
            "parent": "b0",
            "parent_deadline": parse_utc("2027-06-30"),
            "if_parent_no": "annul",
            "if_parent_void": "annul",
        },
    ),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_of_question_can_be_written_in_a_few_keys(kind: str) -> None:
    assert Question.model_validate(GOOD[kind]).id == "b1"


def test_a_question_says_when_it_is_dated_in_utc() -> None:
    there = datetime.fromisoformat("2027-01-01T02:00:00+02:00")
    asked = Question.model_validate(binary(dates={**dates(), "open": there}))
    assert asked.dates.open == datetime(2027, 1, 1, tzinfo=UTC)
    assert asked.dates.open.utcoffset() == timedelta(0)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "close before open": (binary(dates=dates(close="2026-01-01")), "close: must be later than open"),
    "resolve at close": (binary(dates=dates(resolve="2027-12-31")), "resolve: must be later than close"),
    "equal arms": (ordering(**arms(b="ai_control")), "arms must differ"),
    "an arm outside the question": (ordering(**arms(b="data_generation")), "not among the question's areas"),
    "a win that is no outcome": (
        ordering(outcomes=["ai_control", "tie", "neither"]),
        "needs 'post_training'",
    ),
    "a half each": (ordering(**arms(tie_outcome="50-50")), "neither an outcome nor 'annul'"),
    "an ordering without a threshold": (ordering(threshold=None), "threshold that both arms"),
    "an ordering without arms": (ordering(ordering=None), r"needs a \[ordering\] block"),
    "arms in a binary question": (binary(ordering=ORDERING["ordering"]), "belongs to kind ordering"),
    "a date without a range": (binary(kind="date"), r"needs a \[date_range\] block"),
    "a number without a range": (binary(kind="numeric"), r"needs a \[numeric_range\] block"),
    "a condition without a parent": (binary(kind="conditional"), r"needs a \[conditional\] block"),
    "a range upside down": (
        binary(kind="numeric", numeric_range={**NUMERIC_RANGE, "upper": -1.0}),
        "greater than lower",
    ),
    "a log scale from zero": (
        binary(kind="numeric", numeric_range={**NUMERIC_RANGE, "scale": "log"}),
        "greater than 0 on a log scale",
    ),
    "a date range beyond the settlement": (
        binary(kind="date", date_range={**DATE_RANGE, "upper": parse_utc("2030-01-01")}),
        "not be later than resolve",
    ),
    "a default that is no outcome": (binary(default_outcome="maybe"), "'maybe' is none of yes, no"),
    "an outcome twice": (binary(outcomes=["no", "no"]), "once only"),
    "annul as an outcome": (binary(outcomes=["no", "annul"]), "is not an outcome"),
    "three outcomes of a binary": (binary(outcomes=["yes", "no", "tie"]), "has two outcomes"),
    "one outcome": (binary(outcomes=["no"]), "at least 2 items"),
    "no area": (binary(areas=[]), "at least 1 item"),
    "version zero": (binary(version=0), "greater than or equal to 1"),
    "an id with spaces": (binary(id="my question"), "match pattern"),
    "a fixture that expects the impossible": (
        binary(fixtures=[{"name": "f", "world": [], "expected": "tie"}]),
        "'f' expects 'tie'",
    ),
    "a battery without a threshold": (
        binary(
            battery={
                "need": 1,
                "level": 0.8,
                "quarters": 2,
                "arms": [{"area": "ai_control", "query": "q", "proxies": [PROXY]}],
            }
        ),
        "needs a threshold",
    ),
    "a condition due after the close": (
        binary(
            **{
                **GOOD["conditional"],
                "conditional": {
                    **GOOD["conditional"]["conditional"],
                    "parent_deadline": parse_utc("2028-01-01"),
                },
            }
        ),
        "earlier than close",
    ),
    "a panel named after the opening": (
        binary(
            panel={
                "seats": 5,
                "quorum": 3,
                "statistic": "median",
                "question": "?",
                "appointed_by": parse_utc("2027-02-01"),
            }
        ),
        "by the time the question opens",
    ),
    "an address without https": (
        binary(resolution={"authority": "x", "primary_url": "http://example.org"}),
        "must start with https",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_an_impossible_question_is_refused(case: str) -> None:
    values, message = BAD[case]
    with pytest.raises(ValidationError, match=message):
        Question.model_validate(values)


def test_all_contradictions_come_at_once() -> None:
    values = binary(outcomes=["no", "no"], default_outcome="maybe", numeric_range=NUMERIC_RANGE)
    with pytest.raises(ValidationError) as caught:
        Question.model_validate(values)
    assert all(word in str(caught.value) for word in ("once only", "'maybe'", "belongs to kind numeric"))


@given(st.permutations(["2027-01-01", "2027-06-30", "2027-12-31"]))
def test_dates_are_accepted_in_one_order_only(days: list[str]) -> None:
    values = binary(dates=dates(**dict(zip(("open", "close", "resolve"), days, strict=True))))
    if days == sorted(days):
        assert Question.model_validate(values).dates.open == parse_utc(days[0])
    else:
        with pytest.raises(ValidationError):
            Question.model_validate(values)


def test_a_proxy_decides_only_by_its_class_and_up_to_its_limit() -> None:
    def decides(multiple: float, **changes: Any) -> bool:
        return Proxy.model_validate({**PROXY, **changes}).decides(multiple)

    assert decides(10)
    assert decides(10, evidence="matched_comparison")
    assert not any(
        decides(2, evidence=evidence) for evidence in ("throughput", "perceived", "indicator", "gate")
    )
    assert decides(3, highest_multiple=3.0)
    assert not decides(10, highest_multiple=3.0)


@pytest.mark.parametrize(
    ("proxies", "message"),
    [
        ([PROXY, PROXY], "two proxies are called 'K1'"),
        ([{**PROXY, "gated_by": "K9"}], "K1 is gated by 'K9'"),
        ([{**PROXY, "gated_by": "K1"}], "K1 is gated by 'K1'"),
        ([], "at least 1 item"),
    ],
)
def test_a_battery_whose_proxies_do_not_fit_is_refused(proxies: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Battery.model_validate({"area": "ai_control", "query": "q", "proxies": proxies})


def test_a_quorum_larger_than_the_panel_is_refused() -> None:
    with pytest.raises(ValidationError, match="6 cannot sit on 5 seats"):
        Panel(seats=5, quorum=6, statistic="median", question="?")


def test_a_shipped_question_survives_json(catalogue: Catalogue) -> None:
    for question in list(catalogue.questions.values())[::20]:
        assert Question.model_validate_json(question.model_dump_json()) == question

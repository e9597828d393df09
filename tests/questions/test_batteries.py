"""The battery rule by hand: panels, gates, proxies that fail, quarters nobody can judge, groups of areas."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from questions.evidence import Datum, Mark, MarkKind, World, noon
from questions.question import ANNUL, Question
from questions.resolver import Resolver
from questions.time import parse_utc
from questions.verdicts import State, Verdict
from tests.questions.examples import binary, dates

Q = [
    date(2027, 3, 31), date(2027, 6, 30), date(2027, 9, 30), date(2027, 12, 31), date(2028, 3, 31),
]  # fmt: skip
LATER = "2030-01-01"


def battery(area: str, *gated: str) -> dict[str, Any]:
    proxies = [
        {
            "id": name, "name": name, "evidence": "progress_rate", "measures": "m", "ratio": "c", "weakness": "w",
            "gated_by": "G1" if name in gated else None,
        }
        for name in ("P1", "P2", "P3")
    ]  # fmt: skip
    gate = {**proxies[0], "id": "G1", "evidence": "gate", "gated_by": None}
    return {"area": area, "query": "q", "proxies": [*proxies, gate]}


def asked(*arms: dict[str, Any], **more: Any) -> Question:
    """Does ai_control reach 3x by the end of 2027, by two of three proxies at two quarter ends in a row?"""
    rule = {"need": 2, "level": 0.8, "quarters": 2, "arms": list(arms or [battery("ai_control")])}
    told = {"threshold": {"value": 3.0}, "dates": dates(close="2028-01-01", resolve="2028-06-30"), **more}
    panel = {"seats": 5, "quorum": 3, "statistic": "median", "question": "By what factor?"}
    return Question.model_validate(binary(battery=rule, **{"panel": panel, **told}))


def reads(proxy: str, end: date, lower: float = 3.0, area: str = "ai_control") -> Datum:
    return Datum(f"{area}.{proxy}", f"{end}", end, noon(end), lower + 1, lower)


def holds(*ends: date, proxies: tuple[str, ...] = ("P1", "P2"), area: str = "ai_control") -> list[Datum]:
    return [reads(proxy, end, area=area) for proxy in proxies for end in ends]


def fails(proxy: str, at: date, kind: MarkKind = MarkKind.GONE) -> Mark:
    return Mark(f"ai_control.{proxy}", at, noon(at), kind)


def comes(
    question: Question, data: list[Datum], marks: list[Mark] | None = None, now: str = LATER
) -> Verdict:
    return Resolver(question).verdict(World(data, marks or []), parse_utc(now))


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (holds(Q[0], Q[1]), "yes"), (holds(Q[0]), "no"), (holds(Q[0], Q[2]), "no"),
        (holds(Q[0], proxies=("P1", "P2")) + holds(Q[1], proxies=("P2", "P3")), "no"),
        (holds(Q[0], Q[1], proxies=("P1",)), "no"), (holds(Q[3], Q[4]), "yes"), (holds(Q[4]), "no"),
        (holds(Q[0], date(2027, 6, 29)), "no"),
    ],
)  # fmt: skip
def test_the_same_two_proxies_must_hold_twice_in_a_row(data: list[Datum], outcome: str) -> None:
    assert comes(asked(), data).outcome == outcome


def test_a_gated_proxy_counts_from_the_day_its_gate_is_passed() -> None:
    question = asked(battery("ai_control", "P1"))
    data = holds(*Q)
    assert comes(question, data).outcome == "no"
    assert comes(question, [*data, reads("G1", Q[0], lower=0.0)]).outcome == "no"
    passed = comes(question, [*data, reads("G1", Q[2], lower=0.1)])
    assert (passed.outcome, passed.on) == ("yes", Q[2])


def test_with_too_few_live_proxies_the_panel_answers_and_without_it_nobody() -> None:
    marks = [fails("P1", date(2027, 5, 1)), fails("P2", date(2027, 5, 1))]
    panel = [Datum("ai_control.panel", f"{end}", end, noon(end), 3.5) for end in Q]
    assert comes(asked(), [], marks).outcome == ANNUL
    answered = comes(asked(), panel, marks)
    assert (answered.outcome, answered.on) == ("yes", Q[1])
    low = [Datum("ai_control.panel", f"{end}", end, noon(end), 2.9) for end in Q]
    assert comes(asked(), low, marks).outcome == "no"
    assert comes(asked(), low[:-1], marks).outcome == "no"
    assert comes(asked(), low[:1], marks).outcome == ANNUL


def test_a_panel_of_another_question_is_not_heard_where_the_record_has_none() -> None:
    marks = [fails("P1", date(2027, 5, 1)), fails("P2", date(2027, 5, 1))]
    panel = [Datum("ai_control.panel", f"{end}", end, noon(end), 3.5) for end in Q]
    assert comes(asked(panel=None), panel, marks).outcome == ANNUL
    assert "ai_control.panel" not in Resolver(asked(panel=None)).series


def test_the_panel_is_not_asked_while_two_proxies_live() -> None:
    panel = [Datum("ai_control.panel", f"{end}", end, noon(end), 9.0) for end in Q]
    assert comes(asked(), panel, [fails("P1", Q[0])]).outcome == "no"


def test_a_crossing_stands_whatever_happens_to_its_sources_afterwards() -> None:
    marks = [fails(proxy, date(2027, 7, 1)) for proxy in ("P1", "P2", "P3")]
    assert comes(asked(), holds(Q[0], Q[1]), marks).outcome == "yes"
    assert (
        comes(asked(), holds(Q[1], Q[2]), marks).outcome == "yes"
    )  # they read again at the third quarter end
    assert comes(asked(), holds(Q[1]), marks).outcome == ANNUL


def test_a_source_that_comes_back_lives_again() -> None:
    marks = [fails(proxy, date(2027, 2, 1)) for proxy in ("P1", "P2", "P3")]
    data = [*holds(Q[0], Q[1]), *[reads(proxy, end, 1.0) for proxy in ("P1", "P2", "P3") for end in Q[2:]]]
    assert comes(asked(), data, marks).outcome == "yes"


def test_a_method_that_changed_kills_a_proxy_for_good_unless_the_record_accepts_it() -> None:
    marks = [fails("P1", date(2027, 2, 1), MarkKind.METHOD_CHANGED)]
    assert comes(asked(), holds(*Q), marks).outcome == "no"
    accepts = asked(resolution={"authority": "a", "if_method_changes": "accept"})
    assert comes(accepts, holds(*Q), marks).outcome == "yes"


def test_a_policy_can_keep_a_proxy_that_is_gone() -> None:
    marks = [fails(proxy, Q[0]) for proxy in ("P1", "P2", "P3")]
    question = asked(resolution={"authority": "a", "if_gone": "last_snapshot"})
    assert comes(question, [], marks).outcome == "no"


def test_before_the_end_it_waits_for_the_quarters_to_come() -> None:
    data = holds(Q[1], Q[2])
    assert comes(asked(), data, now="2027-08-01").state is State.OPEN
    early = comes(asked(), data, now="2027-10-05")
    assert (early.outcome, early.on) == ("yes", Q[1])
    assert comes(asked(), [], now="2028-01-15").state is State.CLOSED


def groups(needed: int) -> Question:
    safety, fast = ["ai_control", "alignment_theory"], ["post_training", "data_generation"]
    ordering = {
        "a": "safety", "b": "capabilities", "a_areas": safety, "b_areas": fast, "areas_needed": needed,
        "tie_window_days": 92, "tie_outcome": "tie", "neither_outcome": "neither", "both_before_open": "annul",
    }  # fmt: skip
    return asked(
        *(battery(area) for area in (*safety, *fast)), kind="ordering", areas=[*safety, *fast], ordering=ordering,
        outcomes=["safety", "capabilities", "tie", "neither"], default_outcome="neither",
    )  # fmt: skip


@pytest.mark.parametrize(("needed", "outcome"), [(1, "safety"), (2, "capabilities")])
def test_a_group_has_crossed_when_enough_of_its_areas_have(needed: int, outcome: str) -> None:
    data = holds(Q[0], Q[1])
    data += holds(Q[2], Q[3], area="post_training") + holds(Q[2], Q[3], area="data_generation")
    assert comes(groups(needed), data).outcome == outcome


def test_an_area_cannot_be_in_both_groups_nor_more_be_needed_than_there_are() -> None:
    with pytest.raises(ValueError, match="more than an arm has"):
        groups(3)
    whole = groups(1).model_dump(mode="python")
    whole["ordering"]["b_areas"] = ["ai_control", "post_training"]
    with pytest.raises(ValueError, match="ai_control cannot be in both arms"):
        Question.model_validate(whole)

"""The resolver's table: every question counted once for each of its areas, and who decides it."""

from __future__ import annotations

from collections import Counter

import pytest

from questions.catalogue import Catalogue
from questions.question import Question
from questions.summary import Decider, decider, months_of, summary
from tests.questions.examples import binary


def test_every_question_is_in_the_cells_of_its_areas(catalogue: Catalogue) -> None:
    told = summary(catalogue.questions.values())
    for area in catalogue.area_keys:
        asked = [question for question in catalogue.questions.values() if area in question.areas]
        mine = [row for row in told.rows if row.area == area]
        assert sum(row.questions for row in mine) == len(asked)
        assert Counter(months_of(question) for question in asked) == sum(
            (Counter({row.months: row.questions}) for row in mine), Counter()
        )
    assert all(row.questions == row.program + row.both + row.judges for row in told.rows)
    assert told.questions == len(catalogue.questions) == sum(told.deciders.values())


def test_what_judges_need_is_counted_by_proxy_not_by_question(catalogue: Catalogue) -> None:
    batteries = [question for question in catalogue.questions.values() if question.battery]
    one = summary(question for question in batteries if question.id == "date-alignment-theory-labour-3x")
    assert (one.proxies, one.panels, one.minutes_each, one.judge_minutes) == (2, 0, 15, 2 * 2 * 15)
    both = summary(question for question in batteries if question.areas == ("alignment_theory",))
    assert (both.proxies, both.panels) == (4, 1)  # A1, A2 and the two that all areas share
    assert summary([]).judge_minutes == 0


@pytest.mark.parametrize(
    ("question", "who"),
    [
        (binary(), Decider.JUDGES),
        (binary(rule={"kind": "judged"}), Decider.JUDGES),
        (
            binary(rule={"kind": "series_threshold", "series": "s"}, threshold={"value": 1.0}),
            Decider.PROGRAM,
        ),
    ],
)
def test_a_question_without_a_rule_is_for_judges(question: dict[str, object], who: Decider) -> None:
    assert decider(Question.model_validate(question)) is who


def test_a_battery_of_formulas_alone_needs_no_judge(catalogue: Catalogue) -> None:
    assert decider(catalogue.questions["date-pretraining-algorithms-10x"]) is Decider.PROGRAM
    assert decider(catalogue.questions["date-pretraining-algorithms-3x"]) is Decider.BOTH

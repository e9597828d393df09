"""Drafts for Metaculus and pages: every field of the form, every decisive word, nothing that Markdown eats."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from questions.catalogue import load_catalogue
from questions.page import escaped, mark, page
from questions.question import Question
from tests.publish.test_form import CONDITIONAL, NAMES, a_date, asked, numbers
from tests.questions.lint_examples import GOOD
from tests.questions.test_question import ORDERING
from tests.servers.manifold import plain
from tracker.publish.drafts import metaculus_draft


@pytest.mark.parametrize(
    ("question", "kind", "lines"),
    [
        (asked(), "binary", ["- **Closing date:** 2027-12-31 00:00:00 UTC"]),
        (
            asked(**ORDERING),
            "multiple choice",
            ["- **Options:** AI control first; Post-training first; tie; neither"],
        ),
        (
            a_date("2027-01-01", "2027-12-31"),
            "date",
            ["- **Range:** 2027-01-01 to 2027-12-31", "- **Upper bound:** open; beyond it is our outcome"],
        ),
        (
            numbers(1.0, 64.0, low=False, high=True, scale="log"),
            "numeric",
            ["- **Lower bound:** closed", "- **Upper bound:** open", "- **Scale:** log", "- **Unit:** h"],
        ),
        (asked(**CONDITIONAL), "binary", ["publish p1 first, then this one as its child"]),
    ],
)
def test_a_draft_names_the_fields_of_the_form(question: Question, kind: str, lines: list[str]) -> None:
    text = metaculus_draft(question, NAMES)
    assert f"- **Question type:** {kind}\n" in text
    for line in lines:
        assert line in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [h for h in headings if h != "Check"] == [
        *("Background information", "Resolution criteria"),
        "Fine print",
    ]
    assert text.rstrip().endswith(mark(question))


def test_a_parent_that_decides_is_said_to_be_different_there() -> None:
    parent: dict[str, Any] = {**CONDITIONAL["conditional"], "if_parent_no": "no"}  # type: ignore[dict-item]
    text = metaculus_draft(asked(kind="conditional", conditional=parent), NAMES)
    assert "annuls the child; in our record it does not" in text


def test_a_number_asked_in_classes_is_a_choice_among_them() -> None:
    span = {"lower": 0.0, "upper": 9.0, "open_lower": False, "open_upper": True}
    question = asked(
        kind="numeric", outcomes=["low", "high", "none"], default_outcome="none", numeric_range=span
    )
    text = metaculus_draft(question, NAMES)
    assert "- **Question type:** multiple choice\n" in text
    assert "- **Options:** low; high; none\n" in text


def test_every_page_of_the_catalogue_holds_what_decides() -> None:
    catalogue = load_catalogue()
    names = {area.key: area.name for area in catalogue.areas}
    for question in catalogue.questions.values():
        text = page(question, names)
        words = " ".join(plain(text).split())
        for part in (
            question.title,
            question.measurement.procedure,
            question.resolution.authority,
            question.background,
            *question.annul_if,
            *(case.scenario for case in question.edge_cases),
            mark(question),
        ):
            assert " ".join(part.split()) in words, (question.id, part)
        assert "$" not in text
        assert "None" not in text


def test_a_page_tells_what_a_program_goes_by() -> None:
    rule = {"kind": "series_threshold", "series": "agentbench", "statistic": "count", "at_least": 3}
    question = Question.model_validate({**GOOD["binary"], "rule": rule})
    text = plain(page(question, NAMES))
    for line in ("kind: series_threshold", "series: agentbench", "statistic: count", "at_least: 3"):
        assert f"\n{line}\n" in text
    assert "The source is gone: last snapshot\n" in text
    assert "Version of the instrument: 2.1, and no other\n" in text
    assert "Threshold: point estimate of the best single entry at or above 80%." in text


@example("1. one")
@example("- one")
@example("12) = x")
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_text_is_shown_as_it_is_and_makes_no_markup(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    for char in "`*_[]<>#|~":
        assert not re.search(rf"(?<!\\)(?:\\\\)*{re.escape(char)}", shown), char
    unescaped = re.sub(r"\\([\\`*_\[\]<>#|~\-+=.)])", r"\1", shown)
    assert unescaped == " ".join(text.split())
    assert not re.match(r"([-+=]|\d+[.)])( |$)", shown)

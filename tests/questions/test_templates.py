"""One wording for all: an edit changes every question, a mistake in it is told once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from questions.catalogue import load_catalogue
from tests.questions.examples import changed, line_of, problems_of


@pytest.fixture
def templates(base: Path) -> Path:
    return base / "templates.toml"


def edit(path: Path, old: str, new: str) -> str:
    text = changed(path.read_text(), old, new)
    path.write_text(text)
    return text


def test_one_edit_of_the_ordering_rule_changes_all_orderings_and_no_date(base: Path, templates: Path) -> None:
    edit(templates, "If there is none by ${close_day}: neither.", "If neither crosses: neither.")
    questions = load_catalogue(base=base).questions.values()
    edited = {q.id for q in questions if "If neither crosses: neither." in q.measurement.procedure}
    assert edited == {q.id for q in questions if q.ordering is not None}
    assert len(edited) == 90 + 4


def test_one_edit_of_a_shared_phrase_changes_every_question_of_a_battery(base: Path, templates: Path) -> None:
    edit(templates, "of one no more than ${fresh_days} days before.", "of one no more than 200 days before.")
    questions = load_catalogue(base=base).questions.values()
    assert sum("more than 200 days before" in q.measurement.procedure for q in questions) == 154


def test_a_number_of_the_rule_changes_text_and_record_together(base: Path, templates: Path) -> None:
    edit(templates, "tie_window_days = 92", "tie_window_days = 120")
    for question in load_catalogue(base=base).questions.values():
        if question.ordering is not None:
            assert question.ordering.tie_window_days == 120
            assert "120 days" in question.measurement.procedure
            assert "92 days" not in question.measurement.procedure


def test_an_added_multiple_adds_its_55_questions(base: Path, templates: Path) -> None:
    edit(
        templates,
        "# When has an area crossed?",
        "[[template.threshold]]\nk = 5\nclose = 2028-12-31T23:59:59Z\nresolve = 2029-06-30T23:59:59Z\n\n# When?",
    )
    questions = load_catalogue(base=base).questions
    assert len([q for q in questions.values() if q.battery is not None]) == 154 + 55
    assert "date-ai-control-5x" in questions


def test_a_blank_that_nothing_fills_is_told_once_with_its_line(base: Path, templates: Path) -> None:
    text = edit(templates, "Which first reaches ${k}x", "Which first reaches ${kk}x")
    (problem,) = problems_of(base=base)
    assert problem.file == f"{base}/templates.toml"
    assert problem.line == line_of(text, 'title = "Which first')
    assert "${kk}" in problem.message
    assert "did you mean 'k'?" in problem.message


def test_a_blank_in_a_shared_phrase_is_told_at_the_phrase(base: Path, templates: Path) -> None:
    text = edit(templates, "a ${statistic} of ${k} or more", "a ${statistics} of ${k} or more")
    (problem,) = problems_of(base=base)
    assert problem.line == line_of(text, 'panel = """')
    assert problem.key == "template.phrases.panel"


def test_a_bare_dollar_sign_is_told_with_the_cure(base: Path, templates: Path) -> None:
    text = edit(templates, "${phrase_progress} The question is when", "$ 5. The question is when")
    (problem,) = problems_of(base=base)
    assert problem.line == line_of(text, 'background = """\n$ 5.')
    assert "is written $$" in problem.message


def test_an_unknown_key_in_a_template_is_told_once_with_its_line(base: Path, templates: Path) -> None:
    text = templates.read_text().replace("leakage_policy", "leakage_polcy", 1)
    templates.write_text(text)
    (problem,) = problems_of(base=base)
    assert problem.line == line_of(text, "leakage_polcy")
    assert "did you mean 'leakage_policy'?" in problem.message


def test_a_threshold_that_closes_before_it_opens_is_told(base: Path, templates: Path) -> None:
    text = edit(templates, "close = 2028-12-31T23:59:59Z", "close = 2026-12-31T23:59:59Z")
    (problem,) = problems_of(base=base)
    assert (problem.line, problem.message) == (line_of(text, "close = 2026"), "must be later than open")


def test_too_few_quarters_for_the_rule_are_told(base: Path, templates: Path) -> None:
    text = edit(templates, "close = 2028-12-31T23:59:59Z", "close = 2027-12-31T23:59:59Z")
    (problem,) = problems_of(base=base)
    assert problem.line == line_of(text, "close = 2027-12-31")


def test_an_area_without_a_battery_is_told(base: Path) -> None:
    path = base / "batteries.toml"
    edit(path, 'area = "training_efficiency"', 'area = "training_efficency"')
    messages = [problem.message for problem in problems_of(base=base)]
    assert any("did you mean 'training_efficiency'?" in message for message in messages)
    assert any("no battery for area 'training_efficiency'" in message for message in messages)


def test_a_battery_too_small_for_its_rule_is_told(base: Path, templates: Path) -> None:
    edit(templates, "need = 2", "need = 3")
    messages = " ".join(problem.message for problem in problems_of(base=base))
    assert "alignment_theory has 2 proxies that may decide 3x, 3 are needed" in messages


def test_an_area_with_too_few_matched_comparisons_is_told(base: Path, templates: Path) -> None:
    edit(
        templates,
        'name = "Matched remaking of published results"\nevidence = "matched_comparison"',
        'name = "Matched remaking of published results"\nevidence = "progress_rate"',
    )
    told = {problem.message for problem in problems_of(base=base)}
    assert "alignment_theory has 1 of the 2 matched comparisons that are needed" in told
    assert not any(message.startswith("interpretability has") for message in told)

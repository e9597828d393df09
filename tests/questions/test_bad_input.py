"""Whatever is wrong in a catalogue folder: one report with file and line, exit code 2, nothing loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from questions.catalogue import Catalogue, load_catalogue
from questions.errors import CatalogueError, Problem
from tests.questions.conftest import Write
from tests.questions.examples import LINK, QUESTION, changed, line_of, problems_of


def only(problems: tuple[Problem, ...]) -> Problem:
    (problem,) = problems
    return problem


def test_the_examples_are_right_as_they_stand(own: Write, catalogue: Catalogue) -> None:
    loaded = load_catalogue([own(QUESTION + LINK)])
    assert len(loaded.questions) == len(catalogue.questions) + 1
    assert loaded.links[-1].external_id == "abc123"
    assert loaded.questions["own-ordering-2x"].dates.close.isoformat() == "2027-12-31T21:59:59+00:00"


# What was, what is written instead, on which line the mistake is told (a passage of it), and what is said.
WRONG = {
    "unknown key": ('unit = "x"', 'unti = "x"', "unti", "unknown key: did you mean 'unit'?"),
    "unknown key in a link": ('label = "', 'lable = "', "lable", "did you mean 'label'?"),
    "missing key": ('title = "Which first reaches 2x by 2027-12-31?"\n', "", "[[question]]", "required"),
    "wrong type": ("version = 1", 'version = "1"', 'version = "1"', "valid integer, not a string"),
    "a word for a list": (
        'areas = ["interpretability", "ai_control"]',
        'areas = "ai_control"',
        "areas =",
        "an array, not a string",
    ),
    "a word for a table": (
        '[question.threshold]\nvalue = 2.0\nunit = "x"\n',
        'threshold = "2x"\n',
        "threshold =",
        "a table, not a string",
    ),
    "fraction for a whole number": (
        "tie_window_days = 92",
        "tie_window_days = 92.5",
        "92.5",
        "valid integer",
    ),
    "wrong word": ('kind = "ordering"', 'kind = "ordring"', "ordring", "did you mean 'ordering'?"),
    "wrong word of a literal": ('relation = "proxy"', 'relation = "prox"', '"prox"', "did you mean 'proxy'?"),
    "unknown area in a link": (
        'areas = ["interpretability"]\nby',
        'areas = [\n  "ai_control",\n  "interpretabilty"]\nby',
        "interpretabilty",
        "did you mean 'interpretability'?",
    ),
    "naive date-time": (
        "open = 2027-01-04T00:00:00Z",
        "open = 2027-01-04T00:00:00",
        "open =",
        "no offset: write 2027-01-04T00:00:00Z",
    ),
    "naive date-time in a link": (
        "by = 2028-01-01T00:00:00Z",
        "by = 2028-01-01T00:00:00",
        "by =",
        "no offset",
    ),
    "bare date": ("open = 2027-01-04T00:00:00Z", "open = 2027-01-04", "open =", "bare date"),
    "quoted date-time": (
        "open = 2027-01-04T00:00:00Z",
        'open = "2027-01-04T00:00:00Z"',
        "open =",
        "without quotes",
    ),
    "impossible date": (
        "open = 2027-01-04T00:00:00Z",
        "open = 2027-02-30T00:00:00Z",
        "open =",
        "not valid TOML",
    ),
    "close before open": ("close = 2027-12-31", "close = 2026-12-31", "close =", "must be later than open"),
    "resolve before close": ("resolve = 2028-03-31", "resolve = 2027-03-31", "resolve =", "later than close"),
    "equal arms": ('b = "ai_control"', 'b = "interpretability"', "b =", "the arms must differ"),
    "arm that is no area of it": (
        'b = "ai_control"',
        'b = "post_training"',
        "b =",
        "not among the question's",
    ),
    "default that is no outcome": (
        'default_outcome = "neither"',
        'default_outcome = "never"',
        "default_outcome",
        "'never' is none of",
    ),
    "a half each": ('tie_outcome = "tie"', 'tie_outcome = "50-50"', "tie_outcome", "neither an outcome nor"),
    "plain http": ('"https://manifold', '"http://manifold', "http://manifold", "pattern"),
    "not a number": ("weight = 0.5", "weight = nan", "weight", "finite"),
    "weight above one": ("weight = 0.5", "weight = 1.5", "weight", "less than or equal to 1"),
    "polarity other than one": ("weight = 0.5", "polarity = 2", "polarity", "not known here"),
    "context that bears on an area": (
        '"proxy"',
        '"context"',
        'areas = ["interpretability"]\nby',
        "context bears on no area",
    ),
    "no area though it should bear": ('areas = ["interpretability"]\n', "", "[[link]]", "needs the areas"),
    "link to no question": (
        "weight = 0.5",
        'question = "own-ordering-3x"',
        "question =",
        "did you mean 'own-ordering-2x'?",
    ),
    "one table where a list is meant": ("[[link]]", "[link]", "[link]", "write [[link]] above each entry"),
    "unknown table": ("[[link]]", "[[links]]", "[[links]]", "did you mean 'link'?"),
    "a table of the packaged catalogue": ("[[link]]", "[[area]]", "[[area]]", "the packaged catalogue alone"),
    "syntax": ("version = 1", "version = ", "version =", "not valid TOML: Invalid value (column"),
    "syntax at the end": ("weight = 0.5", 'note = """open', None, "not valid TOML"),
    "key twice": ("version = 1", "version = 1\nversion = 1", "version = 1\ntitle", "not valid TOML"),
    "number too long to read": ("version = 1", "version = " + "9" * 5000, None, "not valid TOML"),
    "nested too deeply": ("weight = 0.5", "note = " + "[" * 50_000 + "]" * 50_000, None, "nested too deeply"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_file_line_and_cure(own: Write, case: str) -> None:
    old, new, passage, message = WRONG[case]
    text = QUESTION + LINK
    link_only = text.count(old) > 1
    text = QUESTION + changed(LINK, old, new) if link_only else changed(text, old, new)
    problems = problems_of(own(text))
    told = [problem for problem in problems if message in problem.message]
    assert told, problems
    assert told[0].file.endswith("own/mine.toml")
    if passage is not None:
        start = text.rindex(passage) if link_only else text.index(passage)
        assert told[0].line == text[:start].count("\n") + 1, told[0]


def test_a_question_for_an_unknown_area_is_told(own: Write) -> None:
    text = QUESTION.replace("ai_control", "ai_contrl")
    problem = only(problems_of(own(text)))
    assert (problem.line, problem.key) == (line_of(text, "areas ="), "question.areas")
    assert "did you mean 'ai_control'?" in problem.message


def test_every_mistake_of_a_file_is_in_one_report(own: Write) -> None:
    text = changed(QUESTION, "version = 1", "version = 0")
    text = changed(text, 'unit = "x"', 'unti = "x"')
    text = changed(text, 'view = "researcher"', 'view = "me"')
    text += changed(LINK, "weight = 0.5", "weight = 0.0")
    lines = [problem.line for problem in problems_of(own(text))]
    assert lines == [line_of(text, word) for word in ("version = 0", 'view = "me"', "unti", "weight = 0.0")]


def test_several_broken_files_give_one_report(own: Write) -> None:
    own(changed(QUESTION, "version = 1", "version = 0"), "a.toml")
    own("[[link]]\nplatform = ", "b.toml")
    own(b'[[link]]\nlabel = "caf\xe9"\n', "c.toml")
    folder = own(changed(LINK, "weight = 0.5", "weight = 2.0"), "d.toml")
    problems = problems_of(folder, folder / "nowhere")
    assert [problem.file.rpartition("/")[2] for problem in problems] == [
        "a.toml",
        "b.toml",
        "c.toml",
        "d.toml",
        "nowhere",
    ]


def test_bytes_that_are_no_utf8_are_told_with_their_line(own: Write) -> None:
    problem = only(problems_of(own(b'[[link]]\n# fine\nlabel = "caf\xe9"\n')))
    assert (problem.line, problem.message) == (3, "not UTF-8: byte 0xe9; save the file as UTF-8")


def test_a_byte_order_mark_does_no_harm(own: Write) -> None:
    assert load_catalogue([own(b"\xef\xbb\xbf" + LINK.encode())]).links[-1].external_id == "abc123"


def test_windows_line_ends_do_no_harm(own: Write) -> None:
    text = changed(QUESTION, 'unit = "x"', 'unti = "x"')
    problem = only(problems_of(own(text.replace("\n", "\r\n"))))
    assert problem.line == line_of(text, "unti")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    problem = only(problems_of(tmp_path / "nowhere"))
    assert problem.file == str(tmp_path / "nowhere")
    assert "No such file or directory" in problem.message


def test_a_file_that_cannot_be_read_is_told(own: Write) -> None:
    folder = own(LINK)
    (folder / "dangling.toml").symlink_to(folder / "gone")
    problem = only(problems_of(folder))
    assert problem.file.endswith("dangling.toml")
    assert "cannot be read" in problem.message


def test_other_files_and_hidden_ones_are_let_be(own: Write, catalogue: Catalogue) -> None:
    own("not toml", "notes.txt")
    own("not toml", ".draft.toml")
    assert len(load_catalogue([own(QUESTION)]).questions) == len(catalogue.questions) + 1


def test_a_single_file_can_be_given_instead_of_a_folder(own: Write) -> None:
    path = own(QUESTION) / "mine.toml"
    assert "own-ordering-2x" in load_catalogue([path]).questions


def test_a_refused_question_does_not_make_a_link_to_it_wrong_as_well(own: Write) -> None:
    text = changed(QUESTION, "version = 1", "version = 0") + LINK + 'question = "own-ordering-2x"\n'
    assert only(problems_of(own(text))).key == "question.version"


def test_a_question_twice_names_both_places(own: Write) -> None:
    own(QUESTION, "a.toml")
    folder = own("# one line more\n" + QUESTION, "b.toml")
    problem = only(problems_of(folder))
    assert (problem.file, problem.line) == (f"{folder}/b.toml", 2)
    assert f"duplicate question 'own-ordering-2x', first in {folder}/a.toml:1" in problem.message


def test_a_question_with_a_generated_ones_id_names_the_template(own: Write) -> None:
    text = changed(QUESTION, "own-ordering-2x", "date-interpretability-3x")
    assert "first in questions/data/templates.toml:" in only(problems_of(own(text))).message


def test_a_link_twice_names_both_places_but_another_outcome_is_another_link(own: Write) -> None:
    folder = own(LINK + "\n" + LINK)
    problem = only(problems_of(folder))
    assert problem.line == 12
    assert f"'manifold/abc123/yes', first in {folder}/mine.toml:1" in problem.message
    own(LINK + "\n" + LINK + 'outcome = "value"\n')
    assert len(load_catalogue([folder]).links) == len(load_catalogue().links) + 2


def test_the_report_counts_and_lists_in_order_of_place(own: Write) -> None:
    text = changed(QUESTION, "version = 1", "version = 0")
    text = changed(text, 'view = "researcher"', 'view = "me"')
    with pytest.raises(CatalogueError) as caught:
        load_catalogue([own(text)])
    head, first, second = str(caught.value).split("\n")
    assert head == "2 problems in the question catalogue; nothing was loaded"
    assert "mine.toml:3: question.version:" in first
    assert "mine.toml:7: question.view:" in second


# Own factors and requirements -------------------------------------------------------------------------


def factors(base: Path) -> str:
    return (base / "factors.toml").read_text().partition("# What the essay prints")[0]


def test_an_own_factor_table_with_its_own_version_replaces_the_packaged_one(base: Path, own: Write) -> None:
    text = changed(factors(base), 'version = "wehner-2026-01-22"', 'version = "mine-1"')
    text = changed(text, "feedback_quality = 2.5", "feedback_quality = 0.0")
    table = load_catalogue([own(text)]).factors
    assert (table.version, table.weights["feedback_quality"]) == ("mine-1", 0.0)


def test_an_own_table_may_add_a_factor_and_comes_in_the_catalogues_order(base: Path, own: Write) -> None:
    areas = load_catalogue().area_keys
    rows = "\n".join(f"{area} = {5 + index / 10}" for index, area in enumerate(reversed(areas)))
    text = changed(factors(base), 'version = "wehner-2026-01-22"', 'version = "mine-1"')
    text = changed(text, "economic_incentive = 0.5", "economic_incentive = 0.5\nquantity = 1.0")
    table = load_catalogue([own(f"{text}\n[factors.scores.quantity]\n{rows}\n")]).factors
    assert "quantity" in table.factors
    assert all(tuple(row) == areas for row in table.scores.values())


def test_a_used_version_is_never_edited(base: Path, own: Write) -> None:
    problem = only(problems_of(own(factors(base))))
    assert "'wehner-2026-01-22' is taken by questions/data/factors.toml" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "passage", "message"),
    [
        ("data_generation = 6.38", "data_generation = 63.8", "63.8", "outside 1..10"),
        ("data_generation = 6.38", "data_generation = 0.99", "0.99", "outside 1..10"),
        (
            "data_generation = 6.38",
            "data_genration = 6.38",
            "data_genration",
            "did you mean 'data_generation'?",
        ),
        (
            "data_generation = 6.38\n",
            "",
            "[factors.scores.data_availability]",
            "no score for data_generation",
        ),
        ("data_generation = 6.38", "data_generation = true", "= true", "valid number, not a boolean"),
        ("scheming_risk = 0.4", "scheming_risk = -0.4", "-0.4", "0 or more"),
        ("scheming_risk = 0.4", "scheming_rsk = 0.4", "scheming_rsk", "a weight without scores"),
    ],
)
def test_a_wrong_table_is_told_by_cell(
    base: Path, own: Write, old: str, new: str, passage: str, message: str
) -> None:
    text = changed(factors(base), 'version = "wehner-2026-01-22"', 'version = "mine-1"')
    text = changed(text, old, new)
    told = [problem for problem in problems_of(own(text)) if message in problem.message]
    assert line_of(text, passage) in [problem.line for problem in told]


def test_own_requirements_with_an_unknown_anchor_are_told(base: Path, own: Write) -> None:
    text = (base / "requirements.toml").read_text()
    text = changed(text, 'version = "prosaic-100h-2026"', 'version = "mine-1"')
    text = changed(text, '"ai_control", ', '"ai_contrl", ')
    problem = only(problems_of(own(text)))
    assert (problem.line, "did you mean 'ai_control'?" in problem.message) == (
        line_of(text, "anchor_areas"),
        True,
    )


def test_own_requirements_state_an_areas_need_outright(base: Path, own: Write) -> None:
    text = (base / "requirements.toml").read_text()
    text = changed(text, 'version = "prosaic-100h-2026"', 'version = "mine-1"')
    text = changed(text, "# minutes = {", "minutes = {")
    right = load_catalogue([own(text)], base=base)
    assert right.requirements.needed_minutes(right.factors)["ai_control"] == 10020.0
    for old, new, message in (
        ("ai_control =", "ai_contrl =", "did you mean 'ai_control'?"),
        ("10020.0", "-1.0", "greater than 0"),
    ):
        wrong = changed(text, old, new)
        problem = only(problems_of(own(wrong)))
        assert (problem.line, message in problem.message) == (line_of(wrong, "minutes = {"), True)


@pytest.mark.parametrize("name", ["areas", "factors", "requirements", "batteries", "templates"])
def test_a_packaged_file_that_is_missing_is_told(base: Path, name: str) -> None:
    (base / f"{name}.toml").unlink()
    assert any("no file has this table" in problem.message for problem in problems_of(base=base))


@pytest.mark.parametrize("name", ["areas", "factors", "requirements", "batteries", "templates", "links"])
def test_a_broken_packaged_file_is_told_without_false_followers(base: Path, name: str) -> None:
    path = base / f"{name}.toml"
    path.write_text("[[[\n" + path.read_text())
    assert [problem.file for problem in problems_of(base=base)] == [str(path)]

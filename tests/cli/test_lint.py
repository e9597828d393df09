"""``speedup questions lint`` and ``new``: what scripts rely on, and a question from first answer to no finding."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from questions.catalogue import load_catalogue
from questions.model import QuestionKind, SpeedupKind
from tests.cli.speedup import Program
from tests.questions.examples import changed
from tests.questions.test_lint_files import written
from tracker.commands import lint as lint_command

SHIPPED = len(load_catalogue().questions)
KEYS = {"question", "rule", "severity", "file", "line", "message", "fix"}

RULE = 'rule = { kind = "series_threshold", series = "agentbench", statistic = "max" }'


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "bench.toml").write_text(changed(written("binary"), "outcomes = ", f"{RULE}\noutcomes = "))
    return folder


def spoil(folder: Path, old: str, new: str) -> None:
    path = folder / "bench.toml"
    path.write_text(changed(path.read_text(), old, new))


def test_the_shipped_catalogue_is_clean_even_when_warnings_count(program: Program) -> None:
    done = program("questions", "lint", "--strict", "--json")
    assert done.code == 0
    assert (done.json["questions"], done.json["findings"]) == (SHIPPED, [])
    assert all(set(one) == {*KEYS, "reason"} for one in done.json["waived"])
    assert {one["rule"] for one in done.json["waived"]} == {"Q19", "Q30"}


def test_a_clean_file_gives_zero_and_an_error_two_with_its_place(program: Program, mine: Path) -> None:
    clean = program("questions", "lint", str(mine), "--json")
    assert (clean.code, clean.json["questions"], clean.json["findings"]) == (0, 1, [])
    spoil(mine, 'if_gone = "last_snapshot"\n', "")
    done = program("questions", "lint", str(mine / "bench.toml"), "--json")
    (finding,) = done.json["findings"]
    assert done.code == 2
    assert set(finding) == KEYS
    assert (finding["question"], finding["rule"], finding["severity"]) == (
        "agentbench-80-2027",
        "Q09",
        "error",
    )
    assert finding["file"] == str(mine / "bench.toml")
    lines = (mine / "bench.toml").read_text().split("\n")
    assert lines[finding["line"] - 1] == "[question.resolution]"


def test_warnings_count_only_when_strict(program: Program, mine: Path) -> None:
    spoil(mine, "cost_minutes = 0", "cost_minutes = 45")
    assert program("questions", "lint", str(mine)).code == 0
    done = program("questions", "lint", str(mine), "--strict", "--json")
    assert done.code == 2
    assert [one["severity"] for one in done.json["findings"]] == ["warning"]


def test_a_file_that_cannot_be_read_is_one_document_too(program: Program, mine: Path) -> None:
    (mine / "bench.toml").write_text("[[question]\n")
    done = program("questions", "lint", str(mine), "--json")
    assert done.code == 2
    assert done.json["findings"][0]["line"] == 1


def test_people_see_where_and_what_to_write_and_what_is_waived(program: Program, mine: Path) -> None:
    spoil(mine, "cost_minutes = 0", "cost_minutes = 45")
    shown = program("questions", "lint", str(mine)).out
    assert all(word in shown for word in ("Q28", "bench.toml", "45 minutes", "make it 15 or less"))
    with (mine / "bench.toml").open("a") as file:
        file.write('\n[question.waivers]\nQ28 = "The table is long and no machine reads it."\n')
    done = program("questions", "lint", str(mine), "--strict")
    assert done.code == 0
    assert "1 waived" in done.out
    assert "no machine reads it" in done.out


def test_folders_of_the_settings_are_looked_at_without_being_named(
    program: Program, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(mine))
    assert program("questions", "lint", "--json").json["questions"] == SHIPPED + 1
    assert program("questions", "lint", str(mine), "--json").json["questions"] == 1
    assert program("questions", "lint", str(mine / "bench.toml"), "--json").json["questions"] == 1


def test_a_whole_catalogue_can_be_named(program: Program) -> None:
    data = Path(lint_command.__file__).parents[2] / "questions" / "data"
    done = program("questions", "lint", str(data), "--json")
    assert (done.code, done.json["questions"]) == (0, SHIPPED)


def test_fixes_are_shown_before_they_are_made(program: Program, mine: Path) -> None:
    spoil(mine, "open = 2027-01-04T00:00:00Z", 'open = "2027-01-04T00:00:00Z"  # a Monday')
    before = (mine / "bench.toml").read_text()
    dry = program("questions", "lint", str(mine), "--fix", "--dry-run", "--json")
    assert dry.code == 2
    assert dry.json["dry_run"] is True
    assert "+open = 2027-01-04T00:00:00Z  # a Monday" in dry.json["fixed"][0]["diff"]
    assert (mine / "bench.toml").read_text() == before
    done = program("questions", "lint", str(mine), "--fix", "--json")
    assert (done.code, done.json["findings"]) == (0, [])
    assert "open = 2027-01-04T00:00:00Z  # a Monday" in (mine / "bench.toml").read_text()
    assert program("questions", "lint", str(mine), "--fix", "--json").json["fixed"] == []


def test_a_dry_run_without_a_fix_is_a_wrong_call(program: Program) -> None:
    assert program("questions", "lint", "--dry-run").code == 2


def test_the_help_tells_the_exit_codes(program: Program) -> None:
    shown = " ".join(program.bare("questions", "lint", "--help").out.split())
    assert "Exit code 0" in shown
    assert "2: there are some" in shown


# New ----------------------------------------------------------------------------------------------------

BARE = {
    "--title": "Does a system score at least 80% on AgentBench Hard by 2027-12-31?",
    "--kind": "binary",
    "--area": "agent_scaffolding",
    "--view": "model",
    "--speedup-kind": "capability_indicator",
    "--open": "2027-01-04",
    "--close": "2027-12-31T23:59:59Z",
    "--level": "80",
}
DECIDED = {
    "--unit": "%",
    "--statistic": "point estimate of the best single entry",
    "--formula": "max(score over eligible entries)",
    "--procedure": "Yes when a system on AgentBench Hard has a score of 80% or more, dated by 2027-12-31.",
    "--eligibility": "Public and internal systems; pass@1; any scaffold; no human help; no cap on cost.",
    "--url": "https://bench.example.org/hard.csv",
    "--selector": "column Score of the file",
    "--series": "agentbench_hard",
    "--current": "41.5",
}
OF_KIND: dict[QuestionKind, dict[str, str]] = {
    QuestionKind.BINARY: {},
    QuestionKind.DATE: {"--title": "When does a system score 80% on AgentBench Hard, by 2027-12-31?"},
    QuestionKind.NUMERIC: {
        "--title": "What is the best score on AgentBench Hard on 2027-12-31?",
        "--lower": "0",
        "--upper": "100",
    },
    QuestionKind.MULTIPLE_CHOICE: {
        "--title": "Which system leads AgentBench Hard on 2027-12-31?",
        "--option": "Alpha",
    },
    QuestionKind.ORDERING: {"--title": "Which scores 80% on AgentBench Hard first, by 2027-12-31?"},
    QuestionKind.CONDITIONAL: {"--parent": "date-ai-control-3x", "--parent-deadline": "2027-06-30"},
}


def call(*parts: dict[str, str]) -> list[str]:
    merged = {key: value for part in parts for key, value in part.items()}
    return ["questions", "new", *(word for pair in merged.items() for word in pair)]


def arguments(kind: QuestionKind, *parts: dict[str, str]) -> list[str]:
    words = call(BARE, *parts, OF_KIND[kind], {"--kind": kind.value})
    if kind is QuestionKind.ORDERING:
        words += ["--area", "ai_control"]
    if kind is QuestionKind.MULTIPLE_CHOICE:
        words += ["--option", "Beta"]
    if kind in (QuestionKind.NUMERIC, QuestionKind.MULTIPLE_CHOICE):
        at = words.index("--level")
        del words[at : at + 2]
    return words


def undecided(findings: list[dict[str, Any]], text: str) -> set[str]:
    """The rules that find something although the file marks nothing there as open."""
    unmarked = set()
    for one in findings:
        marked = "TODO" in one["message"] or any(
            f"# TODO {key}" in text and key.strip("[]").removeprefix("question.").split()[0] in one["fix"]
            for key in ("primary_url", "[question.current_value]")
        )
        if not marked:
            unmarked.add(f"{one['rule']}: {one['message']}")
    return unmarked


@pytest.mark.parametrize("kind", QuestionKind)
@pytest.mark.parametrize("speedup", [SpeedupKind.PROGRESS, SpeedupKind.NONE])
def test_a_bare_draft_is_clean_but_for_what_it_marks(
    program: Program, kind: QuestionKind, speedup: SpeedupKind
) -> None:
    done = program(*arguments(kind, {"--speedup-kind": speedup.value}), "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.json["findings"]
    assert undecided(done.json["findings"], done.json["text"]) == set()


@pytest.mark.parametrize(
    "kind", [QuestionKind.BINARY, QuestionKind.DATE, QuestionKind.NUMERIC, QuestionKind.ORDERING]
)
def test_a_draft_with_every_answer_lints_clean_once_it_is_written(
    program: Program, mine: Path, kind: QuestionKind
) -> None:
    target = mine / "new.toml"
    done = program(*arguments(kind, DECIDED), "--id", "mine-2027", "--to", str(target), "--json")
    assert done.code == 0, done.err
    left = [one for one in done.json["findings"] if "evidence_whitelist" not in one["message"]]
    assert done.json["written"] is True
    assert {one["message"] for one in left} <= {
        "'TODO: what counts, the same for both' is still to be filled in"
    }
    assert target.read_text().endswith(done.json["text"])
    again = program("questions", "lint", str(target), "--json")
    assert (again.json["questions"], len(again.json["findings"])) == (1, len(done.json["findings"]))


def test_a_second_question_is_added_below_the_first(program: Program, mine: Path) -> None:
    target = mine / "new.toml"
    for name in ("one-2027", "two-2027"):
        assert program(*call(BARE), "--id", name, "--to", str(target)).code == 0
    entries = tomllib.loads(target.read_text())["question"]
    assert [entry["id"] for entry in entries] == ["one-2027", "two-2027"]


def test_a_dry_run_writes_nothing(program: Program, mine: Path) -> None:
    done = program(*call(BARE), "--to", str(mine / "new.toml"), "--dry-run")
    assert done.code == 0
    assert "[question.threshold]" in done.out
    assert not (mine / "new.toml").exists()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"--area": "ai_contol"}, "ai_control"),
        ({"--kind": "ordering"}, "--area A --area B"),
        ({"--kind": "numeric"}, "--lower, --upper"),
        ({"--kind": "conditional"}, "--parent, --parent-deadline"),
        ({"--close": "2027-01-01"}, "must be later than open"),
        ({"--url": "http://bench.example.org/x"}, "must start with https"),
        ({"--id": "date-ai-control-3x"}, "already"),
    ],
)
def test_answers_that_cannot_be_are_refused_with_the_cure(
    program: Program, parts: dict[str, str], words: str
) -> None:
    done = program(*call(BARE, parts), "--dry-run")
    assert done.code == 2
    assert words in done.err


def test_without_answers_every_missing_option_is_named(program: Program) -> None:
    done = program("questions", "new")
    assert done.code == 2
    assert all(f"--{name}" in done.err for name in ("title", "kind", "area", "view", "close"))


def test_on_a_terminal_it_asks_for_what_no_option_says(
    program: Program, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        ["%", "best single entry", "", "", "", "https://bench.example.org/hard.csv", "", "", "", "", ""]
    )
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    target = mine / "new.toml"
    done = program(*call(BARE, {"--comparator": ">="}), "--id", "mine-2027", "--to", str(target))
    assert done.code == 0, done.err
    entry = tomllib.loads(target.read_text())["question"][0]
    assert entry["threshold"]["unit"] == "%"
    assert entry["resolution"]["primary_url"] == "https://bench.example.org/hard.csv"
    assert len(asked) == 11

"""``speedup forecast``: a person's own forecasts, from the command line to the score."""

from __future__ import annotations

from pathlib import Path

import pytest

from questions.catalogue import load_catalogue
from tests.cli.speedup import Program

LINK = next(link for link in load_catalogue().links if link.outcome == "yes")
QUESTION = f"{LINK.platform}:{LINK.external_id}"


def test_a_forecast_is_added_listed_and_counted(program: Program) -> None:
    added = program(
        "forecast", "add", QUESTION, "--odds", "1:3", "--forecaster", "ann", "--comment", "slow", "--json"
    )
    assert added.code == 0, added.err
    assert (added.json["forecasts_new"], added.json["forecasts"][0]["probability"]) == (1, 0.25)
    listed = program("forecast", "list", "--json").json["forecasts"]
    assert [(f["question"], f["forecaster"], f["comment"]) for f in listed] == [(QUESTION, "ann", "slow")]
    assert "slow" in program("forecast", "list").out
    calibration = program("calibration", "--group-by", "forecaster", "--json").json
    assert (calibration["n_pending"], calibration["groups"][0]["forecaster"]) == (1, "ann")
    assert program("forecast", "list", "--forecaster", "bob", "--json").json == {"forecasts": []}
    before = program("forecast", "list", "--as-of", "2026-01-01", "--json").json
    assert before == {"forecasts": []}


@pytest.mark.parametrize(
    "command", [("add", QUESTION, "--percent", "30", "--forecaster", "ann"), ("import",)]
)
def test_a_dry_run_says_what_would_be_and_leaves_no_file(program: Program, command: tuple[str, ...]) -> None:
    if command == ("import",):
        file = program.folder / "mine.csv"
        file.write_text(f"question,forecaster,probability\n{QUESTION},ann,0.3\n")
        command = ("import", str(file), "--who", "ann")
    answer = program("forecast", *command, "--dry-run")
    assert answer.code == 0, answer.err
    assert "1 would be new" in answer.out
    assert list(Path(program.folder).glob("*.sqlite*")) == []


def test_a_bad_file_is_refused_whole_with_its_places(program: Program) -> None:
    file = program.folder / "mine.csv"
    file.write_text(
        f"question,forecaster,probability\n{QUESTION},ann,0.3\n{QUESTION},bob,55%\nnone,ann,0.1\n"
    )
    answer = program("forecast", "import", str(file), "--who", "ann")
    assert answer.code == 2
    assert "mine.csv:3: probability: '55%'" in answer.err
    assert "mine.csv:4: question" in answer.err
    assert program("forecast", "list", "--json").json == {"forecasts": []}


def test_json_objects_are_read_too(program: Program) -> None:
    file = program.folder / "mine.json"
    file.write_text(f'[{{"question": "{QUESTION}", "forecaster": "ann", "probability": 0.3}}]')
    assert program("forecast", "import", str(file), "--who", "ann", "--json").json["forecasts_new"] == 1

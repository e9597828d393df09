"""``questions resolve``, ``judge``, ``schema`` and the receipts in ``show``, as a person calls them."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from questions.records import Forecast, ForecasterKind, Measurement, SeriesVersion
from questions.time import iso, parse_utc
from storage import open_store
from storage.records import Batch
from tests.cli.speedup import Program

QUESTIONS = """\
[[question]]
id = "ind-horizon-10"
version = 1
title = "Is a horizon of 10 or more published by 2026-06-30?"
kind = "binary"
areas = ["agent_scaffolding"]
view = "model"
speedup_kind = "capability_indicator"
outcomes = ["yes", "no"]
default_outcome = "no"
threshold = { value = 10.0, unit = "minutes", comparator = ">=" }
rule = { kind = "series_threshold", series = "horizon", metric = "p50" }

[question.dates]
open = 2026-01-01T00:00:00Z
close = 2026-06-30T23:59:59Z
resolve = 2026-07-31T00:00:00Z

[question.resolution]
authority = "the tracker"
if_gone = "last_snapshot"
if_silent = { then = "annul", note = "no figure, no outcome" }

[[question]]
id = "judged-plan"
version = 1
title = "Does a laboratory publish a plan by 2026-06-30?"
kind = "binary"
areas = ["ai_control"]
view = "lab"
speedup_kind = "none"
outcomes = ["yes", "no"]
default_outcome = "no"
rule = { kind = "judged" }

[question.dates]
open = 2026-01-01T00:00:00Z
close = 2026-06-30T23:59:59Z
resolve = 2026-09-30T00:00:00Z

[question.resolution]
authority = "two judges"
"""


@pytest.fixture
def asking(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program with two questions of one's own and a series of two looks."""
    folder = program.folder / "mine"
    folder.mkdir()
    (folder / "mine.toml").write_text(QUESTIONS)
    monkeypatch.setenv("SPEEDUP_QUESTIONS_PATH", str(folder))
    store = open_store(program.db)
    for at, value, sha in (("2026-03-01", 4.0, "a"), ("2026-05-01", 12.0, "b")):
        point = Measurement("horizon", "m1", "p50", date(2026, 4, 1), value, "minutes")
        store.append(Batch(versions=(SeriesVersion("horizon", sha * 64, parse_utc(at), (point,)),)))
    store.add_forecasts(
        [Forecast("judged-plan", "yes", "Fay", ForecasterKind.PERSON, parse_utc("2026-02-01"), 0.5)]
    )
    store.close()
    return program


def test_a_question_resolves_once_and_show_prints_a_receipt_to_check(asking: Program) -> None:
    dry = asking("questions", "resolve", "ind-horizon-10", "--dry-run", "--json").json
    assert (dry["dry_run"], dry["questions"][0]["new"]) == (True, True)
    assert asking("questions", "show", "ind-horizon-10", "--json").json["receipts"] == []
    (first,) = asking("questions", "resolve", "ind-horizon-10", "--json").json["questions"]
    assert (first["state"], first["outcome"], first["new"]) == ("resolved", "yes", True)
    assert first["evidence"][0]["payload_sha256"] == "b" * 64
    (again,) = asking("questions", "resolve", "ind-horizon-10", "--json").json["questions"]
    assert again["new"] is False
    shown = asking("questions", "show", "ind-horizon-10", "--json").json
    assert [receipt["outcome"] for receipt in shown["receipts"]] == ["yes"]
    text = asking("questions", "show", "ind-horizon-10").out
    for part in (
        "b" * 64,
        "series_threshold",
        "value = 12.0",
        first["version"],
        "published 2026-05-01T00:00:00Z",
    ):
        assert part in text
    (then,) = asking("questions", "resolve", "ind-horizon-10", "--as-of", first["known_at"], "--json").json[
        "questions"
    ]
    assert {k: v for k, v in then.items() if k not in ("made_at", "new")} == {
        k: v for k, v in first.items() if k not in ("made_at", "new")
    }
    early = asking("questions", "resolve", "ind-horizon-10", "--as-of", "2026-04-01", "--json").json
    assert early["questions"][0]["state"] == "open"


def test_all_questions_resolve_without_a_database_in_a_dry_run(program: Program) -> None:
    document = program("questions", "resolve", "--dry-run", "--json").json
    assert len(document["questions"]) >= 110
    assert not (program.folder / "speedup.sqlite").exists()


def filled(path: Path, judge: str, outcome: str) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for row in rows:
        row |= {"judge": judge, "outcome": outcome, "citations": "https://example.org/plan"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_judges_disagree_and_a_third_decides(asking: Program) -> None:
    path = asking.folder / "batch.csv"
    states: list[tuple[str, str | None]] = []
    for judge, outcome in (("Ada", "yes"), ("Bob", "no"), ("Cyd", "no")):
        assert asking("questions", "judge", "export", str(path), "--force", "--json").json["questions"] == [
            "judged-plan"
        ]
        filled(path, judge, outcome)
        assert asking("questions", "judge", "import", str(path), "--dry-run", "--json").json["new"] == 0
        assert asking("questions", "judge", "import", str(path), "--json").json["new"] == 1
        (now,) = asking("questions", "resolve", "judged-plan", "--json").json["questions"]
        states.append((now["state"], now["outcome"]))
    assert states == [("overdue", None), ("disputed", None), ("resolved", "no")]
    answer = asking("questions", "judge", "export", str(path), "--force", "--json").json
    assert answer["questions"] == []


def test_a_batch_is_not_overwritten_and_a_forecaster_is_no_judge(asking: Program) -> None:
    path = asking.folder / "batch.csv"
    assert asking("questions", "judge", "export", str(path)).code == 0
    assert asking("questions", "judge", "export", str(path)).code == 2
    filled(path, "Fay", "yes")
    answer = asking("questions", "judge", "import", str(path))
    assert (answer.code, "line 2: judge: Fay has forecast judged-plan" in answer.err) == (2, True)
    assert asking("questions", "judge", "export", str(asking.folder / "batch.txt")).code == 2


# batteries ----------------------------------------------------------------------------------------


def told(path: Path, judge: str, value: str, citations: str = "https://example.org/study") -> None:
    """A batch of one quarter as a judge fills it: one number for everything."""
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for row in rows:
        row |= {"judge": judge, "outcome": "reading", "value": value, "citations": citations}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_judges_read_the_proxies_of_a_quarter_and_the_battery_shows_what_they_agree_on(
    program: Program,
) -> None:
    path = program.folder / "readings.csv"
    export = ("questions", "judge", "export", str(path), "--quarter", "2026-09-30", "--area", "ai_control")
    asked = program(*export, "--json").json
    assert asked["readings"] == [f"ai_control.{name}" for name in ("C2", "C5", "K1", "K2", "K3", "panel")]
    told(path, "Ada", "1.5")
    assert program("questions", "judge", "import", str(path), "--json").json["new"] == 6
    program(*export, "--force")
    assert "Ada" not in path.read_text()
    told(path, "Bob", "1.4")
    assert program("questions", "judge", "import", str(path), "--json").json["new"] == 6
    program("questions", "resolve", "date-ai-control-labour-3x")
    rows = {
        row["series"]: row
        for row in program("questions", "proxies", "--area", "ai_control", "--json").json["proxies"]
    }
    assert (rows["ai_control.C2"]["quarter"], rows["ai_control.C2"]["lower"]) == ("2026-09-30", 1.4)
    assert rows["ai_control.K4"]["read_by"] == "nobody"
    assert "1.4" in program("series", "show", "ai_control.C2", "--json").out


def test_a_quarter_that_cannot_be_read_is_a_mistake_of_use(program: Program) -> None:
    path = program.folder / "readings.csv"
    for arguments in (("--quarter", "2999-12-31"), ("--quarter", "soon"), ("--area", "ai_control")):
        assert program("questions", "judge", "export", str(path), *arguments).code == 2
    assert not path.exists()


# the resolver's table -----------------------------------------------------------------------------


def test_the_summary_is_printed_whole_and_of_one_area(program: Program) -> None:
    answer = program("questions", "list", "--summary", "--area", "ai_control", "--json").json
    assert {row["area"] for row in answer["rows"]} == {"ai_control"}
    assert answer["questions"] == sum(answer["deciders"].values())
    assert "decided by program: " in program("questions", "list", "--summary").out
    assert program("questions", "list", "--summary", "--links").code == 2


# schema -------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """TOML as a schema sees it: dates are ISO text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    return value.isoformat() if isinstance(value, date) else value


def test_the_packaged_schema_is_the_one_printed_and_editors_can_check_with_it(program: Program) -> None:
    printed = program.bare("questions", "schema").out
    assert printed == (resources.files("questions") / "data" / "questions.schema.json").read_text("utf-8")
    schema = json.loads(printed)
    Draft202012Validator.check_schema(schema)
    checker = Draft202012Validator(schema)
    mine = plain(tomllib.loads(QUESTIONS))
    links = (resources.files("questions") / "data" / "links.toml").read_text("utf-8")
    assert [*checker.iter_errors(mine), *checker.iter_errors(plain(tomllib.loads(links)))] == []
    assert json.loads(program("questions", "schema", "--json").out) == schema
    wrong = plain(tomllib.loads(QUESTIONS.replace('"series_threshold"', '"by_feeling"')))
    assert list(checker.iter_errors(wrong))
    wrong = plain(tomllib.loads(QUESTIONS.replace('if_gone = "last_snapshot"', 'if_gone = "perhaps"')))
    assert list(checker.iter_errors(wrong))

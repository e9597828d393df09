"""``speedup import``: what a person reads off a page gets into the database with its author, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.speedup import Program
from tracker.commands import session as session_module

CSV = """\
platform,external_id,as_of,probability,forecasters,url
leap,q7,2026-06-30,0.26,120,https://panel.example/june
leap,q7,2026-07-31,0,118,https://panel.example/july
"""


@pytest.fixture
def file(program: Program) -> Path:
    path = program.folder / "leap.csv"
    path.write_text(CSV)
    return path


def test_a_file_is_entered_once_and_says_who_when_and_from_where(program: Program, file: Path) -> None:
    first = program("import", str(file), "--who", "A. Reader", "--json")
    assert first.code == 0, first.err
    document = first.json
    assert document["file"] == "leap.csv"
    assert document["entered_by"] == "A. Reader"
    assert (document["values"], document["snapshots_new"], document["entered_before"]) == (2, 2, False)
    assert document["rows"][0]["url"] == "https://panel.example/june"
    again = program("import", str(file), "--who", "B. Writer", "--json").json
    assert (again["snapshots_new"], again["entered_before"]) == (0, True)
    assert (again["entered_by"], again["entered_at"]) == ("A. Reader", document["entered_at"])


def test_people_see_the_values_their_origin_and_their_author(program: Program, file: Path) -> None:
    text = program("import", str(file), "--who", "A. Reader").out
    for said in ("leap", "q7", "0.26", "0", "https://panel.example/july", "A. Reader", "2 values are new"):
        assert said in text
    assert "entered before, by A. Reader" in program("import", str(file), "--who", "me").out


def test_a_value_without_its_origin_is_entered_and_pointed_out(program: Program, file: Path) -> None:
    file.write_text(CSV + "leap,q8,2026-06-30,0.3,120,\n")
    answer = program("import", str(file), "--who", "A. Reader")
    assert answer.code == 0
    assert "1 values do not say where they were read" in answer.out
    assert program("import", str(file), "--who", "A. Reader", "--json").json["without_origin"] == 1


def test_a_dry_run_checks_and_stores_nothing(program: Program, file: Path) -> None:
    answer = program("import", str(file), "--who", "A. Reader", "--dry-run")
    assert answer.code == 0
    assert "nothing was stored" in answer.out
    assert list(program.folder.glob("*.sqlite")) == []
    document = program("import", str(file), "--who", "A. Reader", "--dry-run", "--json").json
    assert (document["dry_run"], document["values"], document["snapshots_new"]) == (True, 2, 0)


def test_one_wrong_cell_and_nothing_is_stored(program: Program, file: Path) -> None:
    file.write_text(CSV + "leap,q8,2026-06-30,26%,many,\n")
    answer = program("import", str(file), "--who", "A. Reader")
    assert answer.code == 2
    assert "leap.csv:4: probability" in answer.err
    assert "leap.csv:4: forecasters" in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert list(program.folder.glob("*.sqlite")) == []


@pytest.mark.parametrize("arguments", [(), ("--who", "me"), ("leap.csv",), ("leap.csv", "--who", " ")])
def test_a_call_without_a_file_or_an_author_says_what_is_needed(
    program: Program, file: Path, arguments: tuple[str, ...]
) -> None:
    answer = program("import", *arguments)
    assert answer.code == 2
    assert "--who" in answer.err
    assert "external_id" in answer.err


def test_a_file_that_is_not_there_is_exit_2(program: Program) -> None:
    assert program("import", "nowhere.csv", "--who", "me").code == 2


def test_json_is_told_by_the_files_name_or_by_the_option(program: Program) -> None:
    body = json.dumps([{"platform": "leap", "external_id": "q1", "as_of": "2026-06-30", "value": 3.5}])
    named, unnamed = program.folder / "a.json", program.folder / "b.txt"
    named.write_text(body)
    unnamed.write_text(body)
    assert program("import", str(named), "--who", "me", "--json").json["snapshots_new"] == 1
    assert program("import", str(unnamed), "--who", "me").code == 2
    again = program("import", str(unnamed), "--who", "me", "--format", "json", "--json").json
    assert again["entered_before"] is True


def test_what_was_entered_is_listed_with_its_author(program: Program, file: Path) -> None:
    program("import", str(file), "--who", "A. Reader")
    (entry,) = program("import", "--list", "--json").json["imports"]
    assert (entry["file"], entry["entered_by"], entry["values"]) == ("leap.csv", "A. Reader", 2)
    assert "A. Reader" in program("import", "--list").out


def test_a_list_without_a_database_is_exit_3(program: Program) -> None:
    assert program("import", "--list").code == 3


def test_reparse_reads_entered_files_again_and_adds_nothing(program: Program, file: Path) -> None:
    program("import", str(file), "--who", "A. Reader")
    answer = program("reparse", "imported", "--json")
    assert answer.code == 0, answer.err
    (entry,) = answer.json["sources"]
    assert (entry["source"], entry["status"], entry["snapshots_new"]) == ("imported", "ok", 0)


def test_a_value_no_link_names_is_said_to_be_of_no_use_to_a_voice(program: Program, file: Path) -> None:
    document = program("import", str(file), "--who", "me", "--json").json
    assert document["not_linked"] == ["leap:q7:yes"]


def test_a_linked_question_gets_its_value_into_the_market_voice_from_then_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    monkeypatch.setattr(session_module.Session, "now", lambda self: now)
    today = now.date()
    links = program("questions", "list", "--links", "--json").json["links"]
    wanted = [k for k in links if k["platform"] == "metaculus" and k["areas"] and k["relation"] != "context"]
    link = next(k for k in wanted if k["by"] and k["by"] > "2027-06")
    path = program.folder / "m.csv"
    path.write_text(
        "platform,external_id,outcome,as_of,probability,quantity\n"
        f"metaculus,{link['external_id']},{link['outcome']},{today},0.2,forecaster_median\n"
    )
    assert program("import", str(path), "--who", "me", "--json").json["not_linked"] == []
    (evidence, *_) = program("order", "--json", "--draws", "500").json["market"]["evidence"]
    assert evidence["probability"] == 0.2
    before = program("order", "--json", "--draws", "500", "--as-of", f"{today}").json["market"]
    assert before["evidence"] == []  # its own time is midnight, but it was entered later


def test_the_page_of_values_lets_hostile_text_do_nothing(program: Program) -> None:
    path = program.folder / "h.csv"
    path.write_text("platform,external_id,as_of,probability,note\nleap,q1,2026-06-30,0.5,[red]x[/red]\n")
    assert "[red]x[/red]" in program("import", str(path), "--who", "[b]me").out

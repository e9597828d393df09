"""``speedup digest`` as people and scripts call it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from questions.catalogue import load_catalogue
from questions.records import Quantity, Snapshot, StreamKey
from storage import open_store
from storage.records import Batch
from tests.cli.speedup import Program
from tracker.commands.root import run

AT = "2026-11-23T06:00Z"


def test_without_a_database_it_says_what_is_missing_and_makes_none(program: Program) -> None:
    assert run(["digest", "--as-of", AT, "--preview", "out"]) == 0
    text = (program.folder / "out" / "digest.txt").read_text(encoding="utf-8")
    assert text.startswith("W47: nothing to compare with last week yet\n")
    assert sorted(file.name for file in (program.folder / "out").iterdir()) == ["digest.html", "digest.txt"]
    assert not list(program.folder.rglob("*.sqlite"))


def test_a_week_by_one_of_its_days_as_json(program: Program) -> None:
    link = next(one for one in load_catalogue().links if one.platform == "metaculus")
    key = StreamKey("metaculus", "metaculus", link.external_id, link.outcome, Quantity.FORECASTER_MEDIAN)
    end = datetime(2026, 11, 16, tzinfo=UTC)
    store = open_store(f"sqlite:///{program.folder / 'a.sqlite'}")
    points = [
        Snapshot(key, at, at, probability=p) for d, p in ((8, 0.2), (1, 0.7)) for at in (end - timedelta(d),)
    ]
    store.append(Batch(tuple(points)))
    store.close()
    call = ["digest", "--week", "2026-11-11", "--db", f"sqlite:///{program.folder / 'a.sqlite'}", "--json"]
    assert run(call) == 0
    document = json.loads(program.capsys.readouterr().out)
    assert (document["week"], document["as_of"]) == ("2026-W46", "2026-11-16T00:00:00Z")
    assert document["since"] == "2026-11-09T00:00:00Z"
    assert "20% → 70%" in document["text"]
    assert document["files"] == []


def test_a_week_that_has_not_begun_and_an_archive_without_a_database_are_the_callers_mistake(
    program: Program,
) -> None:
    assert run(["digest", "--week", "2026-11-30", "--as-of", AT]) == 2
    assert "has not begun" in program.capsys.readouterr().err
    assert run(["digest", "--archive", "out"]) == 2
    (program.folder / "file").write_text("x")
    assert run(["digest", "--as-of", AT, "--preview", "file"]) == 2
    assert "file" in program.capsys.readouterr().err

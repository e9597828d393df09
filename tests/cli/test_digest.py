"""``speedup digest`` as people and scripts call it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

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
    names = ["digest.eml", "digest.html", "digest.txt"]
    assert sorted(file.name for file in (program.folder / "out").iterdir()) == names
    assert not list(program.folder.rglob("*.sqlite"))


def test_the_preview_is_also_a_mail_the_same_bytes_each_time(program: Program) -> None:
    for folder in ("out", "again"):
        assert run(["digest", "--as-of", AT, "--preview", folder]) == 0
    first, second = ((program.folder / folder / "digest.eml").read_bytes() for folder in ("out", "again"))
    assert first == second
    assert b"\n" not in first.replace(b"\r\n", b"")
    assert max(map(len, first.split(b"\r\n"))) <= 78
    message = message_from_bytes(first, policy=policy.default)
    assert message["To"] == "you@preview.invalid"
    assert message["Date"].datetime == datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert message["Message-ID"].startswith("<digest.2026-W47.")
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    for part, file in ((text, "digest.txt"), (html, "digest.html")):
        written = (program.folder / "out" / file).read_text(encoding="utf-8")
        assert part.get_content().splitlines() == written.splitlines()


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
    show = ["questions", "show", f"metaculus:{link.external_id}", "--as-of", "2026-11-16T00:00Z"]
    assert run([*show, "--db", f"sqlite:///{program.folder / 'a.sqlite'}", "--json"]) == 0
    shown = json.loads(program.capsys.readouterr().out)
    assert [value["probability"] for value in shown["streams"][0]["values"]] == [0.2, 0.7]
    assert run([*show[:-1], "2026-11-10T00:00Z", "--db", f"sqlite:///{program.folder / 'a.sqlite'}"]) == 0
    told = program.capsys.readouterr().out
    assert "2026-11-08T00:00:00Z" in told
    assert "2026-11-15T00:00:00Z" not in told
    assert run(["questions", "show", "metaculus:no such"]) == 2
    assert "--links" in program.capsys.readouterr().err
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


def test_it_is_sent_once_kept_and_exported(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_TO", "ada@example.org,bob@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_DROP", str(program.folder / "drop"))
    monkeypatch.setenv("SPEEDUP_DIGEST_URL", "https://example.org/digests")
    week = ("digest", "--week", "2026-11-11")
    assert "no database yet" in program(*week, "--send").err
    open_store(program.db).close()
    both = ["ada@example.org", "bob@example.org"]
    assert program(*week, "--send", "--dry-run", "--json").json == {"week": "2026-W46", "would_send_to": both}
    first, again = (program(*week, "--send", "--json").json for _ in range(2))
    assert (first["made"], first["letters"], again["made"], again["letters"]) == (True, 2, False, 0)
    letters = sorted((program.folder / "drop").rglob("*.eml"))
    assert len(letters) == 2
    for letter in letters:
        message = message_from_bytes(letter.read_bytes(), policy=policy.default)
        assert message["Subject"] == "W46: nothing to compare with last week yet"
        text = message.get_body(("plain",))
        assert text is not None
        assert "You get this because" in text.get_content()
        assert "0000000000" not in text.get_content()
    assert program("digest", "--archive", "out").code == 0
    feed = (program.folder / "out" / "feed.atom").read_text(encoding="utf-8")
    assert "https://example.org/digests/2026-W46.html" in feed
    assert "Unsubscribe" not in (program.folder / "out" / "2026-W46.html").read_text(encoding="utf-8")


def test_sending_needs_a_sender(program: Program) -> None:
    open_store(program.db).close()
    answer = program("digest", "--send")
    assert answer.code == 2
    assert "SPEEDUP_MAIL_FROM" in answer.err

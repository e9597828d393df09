"""``speedup recipients``, ``speedup outbox`` and what ``status`` and ``doctor`` say of mail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from questions.catalogue import load_catalogue
from storage import open_store
from storage.mailing import Recipient, RecipientState
from tests.cli.speedup import Program
from tests.mail.server import Post, closed_port, mail_server
from tracker.config import load_settings
from tracker.mail.content import MailContent
from tracker.mail.sending import send_digest

ADA, EVE = "ada@example.org", "eve@example.org"


@pytest.fixture
def out(program: Program, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mail goes into a folder."""
    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_TO", ADA)
    monkeypatch.setenv("SPEEDUP_MAIL_DROP", str(program.folder / "out"))
    return program.folder / "out"


def queue_one(program: Program) -> None:
    store, now = open_store(program.db), datetime.now(UTC)
    content = MailContent("W48: nothing moved", "text", "<p>text</p>")
    send_digest(store, load_settings(), lambda: content, "2026-W48", now, now, now + timedelta(days=7))
    store.close()


def test_the_life_of_a_recipient(program: Program, out: Path) -> None:
    added = program(
        "recipients", "add", EVE, "--confirmed", "--frequency", "monthly", "--threshold", "flip=2.5", "--json"
    )
    assert (added.code, added.json["state"]) == (0, "confirmed")
    assert added.json["options"] == {
        "frequency": "monthly",
        "areas": [],
        "alerts": [],
        "thresholds": {"flip": 2.5},
        "forecaster": "",
    }
    assert program("recipients", "set", EVE, "--frequency", "none").code == 0
    rows = program("recipients", "list", "--json").json["recipients"]
    assert [(row["address"], row["origin"], row["options"]["frequency"]) for row in rows] == [
        (ADA, "settings", "weekly"),
        (EVE, "database", "none"),
    ]
    assert program("recipients", "remove", rows[1]["hash"]).code == 0
    history = program("recipients", "show", EVE, "--json").json["history"]
    assert [row["state"] for row in history] == ["confirmed", "confirmed", "unsubscribed"]
    assert history[-1]["options"]["thresholds"] == {"flip": 2.5}
    assert program("recipients", "confirm", EVE).code == 0
    assert EVE in program("recipients", "list").out


def test_what_was_chosen_can_be_widened_again(program: Program, out: Path) -> None:
    def options(*chosen: str) -> tuple[list[str], list[str]]:
        told = program("recipients", *chosen, "--json").json["options"]
        return told["areas"], told["alerts"]

    area = load_catalogue().areas[0].key
    narrow = ("--area", area, "--alert", "move", "--alert", "flip")
    assert options("add", EVE, "--confirmed", *narrow) == ([area], ["move", "flip"])
    assert options("set", EVE, "--frequency", "monthly") == ([area], ["move", "flip"])
    assert options("set", EVE, "--area", "all") == ([], ["move", "flip"])
    assert options("set", EVE, "--alert", "all") == ([], [])
    assert options("set", EVE, "--alert", "none") == ([], ["none"])


def test_one_who_was_asked_is_asked_for_what_they_will_get_and_for_nothing_else(
    program: Program, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_MAIL_BASE_URL", "https://t.example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_SECRET", "s" * 20)
    assert program("recipients", "add", EVE, "--frequency", "monthly").code == 0
    again = program("recipients", "set", EVE, "--frequency", "weekly")
    assert (again.code, "has not said yes yet" in again.err) == (2, True)
    assert program("recipients", "add", EVE, "--frequency", "weekly", "--alert", "none").code == 0
    assert program("outbox", "send").code == 0
    (file,) = out.glob("*.eml")  # the first question is not asked any more: its link would not be good
    part = message_from_bytes(file.read_bytes(), policy=policy.default).get_body(("plain",))  # type: ignore[attr-defined]
    assert "to this address: the weekly digest." in " ".join(part.get_content().split())


def test_one_is_asked_when_there_is_an_address_for_the_answer(
    program: Program, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = program("recipients", "add", EVE)
    assert refused.code == 2
    assert "SPEEDUP_MAIL_BASE_URL" in refused.err
    monkeypatch.setenv("SPEEDUP_MAIL_BASE_URL", "https://t.example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_SECRET", "s" * 20)
    assert program("recipients", "add", EVE, "--dry-run", "--json").json["state"] == "pending"
    assert program("recipients", "list", "--json").json["recipients"][1:] == []
    assert program("recipients", "add", EVE, "--json").json["state"] == "pending"
    assert program("outbox", "send").code == 0
    (file,) = out.glob("*.eml")
    assert b"/confirm/" in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "no address"], "not a mail address"),
        (["add", EVE, "--confirmed", "--area", "nowhere"], "no area named nowhere"),
        (["add", EVE, "--confirmed", "--threshold", "flip=high"], "not a number"),
        (["add", EVE, "--confirmed", "--alert", "moves"], "--alert moves: there are move, flip"),
        (["add", EVE, "--confirmed", "--alert", "none", "--alert", "move"], "stand alone"),
        (["add", EVE, "--confirmed", "--threshold", "source=2"], "--threshold source: there are move, flip"),
        (["remove", EVE], "no such recipient"),
    ],
)
def test_a_wrong_call_says_what_would_be_right(
    program: Program, out: Path, arguments: list[str], told: str
) -> None:
    answer = program("recipients", *arguments)
    assert answer.code == 2
    assert told in answer.err


def test_the_outbox_is_looked_at_held_and_sent(program: Program, out: Path) -> None:
    queue_one(program)
    (letter,) = program("outbox", "list", "--json").json["letters"]
    assert (letter["state"], letter["address"], letter["attempts"]) == ("queued", ADA, 0)
    assert program("outbox", "hold", "--json").json == {"letters": 1, "state": "held"}
    assert program("outbox", "send").out == "nothing to send\n"
    assert program("outbox", "resume").code == 0
    (due,) = program("outbox", "send", "--dry-run", "--json").json["would_send"]
    assert due["key"] == letter["key"]
    assert not out.exists()
    assert program("outbox", "send", "--json").json["message"] == "1 sent"
    assert len(list(out.glob("*.eml"))) == 1
    assert program("outbox", "send").code == 0
    assert "sent" in program("outbox", "list", "--state", "sent", "--period", "2026-W48").out


def test_status_tells_of_letters_and_dead_addresses(program: Program, out: Path) -> None:
    queue_one(program)
    store = open_store(program.db)
    store.add_recipient(
        Recipient(EVE, datetime.now(UTC), RecipientState.DEAD, reason="refused 2 times running")
    )
    store.close()
    told = program("status", "--json").json
    assert told["mail"]["letters"]["queued"] == 1
    assert told["mail"]["dead_addresses"] == [EVE]
    text = program("status").out
    assert "mail: 1 queued" in text
    assert f"{EVE} was refused twice" in text
    assert "mail" in {row["job"] for row in told["jobs"]}


def mail_check(program: Program) -> tuple[str, str]:
    (check,) = [
        one for one in program("doctor", "--json", "--offline").json["checks"] if one["what"] == "mail"
    ]
    return check["verdict"], check["message"]


def test_doctor_tells_whether_mail_can_leave(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mail_check(program)[0] == "warning"
    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_DROP", "-")
    assert mail_check(program) == ("ok", "goes to stdout")
    monkeypatch.setenv("SPEEDUP_MAIL_DROP", "")
    monkeypatch.setenv("SPEEDUP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SPEEDUP_SMTP_TLS", "none")
    assert mail_check(program) == ("ok", "127.0.0.1:25 (none), not asked")


def test_doctor_greets_the_server(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker.commands.doctor import _mail
    from tracker.commands.session import Session

    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SPEEDUP_SMTP_TLS", "none")
    with mail_server(Post()) as port:
        monkeypatch.setenv("SPEEDUP_SMTP_PORT", str(port))
        (check,) = _mail(Session(program.db, None, as_json=True), offline=False)
    assert (check["verdict"], check["message"]) == ("ok", f"127.0.0.1:{port} (none): greeted")
    monkeypatch.setenv("SPEEDUP_SMTP_PORT", str(closed_port()))
    (check,) = _mail(Session(program.db, None, as_json=True), offline=False)
    assert check["verdict"] == "problem"
    assert "no conversation" in check["message"]


def test_recipients_and_passwords_are_not_among_the_settings_shown(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_TO", f"{ADA},{EVE}")
    monkeypatch.setenv("SPEEDUP_SMTP_HOST", "smtp.example.org")
    monkeypatch.setenv("SPEEDUP_SMTP_USER", "me")
    monkeypatch.setenv("SPEEDUP_SMTP_PASSWORD", "canary-9182")
    told = program("doctor", "--json", "--offline")
    assert told.json["settings"]["mail_to"] == "2 addresses"
    assert told.json["settings"]["smtp_password"] == "set"
    assert not re.search("canary-9182|ada@|eve@", told.out)


def test_the_digest_is_sent_once_to_whoever_has_not_got_it(program: Program, out: Path) -> None:
    assert "no database yet" in program("digest", "--send").err
    open_store(program.db).close()
    would = program(
        "digest", "--send", "--dry-run", "--week", "2026-11-18", "--as-of", "2026-11-23T07:00Z", "--json"
    )
    assert would.json == {"week": "2026-W47", "would_send_to": [ADA]}
    assert not out.exists()
    call = ("digest", "--send", "--week", "2026-11-18", "--as-of", "2026-11-23T07:00Z", "--json")
    first = program(*call)
    assert first.code == 0
    assert first.json == {
        "week": "2026-W47",
        "made": True,
        "recipients": 1,
        "letters": 1,
        "leader": None,
        "state": "done",
        "message": "1 sent",
    }
    assert program("recipients", "add", EVE, "--confirmed").code == 0
    second = program(*call).json
    assert (second["made"], second["recipients"], second["letters"]) == (False, 2, 1)
    files = sorted(path.read_bytes() for path in out.glob("*.eml"))
    assert len(files) == 2
    assert {file.partition(b"\r\nMIME-Version")[2] for file in files} == {
        files[0].partition(b"\r\nMIME-Version")[2]
    }


def test_the_digest_is_shown_as_one_recipient_gets_it(program: Program, out: Path) -> None:
    open_store(program.db).close()
    assert (
        program(
            "recipients", "add", EVE, "--confirmed", "--area", "ai_control", "--threshold", "move=0.5"
        ).code
        == 0
    )
    week = ("digest", "--week", "2026-11-18", "--as-of", "2026-11-23T07:00Z")
    told = " ".join(program(*week, "--for", EVE).out.split())
    assert "As you chose, told of AI control, of questions that moved by 0.5 in log-odds or more." in told
    assert "As you chose" not in program(*week, "--for", ADA).out
    assert "no such recipient" in program(*week, "--for", "nobody@example.org").err
    assert program(*week, "--for", EVE, "--send").code == 2
    assert not out.exists()


def test_nothing_is_sent_where_mail_is_not_set_up(program: Program) -> None:
    open_store(program.db).close()
    refused = program("digest", "--send")
    assert refused.code == 2
    assert "SPEEDUP_MAIL_FROM" in refused.err

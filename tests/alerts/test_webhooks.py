"""Webhooks on a real server that takes, refuses, breaks and is silent; and what hostile titles come to."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from questions.receipts import Exhibit
from storage.alerting import Alert
from storage.mailing import Channel, Letter, LetterState
from storage.memory import MemoryStore
from tests.alerts.world import hours
from tests.servers.local import LocalServer, Route, json_reply, redirect, reply, stall, too_many
from tracker.alerts.render import MOST, content, items
from tracker.alerts.webhooks import ADDRESSES, DISCORD_LIMIT, Webhooks, body, configured, letters_for
from tracker.config import Settings
from tracker.http import HttpClient, HttpSettings
from tracker.mail.delivery import drain

TOKEN = "T0K3N-that-nobody-may-see"
QUEUED, SENT, DEAD = LetterState.QUEUED, LetterState.SENT, LetterState.DEAD

HOSTILE = (
    "<!channel> <@U1> <https://evil.example|click>",
    "@everyone @here @room [click](https://evil.example) **bold** `code` ||x||",
    "\r\nBcc: x@example.org =?UTF-8?Q?=0A?=",
    "<script>alert(1)</script><img src=https://evil.example/x.png>",
    "\u202eevil\u200b \u2066x\ud800\x00",
    "x" * 10_000,
    "ﷺ" * 400 + "🏴‍☠️" * 50,
    '=cmd|"/c calc"!A1',
    "javascript:alert(1) www.evil.example https://evil.example",
)


EVIDENCE = (
    Exhibit("value", "fair:fair", "a:yes", at="2026-08-03T00:00:00Z", value=0.2, payload_sha256="ab" * 32),
    Exhibit("value", "fair:fair", "a:yes", at="2026-08-03T12:00:00Z", value=0.5, payload_sha256="cd" * 32),
)


def alert(number: int = 0, **more: Any) -> Alert:
    plain = Alert(
        f"move:fair:{number}", hours(0), "move", "up", f"Will it {number}?", "20%", "50%", "log-odds +1.39",
        "https://fair.example/a", ("evals",), 1.39, {"log_odds": 1.0},
    )  # fmt: skip
    return replace(plain, **more)


class Hook:
    """A webhook on a server of its own, and a clock that is set by hand."""

    def __init__(self, server: LocalServer, name: str = "generic") -> None:
        self.server, self.name, self.now = server, name, hours(0)
        self.settings = Settings(**{ADDRESSES[name]: f"{server.url}/hooks/{TOKEN}"})
        self.store = MemoryStore()

    def queue(self, *alerts: Alert) -> Letter:
        later = self.now + timedelta(days=3)
        letters = letters_for(self.settings, alerts or [alert()], "alerts:1", "alerts", self.now, later)
        self.store.queue_letters(letters)
        return letters[0]

    def answers(self, *answers: Route) -> None:
        self.server.route(f"/hooks/{TOKEN}", *answers)

    def send(self) -> LetterState:
        limits = HttpSettings(attempts=1, total_deadline_s=0.5)
        with HttpClient(user_agent="speedup-tracker/test", settings=limits, sleep=lambda _: None) as client:
            hooks = Webhooks(self.settings, client, lambda: self.now)
            drain(self.store, Channel.WEBHOOK, hooks, lambda: self.now, threading.Event())
        (letter,) = self.store.letters()
        return letter.state

    def seen(self) -> list[Any]:
        return self.server.seen(f"/hooks/{TOKEN}")

    @property
    def letter(self) -> Letter:
        (found,) = self.store.letters()
        return found


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        yield running


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_webhook_gets_the_message_once_with_a_key_that_names_it(server: LocalServer, name: str) -> None:
    hook = Hook(server, name)
    hook.answers(reply(204))
    letter = hook.queue()
    assert [hook.send(), hook.send()] == [SENT, SENT]
    (seen,) = hook.seen()
    assert (seen.method, seen.headers["content-type"]) == ("POST", "application/json")
    assert seen.headers["idempotency-key"] == f"speedup-alerts:1-{name}" == letter.message_id
    assert json.loads(seen.body) == json.loads(letter.body) == body(name, [alert()], "alerts:1", hours(0))


def test_what_was_sent_and_not_written_down_goes_again_under_the_same_key(server: LocalServer) -> None:
    hook = Hook(server)
    hook.answers(reply(200))
    hook.queue()
    assert hook.store.claim_letter(Channel.WEBHOOK, hook.now) is not None  # and then it died
    assert hook.send() is SENT
    assert {seen.headers["idempotency-key"] for seen in hook.seen()} == {"speedup-alerts:1-generic"}


@pytest.mark.parametrize(
    ("answer", "state", "outcome", "again"),
    [
        (reply(400, b"no such channel " + TOKEN.encode()), DEAD, "rejected: http_400", None),
        (reply(401), DEAD, "rejected: http_401", None),
        (reply(404), DEAD, "rejected: http_404", None),
        (reply(410), DEAD, "rejected: http_410", None),
        (redirect("https://evil.example/"), DEAD, "rejected: http_302", None),
        (reply(408), QUEUED, "later: http_408", 60),
        (reply(500, TOKEN.encode()), QUEUED, "later: http_500", 60),
        (reply(503), QUEUED, "later: http_503", 60),
        (too_many(), QUEUED, "later: http_429", 60),
        (too_many(7200), QUEUED, "later: http_429", 7200),
        (too_many(5), QUEUED, "later: http_429", 60),
        (stall(), QUEUED, "later: timeout", 60),
    ],
)
def test_what_becomes_of_a_letter_by_the_answer(
    server: LocalServer, answer: Route, state: LetterState, outcome: str, again: float | None
) -> None:
    hook = Hook(server)
    hook.answers(answer)
    hook.queue()
    assert hook.send() is state
    assert hook.letter.outcome == outcome
    if again is not None:
        assert hook.letter.next_try_at == hook.now + timedelta(seconds=again)


def test_a_server_that_comes_back_gets_what_was_due_and_only_that(server: LocalServer) -> None:
    hook = Hook(server)
    hook.answers(reply(500), too_many(1800), json_reply({"ok": True}))
    hook.queue()
    waits = (0, 1, 29, 31, 60)
    states = []
    for minutes in waits:
        hook.now = hours(0) + timedelta(minutes=minutes)
        states.append(hook.send())
    assert states == [QUEUED, QUEUED, QUEUED, SENT, SENT]
    assert len(hook.seen()) == 3
    assert len({seen.body for seen in hook.seen()}) == 1


def test_a_webhook_that_is_set_no_more_ends_its_letters(server: LocalServer) -> None:
    hook = Hook(server)
    hook.queue()
    hook.settings = Settings()
    assert hook.send() is DEAD
    assert hook.letter.outcome == "rejected: no webhook of this name is set"


@pytest.mark.parametrize(
    "address",
    ["http://hooks.example.org/x", "ftp://hooks.example.org/x", "http://10.0.0.1/x", "hooks.example.org"],
)
def test_only_https_or_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Settings(alert_webhook=address)


@pytest.mark.parametrize("address", ["https://10.0.0.1/x", "https://[::ffff:169.254.169.254]/x"])
def test_an_address_inside_is_refused_by_the_guard(address: str, server: LocalServer) -> None:
    hook = Hook(server)
    hook.settings = Settings(alert_webhook=address)
    hook.queue()
    assert hook.send() is DEAD
    assert hook.letter.outcome == "rejected: blocked_address"


def test_the_address_is_in_no_log_no_letter_and_no_setting_that_is_shown(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    from tracker.config import masked

    caplog.set_level(logging.DEBUG)
    hook = Hook(server)
    hook.answers(reply(500, f"http://127.0.0.1/hooks/{TOKEN}".encode()), reply(404, TOKEN.encode()))
    hook.queue()
    hook.send()
    hook.now += timedelta(hours=1)
    assert hook.send() is DEAD
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(hook.letter) + repr(hook.settings) + json.dumps(
        masked(hook.settings), default=str
    )
    assert masked(hook.settings)["alert_webhook"] == "set"


def test_addresses_come_from_the_environment_or_a_file_only(tmp_path: Any) -> None:
    from tracker.config import load_settings
    from tracker.errors import ConfigError

    file = tmp_path / "hook"
    file.write_text("https://hooks.example.org/x\n")
    none = tmp_path / ".env"
    told = load_settings(environ={"SPEEDUP_SLACK_WEBHOOK_FILE": str(file)}, dotenv=none)
    assert configured(told) == ("slack",)
    toml = tmp_path / "settings.toml"
    toml.write_text('slack_webhook = "https://hooks.example.org/x"\n')
    with pytest.raises(ConfigError, match="secrets are not read from this file"):
        load_settings(config=toml, environ={}, dotenv=none)


# shapes -------------------------------------------------------------------------------------------


def many(count: int, text: str = "because " * 60) -> list[Alert]:
    return [
        alert(number, title=f"Will it {number}? " + "word " * 40, text=text, evidence=EVIDENCE)
        for number in range(count)
    ]


LOADS = ("because " * 60, "*_`|~" * 200, "\U0001f600" * 900, "<&>" * 300, "ﷺ" * 800)
"""Texts that grow when they are escaped or written as bytes."""


@pytest.mark.parametrize("text", LOADS)
def test_discord_is_within_its_limit_and_says_how_much_is_left_out(text: str) -> None:
    """Documented: 2000 characters of content. Counted as UTF-16 does it is never less."""
    for count in (1, 5, 60):
        said = body("discord", many(count, text), "b", hours(0))
        assert len(said["content"].encode("utf-16-le")) // 2 <= DISCORD_LIMIT
        assert said["flags"] == 4
        assert said["allowed_mentions"] == {"parse": []}
        *_, grounds = said["content"].split("\n\n")
        assert grounds == "What each rests on, to the raw bytes\\: speedup alerts show b"
        shown = said["content"].count("found 2026")
        assert shown >= 1, "not even one fits"
        left = re.search(r"and (\d+) more: `speedup alerts list`", said["content"])
        assert (0 if left is None else int(left[1])) == count - shown


@pytest.mark.parametrize("text", LOADS)
def test_slack_is_within_its_limits(text: str) -> None:
    """Documented: 50 blocks a message, 3000 characters a text object."""
    url = "https://fair.example/?" + "&a=1" * 450
    for count in (1, 60):
        alerts = [replace(one, url=url) if count == 1 else one for one in many(count, text)]
        said = body("slack", alerts, "b", hours(0))
        assert len(said["blocks"]) <= 50
        texts = [part["text"] for one in said["blocks"] for part in one.get("elements", [one.get("text")])]
        assert all(0 < len(one) <= 3000 for one in texts)
        assert len(said["text"]) <= 3000
        assert (said["unfurl_links"], said["unfurl_media"]) == (False, False)
        assert texts[-1] == "What each rests on, to the raw bytes: speedup alerts show b"
    assert texts[-2].startswith("and 37 more")


@pytest.mark.parametrize("text", LOADS)
def test_matrix_is_within_its_limits(text: str) -> None:
    """Documented: an event of 65,536 bytes; hookshot writes text and HTML into it and what it was sent beside."""
    for count in (1, 60):
        said = body("matrix", many(count, text), "b", hours(0))
        event = {
            "type": "m.room.message",
            "room_id": "!" + "r" * 254,
            "sender": "@" + "s" * 254,
            "content": {
                "msgtype": "m.notice",
                "body": said["text"],
                "formatted_body": said["html"],
                "uk.half-shot.hookshot.webhook_data": said,
            },
        }
        assert len(json.dumps(event, ensure_ascii=False).encode()) < 64_000
        shown = said["html"].count("found 2026")
        assert shown >= 1
        left = re.search(r"and (\d+) more: ", said["text"])
        assert (0 if left is None else int(left[1])) == count - shown


def test_every_shape_tells_direction_before_after_and_evidence() -> None:
    one = alert(1, evidence=EVIDENCE)
    for name in ADDRESSES:
        said = json.dumps(body(name, [one], "alerts:2026-08-03T12:00:00Z", hours(0)), ensure_ascii=False)
        said = said.replace("\\\\", "").replace("\u2060", "")
        for fact in (
            "up" if name == "generic" else "▲",
            "20%",
            "50%",
            "ab" * 6,
            "alerts:2026-08-03T12:00:00Z",
        ):
            assert fact in said, (name, fact)


def test_generic_json_has_the_evidence_and_says_what_is_left_out() -> None:
    said = body("generic", [alert(n) for n in range(MOST + 3)], "b", hours(0))
    assert (said["count"], len(said["alerts"]), said["left_out"]) == (MOST + 3, MOST, 3)
    assert said["alerts"][0]["rule"] == {"log_odds": 1.0}


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_are_text_everywhere(title: str) -> None:
    hostile = alert(title=title, text=title, before=title[:50], url="javascript:alert(1)")
    slack = body("slack", [hostile], "b", hours(0))
    plain = [one["text"] for one in slack["blocks"]]
    assert all(one["type"] == "plain_text" and not re.search("[<>]", one["text"]) for one in plain)
    discord = body("discord", [hostile], "b", hours(0))["content"]
    assert not re.search(
        r"(?<!\\)[*_`|~\[\]()<>@#:]", re.sub(r"^\*\*(.*)(?<!\\)\*\*$", r"\1", discord, flags=re.M)
    )
    matrix = body("matrix", [hostile], "b", hours(0))
    assert set(re.findall(r"<(/?\w+)", matrix["html"])) <= {"p", "/p", "strong", "/strong", "br"}
    assert not re.search(r"://|@room|www\.", matrix["text"] + matrix["html"])
    for name in ADDRESSES:
        said = json.dumps(body(name, [hostile], "b", hours(0)), ensure_ascii=False).encode()
        assert len(said) < 20_000
        assert "\u202e" not in said.decode()
    mail = content([hostile], hours(0))
    assert "\n" not in mail.subject
    assert len(mail.subject) <= 120
    assert set(re.findall(r"<(/?\w+)", mail.html)) <= {
        "html", "head", "meta", "title", "/title", "style", "/style", "/head", "body", "div", "h1", "/h1", "h2", "/h2",
        "p", "/p", "/div", "a", "/a", "/body", "/html", "table", "/table", "tbody", "/tbody", "tr", "/tr", "td", "/td",
        "span", "/span", "code", "/code",
    }  # fmt: skip
    assert "javascript:" not in re.sub(r">[^<]*<", "><", mail.html)
    assert not re.search(r"src=|url\(", re.sub(r">[^<]*<", "><", mail.html))


def test_the_mail_says_the_same_twice_and_the_same_bytes_for_the_same_alerts() -> None:
    alerts = [
        alert(1),
        alert(2, kind="resolved", direction="resolved", before="open", after="yes", size=None),
    ]
    mail = content(alerts, hours(0))
    assert mail == content(list(reversed(alerts)), hours(0))
    assert mail.subject == "Moved: Will it 1?: ▲ 20% → 50% (and 1 more)"
    words = re.sub(r"<[^>]+>", " ", "<body" + mail.html.split("<body", 1)[1])
    numbers = set(re.findall(r"\d[\d.,:%-]*", words))
    assert numbers
    assert all(number in mail.text for number in numbers)


def test_a_mail_of_a_thousand_alerts_is_small() -> None:
    mail = content(many(1000), hours(0))
    assert len(mail.html.encode()) < 80_000
    assert "and 975 more" in mail.html
    assert "and 975 more" in mail.text


def test_pairs_of_one_area_are_one_item() -> None:
    def flip(second: str) -> Alert:
        return alert(
            kind="flip", signal=f"flip:market:a|{second}", title="the market", areas=("a", second),
            before=f"{second} before A", after=f"A before {second}", text=f"{ord(second)}%", url="",
        )  # fmt: skip

    found = items([flip("B"), flip("C"), alert(9)])
    assert [one.title for one in found] == ["Will it 9?", "the market"]
    assert found[1].change == "A before B (66%); A before C (67%)"


def test_rules_are_set_in_the_settings_file_and_nonsense_is_named(tmp_path: Any) -> None:
    from tracker.config import load_settings
    from tracker.errors import ConfigError

    toml, none = tmp_path / "settings.toml", tmp_path / ".env"
    toml.write_text('[alerts]\nmove_log_odds = 0.5\nquiet = "22:00-07:00 Europe/Berlin"\nmute = ["drift"]\n')
    rules = load_settings(config=toml, environ={}, dotenv=none).alerts
    assert (rules.move_log_odds, rules.mute) == (0.5, ("drift",))
    for wrong in (
        "move_log_odds = 0",
        'mute = ["everything"]',
        'quiet = "night"',
        "flip_margin = 0.5",
        "new = 1",
    ):
        toml.write_text(f"[alerts]\n{wrong}\n")
        with pytest.raises(ConfigError, match=rf"alerts\.{wrong.partition(' ')[0]}"):
            load_settings(config=toml, environ={}, dotenv=none)

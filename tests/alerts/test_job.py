"""The daemon's job from a value to a webhook, and ``speedup alerts``."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from storage import open_store
from storage.mailing import Channel
from storage.records import RawPayload, RunState
from storage.store import Store
from tests.alerts.world import World, hours
from tests.cli.speedup import Program
from tests.servers.local import LocalServer, reply
from tests.tracker.fakes import Clock
from tracker.config import Settings
from tracker.daemon.alerting import alerts_job, webhook_job
from tracker.http import HttpClient
from tracker.work import Job, due, execute


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        running.route("/hook", reply(204))
        yield running


def run(job: Job, store: Store, clock: Clock) -> str:
    said = []
    for slot in due(job, store, clock.now):
        done = execute(job, slot, store, clock)
        assert done is not None
        assert done.state is RunState.DONE
        said.append(done.message)
    return "; ".join(said)


def test_from_a_value_to_a_webhook_once(server: LocalServer) -> None:
    world, clock = World(order_hours=24), Clock(hours(1))
    world.settings = world.settings.model_copy(
        update={"alert_webhook": Settings(alert_webhook=f"{server.url}/hook").alert_webhook}
    )
    with HttpClient(user_agent="speedup-tracker/test") as client:
        find = alerts_job(world.settings, world.catalogue, world.sources, clock)
        tell = webhook_job(world.settings, client, clock, threading.Event())
        world.value(0, 0.2)
        assert run(find, world.store, clock) == "0 new alerts, 0 told in 0 messages"
        assert run(find, world.store, clock) == ""  # the slot is done
        assert run(tell, world.store, clock) == ""  # nothing to send: not even a line in the ledger
        world.value(1.5, 0.6)
        clock.now = hours(2)
        assert run(find, world.store, clock) == "1 new alert, 1 told in 1 message"
        assert run(tell, world.store, clock) == "1 sent"
        clock.now = hours(3)
        assert run(find, world.store, clock) == "0 new alerts, 0 told in 0 messages"
        assert run(tell, world.store, clock) == ""
    (seen,) = server.seen("/hook")
    said = json.loads(seen.body)
    assert [(one["before"], one["after"]) for one in said["alerts"]] == [("20%", "60%")]
    assert world.store.next_letter_at(Channel.WEBHOOK) is None


def test_a_look_by_a_clock_that_was_ahead_is_said_to_be_in_the_way() -> None:
    world, clock = World(order_hours=24), Clock(hours(2))
    world.value(0, 0.2)
    world.look(5000)
    world.value(1, 0.9)
    done = alerts_job(world.settings, world.catalogue, world.sources, clock).run(world.store, hours(2))
    assert done.state is RunState.PARTIAL
    assert f"before {hours(5000):%Y-%m-%dT%H:%M}" in done.message
    assert world.store.alerts() == []


# the commands -------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """A database with an alert that was sent, one that waits, and one that would be found now."""
    url = f"sqlite:///{tmp_path / 'tracker.db'}"
    world = World(store=open_store(url))
    for hour, value in ((0, 0.2), (10, 0.6), (20, 0.2)):
        world.value(hour, value)
        world.look(hour + 1)
        if hour == 10:
            world.tell(hour + 2)
    world.store.close()
    return url


def listed(program: Program, url: str, at: datetime) -> dict[str, Any]:
    done = program("alerts", "list", "--as-of", at.isoformat(), "--json", db=url)
    assert done.code == 0
    found: dict[str, Any] = done.json
    return found


def test_the_list_tells_what_was_found_what_became_of_it_and_on_what_it_rests(
    program: Program, filled: str
) -> None:
    told = listed(program, filled, hours(30))
    assert [(one["before"], one["after"], one["fate"]) for one in told["alerts"]] == [
        ("60%", "20%", "waiting"),
        ("20%", "60%", "queued"),
    ]
    assert told["alerts"][1]["letters"] == {"queued": 1}
    assert told["alerts"][1]["told_at"] == "2026-08-04T00:00:00Z"
    assert [one["value"] for one in told["alerts"][1]["evidence"]] == [0.2, 0.6]
    assert listed(program, filled, hours(15))["alerts"][0]["fate"] == "queued"
    assert listed(program, filled, hours(11.5))["alerts"][0]["fate"] == "waiting"
    assert listed(program, filled, hours(5))["alerts"] == []


def test_the_list_says_when_there_is_nothing_to_tell(program: Program, tmp_path: Path) -> None:
    none = program("alerts", "list")
    assert (none.code, "no database yet" in none.out) == (0, True)
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_store(url).close()
    empty = program("alerts", "list", db=url)
    assert empty.code == 0
    assert "takes the first look" in empty.out
    assert "would alert now: nothing" in empty.out


@pytest.fixture
def grounded(tmp_path: Path) -> tuple[str, tuple[bytes, bytes]]:
    """A database with an alert that was sent, and the raw answers that its two values were read from."""
    url = f"sqlite:///{tmp_path / 'tracker.db'}"
    world = World(store=open_store(url))
    bodies = (b'{"p": 0.2, "noise": "\x00\xff"}', b'{"p": 0.6}')
    for hour, body in zip((0, 10), bodies, strict=True):
        raw = RawPayload(
            "fair", "a", "https://fair.example/api/a", hours(hour), 200, "application/json", body
        )
        world.value(hour, 0.2 + hour / 25, payload=world.store.put_raw(raw))
        world.look(hour + 1)
    world.tell(12)
    world.store.close()
    return url, bodies


def test_from_an_alert_to_the_raw_bytes(program: Program, grounded: tuple[str, tuple[bytes, bytes]]) -> None:
    url, bodies = grounded
    batch = listed(program, url, hours(13))["alerts"][0]["batch"]
    for name in ("move:fair:a", "move:", batch):
        (told,) = program("alerts", "show", name, "--json", db=url).json["alerts"]
        assert (told["direction"], told["before"], told["after"], told["fate"]) == (
            "up",
            "20%",
            "60%",
            "queued",
        )
        assert told["letters"] == {"queued": 1}
        assert [one["payload"]["bytes"] for one in told["evidence"]] == [len(body) for body in bodies]
        assert {one["payload"]["url"] for one in told["evidence"]} == {"https://fair.example/api/a"}
    text = program("alerts", "show", "move:fair:a", db=url).out
    hashes = [hashlib.sha256(body).hexdigest() for body in bodies]
    assert all(one in text for one in (*hashes, "https://fair.example/api/a", "log_odds 1.0", batch))
    for sha256, body in zip(hashes, bodies, strict=True):
        assert program("db", "raw", sha256, "--out", "answer", db=url).code == 0
        assert Path("answer").read_bytes() == body
    assert f"speedup db raw {hashes[0]} --out -" in text


def test_what_cannot_be_shown_is_said_to_be_so(program: Program, filled: str) -> None:
    none = program("alerts", "show", "flip:", db=filled)
    assert (none.code, "no alert and no message named 'flip:'" in none.err) == (2, True)
    assert "its bytes are not in this database" in program("alerts", "show", "move:", db=filled).out
    assert "no database yet" in program("alerts", "show", "move:").err


def test_a_test_goes_through_every_way_out(
    program: Program, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALERT", "SLACK", "DISCORD", "MATRIX"):
        monkeypatch.setenv(f"SPEEDUP_{name}_WEBHOOK", f"{server.url}/hook")
    drop = tmp_path / "drop"
    monkeypatch.setenv("SPEEDUP_MAIL_FROM", "tracker@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_TO", "ada@example.org")
    monkeypatch.setenv("SPEEDUP_MAIL_DROP", str(drop))
    dry = program("alerts", "test", "--dry-run", "--json")
    assert dry.code == 0
    assert [one["to"] for one in dry.json["messages"]] == [
        "generic", "slack", "discord", "matrix", "ada@example.org",
    ]  # fmt: skip
    assert (server.seen("/hook"), drop.exists()) == ([], False)
    done = program("alerts", "test", "--json")
    assert (done.code, [one["sent"] for one in done.json["messages"]]) == (0, [True] * 5)
    assert len(server.seen("/hook")) == 4
    assert len(list(drop.iterdir())) == 1


def test_where_json_is_asked_for_mail_for_the_screen_goes_to_stderr(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FROM", "tracker@example.org"), ("TO", "ada@example.org"), ("DROP", "-")):
        monkeypatch.setenv(f"SPEEDUP_MAIL_{name}", value)
    told = program("alerts", "test", "--json")
    assert [one["outcome"] for one in told.json["messages"]] == ["sent: printed"]
    assert "To: <ada@example.org>" in told.err
    assert "To: <ada@example.org>" in program("alerts", "test").out


def test_a_test_says_which_way_out_failed(
    program: Program, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEEDUP_ALERT_WEBHOOK", f"{server.url}/hook")
    monkeypatch.setenv("SPEEDUP_SLACK_WEBHOOK", f"{server.url}/nowhere")
    done = program("alerts", "test")
    assert done.code == 1
    assert "rejected: http_404" in done.out
    assert "nowhere" not in done.out + done.err
    monkeypatch.delenv("SPEEDUP_ALERT_WEBHOOK")
    assert program("alerts", "test").code == 3
    monkeypatch.delenv("SPEEDUP_SLACK_WEBHOOK")
    nothing = program("alerts", "test")
    assert (nothing.code, "no way out is set" in nothing.err) == (2, True)

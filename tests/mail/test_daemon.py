"""The daemon and its mail: what is queued goes out, and being told to end breaks nothing off."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from questions.catalogue import load_catalogue
from questions.records import Quantity, Snapshot, StreamKey
from questions.time import iso
from storage import open_store
from storage.alerting import Arming
from storage.mailing import LetterState, Recipient, RecipientState
from storage.records import Batch
from storage.store import Store
from tests.mail.server import Post, mail_server, talker
from tests.servers.local import LocalServer, reply
from tests.soak.mailroom import TO, build, settings
from tracker.alerts.evaluate import RULES, evaluate, record
from tracker.config import DaemonSettings, Settings
from tracker.daemon import service
from tracker.daemon.mailing import mail_job
from tracker.daemon.service import Daemon
from tracker.mail.sending import send_digest
from tracker.schedule import WEEKDAYS

ROOT = Path(__file__).parents[2]
LOUD = """
import logging
from tracker.daemon import logs
plain = logs.set_up
def loud(*given, **more):
    plain(*given, **more)
    for name in ("", "sqlalchemy", "httpx", "httpcore", *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(1)
logs.set_up = loud
from tracker.cli import main
main()
"""
"""The program with every library's log at its loudest."""
QUICK = DaemonSettings(tick_s=0.05, lease_s=1.0)


class Slow(Post):
    """Takes its time over each message, and says when it has begun to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.begun.set()
        await asyncio.sleep(0.4)
        return await super().handle_DATA(server, session, envelope)


def queue(store: Store, now: datetime) -> None:
    own = settings("sqlite://", 25)
    send_digest(
        store, own, lambda: build(store, "2026-W47", now, ()), "2026-W47", now, now, now + timedelta(days=7)
    )
    store.close()


def until(met: Callable[[], bool], seconds: float = 12.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(0.02)


def test_told_to_end_while_it_sends_the_letter_under_way_arrives_and_the_others_wait(tmp_path: Path) -> None:
    url, post = f"sqlite:///{tmp_path / 'db'}", Slow()
    queue(open_store(url), datetime.now(UTC))
    with mail_server(post) as port:

        def daemon(stop: threading.Event) -> int:
            job = mail_job(settings(url, port), lambda: datetime.now(UTC), stop)
            return Daemon([job], lambda: open_store(url), QUICK, stop).run()

        codes: list[int] = []
        stop = threading.Event()
        thread = threading.Thread(target=lambda: codes.append(daemon(stop)))
        thread.start()
        assert post.begun.wait(12)
        stop.set()
        thread.join(15)
        assert codes == [0]
        store = open_store(url)
        states = [one.state for one in store.letters()]
        assert sorted(states) == [LetterState.QUEUED, LetterState.QUEUED, LetterState.SENT]
        assert [one.to for one in post.received] == [store.letters(state=LetterState.SENT)[0].address]

        again = threading.Event()
        thread = threading.Thread(target=lambda: codes.append(daemon(again)))
        thread.start()
        try:
            until(lambda: all(one.state is LetterState.SENT for one in store.letters()))
        finally:
            again.set()
            thread.join(15)
    assert codes == [0, 0]
    assert sorted(one.to for one in post.received) == sorted(TO)
    assert store.lease("daemon") is not None
    store.close()


def test_told_to_end_while_a_mail_server_hangs_it_ends_and_the_letters_go_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its real times, and at every word of the conversation: ``python -m tests.soak --scene mail``."""
    monkeypatch.setattr(service, "GRACE_S", 0.3)
    url, called = f"sqlite:///{tmp_path / 'db'}", threading.Event()
    queue(open_store(url), datetime.now(UTC))

    def hang(caller: socket.socket) -> None:
        called.set()
        caller.recv(1)

    def lived(port: int, met: Callable[[], bool]) -> float:
        stop, codes = threading.Event(), list[int]()
        job = mail_job(settings(url, port), lambda: datetime.now(UTC), stop)
        daemon = Daemon([job], lambda: open_store(url), QUICK, stop)
        thread = threading.Thread(target=lambda: codes.append(daemon.run()))
        thread.start()
        until(met)
        began = time.monotonic()
        stop.set()
        thread.join(15)
        assert codes == [0]
        return time.monotonic() - began

    with talker(hang) as port:
        assert lived(port, called.is_set) < 5
    store, post = open_store(url), Post()
    assert sorted(one.state.value for one in store.letters()) == ["queued", "queued", "sending"]
    with mail_server(post) as port:
        lived(port, lambda: all(one.state is LetterState.SENT for one in store.letters()))
    assert sorted(one.to for one in post.received) == sorted(TO)
    store.close()


def test_speedup_run_makes_the_digest_at_its_time_and_mails_it(tmp_path: Path) -> None:
    """The whole program, a server on loopback, an empty database: the digest says what there is not."""
    post, now = Post(rcpt={"gone@example.org": "550 no such user"}), datetime.now(UTC)
    slot = now - timedelta(hours=1)
    log = tmp_path / "log.txt"
    with mail_server(post) as port, log.open("wb") as told:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SPEEDUP_HTTP_BIND": "off",
            "SPEEDUP_SMTP_HOST": "127.0.0.1",
            "SPEEDUP_SMTP_PORT": str(port),
            "SPEEDUP_SMTP_TLS": "none",
            "SPEEDUP_MAIL_FROM": "tracker@example.org",
            "SPEEDUP_MAIL_TO": "ada@example.org,bob@example.org,gone@example.org",
            "SPEEDUP_MAIL_BASE_URL": "https://t.example.org",
            "SPEEDUP_MAIL_SECRET": "canary-of-sixteen-or-more",
            "SPEEDUP_DIGEST_AT": f"{WEEKDAYS[slot.weekday()]} {slot:%H:%M} UTC",
        }
        config = tmp_path / "config.toml"
        config.write_text("[daemon]\ntick_s = 0.1\nlease_s = 2\n")
        only = ["--only", "digest", "--only", "mail", "--config", str(config)]
        database = f"sqlite:///{tmp_path / 'db'}"
        process = subprocess.Popen(
            [sys.executable, "-c", LOUD, "run", *only, "--db", database],
            cwd=ROOT, env=environ, stdout=told, stderr=told,
        )  # fmt: skip
        try:
            until(lambda: len(post.received) == 2, 90)
            until(lambda: "mail of" in log.read_text().rpartition("begins")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, log.read_text()
    for one in post.received:
        assert one.message["X-Tracker-Reason"] == "weekly"
        assert one.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        html, text = (one.message.get_body((kind,)) for kind in ("html", "plain"))
        assert html is not None
        assert text is not None
        link = one.message["List-Unsubscribe"].partition(">")[0].strip("<")
        assert f'href="{link}"' in html.get_content()
        assert link in text.get_content()
    store = open_store(database)
    (issue,) = store.issues()
    assert issue.as_of == slot.replace(second=0, microsecond=0)
    states = {one.address: one.state.value for one in store.letters()}
    assert states == {"ada@example.org": "sent", "bob@example.org": "sent", "gone@example.org": "dead"}
    store.close()
    said = log.read_text()
    assert "2 sent" in said
    assert not re.search("(ada|bob|gone)@|canary-of", said)


def moved(url: str, now: datetime) -> None:
    """A store in which a followed question has moved since the last look at it."""
    store = open_store(url)
    link = next(one for one in load_catalogue().links if one.platform == "manifold" and one.outcome == "yes")
    key = StreamKey("manifold", *link.key, Quantity.PLAY_MONEY_PRICE)
    own = Settings(alerts={"move_hold_hours": 0, "min_age_days": 0})
    for hours, value in ((3, 0.1), (1, 0.9)):
        at = now - timedelta(hours=hours)
        backed = {"forecasters": 90, "liquidity": 5000.0, "volume": 9000.0}
        store.append(Batch(snapshots=(Snapshot(key, at, at, probability=value, **backed),)))
        if hours == 3:
            rules = {"moves": RULES["moves"]}
            record(store, evaluate(store, load_catalogue(), own, {}, at, rules))
    asked = now - timedelta(hours=2)
    store.keep_alerts((), [Arming("orders", asked, {"at": iso(asked)})])
    store.add_recipient(Recipient("canary-db@example.org", asked, RecipientState.CONFIRMED))
    store.close()


def test_at_debug_level_nobody_is_named_whatever_servers_say_of_them(tmp_path: Path) -> None:
    """Alerts and digests, taken, refused and put off, with the address in the answer; a webhook that repeats its."""
    now, database = datetime.now(UTC), f"sqlite:///{tmp_path / 'db'}"
    to = [f"canary-{name}@example.org" for name in ("ok", "gone", "later", "spam")]
    post = Post(
        rcpt={to[1]: f"550 <{to[1]}> is not here", to[2]: f"451 <{to[2]}> try later"},
        data={to[3]: f"554 {to[3]} would not want this"},
    )
    moved(database, now)
    with mail_server(post) as port, LocalServer() as hooks:
        hooks.route("/hooks/canary-token", reply(500, b"canary-token of canary-ok@example.org"))
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SPEEDUP_SMTP_HOST": "127.0.0.1",
            "SPEEDUP_SMTP_PORT": str(port),
            "SPEEDUP_SMTP_TLS": "none",
            "SPEEDUP_MAIL_FROM": "tracker@example.org",
            "SPEEDUP_MAIL_TO": ",".join(to),
            "SPEEDUP_MAIL_BASE_URL": "https://t.example.org",
            "SPEEDUP_MAIL_SECRET": "canary-of-sixteen-or-more",
            "SPEEDUP_ALERT_WEBHOOK": f"{hooks.url}/hooks/canary-token",
            "SPEEDUP_DIGEST_AT": f"{WEEKDAYS[now.weekday()]} 00:00 UTC",
        }
        config = tmp_path / "config.toml"
        config.write_text("[alerts]\nmove_hold_hours = 0\nmin_age_days = 0\n")
        only = [part for job in ("alerts", "digest", "mail", "webhooks") for part in ("--only", job)]
        done = subprocess.run(
            [sys.executable, "-c", LOUD, "run", "--once", *only, "--config", str(config), "--db", database],
            cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # An alert and a digest each to the two that work.
    kinds = sorted(str(one.message["X-Tracker-Reason"]) for one in post.received)
    assert kinds == ["alert", "alert", "weekly", "weekly"]
    store = open_store(database)
    outcomes = " ".join(one.outcome for one in store.letters())
    for said in ("is not here", "try later", "would not want this", "later: http_500"):
        assert said in outcomes
    assert "DEBUG" in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert "canary" not in " ".join(run.message for run in store.runs())
    assert hooks.seen("/hooks/canary-token")
    assert b"canary-token" not in b"".join(one.body for one in store.letters())
    store.close()

"""Digests made and sent by processes that end at a given step: one that has imported everything forks them.

    python -m tests.soak.mailroom DATABASE_URL SMTP_PORT

For each line ``STEP INSTANT`` on stdin a new process makes and sends what is due at that instant, and is killed
(SIGKILL) just before its step of that number (0: never, and nothing is counted; more than there are: only counted).
The answer is ``killed``, or ``steps N`` when it came to its end after N steps. A step is a call from, or a return to,
our own code, the mail library or the code that talks to the database: every place between two of its words to the
world is one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from storage import open_store
from storage.store import Store
from tracker.config import Settings
from tracker.daemon.mailing import mail_jobs
from tracker.daemon.service import run_once
from tracker.mail.content import UNSUBSCRIBE, InlineImage, MailContent

ROOT = Path(__file__).parents[2]
OURS = (f"{ROOT}/storage", f"{ROOT}/tracker")
OTHERS = ("/smtplib.py", "/sqlalchemy/engine/default.py", "/tests/soak/mailroom.py")
TO = ("ada@example.org", "bob@example.org", "eve@example.org")
PICTURE = bytes(range(256)) * 120


def mailing(port: int) -> dict[str, Any]:
    """The settings of mail by a server on loopback."""
    return {
        "mail_from": "tracker@example.org",
        "mail_to": TO,
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_tls": "none",
        "mail_base_url": "https://t.example.org",
        "mail_secret": "sixteen or more characters",
        "digest_at": "mon 07:00 UTC",
    }


def settings(database: str, port: int) -> Settings:
    return Settings.model_validate({"database_url": database, **mailing(port)})


def build(store: Store, week: str, as_of: datetime, skipped: tuple[str, ...]) -> MailContent:
    """A digest that says what it was made from."""
    text = f"{week} as known at {as_of.isoformat()}, skipped: {skipped}\n" * 40
    html = f'<p>{text}</p><img src="cid:order" alt="1"><a href="{UNSUBSCRIBE}">stop</a>'
    return MailContent(f"{week}: nothing moved", text, html, (InlineImage("order", "o.png", PICTURE, "1"),))


class Steps:
    """Counts, and kills."""

    def __init__(self, last: int) -> None:
        self.taken, self._last = 0, last
        self._counted: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        counted = self._counted.get(frame.f_code)
        if counted is None:
            name = frame.f_code.co_filename
            counted = self._counted[frame.f_code] = name.startswith(OURS) or name.endswith(OTHERS)
        if not counted:
            return
        self.taken += 1
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def work(chosen: Settings, at: datetime) -> None:
    """What ``speedup run --once`` does about mail."""
    jobs = mail_jobs(chosen, build, lambda: at, threading.Event())
    run_once(jobs, lambda: open_store(chosen.database()), chosen.daemon, lambda: at)


def main() -> None:
    database, port = sys.argv[1], int(sys.argv[2])
    chosen = settings(database, port)
    open_store("sqlite://").close()  # every table and statement is built once, here
    for line in sys.stdin:
        step, _, at = line.strip().partition(" ")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            steps = Steps(int(step))
            sys.setprofile(steps if int(step) else None)
            work(chosen, datetime.fromisoformat(at))
            sys.setprofile(None)
            os.write(writing, str(steps.taken).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            taken = told.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else f"steps {taken or 'none: it failed'}", flush=True)


if __name__ == "__main__":
    main()

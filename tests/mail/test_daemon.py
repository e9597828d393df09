"""The daemon and its mail: what is queued goes out, and being told to end breaks nothing off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from storage import open_store
from storage.mailing import LetterState
from storage.store import Store
from tests.mail.server import Post, mail_server
from tests.soak.mailroom import TO, build, settings
from tracker.config import DaemonSettings
from tracker.daemon.mailing import mail_job
from tracker.daemon.service import Daemon
from tracker.mail.sending import send_digest

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


def until(met: Callable[[], bool]) -> None:
    for _ in range(600):
        if met():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen in 12 s")


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

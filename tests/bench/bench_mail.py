"""How long a thousand recipients take:  python -m tests.bench.bench_mail [--recipients N] [--tastes N] [--db URL]

A digest with three pictures of 60 kB is archived and queued for all of them in one transaction, then sent to a server
on loopback. ``--tastes``: among so many choices of what to be told they are divided. Target: queued in under 2 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from storage import open_store
from storage.mailing import Channel, Recipient, RecipientState
from tests.mail.server import Post, mail_server
from tracker.config import Settings
from tracker.mail.content import UNSUBSCRIBE, InlineImage, MailContent, Taste
from tracker.mail.delivery import Smtp, SmtpSettings, drain
from tracker.mail.sending import send_digest

T0 = datetime(2026, 11, 23, 7, tzinfo=UTC)


class Chosen(MailContent):
    """Told to each taste in its own words."""

    def for_taste(self, taste: Taste) -> MailContent:
        return replace(content(), text=f"{taste}\n{self.text}", images=self.images)


def content() -> MailContent:
    line = f'<tr><td>Will it? é</td><td style="color:#111">0.53</td><td>{UNSUBSCRIBE[:30]}</td></tr>\n'
    html = f'<table>{line * 700}</table><a href="{UNSUBSCRIBE}">stop</a>'
    images = tuple(InlineImage(f"c{n}", f"c{n}.png", os.urandom(60_000), "words") for n in range(3))
    return MailContent("W47: nothing moved", "Will it? 0.53\n" * 700 + UNSUBSCRIBE, html, images)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_mail")
    parser.add_argument("--recipients", type=int, default=1000)
    parser.add_argument("--tastes", type=int, default=1)
    parser.add_argument("--db")
    chosen = parser.parse_args()
    told = {
        "mail_from": "tracker@example.org",
        "mail_base_url": "https://t.example.org",
        "mail_secret": "s" * 20,
    }
    settings = Settings.model_validate(told)
    with tempfile.TemporaryDirectory() as folder, mail_server(Post()) as port:
        store = open_store(chosen.db or f"sqlite:///{folder}/bench.sqlite")
        with store.together():
            for number in range(chosen.recipients):
                least = number % chosen.tastes / 10
                options = {"thresholds": {"move": least}} if least else {}
                store.add_recipient(
                    Recipient(f"r{number}@example.org", T0, RecipientState.CONFIRMED, options)
                )
        told_to_all = content()
        made = Chosen(told_to_all.subject, told_to_all.text, told_to_all.html, told_to_all.images)
        begun = time.perf_counter()
        queued = send_digest(store, settings, lambda: made, "2026-W47", T0, T0, T0 + timedelta(days=7))
        seconds = time.perf_counter() - begun
        body = store.letters(address="r0@example.org")[0].body
        print(f"{queued}: {seconds:.2f} s; {len(body) / 1024:.0f} KiB each")
        out = Smtp(SmtpSettings("127.0.0.1", port, "none", settings.mail_from))
        begun = time.perf_counter()
        done = drain(store, Channel.MAIL, out, lambda: T0, threading.Event())
        out.close()
        seconds = time.perf_counter() - begun
        print(f"{done}: {seconds:.1f} s ({1000 * seconds / chosen.recipients:.0f} ms each)")
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(
            f"database {size / 2**20:.1f} MiB; at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
        )
        store.close()


if __name__ == "__main__":
    main()

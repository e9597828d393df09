"""Daemons by the hundred: a process that has imported everything and forks one at each line it reads.

    python -m tests.soak.nursery DATABASE_URL SERVER_URL [SMTP_PORT]

answers each line on stdin with the process id of a new daemon; the end of stdin ends it. A fork takes
milliseconds where a start takes a second, so that kills hit the work and not the imports. With a mail server's port
they also make a digest every few seconds and send it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from questions.catalogue import Catalogue, load_catalogue
from storage import open_store
from storage.records import RunState
from storage.store import Store
from tests.soak.mailroom import build, mailing
from tests.soak.platform import QUESTIONS, SOURCES, Counting
from tests.sources.answers import link
from tests.sources.worlds import FOLLOWED, KEY
from tracker.config import Settings
from tracker.daemon.chores import poll_jobs
from tracker.daemon.mailing import mail_job
from tracker.daemon.service import Daemon
from tracker.http import HttpClient, HttpSettings, sleep_until
from tracker.mail.sending import WEEK, send_digest
from tracker.schedule import Every
from tracker.work import Done, Job

PERIOD_S = 1.0
DAEMON = {"tick_s": 0.05, "lease_s": 1.0, "workers": 4}


DIGEST_S = 2
DIGESTS_MADE_UP = 90  # slots: longer than any pause between two daemons


def settings(server: str, smtp_port: int | None = None) -> Settings:
    bases = {"polymarket_gamma": "/gamma", "polymarket_data": "/data", "polymarket_clob": "/clob"}
    names = ("manifold", "kalshi", "metr", *bases)
    return Settings.model_validate(
        {
            **{f"{name}_url": f"{server}/{name.partition('_')[0]}{bases.get(name, '')}" for name in names},
            "metaculus_url": f"{server}/counting",  # the invented source goes by this setting
            "metaculus_token": KEY,
            "poll_hours": MappingProxyType(dict.fromkeys(("counting", *SOURCES), PERIOD_S / 3600)),
            "daemon": DAEMON,
            **({} if smtp_port is None else mailing(smtp_port)),
        }
    )


def digest_slots() -> Every:
    return Every("digest", timedelta(seconds=DIGEST_S))


def named(slot: datetime) -> str:
    """The name of a slot's digest, in the shape of a week's: no other slot within days has it."""
    number = int(slot.timestamp()) // DIGEST_S
    return f"{1000 + number // 52 % 9000}-W{number % 52 + 1:02}"


def until(slot: datetime) -> datetime:
    """Until when its letters are worth sending."""
    return slot + WEEK


def mail_jobs(chosen: Settings, stop: threading.Event) -> tuple[Job, Job]:
    """A digest every two seconds, none left out, archived and queued by the program's own code; and its mail."""

    def now() -> datetime:
        return datetime.now(UTC)

    def make(store: Store, slot: datetime) -> Done:
        name = named(slot)
        made = send_digest(
            store, chosen, lambda: build(store, name, slot, ()), name, slot, now(), until(slot)
        )
        return Done(RunState.DONE, str(made))

    digest = Job("digest", digest_slots(), make, lane="digest", most=DIGESTS_MADE_UP)
    return digest, mail_job(chosen, now, stop, always=True)


def catalogue() -> Catalogue:
    """The shipped one with the links of the soak and no others."""
    real = [link(platform, one) for name in SOURCES for platform, one in FOLLOWED[name]]
    return replace(load_catalogue(), links=(*(link("counting", one) for one in QUESTIONS), *real))


def serve(database: str, known: Catalogue, chosen: Settings) -> int:
    """One daemon, until it is told to end."""
    from tracker.sources import SOURCES as ALL

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    quick = HttpSettings(attempts=1, backoff_initial_s=0.0, backoff_max_s=0.0, backoff_jitter_s=0.0)
    with HttpClient(user_agent=f"soak/{os.getpid()}", settings=quick, sleep=sleep_until(stop)) as client:
        jobs = poll_jobs(
            (Counting(), *(ALL[name] for name in SOURCES)),
            known,
            chosen,
            client=client,
            probe=client,
            now=lambda: datetime.now(UTC),
            stop=stop,
        )
        if chosen.smtp_host:
            jobs = (*mail_jobs(chosen, stop), *jobs)
        return Daemon(jobs, lambda: open_store(database), chosen.daemon, stop).run()


def main() -> None:
    database, server, *port = sys.argv[1:]
    chosen, known = settings(server, *map(int, port)), catalogue()
    import storage.sql  # noqa: F401

    open_store("sqlite://").close()  # every table and statement is built once, here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(serve(database, known, chosen))
        print(child, flush=True)


if __name__ == "__main__":
    main()

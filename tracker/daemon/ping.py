"""A dead-man switch: somebody elsewhere is told that a job began and how it ended, and alarms when told nothing.

The addresses are those of healthchecks.io and whatever speaks like it: URL/start, URL, URL/fail. It is
asked like any source, through the one door to the network; what goes wrong with it is a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from tracker.collect import Fetcher
from tracker.errors import FetchError, Stopped
from tracker.source import Request, SourceTraits

log = logging.getLogger(__name__)

JOB = "{job}"


class Ping(Protocol):
    """Tells of one run of a job; calling it again with the outcome ends it. Never raises."""

    def __call__(self, job: str, run: str, event: str) -> None: ...


def no_ping(job: str, run: str, event: str) -> None:
    """Nobody wants to know."""


def pinger(url: str | None, client: Fetcher, now: Callable[[], datetime]) -> Ping:
    """What tells ``url`` of ``start``, ``ok`` and ``fail``; nothing when there is no URL.

    ``{job}`` in it stands for the job's name, so that each can have a switch of its own (``poll-manifold``).
    """
    if not url:
        return no_ping
    host = urlsplit(url).hostname or ""
    traits = SourceTraits(
        name="ping", setting="ping", base_url=url, hosts=(host,), pace_s=0.0, period_hours=24.0, platforms=(),
        credit="", licence="", read_timeout_s=5.0, max_body_bytes=64 * 1024,
    )  # fmt: skip

    def ping(job: str, run: str, event: str) -> None:
        path = "" if event == "ok" else event
        request = Request("ping", event, path, params=(("rid", run),), accept_missing=True)
        try:
            client.fetch(
                request, traits, base_url=url.replace(JOB, job.replace(":", "-")), secret=None, now=now
            )
        except FetchError as error:
            # The address is a secret, and messages may hold it.
            log.warning("the dead-man switch was not reached (%s)", error.kind)
        except Stopped:
            return

    return ping


def new_run() -> str:
    """An id by which the switch knows which start belongs to which end."""
    return str(uuid4())

"""How the daemon asks: it stops when told to, and a source that was down is tried with one request first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from storage.records import RawPayload, SourceHealth, Validator
from tracker.collect import Fetcher, NotModifiedLike
from tracker.errors import FetchError, Stopped
from tracker.source import Request, SourceTraits

BACKOFF_FIRST = timedelta(minutes=15)
BACKOFF_MOST = timedelta(hours=6)


def backoff(failures: int) -> timedelta:
    """How long a source is left alone after so many failed polls running: 15 min, doubling to 6 h.

    >>> [str(backoff(n)) for n in (0, 1, 2, 5, 6, 99)]
    ['0:00:00', '0:15:00', '0:30:00', '4:00:00', '6:00:00', '6:00:00']
    """
    if failures <= 0:
        return timedelta(0)
    return min(BACKOFF_MOST, BACKOFF_FIRST * (1 << min(failures - 1, 10)))


def held_until(health: SourceHealth | None) -> datetime | None:
    """Until when a source is not to be asked: what it said itself, or what its failures say."""
    if health is None:
        return None
    moments = [health.not_before] if health.not_before is not None else []
    if health.failures and health.last_attempt_at is not None:
        moments.append(health.last_attempt_at + backoff(health.failures))
    return max(moments, default=None)


class Stoppable:
    """A client that asks nothing any more once ``stop`` is set: Stopped."""

    def __init__(self, client: Fetcher, stop: threading.Event) -> None:
        self._client, self._stop = client, stop

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModifiedLike:
        if self._stop.is_set():
            raise Stopped("the program was told to end")
        return self._client.fetch(
            request, traits, base_url=base_url, secret=secret, now=now, validator=validator
        )

    def url_for(self, request: Request, base_url: str) -> str:
        return self._client.url_for(request, base_url)


class Probing(Stoppable):
    """For one poll of a source that failed last time: the first request goes alone and once (``probe``).

    If it finds the source still down, nothing more is asked in this poll.
    """

    def __init__(self, probe: Fetcher, client: Fetcher, stop: threading.Event) -> None:
        super().__init__(client, stop)
        self._probe = probe
        self._turn = threading.Lock()
        self._tried = False
        self._down: FetchError | None = None

    def fetch(
        self,
        request: Request,
        traits: SourceTraits,
        *,
        base_url: str,
        secret: str | None,
        now: Callable[[], datetime],
        validator: Validator | None = None,
    ) -> RawPayload | NotModifiedLike:
        with self._turn:
            if not self._tried:
                self._tried = True
                try:
                    return Stoppable(self._probe, self._stop).fetch(
                        request, traits, base_url=base_url, secret=secret, now=now, validator=validator
                    )
                except FetchError as error:
                    self._down = error if error.retry else None
                    raise
        if self._down is not None:
            message = f"not asked: it was tried once and is still down ({self._down.kind})"
            raise FetchError(request.source, request.ref, "not_tried", message, retry=True)
        return super().fetch(request, traits, base_url=base_url, secret=secret, now=now, validator=validator)

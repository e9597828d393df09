"""How the daemon asks: it stops when told to, and a source that was down is tried with one request first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from storage.records import RawPayload, SourceHealth, Validator
from tracker.collect import Fetcher, NotModifiedLike
from tracker.errors import FetchError, Stopped
from tracker.source import Request, SourceTraits

BACKOFF_FIRST = timedelta(minutes=15)
BACKOFF_MOST = timedelta(hours=6)
SETTLED_FAILURES = 8  # from then on there is a poll every BACKOFF_MOST
REQUESTS_PER_HOUR = 3000  # unless [requests_per_hour] says otherwise
HOUR_S = 3600.0


def backoff(failures: int) -> timedelta:
    """How long a source is left alone after so many failed polls running: 15 min, doubling to 6 h.

    >>> [str(backoff(n)) for n in (0, 1, 2, 5, 6, 99)]
    ['0:00:00', '0:15:00', '0:30:00', '4:00:00', '6:00:00', '6:00:00']
    """
    if failures <= 0:
        return timedelta(0)
    return min(BACKOFF_MOST, BACKOFF_FIRST * (1 << min(failures - 1, 10)))


def tries(failures: int, client: Fetcher, probe: Fetcher) -> tuple[Fetcher, ...]:
    """Through what the first requests of a poll go until one is answered, after so many failed polls running.

    A source that did well gets a second chance with another request. One that is down gets one request a poll, and
    two when polls have become rare: a single page that is broken must not hide that the rest is back. So a source
    that goes down and stays down gets at most twelve requests in any day.
    """
    if failures <= 0:
        return (client, probe)
    return (probe,) if failures < SETTLED_FAILURES else (probe, probe)


def held_until(health: SourceHealth | None) -> datetime | None:
    """Until when a source is not to be asked: what it said itself, or what its failures say."""
    if health is None:
        return None
    moments = [health.not_before] if health.not_before is not None else []
    if health.failures and health.last_attempt_at is not None:
        moments.append(health.last_attempt_at + backoff(health.failures))
    return max(moments, default=None)


class HourlyBudget:
    """How many requests a source may still get in any hour; one budget for all clients of a process.

    Called with a source's name it takes one request out and returns 0.0, or takes none and returns after how many
    seconds there will be one. Any number of threads.
    """

    def __init__(self, limits: Mapping[str, int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._sent: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def limit(self, source: str) -> int:
        return self._limits.get(source, REQUESTS_PER_HOUR)

    def __call__(self, source: str) -> float:
        with self._lock:
            sent = self._recent(source)
            if len(sent) >= self.limit(source):
                return max(1.0, HOUR_S - (self._clock() - sent[0]))
            sent.append(self._clock())
            return 0.0

    def spent(self, source: str) -> int:
        """Requests of the last hour."""
        with self._lock:
            return len(self._recent(source))

    def _recent(self, source: str) -> deque[float]:
        sent = self._sent.setdefault(source, deque())
        while sent and self._clock() - sent[0] >= HOUR_S:
            sent.popleft()
        return sent


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


class Unasked(Stoppable):
    """For those who only want to know of jobs: whatever is asked through it, the program has ended."""

    def __init__(self) -> None:
        ended = threading.Event()
        ended.set()
        super().__init__(self, ended)

    def url_for(self, request: Request, base_url: str) -> str:
        raise Stopped("nothing is asked here")

    def send(self, *_what: object, **_how: object) -> RawPayload:
        raise Stopped("nothing is sent here")


class Probing(Stoppable):
    """For one poll: until one is answered, requests go one by one, each through the next of ``tries``.

    When every try has found the source down, nothing more is asked in this poll.
    """

    def __init__(self, tries: Sequence[Fetcher], client: Fetcher, stop: threading.Event) -> None:
        super().__init__(client, stop)
        self._tries = deque(tries)
        self._turn = threading.Lock()
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
            if self._tries:
                asking = Stoppable(self._tries.popleft(), self._stop)
                try:
                    answer = asking.fetch(
                        request, traits, base_url=base_url, secret=secret, now=now, validator=validator
                    )
                except FetchError as error:
                    self._down = error if error.retry else None
                    if not error.retry:
                        self._tries.clear()
                    raise
                self._tries.clear()
                self._down = None
                return answer
        if self._down is not None:
            message = f"not asked: it was tried and is down ({self._down.kind})"
            raise FetchError(request.source, request.ref, "not_tried", message, retry=True)
        return super().fetch(request, traits, base_url=base_url, secret=secret, now=now, validator=validator)

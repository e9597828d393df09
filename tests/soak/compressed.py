"""Months in minutes: the daemon itself, with clocks that are moved from slot to slot instead of waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.store import Store
from tracker.config import DaemonSettings
from tracker.daemon.clock import SteadyClock
from tracker.daemon.service import Daemon
from tracker.work import Job

EVERY_S = 15.0


@dataclass
class Time:
    """A wall clock and a monotonic one that go together and only when told to."""

    now: datetime
    passed_s: float = 0.0

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.passed_s

    def forward(self, step: timedelta) -> None:
        self.now += step
        self.passed_s += step.total_seconds()


class Compressed:
    """A daemon whose time is ``time``; ``until`` lets it live, tick by tick, as far as that moment."""

    def __init__(
        self,
        jobs: Sequence[Job],
        open_store: Callable[[], Store],
        time: Time,
        stop: threading.Event | None = None,
    ) -> None:
        self.time, self.jobs = time, tuple(jobs)
        self._stop = stop or threading.Event()
        self.daemon = Daemon(
            jobs, open_store, DaemonSettings(workers=2), self._stop,
            clock=SteadyClock(wall=time.wall, monotonic=time.monotonic), monotonic=time.monotonic,
        )  # fmt: skip

    def tick(self) -> None:
        """One look, and all that it starts, to the end; and again for what had to wait for a worker."""
        while True:
            self.daemon.tick()
            started = [thread for thread in self.daemon._threads.values() if thread.is_alive()]
            for thread in started:
                thread.join()
            ran = self.daemon._threads
            if not started and not ran:
                return
            self.daemon._threads = {}

    def until(self, end: datetime, step: timedelta | None = None) -> None:
        """Every ``step``, or from each next slot of any job to the one after, with a tick at each."""
        while self.time.now < end:
            self.tick()
            to = min(job.slots.after(self.time.now) for job in self.jobs) + timedelta(seconds=EVERY_S)
            self.time.forward(step or min(to, end) - self.time.now)
        self.tick()

    def close(self) -> None:
        self._stop.set()
        self.daemon._end()

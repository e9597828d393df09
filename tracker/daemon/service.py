"""The daemon: looks at the clock and the ledger, leads or stands by, hands slots to workers, watches itself.

    Daemon(...).run(stop) -> exit code

Two clocks: slots go by ``SteadyClock``; how long something takes goes by the monotonic one.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from questions.time import EPOCH
from storage.records import Lease, Run, RunState
from storage.store import Store
from tracker.config import DaemonSettings
from tracker.daemon.clock import SteadyClock
from tracker.daemon.notify import Notifier
from tracker.daemon.ping import Ping, new_run, no_ping
from tracker.daemon.state import Watch, one_line
from tracker.errors import Stopped, TrackerError
from tracker.schedule import is_due
from tracker.work import MESSAGE_LENGTH, Done, Job, abandon, due, execute

if TYPE_CHECKING:
    from tracker.daemon.ticker import Ticker

log = logging.getLogger(__name__)

LEASE = "daemon"
CLOCK = "clock"  # in the ledger: the latest time at which this database was worked on, one line
GRACE_S = 10.0  # for what is under way when the program is told to end
AGAIN_S, AGAIN_MOST_S = 60.0, 3600.0  # a job that failed is tried again after so long, doubling
SILENT_TICKS = 3  # after so many missed ticks the ticker counts as dead


def new_holder() -> str:
    """A name no other process has: machine, process, chance."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def latest_work(store: Store) -> datetime | None:
    """The latest time at which this database was worked on, whoever's clock said so."""
    return max((run.started_at for run in store.runs(CLOCK)), default=None)


@dataclass
class _Waiting:
    """A job that failed: how often running, and when (monotonic) it may be tried again."""

    failures: int = 0
    until: float = 0.0


class Daemon:
    """One instance. ``open_store`` gives a store of its own to each thread that needs one.

    ``stop`` is the event that ends everything; whoever asks sources for this daemon honours it too.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        open_store: Callable[[], Store],
        settings: DaemonSettings,
        stop: threading.Event,
        *,
        clock: SteadyClock | None = None,
        watch: Watch | None = None,
        notifier: Notifier | None = None,
        ping: Ping = no_ping,
        holder: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs, self._open, self.settings, self._stop = tuple(jobs), open_store, settings, stop
        self.watch = watch or Watch(monotonic)
        limits = {job.name: job.limit for job in self.jobs}
        self.watch.limits = {
            name: limit.total_seconds() for name, limit in limits.items() if limit is not None
        }
        self._notifier, self._ping, self._monotonic = notifier or Notifier({}), ping, monotonic
        self.holder = holder or new_holder()
        self._control = open_store()
        self.clock = clock or SteadyClock(latest_work(self._control))
        self._lease: Lease | None = None
        self._ticking = threading.Lock()
        self._wake: Ticker | None = None
        self._revived_at = monotonic()
        self._threads: dict[str, threading.Thread] = {}
        self._lanes: set[str] = set()
        self._waiting: dict[str, _Waiting] = {}
        self._settled: dict[str, datetime] = {}
        self._slots: dict[str, tuple[datetime, datetime]] = {}
        self._pinged_at = monotonic()

    # the life of it

    def run(self) -> int:
        """Work until ``stop``; returns the exit code."""
        self.tick()
        self._notifier("READY=1", f"STATUS={one_line(self.watch)}")
        log.info("ready: %s", one_line(self.watch))
        self._wake = self._ticker()
        self._revived_at = self._monotonic()
        pause = min(1.0, self.settings.tick_s / 4)
        while not self._stop.wait(pause):
            self.supervise()
        return self._end()

    def _ticker(self) -> Ticker:
        """A ticker that knows one job; each tick arms the next, so that no clock can make it owe thousands."""
        from tracker.daemon.ticker import Ticker

        scheduler = Ticker()
        scheduler.start()
        self._arm(scheduler)
        return scheduler

    def _arm(self, scheduler: Ticker) -> None:
        when = datetime.now(UTC) + timedelta(seconds=self.settings.tick_s)
        scheduler.add_job(
            self._tick_and_arm, "date", args=(scheduler,), run_date=when, id="tick", replace_existing=True
        )

    def _tick_and_arm(self, scheduler: Ticker) -> None:
        try:
            self.tick()
        finally:
            if scheduler is self._wake and not self._stop.is_set():
                self._arm(scheduler)

    def supervise(self) -> None:
        """Replace a ticker that has died; tell systemd that we live only if work goes on."""
        silent_s = SILENT_TICKS * self.settings.tick_s
        now = self._monotonic()
        if now - max(self._revived_at, self.watch.begun_at) > silent_s:
            log.error("no tick for %.0f s: the ticker is replaced", silent_s)
            self.watch.count("speedup_scheduler_revivals_total")
            old, self._revived_at = self._wake, now
            self._wake = self._ticker()
            if old is not None:
                with suppress(Exception):  # whatever state it is in
                    old.shutdown(wait=False)
            self.tick()
        every = self._notifier.watchdog_s
        if every is not None and now - self._pinged_at >= every / 3 and not self.troubles():
            self._pinged_at = now
            self._notifier("WATCHDOG=1", f"STATUS={one_line(self.watch)}")

    def troubles(self) -> list[str]:
        """Why this instance is not well; empty when it is."""
        return self.watch.troubles(self.settings.tick_s, 60 * self.settings.job_limit_minutes)

    def _end(self) -> int:
        """Finish or abandon what is under way within the grace; give up the lead."""
        self._notifier("STOPPING=1")
        log.info("told to end: %d jobs under way", len(self.watch.running))
        if self._wake is not None:
            self._wake.shutdown(wait=False)
        until = self._monotonic() + GRACE_S
        for thread in list(self._threads.values()):
            thread.join(max(0.0, until - self._monotonic()))
        with self._ticking:
            left = sorted(self.watch.running)
            if left:
                log.warning("abandoned, to be done again: %s", ", ".join(left))
            with suppress(TrackerError):
                if self._lease is not None:
                    self._control.give_up_lease(self._lease)
            self._lease = None
            if not left:
                self._control.close()
        log.info("ended")
        return 0

    # a look at what is due

    def tick(self) -> None:
        """Renew the lead and hand out what is due. Never raises; a failure is a count and a line in the log."""
        self.watch.begun_at = self._monotonic()
        if not self._ticking.acquire(blocking=False):
            return  # the one before is still at it; the supervisor and the watchdog see that
        try:
            if self._stop.is_set():
                return
            now = self.clock()
            self.watch.clock_suspect = self.clock.suspect
            self._lead(now)
            if self._lease is not None:
                self._hand_out(now)
        except TrackerError as error:
            self._tick_failed(str(error))
        except Exception as error:
            log.exception("a fault in the program")
            self._tick_failed(f"a fault in the program: {type(error).__name__}")
        else:
            self.watch.tick_at, self.watch.tick_failed = self._monotonic(), ""
            self.watch.count("speedup_ticks_total", outcome="ok")
        finally:
            self._control.fence(None)
            self._ticking.release()

    def _tick_failed(self, message: str) -> None:
        log.error("nothing can be started: %s", message)
        self.watch.tick_failed = message
        self.watch.count("speedup_ticks_total", outcome="failed")

    def _lead(self, now: datetime) -> None:
        """Take, renew or lose the lead; a new leader closes what the one before left open, in one transaction."""
        term, before = timedelta(seconds=self.settings.lease_s), self._lease
        left: list[str] = []
        with self._control.together():
            lease = self._control.take_lease(LEASE, self.holder, self.clock.wall(), term)
            known = lease or self._control.lease(LEASE)
            new = lease is not None and (before is None or before.token != lease.token)
            if new:
                left = abandon(self.jobs, self._control, now)
            if lease is not None:
                self._control.end_run(Run(CLOCK, EPOCH, RunState.DONE, now, now, self.holder))
        self._lease = lease
        self.watch.leading, self.watch.leader = lease is not None, known.holder if known else ""
        if lease is None and before is not None:
            log.warning("the lead is lost to %s", self.watch.leader)
            self.watch.count("speedup_leader_changes_total", to="other")
        if lease is None:
            return
        self._control.fence(lease)
        if new:
            log.info("leading, token %d", lease.token)
            self.watch.count("speedup_leader_changes_total", to="self")
        for name in left:
            log.warning("%s had been begun and not ended: it is due again", name)

    def _hand_out(self, now: datetime) -> None:
        assert self._lease is not None
        for job in self.jobs:
            if self._stop.is_set() or len(self.watch.running) >= self.settings.workers:
                return
            with self.watch.lock:
                busy = bool(job.lanes & self._lanes) or job.name in self.watch.running
            waiting = self._waiting.get(job.name)
            present = self._present(job, now)
            if busy or self._settled.get(job.name) == present:
                continue
            if waiting is not None and self._monotonic() < waiting.until:
                continue
            slots = due(job, self._control, now)
            if slots:
                self._start(job, slots[0], self._lease)
            elif job.most == 1 and not is_due(present, self._control.runs(job.name, present)):
                self._settled[job.name] = present  # what has ended stays so: no need to look again

    def _present(self, job: Job, now: datetime) -> datetime:
        """The latest slot of a job; looked up again when the next one has come."""
        slot, following = self._slots.get(job.name, (now, now))
        if not slot <= now < following:
            slot, following = self._slots[job.name] = job.slots.at(now), job.slots.after(now)
        return slot

    def _start(self, job: Job, slot: datetime, lease: Lease) -> None:
        thread = threading.Thread(target=self._work, args=(job, slot, lease), name=job.name, daemon=True)
        with self.watch.lock:
            self.watch.running[job.name] = self._monotonic()
            self._lanes |= job.lanes
        self._threads[job.name] = thread
        thread.start()

    def _work(self, job: Job, slot: datetime, lease: Lease) -> None:
        """One run in its own thread, with its own store, behind the fence of the lead it was started under."""
        state, run = RunState.FAILED, new_run()
        try:
            state = self._run_fenced(job, slot, lease, run)
        except Stopped:
            log.info("%s: broken off", job.name)
        except TrackerError as error:
            log.warning("%s: %s", job.name, error)
        except Exception:
            log.exception("%s: a fault in the program", job.name)
        finally:
            self._note(job, state)
            if not self._stop.is_set():
                self._ping(job.name, run, "fail" if state is RunState.FAILED else "ok")
            with self.watch.lock:
                del self.watch.running[job.name]
                self._lanes -= job.lanes
            if self._wake is not None and not self._stop.is_set():
                self._wake.add_job(self.tick, "date", id="soon", replace_existing=True)

    def _run_fenced(self, job: Job, slot: datetime, lease: Lease, run: str) -> RunState:
        store = self._open()
        try:
            store.fence(lease)
            self._ping(job.name, run, "start")
            log.info("%s of %s begins", job.name, slot.isoformat())
            done = execute(job, slot, store, self.clock.wall)
        finally:
            store.close()
        if done is None:
            return RunState.SKIPPED
        level = logging.WARNING if done.state is RunState.FAILED else logging.INFO
        log.log(
            level,
            "%s of %s: %s %s",
            job.name,
            slot.isoformat(),
            done.state.value,
            done.message[:MESSAGE_LENGTH],
        )
        return done.state

    def _note(self, job: Job, state: RunState) -> None:
        """Count the outcome; what failed waits before it is tried again, whatever the reason."""
        self.watch.count("speedup_runs_total", job=job.name, state=state.value)
        if state is not RunState.FAILED:
            self._waiting.pop(job.name, None)
            return
        waiting = self._waiting.setdefault(job.name, _Waiting())
        waiting.until = self._monotonic() + min(AGAIN_MOST_S, AGAIN_S * (1 << min(waiting.failures, 10)))
        waiting.failures += 1


@contextmanager
def _leading(
    open_store: Callable[[], Store], settings: DaemonSettings, now: Callable[[], datetime]
) -> Iterator[tuple[Lease | None, str]]:
    """Lead for as long as the block lasts, if nobody else does: (lease, its or the other's holder)."""
    control, holder, term = open_store(), new_holder(), timedelta(seconds=settings.lease_s)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(settings.lease_s / 4):
            with suppress(TrackerError):  # busy or full: the next time, or the fence says so
                control.take_lease(LEASE, holder, now(), term)

    renewing = threading.Thread(target=renew, name="lease", daemon=True)
    try:
        lease = control.take_lease(LEASE, holder, now(), term)
        if lease is None:
            other = control.lease(LEASE)
            yield None, other.holder if other else ""
            return
        renewing.start()
        try:
            yield lease, holder
        finally:
            over.set()
            renewing.join()
            control.give_up_lease(lease)
    finally:
        control.close()


def run_once(
    jobs: Sequence[Job],
    open_store: Callable[[], Store],
    settings: DaemonSettings,
    now: Callable[[], datetime],
) -> tuple[str, list[tuple[Job, datetime, Done]]]:
    """Run what is due and come back: who leads instead (empty: we did), and job, slot and outcome of each run.

    For cron and timers. Under the same lead as the daemon, so that the two never work at once.
    """
    outcomes: list[tuple[Job, datetime, Done]] = []
    with _leading(open_store, settings, now) as (lease, holder):
        if lease is None:
            return holder, []
        store = open_store()
        try:
            store.fence(lease)
            abandon(jobs, store, now())
            for job in jobs:
                for slot in due(job, store, now()):
                    done = execute(job, slot, store, now)
                    if done is not None:
                        outcomes.append((job, slot, done))
        finally:
            store.close()
    return "", outcomes

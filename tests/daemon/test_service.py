"""The daemon in this process, with jobs that say what they do: leading, lanes, faults, its own watching."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import open_store
from storage.errors import LeaseLost, StorageError
from storage.records import Gap, Run, RunState
from storage.store import Store
from tests.tracker.fakes import Clock
from tracker.config import DaemonSettings
from tracker.daemon.clock import SteadyClock
from tracker.daemon.notify import Notifier
from tracker.daemon.service import CLOCK, Daemon, run_once
from tracker.schedule import Every
from tracker.work import Done, Job

HOUR = timedelta(hours=1)


@dataclass
class Told:
    """What systemd would have been told."""

    said: list[str] = field(default_factory=list)
    watchdog_s: float | None = 0.03

    def __call__(self, *messages: str) -> None:
        self.said += messages


def settings(**more: float) -> DaemonSettings:
    return DaemonSettings.model_validate({"tick_s": 0.05, "lease_s": 1.0, **more})


def job(name: str, run: Callable[[Store, datetime], Done] | None = None, lane: str = "") -> Job:
    return Job(name, Every(name, HOUR), run or (lambda *_: Done(RunState.DONE)), lane or name)


class House:
    """A database and the daemons on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = Clock()
        self.monotonic = time.monotonic

    def open(self) -> Store:
        return open_store(self.url)

    def daemon(self, *jobs: Job, told: Told | None = None, **more: float) -> Daemon:
        notifier = Notifier({})
        if told is not None:
            notifier = told  # type: ignore[assignment]
        clock = SteadyClock(wall=self.now)
        return Daemon(jobs, self.open, settings(**more), threading.Event(), clock=clock, notifier=notifier)

    def runs(self, name: str) -> list[Run]:
        store = self.open()
        try:
            return store.runs(name)
        finally:
            store.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(f"sqlite:///{tmp_path / 'house.sqlite'}")


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that other threads bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def idle(*daemons: Daemon) -> None:
    until(lambda: not any(daemon.watch.running for daemon in daemons))


@contextmanager
def running(daemon: Daemon) -> Iterator[None]:
    """The daemon's whole life in a thread; ended by its own event."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(daemon.run()))
    thread.start()
    try:
        yield
    finally:
        daemon._stop.set()
        thread.join(30)
    assert codes == [0]


def close(daemon: Daemon) -> None:
    idle(daemon)
    daemon._stop.set()
    daemon._end()


def test_a_slot_runs_once_however_often_it_is_looked_at(house: House) -> None:
    ran: list[datetime] = []
    daemon = house.daemon(job("a", lambda _store, slot: ran.append(slot) or Done(RunState.DONE)))
    for _ in range(5):
        daemon.tick()
        idle(daemon)
    house.now.forward(hours=1)
    daemon.tick()
    idle(daemon)
    assert len(ran) == 2
    assert ran[1] - ran[0] == HOUR
    assert [run.state for run in house.runs("a")] == [RunState.DONE] * 2
    close(daemon)


def test_of_two_daemons_one_leads_and_the_other_takes_over_when_it_ends(house: House) -> None:
    first, second = house.daemon(job("a")), house.daemon(job("a"))
    first.tick()
    second.tick()
    assert (first.watch.leading, second.watch.leading) == (True, False)
    assert second.watch.leader == first.holder
    assert second.troubles() == [], "standing by is well"
    close(first)
    second.tick()
    assert second.watch.leading
    close(second)
    assert [run.state for run in house.runs("a")] == [RunState.DONE]


def test_a_job_of_a_leader_that_lost_its_lead_writes_nothing_more(house: House) -> None:
    begun, gate, errors = threading.Event(), threading.Event(), []

    def slow(store: Store, _slot: datetime) -> Done:
        begun.set()
        gate.wait(20)
        try:
            at = datetime.now(UTC)
            store.add_gap(Gap("late", at, at, "written by the old leader"))
        except LeaseLost as error:
            errors.append(error)
            raise
        return Done(RunState.DONE)

    old, new = house.daemon(job("a", slow)), house.daemon(job("a"))
    old.tick()
    assert begun.wait(20)
    house.now.forward(minutes=5)  # its term is over: it was stopped, or its machine slept
    store = house.open()
    new.tick()
    assert new.watch.leading
    gate.set()
    idle(old, new)
    assert len(errors) == 1
    assert store.gaps() == []
    old.tick()
    assert not old.watch.leading
    assert [run.state for run in house.runs("a")] == [RunState.DONE], "the new leader did it again"
    store.close()
    close(old)
    close(new)


def test_jobs_of_one_lane_never_run_together_and_others_do(house: House) -> None:
    together, most, lock = {"x": 0, "y": 0}, {"x": 0, "y": 0}, threading.Lock()
    both = threading.Barrier(2)

    def work(lane: str, wait: bool) -> Callable[[Store, datetime], Done]:
        def run(_store: Store, _slot: datetime) -> Done:
            with lock:
                together[lane] += 1
                most[lane] = max(most[lane], together[lane])
            if wait:
                both.wait(20)  # passes only if two lanes run at once
            time.sleep(0.02)
            with lock:
                together[lane] -= 1
            return Done(RunState.DONE)

        return run

    jobs = (
        job("x1", work("x", True), "x"),
        job("x2", work("x", False), "x"),
        job("y1", work("y", True), "y"),
    )
    daemon = house.daemon(*jobs, workers=3)
    until(lambda: daemon.tick() or all(house.runs(one.name) for one in jobs))
    idle(daemon)
    assert most == {"x": 1, "y": 1}
    close(daemon)


def test_what_a_killed_leader_left_open_is_done_again_at_once_and_nothing_else_is_touched(
    house: House,
) -> None:
    store = house.open()
    slot = Every("a", HOUR).at(house.now())
    assert store.begin_run("a", slot, house.now())
    store.end_run(Run("history:a", slot, RunState.RUNNING, house.now()))
    store.close()
    daemon = house.daemon(job("a"))
    daemon.tick()
    idle(daemon)
    assert [run.state for run in house.runs("a")] == [RunState.DONE]
    assert [run.state for run in house.runs("history:a")] == [RunState.RUNNING]
    close(daemon)


@pytest.mark.parametrize("wrong", [StorageError("the disk is full"), ValueError("a bug")])
def test_a_job_that_fails_is_tried_again_only_after_a_while_and_stops_nothing_else(
    house: House, wrong: Exception
) -> None:
    tries = []

    def fail(_store: Store, _slot: datetime) -> Done:
        tries.append(1)
        raise wrong

    daemon = house.daemon(job("bad", fail), job("good"))
    moment = [time.monotonic()]
    daemon._monotonic = lambda: moment[0]
    for _ in range(5):
        daemon.tick()
        idle(daemon)
    assert (len(tries), house.runs("bad")[0].state) == (1, RunState.FAILED)
    assert house.runs("good")[0].state is RunState.DONE
    for seconds, expected in ((61, 2), (61, 2), (61, 3)):
        moment[0] += seconds
        daemon.tick()
        idle(daemon)
        assert len(tries) == expected
    close(daemon)


def test_a_store_that_raises_once_costs_one_tick_and_the_watchdog_is_not_told_meanwhile(house: House) -> None:
    told = Told()
    daemon = house.daemon(job("a"), told=told)
    real, failing = daemon._control.take_lease, [False]

    def take(*arguments: object) -> object:
        if failing[0]:
            raise StorageError("disk I/O error")
        return real(*arguments)  # type: ignore[arg-type]

    daemon._control.take_lease = take  # type: ignore[method-assign,assignment]
    with running(daemon):
        until(lambda: "WATCHDOG=1" in told.said)
        failing[0] = True
        until(lambda: any("disk I/O error" in one for one in daemon.troubles()))
        told.said.clear()
        time.sleep(0.3)
        assert "WATCHDOG=1" not in told.said
        failing[0] = False
        until(lambda: "WATCHDOG=1" in told.said)
    assert told.said[-1] == "STOPPING=1"


def test_a_ticker_that_died_is_replaced(house: House) -> None:
    daemon = house.daemon(job("a"))
    with running(daemon):
        until(lambda: daemon._wake is not None and daemon.watch.tick_at)
        dead = daemon._wake
        assert dead is not None
        dead.shutdown(wait=False)
        until(lambda: daemon._wake is not dead)
        house.now.forward(hours=1)
        until(lambda: len(house.runs("a")) == 2)
    assert daemon.watch.counts["speedup_scheduler_revivals_total", ()] >= 1


@pytest.mark.parametrize("moved", [-HOUR, timedelta(days=1), timedelta(days=365)])
def test_after_a_step_of_the_clock_the_polls_go_on_and_no_slot_comes_twice(
    house: House, moved: timedelta
) -> None:
    slots: list[datetime] = []
    every = Job(
        "a", Every("a", timedelta(seconds=1)), lambda _s, slot: slots.append(slot) or Done(RunState.DONE), "a"
    )
    wall = lambda: datetime.now(UTC) + shift[0]  # noqa: E731
    shift = [timedelta(0)]
    daemon = Daemon([every], house.open, settings(), threading.Event(), clock=SteadyClock(wall=wall))
    with running(daemon):
        until(lambda: len(slots) >= 2)
        shift[0] = moved
        seen = len(slots)
        until(lambda: len(slots) >= seen + 3, 10)
    assert len(slots) == len(set(slots))
    assert slots == sorted(slots)
    assert daemon.watch.clock_suspect == (moved < timedelta(0))
    assert house.runs(CLOCK)[0].started_at >= slots[-1]


def test_told_to_end_it_breaks_off_what_does_not_end_and_gives_up_the_lead(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.daemon.service.GRACE_S", 0.2)
    gate = threading.Event()
    daemon = house.daemon(job("stuck", lambda *_: gate.wait(20) and Done(RunState.DONE)))
    daemon.tick()
    began = time.monotonic()
    daemon._stop.set()
    assert daemon._end() == 0
    assert time.monotonic() - began < 5
    assert house.runs("stuck")[0].state is RunState.RUNNING
    next_one = house.daemon(job("stuck"))
    next_one.tick()
    idle(next_one)
    assert house.runs("stuck")[0].state is RunState.DONE
    gate.set()
    idle(daemon)
    assert house.runs("stuck")[0].state is RunState.DONE
    close(next_one)
    with suppress(StorageError):
        daemon._control.close()


def test_a_job_that_is_stuck_is_a_trouble(house: House) -> None:
    gate = threading.Event()
    daemon = house.daemon(job("stuck", lambda *_: gate.wait(20) and Done(RunState.DONE)), job_limit_minutes=1)
    daemon.tick()
    assert daemon.troubles() == []
    daemon.watch.running["stuck"] -= 61
    assert "stuck" in daemon.troubles()[0]
    gate.set()
    close(daemon)


def test_run_once_does_what_is_due_unless_a_daemon_leads(house: House) -> None:
    jobs = [job("a"), job("b")]
    leader, outcomes = run_once(jobs, house.open, settings(), house.now)
    assert (leader, [(one.name, done.state) for one, _, done in outcomes]) == (
        "",
        [("a", RunState.DONE), ("b", RunState.DONE)],
    )
    assert run_once(jobs, house.open, settings(), house.now) == ("", [])
    house.now.forward(hours=1)
    daemon = house.daemon()
    daemon.tick()
    leader, outcomes = run_once(jobs, house.open, settings(), house.now)
    assert (leader, outcomes) == (daemon.holder, [])
    close(daemon)
    assert len(run_once(jobs, house.open, settings(), house.now)[1]) == 2

"""A scheduler that is told to end at the worst moment ends quietly."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from tracker.daemon.ticker import Ticker


class Slow(ThreadPoolExecutor):  # type: ignore[misc]
    """Between starting a job and taking it off the list, somebody shuts the scheduler down."""

    def submit_job(self, job: object, run_times: list[datetime]) -> None:
        super().submit_job(job, run_times)
        ending = threading.Thread(target=self._scheduler.shutdown, kwargs={"wait": False})
        ending.start()
        ending.join(0.2)  # it waits for the list itself


def thread_errors(
    scheduler: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> list[type[BaseException]]:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: seen.append(told.exc_type))
    scheduler.add_executor(Slow(1))
    done = threading.Event()
    scheduler.start()
    thread = scheduler._thread
    scheduler.add_job(done.set, "date", run_date=datetime.now(UTC))
    assert done.wait(10)
    thread.join(10)
    assert not thread.is_alive()
    return seen


def test_it_ends_quietly_between_starting_a_job_and_taking_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_errors(Ticker(), monkeypatch) == []


def test_without_it_the_library_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thread_errors(BackgroundScheduler(timezone=UTC), monkeypatch) == [JobLookupError]


def test_a_job_that_is_lost_while_it_runs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Ticker()
    scheduler.start(paused=True)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(BackgroundScheduler, "_process_jobs", lambda _: scheduler.remove_job("nobody"))
            with pytest.raises(JobLookupError):
                scheduler._process_jobs()
    finally:
        scheduler.shutdown(wait=False)

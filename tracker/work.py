"""A job for a slot: claimed in the ledger, done, written down. What the jobs are is said elsewhere.

Every job is a function of a slot and rerunning one changes nothing that is known, so whatever ends without
having been written down (a kill, a full disk) is simply run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from storage.errors import StorageError
from storage.records import Run, RunState
from storage.store import Store
from tracker.errors import Stopped, TrackerError
from tracker.schedule import FINISHED, Slots, missed, owed

log = logging.getLogger(__name__)

MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Done:
    """How a job ended; ``report`` is what a caller may want besides."""

    state: RunState
    message: str = ""
    report: Any = None


@dataclass(frozen=True)
class Job:
    """Something to do once per slot.

    ``run`` gets the store and the slot. Jobs of one ``lane`` never run at the same time; ``also``: further lanes
    that it takes. ``limit``: longer than this it should never take. ``late``: a slot older than this is skipped;
    ``most``: how many slots back are made up for. ``source`` and ``period``: the source that goes unobserved when
    slots go by, which is recorded as a gap. ``held`` tells until when the job is not to be tried.
    """

    name: str
    slots: Slots
    run: Callable[[Store, datetime], Done]
    lane: str
    late: timedelta | None = None
    most: int = 1
    source: str | None = None
    period: timedelta | None = None
    held: Callable[[Store], datetime | None] | None = None
    also: tuple[str, ...] = ()
    limit: timedelta | None = None

    @property
    def lanes(self) -> frozenset[str]:
        """Every lane that is taken while it runs."""
        return frozenset((self.lane, *self.also))


def due(job: Job, store: Store, now: datetime) -> tuple[datetime, ...]:
    """The slots of a job to run now, newest first; what is too old is written down as skipped."""
    since = job.slots.at(now)
    for _ in range(job.most - 1):
        since = job.slots.at(since - timedelta(microseconds=1))
    run, skipped = owed(job.slots, store.runs(job.name, since), now, most=job.most, late=job.late)
    for slot in skipped:
        store.end_run(Run(job.name, slot, RunState.SKIPPED, now, now, "too late: its time went by unused"))
    until = job.held(store) if run and job.held is not None else None
    return run if until is None or now >= until else ()


def execute(job: Job, slot: datetime, store: Store, now: Callable[[], datetime]) -> Done | None:
    """Run one slot under the ledger; None when somebody else has it.

    Raises StorageError (the ledger says ``failed`` if it can still be written) and Stopped, never what is wrong
    with a source or in a job's own code: that is the job's outcome.
    """
    started = now()
    if not store.begin_run(job.name, slot, started):
        return None
    _note_gap(job, slot, store)
    try:
        done = job.run(store, slot)
    except StorageError as error:
        store.end_run(_failed(job, slot, started, now(), str(error)))
        raise
    except Stopped:
        store.end_run(_failed(job, slot, started, now(), "broken off: the program was told to end"))
        raise
    except (TrackerError, OSError) as error:
        done = Done(RunState.FAILED, str(error))
    except Exception as error:
        log.exception("%s: a fault in the program", job.name)
        done = Done(RunState.FAILED, f"a fault in the program: {type(error).__name__}")
    store.end_run(Run(job.name, slot, done.state, started, now(), done.message[:MESSAGE_LENGTH]))
    return done


def _failed(job: Job, slot: datetime, started: datetime, ended: datetime, message: str) -> Run:
    return Run(job.name, slot, RunState.FAILED, started, ended, message[:MESSAGE_LENGTH])


def _note_gap(job: Job, slot: datetime, store: Store) -> None:
    """Write down the slots that went by without an observation since the last one."""
    if job.source is None or job.period is None:
        return
    gap = missed(job.name, job.source, job.period, slot, store.runs(job.name))
    if gap is not None:
        store.add_gap(gap)


def abandon(jobs: Sequence[Job], store: Store, now: datetime) -> list[str]:
    """Close what a leader that is gone had begun, so that its slots are due again; returns the jobs' names.

    Only for the leader: nobody else may be running these.
    """
    names = {job.name for job in jobs}
    left = [run for run in store.runs() if run.job in names and run.state is RunState.RUNNING]
    for run in left:
        message = "broken off: its program was killed or lost its lead"
        store.end_run(Run(run.job, run.slot, RunState.FAILED, run.started_at, now, message))
    return sorted({run.job for run in left})


def last_finished(runs: Sequence[Run]) -> Run | None:
    """The latest slot that was finished."""
    return max((run for run in runs if run.state in FINISHED), key=lambda run: run.slot, default=None)

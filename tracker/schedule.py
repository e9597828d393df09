"""When is a job due? Pure functions of the clock and the ledger; nothing here sleeps or stores.

A job has a period and runs once per slot: a UTC instant on the job's own grid. Grids are shifted by a
hash of the job's name, so that sources with one period are not all asked in the same second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from questions.time import EPOCH, to_micros
from storage.records import Gap, Run, RunState

FINISHED = (RunState.DONE, RunState.PARTIAL)


def slot_at(job: str, period: timedelta, now: datetime) -> datetime:
    """The latest slot of a job at or before ``now``: EPOCH + offset + a whole number of periods.

    The offset is crc32(job) modulo the period in whole seconds, the same on every machine and run.
    """
    seconds = max(1, int(period.total_seconds()))
    offset = timedelta(seconds=crc32(job.encode()) % seconds)
    whole = (now - EPOCH - offset) // timedelta(seconds=seconds)
    return EPOCH + offset + whole * timedelta(seconds=seconds)


def next_slot(job: str, period: timedelta, now: datetime) -> datetime:
    """The first slot after ``now``."""
    return slot_at(job, period, now) + timedelta(seconds=max(1, int(period.total_seconds())))


def is_due(slot: datetime, runs: Sequence[Run]) -> bool:
    """Whether a slot still has to run: it is neither finished nor skipped in the ledger."""
    return not any(run.slot == slot and run.state in (*FINISHED, RunState.SKIPPED) for run in runs)


def turns(names: Iterable[str], cycle: timedelta, last: datetime | None, now: datetime) -> tuple[str, ...]:
    """Those of many things whose turn came after ``last`` and by ``now``; all of them when there was no last.

    Everything has one turn per cycle, and the turns are spread evenly over it in the order of crc32(name):
    of n things at most ceil(n * (now - last) / cycle) + 1 are due, and none is forgotten however long the
    time since ``last`` was. In alphabetical order.
    """
    ordered = sorted(set(names), key=lambda name: (crc32(name.encode()), name))
    if last is None:
        return tuple(sorted(ordered))
    whole, before, after = cycle // timedelta(microseconds=1), to_micros(last), to_micros(now)
    offsets = ((name, rank * whole // len(ordered)) for rank, name in enumerate(ordered))
    return tuple(
        sorted(name for name, offset in offsets if (after - offset) // whole > (before - offset) // whole)
    )


def missed(job: str, source: str, period: timedelta, now: datetime, runs: Sequence[Run]) -> Gap | None:
    """The stretch since the last finished slot in which slots went by without a run, or None.

    A current value cannot be fetched later, so a missed poll is a gap in the record: it is written
    down, never filled in.
    """
    slot = slot_at(job, period, now)
    finished = [run.slot for run in runs if run.state in FINISHED and run.slot < slot]
    if not finished:
        return None
    last = max(finished)
    if slot - last <= period * 1.5:
        return None
    return Gap(source=source, start=last, end=slot, reason="no run: program was off, or every try failed")

"""When is a job due? Pure functions of the clock and the ledger; nothing here sleeps or stores.

A job has a period and runs once per slot: a UTC instant on the job's own grid. Grids are shifted by a
hash of the job's name, so that sources with one period are not all asked in the same second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zlib import crc32
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from questions.time import EPOCH, to_micros
from storage.records import Gap, Run, RunState

FINISHED = (RunState.DONE, RunState.PARTIAL)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
    return Gap(
        source=source, start=last, end=slot, reason=_why([run for run in runs if last < run.slot < slot])
    )


def _why(between: Sequence[Run]) -> str:
    """Why nothing was observed between two polls, from what the ledger says of that time."""
    failed = [run for run in between if run.state is not RunState.SKIPPED]
    if not failed:
        return "no run: the program was off, or its clock jumped"
    said = next((run.message for run in reversed(failed) if run.message), "broken off")
    return f"{len(failed)} polls tried, none succeeded; the last: {said}"


class Slots(Protocol):
    """The instants at which a job is to run."""

    def at(self, now: datetime) -> datetime:
        """The latest slot at or before ``now``."""

    def after(self, now: datetime) -> datetime:
        """The first slot after ``now``."""


@dataclass(frozen=True)
class Every:
    """A slot per period, on the job's own grid (see ``slot_at``)."""

    job: str
    period: timedelta

    def at(self, now: datetime) -> datetime:
        return slot_at(self.job, self.period, now)

    def after(self, now: datetime) -> datetime:
        return next_slot(self.job, self.period, now)


@dataclass(frozen=True)
class LocalTime:
    """A time of day where people live, every day or on one weekday (Monday is 0).

    Exactly one slot per local day (or week): a time that the clocks skip moves to the first instant after the
    gap, of a time that comes twice the first counts.
    """

    time: time
    zone: ZoneInfo
    weekday: int | None = None

    @classmethod
    def parse(cls, text: str) -> LocalTime:
        """Read ``mon 07:00 Europe/Berlin``, ``07:00 Europe/Berlin`` or ``07:00`` (UTC). ValueError otherwise.

        >>> LocalTime.parse("sun 03:30").weekday
        6
        """
        words = text.split()
        weekday = WEEKDAYS.index(words.pop(0).lower()) if words and words[0].lower() in WEEKDAYS else None
        if not 1 <= len(words) <= 2:
            raise ValueError(f"{text!r}: write such as `mon 07:00 Europe/Berlin` or `03:30 UTC`")
        try:
            moment = time.fromisoformat(words[0])
            zone = ZoneInfo(words[1] if len(words) == 2 else "UTC")
        except (ValueError, ZoneInfoNotFoundError, OSError):
            raise ValueError(
                f"{text!r}: needs a time HH:MM and a zone such as Europe/Berlin, with an optional mon … sun"
            ) from None
        if moment.tzinfo is not None:
            raise ValueError(f"{text!r}: name a zone, not an offset")
        return cls(moment, zone, weekday)

    def at(self, now: datetime) -> datetime:
        return next(slot for slot in self._around(now, -1) if slot <= now)

    def after(self, now: datetime) -> datetime:
        return next(slot for slot in self._around(now, 1) if slot > now)

    def _around(self, now: datetime, step: int) -> Iterator[datetime]:
        """The slots near ``now``, walking forwards or back from well on the other side of it."""
        day = now.astimezone(self.zone).date() - step * timedelta(days=9)
        for number in range(20):
            one = day + step * timedelta(days=number)
            if self.weekday in (None, one.weekday()):
                yield self._on(one)

    def _on(self, day: date) -> datetime:
        local = datetime.combine(day, self.time, self.zone)
        first = local.astimezone(UTC)
        if first.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            return first
        return self._end_of_gap(local.replace(fold=1).astimezone(UTC), first)

    def _end_of_gap(self, before: datetime, after: datetime) -> datetime:
        """The instant between these two at which the clocks were put forward, to the second."""
        offset = before.astimezone(self.zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            if middle.astimezone(self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


@dataclass(frozen=True)
class Shifted:
    """The slots of another, each later by a fixed time."""

    slots: Slots
    by: timedelta

    def at(self, now: datetime) -> datetime:
        return self.slots.at(now - self.by) + self.by

    def after(self, now: datetime) -> datetime:
        return self.slots.after(now - self.by) + self.by


def jitter(job: str, most: timedelta) -> timedelta:
    """How much later a job runs than its time of day says: a share of ``most`` by the job's name, always the same."""
    return timedelta(seconds=crc32(job.encode()) % (int(most.total_seconds()) + 1))


@dataclass(frozen=True)
class QuietHours:
    """A stretch of every local day, such as the night; exactly one a day, also when the clocks are changed."""

    start: LocalTime
    end: LocalTime

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Read ``22:00-07:00 Europe/Berlin`` (without a zone: UTC). ValueError otherwise.

        >>> QuietHours.parse("22:00-07:00 Europe/Berlin").end.time
        datetime.time(7, 0)
        """
        hours, _, zone = text.strip().partition(" ")
        first, dash, last = hours.partition("-")
        if not dash or not first or not last:
            raise ValueError(f"{text!r}: write such as `22:00-07:00 Europe/Berlin`")
        start, end = (LocalTime.parse(f"{part} {zone or 'UTC'}") for part in (first, last))
        if start.time == end.time:
            raise ValueError(f"{text!r}: begins when it ends")
        return cls(start, end)

    def until(self, now: datetime) -> datetime | None:
        """When the quiet that ``now`` lies in ends; None when it lies in none. Begun is quiet, ended is not."""
        return self.end.after(now) if self.start.at(now) > self.end.at(now) else None


def owed(
    slots: Slots, runs: Sequence[Run], now: datetime, *, most: int = 1, late: timedelta | None = None
) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
    """The slots to run now, newest first, and those to be written down as skipped.

    ``most``: how many slots back may still be made up for (1: the present one only). ``late``: what is older
    than this is skipped. The work is bounded by ``most`` however far the clock has jumped.
    """
    run: list[datetime] = []
    skipped: list[datetime] = []
    slot = slots.at(now)
    for _ in range(most):
        if is_due(slot, runs):
            (skipped if late is not None and now - slot > late else run).append(slot)
        slot = slots.at(slot - timedelta(microseconds=1))
    return tuple(run), tuple(skipped)

"""Kill daemons at random moments, let the last ones finish, and count what is missing, partial or doubled: rows, and
the digests that they make and mail meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from questions.records import Snapshot
from storage import open_store
from storage.memory import MemoryStore
from storage.records import Run, RunState
from storage.store import Store
from tests.mail.server import Post, mail_server
from tests.soak.mail_kills import judge_letters
from tests.soak.nursery import (
    DIGESTS_MADE_UP,
    PERIOD_S,
    digest_slots,
    mail_jobs,
    named,
    settings,
    until,
)
from tests.soak.platform import QUESTIONS, SOURCES, Platform, step_of, value
from tests.sources.worlds import World, later, numbers, stored
from tracker.daemon.service import run_once
from tracker.schedule import FINISHED

ROOT = Path(__file__).parents[2]
JOB = "poll:counting"
SETTLE_S, SETTLE_AT_MOST_S = 4.0, 120.0
LONGEST_S = 0.8
TAKING_S = 0.05


@dataclass
class Result:
    """The table's row. Each of the lists names what was wrong; all are empty when all is well."""

    engine: str
    daemons: int
    kills: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    slots: int = 0
    finished: int = 0
    in_gaps: int = 0
    rows: int = 0
    leaders: int = 0
    longest_pause_s: float = 0.0
    missing: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    digests: int = 0
    mails: int = 0
    repeats: int = 0
    unmailed: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [*self.missing, *self.partial, *self.doubled, *self.damage, *self.unmailed]


class Unhurried(Post):
    """Says that it has taken a message a while after it has: that is when a kill makes a repeat."""

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        said = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(TAKING_S)
        return said


class Nursery:
    """Starts daemons and knows those that are alive."""

    def __init__(
        self,
        database: str,
        server: str,
        environ: Mapping[str, str] | None = None,
        smtp_port: int | None = None,
    ) -> None:
        port = [] if smtp_port is None else [str(smtp_port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.nursery", database, server, *port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        self.alive: list[int] = []

    def start(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.alive.append(int(self._process.stdout.readline()))

    def kill(self, process: int) -> None:
        os.kill(process, signal.SIGKILL)
        self.alive.remove(process)

    def end(self) -> str:
        """End all that are left; returns what was said on stderr."""
        for process in self.alive:
            os.kill(process, signal.SIGTERM)
        until = time.monotonic() + 20
        while any(_exists(process) for process in self.alive) and time.monotonic() < until:
            time.sleep(0.02)
        for process in self.alive:
            if _exists(process):
                os.kill(process, signal.SIGKILL)
        _, said = self._process.communicate(timeout=20)
        return said


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def nursery_of(
    database: str, server: str, environ: Mapping[str, str] | None = None, smtp_port: int | None = None
) -> Iterator[Nursery]:
    """Daemons on one database, ended with the block."""
    nursery = Nursery(database, server, environ, smtp_port)
    try:
        yield nursery
    finally:
        nursery.end()


def soak(
    database: str, engine: str, *, daemons: int, kills: int, seed: int = 0, longest_s: float = LONGEST_S
) -> Result:
    """So many SIGKILLs over so many daemons on one database; then what is stored against what was answered.

    A kill comes after at most ``longest_s``: more on a busy machine, where a daemon needs longer to begin its work.
    """
    choice = random.Random(seed)
    result, platform, post = Result(engine, daemons), Platform(), Unhurried()
    with closing(open_store(database)) as store:
        _nothing_before(store)
    started = time.monotonic()
    with (
        platform.server as server,
        mail_server(post) as port,
    ):
        with nursery_of(database, server.url, smtp_port=port) as nursery:
            _kill(nursery, choice, result, daemons, kills, longest_s)
            _settle(database, datetime.now(UTC))
        chosen = settings(server.url, port)
        last = mail_jobs(chosen, threading.Event())
        run_once(last, lambda: open_store(database), chosen.daemon, lambda: datetime.now(UTC))
    result.seconds = time.monotonic() - started
    with closing(open_store(database)) as store:
        _judge(store, platform, result)
        _judge_mail(store, post, result)
    return result


def _nothing_before(store: Store) -> None:
    """No digests are owed for the time before it all begins."""
    slots, slot = digest_slots(), digest_slots().at(datetime.now(UTC))
    for _ in range(DIGESTS_MADE_UP):
        store.end_run(Run("digest", slot, RunState.SKIPPED, slot, slot, "before the beginning"))
        slot = slots.at(slot - timedelta(microseconds=1))


def _kill(
    nursery: Nursery, choice: random.Random, result: Result, daemons: int, kills: int, longest_s: float
) -> None:
    while result.kills < kills:
        while len(nursery.alive) < daemons:
            nursery.start()
        time.sleep(choice.uniform(0.01, longest_s))
        nursery.kill(choice.choice(nursery.alive))
        result.kills += 1
    while len(nursery.alive) < daemons:
        nursery.start()


def _settle(database: str, since: datetime) -> None:
    """Let the last daemons live until each of their polls has come to an end once: on a busy machine those that were
    killed may never have got as far as the last of them."""
    wanted, until_s = {JOB, *(f"poll:{name}" for name in SOURCES)}, time.monotonic() + SETTLE_AT_MOST_S
    time.sleep(SETTLE_S)
    with closing(open_store(database, create=False)) as store:
        while wanted and time.monotonic() < until_s:
            wanted -= {run.job for run in store.runs() if run.state in FINISHED and run.slot > since}
            time.sleep(0.2)


def _judge(store: Store, platform: Platform, result: Result) -> None:
    lease = store.lease("daemon")
    result.leaders = lease.token if lease else 0
    result.damage += store.check()
    _judge_rows(store, platform, result)
    _judge_ledger(store, platform, result)
    _judge_real_sources(store, result.began.isoformat(), result)


def _judge_mail(store: Store, post: Post, result: Result) -> None:
    """Every slot since the beginning has its digest, everybody has each of them, and a repeat can be told."""
    runs = {run.slot: run.state for run in store.runs("digest") if run.state is not RunState.SKIPPED}
    slots, slot, made = digest_slots(), min(runs), list[tuple[str, datetime]]()
    while slot <= max(runs):
        if runs.get(slot) is RunState.DONE:
            made.append((named(slot), slot))
        else:
            result.unmailed.append(f"digest of {slot}: {runs.get(slot, 'never begun')}")
        slot = slots.after(slot)
    problems, result.repeats = judge_letters(store, made, post.received, until)
    result.unmailed += problems
    result.digests, result.mails = len(made), len(post.received)


def _judge_rows(store: Store, platform: Platform, result: Result) -> None:
    """Every row is an answer that was given; an answer is stored for all questions or for none, and once."""
    at: dict[datetime, dict[str, Snapshot]] = {}
    for key in store.streams("counting"):
        seen: Counter[float] = Counter()
        for row in store.revisions(key):
            result.rows += 1
            probability = row.snapshot.probability
            assert probability is not None
            seen[probability] += 1
            at.setdefault(row.snapshot.as_of, {})[key.external_id] = row.snapshot
        result.doubled += [f"{key.external_id}: {one} {n} times" for one, n in seen.items() if n > 1]
    for moment, rows in at.items():
        steps = {step_of(row.probability or 0.0) for row in rows.values()}
        if len(rows) != len(QUESTIONS) or len(steps) != 1:
            result.partial.append(f"{moment}: {len(rows)} questions of answers {sorted(steps)}")
            continue
        (step,) = steps
        wrong = [name for name, row in rows.items() if row.probability != value(step, QUESTIONS.index(name))]
        if wrong or not 1 <= step <= len(platform.answered):
            result.partial.append(f"{moment}: {wrong} are no values of answer {step}")


def _judge_ledger(store: Store, platform: Platform, result: Result) -> None:
    """A slot that is finished has its rows; one that is not lies in a recorded gap; none is left open."""
    runs = {run.slot: run for run in store.runs(JOB)}
    gaps = store.gaps("counting")
    first = min(slot for slot, run in runs.items() if run.state in FINISHED)  # before it nothing was observed
    last = max(runs)
    moments = {
        s.snapshot.as_of for key in store.streams("counting", QUESTIONS[0]) for s in store.history(key)
    }
    finished = sorted(slot for slot, run in runs.items() if run.state in FINISHED)
    slot = first
    while slot <= last:
        result.slots += 1
        run = runs.get(slot)
        if run is not None and run.state in FINISHED:
            result.finished += 1
            if not any(_inside(moment, run) for moment in moments):
                result.missing.append(f"{slot}: finished, but nothing is stored of its time")
        elif any(gap.start < slot < gap.end for gap in gaps):
            result.in_gaps += 1
        elif slot < finished[-1]:
            result.missing.append(f"{slot}: neither run nor in a gap ({run.state if run else 'never begun'})")
        slot += timedelta(seconds=PERIOD_S)
    now = datetime.now(UTC)
    left = [run for run in store.runs() if run.state is RunState.RUNNING and run.job.startswith("poll:")]
    result.missing += [f"{run.job} {run.slot}: begun, never ended" for run in left if run.slot < finished[-1]]
    result.missing += [] if now - finished[-1] < timedelta(seconds=60) else ["the last daemons did nothing"]
    pauses = [later - earlier for earlier, later in pairwise(finished)]
    result.longest_pause_s = max((pause.total_seconds() for pause in pauses), default=0.0)


def _inside(moment: datetime, run: Run) -> bool:
    return run.finished_at is not None and run.started_at <= moment <= run.finished_at


def _before(points: Mapping[str, float | str], start: str) -> dict[str, float | str]:
    """The platform's own past."""
    return {at: said for at, said in points.items() if at < start}


def _changes(points: Mapping[str, float | str]) -> list[float | str]:
    """The values in order, without those that only confirm the one before: a poll that was cut off between the
    present and the past saw the present as a value of its own."""
    said = [points[at] for at in sorted(points)]
    return [one for one, before in zip(said, [None, *said], strict=False) if one != before]


def _judge_real_sources(store: Store, start: str, result: Result) -> None:
    """What real adapters heard of platforms that stand still is what undisturbed polls hear."""
    told = stored(store)
    for name in SOURCES:
        with World(name, store=MemoryStore()) as world:
            world.now = datetime.now(UTC)
            for _ in range(3):  # the first asks for the past, the next for the present
                world.poll()
                later(world, seconds=1)
            expected = world.stored()
        mine = {stream: points for stream, points in told.items() if stream[0] == name}
        for stream, points in expected.items():
            heard = mine.get(stream, {})
            past, wanted = _before(heard, start), _before(points, start)
            result.missing += [f"{stream}: no {at}" for at in wanted if past.get(at) != wanted[at]]
            result.doubled += [f"{stream}: {at} is {past[at]}" for at in past if at not in wanted]
            if _changes(heard) != _changes(points):
                result.doubled.append(f"{stream}: {heard} for {points}")
        if set(mine) - set(expected):
            result.doubled.append(f"{name}: streams nobody told of: {sorted(set(mine) - set(expected))}")
        if not numbers(expected):
            result.damage.append(f"{name}: the platform in small says nothing, so nothing was compared")

"""What can happen to a daemon besides being killed: one scene each, with what was measured.

Real processes, a real clock, a real full disk; what cannot be done on a machine (mounting a small file system, a C
compiler for the clock) is said and not passed over in silence.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import available_timezones

from storage import open_store
from storage.errors import StorageError
from storage.mailing import LetterState
from storage.records import RunState
from storage.store import Store
from tests.daemon.running import Metr, Running
from tests.mail.server import Post, mail_server, talker
from tests.soak.kills import JOB, Nursery, nursery_of
from tests.soak.mailroom import TO, build, mailing, settings as mail_settings
from tests.soak.nursery import DAEMON, PERIOD_S
from tests.soak.outage import FAILURES_ALLOWED, outage
from tests.soak.platform import Platform, step_of
from tracker.daemon.service import LEASE
from tracker.mail.sending import send_digest
from tracker.schedule import FINISHED, WEEKDAYS, LocalTime

TERM_S = DAEMON["lease_s"]
EACH_S = "[poll_hours]\nmetr = 0.0003"  # a poll a second
PERIODS = 3


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    scene: str
    measured: str
    good: bool


class CannotBePlayed(Exception):
    """This machine does not allow the scene."""


def wait(true: Callable[[], object], seconds: float, what: str) -> float:
    """Wait for something; how long it took. TimeoutError naming it."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.01)
    return time.monotonic() - began


# R2 -----------------------------------------------------------------------------------------------


def stopped_leader(folder: Path) -> Outcome:
    """A leader is stopped in the middle of a request for three terms, then goes on."""
    database, platform = f"sqlite:///{folder / 'stop.sqlite'}", Platform()
    with closing(open_store(database)) as store, platform.server as server:
        with nursery_of(database, server.url) as nursery:
            nursery.start()
            wait(lambda: _finished(store), 20, "a first poll")
            nursery.start()
            time.sleep(0.5)
            before = store.lease(LEASE)
            assert before is not None
            old = int(before.holder.split(":")[1])
            platform.hold.clear()
            asked = len(
                platform.answered
            )  # whatever is asked from here on is not answered before it is stopped
            wait(lambda: len(platform.answered) > asked, 10, "a request under way")
            _stop_between_writes(old, folder / "stop.sqlite")
            platform.hold.set()
            time.sleep(3 * TERM_S)
            wait(lambda: _token(store) > before.token, 30, "somebody else who leads")
            during = store.lease(LEASE)
            os.kill(old, signal.SIGCONT)
            time.sleep(3 * TERM_S)
            after = store.lease(LEASE)
        stored = {step_of(row.snapshot.probability or 0) for key in store.streams("counting", "q00")
                  for row in store.revisions(key)}  # fmt: skip
        written = [step for step in stored if step > asked and platform.askers[step - 1] == f"soak/{old}"]
        assert during is not None
        assert after is not None
        good = during.token == after.token == before.token + 1 and not written and store.check() == []
        good &= during.holder != before.holder
        return Outcome(
            "R2 leader stopped for 3 terms",
            f"{after.token - before.token} take-over, {len(written)} rows by the old leader",
            good,
        )


def _stop_between_writes(process: int, database: Path) -> None:
    """Stop a process that holds no lock on the file: SQLite has one writer's place, and a stopped process would keep
    it from everybody until it goes on or is killed."""
    for _ in range(50):
        os.kill(process, signal.SIGSTOP)
        other = sqlite3.connect(database, timeout=0.5, isolation_level=None)
        with closing(other), suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            return
        os.kill(process, signal.SIGCONT)
        time.sleep(0.02)
    raise TimeoutError("it writes all the time")


def _token(store: Store) -> int:
    lease = store.lease(LEASE)
    return lease.token if lease is not None else 0


def _finished(store: Store) -> list[datetime]:
    return [run.slot for run in store.runs(JOB) if run.state in FINISHED]


# R3 -----------------------------------------------------------------------------------------------

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long *ahead;
static int (*real)(clockid_t, struct timespec *);
static void find(void) {
    int file = open(getenv("SOAK_CLOCK"), O_RDONLY);
    ahead = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    real = dlsym(RTLD_NEXT, "clock_gettime");
}
int clock_gettime(clockid_t which, struct timespec *at) {
    if (!real) find();
    int failed = real(which, at);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += *ahead;
    return failed;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def build_shim(folder: Path) -> dict[str, str]:
    """Compile what makes a process's wall clock movable; the environment it needs."""
    source, library, ahead = folder / "clock.c", folder / "clock.so", folder / "ahead"
    source.write_text(_SHIM, encoding="ascii")
    ahead.write_bytes(bytes(8))
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBePlayed("no C compiler for the clock") from error
    return {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(ahead)}


def moved_clock(folder: Path, seconds: int, name: str) -> Outcome:
    """The wall clock of the whole process steps; the scheduler, SQLite and the log all see it."""
    environ = build_shim(folder)
    database, platform = f"sqlite:///{folder / 'clock.sqlite'}", Platform()
    open_store(database).close()
    with platform.server as server, nursery_of(database, server.url, environ) as nursery:
        nursery.start()
        wait(lambda: len(platform.answered) >= 5, 30, "five polls")
        before_mb, polls = _rss_mb(nursery), len(platform.answered)
        moved = time.monotonic()
        (folder / "ahead").write_bytes(seconds.to_bytes(8, "little", signed=True))
        wait(lambda: len(platform.answered) > polls + 1, 30, "polls after the step")
        pause = time.monotonic() - moved
        wait(lambda: len(platform.answered) > polls + 10, 60, "ten more polls")
        grown = _rss_mb(nursery) - before_mb
    with closing(open_store(database)) as store:
        runs = [run for run in store.runs(JOB) if run.state in FINISHED]
        moments = {s.snapshot.as_of for key in store.streams("counting", "q00") for s in store.history(key)}
        whole = store.check() == []
    twice = len(runs) - len({run.slot for run in runs})
    good = pause <= (PERIODS + 1) * PERIOD_S and grown < 20 and not twice and whole
    good &= len(moments) >= len(runs) - 1
    return Outcome(
        f"R3 clock {name}",
        f"two polls within {pause:.1f} s (period {PERIOD_S:.0f} s), memory {grown:+.1f} MB, {twice} slots twice",
        good,
    )


def _rss_mb(nursery: Nursery) -> float:
    pages = int(Path(f"/proc/{nursery.alive[0]}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# R4 -----------------------------------------------------------------------------------------------


def every_zone(_folder: Path) -> Outcome:
    """Every zone by name, every weekday at 02:30, 2024 to 2035: as many slots as there are such weeks."""
    wrong, slots = [], 0
    zones = sorted(available_timezones())
    for zone in zones:
        weekday = WEEKDAYS[len(zone) % 7]
        weekly = LocalTime.parse(f"{weekday} 02:30 {zone}")
        moment, found = datetime(2024, 1, 1, 12, tzinfo=UTC), []
        while moment < datetime(2035, 12, 24, tzinfo=UTC):
            moment = weekly.after(moment)
            found.append(moment.astimezone(weekly.zone).date())
        weeks = (found[-1] - found[0]).days / 7 + 1
        slots += len(found)
        if len(found) != len(set(found)) or len(found) != weeks:
            wrong.append(zone)
    return Outcome(
        "R4 every zone, 2024 to 2035",
        f"{len(zones)} zones, {slots} weekly slots, {len(wrong)} zones with a week of none or two",
        not wrong,
    )


# R5 -----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory, so big and no bigger."""
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=False, capture_output=True
    )
    if mounted.returncode:
        raise CannotBePlayed("no right to mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def full_disk(folder: Path) -> Outcome:
    """The disk fills up while it polls, stays full for a while, and has room again."""
    metr = Metr(changing=True)
    with small_disk(folder, "3m") as disk, metr.server:
        daemon = Running(folder, metr.server.url, toml=EACH_S, database=disk / "db.sqlite")
        filler = disk / "filler"
        try:
            wait(lambda: _done(daemon), 60, "a first poll")
            loud = _fill(filler, daemon)
            said = daemon.ask("/readyz")[1].strip()
            time.sleep(3)
            alive = daemon.process.poll() is None
            before = len(_done(daemon))
            filler.unlink()
            ready = wait(lambda: daemon.ask("/readyz")[0] == 200, 60, "ready again")
            again = wait(lambda: len(_done(daemon)) > before, 90, "a poll after that")
            took = daemon.end()
        finally:
            _put_away(daemon)
        with closing(open_store(daemon.database)) as store:
            damage = store.check()
    good = alive and not damage and "full" in said and daemon.process.returncode == 0 and took < 15
    return Outcome(
        "R5 full disk (3 MB tmpfs)",
        f"not ready after {loud:.1f} s (“{said[-40:]}”), process alive: {alive}, ready {ready:.1f} s after there was"
        f" room, next poll {ready + again:.1f} s after, {len(damage)} problems found by the check",
        good,
    )


def _fill(filler: Path, daemon: Running) -> float:
    """Fill what is left, again and again (a checkpoint frees a page), until the daemon says that it is stuck."""

    def full() -> bool:
        with suppress(OSError), filler.open("ab") as file:
            file.write(bytes(4096))
            file.flush()
        return daemon.ask("/readyz")[0] == 503

    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(65536))
            file.flush()
    return wait(full, 60, "a daemon that says it is not ready")


def _done(daemon: Running) -> list[datetime]:
    path = Path(daemon.database.removeprefix("sqlite:///"))
    if not path.exists():
        return []
    with suppress(StorageError), closing(open_store(daemon.database, create=False)) as store:
        return [run.slot for run in store.runs("poll:metr") if run.state in FINISHED]
    return []


def _put_away(daemon: Running) -> None:
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait(10)


# R6 -----------------------------------------------------------------------------------------------


def source_down(folder: Path) -> Outcome:
    """Every source is down for seven days: what is still asked, and what the gaps say."""
    found = outage(f"sqlite:///{folder / 'down.sqlite'}", step=timedelta(minutes=5))
    most = max(found.most_in_a_day.values())
    return Outcome(
        "R6 sources down for 7 days",
        f"at most {most} requests in any 24 h ({', '.join(f'{k} {v}' for k, v in found.most_in_a_day.items())}),"
        f" {len(found.uncovered)} sources whose gap does not cover it, {len(found.fresh)} not called stale,"
        f" back {found.back_h:.1f} h after",
        most <= FAILURES_ALLOWED and not found.uncovered and not found.fresh,
    )


# R7 -----------------------------------------------------------------------------------------------


def told_to_end(folder: Path, rounds: int = 15) -> Outcome:
    """SIGTERM at random moments of polling, in the middle of a request, and in the middle of a write."""
    metr, choice = Metr(changing=True), random.Random(0)
    took, codes = [], []
    with metr.server:
        for number in range(rounds):
            daemon = Running(folder, metr.server.url, toml=EACH_S)
            known = len(_done(daemon))
            try:
                wait(lambda d=daemon, k=known: len(_done(d)) > k, 60, "a poll")  # type: ignore[misc]
                if number % 3 == 1:
                    metr.hold.clear()
                    metr.asked.clear()
                    metr.asked.wait(20)
                elif number % 3 == 2:
                    release = _write_lock(daemon)
                time.sleep(choice.uniform(0, 1.2))
                if number % 3 == 2:
                    threading.Timer(choice.uniform(0, 2), release).start()
                took.append(daemon.end())
                codes.append(daemon.process.returncode)
            finally:
                metr.hold.set()
                _put_away(daemon)
        with closing(open_store(daemon.database)) as store:
            damage, counts = store.check(), store.counts()
            lost = [
                run for run in store.runs("poll:metr") if run.state is RunState.RUNNING
            ]  # at most the one broken off last
    good = max(took) <= 15 and set(codes) == {0} and not damage and len(lost) <= 1
    return Outcome(
        f"R7 {rounds} SIGTERM in polls, requests, writes",
        f"the slowest end took {max(took):.1f} s, exit codes {sorted(set(codes))}, {len(damage)} problems found by"
        f" the check, {counts['payload']} payloads kept",
        good,
    )


def _hang_at(word: bytes, reached: threading.Event) -> Callable[[socket.socket], None]:
    """A mail server that answers up to a command and never again: ``word`` is empty for not even a greeting."""

    def answer(caller: socket.socket) -> None:
        heard = b""
        if word:
            caller.sendall(b"220 here\r\n")
        while True:
            got = caller.recv(65536) if word else b""
            heard += got
            last = heard.rstrip().rpartition(b"\n")[2].upper()
            ended = heard.endswith(b"\r\n.\r\n")
            if not word or (ended if word == b"." else last.startswith(word)):
                reached.set()
                reached_end.wait(60)
                return
            if heard.endswith(b"\r\n"):
                caller.sendall(b"354 go on\r\n" if last == b"DATA" else b"250 ok\r\n")
            if not got:
                return

    reached_end = threading.Event()
    return answer


HANGS = {"before its greeting": b"", "at RCPT": b"RCPT", "at DATA": b"DATA", "with the whole message": b"."}


def told_to_end_mailing(folder: Path) -> Outcome:
    """SIGTERM while a mail server that has hung is waited for; then a daemon with a good one."""
    took, codes, lost, twice = [], [], [], 0
    for number, word in enumerate(HANGS.values()):
        place = folder / str(number)
        place.mkdir()
        reached, post, now = threading.Event(), Post(), datetime.now(UTC)
        url = f"sqlite:///{place / 'db.sqlite'}"
        with closing(open_store(url)) as store:
            made = send_digest(
                store, mail_settings(url, 25), lambda w=store, n=now: build(w, "2026-W47", n, ()),  # type: ignore[misc]
                "2026-W47", now, now, now + timedelta(days=7),
            )  # fmt: skip
        with talker(_hang_at(word, reached)) as port:
            daemon = _mailing(place, port)
            try:
                wait(reached.is_set, 60, "a letter under way")
                time.sleep(0.2 * number)
                took.append(daemon.end())
                codes.append(daemon.process.returncode)
            finally:
                _put_away(daemon)
        with mail_server(post) as port:
            daemon = _mailing(place, port)
            try:
                wait(
                    lambda p=post, m=made: len({one.to for one in p.received}) == m.recipients,
                    90,
                    "the letters",
                )  # type: ignore[misc]
                codes.append((daemon.end(), daemon.process.returncode)[1])
            finally:
                _put_away(daemon)
        twice += len(post.received) - len({one.message_id for one in post.received})
        with closing(open_store(url)) as store:
            lost += [one.key for one in store.letters() if one.state is not LetterState.SENT] + store.check()
    good = max(took) <= 15 and set(codes) == {0} and not lost and not twice
    return Outcome(
        "R7 SIGTERM while a mail server hangs",
        f"{', '.join(HANGS)}: the slowest end took {max(took):.1f} s, exit codes {sorted(set(codes))}; afterwards every"
        f" letter arrived, {len(lost)} lost, {twice} twice from a server that took it once",
        good,
    )


def _mailing(folder: Path, port: int) -> Running:
    smtp = {name: str(value) for name, value in mailing(port).items() if name != "mail_to"}
    smtp["mail_to"] = ",".join(TO)
    return Running(
        folder, "http://127.0.0.1:9", "--only", "mail",
        **{f"SPEEDUP_{name.upper()}": value for name, value in smtp.items()},
    )  # fmt: skip


def _write_lock(daemon: Running) -> Callable[[], None]:
    """Hold the database's only writer's place; returns what lets it go."""
    path = daemon.database.removeprefix("sqlite:///")
    other = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def release() -> None:
        other.execute("ROLLBACK")
        other.close()

    return release


# R8 -----------------------------------------------------------------------------------------------


def raising_store(folder: Path) -> Outcome:
    """The store raises once in a look at what is due."""
    from tests.daemon.test_service import Told
    from tracker.config import DaemonSettings
    from tracker.daemon.service import Daemon

    tick_s, told, stop = 0.2, Told(), threading.Event()
    database = f"sqlite:///{folder / 'raise.sqlite'}"
    daemon = Daemon(
        [], lambda: open_store(database), DaemonSettings(tick_s=tick_s, lease_s=2), stop,
        notifier=told,  # type: ignore[arg-type]
    )  # fmt: skip
    real, raised, pinged = daemon._control.take_lease, [0.0], [0]

    def take(*arguments: object) -> object:
        if not raised[0]:
            raised[0], pinged[0] = time.monotonic(), told.said.count("WATCHDOG=1")
            raise StorageError("disk I/O error")
        return real(*arguments)  # type: ignore[arg-type]

    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait(lambda: told.said.count("WATCHDOG=1") > 2, 20, "a daemon that is well")
        daemon._control.take_lease = take  # type: ignore[method-assign,assignment]
        wait(lambda: raised[0] and not daemon.watch.tick_failed, 20, "a good look after the bad one")
        took = (daemon.watch.tick_at or 0.0) - raised[0]
    finally:
        stop.set()
        thread.join(20)
    return Outcome(
        "R8 the store raises once",
        f"the next good look after {took / tick_s:.1f} periods",
        took <= 3 * tick_s,
    )


SCENES: dict[str, Callable[[Path], Outcome]] = {
    "stop": stopped_leader,
    "back": lambda folder: moved_clock(folder, -3600, "-1 h"),
    "day": lambda folder: moved_clock(folder, 86_400, "+1 day"),
    "year": lambda folder: moved_clock(folder, 365 * 86_400, "+1 year"),
    "zones": every_zone,
    "full": full_disk,
    "down": source_down,
    "end": told_to_end,
    "mail": told_to_end_mailing,
    "raise": raising_store,
}


def play(names: list[str]) -> Iterator[Outcome]:
    """The named scenes, each in a folder of its own."""
    for name in names:
        with tempfile.TemporaryDirectory(prefix="speedup-scene-") as folder:
            try:
                yield SCENES[name](Path(folder))
            except CannotBePlayed as error:
                yield Outcome(name, f"not played here: {error}", good=True)
            except (TimeoutError, AssertionError) as error:
                yield Outcome(name, f"{type(error).__name__}: {str(error)[-300:]}", good=False)

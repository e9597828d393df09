"""The daemon at rest and at its start:  python -m tests.bench.bench_daemon

Prints, measured in turn in one run: a tick with nothing due (all jobs of the shipped catalogue, SQLite on disk)
beside a bare SQLite transaction that writes one row; and the time from `speedup run` to ready, as told to
systemd, beside `python -c pass`. Targets: a tick under 5 ms, a start under 2 s.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from storage import open_store
from storage.records import Run, RunState
from tests.bench.bench_start import seconds
from tracker.commands.run import every_job
from tracker.commands.session import Session
from tracker.config import DaemonSettings
from tracker.daemon.asking import Unasked
from tracker.daemon.service import Daemon

ROOT = Path(__file__).parents[2]
ROUNDS = 200
STARTS = 7


def at_rest(folder: Path) -> Daemon:
    """A daemon that leads and has done all that is due."""
    session = Session(f"sqlite:///{folder / 'rest.sqlite'}", _empty(folder), as_json=False)
    asked = Unasked()
    jobs = every_job(session, asked, asked, asked, threading.Event())
    now = datetime.now(UTC)
    store = open_store(session.settings.database())
    for job in jobs:
        store.end_run(Run(job.name, job.slots.at(now), RunState.DONE, now, now))
    store.close()
    daemon = Daemon(jobs, session.store, DaemonSettings(), threading.Event())
    daemon.tick()
    return daemon


def _empty(folder: Path) -> Path:
    path = folder / "empty.toml"
    path.write_text("", encoding="ascii")
    return path


def ticks(folder: Path) -> tuple[float, float, float]:
    """Median seconds of a tick with nothing due, of them on a processor, and of one plain durable write."""
    daemon = at_rest(folder)
    plain = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v)")
    taken, written, used = [], [], []
    for number in range(ROUNDS):
        began, processor = time.perf_counter(), time.thread_time()
        daemon.tick()
        between = time.perf_counter()
        used.append(time.thread_time() - processor)
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("INSERT OR REPLACE INTO t VALUES (1, ?)", (number,))
        plain.execute("COMMIT")
        taken.append(between - began)
        written.append(time.perf_counter() - between)
    assert not daemon.watch.running
    assert not daemon.watch.tick_failed
    daemon._stop.set()
    daemon._end()
    plain.close()
    return median(taken), median(used), median(written)


def start_s(folder: Path, number: int) -> tuple[float, float]:
    """Seconds from the start of the process to READY=1, on an empty or an existing database; and of them on a
    processor."""
    address = str(folder / f"notify-{number}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.settimeout(60)
        environ = {**os.environ, "NOTIFY_SOCKET": address, "HOME": str(folder), "SPEEDUP_HTTP_BIND": "off"}
        began = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable, "-m", "tracker", "run", "--only", "check",
                "--db", f"sqlite:///{folder / 'start.sqlite'}",
            ],
            cwd=ROOT, env=environ, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not heard.recv(1000).startswith(b"READY=1"):
            pass
        taken = time.perf_counter() - began
        used = _used_s(process.pid)
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    return taken, used


def _used_s(process: int) -> float:
    """Processor time of a process so far (proc(5): fields 14 and 15 of its stat)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="speedup-bench-") as name:
        folder = Path(name)
        tick, used, write = ticks(folder)
        print(
            f"tick, nothing due   {tick * 1000:7.2f} ms ({used * 1000:.2f} ms of processor)   {tick / write:5.1f}x"
            " a plain durable write"
        )
        starts = [start_s(folder, number) for number in range(STARTS)]
        base = median(seconds([sys.executable, "-c", "pass"]) for _ in range(STARTS))
        for what, some in (("new database", starts[:1]), ("existing", starts[1:])):
            wall, processor = (median(one[n] for one in some) for n in (0, 1))
            print(
                f"start, {what:12} {wall:7.2f} s ({processor:.2f} s of processor)   {wall / base:5.1f}x python -c pass"
            )


if __name__ == "__main__":
    main()

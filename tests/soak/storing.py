"""What storage must stand, at full length:  python -m tests.soak.storing [--times N] [--backups N] [--table FILE]

S1: processes that read a number, add one and write it, all on one row, on both engines. S4: backups of an SQLite file
under constant writing, each restored and checked. S5: databases of every schema there was, with data, upgraded.
The short parts are in tests/storage: test_concurrency, test_care, test_every_schema.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage import open_store, restore
from storage.errors import StorageError
from tests.postgres import PostgresServer, find_binaries

ROOT = Path(__file__).parents[2]
COUNTING = """
import sys
from dataclasses import replace
from storage import open_store
from storage.records import SourceHealth
store = open_store(sys.argv[1])
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    with store.together():
        known = store.health().get("counted", SourceHealth("counted"))
        store.set_health(replace(known, failures=known.failures + 1))
store.close()
"""
WRITING = """
import os, sys, time
from datetime import datetime, timedelta, UTC
from questions.records import Quantity, Snapshot, StreamKey
from storage import open_store
from storage.records import Batch, RawPayload
store = open_store(sys.argv[1])
at = datetime(2026, 1, 1, tzinfo=UTC)
print("writing", flush=True)
for number in range(10**9):
    at += timedelta(minutes=1)
    body = os.urandom(2048)
    with store.together():
        store.put_raw(RawPayload("s", "r", f"https://example.org/{number}", at, 200, "", body))
        store.append(Batch(snapshots=tuple(
            Snapshot(StreamKey("s", "s", side, "yes", Quantity.PLAY_MONEY_PRICE), at, at, probability=number % 7 / 10)
            for side in ("left", "right"))))
    time.sleep(0.01)  # else the file grows faster than it can be copied, checked and restored
"""


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    good: bool

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {'yes' if self.good else 'NO'} |"


class Told(list[Row]):
    """Rows, each told as soon as it is known: the whole takes minutes."""

    def append(self, row: Row) -> None:
        super().append(row)
        print(row, file=sys.stderr, flush=True)


def counted(url: str, writers: int, times: int) -> Row:
    """So many processes, each so many read-modify-writes of one row; none may be lost and none may fail."""
    open_store(url).close()
    command = [sys.executable, "-c", COUNTING, url, str(times)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(writers)
    ]
    time.sleep(2)  # so that all have imported what they need
    began = time.monotonic()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    failed = [one.communicate(timeout=600)[1] for one in started]
    seconds = time.monotonic() - began
    errors = sum(one.returncode != 0 for one in started)
    with closing(open_store(url)) as store:
        found = store.health()["counted"].failures
    lost = writers * times - found
    for said in filter(None, failed):
        print(said[-500:], file=sys.stderr)
    engine = url.partition(":")[0]
    told = f"{writers} x {times} in {seconds:.1f} s: {lost} lost, {errors} failed"
    return Row(f"S1 read-modify-write, {engine}", told, lost == 0 and errors == 0)


@contextmanager
def writing(url: str) -> Iterator[subprocess.Popen[str]]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITING, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    try:
        yield writer
    finally:
        writer.kill()
        writer.communicate()


def backups(folder: Path, count: int) -> Row:
    """So many backups beside a writer that never stops; each is restored, and must be whole and newer than the last."""
    url, good, last = f"sqlite:///{folder / 'live.sqlite'}", 0, 0
    open_store(url).close()
    began = time.monotonic()
    with writing(url) as writer, closing(open_store(url)) as store:
        for number in range(count):
            target, place = folder / f"{number}.sqlite", folder / f"{number}-restored.sqlite"
            try:
                store.backup(target)
                restore(target, f"sqlite:///{place}")
            except StorageError as error:
                print(f"backup {number}: {error}", file=sys.stderr)
                continue
            with closing(open_store(f"sqlite:///{place}", create=False)) as again:
                sides = [again.revisions(key) for key in again.streams()]
                ends = {rows[-1].seen_last for rows in sides}
                rows = again.counts()["payload"]
                if again.check() == [] and len(sides) == 2 and len(ends) == 1 and rows >= last:
                    good, last = good + 1, rows
            target.unlink()
            place.unlink()
        alive = writer.poll() is None
    told = f"{good} of {count} whole in {time.monotonic() - began:.1f} s, the last with {last} payloads"
    return Row("S4 backups under load", told, good == count and alive)


def schemas() -> Row:
    """The tests of every schema with data, as they are."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "tests/storage/test_every_schema.py"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return Row("S5 every schema with data", done.stdout.strip().splitlines()[-1], done.returncode == 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.storing")
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--backups", type=int, default=40)
    parser.add_argument("--table", type=Path)
    chosen = parser.parse_args()
    rows = Told()
    with tempfile.TemporaryDirectory(prefix="speedup-storing-") as folder:
        rows.append(counted(f"sqlite:///{folder}/counted.sqlite", 4, chosen.times))
        rows.append(backups(Path(folder), chosen.backups))
    binaries = find_binaries()
    if binaries is None:
        rows.append(Row("S1 read-modify-write, postgresql", "no server binaries found", good=False))
    else:
        server = PostgresServer(binaries)
        try:
            server.start()
            rows.append(counted(server.url(server.create()), 4, chosen.times))
        finally:
            server.stop()
    rows.append(schemas())
    table = "\n".join(["| what | measured | as it should be |", "|---|---|---|", *map(str, rows)])
    print(table)
    if chosen.table is not None:
        chosen.table.write_text(table + "\n", encoding="utf-8")
    return 0 if all(one.good for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

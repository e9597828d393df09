"""What storage must stand, at full length:  python -m tests.soak.storing [--backups N] [--rows N] [--table FILE]

S1: processes that read a number, add one and write it, all on one row, on both engines. S2, S3: the benches of backfill
and of the newest values. S4: backups of an SQLite file under constant writing, each restored and checked. S5: databases
of every schema there was, with data, upgraded. The short parts are in tests/storage: test_concurrency, test_care,
test_every_schema.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from storage import open_store, restore
from storage.errors import StorageError
from tests.postgres import PostgresServer, find_binaries
from tests.soak.table import HEAD, Row, Told, tests_of

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
    time.sleep(0.05)  # else the file grows faster than it can be copied, checked and restored
"""


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
        while not store.streams():  # a copy of nothing proves nothing
            time.sleep(0.05)
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
                wrong = again.check()
                if not wrong and len(sides) == 2 and len(ends) == 1 and rows >= last:
                    good, last = good + 1, rows
                else:
                    said = f"{wrong}, {len(sides)} streams that end at {sorted(ends)}, {rows} payloads after {last}"
                    print(f"backup {number}: {said}", file=sys.stderr)
            target.unlink()
            place.unlink()
        alive = writer.poll() is None
    told = f"{good} of {count} whole in {time.monotonic() - began:.1f} s, the last with {last} payloads"
    return Row("S4 backups under load", told, good == count and alive)


def schemas() -> Row:
    """The tests of every schema with data, as they are."""
    return tests_of("S5 every schema with data", "tests/storage/test_every_schema.py")


BACKFILL = re.compile(
    r"read +([\d.]+) s, stored +([\d.]+) s.*ratio ([\d.]+) \(storing alone ([\d.]+)\); peak (\d+) MB"
)
BACKFILL_S, BACKFILL_MB = {"sqlite": 10.0, "postgresql": 20.0}, 500
LATEST = re.compile(r"^ +(\S.*?) +median +[\d.]+ ms \(least +([\d.]+)\)", re.MULTILINE)
ANSWER = "Store.latest (records)"
LATEST_MS = {"sqlite": 10.0, "postgresql": 25.0}


def backfilled(rows: int) -> Iterator[Row]:
    """The bench of backfills: price histories, read by their adapter and stored."""
    said = _bench("bench_backfill", "clob", "--rows", str(rows), "--postgresql")
    for engine, limit in BACKFILL_S.items():
        line = next((one for one in said.splitlines() if f" {engine} " in one), "")
        found = BACKFILL.search(line)
        told, good = f"the bench says: {line or said[-200:]}", False
        if found:
            read, stored, whole, alone, peak = map(float, found.groups())
            plain = "executemany" if engine == "sqlite" else "COPY"
            told = (
                f"read {read:.1f} s, stored {stored:.1f} s, {alone:.2f} times as quick as plain {plain}"
                f" ({whole:.2f} with the reading), peak {peak:.0f} MB"
            )
            good = read + stored <= limit and peak < BACKFILL_MB
        yield Row(f"S2 {rows:,} rows of history, {engine} (at most {limit:.0f} s)", told, good)


def newest(rows: int) -> Iterator[Row]:
    """The bench of the newest value of 2,000 questions: the least of many times."""
    said = _bench("bench_latest", "--rows", str(rows), "--postgresql")
    for engine, limit in LATEST_MS.items():
        part = said.partition(f"{engine}: ")[2]
        part = re.split(r"^\w+: ", part, maxsplit=1, flags=re.MULTILINE)[0]
        found = {what: float(ms) for what, ms in LATEST.findall(part)}
        told = ", ".join(f"{what} {ms:.1f} ms" for what, ms in found.items()) or said[-200:]
        what = f"S3 newest of 2,000 questions of {rows:,} rows, {engine} (at most {limit:.0f} ms)"
        yield Row(what, told, found.get(ANSWER, float("inf")) <= limit)


def _bench(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{name}", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.stdout + done.stderr


def rows(times: int, copies: int, many: int) -> Iterator[Row]:
    """Every row about storage."""
    with tempfile.TemporaryDirectory(prefix="speedup-storing-") as folder:
        yield counted(f"sqlite:///{folder}/counted.sqlite", 4, times)
        yield backups(Path(folder), copies)
    binaries = find_binaries()
    if binaries is None:
        yield Row("S1 read-modify-write, postgresql", "no server binaries found", good=False)
    else:
        server = PostgresServer(binaries)
        try:
            server.start()
            yield counted(server.url(server.create()), 4, times)
        finally:
            server.stop()
    yield from backfilled(many)
    yield from newest(many)
    yield schemas()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.storing")
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--backups", type=int, default=40)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--table", type=Path)
    chosen = parser.parse_args()
    found = Told()
    for one in rows(chosen.times, chosen.backups, chosen.rows):
        found.append(one)
    table = "\n".join([HEAD, *map(str, found)])
    print(table)
    if chosen.table is not None:
        chosen.table.write_text(table + "\n", encoding="utf-8")
    return 0 if all(one.good for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

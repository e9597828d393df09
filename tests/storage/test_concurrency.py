"""Several connections at once: nothing is lost, nothing happens twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from questions.records import Snapshot
from storage import open_store
from storage.records import Batch, Gap, SourceHealth
from storage.store import Store
from tests.storage.samples import DAY, KEY, T0, hours, key, payload, poll

Found = TypeVar("Found")
ROOT = Path(__file__).parents[2]


def at_once(url: str, works: list[Callable[[Store], Found]]) -> list[Found]:
    """Run each work in a thread with a store of its own, all starting together."""
    barrier = threading.Barrier(len(works))
    found: dict[int, Found] = {}
    errors: list[BaseException] = []

    def run(number: int, work: Callable[[Store], Found]) -> None:
        store = open_store(url)
        try:
            barrier.wait(30)
            found[number] = work(store)
        except BaseException as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=run, args=(n, work)) for n, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    return [found[number] for number in range(len(works))]


def test_of_claims_at_the_same_time_exactly_one_wins(url: str) -> None:
    open_store(url).close()
    slots = [hours(number) for number in range(12)]

    def claim(store: Store) -> list[bool]:
        return [store.begin_run("pull", slot, slot) for slot in slots]

    claimed = at_once(url, [claim, claim, claim])
    assert [sum(won) for won in zip(*claimed, strict=True)] == [1] * len(slots)


def test_an_abandoned_slot_is_taken_over_once(url: str) -> None:
    store = open_store(url)
    assert store.begin_run("pull", hours(0), hours(0))
    store.close()
    later = hours(0) + timedelta(hours=2)
    assert sorted(at_once(url, [lambda s: s.begin_run("pull", hours(0), later)] * 3)) == [False, False, True]


def test_writers_at_once_lose_no_poll(url: str) -> None:
    """Four writers, each with a stream of its own: every poll is counted once, whatever the interleaving."""
    open_store(url).close()
    writers, polls = 4, 25

    def write(writer: int) -> Callable[[Store], int]:
        def work(store: Store) -> int:
            for number in range(polls):
                at = T0 + number * timedelta(minutes=1)
                own = replace(KEY, external_id=f"q{writer}")
                store.append(Batch(snapshots=(Snapshot(own, at, at, probability=0.5),)))
            return polls

        return work

    at_once(url, [write(writer) for writer in range(writers)])
    store = open_store(url)
    assert [seen.times_seen for seen in store.latest().values()] == [polls] * writers
    assert {seen.seen_last for seen in store.latest().values()} == {T0 + (polls - 1) * timedelta(minutes=1)}
    assert store.check() == []
    store.close()


def test_what_is_read_and_written_in_one_go_is_lost_by_nobody(url: str) -> None:
    """One row, four writers, each adding one to what it read; ``tests.soak.storing`` does it 500 times each."""
    open_store(url).close()

    def count(store: Store) -> None:
        for _ in range(20):
            with store.together():
                known = store.health().get("counted", SourceHealth("counted"))
                store.set_health(replace(known, failures=known.failures + 1))

    at_once(url, [count] * 4)
    store = open_store(url)
    assert store.health()["counted"].failures == 80
    store.close()


def test_the_same_payload_put_by_several_is_stored_once(url: str) -> None:
    open_store(url).close()
    at_once(url, [lambda store: store.put_raw(payload(b"same"))] * 4)
    store = open_store(url)
    assert store.counts()["payload"] == store.counts()["sighting"] == 1
    store.close()


def test_several_may_create_the_database_at_the_same_time(empty_url: str) -> None:
    path = empty_url.removeprefix("sqlite:///")
    program = (
        "import sys, storage\n"
        "from storage.records import Gap\n"
        "from questions.time import parse_utc\n"
        "store = storage.open_store(sys.argv[1])\n"
        "at = parse_utc('2026-01-01T00:00Z')\n"
        "store.add_gap(Gap(sys.argv[2], at, at, 'started'))\n"
        "store.close()\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_url, str(number)], stderr=subprocess.PIPE, cwd=ROOT
        )
        for number in range(4)
    ]
    failed = [process.communicate(timeout=60)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 4, (path, failed)
    store = open_store(empty_url)
    assert len(store.gaps()) == 4
    assert store.check() == []
    store.close()


def test_a_reader_sees_whole_batches_only(url: str) -> None:
    open_store(url).close()
    names = [f"q{number}" for number in range(20)]
    done = threading.Event()

    def write(store: Store) -> set[int]:
        for hour in range(25):
            store.append(Batch(snapshots=tuple(poll(hour, hour / 100, key(name)) for name in names)))
        done.set()
        return {len(names)}

    def read(store: Store) -> set[int]:
        seen: set[int] = set()
        while not done.is_set():
            latest = store.latest()
            hours_seen = {observation.snapshot.as_of for observation in latest.values()}
            seen.add(len(hours_seen))
        return seen

    _, seen = at_once(url, [write, read])
    assert seen <= {0, 1}, "streams of one batch never stand at different hours"


def test_a_gap_in_time_between_processes_is_kept(url: str) -> None:
    for at in (T0, T0 + DAY, T0 + 4 * DAY):
        store = open_store(url)
        store.append(Batch(snapshots=(Snapshot(KEY, at, at, probability=0.5),)))
        store.close()
    store = open_store(url)
    assert [seen.times_seen for seen in store.history(KEY)] == [2, 1]
    store.close()


LOCKED = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000000 + 2)
except BlockingIOError:
    print("held")
else:
    print("free")
"""


def test_opening_a_database_twice_in_one_process_leaves_the_first_ones_locks_alone(sqlite_file: Path) -> None:
    """SQLite's shared range, seen from another process. Without it a clean close elsewhere deletes the log that
    this connection still writes to, and the file is malformed."""
    first = open_store(f"sqlite:///{sqlite_file}")
    first.add_gap(Gap("s", T0, T0, "here"))

    def seen() -> str:
        told = subprocess.run(
            [sys.executable, "-c", LOCKED, sqlite_file], capture_output=True, text=True, check=True
        )
        return told.stdout.strip()

    assert seen() == "held"
    open_store(f"sqlite:///{sqlite_file}", create=False).close()
    assert seen() == "held"
    first.close()
    assert seen() == "free"


def test_many_short_visits_from_two_processes_leave_the_file_whole(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    program = (
        "import sys, storage\n"
        "from storage.records import Gap\n"
        "from questions.time import parse_utc\n"
        "for number in range(60):\n"
        "    kept, visit = storage.open_store(sys.argv[1]), storage.open_store(sys.argv[1])\n"
        "    at = parse_utc('2026-01-01T00:00Z')\n"
        "    visit.close()\n"
        "    kept.add_gap(Gap(f'{sys.argv[2]}-{number}', at, at, 'x' * 2000))\n"
        "    kept.close()\n"
    )
    visitors = [
        subprocess.Popen([sys.executable, "-c", program, url, name], stderr=subprocess.PIPE, cwd=ROOT)
        for name in "abc"
    ]
    failed = [process.communicate(timeout=120)[1].decode() for process in visitors]
    assert failed == [""] * 3
    store = open_store(url)
    assert len(store.gaps()) == 3 * 60
    assert store.check() == []
    store.close()

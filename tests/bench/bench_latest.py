"""The newest value of 2,000 questions among a million rows:  python -m tests.bench.bench_latest [--postgresql]

Prints the median of the database's own work (the statement the store sends, every row fetched) and of the store's
answer in records, beside a plain lookup by primary key of as many rows; all in one run. Target: at most 10 ms on
SQLite and 25 ms on PostgreSQL for the database's work.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import event, text

from questions.records import History, Quantity, StreamKey
from questions.time import to_micros
from storage.engine import locate, open_database
from storage.records import Batch
from storage.sql import SqlStore
from tests.postgres import PostgresServer, find_binaries

QUESTIONS, POINTS, ROUNDS = 2_000, 500, 15
START = datetime(2025, 1, 1, tzinfo=UTC)


def fill(store: SqlStore) -> None:
    """500 hourly values of each question, every one other than the one before."""
    at = START + timedelta(days=30)
    hours = tuple(to_micros(START + timedelta(hours=hour)) for hour in range(POINTS))
    for first in range(0, QUESTIONS, 100):
        store.append(
            Batch(
                histories=tuple(
                    History(
                        StreamKey("manifold", "manifold", f"q{n:05}", "yes", Quantity.PLAY_MONEY_PRICE),
                        at, hours, tuple((n * 7 + hour) % 997 / 1000 for hour in range(POINTS)),
                    )
                    for n in range(first, first + 100)
                )
            )
        )  # fmt: skip


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Median milliseconds, on the clock and on this thread's processor (a busy machine shows in the first)."""
    taken = []
    for _ in range(ROUNDS):
        began, processor = time.perf_counter(), time.thread_time()
        work()
        taken.append((time.perf_counter() - began, time.thread_time() - processor))
    return median(one for one, _ in taken) * 1000, median(one for _, one in taken) * 1000


def measure(url: str) -> str:
    store = SqlStore(open_database(locate(url), create=True, read_only=False))
    fill(store)
    rows = store.counts()["observation"]
    sent: list[tuple[str, object]] = []
    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _r, sql, bound, *_: sent.append((sql, bound)))
    assert len(store.latest()) == QUESTIONS
    (query,) = [one for one in sent if "FROM stream" in one[0]]
    with store._database.read() as connection:
        bare = connection.connection.cursor()

        def ask(sql: str, bound: object) -> int:
            bare.execute(sql, bound)
            return len(bare.fetchall())

        own = timed(lambda: ask(*query))
        assert ask(*query) == QUESTIONS
        plain = timed(lambda: ask(str(text(f"SELECT * FROM stream LIMIT {QUESTIONS}")), ()))
    answer = timed(store.latest)
    store.close()
    return (
        f"{rows} rows, {QUESTIONS} questions: {own[0]:.1f} ms in the database ({own[1]:.1f} ms of our processor,"
        f" {own[0] / plain[0]:.1f}x reading as many rows of a table), {answer[0]:.1f} ms ({answer[1]:.1f}) as records"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_latest")
    parser.add_argument("--postgresql", action="store_true")
    if not parser.parse_args().postgresql:
        with tempfile.TemporaryDirectory(prefix="speedup-bench-") as folder:
            print("SQLite:", measure(f"sqlite:///{Path(folder) / 'latest.sqlite'}"))
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server binaries found; install them: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        print("PostgreSQL:", measure(server.url(server.create())))
    finally:
        server.stop()


if __name__ == "__main__":
    main()

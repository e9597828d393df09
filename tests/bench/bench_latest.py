"""The newest value of 2,000 questions out of a million rows. Run by hand:

    python -m tests.bench.bench_latest [--rows N] [--questions N] [--postgresql]

Three ways, in one process: the statement alone, through the driver, fetching time and probability (what an index can
do: a seek each); the store's own statement with all it fetches; and ``Store.latest``, which makes checked records.
Median and least of 30, wall time and this process's own time (on a busy machine the wall tells of the neighbours).
Targets for the first: at most 10 ms on SQLite, 25 ms on PostgreSQL.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from sqlalchemy import text

from questions.records import History, Quantity, StreamKey
from questions.time import to_micros
from storage.engine import locate, open_database
from storage.newest import newest
from storage.records import Batch
from storage.sql import SqlStore
from tests.postgres import PostgresServer, find_binaries

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIMES = 30
ALONE = {
    "sqlite": (
        "SELECT stream.id, newest.as_of, newest.probability FROM stream LEFT JOIN observation AS newest"
        " ON newest.stream_id = stream.id AND (newest.as_of, newest.seen_first, newest.reading) ="
        " (SELECT as_of, seen_first, reading FROM observation WHERE stream_id = stream.id"
        " ORDER BY as_of DESC, seen_first DESC, reading DESC LIMIT 1)"
    ),
    "postgresql": (
        "SELECT stream.id, newest.as_of, newest.probability FROM stream LEFT JOIN LATERAL"
        " (SELECT as_of, probability FROM observation WHERE stream_id = stream.id"
        " ORDER BY as_of DESC, seen_first DESC, reading DESC LIMIT 1) AS newest ON true"
    ),
}


def fill(store: SqlStore, rows: int, questions: int) -> None:
    chance, each = random.Random(1), rows // questions
    last = to_micros(AT)
    keys = [
        StreamKey("manifold", "manifold", f"q{n}", "yes", Quantity.PLAY_MONEY_PRICE) for n in range(questions)
    ]
    for start in range(0, questions, 50):
        store.append(
            Batch(
                histories=tuple(
                    History(
                        key,
                        AT,
                        tuple(
                            last - (each - i) * 3_600_000_000 + chance.randrange(1_000_000)
                            for i in range(each)
                        ),
                        tuple(chance.random() for _ in range(each)),
                    )
                    for key in keys[start : start + 50]
                )
            )
        )


def timed(what: str, work: Callable[[], object]) -> None:
    walls, owns = [], []
    for _ in range(TIMES):
        wall, own = perf_counter(), process_time()
        work()
        walls.append((perf_counter() - wall) * 1000)
        owns.append((process_time() - own) * 1000)
    print(
        f"  {what:26} median {median(walls):6.1f} ms (least {min(walls):6.1f});"
        f" own time {median(owns):6.1f} ms (least {min(owns):6.1f})",
        flush=True,
    )


def measure(url: str, rows: int, questions: int) -> None:
    store = SqlStore(open_database(locate(url), create=True, read_only=False))
    fill(store, rows, questions)
    engine = store._database.engine.dialect.name
    print(f"{engine}: {store.counts()['observation']} rows, {questions} questions")
    with store._database.write() as connection:
        connection.execute(text("ANALYZE"))
    with store._database.read() as connection:
        bare = connection.connection.driver_connection
        assert bare is not None
        alone = ALONE[engine]
        assert len(bare.execute(alone).fetchall()) == questions
        timed("statement, driver alone", lambda: bare.execute(alone).fetchall())
        whole = newest(engine, named=False, clipped=False)
        timed("all that is fetched", lambda: connection.execute(whole).fetchall())
    assert len(store.latest()) == questions
    timed("Store.latest (records)", store.latest)
    tomorrow = AT + timedelta(days=1)
    timed("Store.latest, known_at", lambda: store.latest(known_at=tomorrow))
    store.close()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--questions", type=int, default=2_000)
    options.add_argument("--postgresql", action="store_true")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'tracker.db'}", asked.rows, asked.questions)
    binaries = find_binaries() if asked.postgresql else None
    if binaries is not None:
        server = PostgresServer(binaries)
        try:
            server.start()
            measure(server.url(server.create()), asked.rows, asked.questions)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

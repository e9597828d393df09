"""Reading and storing a million points of history, beside the same rows written plainly. Run by hand:

    python -m tests.bench.bench_backfill [--rows N] [--postgresql] [clob] [data] [bets]

Pages with every key a platform sends (the prices are invented) are read by the adapter and stored in waves of
as many answers as a backfill takes at once, into streams whose present value is known already. The baseline, in
the same run, writes the rows that came of it into the same table again, emptied, with the driver alone and in as
many transactions: ``sqlite3.executemany``, or COPY on PostgreSQL. Each way runs in a process of its own.
Targets: at least half as many rows a second as plain ``executemany``, as COPY; less than 300 MB at the peak.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from questions.records import Quantity, Snapshot, StreamKey
from storage.engine import locate, open_database
from storage.records import Batch, RawPayload
from storage.sql import SqlStore
from tests.postgres import PostgresServer, find_binaries
from tracker.collect import WAVE, merged
from tracker.source import Source
from tracker.sources.manifold import Manifold
from tracker.sources.polymarket import Polymarket

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
START_S = 1_700_000_000
ON_A_PAGE = 1_000
PAGES_OF_A_MARKET = 5


# pages --------------------------------------------------------------------------------------------


def walk(chance: random.Random) -> Iterator[float]:
    """A price that moves in steps of half a cent and is never sure."""
    price = 100
    while True:
        price = min(max(price + chance.choice((-2, -1, -1, 0, 1, 1, 2)), 1), 199)
        yield price / 200


def raw(source: str, ref: str, url: str, body: Any) -> RawPayload:
    return RawPayload(source, ref, url, AT, 200, "application/json", json.dumps(body).encode())


def place(number: int) -> tuple[int, int]:
    """A page's market and the time of its first point (s): a wave asks for one page of each of its markets."""
    group, rest = divmod(number, WAVE * PAGES_OF_A_MARKET)
    page, market = divmod(rest, WAVE)
    return group * WAVE + market, START_S + page * ON_A_PAGE * 60


def clob_page(number: int, chance: random.Random) -> RawPayload:
    market, first = place(number)
    prices = enumerate(islice(walk(chance), ON_A_PAGE))
    body = {"history": [{"t": first + i * 60, "p": price} for i, price in prices]}
    ref = f"0x{market:064x}"
    return raw("polymarket", ref, "https://clob.polymarket.com/prices-history?market=1", body)


def data_page(number: int, chance: random.Random) -> RawPayload:
    market, first = place(number)
    rows = [
        {"timestamp": first + i * 60, "price": price, "resolution_seconds": 60}
        for i, price in enumerate(islice(walk(chance), ON_A_PAGE))
    ]
    body = {"data": rows, "pagination": {"limit": ON_A_PAGE, "has_more": False, "next_cursor": None}}
    ref = f"0x{market:064x}"
    return raw("polymarket", ref, "https://data-api.polymarket.com/v2/prices-history?token_id=1", body)


def bets_page(number: int, chance: random.Random) -> RawPayload:
    """Trades on the last page of a chain (a full one leaves its last millisecond to the page after it)."""
    (which, first_s), prices = place(number), walk(chance)
    market, first, before = f"market{which:06}", first_s * 1000, next(prices)
    rows: list[dict[str, Any]] = []
    for i, after in enumerate(islice(prices, ON_A_PAGE - 1)):
        rows.append(bet(market, number * ON_A_PAGE + i, first + i * 60_000, before, after, chance))
        before = after
    url = f"https://api.manifold.markets/v0/bets?contractId={market}&limit=1000&afterTime={first - 1}"
    return raw("manifold", market, url, rows)


def bet(
    market: str, number: int, made: int, before: float, after: float, chance: random.Random
) -> dict[str, Any]:
    amount, shares = chance.randrange(1, 100), chance.random() * 100
    return {
        "id": f"bet{number:09}",
        "userId": f"user{chance.randrange(500):08}",
        "contractId": market,
        "createdTime": made,
        "updatedTime": made,
        "amount": amount,
        "shares": shares,
        "outcome": "YES" if after >= before else "NO",
        "probBefore": before,
        "probAfter": after,
        "orderAmount": amount,
        "loanAmount": 0,
        "isFilled": True,
        "isCancelled": False,
        "isRedemption": False,
        "isApi": False,
        "fees": {"creatorFee": 0, "platformFee": 0, "liquidityFee": 0},
        "fills": [{"matchedBetId": None, "amount": amount, "shares": shares, "timestamp": made}],
    }


Page = Callable[[int, random.Random], RawPayload]
KINDS: dict[str, tuple[Source, Page, Quantity]] = {
    "clob": (Polymarket(), clob_page, Quantity.REAL_MONEY_MID),
    "data": (Polymarket(), data_page, Quantity.REAL_MONEY_MID),
    "bets": (Manifold(), bets_page, Quantity.PLAY_MONEY_PRICE),
}


# the two ways, each in its own process ------------------------------------------------------------


def ours(url: str, kind: str, count: int) -> dict[str, float]:
    source, page, quantity = KINDS[kind]
    chance = random.Random(1)
    store = SqlStore(open_database(locate(url), create=True, read_only=False))
    reading = storing = 0.0
    new = size = 0
    numbers = range(count // ON_A_PAGE)
    for start in range(0, len(numbers), WAVE):
        pages = [page(number, chance) for number in numbers[start : start + WAVE]]
        for ref in {each.ref for each in pages}:
            key = StreamKey(source.traits.name, source.traits.name, ref, "yes", quantity)
            store.append(Batch(snapshots=(Snapshot(key, AT, AT, probability=0.5),)))
        began = perf_counter()
        read = [source.parse(each) for each in pages]
        parsed = perf_counter()
        report = store.append(merged([each.batch for each in read]))
        storing += perf_counter() - parsed
        reading += parsed - began
        assert not any(each.faults for each in read)
        assert report.snapshots_unchanged == 0
        new += report.snapshots_new
        size += sum(len(each.body) for each in pages)
    store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": new, "bytes": size, "reading": reading, "storing": storing, "peak": peak}


COLUMNS = (
    "stream_id", "as_of", "seen_first", "reading", "timed", "state", "probability", "value", "distribution",
    "forecasters", "hidden_until", "volume", "liquidity", "spread", "payload_id", "seen_last", "times_seen",
)  # fmt: skip
LISTED = ", ".join(COLUMNS)


def chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), WAVE * ON_A_PAGE):
        yield rows[start : start + WAVE * ON_A_PAGE]


def plain_sqlite(url: str) -> dict[str, float]:
    taken = 0.0
    with open_database(locate(url), create=False, read_only=False).driver() as bare:
        rows = bare.execute(f"SELECT {LISTED} FROM observation WHERE timed = 1").fetchall()
        bare.execute("DELETE FROM observation WHERE timed = 1")
        bare.execute("VACUUM")
        bare.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for chunk in chunks(rows):
            began = perf_counter()
            bare.execute("BEGIN IMMEDIATE")
            bare.executemany(
                f"INSERT INTO observation ({LISTED}) VALUES ({', '.join('?' * len(COLUMNS))})", chunk
            )
            bare.execute("COMMIT")
            taken += perf_counter() - began
    return {"rows": len(rows), "taken": taken}


def plain_postgresql(url: str) -> dict[str, float]:
    import psycopg

    taken = 0.0
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"SELECT {LISTED} FROM observation WHERE timed").fetchall()
        connection.execute("TRUNCATE observation")
        connection.commit()
        for chunk in chunks(rows):
            began = perf_counter()
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY observation ({LISTED}) FROM STDIN") as copy,
            ):
                for row in chunk:
                    copy.write_row(row)
            connection.commit()
            taken += perf_counter() - began
    return {"rows": len(rows), "taken": taken}


def plain(url: str, *_: Any) -> dict[str, float]:
    return plain_sqlite(url) if url.startswith("sqlite") else plain_postgresql(url)


# ----------------------------------------------------------------------------------------------------


def apart(way: str, url: str, kind: str, count: int) -> dict[str, float]:
    """Run one way in a new process, so that neither's memory nor warmth is the other's."""
    command = [sys.executable, "-m", "tests.bench.bench_backfill", "--way", way, "--url", url]
    done = subprocess.run([*command, "--rows", str(count), kind], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(url: str, kind: str, count: int) -> None:
    told, base = apart("ours", url, kind, count), apart("plain", url, kind, count)
    assert told["rows"] == base["rows"]
    rows, taken = told["rows"], told["reading"] + told["storing"]
    print(
        f"{kind:5} {url.partition(':')[0]:10} {rows / 1e6:.2f} million rows of {told['bytes'] / 1e6:4.0f} MB:"
        f" read {told['reading']:5.2f} s, stored {told['storing']:5.2f} s = {rows / taken:7,.0f} rows/s;"
        f" plain {base['taken']:5.2f} s = {rows / base['taken']:7,.0f} rows/s; ratio {base['taken'] / taken:.2f}"
        f" (storing alone {base['taken'] / told['storing']:.2f}); peak {told['peak']:.0f} MB",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("kinds", nargs="*", choices=[*KINDS, []])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--postgresql", action="store_true")
    options.add_argument("--way", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options.add_argument("--url", help=argparse.SUPPRESS)
    asked = options.parse_args()
    kinds = asked.kinds or list(KINDS)
    if asked.way:
        run = {"ours": ours, "plain": plain}[asked.way]
        print(json.dumps(run(asked.url, kinds[0], asked.rows)))
        return
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            measure(f"sqlite:///{Path(folder) / 'tracker.db'}", kind, asked.rows)
    binaries = find_binaries() if asked.postgresql else None
    if binaries is not None:
        server = PostgresServer(binaries)
        try:
            server.start()
            for kind in kinds:
                measure(server.url(server.create()), kind, asked.rows)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

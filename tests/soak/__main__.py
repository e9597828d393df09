"""The long part:  python -m tests.soak [--kills N] [--engine sqlite|postgresql] [--table FILE]"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.postgres import PostgresServer, find_binaries
from tests.soak.kills import Result, soak

HEAD = (
    "| engine | daemons | SIGKILLs | leaders | slots | finished | in gaps | rows | longest pause | missing |"
    " partial | doubled | damage |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(one: Result) -> str:
    wrong = " | ".join(str(len(found)) for found in (one.missing, one.partial, one.doubled, one.damage))
    return (
        f"| {one.engine} | {one.daemons} | {one.kills} | {one.leaders} | {one.slots} | {one.finished} |"
        f" {one.in_gaps} | {one.rows} | {one.longest_pause_s:.0f} s | {wrong} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--kills", type=int, default=250, help="per engine and number of daemons")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the table here too")
    chosen = parser.parse_args()
    results = []
    for engine in chosen.engine or ["sqlite", "postgresql"]:
        for daemons in (1, 3):
            one = _one(engine, daemons, chosen.kills, chosen.seed)
            for problem in one.problems[:20]:
                print("  problem:", problem, file=sys.stderr)
            print(line(one), file=sys.stderr, flush=True)
            results.append(one)
    table = "\n".join([HEAD, *map(line, results)])
    print(table)
    if chosen.table is not None:
        chosen.table.write_text(table + "\n", encoding="utf-8")
    return 1 if any(one.problems for one in results) else 0


def _one(engine: str, daemons: int, kills: int, seed: int) -> Result:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="speedup-soak-") as folder:
            return soak(f"sqlite:///{folder}/soak.sqlite", engine, daemons=daemons, kills=kills, seed=seed)
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server binaries found; install them: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        return soak(server.url(server.create()), engine, daemons=daemons, kills=kills, seed=seed)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())

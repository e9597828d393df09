"""The long part:  python -m tests.soak [--kills N] [--engine sqlite|postgresql] [--scene NAME] [--table FILE]

Kills first, then the scenes (``--scene`` plays these only, ``--no-scenes`` none). ``python -m tests.soak.year`` is the
simulated year.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.postgres import PostgresServer, find_binaries
from tests.soak.kills import LONGEST_S, Result, soak
from tests.soak.scenes import SCENES, play

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
    parser.add_argument("--daemons", type=int, choices=[1, 3], action="append")
    parser.add_argument("--longest", type=float, default=LONGEST_S, help="seconds between two kills at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the table here too")
    parser.add_argument("--scene", choices=list(SCENES), action="append", help="no kills, these scenes only")
    parser.add_argument("--no-scenes", action="store_true", help="kills only")
    chosen = parser.parse_args()
    logging.disable()
    tables, good = [], True
    if not chosen.scene:
        table, good = _kills(chosen)
        tables.append(table)
    if not chosen.no_scenes:
        table, played = _scenes(chosen.scene or list(SCENES))
        tables.append(table)
        good &= played
    if chosen.table is not None:
        chosen.table.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    return 0 if good else 1


def _scenes(names: list[str]) -> tuple[str, bool]:
    rows, good = ["| scene | measured | as it should be |", "|---|---|---|"], True
    for one in play(names):
        rows.append(f"| {one.scene} | {one.measured} | {'yes' if one.good else 'NO'} |")
        print(rows[-1], file=sys.stderr, flush=True)
        good &= one.good
    print("\n".join(rows))
    return "\n".join(rows), good


def _kills(chosen: argparse.Namespace) -> tuple[str, bool]:
    results = []
    for engine in chosen.engine or ["sqlite", "postgresql"]:
        for daemons in chosen.daemons or (1, 3):
            one = _one(engine, daemons, chosen)
            for problem in one.problems[:20]:
                print("  problem:", problem, file=sys.stderr)
            print(line(one), file=sys.stderr, flush=True)
            results.append(one)
    table = "\n".join([HEAD, *map(line, results)])
    print(table)
    return table, not any(one.problems for one in results)


def _one(engine: str, daemons: int, chosen: argparse.Namespace) -> Result:
    def on(database: str) -> Result:
        return soak(
            database, engine,
            daemons=daemons, kills=chosen.kills, seed=chosen.seed, longest_s=chosen.longest,
        )  # fmt: skip

    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="speedup-soak-") as folder:
            return on(f"sqlite:///{folder}/soak.sqlite")
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server binaries found; install them: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        return on(server.url(server.create()))
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())

"""All of it:  python -m tests.soak [--quick] [--part NAME]… [--kills N] [--table FILE]

Parts: kills (of whole daemons that poll, make digests and mail them), letters (kills at every step of a digest), scenes
(what else can happen, one each; ``--scene NAME`` for these only), storing, hostile, year. Each row is told as soon as
it is known, and the table is written anew each time. It takes about an hour on two free cores. ``--quick``: the part
that runs with every check, in under three minutes.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.postgres import PostgresServer, find_binaries
from tests.soak import hostile, storing
from tests.soak.kills import LONGEST_S, Result, soak
from tests.soak.mail_kills import kill_often
from tests.soak.scenes import SCENES, play
from tests.soak.table import HEAD, ROOT, Row, Told, tests_of

ENGINES = ("sqlite", "postgresql")
QUICK = (
    "tests/daemon/test_soak.py",
    "tests/daemon/test_scenes.py",
    "tests/daemon/test_clock.py",
    "tests/mail/test_kills.py",
    "tests/mail/test_daemon.py",
    "tests/mail/test_delivery.py",
    "tests/storage/test_concurrency.py",
)


@contextmanager
def database(engine: str) -> Iterator[str]:
    """A new database; its URL."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="speedup-soak-") as folder:
            yield f"sqlite:///{folder}/soak.sqlite"
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server binaries found; install them: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server.url(server.create())
    finally:
        server.stop()


def kills(chosen: argparse.Namespace) -> Iterator[Row]:
    """R1 with whole daemons."""
    for engine in chosen.engine or ENGINES:
        for daemons in chosen.daemons or (1, 3):
            with database(engine) as url:
                one = soak(
                    url, engine,
                    daemons=daemons, kills=chosen.kills, seed=chosen.seed, longest_s=chosen.longest,
                )  # fmt: skip
            for problem in one.problems[:20]:
                print("  problem:", problem, file=sys.stderr)
            yield killed(one)


def killed(one: Result) -> Row:
    wrong = {
        "missing": one.missing, "partial": one.partial, "doubled": one.doubled,
        "digests or letters missing": one.unmailed, "problems found by the check": one.damage,
    }  # fmt: skip
    told = (
        f"{one.leaders} leaders; {one.slots} slots: {one.finished} finished, {one.in_gaps} in gaps, longest pause"
        f" {one.longest_pause_s:.0f} s; {one.rows} rows; {one.digests} digests, {one.mails} messages, {one.repeats} of"
        " them repeats under a Message-ID that had arrived; "
    )
    told += ", ".join(f"{len(found)} {what}" for what, found in wrong.items())
    what = f"R1 {one.kills} SIGKILLs, {one.daemons} daemon{'s' * (one.daemons > 1)}, {one.engine}"
    return Row(what, told, not one.problems)


def letters(chosen: argparse.Namespace) -> Iterator[Row]:
    """R1 at every step of a digest from its making to its last letter."""
    for engine in chosen.engine or ENGINES:
        number = chosen.letters if engine == "sqlite" else chosen.letters // 2
        with database(engine) as url:
            one = kill_often(url, number)
        for problem in one.problems[:20]:
            print("  problem:", problem, file=sys.stderr)
        told = (
            f"{one.weeks} digests of {one.steps} steps each, {one.received} messages, {one.repeated} of them repeats"
            f" with the same bytes and Message-ID; {len(one.problems)} missing, partial or under a second Message-ID"
        )
        yield Row(f"R1 {one.kills} SIGKILLs at steps of a digest, {engine}", told, not one.problems)


def scenes(chosen: argparse.Namespace) -> Iterator[Row]:
    for one in play(chosen.scene or list(SCENES)):
        yield Row(one.scene, one.measured, one.good)


def storage_rows(chosen: argparse.Namespace) -> Iterator[Row]:
    return storing.rows(500, 40, chosen.rows)


def hostile_rows(chosen: argparse.Namespace) -> Iterator[Row]:
    return hostile.rows(chosen.answers)


def one_year(chosen: argparse.Namespace) -> Iterator[Row]:
    """In a process of its own, whose memory is measured."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.year", "--days", str(chosen.days)],
        stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    parts = done.stdout.strip().strip("|").split(" | ")
    if len(parts) == 3:
        yield Row(parts[0].strip(), parts[1], done.returncode == 0)
    else:
        yield Row("A simulated year", f"it failed: {done.stdout[-200:]}", good=False)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "kills": kills,
    "scenes": scenes,
    "letters": letters,
    "year": one_year,
    "storing": storage_rows,
    "hostile": hostile_rows,
}


def load() -> str:
    """The machine, and what else it does."""
    own = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {own}, load {os.getloadavg()[0]:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--quick", action="store_true", help="the tests that run with every check, no more")
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--scene", choices=list(SCENES), action="append", help="these scenes only")
    parser.add_argument("--kills", type=int, default=260, help="per engine and number of daemons")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--daemons", type=int, choices=[1, 3], action="append")
    parser.add_argument("--longest", type=float, default=LONGEST_S, help="seconds between two kills at most")
    parser.add_argument(
        "--letters", type=int, default=200, help="kills at steps of a digest; half on PostgreSQL"
    )
    parser.add_argument("--answers", type=int, default=10_000, help="mutated answers of each source")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the table here too")
    chosen = parser.parse_args()
    if chosen.quick:
        row = tests_of("The quick part", *QUICK)
        print(HEAD, row, sep="\n")
        return 0 if row.good else 1
    logging.disable()
    told, begun = Told(), load()
    for name in ["scenes"] if chosen.scene else chosen.part or list(PARTS):
        for row in PARTS[name](chosen):
            told.append(row)
            table = "\n".join([HEAD, *map(str, told), "", f"Begun {begun}; this far at {load()}."])
            if chosen.table is not None:
                chosen.table.write_text(table + "\n", encoding="utf-8")
    print(table)
    return 0 if all(one.good for one in told) else 1


if __name__ == "__main__":
    sys.exit(main())

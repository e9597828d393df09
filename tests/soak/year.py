"""A year of polling in minutes: what memory and the file come to.

    python -m tests.soak.year [--days N] [--questions N] [--hours H] [--changed SHARE] [--postgresql]

Six sources with their share of the questions, asked over HTTP from a server in another process; every poll goes
through the daemon, the ledger, the client, the collector and the store. Prints a line a month and the result.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from questions.catalogue import load_catalogue
from storage import open_store
from tests.soak.compressed import Compressed, Time
from tests.soak.platform import Counting
from tests.soak.table import Row
from tests.sources.answers import link
from tracker.config import Settings
from tracker.daemon.chores import poll_jobs
from tracker.http import HttpClient
from tracker.jobs import PREFIX as POLL
from tracker.schedule import FINISHED

NAMES = ("manifold", "metaculus", "kalshi", "fatebook", "forecastbench", "metr")
START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
YEAR_DAYS = 365


@dataclass(frozen=True)
class Figures:
    """Where things stand after so many simulated days."""

    days: int
    polls: int
    rows: int
    rss_mb: float
    file_mb: float
    seconds: float


def serve() -> None:
    """The platforms: each of the asked questions has a price, and a share of them moves at every answer."""
    from tests.servers.local import Answer, LocalServer, Seen, reply

    changed, chance = float(sys.argv[2]), random.Random(0)
    prices: dict[str, int] = {}
    lock = threading.Lock()

    def answer(seen: Seen) -> Answer:
        with lock:
            for name in dict(seen.query)["ids"].split(","):
                price = prices.setdefault(name, 500)
                if chance.random() < changed:
                    prices[name] = min(max(price + chance.choice((-7, -3, -1, 1, 3, 7)), 1), 999)
            asked = dict(seen.query)["ids"].split(",")
            return reply(200, json.dumps({name: prices[name] / 1000 for name in asked}).encode())

    server = LocalServer()
    server.route_others(answer)
    with server:
        print(server.url, flush=True)
        sys.stdin.read()


@contextmanager
def platforms(changed: float) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.year", "--serve", str(changed)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def rss_mb() -> float:
    """What the process holds of memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def file_mb(database: str) -> float:
    path = Path(database.removeprefix("sqlite:///"))
    return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6


def live(database: str, *, days: int, questions: int, hours: float, changed: float) -> Iterator[Figures]:
    """Polling for so many days; figures at the end of each month."""
    with platforms(changed) as url, HttpClient(user_agent="soak") as client:
        asked = {
            "poll_hours": dict.fromkeys(NAMES, hours),
            "metaculus_token": "0" * 10,
            "fatebook_key": "0" * 10,
        }
        settings = Settings.model_validate(asked | {f"{name}_url": url for name in NAMES})
        base = Counting().traits
        sources = [
            Counting(traits=replace(base, name=name, setting=name, platforms=(name,))) for name in NAMES
        ]
        each = [questions // len(NAMES) + (n < questions % len(NAMES)) for n in range(len(NAMES))]
        links = tuple(
            link(name, f"question-{n:04}")
            for name, many in zip(NAMES, each, strict=True)
            for n in range(many)
        )
        clock, stop = Time(START), threading.Event()
        jobs = poll_jobs(
            sources, replace(load_catalogue(), links=links), settings,
            client=client, probe=client, now=clock.wall, stop=stop,
        )  # fmt: skip
        began = time.monotonic()
        life = Compressed(jobs, lambda: open_store(database), clock, stop)
        for day in [*range(30, days, 30), days]:
            life.until(START + timedelta(days=day))
            with closing(open_store(database)) as store:
                rows = store.counts()["observation"]
                polls = sum(run.job.startswith(POLL) and run.state in FINISHED for run in store.runs())
            yield Figures(day, polls, rows, rss_mb(), file_mb(database), time.monotonic() - began)
        life.close()


@dataclass(frozen=True)
class Year:
    """What the year came to; memory after a month and at the end."""

    month: Figures
    end: Figures
    questions: int

    @property
    def growth(self) -> float:
        return self.end.rss_mb / self.month.rss_mb - 1

    @property
    def kb_per_question(self) -> float:
        """Growth of the file per question and year, from the end of the first month on."""
        days = self.end.days - self.month.days
        return (self.end.file_mb - self.month.file_mb) * 1000 / self.questions * YEAR_DAYS / days


def year_of(
    days: int = YEAR_DAYS, questions: int = 500, hours: float = 6.0, changed: float = 1.0
) -> tuple[Year, float]:
    """Such a year on a new SQLite file, a line a month; and how many polls there ought to be."""
    with tempfile.TemporaryDirectory(prefix="speedup-year-") as folder:
        database, months = f"sqlite:///{folder}/year.sqlite", []
        for one in live(database, days=days, questions=questions, hours=hours, changed=changed):
            months.append(one)
            print(one, file=sys.stderr, flush=True)
    return Year(months[0], months[-1], questions), days * 24 / hours * len(NAMES)


def good(year: Year, wanted: float) -> bool:
    """Flat memory, little of it, and no poll left out."""
    return year.growth <= 0.10 and year.end.rss_mb < 150 and abs(year.end.polls - wanted) <= 12


def row(year: Year, wanted: float, hours: float, changed: float) -> Row:
    what = (
        f"A year of {year.questions} questions on {len(NAMES)} sources, a poll every {hours:g} h, {changed:.0%} of"
        " values moving at each, SQLite"
    )
    told = (
        f"{year.end.polls} of {wanted:.0f} polls, {year.end.rows} rows; memory {year.month.rss_mb:.0f} MB after a"
        f" month, {year.end.rss_mb:.0f} MB after the year ({year.growth:+.1%}); {year.kb_per_question:.0f} kB of file"
        f" per question and year; {year.end.seconds:.0f} s"
    )
    return Row(what, told, good(year, wanted))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.year")
    parser.add_argument("--days", type=int, default=YEAR_DAYS)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--changed", type=float, default=1.0, help="share of prices that move at each poll")
    chosen = parser.parse_args()
    year, wanted = year_of(chosen.days, chosen.questions, chosen.hours, chosen.changed)
    print(row(year, wanted, chosen.hours, chosen.changed))
    return 0 if good(year, wanted) else 1


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
        os._exit(0)
    sys.exit(main())

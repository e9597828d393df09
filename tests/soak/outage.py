"""Every source is down for a week, in compressed time: what is still asked, what is recorded, what is called stale."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from storage import open_store
from tests.servers.local import Answer, LocalServer, Seen, reply
from tests.soak.compressed import Compressed, Time
from tests.soak.platform import following
from tests.sources.answers import link
from tests.sources.worlds import BODIES, FOLLOWED, KEY, QUICK
from tracker.config import Settings
from tracker.daemon.chores import poll_jobs
from tracker.daemon.rounds import history_jobs, links_job
from tracker.daemon.state import source_rows
from tracker.http import HttpClient
from tracker.sources import SOURCES

NAMES = ("manifold", "metaculus", "polymarket", "kalshi", "forecastbench", "metr")
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FAILURES_ALLOWED = 12
BESIDE = {"polymarket_gamma": "/gamma", "polymarket_data": "/data", "polymarket_clob": "/clob"}


@dataclass
class Outage:
    """What a week without any answer came to. ``uncovered``: sources without a gap from the last answer to the
    first new one; ``fresh``: those that were not called stale at its end."""

    most_in_a_day: dict[str, int] = field(default_factory=dict)
    uncovered: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    back_h: float = 0.0


def settings(url: str, sources: Sequence[str]) -> Settings:
    names = {
        word: name
        for name in sources
        for word in (SOURCES[name].traits.setting, *SOURCES[name].traits.other_bases)
    }
    urls = {f"{word}_url": f"{url}/{name}{BESIDE.get(word, '')}" for word, name in names.items()}
    return Settings.model_validate({**urls, "metaculus_token": KEY})


def outage(
    database: str, *, step: timedelta, days: int = 7, good: int = 2, names: Sequence[str] = NAMES
) -> Outage:
    """So many good days, so many without an answer, and a good one, with a look every ``step``."""
    clock, stop, server = Time(START), threading.Event(), LocalServer()
    down, asked = threading.Event(), []

    def answer(seen: Seen) -> Answer:
        source, _, path = seen.path.removeprefix("/").partition("/")
        if down.is_set():
            asked.append((source, clock.now))
            return reply(503)
        body = BODIES[source].get(f"/{path}")
        return reply(404, b'{"detail": "Not found."}') if body is None else reply(200, body)

    server.route_others(answer)
    links = tuple(link(platform, one) for name in names for platform, one in FOLLOWED[name])
    unique = {(one.platform, one.external_id): one for one in links}
    catalogue = following(tuple(unique.values()))
    with (
        server,
        HttpClient(user_agent="soak", settings=replace(QUICK, attempts=3)) as client,
        HttpClient(user_agent="soak", settings=QUICK) as probe,
    ):
        sources, known = [SOURCES[name] for name in names], settings(server.url, names)
        polls = poll_jobs(sources, catalogue, known, client=client, probe=probe, now=clock.wall, stop=stop)
        jobs = (
            *polls,
            *history_jobs(sources, catalogue, known, client=client, now=clock.wall, stop=stop),
            links_job(
                {name: SOURCES[name] for name in names}, catalogue, known,
                client=client, now=clock.wall, stop=stop,
            ),
        )  # fmt: skip
        life = Compressed(jobs, lambda: open_store(database), clock, stop)
        life.until(START + good * DAY, step)
        down.set()
        gone = clock.now
        life.until(gone + days * DAY, step)
        found = Outage(_most_in_a_day(asked))
        with closing(open_store(database)) as store:
            periods = {job.source: job.period for job in polls if job.source and job.period}
            rows = source_rows(store, polls, clock.now, periods)
            last = {row["source"]: row["last_success"] for row in rows}
            found.fresh = [row["source"] for row in rows if not row["stale"]]
        down.clear()
        back = clock.now
        life.until(back + DAY, step)
        with closing(open_store(database)) as store:
            for row in source_rows(store, polls, clock.now, periods):
                name = row["source"]
                covered = [
                    gap for gap in store.gaps(name) if gap.start <= last[name] and gap.end >= back - DAY
                ]
                if not covered or row["stale"]:
                    found.uncovered.append(name)
            first = [
                min(
                    run.finished_at
                    for run in store.runs(job.name)
                    if run.finished_at and run.finished_at > back
                )
                for job in polls
            ]
            found.back_h = max((moment - back).total_seconds() / 3600 for moment in first)
        life.close()
    return found


def _most_in_a_day(asked: list[tuple[str, datetime]]) -> dict[str, int]:
    """By source: the most requests within any 24 hours."""
    most: Counter[str] = Counter()
    for source, moment in asked:
        within = sum(one == source and moment - DAY < at <= moment for one, at in asked)
        most[source] = max(most[source], within)
    return dict(most)

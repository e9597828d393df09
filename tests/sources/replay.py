"""Real daily paths of the crowd, written down in each platform's own format, served, collected, stored, compared:

    python -m tests.sources.replay [FILE.csv[.gz]]...

A file has the columns ``source, id, date, crowd_value``; without one it is the table of the bundled recording
(ForecastBench, CC BY-SA 4.0, see tracker/demo/facts/LICENCES.md). Each path goes through the adapter of its own
platform (Manifold as bets, Metaculus as steps of a history, Polymarket as points in pages) and all of them
through ForecastBench's, night by night. What the store says then must be what the file says: every value on
its day, none lost, none added.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import tracker.demo.facts
from storage import open_store
from storage.memory import MemoryStore
from storage.store import Store
from tests.servers.local import Answer, LocalServer, Seen, json_reply
from tests.sources.answers import link
from tests.sources.manifold_bets import Bets, bet
from tests.sources.worlds import CLIENT, KEY
from tracker.collect import Collector
from tracker.config import Settings
from tracker.sources import SOURCES

BUNDLED = Path(tracker.demo.facts.__file__).parent / "crowd_daily.csv.gz"
OWN = ("manifold", "metaculus", "polymarket")  # ForecastBench is all there is of INFER
GRID, FORTNIGHT = date(2025, 3, 2), timedelta(days=14)  # ForecastBench's rounds
PAGE = 100  # points of a Polymarket page

Paths = dict[tuple[str, str], dict[date, float]]


def read_paths(file: Path) -> Paths:
    """(platform, id) -> day -> the crowd's probability at its end."""
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    paths: Paths = {}
    for row in csv.DictReader(io.StringIO(text)):
        paths.setdefault((row["source"], row["id"]), {})[date.fromisoformat(row["date"])] = float(
            row["crowd_value"]
        )
    return {key: dict(sorted(path.items())) for key, path in paths.items()}


def end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)


@dataclass
class Compared:
    """How many values were compared, and those that differ: (platform, id, day, in the file, in the store)."""

    values: int = 0
    differences: list[tuple[str, str, str, float | None, float | None]] = field(default_factory=list)

    def take(self, paths: Paths, store: Store, source: str) -> None:
        """Hold everything a store says of a source's streams against the paths.

        A value of the moment of a poll (one without the source's time) must be the path's newest.
        """
        kept: dict[tuple[str, str], dict[datetime, float]] = {}
        for key in store.streams():
            if key.source == source:
                name = (key.platform, key.external_id)
                newest = [*paths.get(name, {}).values()][-1:]
                path = kept.setdefault(name, {})
                for one in (seen.snapshot for seen in store.history(key)):
                    present = not one.timed_by_source and [one.probability] == newest
                    if one.probability is not None and not present:
                        path[one.as_of] = one.probability
        for name in sorted(paths.keys() | kept.keys()):
            said = {end_of(day): value for day, value in paths.get(name, {}).items()}
            found = kept.get(name, {})
            self.values += len(said)
            for at in sorted(said.keys() | found.keys()):
                if said.get(at) != found.get(at):
                    self.differences.append((*name, at.isoformat(), said.get(at), found.get(at)))


# --- the platforms --------------------------------------------------------------------------------------


@dataclass
class Manifold:
    """A market for each path; a bet at the end of each day moves its price to the day's value."""

    paths: Mapping[str, Mapping[date, float]]

    def __post_init__(self) -> None:
        self.bets = {name: Bets([*_bets(name, path)]) for name, path in self.paths.items()}

    def answer(self, seen: Seen) -> Answer:
        if seen.path == "/v0/bets":
            return self.bets[dict(seen.query)["contractId"]].answer(seen)
        name = seen.path.rpartition("/")[2]
        price = [*self.paths[name].values()][-1]
        market = {"id": name, "question": "?", "outcomeType": "BINARY", "mechanism": "cpmm-1"}
        return json_reply({**market, "isResolved": False, "probability": price})


def _bets(name: str, path: Mapping[date, float]) -> Iterable[dict[str, Any]]:
    before = 0.5
    for number, (day, value) in enumerate(path.items()):
        yield bet(number, int(end_of(day).timestamp()) * 1000, before, value, contractId=name)
        before = value


@dataclass
class Metaculus:
    """A post for each path; each value is a step of its history."""

    paths: Mapping[str, Mapping[date, float]]

    def answer(self, seen: Seen) -> Answer:
        name = seen.path.strip("/").rpartition("/")[2]
        starts = [end_of(day).timestamp() for day in self.paths[name]]
        steps = [
            {
                "start_time": start,
                "end_time": end,
                "forecaster_count": None,
                "interval_lower_bounds": None,
                "centers": [value],
                "interval_upper_bounds": None,
            }
            for start, end, value in zip(starts, [*starts[1:], None], self.paths[name].values(), strict=True)
        ]
        aggregation = {"history": steps, "latest": steps[-1], "score_data": {}, "movement": None}
        question = {
            "id": int(name),
            "title": "?",
            "type": "binary",
            "status": "open",
            "default_aggregation_method": "recency_weighted",
            "aggregations": {"recency_weighted": aggregation},
        }
        post = {"id": int(name), "title": "?", "status": "open", "resolved": False, "projects": {}}
        return json_reply({**post, "question": question})


@dataclass
class Polymarket:
    """A market for each path, without a book; its history comes in pages."""

    paths: Mapping[str, Mapping[date, float]]

    def __post_init__(self) -> None:
        self.tokens = {str(number): name for number, name in enumerate(self.paths, start=1)}

    def answer(self, seen: Seen) -> Answer:
        query = dict(seen.query)
        if seen.path == "/markets/keyset":
            asked = [value for name, value in seen.query if name == "condition_ids"]
            rows = [self._market(token, name) for token, name in self.tokens.items() if name in asked]
            return json_reply({"markets": rows})
        path = [*self.paths[self.tokens[query["token_id"]]].items()]
        start = int(query.get("cursor", "0"))
        more = start + PAGE < len(path)
        points = [
            {"timestamp": int(end_of(day).timestamp()), "price": value, "resolution_seconds": 43_200}
            for day, value in path[start : start + PAGE]
        ]
        pages = {"has_more": more, "next_cursor": str(start + PAGE) if more else None}
        return json_reply({"data": points, "pagination": pages})

    def _market(self, token: str, name: str) -> dict[str, Any]:
        return {
            "id": token,
            "conditionId": name,
            "question": "?",
            "outcomes": '["Yes", "No"]',
            "clobTokenIds": json.dumps([token, f"9{token}"]),
            "active": True,
            "closed": False,
        }


PLATFORMS = {"manifold": Manifold, "metaculus": Metaculus, "polymarket": Polymarket}


@dataclass
class ForecastBench:
    """One round that every question is in; its resolution set has the values of the night."""

    paths: Paths
    night: date = GRID

    def answer(self, seen: Seen) -> Answer:
        if seen.path != f"/datasets/resolution_sets/{round_of(self.night)}_resolution_set.json":
            return json_reply({}, 404)
        rows = [
            {
                "id": name,
                "source": platform,
                "direction": None,
                "resolution_date": self.night.isoformat(),
                "resolved_to": path[self.night],
                "resolved": False,
            }
            for (platform, name), path in self.paths.items()
            if self.night in path
        ]
        due = round_of(self.night).isoformat()
        return json_reply({"forecast_due_date": due, "question_set": f"{due}-llm.json", "resolutions": rows})


def round_of(day: date) -> date:
    """The newest round that was due by a day; before the grid the one of 2024."""
    return date(2024, 7, 21) if day < GRID else GRID + (day - GRID) // FORTNIGHT * FORTNIGHT


# --- replaying ------------------------------------------------------------------------------------------


def replay_own(paths: Paths, store: Store) -> Compared:
    """Every path through the adapter of its own platform, each market with its whole history."""
    compared = Compared()
    after = max(day for path in paths.values() for day in path) + timedelta(days=2)
    for source in OWN:
        own = {key: path for key, path in paths.items() if key[0] == source}
        if not own:
            continue
        platform = PLATFORMS[source]({name: path for (_, name), path in own.items()})
        with LocalServer() as server:
            server.route_others(platform.answer)
            _poll(source, store, server, [*own], end_of(after))
        compared.take(own, store, source)
    return compared


def replay_nights(paths: Paths, nights: Sequence[date], store: Store) -> Compared:
    """The values of these nights through ForecastBench's adapter, polled every morning after."""
    compared, bench = Compared(), ForecastBench(paths)
    with LocalServer() as server:
        server.route_others(bench.answer)
        for night in nights:
            bench.night = night
            _poll("forecastbench", store, server, [*paths], end_of(night) + timedelta(hours=6))
    wanted = {key: {day: path[day] for day in nights if day in path} for key, path in paths.items()}
    compared.take(wanted, store, "forecastbench")
    return compared


def _poll(
    source: str, store: Store, server: LocalServer, questions: Sequence[tuple[str, str]], now: datetime
) -> None:
    traits = SOURCES[source].traits
    urls = {f"{name}_url": server.url for name in (traits.setting, *traits.other_bases)}
    settings = Settings.model_validate({**urls, "metaculus_token": KEY})
    links = [link(platform, name) for platform, name in questions]
    report = Collector(store, SOURCES[source], CLIENT, settings, lambda: now).run(links)
    if report.errors:
        raise AssertionError(f"{source}: {report.errors[:3]}")


def days_of(paths: Paths) -> list[date]:
    return sorted({day for path in paths.values() for day in path})


def main() -> None:
    say = sys.stdout.write
    for file in [Path(name) for name in sys.argv[1:]] or [BUNDLED]:
        paths = read_paths(file)
        for what, store in (("memory", MemoryStore()), ("sqlite", open_store("sqlite://"))):
            for how in ("own platforms", "ForecastBench"):
                started = time.perf_counter()
                done = (
                    replay_own(paths, store)
                    if how == "own platforms"
                    else replay_nights(paths, days_of(paths), store)
                )
                say(
                    f"{file.name}, {how}, {what}: {len(paths)} questions, {done.values} values compared, "
                    f"{len(done.differences)} differences, {time.perf_counter() - started:.1f} s\n"
                )
                for difference in done.differences[:5]:
                    say(f"  {difference}\n")


if __name__ == "__main__":
    main()

"""What the soaked daemons ask: a platform that never says the same twice, and real ones in small that always do."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from questions.catalogue import Catalogue, Place, load_catalogue
from questions.model import Link
from questions.problems import CatalogueFile
from questions.records import Quantity, Snapshot, StreamKey
from storage.records import Batch, RawPayload
from tests.servers.local import Answer, LocalServer, Seen, reply
from tests.sources.worlds import BODIES
from tracker.source import Parsed, Plan, Request, SourceTraits

QUESTIONS = tuple(f"q{number:02}" for number in range(20))
SOURCES = ("manifold", "kalshi", "polymarket", "metr")
STEP, EACH = 1e-5, 1e-7


def following(links: Sequence[Link]) -> Catalogue:
    """The shipped catalogue with these links and no others."""
    file = CatalogueFile("soak.toml", "", {})
    places = {one.key: Place(file, ("link", n)) for n, one in enumerate(links)}
    return replace(load_catalogue(), links=tuple(links), link_places=places)


def value(step: int, question: int) -> float:
    """What a question stands at in the platform's n-th answer: another number every time."""
    return round(step * STEP + question * EACH, 7)


def step_of(probability: float) -> int:
    return int(probability / STEP + 1e-6)


TRAITS = SourceTraits(
    name="counting", setting="metaculus", base_url="https://counting.example", hosts=("counting.example",),
    pace_s=0.0, period_hours=1.0, platforms=("counting",), credit="nobody", licence="none",
    backfill_per_link=False,
)  # fmt: skip


@dataclass(frozen=True)
class Counting:
    """An adapter for the platform that counts its answers."""

    parser_version: str = "1"
    traits: SourceTraits = TRAITS

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        refs = ",".join(link.external_id for link in links)
        name = self.traits.name
        return Plan((Request(name, refs, "now", params=(("ids", refs),)),) if links else ())

    def parse(self, raw: RawPayload) -> Parsed:
        mine = self.traits.name
        snapshots = tuple(
            Snapshot(
                StreamKey(mine, mine, name, "yes", Quantity.PLAY_MONEY_PRICE),
                raw.fetched_at,
                raw.fetched_at,
                probability=probability,
                payload_sha256=raw.sha256,
            )
            for name, probability in json.loads(raw.body).items()
        )
        return Parsed(batch=Batch(snapshots=snapshots))


class Platform:
    """The loopback server of them all; ``answered`` is the truth: when the n-th answer was given."""

    def __init__(self) -> None:
        self.server = LocalServer()
        self.answered: list[datetime] = []
        self.askers: list[str] = []  # whose n-th answer it was, by the name he gives himself
        self.hold = threading.Event()  # until it is set answers are kept back
        self.hold.set()
        self._lock = threading.Lock()
        self.server.route_others(self._answer)

    def _answer(self, seen: Seen) -> Answer:
        source, _, path = seen.path.removeprefix("/").partition("/")
        if source == "counting":
            with self._lock:
                self.answered.append(datetime.now(UTC))
                self.askers.append(seen.headers.get("user-agent", ""))
                step = len(self.answered)
            self.hold.wait(60)
            asked = dict(seen.query)["ids"].split(",")
            told = {name: value(step, QUESTIONS.index(name)) for name in asked}
            return reply(200, json.dumps(told).encode())
        body = BODIES[source].get(f"/{path}")
        return reply(404, b'{"detail": "Not found."}') if body is None else reply(200, body)

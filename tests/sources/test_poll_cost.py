"""What a poll of hundreds of known questions costs, and how soon a change on the platform is noticed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from questions.model import Link
from questions.records import OutcomeState, Snapshot, ValueState
from storage.memory import MemoryStore
from storage.records import RawPayload
from tests.servers.spec import load_spec
from tests.sources.answers import AT, link
from tests.tracker.fakes import Clock
from tracker.collect import Collector, SourceReport
from tracker.config import Settings
from tracker.payload import criteria_digest
from tracker.source import Request, Source, SourceTraits
from tracker.sources.manifold import Manifold
from tracker.sources.metaculus import Metaculus

MANY = 250


@dataclass
class World:
    """A platform that answers from memory, and everything a poll of it needs."""

    source: Source
    links: Sequence[Link]
    answer: Callable[[Request], Any]
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=lambda: Clock(AT))

    def fetch(self, request: Request, traits: SourceTraits, **how: Any) -> RawPayload:
        body = self.answer(request)
        url, at = self.url_for(request, how["base_url"]), how["now"]()
        status, told = 404 if body is None else 200, json.dumps(body).encode()
        return RawPayload(traits.name, request.ref, url, at, status, "application/json", told)

    def url_for(self, request: Request, base_url: str) -> str:
        return f"{base_url}/{request.path}?{urlencode(request.params)}"

    def poll(self, hours: float = 1.0) -> SourceReport:
        """A poll so many hours after the last."""
        self.clock.forward(hours=hours)
        settings = Settings(metaculus_token=SecretStr("0123"), fatebook_key=SecretStr("0123"))
        report = Collector(self.store, self.source, self, settings, self.clock).run(self.links)
        assert report.errors == []
        return report

    def newest(self, question: str) -> Snapshot:
        (found,) = [seen.snapshot for key, seen in self.store.latest().items() if key.external_id == question]
        return found

    def status(self, question: str) -> str:
        (found,) = [info.status for info in self.store.infos() if info.external_id == question]
        return found

    def outcome(self, question: str) -> OutcomeState | None:
        return next((r.state for r in self.store.resolutions() if r.external_id == question), None)


# --- Manifold -------------------------------------------------------------------------------------------

EXAMPLE = load_spec("manifold-read").example("getMarket", "binary")


def markets() -> tuple[World, dict[str, dict[str, Any]]]:
    held = {name: {**copy.deepcopy(EXAMPLE), "id": name} for name in (f"m{n:03d}" for n in range(MANY))}

    def reply(request: Request) -> Any:
        if request.path == "v0/bets":
            return []
        if request.path == "v0/market-probs":
            asked = {name for _, name in request.params}
            return {name: {"prob": held[name]["probability"]} for name in asked if name in held}
        return held.get(request.path.removeprefix("v0/market/"))

    return World(Manifold(), [link("manifold", name) for name in held], reply), held


def test_hourly_polls_of_250_known_markets_cost_six_requests_each() -> None:
    world, held = markets()
    assert world.poll().requests == 2 * MANY  # each market and its bets, once
    assert max(world.poll().requests for _ in range(8)) <= 6
    assert all(world.newest(name).probability == 0.2594 for name in held)


def test_changes_of_a_market_are_noticed_within_its_cycle_and_nothing_before() -> None:
    world, held = markets()
    world.poll()
    held["m007"] |= {"isResolved": True, "resolution": "NO", "resolutionTime": 1795176000000}
    held["m008"] |= {"textDescription": "Other rules."}
    held["m009"] |= {"closeTime": 1800000000000}
    held["m010"] |= {"isResolved": True, "resolution": "CANCEL", "resolutionTime": 1795176000000}
    polls = [world.poll(12) for _ in range(7)]  # 84 hours
    assert sum(report.requests for report in polls) == 7 * 3 + MANY
    assert (world.status("m007"), world.outcome("m007")) == ("resolved", OutcomeState.NO)
    assert (world.status("m010"), world.outcome("m010")) == ("void", OutcomeState.VOID)
    told = {info.external_id: info for info in world.store.infos()}
    assert told["m008"].criteria_sha256 == criteria_digest("Other rules.") != told["m007"].criteria_sha256
    assert told["m009"].closes_at == datetime.fromtimestamp(1800000000, tz=AT.tzinfo)
    assert {info.criteria_sha256 for info in told.values()} == {
        criteria_digest("Other rules."),
        criteria_digest("Rule text."),
    }

    held["m007"] |= {"isResolved": False}  # and the resolution is undone
    del held["m007"]["resolution"]
    world.poll(84)
    assert (world.status("m007"), world.outcome("m007")) == ("open", OutcomeState.UNRESOLVED)


def test_a_market_that_looks_decided_is_read_within_a_day() -> None:
    world, held = markets()
    world.poll()
    late = _last_to_have_its_turn(world)
    held[late] |= {"probability": 0.995, "isResolved": True, "resolution": "YES"}
    reports = [world.poll() for _ in range(24)]
    assert world.outcome(late) is OutcomeState.YES
    assert max(report.requests for report in reports) <= 7


def _last_to_have_its_turn(world: World) -> str:
    source, now = world.source, world.clock()
    assert isinstance(source, Manifold)
    asked = source.plan_after(world.links, now + timedelta(hours=83), now + timedelta(hours=84)).requests
    return [request.ref for request in asked if request.path.startswith("v0/market/")][-1]


def test_a_market_that_goes_is_gone_and_its_last_price_is_not_its_value() -> None:
    world, held = markets()
    world.poll()
    del held["m011"]
    assert world.poll().requests <= 7
    assert (world.newest("m011").state, world.newest("m011").probability) == (ValueState.GONE, None)
    assert world.newest("m012").state is ValueState.OK


# --- Metaculus ------------------------------------------------------------------------------------------

POST = load_spec("metaculus-read").example("getPost", "binary_open")


def posts() -> tuple[World, dict[str, dict[str, Any]]]:
    held = {str(number): {**copy.deepcopy(POST), "id": number} for number in range(990000, 990000 + MANY)}

    def reply(request: Request) -> Any:
        if request.path != "api/posts/":
            return held.get(request.path.removeprefix("api/posts/").strip("/"))
        asked = [name for key, name in request.params if key == "ids"]
        found = [held[name] for name in asked if name in held]
        return {"next": "https://m/api/posts/?offset=100", "previous": None, "results": found}

    return World(Metaculus(), [link("metaculus", name) for name in held], reply), held


def test_a_poll_of_250_known_posts_costs_five_requests_and_notices_every_change() -> None:
    world, held = posts()
    assert world.poll().requests == MANY
    again = world.poll(6)
    assert (again.requests, again.appended.snapshots_new) == (5, 0)

    held["990001"]["question"] |= {
        "status": "resolved",
        "resolution": "yes",
        "actual_resolve_time": "2026-11-19T00:00:00Z",
    }
    held["990002"]["question"]["fine_print"] = "Only this year."
    held["990003"]["scheduled_close_time"] = "2028-06-30T00:00:00Z"
    held["990004"]["question"] |= {"status": "closed"}
    del held["990005"]
    report = world.poll(6)
    assert report.requests == 6
    assert (world.status("990001"), world.outcome("990001")) == ("resolved", OutcomeState.YES)
    assert (world.status("990004"), world.outcome("990004")) == ("closed", None)
    told = {info.external_id: info for info in world.store.infos()}
    assert told["990002"].criteria_sha256 not in ("", told["990001"].criteria_sha256)
    assert told["990003"].closes_at == datetime(2028, 6, 30, tzinfo=AT.tzinfo)
    assert world.newest("990005").state is ValueState.GONE

    held["990001"]["question"] |= {"status": "open", "resolution": None}
    world.poll(6)
    assert (world.status("990001"), world.outcome("990001")) == ("open", OutcomeState.UNRESOLVED)


def test_a_value_never_turns_to_nothing_or_zero_because_access_ended() -> None:
    world, held = posts()
    world.links = world.links[:3]
    world.poll()
    before = world.newest("990000")
    hidden: dict[str, Any] = {
        "recency_weighted": {"history": [], "latest": None, "score_data": {}, "movement": None}
    }
    for name in ("990000", "990001"):
        held[name]["question"]["aggregations"] = hidden
    world.clock.forward(hours=6)
    settings = Settings(metaculus_token=SecretStr("0123"))
    report = Collector(world.store, world.source, world, settings, world.clock).run(world.links)
    assert report.status == "partial"
    assert {error.kind for error in report.errors} == {"not_permitted"}
    for name in ("990000", "990001"):
        assert (world.newest(name).state, world.newest(name).probability) == (ValueState.NOT_PERMITTED, None)
    values = [seen.snapshot for seen in world.store.history(before.key)]
    assert [snapshot.probability for snapshot in values] == [0.18, 0.21, 0.19, 0.26, None]
    assert world.newest("990002").probability == 0.26

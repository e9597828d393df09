"""An answer that changes its shape is recorded once, with the bytes that first showed it."""

from __future__ import annotations

import json
from typing import Any

from storage.memory import MemoryStore
from storage.records import DriftKind
from tests.servers.spec import load_spec
from tests.tracker.fakes import START, Clock, FakeNet, link
from tracker.collect import Collector, SourceReport, reparse
from tracker.config import Settings
from tracker.sources import SOURCES

MARKET: dict[str, Any] = load_spec("manifold-read").example("getMarket", "binary")
CHANGED = {**MARKET, "confidence": 0.9}


def poll(store: MemoryStore, clock: Clock, market: dict[str, Any]) -> SourceReport:
    """Ask Manifold for one market: its page, its price, no bets."""
    net = FakeNet(
        {
            f"v0/market/{market['id']}": json.dumps(market).encode(),
            "v0/market-probs": json.dumps({market["id"]: {"prob": market["probability"]}}).encode(),
            "v0/bets": b"[]",
        }
    )
    collector = Collector(store, SOURCES["manifold"], net, Settings(), clock)
    report = collector.run([link(market["id"], "manifold")], since=START)
    clock.forward(hours=1)
    return report


def test_an_answer_of_the_known_shape_records_nothing() -> None:
    store = MemoryStore()
    assert poll(store, Clock(), MARKET).drift == []
    assert store.drifts() == []


def test_a_new_field_is_recorded_once_and_the_value_is_still_taken() -> None:
    store, clock = MemoryStore(), Clock()
    first, again = poll(store, clock, CHANGED), poll(store, clock, CHANGED)
    (drift,) = store.drifts()
    assert drift.kind is DriftKind.NEW_FIELD
    assert "confidence" in drift.place
    assert (drift.seen_first, drift.seen_last) == (START, START.replace(hour=13))
    assert [text for text in first.drift if "confidence new field" in text] == first.drift
    assert again.drift == []
    assert first.as_json()["drift"] == first.drift
    kept = store.get_raw(drift.payload_sha256)
    assert kept is not None
    assert b"confidence" in kept.body
    assert first.values > 0


def test_stored_bytes_read_again_tell_of_their_drift_too() -> None:
    store, clock = MemoryStore(), Clock()
    poll(store, clock, CHANGED)
    kept = store.drifts()
    fresh = MemoryStore()
    for raw in store.raw_payloads("manifold"):
        fresh.put_raw(raw)
    reparse(fresh, SOURCES["manifold"], None, None, clock())
    assert [drift.place for drift in fresh.drifts()] == [drift.place for drift in kept] != []

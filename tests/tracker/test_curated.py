"""Curated tables take the path of everything that is fetched: bytes kept, versions seen, mistakes quarantined."""

from __future__ import annotations

import pytest

from questions.curated import packaged
from storage.memory import MemoryStore
from tests.tracker.fakes import START, Clock, FakeNet
from tracker.collect import Collector, SourceReport, reparse
from tracker.config import Settings
from tracker.curated import Curated, table_of
from tracker.errors import ParseError

TABLE = b"""\
series = "example"
units = { speed = "multiple" }
source_url = "https://example.org/post"
as_of = 2026-05-11
entered_by = "A. Reader"
verification = "printed"
points = [{ key = "a", metric = "speed", at = 2026-03-01, value = 3.0 }]
"""
CHANGED = TABLE.replace(b"3.0", b"4.0")
BROKEN = TABLE.replace(b"3.0", b"'three'")


def pull(store: MemoryStore, clock: Clock, **tables: bytes) -> SourceReport:
    source = Curated({f"{name}.toml": body for name, body in tables.items()})
    return Collector(store, source, FakeNet({}), Settings(), clock).run(())


def test_a_table_is_stored_with_the_very_bytes_of_its_file() -> None:
    store = MemoryStore()
    report = pull(store, Clock(), example=TABLE)
    assert (report.status, report.requests, report.appended.measurements_new) == ("ok", 0, 1)
    (version,) = store.versions("example")
    raw = store.get_raw(version.payload_sha256)
    assert raw is not None
    assert raw.body == TABLE
    assert raw.url == "package:questions/data/curated/example.toml"
    assert (raw.source, raw.ref, version.seen_first) == ("curated", "example", START)
    origin = table_of(raw).origins()["a", "speed"]
    assert (origin.source_url, origin.entered_by) == ("https://example.org/post", "A. Reader")


def test_the_same_table_again_is_one_version_seen_longer() -> None:
    store, clock = MemoryStore(), Clock()
    pull(store, clock, example=TABLE)
    clock.forward(days=3)
    again = pull(store, clock, example=TABLE)
    assert (again.status, again.appended.measurements_new, again.appended.measurements_revised) == (
        "ok",
        0,
        0,
    )
    (version,) = store.versions("example")
    assert (version.seen_first, version.seen_last) == (START, clock.now)


def test_a_corrected_table_is_a_new_version_and_going_back_another() -> None:
    store, clock = MemoryStore(), Clock()
    for body in (TABLE, CHANGED, TABLE):
        report = pull(store, clock, example=body)
        clock.forward(days=1)
    assert report.appended.measurements_revised == 1
    assert [version.seen_first.day for version in store.versions("example")] == [1, 2, 3]
    assert store.measurements("example", known_at=START)[0].value == 3.0
    assert [change.kind for change in store.series_diff("example", START, START.replace(day=2, hour=13))] == [
        "revised"
    ]
    assert store.measurements("example")[0].value == 3.0


def test_a_broken_table_is_quarantined_and_the_others_are_stored() -> None:
    store = MemoryStore()
    report = pull(store, Clock(), broken=BROKEN, example=TABLE)
    assert report.status == "partial"
    assert [error.ref for error in report.errors] == ["broken"]
    assert "broken.toml:7" in report.errors[0].message
    assert store.series_ids() == ["example"]
    assert [entry.ref for entry in store.quarantined()] == ["broken"]


def test_a_kept_table_read_again_gives_the_same_points() -> None:
    store, clock = MemoryStore(), Clock()
    pull(store, clock, example=TABLE)
    before = store.measurements("example")
    report = reparse(store, Curated(), None, None, clock.now)
    assert (report.status, report.appended.measurements_new) == ("ok", 0)
    assert store.measurements("example") == before


def test_too_large_a_table_and_one_that_is_none_are_refused() -> None:
    raw = Curated({"example.toml": b"x" * (2 * 1024 * 1024)}).plan((), START, None).at_hand[0]
    with pytest.raises(ParseError, match="too many for a curated table"):
        Curated().parse(raw)


def test_the_packaged_tables_are_all_read_and_stored_at_once() -> None:
    store = MemoryStore()
    report = Collector(store, Curated(), FakeNet({}), Settings(), Clock()).run(())
    assert report.errors == []
    assert len(store.series_ids()) == len(packaged()) == report.answered
    assert len(store.measurements("nanogpt_speedrun")) == 89

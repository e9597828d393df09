"""What ``latest`` reads goes past the records' own checks where these would find nothing: are they the same records?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from questions.records import Distribution, Quantity, Snapshot, StreamKey, ValueState
from storage.engine import Database, locate, open_database
from storage.records import Batch, Observation
from storage.sql import SqlStore
from storage.store import Store
from tests.storage.samples import KEY, hours, key, payload, point, poll

NUMERIC = StreamKey("metaculus", "metaculus", "n", "value", Quantity.FORECASTER_MEDIAN)
CURVE = Distribution((0.0, 1.0, 2.5), (0.1, 0.5, 0.9), "years")
TOLD = (
    poll(0, 0.25, key("plain")),
    poll(0, 1.0, key("rich"), forecasters=12, volume=1.5, liquidity=0.0, spread=0.02, last_trade_at=hours(-3)),
    point(-4.000001, 0, 0.125, key("timed"), payload_sha256=payload().sha256),
    Snapshot(key("hidden"), hours(0), hours(0), ValueState.HIDDEN, hidden_until=hours(99)),
    Snapshot(key("gone"), hours(0), hours(0), ValueState.GONE, volume=3.0),
    Snapshot(NUMERIC, hours(-1), hours(0), value=7.5, distribution=CURVE, timed_by_source=True, forecasters=0),
    Snapshot(key("both"), hours(0), hours(0), probability=0.5, value=0.5),
)  # fmt: skip


def test_every_kind_of_value_comes_back_as_it_was_told(store: Store) -> None:
    store.put_raw(payload())
    store.append(Batch(snapshots=TOLD))
    found = store.latest()
    assert {name: seen.snapshot for name, seen in found.items()} == {one.key: one for one in TOLD}
    assert list(found) == sorted(found)
    for seen in found.values():
        one = seen.snapshot
        assert repr(replace(one)) == repr(one), "made again with every check it says the same"
        assert replace(one) == one
        assert replace(seen) == seen == Observation(one, one.fetched_at, one.fetched_at, 1)
        assert type(one.state) is ValueState
        assert type(one.timed_by_source) is bool
        assert type(one.key.quantity) is Quantity
    assert store.latest([NUMERIC, key("nobody"), NUMERIC]) == {NUMERIC: found[NUMERIC]}


@pytest.fixture
def opened(url: str) -> Database:
    return open_database(locate(url), create=True, read_only=False)


@pytest.mark.parametrize("wrong", ["volume = -1", "spread = -0.5", "last_trade_at = NULL, liquidity = -2"])
def test_a_row_that_is_no_record_is_refused(opened: Database, wrong: str) -> None:
    store = SqlStore(opened)
    store.append(Batch(snapshots=(poll(0, 0.5, KEY, volume=2.0, spread=0.1, liquidity=1.0),)))
    assert store.latest()[KEY].snapshot.volume == 2.0
    with opened.write() as connection:
        connection.execute(text(f"UPDATE observation SET {wrong}"))
    with pytest.raises(ValueError, match="must not be negative"):
        store.latest()
    store.close()


def test_a_value_polled_at_another_time_than_it_says_is_refused(opened: Database) -> None:
    store = SqlStore(opened)
    store.append(Batch(snapshots=(poll(0), point(-1, 0, 0.5, key("timed")))))
    with opened.write() as connection:
        connection.execute(text(f"UPDATE observation SET timed = {0 if opened.sqlite else 'false'}"))
    with pytest.raises(ValueError, match="as_of must equal fetched_at"):
        store.latest()
    store.close()

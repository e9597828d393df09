"""Alerts, armings and decisions: added, never changed, in every store alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from storage.alerting import Alert, Fate
from storage.engine import Database
from storage.errors import StorageError
from storage.memory import MemoryStore
from storage.sql import SqlStore
from storage.store import Store
from tests.storage.samples import alert, arming, decision, hours


def test_an_alert_comes_back_with_all_it_was_based_on(store: Store) -> None:
    given_first = alert(1, title="<b>\x00\ud800", text="why", url="https://example.org/q1")
    other = alert(1, "source:metr", areas=(), evidence=(), rule={})
    assert store.keep_alerts([given_first, other], [arming(1, told="x", since=None)]) == 2
    assert store.alerts() == [given_first, other]
    assert store.alerts("source:metr") == [other]
    assert store.alerts(known_at=hours(0.5)) == []
    assert store.armings() == {"move:manifold:q1": arming(1, told="x", since=None)}


def test_alerts_are_only_ever_added(store: Store) -> None:
    first = alert(1)
    assert [store.keep_alerts([first], [arming(1)]) for _ in range(2)] == [1, 0]
    with pytest.raises(StorageError, match="another alert under the same key"):
        store.keep_alerts([alert(2), replace(first, after="50%")], [arming(2)])
    with pytest.raises(StorageError, match="another arming under the same key"):
        store.keep_alerts([alert(2)], [arming(1, told=0.5)])
    assert store.alerts() == [first]
    assert [one.at for one in store.armings().values()] == [hours(1)]


def test_the_newest_arming_of_each_signal_counts_as_known_then(store: Store) -> None:
    armed = [arming(1, told=1), arming(3, told=3), arming(2, told=2), arming(2, "source:metr", told="ok")]
    store.keep_alerts([], armed)
    assert {name: one.state["told"] for name, one in store.armings().items()} == {
        "move:manifold:q1": 3,
        "source:metr": "ok",
    }
    assert store.armings(known_at=hours(2.5))["move:manifold:q1"].state == {"told": 2}
    assert store.armings(known_at=hours(0)) == {}


def test_an_alert_is_decided_once(store: Store) -> None:
    store.keep_alerts([alert(1), alert(2)], [])
    made = [decision(1, 3), decision(2, 3, fate=Fate.WITHDRAWN, batch="")]
    assert [store.decide_alerts(made) for _ in range(2)] == [2, 0]
    with pytest.raises(StorageError, match="another decision under the same key"):
        store.decide_alerts([decision(1, 4)])
    assert store.alert_decisions() == made
    assert store.alert_decisions(known_at=hours(2)) == []


def test_nothing_is_decided_about_an_alert_that_is_not_kept(store: Store) -> None:
    with pytest.raises(StorageError):
        store.decide_alerts([decision(1, 3)])
    assert store.alert_decisions() == []


hour = st.integers(0, 3)
signals = st.sampled_from(["a", "b"])
alerts = st.builds(lambda at, name, after: alert(at, name, after=after), hour, signals, st.sampled_from("xy"))
armings = st.builds(lambda at, name, told: arming(at, name, told=told), hour, signals, st.integers(0, 1))
calls = st.one_of(
    st.tuples(st.just("keep_alerts"), st.tuples(st.lists(alerts, max_size=2), st.lists(armings, max_size=2))),
    st.tuples(
        st.just("decide_alerts"),
        st.tuples(st.lists(st.builds(decision, hour, hour, signals), max_size=2)),
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, max_size=6))
def test_databases_agree_with_the_store_in_memory(
    database: Database, made: list[tuple[str, tuple[list[Alert], ...]]]
) -> None:
    memory, sql = MemoryStore(), SqlStore(database)
    with database.write() as connection:
        for name in ("alert_decision", "alert", "alert_arming"):
            connection.execute(text(f"DELETE FROM {name}"))
    for name, given_records in made:
        outcomes = []
        for store in (memory, sql):
            try:
                outcomes.append(str(getattr(store, name)(*given_records)))
            except StorageError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1]
    for at in (None, hours(1)):
        assert memory.alerts(known_at=at) == sql.alerts(known_at=at)
        assert memory.armings(known_at=at) == sql.armings(known_at=at)
        assert memory.alert_decisions(known_at=at) == sql.alert_decisions(known_at=at)

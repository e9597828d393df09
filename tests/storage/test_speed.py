"""The bulk path: the number of statements does not grow with a batch (how long they take: tests/bench)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from questions.records import OutcomeState, Snapshot
from storage.engine import locate, open_database
from storage.records import Batch
from storage.sql import SqlStore
from tests.storage.samples import DAY, KEY, T0, hours, info, key, poll, resolution

MANY = 10_000


@pytest.fixture
def kept(url: str) -> Iterator[SqlStore]:
    store = SqlStore(open_database(locate(url), create=True, read_only=False))
    yield store
    store.close()


@contextmanager
def counting(store: SqlStore) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    engine = store._database.engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def history(fetched: int) -> tuple[Snapshot, ...]:
    at = T0 + 30 * DAY + fetched * timedelta(hours=1)
    return tuple(
        Snapshot(
            KEY,
            T0 + minute * timedelta(minutes=1),
            at,
            probability=minute % 100 / 100,
            timed_by_source=True,
            volume=1.5,
        )
        for minute in range(MANY)
    )


@pytest.mark.parametrize("hour", [0, 5], ids=["first poll", "later poll"])
def test_a_batch_takes_as_many_statements_for_two_hundred_streams_as_for_two(
    kept: SqlStore, hour: int
) -> None:
    taken = []
    for size in (2, 200):
        names = [f"{size}-{number}" for number in range(size)]

        def batch(at: int, names: list[str] = names) -> Batch:
            return Batch(
                snapshots=tuple(poll(at, 0.5 + (at == 5) / 10, key(name)) for name in names),
                resolutions=tuple(resolution(at, external_id=name) for name in names),
                infos=tuple(info(at, external_id=name) for name in names),
            )

        for at in range(hour):
            kept.append(batch(at))
        with counting(kept) as statements:
            kept.append(batch(hour))
        taken.append(len(statements))
    assert {word.state for word in kept.resolutions()} == {OutcomeState.YES}
    assert len(kept.resolutions()) == len(kept.infos()) == len(kept.latest()) == 202
    # many rows go around the statement compiler on PostgreSQL (COPY), and are not seen here
    assert taken[1] <= taken[0] <= 16


def test_ten_thousand_new_points_are_stored_by_a_few_statements(kept: SqlStore) -> None:
    with counting(kept) as statements:
        assert kept.append(Batch(snapshots=history(0))).snapshots_new == MANY
    assert len(statements) <= 16


def test_ten_thousand_known_points_are_recognised_by_a_few_statements(kept: SqlStore) -> None:
    kept.append(Batch(snapshots=history(0)))
    for fetched in (0, 1):
        with counting(kept) as statements:
            assert kept.append(Batch(snapshots=history(fetched))).snapshots_new == 0
        assert len(statements) <= 16
    assert kept.history(KEY)[-1].times_seen == 2


def test_a_long_history_in_pages_does_not_get_slower_page_by_page(kept: SqlStore) -> None:
    whole = history(0)
    with counting(kept) as statements:
        taken = []
        for start in range(0, MANY, 1000):
            before = len(statements)
            kept.append(Batch(snapshots=whole[start : start + 1000]))
            taken.append(len(statements) - before)
    assert max(taken[1:]) <= 14
    assert not any(statement.startswith("DELETE") for statement in statements), "nothing is folded again"
    assert len(kept.history(KEY)) == MANY


def test_a_late_value_in_a_long_history_is_put_where_it_belongs(kept: SqlStore) -> None:
    kept.append(Batch(snapshots=tuple(poll(hour, 0.1 + hour % 2 / 2) for hour in range(3000))))
    kept.append(Batch(snapshots=(replace(poll(2990.5), probability=0.9),)))
    around = [seen.snapshot.probability for seen in kept.history(KEY)][2989:2993]
    assert around == [0.6, 0.1, 0.9, 0.6]


def test_the_newest_of_many_streams_is_one_seek_each(kept: SqlStore) -> None:
    kept.append(
        Batch(
            snapshots=tuple(poll(hour, hour % 2 / 2, key(f"q{n}")) for hour in range(40) for n in range(50))
        )
    )
    with counting(kept) as statements:
        assert len(kept.latest()) == 50
    (query,) = [statement for statement in statements if "FROM stream" in statement]
    if not kept._database.sqlite:
        assert "LATERAL" in query
        return
    with kept._database.read() as connection:
        plan = "\n".join(
            str(row[3]) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query.replace('?', '1')}"))
        )
    assert "SCAN stream" in plan
    assert "SCAN observation" not in plan
    assert "SCAN newest" not in plan


def test_known_at_far_back_is_answered_from_the_index(kept: SqlStore) -> None:
    kept.append(Batch(snapshots=tuple(poll(hour, hour % 2 / 2) for hour in range(500))))
    assert kept.latest(known_at=hours(3))[KEY].snapshot.as_of == hours(3)

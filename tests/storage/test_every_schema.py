"""Every schema there ever was, with data in it, upgraded to this one: each row and each value is still there."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, MetaData, select, text

from storage import upgrade
from storage.engine import HEAD, REVISIONS, Database, locate
from storage.migrate import config
from tests.storage.test_schema import at_revision, fill_first_revision

LATER_TABLES = {
    "lease": "INSERT INTO lease (name, holder, token, expires_at) VALUES ('daemon', 'here', 7, {t0})",
    "drift": "INSERT INTO drift (source, place, kind, detail, payload_id, seen_first, seen_last)"
    " VALUES ('manifold', 'somewhere', 'new_field', 'number', 1, {t0}, {t1})",
    "question_health": "INSERT INTO question_health (source, platform, external_id, state, message, hidden_until,"
    " payload_id, seen_first, seen_last) VALUES ('manifold', 'manifold', 'q1', 'ok', '', NULL, 1, {t0}, {t1})",
    "question_version": "INSERT INTO question_version (question, seen_at, version, text, terms, number, edit, record)"
    " VALUES ('q1', {t0}, 'v1', 't1', 't2', 1, 'first', '{{}}')",
}
"""What programs of later schemas than the first wrote, in plain SQL."""


def rows_of(connection: Connection) -> dict[str, set[tuple[Any, ...]]]:
    """Every row of every table, column by column name, as the engine itself gives it."""
    there = MetaData()
    there.reflect(connection)
    found = {}
    for name, table in there.tables.items():
        columns = sorted(table.c, key=lambda column: column.name)
        if name != "alembic_version":
            told = connection.execute(select(*columns)).mappings()
            found[name] = {
                tuple(sorted((k, str(v)) for k, v in row.items() if v is not None)) for row in told
            }
    return found


def wrote(url: str, revision: str) -> dict[str, set[tuple[Any, ...]]]:
    """A database of an older schema with data; returns its rows."""
    at_revision(url, REVISIONS[0])
    fill_first_revision(url)
    database = Database(locate(url), foreign_keys=False)
    instants = {"t0": "1772366400000000", "t1": "1772370000000000"}
    if not database.sqlite:
        instants = {"t0": "'2026-03-01T12:00Z'", "t1": "'2026-03-01T13:00Z'"}
    with database.write() as connection:
        command.upgrade(config(connection), revision)
        there = MetaData()
        there.reflect(connection)
        for name, statement in LATER_TABLES.items():
            if name in there.tables:
                connection.execute(text(statement.format(**instants)))
        found = rows_of(connection)
    database.close()
    return found


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_nothing_is_lost_on_the_way_to_this_schema(empty_url: str, revision: str) -> None:
    before = wrote(empty_url, revision)
    assert sum(map(len, before.values())) >= 7
    assert upgrade(empty_url) == (revision, HEAD)
    database = Database(locate(empty_url))
    with database.read() as connection:
        after = rows_of(connection)
    database.close()
    for name, rows in before.items():
        if not rows or name.startswith("observation_"):
            continue
        assert len(after[name]) == len(rows), name
        for row in rows:
            kept = [set(row) <= set(other) for other in after[name]]
            assert any(kept), f"{name}: {row} is not in {after[name]}"

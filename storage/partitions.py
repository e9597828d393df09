"""Months of observations on PostgreSQL: a table of their own for each, made ahead.

``observation`` is partitioned by ``as_of``, which its key holds, so that uniqueness means what it means on SQLite and
in memory. Not by ``seen_first``, the month of arrival: "the newest value of a stream" is asked by ``as_of``, and so it
ends at the first month that has one, where the other way every month would have to be asked. ``observation_past``
takes what lies before the month the table was made in (histories), ``observation_future`` what lies after the
last month made; there is no DEFAULT partition, with which PostgreSQL would not take the months in order. A BRIN index
on ``seen_first`` (a few pages, since rows arrive in its order) serves "what came in since".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from storage.errors import StorageError

TABLE = "observation"
PAST, FUTURE = f"{TABLE}_past", f"{TABLE}_future"
ARRIVALS = f"ix_{TABLE}_seen_first"
BY = "RANGE (as_of)"
AHEAD = 3
AT_ONCE = 24
"""Months made ahead, and at most in one go: a clock that is centuries off makes none."""
LOCK_TIMEOUT = "5s"

_MONTH = re.compile(rf"{TABLE}_(\d{{4}})_(\d{{2}})")


def is_ours(name: str | None) -> bool:
    """Whether a table or an index is made here, and not by the tables' own description."""
    return name in (PAST, FUTURE, ARRIVALS) or _MONTH.fullmatch(name or "") is not None


def create(connection: Connection, now: datetime) -> None:
    """The first partitions of a table that was just made: past, this month, those ahead, future."""
    first = _number(now)
    connection.execute(text(_partition(PAST, "MINVALUE", _quoted(first))))
    _months(connection, first, first + AHEAD)
    connection.execute(text(f"CREATE INDEX {ARRIVALS} ON {TABLE} USING brin (seen_first)"))


def make_ahead(connection: Connection, now: datetime) -> list[str]:
    """Make the months that are missing up to ``AHEAD`` after now's; returns their names.

    Inside a writer's transaction. Values that lie in them already are moved there. Readers wait for a moment; when
    they keep the table for longer than ``LOCK_TIMEOUT``, this fails and nothing has changed.
    """
    known = months(connection)
    if not known:
        raise StorageError(f"{TABLE} has no months of ours: who partitioned it otherwise needs none made")
    last, wanted = max(known), _number(now) + AHEAD
    if wanted <= last or wanted - last > AT_ONCE:
        return []
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"CREATE TEMPORARY TABLE moving ON COMMIT DROP AS SELECT * FROM {FUTURE}"))  # noqa: S608
    connection.execute(text(f"DROP TABLE {FUTURE}"))
    _months(connection, last + 1, wanted)
    connection.execute(text(f"INSERT INTO {TABLE} SELECT * FROM moving"))  # noqa: S608
    connection.execute(text("DROP TABLE moving"))
    connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
    return [_name(number) for number in range(last + 1, wanted + 1)]


def months(connection: Connection) -> list[int]:
    """The months that have a table, counted from the year 0, in order."""
    attached = text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
        " WHERE inhparent = CAST(:parent AS regclass)"
    )
    matches = (_MONTH.fullmatch(name) for name in connection.execute(attached, {"parent": TABLE}).scalars())
    return sorted(int(match[1]) * 12 + int(match[2]) - 1 for match in matches if match)


def _months(connection: Connection, first: int, last: int) -> None:
    for number in range(first, last + 1):
        connection.execute(text(_partition(_name(number), _quoted(number), _quoted(number + 1))))
    connection.execute(text(_partition(FUTURE, _quoted(last + 1), "MAXVALUE")))


def _partition(name: str, start: str, end: str) -> str:
    return f"CREATE TABLE {name} PARTITION OF {TABLE} FOR VALUES FROM ({start}) TO ({end})"


def _number(moment: datetime) -> int:
    at = moment.astimezone(UTC)
    return at.year * 12 + at.month - 1


def _name(number: int) -> str:
    return f"{TABLE}_{number // 12:04}_{number % 12 + 1:02}"


def _quoted(number: int) -> str:
    return f"'{number // 12:04}-{number % 12 + 1:02}-01 00:00:00+00'"

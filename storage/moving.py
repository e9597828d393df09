"""Moving a whole history from one database to another, either engine to either, and proving that nothing changed.

Everything goes in one transaction of the target, which is read back before it is committed: a move that is cut off,
by whatever, leaves the target as empty as it was. Rows travel a few at a time, past the statement compiler (COPY on
PostgreSQL, executemany on SQLite).

A table's checksum is the same on every engine and in every order of rows: each row in its canonical form goes
through SHA-256, and the digests, read as big-endian integers, are added modulo 2^256. The canonical form is a JSON
array of the row's values in the order of the table's columns, ASCII, without spaces: instants as microseconds since
1970, days as ISO 8601, yes and no as 1 and 0, bytes as the lower-case hex SHA-256 of them, -0.0 as 0.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.engine import Row

from questions.time import from_micros, to_micros
from storage import care
from storage.bulk import write_rows
from storage.columns import Blob, Day, Flag, Number, UtcMicros
from storage.engine import Database, locate, open_database
from storage.errors import IntegrityFailure, StorageError
from storage.tables import metadata, table

AT_ONCE = 1_000
BODIES_AT_ONCE = 16
"""Rows in memory at a time; fewer where a row may hold a payload of megabytes."""

_ROUND = 1 << 256

Values = Sequence[Any]
Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Moved:
    """One table on both sides. ``checksum``s are 64 lower-case hex digits."""

    table: str
    rows: int
    rows_moved: int
    checksum: str
    checksum_moved: str

    @property
    def same(self) -> bool:
        return (self.rows, self.checksum) == (self.rows_moved, self.checksum_moved)


class Sum:
    """Counts rows and adds up their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, rows: Iterable[Values]) -> None:
        for row in rows:
            line = json.dumps(row, separators=(",", ":")).encode()
            self._total += int.from_bytes(hashlib.sha256(line).digest())
            self.rows += 1
        self._total %= _ROUND

    @property
    def checksum(self) -> str:
        return f"{self._total:064x}"


def move(
    source: str, target: str, told: Callable[[str, int], None] = lambda _name, _rows: None
) -> list[Moved]:
    """Copy every row of one database into another that has our tables and no rows; returns table by table.

    ``told`` hears each table's name and number of rows once it has been written. Raises StorageError when either
    cannot be used (nothing was changed), IntegrityFailure when what was read back differs (nothing was kept).
    """
    _refuse_same(source, target)
    with (
        closing(_opened(source, read_only=True)) as one,
        closing(_opened(target, read_only=False)) as other,
        one.read() as reading,
        other.write() as writing,
    ):
        _refuse_rows(writing, other.address.shown)
        sums = {}
        for rows in metadata.sorted_tables:
            sums[rows.name] = _pour(reading, writing, rows)
            told(rows.name, sums[rows.name].rows)
        _settle(writing)
        moved = [_compared(rows, sums[rows.name], writing) for rows in metadata.sorted_tables]
        wrong = ", ".join(one.table for one in moved if not one.same)
        if wrong:
            raise IntegrityFailure(f"{other.address.shown}: {wrong} read back otherwise; nothing was kept")
    return sorted(moved, key=lambda one: one.table)


def survey(source: str, target: str) -> dict[str, int]:
    """Rows per table that ``move`` would copy. Raises what it would raise before copying."""
    _refuse_same(source, target)
    with closing(_opened(source, read_only=True)) as one, closing(_opened(target, read_only=True)) as other:
        with other.read() as connection:
            _refuse_rows(connection, other.address.shown)
        with one.read() as connection:
            return care.counts(connection)


def leader(source: str) -> str | None:
    """Who leads on a database now and may still write to it, if anybody does."""
    with closing(_opened(source, read_only=True)) as database, database.read() as connection:
        lease = table("lease")
        held = select(lease.c.holder).where(lease.c.holder != "", lease.c.expires_at > datetime.now(UTC))
        found: str | None = connection.execute(held).scalars().first()
        return found


def checksum(connection: Connection, rows: Table) -> Sum:
    """The checksum of one table as it is."""
    found = Sum()
    for chunk in _chunks(connection, rows):
        found.add(_canonical(rows, chunk))
    return found


def _refuse_same(source: str, target: str) -> None:
    one, other = locate(source), locate(target)
    for address in (one, other):
        if address.path is None and address.url is None:
            raise StorageError(f"{address.shown} is made anew every time; name a file or a server")
    if other.path is not None and not other.path.exists():
        raise StorageError(
            f"{other.shown} does not exist; make it first: speedup db upgrade --db {other.shown}"
        )
    if one.shown == other.shown and one.url == other.url:
        raise StorageError(f"{one.shown} cannot be copied onto itself")


def _opened(url: str, *, read_only: bool) -> Database:
    return open_database(locate(url), create=False, read_only=read_only)


def _refuse_rows(connection: Connection, shown: str) -> None:
    filled = [name for name, count in care.counts(connection).items() if count]
    if filled:
        raise StorageError(
            f"{shown} holds rows already (in {', '.join(filled)}); a copy goes only into a new database made by"
            " `speedup db upgrade`"
        )


# rows ---------------------------------------------------------------------------------------------


def _pour(reading: Connection, writing: Connection, rows: Table) -> Sum:
    """Write all of a table, adding it up on the way."""
    found = Sum()

    def passing() -> Iterator[Values]:
        for chunk in _chunks(reading, rows):
            found.add(_canonical(rows, chunk))
            yield from _by_column(chunk, _writers(writing, rows))

    write_rows(writing, rows.name, [column.name for column in rows.c], passing())
    return found


def _compared(rows: Table, read: Sum, writing: Connection) -> Moved:
    back = checksum(writing, rows)
    return Moved(rows.name, read.rows, back.rows, read.checksum, back.checksum)


def _chunks(connection: Connection, rows: Table) -> Iterator[Sequence[Values]]:
    """A table's rows by its key, in plain form: as SQLite holds them."""
    at_once = BODIES_AT_ONCE if any(isinstance(column.type, Blob) for column in rows.c) else AT_ONCE
    names = ", ".join(f'"{column.name}"' for column in rows.c)
    key = ", ".join(f'"{column.name}"' for column in rows.primary_key.columns)
    statement = text(f'SELECT {names} FROM "{rows.name}" ORDER BY {key}')  # noqa: S608 - names are our tables'
    found = connection.execute(statement, execution_options={"yield_per": at_once})
    readers = _readers(connection, rows)
    for part in found.partitions(at_once):
        yield _by_column(part, readers)


def _by_column(
    rows: Sequence[Row[Any]] | Sequence[Values], converts: Sequence[Convert | None]
) -> list[Values]:
    if not any(converts):
        return [tuple(row) for row in rows]
    columns = list(zip(*rows, strict=True))
    for i, convert in enumerate(converts):
        if convert is not None:
            columns[i] = tuple([None if value is None else convert(value) for value in columns[i]])
    return list(zip(*columns, strict=True))


def _canonical(rows: Table, chunk: Sequence[Values]) -> list[Values]:
    """Plain rows as they are added up."""
    return _by_column(chunk, [_CANONICAL.get(type(column.type)) for column in rows.c])


_CANONICAL: dict[type, Convert] = {
    Blob: lambda body: hashlib.sha256(body).hexdigest(),
    type(Number): lambda number: number + 0.0,
}
_FROM_POSTGRESQL: dict[type, Convert] = {UtcMicros: to_micros, Flag: int, Day: date.isoformat}
_TO_POSTGRESQL: dict[type, Convert] = {UtcMicros: from_micros, Flag: bool, Day: date.fromisoformat}


def _readers(connection: Connection, rows: Table) -> list[Convert | None]:
    known = _FROM_POSTGRESQL if connection.dialect.name == "postgresql" else {}
    return [known.get(type(column.type)) for column in rows.c]


def _writers(connection: Connection, rows: Table) -> list[Convert | None]:
    known = _TO_POSTGRESQL if connection.dialect.name == "postgresql" else {}
    return [known.get(type(column.type)) for column in rows.c]


def _settle(connection: Connection) -> None:
    """On PostgreSQL: numbers given out from now on come after those that were copied, and the planner knows how much
    there is. SQLite sees to that itself."""
    if connection.dialect.name != "postgresql":
        return
    for rows in metadata.sorted_tables:
        if [column.name for column in rows.primary_key.columns] == ["id"]:
            last = connection.execute(select(func.max(rows.c.id))).scalar()
            if last is not None:
                sequence = func.pg_get_serial_sequence(rows.name, "id")
                connection.execute(select(func.setval(sequence, last)))
        connection.execute(text(f'ANALYZE "{rows.name}"'))

"""Many rows in few statements: looking up by a list of keys, and interning payload digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import repeat
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    FromClause,
    Insert,
    Select,
    Text,
    Update,
    bindparam,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from questions.time import from_micros, to_micros
from storage.columns import Blob, Day, Flag, Number, UtcMicros, Whole, Words
from storage.tables import table

MANY = 100
"""From so many rows on the bulk path is worth it (COPY is ten times faster than INSERT at 10,000)."""

_ARRAYS: dict[type, TypeEngine[Any]] = {
    int: ARRAY(BigInteger()),
    str: ARRAY(Text()),
    datetime: ARRAY(TIMESTAMP(timezone=True)),
}
_COLUMNS: dict[type, TypeEngine[Any]] = {int: BigInteger(), str: Text(), datetime: UtcMicros()}


@cache
def key_table(dialect: str, kinds: tuple[type, ...]) -> FromClause:
    """A table with columns k0, k1, … to join against, for the keys that ``key_values`` binds.

    One JSON text on SQLite, one array a column on PostgreSQL: the statement stays the same (and built,
    and cached) for any number of keys, and no limit on bound variables can be hit.
    """
    if dialect == "postgresql":
        arrays = [bindparam(f"keys{i}", type_=_ARRAYS[kind]) for i, kind in enumerate(kinds)]
        names = [f"k{i}" for i in range(len(kinds))]
        return func.unnest(*arrays).table_valued(*names).render_derived(name="keys")
    each = func.json_each(bindparam("keys", type_=Text())).table_valued("value")
    parts = [
        type_coerce(func.json_extract(each.c.value, f"$[{i}]"), _COLUMNS[kind]).label(f"k{i}")
        for i, kind in enumerate(kinds)
    ]
    return select(*parts).subquery("keys")


def key_values(dialect: str, kinds: tuple[type, ...], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """The parameters that fill ``key_table`` with these rows."""
    if dialect == "postgresql":
        columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
        return {f"keys{i}": list(values) for i, values in enumerate(columns)}
    if datetime in kinds:
        rows = ([_plain(value) for value in row] for row in rows)
    return {"keys": json.dumps(list(rows))}


def _plain(value: object) -> object:
    return to_micros(value) if isinstance(value, datetime) else value


def run_many(connection: Connection, statement: Insert | Update, rows: Sequence[dict[str, Any]]) -> None:
    """One executemany; nothing at all for no rows."""
    if rows:
        connection.execute(statement, rows)


def insert_many(connection: Connection, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns; many of them go past the statement compiler."""
    if len(rows) < MANY:
        run_many(connection, insert(table(name)), rows)
        return
    columns = [_stored(connection, name, column, [row[column] for row in rows]) for column in rows[0]]
    write_rows(connection, name, list(rows[0]), zip(*columns, strict=False))


def insert_alike(
    connection: Connection, name: str, shared: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Insert rows that differ in a few columns only: ``shared`` holds for all, what is not named is null.

    Instants in ``columns`` are microseconds since 1970. No list of rows is made, and nothing is converted on
    SQLite.
    """
    same = [repeat(*_stored(connection, name, column, [value])) for column, value in shared.items()]
    varying: list[Iterable[Any]] = [
        map(from_micros, values)
        if connection.dialect.name == "postgresql" and isinstance(table(name).c[column].type, UtcMicros)
        else values
        for column, values in columns.items()
    ]
    write_rows(connection, name, [*shared, *columns], zip(*same, *varying, strict=False))


def _stored(connection: Connection, name: str, column: str, values: Sequence[Any]) -> Iterable[Any]:
    """A column's values as the driver takes them: on PostgreSQL every storage type is its Python type."""
    if connection.dialect.name == "postgresql":
        return values
    kind = table(name).c[column].type.dialect_impl(connection.dialect)
    convert = kind.bind_processor(connection.dialect)
    return values if convert is None else map(convert, values)


def write_rows(
    connection: Connection, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Rows straight to the driver: COPY on PostgreSQL, its own executemany on SQLite.

    Values are what the driver takes: on PostgreSQL a storage type's Python values, on SQLite what it stores.
    """
    if connection.dialect.name == "postgresql":
        _copy(connection, name, columns, rows)
        return
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    statement = f'INSERT INTO "{name}" ({names}) VALUES ({marks})'  # noqa: S608 - names are our tables'
    bare: Any = connection.connection.driver_connection
    bare.executemany(statement, rows)


_WIRE: dict[type, str] = {
    Blob: "bytea",
    Day: "date",
    Flag: "bool",
    UtcMicros: "timestamptz",
    Words: "text",
    type(Number): "float8",
    type(Whole): "int8",
}
"""What columns are on PostgreSQL, so that COPY can be binary: a tenth of the work of text for whoever sends."""


def _copy(connection: Connection, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    import psycopg
    from psycopg import sql

    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    kinds = table(name).c
    bare: Any = connection.connection.driver_connection
    try:
        with bare.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([_WIRE[type(kinds[column].type)] for column in columns])
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError(f"COPY {name}", None, error, hide_parameters=True) from error


def upsert(connection: Connection, name: str, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Write one row under its key. Safe because writers take turns."""
    change, add = _upserts(name, tuple(key))
    named = {f"of_{column}": value for column, value in key.items()}
    if connection.execute(change, values | named).rowcount == 0:
        connection.execute(add, key | values)


@cache
def _upserts(name: str, key: tuple[str, ...]) -> tuple[Update, Insert]:
    rows = table(name)
    return update(rows).where(*(rows.c[column] == bindparam(f"of_{column}") for column in key)), insert(rows)


def url_digest(url: str) -> str:
    """What a URL is known by in keys: lower-case hex SHA-256 of its UTF-8."""
    return hashlib.sha256(url.encode()).hexdigest()


def payload_ids(connection: Connection, digests: Iterable[str | None]) -> dict[str | None, int | None]:
    """The numbers of payload addresses, new ones given out as needed. None stays None."""
    wanted = sorted({digest for digest in digests if digest is not None})
    found: dict[str | None, int | None] = {None: None}
    if not wanted:
        return found
    dialect = connection.dialect.name
    lookup, keys = _payload_lookup(dialect), key_values(dialect, (str,), [[digest] for digest in wanted])
    found.update((row[0], row[1]) for row in connection.execute(lookup, keys))
    missing = [{"sha256": digest} for digest in wanted if digest not in found]
    if missing:
        insert_many(connection, "payload", missing)
        found.update((row[0], row[1]) for row in connection.execute(lookup, keys))
    return found


@cache
def _payload_lookup(dialect: str) -> Select[Any]:
    payload, keys = table("payload"), key_table(dialect, (str,))
    return select(payload.c.sha256, payload.c.id).join(keys, keys.c.k0 == payload.c.sha256)

"""Column types that mean the same on SQLite and PostgreSQL, and keep SQLite's STRICT tables happy.

STRICT knows only INTEGER, REAL, TEXT and BLOB; every type here is one of them there.
Migrations use these types too, so a change of meaning needs a new name.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import REAL, BigInteger, Boolean, Date, Double, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from questions.time import EPOCH, from_micros, to_micros, utc

Blob = LargeBinary
Words = Text
Whole = BigInteger().with_variant(Integer(), "sqlite")
Number: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


class UtcMicros(TypeDecorator[datetime]):
    """An instant: INTEGER microseconds since 1970 on SQLite, TIMESTAMPTZ on PostgreSQL.

    Aware UTC datetimes in Python, both ways; a naive one raises ValueError both ways. Integers halve the
    file against ISO text and compare correctly, which ISO text with mixed fractions does not.
    """

    impl = Integer
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Integer())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "postgresql":
            return utc(value)
        if value.tzinfo is not UTC:
            return to_micros(value)
        since = value - EPOCH  # the usual case, three times as fast
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return utc(value) if dialect.name == "postgresql" else from_micros(value)


class Flag(TypeDecorator[bool]):
    """Yes or no: INTEGER 0 or 1 on SQLite, BOOLEAN on PostgreSQL."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Boolean() if dialect.name == "postgresql" else Integer())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Day(TypeDecorator[date]):
    """A calendar day: ISO TEXT on SQLite, DATE on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Date() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.isoformat()

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        return value if value is None or dialect.name == "postgresql" else date.fromisoformat(value)

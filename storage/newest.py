"""The newest value of many streams: the read that every look at what is followed begins with.

SQLAlchemy builds its statement, once. What the driver brings goes past SQLAlchemy's rows and types, which take
several times what the index does, and past a record's ``__init__`` where a glance shows that it would find nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from math import inf
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select, true, tuple_
from sqlalchemy.engine import make_url

from questions.records import Distribution, Quantity, Snapshot, StreamKey, ValueState
from questions.time import from_micros, to_micros, utc
from storage.bulk import key_table, key_values
from storage.records import Observation
from storage.tables import table

STREAM, SPELL, PAYLOAD = table("stream"), table("observation"), table("payload")

KEY = (STREAM.c.source, STREAM.c.platform, STREAM.c.external_id, STREAM.c.outcome, STREAM.c.quantity)
CONTENT = ("state", "probability", "value", "distribution", "forecasters", "hidden_until")
QUALITY = ("volume", "liquidity", "spread", "last_trade_at")
KEY_KINDS = (str,) * 5


def columns(row: Any) -> list[Any]:
    """The columns that make a spell, with the digest of its payload."""
    names = ("as_of", "seen_first", "seen_last", "times_seen", "reading", "timed", *CONTENT, *QUALITY)
    return [*(row.c[name] for name in names), PAYLOAD.c.sha256]


def key_columns(key: StreamKey) -> tuple[str, str, str, str, str]:
    """A stream's key as it is stored."""
    return (key.source, key.platform, key.external_id, key.outcome, key.quantity.value)


def read_distribution(text: str | None) -> Distribution | None:
    """A distribution as it was stored."""
    if text is None:
        return None
    read = json.loads(text)
    return Distribution(tuple(read["x"]), tuple(read["cdf"]), read["unit"])


@cache
def newest(dialect: str, *, named: bool, clipped: bool) -> Select[Any]:
    """Streams (all, or those bound as keys) with their newest spell (begun by ``known_at``, if clipped): the key,
    the number, ``columns``.

    One index seek a stream: a LATERAL subquery on PostgreSQL, a row-value comparison on SQLite.
    """
    streams: Any = STREAM
    if named:
        wanted = key_table(dialect, KEY_KINDS)
        streams = wanted.join(STREAM, and_(*(c == wanted.c[f"k{i}"] for i, c in enumerate(KEY))))
    seek = select(SPELL).where(SPELL.c.stream_id == STREAM.c.id)
    if clipped:
        seek = seek.where(SPELL.c.seen_first <= bindparam("known_at"))
    seek = seek.order_by(SPELL.c.as_of.desc(), SPELL.c.seen_first.desc(), SPELL.c.reading.desc()).limit(1)
    if dialect == "postgresql":
        spell: Any = seek.correlate(STREAM).lateral("newest")
        joined = streams.outerjoin(spell, true())
    else:
        spell = SPELL.alias("newest")
        moments = seek.with_only_columns(SPELL.c.as_of, SPELL.c.seen_first, SPELL.c.reading).correlate(STREAM)
        matches = tuple_(spell.c.as_of, spell.c.seen_first, spell.c.reading) == moments.scalar_subquery()
        # LEFT JOIN also fixes the order of the loops: streams first, then one seek each.
        joined = streams.outerjoin(spell, and_(spell.c.stream_id == STREAM.c.id, matches))
    return select(*KEY, STREAM.c.id, *columns(spell)).select_from(
        joined.outerjoin(PAYLOAD, PAYLOAD.c.id == spell.c.payload_id)
    )


def parameters(dialect: str, keys: Iterable[StreamKey] | None, known_at: datetime | None) -> dict[str, Any]:
    """The parameters of ``newest``."""
    given = {} if keys is None else key_values(dialect, KEY_KINDS, map(key_columns, keys))
    return given if known_at is None else given | {"known_at": known_at}


_DRIVERS = {"postgresql": "postgresql+psycopg://", "sqlite": "sqlite+pysqlite://"}


@cache
def _as_text(
    dialect: str, *, named: bool, clipped: bool
) -> tuple[str, Mapping[str, Any], tuple[str, ...] | None]:
    """``newest`` as the driver takes it, its constants, and the order of its parameters where they have no names."""
    speaks = make_url(_DRIVERS[dialect]).get_dialect()()
    made = newest(dialect, named=named, clipped=clipped).compile(dialect=speaks)
    order = getattr(made, "positiontup", None)
    return str(made), made.params, None if order is None else tuple(order)


def latest(
    connection: Connection, keys: Collection[StreamKey] | None, known_at: datetime | None
) -> dict[StreamKey, Observation]:
    """See ``Store.latest``."""
    dialect = connection.dialect.name
    statement, constants, order = _as_text(dialect, named=keys is not None, clipped=known_at is not None)
    given: Any = {**constants, **parameters(dialect, keys, known_at)}
    if order is not None:
        if known_at is not None:
            given["known_at"] = to_micros(known_at)
        given = tuple(given[name] for name in order)
    asked = connection.exec_driver_sql(statement, given)
    assert asked.cursor is not None
    rows = sorted(asked.cursor.fetchall())  # by key: no two are alike
    asked.close()
    return _records(rows, known_at, utc if order is None else from_micros)


class _Instants(dict[Any, datetime]):
    """What the driver tells of instants, as instants; those of one fetch are shared by all that it brought."""

    def __init__(self, instant: Callable[[Any], datetime]) -> None:
        self._instant = instant

    def __missing__(self, told: Any) -> datetime:
        made = self[told] = self._instant(told)
        return made


@lru_cache(maxsize=1 << 14)
def _key(source: str, platform: str, external_id: str, outcome: str, quantity: str) -> StreamKey:
    """The key of these words; the same streams are asked for again and again."""
    return StreamKey(source, platform, external_id, outcome, Quantity(quantity))


def _records(
    rows: Iterable[Sequence[Any]], known_at: datetime | None, instant: Callable[[Any], datetime]
) -> dict[StreamKey, Observation]:
    """Rows of ``newest`` as records; streams without a spell are left out.

    One flat loop: at some thousand rows each call and each list in it would show.
    """
    found: dict[StreamKey, Observation] = {}
    instants = _Instants(instant)
    new: Any = object.__new__
    put = object.__setattr__
    for (
        source, platform, external_id, outcome, quantity, _,
        as_of, seen_first, seen_last, times_seen, _, timed,
        state, probability, value, distribution, forecasters, hidden_until,
        volume, liquidity, spread, last_trade_at, sha256,
    ) in rows:  # fmt: skip
        if as_of is None:
            continue
        key = _key(source, platform, external_id, outcome, quantity)
        first = instants[seen_first]
        last = first if seen_last == seen_first else instants[seen_last]
        if known_at is not None and last > known_at:
            last = known_at
        told = {
            "key": key,
            "as_of": first if as_of == seen_first else instant(as_of),
            "fetched_at": first,
            "state": _OK,
            "probability": probability,
            "value": value,
            "distribution": None,
            "timed_by_source": timed == 1,
            "forecasters": forecasters,
            "volume": volume,
            "liquidity": liquidity,
            "spread": spread,
            "hidden_until": None,
            "payload_sha256": sha256,
            "last_trade_at": None if last_trade_at is None else instants[last_trade_at],
        }
        if (
            state == "ok"
            and probability is not None
            and 0.0 <= probability <= 1.0
            and value is None
            and distribution is None
            and hidden_until is None
            and (forecasters is None or forecasters >= 0)
            and (volume is None or 0.0 <= volume < inf)
            and (liquidity is None or 0.0 <= liquidity < inf)
            and (spread is None or 0.0 <= spread < inf)
            and (timed or as_of == seen_first)
        ):
            snapshot = new(Snapshot)  # its __init__ would find nothing to refuse and nothing to change
            put(snapshot, "__dict__", told)
        else:
            told["state"], told["distribution"] = state, read_distribution(distribution)
            told["hidden_until"] = None if hidden_until is None else instants[hidden_until]
            snapshot = Snapshot(**told)
        found[key] = seen = new(Observation)
        put(
            seen,
            "__dict__",
            {"snapshot": snapshot, "seen_first": first, "seen_last": last, "times_seen": times_seen},
        )
    return found


_OK = ValueState.OK

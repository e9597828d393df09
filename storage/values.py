"""Community values in SQL: how a batch of snapshots becomes rows, and how rows become answers.

What is new is decided by ``storage.decide``; here it is only fetched and written. Of a stream, the newest
row and the rows at the instants a batch mentions are all that has to be read; only when a current value
comes late are they all. Of a history, points at instants without rows and points that are known need no decision.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import compress
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)

from questions.records import Distribution, History, Quantity, Snapshot, StreamKey, ValueState
from questions.time import from_micros, to_micros
from storage.border import admit
from storage.bulk import insert_alike, insert_many, key_table, key_values, payload_ids, run_many
from storage.decide import Spell, Timeline, last_per_instant
from storage.newest import CONTENT, KEY, columns, key_columns, newest, parameters, read_distribution
from storage.records import AppendReport, Observation
from storage.tables import table

STREAM, SPELL, PAYLOAD = table("stream"), table("observation"), table("payload")

# rows and records ---------------------------------------------------------------------------------


def _to_json(distribution: Distribution | None) -> str | None:
    if distribution is None:
        return None
    return json.dumps({"x": distribution.x, "cdf": distribution.cdf, "unit": distribution.unit})


def _snapshot(key: StreamKey, as_of: datetime, fetched_at: datetime, columns: Sequence[Any]) -> Snapshot:
    timed, state, probability, value, distribution, forecasters, hidden_until = columns[:7]
    volume, liquidity, spread, last_trade_at, sha256 = columns[7:]
    return Snapshot(
        key,
        as_of,
        fetched_at,
        ValueState(state),
        probability,
        value,
        read_distribution(distribution),
        timed,
        forecasters,
        volume,
        liquidity,
        spread,
        hidden_until,
        sha256,
        last_trade_at,
    )


def _spell(key: StreamKey, columns: Sequence[Any]) -> Spell:
    as_of, seen_first, seen_last, times_seen, reading = columns[:5]
    return Spell(_snapshot(key, as_of, seen_first, columns[5:]), seen_last, times_seen, reading)


def _key(columns: Sequence[Any]) -> StreamKey:
    source, platform, external_id, outcome, quantity = columns
    return StreamKey(source, platform, external_id, outcome, Quantity(quantity))


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)


def _spell_row(number: int, spell: Spell, payloads: Mapping[str | None, int | None]) -> dict[str, Any]:
    snapshot = spell.first
    return {
        "stream_id": number,
        "as_of": spell.as_of,
        "seen_first": spell.seen_first,
        "reading": spell.reading,
        "seen_last": spell.seen_last,
        "times_seen": spell.times_seen,
        "timed": snapshot.timed_by_source,
        "state": snapshot.state.value,
        "probability": _float(snapshot.probability),
        "value": _float(snapshot.value),
        "distribution": _to_json(snapshot.distribution),
        "forecasters": snapshot.forecasters,
        "hidden_until": snapshot.hidden_until,
        "volume": _float(snapshot.volume),
        "liquidity": _float(snapshot.liquidity),
        "spread": _float(snapshot.spread),
        "last_trade_at": snapshot.last_trade_at,
        "payload_id": payloads[snapshot.payload_sha256],
    }


# the newest spell of many streams -----------------------------------------------------------------


def _newest_spells(
    connection: Connection, keys: Iterable[StreamKey] | None, known_at: datetime | None
) -> list[tuple[int, Spell]]:
    """(number, newest spell) of the streams that have one."""
    dialect = connection.dialect.name
    query = newest(dialect, named=keys is not None, clipped=known_at is not None)
    rows = (
        row for row in connection.execute(query, parameters(dialect, keys, known_at)) if row[6] is not None
    )
    return [(row[5], _spell(_key(row[:5]), row[6:])) for row in rows]


# append -------------------------------------------------------------------------------------------


@dataclass
class _Stream:
    """A stream as stored, and what a batch brings for it."""

    number: int
    key: StreamKey
    newest: Spell | None
    arriving: list[Snapshot]
    history: History | None

    @property
    def late(self) -> bool:
        """A current value from before the newest row: everything may matter."""
        newest = self.newest
        return newest is not None and any(
            not s.timed_by_source and s.fetched_at < max(newest.as_of, newest.seen_first)
            for s in self.arriving
        )

    def mentioned(self) -> set[tuple[int, datetime]]:
        """The stored instants, the newest apart, that the batch speaks of."""
        newest = self.newest
        if newest is None:
            return set()
        return {(self.number, s.as_of) for s in self.arriving if s.as_of <= newest.as_of}


def alone(
    histories: Iterable[History], snapshots: dict[StreamKey, list[Snapshot]]
) -> dict[StreamKey, History]:
    """The histories that are all a batch tells of their streams; the points of others join the snapshots."""
    told: dict[StreamKey, list[History]] = defaultdict(list)
    for history in histories:
        told[admit(history.key)].append(history)
    found = {key: several[0] for key, several in told.items() if len(several) == 1 and key not in snapshots}
    for key in told.keys() - found.keys():
        snapshots[key] += [point for history in told[key] for point in history.snapshots()]
    return found


def append(
    connection: Connection,
    snapshots: Mapping[StreamKey, list[Snapshot]],
    histories: Mapping[StreamKey, History],
    max_gap: timedelta,
) -> AppendReport:
    """Store the values of a batch, grouped by stream. Inside the caller's transaction."""
    streams = _open_streams(connection, snapshots, histories)
    _leave_to_timelines(connection, [stream for stream in streams if stream.history is not None])
    known = _spells_at(connection, [stream for stream in streams if not stream.late])
    begun: list[tuple[int, Spell]] = []
    touched: list[tuple[int, Spell]] = []
    points = [(stream.number, stream.history) for stream in streams if stream.history is not None]
    new = sum(len(history) for _, history in points)
    total = sum(map(len, snapshots.values())) + sum(map(len, histories.values()))
    for stream in streams:
        timeline = Timeline(max_gap, _loaded(connection, stream, known))
        timeline.take(stream.arriving)
        begun += [(stream.number, spell) for spell in timeline.begun]
        started = {id(spell) for spell in timeline.begun}
        touched += [(stream.number, s) for s in timeline.touched.values() if id(s) not in started]
        new += timeline.fresh
    told = {spell.first.payload_sha256 for _, spell in begun}
    payloads = payload_ids(connection, told | {history.payload_sha256 for _, history in points})
    insert_many(connection, "observation", [_spell_row(n, spell, payloads) for n, spell in begun])
    for number, history in points:
        _insert_points(connection, number, history, payloads[history.payload_sha256])
    run_many(connection, _EXTEND, [_extend_row(n, spell) for n, spell in touched])
    return AppendReport(snapshots_new=new, snapshots_unchanged=total - new)


def _leave_to_timelines(connection: Connection, streams: Sequence[_Stream]) -> None:
    """Of each history keep the points that are sure to be new; those a ``Timeline`` must decide arrive.

    A point with the source's time at an instant without a row is a row, whatever else the stream holds; one
    that says what the only row at its instant says is known. All others are left to be decided, and so is the
    last point, which tells whether the newest row is still the newest.
    """
    stored = _stored_points(connection, streams)
    for stream in streams:
        history, said = stream.history, stored.get(stream.number)
        if history is not None and said:
            points, last = list(zip(history.as_of, history.probability, strict=True)), history.as_of[-1]
            undecided = _only(history, [at == last or said.get(at, p) != p for at, p in points])
            stream.arriving += () if undecided is None else undecided.snapshots()
            stream.history = _only(history, [at != last and at not in said for at, _ in points])


def _only(history: History, wanted: Sequence[bool]) -> History | None:
    """The history of some of its points, if there are any."""
    if not any(wanted):
        return None
    as_of, probability = compress(history.as_of, wanted), compress(history.probability, wanted)
    return replace(history, as_of=tuple(as_of), probability=tuple(probability))


def _stored_points(
    connection: Connection, streams: Sequence[_Stream]
) -> Mapping[int, Mapping[int, float | None]]:
    """By stream, the instants (microseconds) with rows between the first and last point of its history.

    With the probability where there is one row only, seen by the time of the history, that says nothing else.
    """
    spans = [
        (stream.number, from_micros(history.as_of[0]), from_micros(history.as_of[-1]), history.fetched_at)
        for stream in streams
        if (history := stream.history) is not None and stream.newest is not None
    ]
    found: dict[int, dict[int, float | None]] = defaultdict(dict)
    if spans:
        dialect = connection.dialect.name
        bound = key_values(dialect, _SPAN_KINDS, spans)
        for number, as_of, probability in connection.execute(_points_within(dialect), bound):
            said, at = found[number], to_micros(as_of)
            said[at] = None if at in said else probability
    return found


_SPAN_KINDS = (int, datetime, datetime, datetime)


@cache
def _points_within(dialect: str) -> Select[Any]:
    wanted = key_table(dialect, _SPAN_KINDS)
    within = and_(SPELL.c.stream_id == wanted.c.k0, SPELL.c.as_of.between(wanted.c.k1, wanted.c.k2))
    others = (SPELL.c[name] for name in CONTENT if name not in ("state", "probability"))
    plain = and_(SPELL.c.seen_first <= wanted.c.k3, *(column.is_(None) for column in others))
    return select(SPELL.c.stream_id, SPELL.c.as_of, case((plain, SPELL.c.probability))).select_from(
        wanted.join(SPELL, within)
    )


def _insert_points(connection: Connection, number: int, history: History, payload: int | None) -> None:
    """The rows that ``_spell_row`` makes of the points, without making them one by one."""
    shared = {
        "stream_id": number,
        "seen_first": history.fetched_at,
        "reading": 0,
        "seen_last": history.fetched_at,
        "times_seen": 1,
        "timed": True,
        "state": ValueState.OK.value,
        "payload_id": payload,
    }
    columns = {"as_of": history.as_of, "probability": history.probability}
    insert_alike(connection, "observation", shared, columns)


_EXTEND = (
    update(SPELL)
    .where(
        SPELL.c.stream_id == bindparam("number"),
        SPELL.c.as_of == bindparam("since"),
        SPELL.c.seen_first == bindparam("first"),
        SPELL.c.reading == bindparam("which"),
    )
    .values(seen_last=bindparam("last"), times_seen=bindparam("times"))
)


def _extend_row(number: int, spell: Spell) -> dict[str, Any]:
    return {
        "number": number,
        "since": spell.as_of,
        "first": spell.seen_first,
        "which": spell.reading,
        "last": spell.seen_last,
        "times": spell.times_seen,
    }


def _open_streams(
    connection: Connection,
    snapshots: Mapping[StreamKey, list[Snapshot]],
    histories: Mapping[StreamKey, History],
) -> list[_Stream]:
    """The batch's streams with their newest spells; those never seen before are created."""
    keys = snapshots.keys() | histories.keys()
    found = [(number, newest.first.key, newest) for number, newest in _newest_spells(connection, keys, None)]
    missing = keys - {key for _, key, _ in found}
    return [
        _Stream(number, key, newest, snapshots.get(key, []), histories.get(key))
        for number, key, newest in [*found, *_create_streams(connection, missing)]
    ]


def _create_streams(connection: Connection, keys: Collection[StreamKey]) -> list[tuple[int, StreamKey, None]]:
    if not keys:
        return []
    names = [column.name for column in KEY]
    rows = [dict(zip(names, key_columns(key), strict=True)) for key in sorted(keys)]
    created = connection.execute(insert(STREAM).returning(STREAM.c.id, *KEY), rows).all()
    return [(row[0], _key(row[1:]), None) for row in created]


def _loaded(connection: Connection, stream: _Stream, known: Mapping[int, Sequence[Spell]]) -> Iterable[Spell]:
    """The stored spells a batch can touch in one stream."""
    if stream.late:
        return _rows_of(connection, stream.key, None)
    if stream.newest is None:
        return ()
    others = [spell for spell in known.get(stream.number, ()) if spell.order != stream.newest.order]
    return [*others, stream.newest]


def _spells_at(connection: Connection, streams: Sequence[_Stream]) -> dict[int, list[Spell]]:
    """Every spell at the instants the batch mentions, by stream."""
    mentioned = {instant for stream in streams for instant in stream.mentioned()}
    found: dict[int, list[Spell]] = defaultdict(list)
    if mentioned:
        keys = {stream.number: stream.key for stream in streams}
        dialect = connection.dialect.name
        bound = key_values(dialect, (int, datetime), sorted(mentioned))
        for row in connection.execute(_mentioned_spells(dialect), bound):
            found[row[0]].append(_spell(keys[row[0]], row[1:]))
    return found


@cache
def _mentioned_spells(dialect: str) -> Select[Any]:
    wanted = key_table(dialect, (int, datetime))
    same = and_(SPELL.c.stream_id == wanted.c.k0, SPELL.c.as_of == wanted.c.k1)
    return select(SPELL.c.stream_id, *columns(SPELL)).select_from(
        wanted.join(SPELL, same).outerjoin(PAYLOAD, PAYLOAD.c.id == SPELL.c.payload_id)
    )


# read ---------------------------------------------------------------------------------------------


def streams(connection: Connection, platform: str | None, external_id: str | None) -> list[StreamKey]:
    query = select(*KEY)
    if platform is not None:
        query = query.where(STREAM.c.platform == platform)
    if external_id is not None:
        query = query.where(STREAM.c.external_id == external_id)
    return sorted(_key(row) for row in connection.execute(query))


@cache
def _of_stream(*, clipped: bool, started: bool) -> Select[Any]:
    """The spells of a stream in order: begun by ``known_at`` if clipped, from what stood at ``start`` on if started."""
    query = (
        select(*columns(SPELL))
        .select_from(
            STREAM.join(SPELL, SPELL.c.stream_id == STREAM.c.id).outerjoin(
                PAYLOAD, PAYLOAD.c.id == SPELL.c.payload_id
            )
        )
        .where(*(column == bindparam(f"k{i}") for i, column in enumerate(KEY)))
        .order_by(SPELL.c.as_of, SPELL.c.seen_first, SPELL.c.reading)
    )
    earlier, start = SPELL.alias("earlier"), bindparam("start", type_=SPELL.c.as_of.type)
    stood = select(func.max(earlier.c.as_of)).where(
        earlier.c.stream_id == STREAM.c.id, earlier.c.as_of <= start
    )
    if clipped:
        query = query.where(SPELL.c.seen_first <= bindparam("known_at"))
        stood = stood.where(earlier.c.seen_first <= bindparam("known_at"))
    if started:
        query = query.where(SPELL.c.as_of >= func.coalesce(stood.correlate(STREAM).scalar_subquery(), start))
    return query


def _rows_of(
    connection: Connection, key: StreamKey, known_at: datetime | None, start: datetime | None = None
) -> list[Spell]:
    bound: dict[str, Any] = {f"k{i}": value for i, value in enumerate(key_columns(key))}
    bound |= {name: at for name, at in (("known_at", known_at), ("start", start)) if at is not None}
    query = _of_stream(clipped=known_at is not None, started=start is not None)
    return [_spell(key, row) for row in connection.execute(query, bound)]


def history(
    connection: Connection, key: StreamKey, known_at: datetime | None, start: datetime | None = None
) -> list[Observation]:
    spells = last_per_instant(_rows_of(connection, key, known_at, start))
    return [spell.observation(known_at) for spell in spells]


def revisions(connection: Connection, key: StreamKey) -> list[Observation]:
    return [spell.observation() for spell in _rows_of(connection, key, None)]

"""Thinning in SQL: what is dense is looked for first, then read stream by stream, and what may go is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, Row, and_, bindparam, delete, func, select, type_coerce

from questions.records import StreamKey, ValueState
from storage.bulk import upsert
from storage.decide import Order
from storage.retention import DAY_US, mentioned
from storage.tables import table
from storage.thinning import (
    DENSE,
    RULE,
    Anchors,
    Mark,
    Thinned,
    Thinning,
    by_day,
    joined,
    to_let_go,
    whole_days,
    written,
)

SPELL, STREAM, PAYLOAD, THINNING = (table(name) for name in ("observation", "stream", "payload", "thinning"))
KEY = tuple(STREAM.c[name] for name in StreamKey.__dataclass_fields__)


def thin(
    connection: Connection, before: datetime, now: datetime, *, dry_run: bool, at_most: int | None
) -> Thinned:
    """Let go of values of whole days before an instant, stream by stream, so many at a time and a stream never in
    part. Inside the caller's writing transaction."""
    before = whole_days(before)
    spans = _dense(connection, before)
    if not spans:
        return Thinned()
    named, anchors = _named(connection), read_anchors(connection)
    values = streams = 0
    for number, (since, until) in spans.items():
        if at_most is not None and values >= at_most:
            return Thinned(values, streams, more=True)
        row = connection.execute(select(*KEY).where(STREAM.c.id == number)).one()
        key = StreamKey(*row)
        days = by_day(_marks(connection, number, since, until, named))
        gone = to_let_go(days, _first(connection, number), before, *anchors.of(key))
        if not gone:
            continue
        values, streams = values + len(gone), streams + 1
        if not dry_run:
            _delete(connection, number, gone)
            _write_down(connection, number, written(key, gone, now))
    return Thinned(values, streams)


def _day(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        return type_coerce(SPELL.c.as_of, Integer) // DAY_US
    return func.date_trunc("day", SPELL.c.as_of, "UTC")


def _dense(connection: Connection, before: datetime) -> dict[int, tuple[datetime, datetime]]:
    """By stream, from when to when (inclusive) its dense days before an instant reach."""
    found: dict[int, tuple[datetime, datetime]] = {}
    day = _day(connection).label("day")
    query = (
        select(SPELL.c.stream_id, func.min(SPELL.c.as_of), func.max(SPELL.c.as_of))
        .where(SPELL.c.as_of < before)
        .group_by(SPELL.c.stream_id, day)
        .having(func.count() > DENSE)
    )
    for number, since, until in connection.execute(query):
        known = found.get(number, (since, until))
        found[number] = (min(known[0], since), max(known[1], until))
    return dict(sorted(found.items()))


def _marks(
    connection: Connection, number: int, since: datetime, until: datetime, named: set[int]
) -> Iterator[Mark]:
    columns = ("as_of", "seen_first", "reading", "seen_last", "state", "probability", "value", "payload_id")
    query = select(*(SPELL.c[name] for name in columns)).where(
        SPELL.c.stream_id == number, SPELL.c.as_of.between(since, until)
    )
    for as_of, seen_first, reading, seen_last, state, probability, value, payload in connection.execute(
        query
    ):
        number_ = probability if probability is not None else value
        height = number_ if state == ValueState.OK.value else None
        yield Mark(as_of, seen_first, reading, seen_last, height, payload in named)


def _first(connection: Connection, number: int) -> Order:
    order = (SPELL.c.as_of, SPELL.c.seen_first, SPELL.c.reading)
    query = select(*order).where(SPELL.c.stream_id == number).order_by(*order).limit(1)
    as_of, seen_first, reading = connection.execute(query).one()
    return (as_of, seen_first, reading)


def _named(connection: Connection) -> set[int]:
    """The numbers of payloads whose hash stands in any text we keep."""
    digests = set(mentioned(connection))
    numbers = connection.execute(select(PAYLOAD.c.sha256, PAYLOAD.c.id)) if digests else ()
    return {number for sha256, number in numbers if sha256 in digests}


_GONE = delete(SPELL).where(
    and_(
        SPELL.c.stream_id == bindparam("number"),
        SPELL.c.as_of == bindparam("since"),
        SPELL.c.seen_first == bindparam("first"),
        SPELL.c.reading == bindparam("which"),
    )
)


def _delete(connection: Connection, number: int, gone: Sequence[Mark]) -> None:
    rows = [
        {"number": number, "since": one.as_of, "first": one.seen_first, "which": one.reading} for one in gone
    ]
    connection.execute(_GONE, rows)


def _write_down(connection: Connection, number: int, new: Thinning) -> None:
    known = _thinnings(connection, THINNING.c.stream_id == number, THINNING.c.rule == new.rule)
    whole = joined(known[0] if known else None, new)
    columns = ("since", "until", "gone", "first_at", "last_at")
    upsert(
        connection,
        "thinning",
        {"stream_id": number, "rule": RULE},
        {name: getattr(whole, name) for name in columns},
    )


def thinnings(connection: Connection) -> list[Thinning]:
    """What was let go of, by stream and rule."""
    return sorted(_thinnings(connection), key=lambda one: (one.key, one.rule))


def _thinnings(connection: Connection, *where: Any) -> list[Thinning]:
    query = select(THINNING, *KEY).join(STREAM, STREAM.c.id == THINNING.c.stream_id).where(*where)
    return [_thinning(row) for row in connection.execute(query)]


def _thinning(row: Row[Any]) -> Thinning:
    told = row._mapping
    values = {name: told[name] for name in ("rule", "since", "until", "gone", "first_at", "last_at")}
    return Thinning(StreamKey(*row[-len(KEY) :]), **values)


# what was made from values ------------------------------------------------------------------------


_GENERAL: Mapping[str, Sequence[str]] = {
    "ordering": ("at", "known_at"),
    "alert": ("at",),
    "receipt": ("known_at", "resolved_at"),
    "question_version": ("seen_at",),
}


def read_anchors(connection: Connection) -> Anchors:
    """The instants at which something that is kept was made."""
    anchors = Anchors()
    for name, columns in _GENERAL.items():
        for column in columns:
            query = select(table(name).c[column]).distinct()
            anchors.general.update(at for at in connection.execute(query).scalars() if at is not None)
    for at in connection.execute(select(table("digest").c.as_of).distinct()).scalars():
        anchors.digest(at)
    scores = table("score")
    for question, at in connection.execute(select(scores.c.question, scores.c.made_at).distinct()):
        anchors.score(question, at)
    for name, column in (("question_info", "closes_at"), ("resolution", "resolved_at")):
        rows = table(name)
        query = select(rows.c.platform, rows.c.external_id, rows.c[column]).distinct()
        for platform, external_id, at in connection.execute(query):
            anchors.close((platform, external_id), at)
    return anchors

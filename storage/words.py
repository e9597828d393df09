"""Resolutions, facts and health of questions in SQL: what was said of a question, and until when.

A word that stands is one row, however often it is seen again; where a word belongs that arrives late is
decided by ``storage.decide.place``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Generic

from sqlalchemy import Connection, Select, Table, and_, bindparam, select, update

from questions.records import OutcomeState, QuestionHealth, QuestionInfo, QuestionState, Resolution
from storage.bulk import insert_many, key_table, key_values, payload_ids, run_many
from storage.decide import Said, Word, last_said, place
from storage.tables import table

PAYLOAD = table("payload")
Key = tuple[str, ...]


@dataclass(frozen=True)
class Shelf(Generic[Word]):
    """Where one kind of word is kept: its table, what it is about, what it says, and how to make it."""

    table: Table
    about: tuple[str, ...]
    says: tuple[str, ...]
    make: Callable[..., Word]

    def key(self, word: Word) -> Key:
        return tuple(getattr(word, name) for name in self.about)

    def row(self, said: Said[Word], payloads: Mapping[str | None, int | None]) -> dict[str, Any]:
        row = {name: getattr(said.word, name) for name in (*self.about, *self.says)}
        if isinstance(said.word, Resolution | QuestionHealth):
            row["state"] = said.word.state.value
        row |= {"seen_first": said.seen_first, "seen_last": said.seen_last}
        return row | {"payload_id": payloads[said.word.payload_sha256]}


def _resolution(**fields: Any) -> Resolution:
    return Resolution(**{**fields, "state": OutcomeState(fields["state"])})


def _health(**fields: Any) -> QuestionHealth:
    return QuestionHealth(**{**fields, "state": QuestionState(fields["state"])})


RESOLUTIONS = Shelf(
    table("resolution"),
    ("source", "platform", "external_id", "outcome"),
    ("state", "resolved_at", "value", "text"),
    _resolution,
)
INFOS = Shelf(
    table("question_info"),
    ("source", "platform", "external_id"),
    ("title", "url", "question_type", "status", "opens_at", "closes_at", "resolves_by", "criteria_sha256"),
    QuestionInfo,
)
HEALTHS = Shelf(
    table("question_health"),
    ("source", "platform", "external_id"),
    ("state", "message", "hidden_until"),
    _health,
)


def append(connection: Connection, shelf: Shelf[Word], words: Sequence[Word]) -> int:
    """Store words; returns how many were new. Inside the caller's transaction."""
    if not words:
        return 0
    known = _load(connection, shelf, {shelf.key(word) for word in words}, None)
    touched: dict[int, Said[Word]] = {}
    new = 0
    for word in sorted(words, key=lambda word: word.fetched_at):
        placed = place(known[shelf.key(word)], word)
        touched |= {said.number: said for said in placed.changed if said.number}
        new += bool(placed.added)
    begun: list[Said[Word]] = [said for told in known.values() for said in told if not said.number]
    written = [*begun, *touched.values()]
    payloads = payload_ids(connection, {said.word.payload_sha256 for said in written})
    insert_many(connection, shelf.table.name, [shelf.row(said, payloads) for said in begun])
    changed = [
        {
            "number": said.number,
            "first": said.seen_first,
            "last": said.seen_last,
            "payload": payloads[said.word.payload_sha256],
        }
        for said in touched.values()
    ]
    run_many(connection, _change(shelf), changed)
    return new


@cache
def _change(shelf: Shelf[Any]) -> Any:
    rows = shelf.table
    return (
        update(rows)
        .where(rows.c.id == bindparam("number"))
        .values(seen_first=bindparam("first"), seen_last=bindparam("last"), payload_id=bindparam("payload"))
    )


def last(connection: Connection, shelf: Shelf[Word], known_at: datetime | None) -> list[Said[Word]]:
    """The word in force about everything, sorted by what it is about."""
    known = _load(connection, shelf, None, known_at)
    found = (last_said(known[key], known_at) for key in sorted(known))
    return [said for said in found if said is not None]


def _load(
    connection: Connection, shelf: Shelf[Word], keys: Iterable[Key] | None, known_at: datetime | None
) -> dict[Key, list[Said[Word]]]:
    """Words by what they are about, in the order they were first seen."""
    dialect = connection.dialect.name
    query = _query(dialect, shelf, named=keys is not None)
    bound = {} if keys is None else key_values(dialect, (str,) * len(shelf.about), sorted(keys))
    if known_at is not None:
        query = query.where(shelf.table.c.seen_first <= known_at)
    found: dict[Key, list[Said[Word]]] = defaultdict(list)
    for number, seen_first, seen_last, sha256, *values in connection.execute(query, bound):
        fields = dict(zip((*shelf.about, *shelf.says), values, strict=True))
        word = shelf.make(**fields, fetched_at=seen_first, payload_sha256=sha256)
        found[shelf.key(word)].append(Said(word, seen_last, number))
    return found


@cache
def _query(dialect: str, shelf: Shelf[Any], *, named: bool) -> Select[Any]:
    rows = shelf.table
    source: Any = rows
    if named:
        wanted = key_table(dialect, (str,) * len(shelf.about))
        source = wanted.join(rows, and_(*(rows.c[n] == wanted.c[f"k{i}"] for i, n in enumerate(shelf.about))))
    names = (*shelf.about, *shelf.says)
    columns = [rows.c.id, rows.c.seen_first, rows.c.seen_last, PAYLOAD.c.sha256, *(rows.c[n] for n in names)]
    joined = source.outerjoin(PAYLOAD, PAYLOAD.c.id == rows.c.payload_id)
    return select(*columns).select_from(joined).order_by(rows.c.seen_first, rows.c.id)

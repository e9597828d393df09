"""What is only ever added, in SQL: versions, judgements and receipts of our own questions; orderings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, select

from questions.evidence import Judgement
from questions.receipts import Edit, QuestionVersion, Receipt, exhibits_from
from questions.verdicts import State
from storage.bulk import insert_many, key_table, key_values
from storage.decide import refuse_another
from storage.errors import IntegrityFailure
from storage.records import Grain, OrderingRecord
from storage.tables import table

Kept = TypeVar("Kept", QuestionVersion, Judgement, Receipt, OrderingRecord)


@dataclass(frozen=True)
class Book(Generic[Kept]):
    """Where one kind of record is kept: its table, its key (``time``, from when it was known, among it, and
    perhaps other ``instants``), and how it is written and read."""

    what: str
    table: Table
    key: tuple[str, ...]
    time: str
    write: Callable[[Kept], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], Kept]
    instants: tuple[str, ...] = ()


def _plain(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in type(record).__dataclass_fields__}


def _write_version(version: QuestionVersion) -> dict[str, Any]:
    return _plain(version) | {"edit": version.edit.value}


def _read_version(row: Mapping[str, Any]) -> QuestionVersion:
    return QuestionVersion(**{**row, "edit": Edit(row["edit"])})


def _write_judgement(judgement: Judgement) -> dict[str, Any]:
    value = None if judgement.value is None else float(judgement.value)
    return _plain(judgement) | {"citations": json.dumps(judgement.citations), "value": value}


def _read_judgement(row: Mapping[str, Any]) -> Judgement:
    return Judgement(**{**row, "citations": tuple(json.loads(row["citations"]))})


def _write_receipt(receipt: Receipt) -> dict[str, Any]:
    return _plain(receipt) | {
        "state": receipt.state.value,
        "value": None if receipt.value is None else float(receipt.value),
        "computed": json.dumps(receipt.computed),
        "evidence": json.dumps([asdict(one) for one in receipt.evidence]),
    }


def _read_receipt(row: Mapping[str, Any]) -> Receipt:
    computed = tuple((name, value) for name, value in json.loads(row["computed"]))
    evidence = exhibits_from(json.loads(row["evidence"]))
    return Receipt(**{**row, "state": State(row["state"]), "computed": computed, "evidence": evidence})


def _write_ordering(record: OrderingRecord) -> dict[str, Any]:
    return _plain(record) | {"grain": record.grain.value}


def _read_ordering(row: Mapping[str, Any]) -> OrderingRecord:
    try:
        return OrderingRecord(**{**row, "grain": Grain(row["grain"])})
    except ValueError as error:
        raise IntegrityFailure(str(error)) from error


VERSIONS: Book[QuestionVersion] = Book(
    "version", table("question_version"), ("question", "seen_at"), "seen_at", _write_version, _read_version
)
JUDGEMENTS: Book[Judgement] = Book(
    "judgement",
    table("judgement"),
    ("question", "judge", "made_at"),
    "made_at",
    _write_judgement,
    _read_judgement,
)
RECEIPTS: Book[Receipt] = Book(
    "receipt", table("receipt"), ("question", "version", "made_at"), "made_at", _write_receipt, _read_receipt
)

ORDERINGS: Book[OrderingRecord] = Book(
    "ordering",
    table("ordering"),
    ("grain", "settings", "at", "made_at"),
    "made_at",
    _write_ordering,
    _read_ordering,
    ("at",),
)


def add(connection: Connection, book: Book[Kept], records: Sequence[Kept]) -> int:
    """Keep records; returns how many were new. Raises StorageError when a key was given to another one."""
    keys = [tuple(getattr(record, name) for name in book.key) for record in records]
    known = {tuple(getattr(one, name) for name in book.key): one for one in _matching(connection, book, keys)}
    fresh: list[dict[str, Any]] = []
    for key, record in zip(keys, records, strict=True):
        standing = known.setdefault(key, record)
        if standing is not record:
            refuse_another(standing, record, book.what)
        else:
            fresh.append(book.write(record))
    insert_many(connection, book.table.name, fresh)
    return len(fresh)


def _matching(connection: Connection, book: Book[Kept], keys: Sequence[tuple[Any, ...]]) -> list[Kept]:
    if not keys:
        return []
    kinds = tuple(datetime if name in (book.time, *book.instants) else str for name in book.key)
    wanted = key_table(connection.dialect.name, kinds)
    same = [book.table.c[name] == wanted.c[f"k{i}"] for i, name in enumerate(book.key)]
    query = select(book.table).select_from(wanted).where(*same)
    found = connection.execute(query, key_values(connection.dialect.name, kinds, keys))
    return [book.read(dict(row._mapping)) for row in found]


def kept(
    connection: Connection, book: Book[Kept], question: str | None, known_at: datetime | None
) -> list[Kept]:
    """Records by (time, key), of one question or all, those of an instant or before."""
    query = select(book.table)
    if question is not None:
        query = query.where(book.table.c.question == question)
    if known_at is not None:
        query = query.where(book.table.c[book.time] <= known_at)
    found = [book.read(dict(row._mapping)) for row in connection.execute(query)]
    return sorted(found, key=lambda one: in_time(one, book.time, book.key))


def orderings(
    connection: Connection,
    grain: Grain,
    *,
    since: datetime | None,
    until: datetime | None,
    settings: str | None,
    known_at: datetime | None,
) -> list[OrderingRecord]:
    """Orderings by (at, made_at, settings). Raises IntegrityFailure for one that does not hash to its digest."""
    rows = ORDERINGS.table
    query = select(rows).where(rows.c.grain == grain.value)
    if since is not None:
        query = query.where(rows.c.at >= since)
    if until is not None:
        query = query.where(rows.c.at <= until)
    if known_at is not None:
        query = query.where(rows.c.made_at <= known_at)
    if settings is not None:
        query = query.where(rows.c.settings == settings)
    found = [_read_ordering(dict(row._mapping)) for row in connection.execute(query)]
    return sorted(found, key=lambda one: (one.at, one.made_at, one.settings))


def bad_orderings(connection: Connection) -> Iterator[str]:
    """Orderings whose payload is not what their digest says."""
    for row in connection.execute(select(ORDERINGS.table)):
        try:
            _read_ordering(dict(row._mapping))
        except IntegrityFailure as error:
            yield str(error)


def in_time(record: Any, time: str, key: Sequence[str]) -> tuple[Any, ...]:
    """How records of one kind are sorted."""
    return (getattr(record, time), *(getattr(record, name) for name in key))

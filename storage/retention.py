"""Letting go of raw payloads that nothing rests on, and saying so.

Only when asked. What stays, however old: every payload that a record names as where it comes from (a value, a version
of a series, a resolution, a question's facts and health, a drift, a quarantined answer, an answer's tag), every payload
whose hash stands in any other text we keep (a receipt's evidence, a judgement, a question's record); and of each
URL's payloads the first and the last of every day. So what goes is the bytes of polls between those that said nothing
new of anything we read. Of each stay the hash, the size, the times it was seen (``sighting``) and when it was let go
(``tombstone``). Should the same bytes come again, they are stored again.

What is lost with them: a mended parser cannot be asked again what else they said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    type_coerce,
    union,
    union_all,
    update,
)
from sqlalchemy.schema import CreateTable, DropTable

from storage.bulk import run_many
from storage.columns import Whole, Words
from storage.records import DIGEST_IN_TEXT, Pruned, Tombstone
from storage.tables import metadata, table

PAYLOAD, SIGHTING, TOMBSTONE = table("payload"), table("sighting"), table("tombstone")
STAYING = Table("staying", MetaData(), Column("id", Whole, primary_key=True), prefixes=["TEMPORARY"])
DAY_US = 86_400_000_000
AT_ONCE = 500
TELL_OF_PAYLOADS = frozenset({"payload", "sighting", "tombstone"})
"""To stand in one of these is no reason to stay."""
HOLD_NO_HASHES = frozenset({"observation", "stream"})
"""Their texts need not be read, and they have many rows."""


def prune(
    connection: Connection,
    sources: Collection[str],
    before: datetime,
    now: datetime,
    *,
    dry_run: bool = False,
    at_most: int,
) -> Pruned:
    """Let go of payloads last seen before an instant, the oldest first. Inside the caller's writing transaction."""
    _note_what_stays(connection)
    found = connection.execute(_candidates(sources, before).limit(at_most + 1)).all()
    chosen = found[:at_most]
    if not dry_run:
        run_many(connection, _EMPTY, [{"number": row.id} for row in chosen])
        rows = [{"payload_id": row.id, "size": row.size, "dropped_at": now} for row in chosen]
        run_many(connection, insert(TOMBSTONE), rows)
    connection.execute(DropTable(STAYING))
    size, packed = sum(row.size for row in chosen), sum(row.packed for row in chosen)
    return Pruned(len(chosen), size, packed, more=len(found) > at_most)


_EMPTY = update(PAYLOAD).where(PAYLOAD.c.id == bindparam("number")).values(body=None, size=None)


def tombstone(connection: Connection, sha256: str) -> Tombstone | None:
    row = connection.execute(
        select(TOMBSTONE.c.size, TOMBSTONE.c.dropped_at)
        .join(PAYLOAD, PAYLOAD.c.id == TOMBSTONE.c.payload_id)
        .where(PAYLOAD.c.sha256 == sha256)
    ).one_or_none()
    return None if row is None else Tombstone(sha256, row.size, row.dropped_at)


def _candidates(sources: Collection[str], before: datetime) -> Any:
    mine = SIGHTING.c.payload_id == PAYLOAD.c.id
    reason = or_(SIGHTING.c.seen_last >= before, SIGHTING.c.source.not_in(sorted(sources)))
    return (
        select(PAYLOAD.c.id, PAYLOAD.c.size, func.length(PAYLOAD.c.body).label("packed"))
        .where(
            PAYLOAD.c.body.is_not(None),
            PAYLOAD.c.id.not_in(select(STAYING.c.id)),
            exists().where(mine),
            ~exists().where(and_(mine, reason)),
        )
        .order_by(PAYLOAD.c.id)
    )


def _note_what_stays(connection: Connection) -> None:
    """Fill the temporary table of the numbers of payloads that are not to go."""
    connection.execute(CreateTable(STAYING))
    reasons = union(*_named(), _ends_of_days(connection))
    connection.execute(insert(STAYING).from_select(["id"], reasons))
    digests = mentioned(connection)
    while some := sorted(set(islice(digests, AT_ONCE))):
        known = select(PAYLOAD.c.id).where(
            PAYLOAD.c.sha256.in_(some), PAYLOAD.c.id.not_in(select(STAYING.c.id))
        )
        connection.execute(insert(STAYING).from_select(["id"], known))


def _named() -> Iterator[Select[Any]]:
    """By every column that refers to a payload, of whatever table there is."""
    for rows in metadata.sorted_tables:
        for column in rows.c if rows.name not in TELL_OF_PAYLOADS else ():
            if any(key.column is PAYLOAD.c.id for key in column.foreign_keys):
                yield select(column).where(column.is_not(None))


def mentioned(connection: Connection) -> Iterator[str]:
    """Everything in a text that looks like a SHA-256."""
    for rows in metadata.sorted_tables:
        texts = [column for column in rows.c if isinstance(column.type, Words)]
        if texts and rows.name not in TELL_OF_PAYLOADS | HOLD_NO_HASHES:
            found = connection.execute(select(*texts), execution_options={"yield_per": AT_ONCE})
            for row in found:
                for value in row:
                    yield from DIGEST_IN_TEXT.findall(value or "")


def _ends_of_days(connection: Connection) -> Select[Any]:
    """Of each source's URL the first and the last payload seen on each day."""
    of = (SIGHTING.c.source, SIGHTING.c.url_sha256, SIGHTING.c.payload_id)
    seen = union_all(
        *(select(*of, at.label("at")) for at in (SIGHTING.c.seen_first, SIGHTING.c.seen_last))
    ).subquery()
    day: Any = func.date_trunc("day", seen.c.at)
    if connection.dialect.name == "sqlite":
        day = type_coerce(seen.c.at, Integer) // DAY_US
    within = [seen.c.source, seen.c.url_sha256, day]
    orders = ((seen.c.at, seen.c.payload_id), (seen.c.at.desc(), seen.c.payload_id.desc()))
    ranks = (func.row_number().over(partition_by=within, order_by=order) for order in orders)
    ranked = select(seen.c.payload_id, *(rank.label(f"r{i}") for i, rank in enumerate(ranks))).subquery()
    return select(ranked.c.payload_id).where(or_(ranked.c.r0 == 1, ranked.c.r1 == 1))

"""Raw payloads in SQL: bytes once, compressed, under their SHA-256; sightings of them; quarantine."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from storage.bulk import payload_ids, url_digest
from storage.errors import IntegrityFailure, StorageError
from storage.records import Quarantined, RawPayload, digest
from storage.tables import table

PAYLOAD, SIGHTING, QUARANTINE = table("payload"), table("sighting"), table("quarantine")
TOMBSTONE = table("tombstone")

SightingKey = tuple[datetime, str, str, str]


def unpack(sha256: str, size: int, body: bytes) -> bytes:
    """The bytes of a stored payload; IntegrityFailure when they are not what their address says."""
    reader = zlib.decompressobj()
    try:
        whole = reader.decompress(body, size + 1)
    except zlib.error as error:
        raise IntegrityFailure(f"payload {sha256} cannot be unpacked: {error}") from error
    if len(whole) != size or digest(whole) != sha256:
        raise IntegrityFailure(f"payload {sha256} does not hash to its address")
    return whole


_FIND = select(PAYLOAD.c.id, PAYLOAD.c.body.is_not(None)).where(PAYLOAD.c.sha256 == bindparam("address"))
_FILL = (
    update(PAYLOAD)
    .where(PAYLOAD.c.id == bindparam("number"))
    .values(body=bindparam("packed"), size=bindparam("bytes"))
)
_UNBURY = delete(TOMBSTONE).where(TOMBSTONE.c.payload_id == bindparam("number"))
_ONE = and_(
    SIGHTING.c.source == bindparam("by"),
    SIGHTING.c.url_sha256 == bindparam("at_url"),
    SIGHTING.c.payload_id == bindparam("number"),
)
_SEEN = select(SIGHTING.c.seen_first).where(_ONE)
_SEE = (
    update(SIGHTING)
    .where(_ONE, SIGHTING.c.seen_last < bindparam("now"))
    .values(seen_last=bindparam("now"), times_seen=SIGHTING.c.times_seen + 1)
)
_FIRST = insert(SIGHTING)


def put(connection: Connection, payload: RawPayload) -> None:
    """Keep the bytes, if they are new, and that they were seen.

    The statements are built once: this runs for every answer of every poll.
    """
    sha256 = payload.sha256
    found = connection.execute(_FIND, {"address": sha256}).one_or_none()
    number = found[0] if found else payload_ids(connection, [sha256])[sha256]
    if found is None or not found[1]:
        packed = zlib.compress(payload.body)
        connection.execute(_FILL, {"number": number, "packed": packed, "bytes": len(payload.body)})
        connection.execute(_UNBURY, {"number": number})
    at = payload.fetched_at
    address = url_digest(payload.url)
    one = {"by": payload.source, "at_url": address, "number": number}
    first = connection.execute(_SEEN, one).scalar()
    if first is not None and at >= first:
        connection.execute(_SEE, one | {"now": at})
        return
    told = {
        "ref": payload.ref,
        "status": payload.status,
        "content_type": payload.content_type,
        "headers": json.dumps(dict(payload.headers)),
        "seen_first": at,
    }
    if first is None:
        row = told | {"source": payload.source, "url_sha256": address, "url": payload.url}
        row |= {"payload_id": number}
        connection.execute(_FIRST, row | {"seen_last": at, "times_seen": 1})
    else:
        same = _same(payload.source, payload.url, number)
        times = SIGHTING.c.times_seen + 1
        connection.execute(update(SIGHTING).where(same).values(told | {"times_seen": times}))


def _same(source: str, url: str, number: int | None) -> Any:
    address = url_digest(url)
    return and_(
        SIGHTING.c.source == source, SIGHTING.c.url_sha256 == address, SIGHTING.c.payload_id == number
    )


def sight(connection: Connection, source: str, url: str, sha256: str, at: datetime) -> None:
    found = connection.execute(
        select(SIGHTING.c.payload_id)
        .join(PAYLOAD, PAYLOAD.c.id == SIGHTING.c.payload_id)
        .where(
            SIGHTING.c.source == source,
            SIGHTING.c.url_sha256 == url_digest(url),
            PAYLOAD.c.sha256 == sha256,
        )
    ).scalar()
    if found is None:
        raise StorageError(f"{source}: payload {sha256} was never stored for {url}, so it was not seen again")
    connection.execute(_SEE, {"by": source, "at_url": url_digest(url), "number": found, "now": at})


def get(connection: Connection, sha256: str) -> RawPayload | None:
    found = connection.execute(
        select(SIGHTING.c.seen_first, SIGHTING.c.source, SIGHTING.c.url, PAYLOAD.c.sha256)
        .join(PAYLOAD, PAYLOAD.c.id == SIGHTING.c.payload_id)
        .where(PAYLOAD.c.sha256 == sha256, PAYLOAD.c.body.is_not(None))
    )
    first = min(found, default=None)
    return None if first is None else load(connection, [first])[0]


def names(connection: Connection, start: str, at_most: int) -> list[str]:
    column = PAYLOAD.c.sha256
    seen = select(SIGHTING.c.payload_id).where(SIGHTING.c.payload_id == PAYLOAD.c.id).exists()
    mine = (column >= start, column < start + "g", seen)
    return list(connection.scalars(select(column).where(*mine).order_by(column).limit(at_most)))


def sightings(connection: Connection, source: str | None, since: datetime | None) -> list[SightingKey]:
    """Which payloads there are and when each was first and last fetched, by time."""
    named = (SIGHTING.c.source, SIGHTING.c.url, PAYLOAD.c.sha256)
    there = and_(PAYLOAD.c.id == SIGHTING.c.payload_id, PAYLOAD.c.body.is_not(None))
    query = select(SIGHTING.c.seen_first, SIGHTING.c.seen_last, *named).join(PAYLOAD, there)
    if source is not None:
        query = query.where(SIGHTING.c.source == source)
    found = {(at, *row[2:]) for row in connection.execute(query) for at in row[:2]}
    return sorted(key for key in found if since is None or key[0] >= since)


def load(connection: Connection, wanted: Sequence[SightingKey]) -> list[RawPayload]:
    found: list[RawPayload] = []
    for at, source, url, sha256 in wanted:
        row = connection.execute(
            select(SIGHTING, PAYLOAD.c.body, PAYLOAD.c.size)
            .join(PAYLOAD, PAYLOAD.c.id == SIGHTING.c.payload_id)
            .where(
                SIGHTING.c.source == source,
                SIGHTING.c.url_sha256 == url_digest(url),
                PAYLOAD.c.sha256 == sha256,
            )
        ).one()
        body = unpack(sha256, row.size, row.body)
        headers = json.loads(row.headers)
        found.append(RawPayload(source, row.ref, url, at, row.status, row.content_type, body, headers))
    return found


def quarantine(connection: Connection, entry: Quarantined) -> None:
    number = payload_ids(connection, [entry.payload_sha256])[entry.payload_sha256]
    known = connection.execute(
        select(QUARANTINE.c.at).where(
            QUARANTINE.c.payload_id == number, QUARANTINE.c.parser_version == entry.parser_version
        )
    ).first()
    if known is None:
        row = {
            "payload_id": number,
            "parser_version": entry.parser_version,
            "source": entry.source,
            "ref": entry.ref,
            "reason": entry.reason,
            "at": entry.at,
            "resolved_at": entry.resolved_at,
        }
        connection.execute(insert(QUARANTINE).values(row))


def quarantined(connection: Connection, unresolved_only: bool) -> list[Quarantined]:
    query = select(
        PAYLOAD.c.sha256,
        QUARANTINE.c.source,
        QUARANTINE.c.ref,
        QUARANTINE.c.reason,
        QUARANTINE.c.parser_version,
        QUARANTINE.c.at,
        QUARANTINE.c.resolved_at,
    ).join(PAYLOAD, PAYLOAD.c.id == QUARANTINE.c.payload_id)
    if unresolved_only:
        query = query.where(QUARANTINE.c.resolved_at.is_(None))
    found = [Quarantined(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda e: (e.at, e.payload_sha256, e.parser_version))


def release(connection: Connection, sha256: str, at: datetime) -> None:
    numbers = select(PAYLOAD.c.id).where(PAYLOAD.c.sha256 == sha256)
    connection.execute(
        update(QUARANTINE)
        .where(QUARANTINE.c.payload_id.in_(numbers), QUARANTINE.c.resolved_at.is_(None))
        .values(resolved_at=at)
    )

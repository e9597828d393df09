"""Series in SQL: every look at a series, the version it showed, and the points a version has.

A point's account is stored once and shared by all versions that give it, so a version costs its
revisions and one narrow link a point. Which version was in force at an instant follows from the looks;
a removed point is one that the next version does not link to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select

from questions.records import Measurement, SeriesVersion
from storage.bulk import insert_many, key_table, key_values
from storage.decide import Stretch, confirmed, in_order, points, stretches, tally
from storage.records import AppendReport, VersionInfo
from storage.tables import table

SERIES, VERSION, LOOK = table("series"), table("series_version"), table("series_look")
MEASUREMENT, LINK, PAYLOAD = table("measurement"), table("version_point"), table("payload")
SIGHTING = table("sighting")

_FIELDS = ("key", "metric", "at", "value", "unit", "lower", "upper", "ci_level", "is_sota",
           "beyond_ceiling", "label")  # fmt: skip
_NUMBERS = ("value", "lower", "upper", "ci_level")


def _point_row(point: Measurement) -> dict[str, Any]:
    row = {name: getattr(point, name) for name in _FIELDS}
    for name in _NUMBERS:
        row[name] = None if row[name] is None else float(row[name])
    return row


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _point_digest(row: dict[str, Any]) -> str:
    return _digest([row[name] if name != "at" else row["at"].isoformat() for name in _FIELDS])


def append(connection: Connection, version: SeriesVersion, payload_id: int | None) -> AppendReport:
    """Store one look at a series. Inside the caller's transaction."""
    series_id = _series_id(connection, version.series)
    rows = {_point_digest(row): row for row in map(_point_row, version.measurements)}
    published = {name: float(number) for name, number in version.published.items()}
    digest = _digest([version.payload_sha256, published, sorted(rows)])
    told = _told(connection, series_id, version.fetched_at)
    if digest in told:
        return AppendReport()
    before = _version_at(connection, series_id, version.fetched_at)
    version_id = connection.execute(
        select(VERSION.c.id).where(VERSION.c.series_id == series_id, VERSION.c.digest == digest)
    ).scalar()
    if version_id is None:
        row = {"series_id": series_id, "digest": digest, "payload_id": payload_id}
        version_id = _insert(connection, VERSION, row | {"published": json.dumps(published)})
        _link_points(connection, series_id, version_id, rows)
    look = {"series_id": series_id, "seen_at": version.fetched_at, "reading": len(told)}
    connection.execute(insert(LOOK).values(look | {"version_id": version_id}))
    if before == version_id:
        return AppendReport()
    earlier = [] if before is None else _points_of(connection, version.series, before)
    new, revised = tally(points(earlier), points(version.measurements))
    return AppendReport(measurements_new=new, measurements_revised=revised)


def _insert(connection: Connection, rows: Any, row: dict[str, Any]) -> int:
    key = connection.execute(insert(rows).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _series_id(connection: Connection, name: str) -> int:
    found = connection.execute(select(SERIES.c.id).where(SERIES.c.name == name)).scalar()
    return _insert(connection, SERIES, {"name": name}) if found is None else int(found)


def _told(connection: Connection, series_id: int, at: datetime) -> list[str]:
    """The digests of the versions that were read from one look, in the order of reading."""
    query = (
        select(VERSION.c.digest)
        .join(LOOK, LOOK.c.version_id == VERSION.c.id)
        .where(LOOK.c.series_id == series_id, LOOK.c.seen_at == at)
        .order_by(LOOK.c.reading)
    )
    return list(connection.execute(query).scalars())


def _version_at(connection: Connection, series_id: int, at: datetime | None) -> int | None:
    query = select(LOOK.c.version_id).where(LOOK.c.series_id == series_id)
    if at is not None:
        query = query.where(LOOK.c.seen_at <= at)
    query = query.order_by(LOOK.c.seen_at.desc(), LOOK.c.reading.desc()).limit(1)
    return connection.execute(query).scalar()


def _link_points(
    connection: Connection, series_id: int, version_id: int, rows: dict[str, dict[str, Any]]
) -> None:
    known = _point_ids(connection, series_id, rows)
    missing = [
        {"series_id": series_id, "digest": digest} | row
        for digest, row in rows.items()
        if digest not in known
    ]
    insert_many(connection, "measurement", missing)
    if missing:
        known = _point_ids(connection, series_id, rows)
    links = [{"version_id": version_id, "measurement_id": known[digest]} for digest in rows]
    insert_many(connection, "version_point", links)


def _point_ids(connection: Connection, series_id: int, digests: Iterable[str]) -> dict[str, int]:
    dialect = connection.dialect.name
    wanted = key_table(dialect, (str,))
    same = and_(MEASUREMENT.c.series_id == series_id, MEASUREMENT.c.digest == wanted.c.k0)
    query = select(MEASUREMENT.c.digest, MEASUREMENT.c.id).select_from(wanted.join(MEASUREMENT, same))
    bound = key_values(dialect, (str,), [[digest] for digest in digests])
    return {row[0]: row[1] for row in connection.execute(query, bound)}


def _points_of(
    connection: Connection, series: str, version_id: int, metric: str | None = None
) -> list[Measurement]:
    query = (
        select(*(MEASUREMENT.c[name] for name in _FIELDS))
        .join(LINK, LINK.c.measurement_id == MEASUREMENT.c.id)
        .where(LINK.c.version_id == version_id)
    )
    if metric is not None:
        query = query.where(MEASUREMENT.c.metric == metric)
    return in_order(Measurement(series, *row) for row in connection.execute(query))


def names(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(SERIES.c.name)).scalars())


def measurements(
    connection: Connection, series: str, metric: str | None, known_at: datetime | None
) -> list[Measurement]:
    series_id = connection.execute(select(SERIES.c.id).where(SERIES.c.name == series)).scalar()
    version_id = None if series_id is None else _version_at(connection, series_id, known_at)
    return [] if version_id is None else _points_of(connection, series, version_id, metric)


def versions(connection: Connection, series: str, known_at: datetime | None) -> list[VersionInfo]:
    query = (
        select(LOOK.c.seen_at, LOOK.c.version_id)
        .join(SERIES, SERIES.c.id == LOOK.c.series_id)
        .where(SERIES.c.name == series)
        .order_by(LOOK.c.seen_at, LOOK.c.reading)
    )
    if known_at is not None:
        query = query.where(LOOK.c.seen_at <= known_at)
    in_force = dict(connection.execute(query).all())
    told = (
        select(VERSION.c.id, PAYLOAD.c.sha256, VERSION.c.published)
        .join(SERIES, SERIES.c.id == VERSION.c.series_id)
        .join(PAYLOAD, PAYLOAD.c.id == VERSION.c.payload_id)
        .where(SERIES.c.name == series)
    )
    contents = {row[0]: (row[1], row[2]) for row in connection.execute(told)}
    found = [_info(series, look, *contents[look.value]) for look in stretches(in_force.items())]
    return confirmed(found, _sighted(connection, {info.payload_sha256 for info in found}), known_at)


def _info(series: str, look: Stretch[int], sha256: str, published: str) -> VersionInfo:
    return VersionInfo(series, sha256, look.first, look.last, look.n, json.loads(published))


def _sighted(connection: Connection, addresses: set[str]) -> dict[str, datetime]:
    """When payloads were last seen: a look that found the same bytes (a 304) reads nothing anew."""
    query = (
        select(PAYLOAD.c.sha256, func.max(SIGHTING.c.seen_last))
        .join(SIGHTING, SIGHTING.c.payload_id == PAYLOAD.c.id)
        .where(PAYLOAD.c.sha256.in_(addresses))
        .group_by(PAYLOAD.c.sha256)
    )
    return {row[0]: row[1] for row in connection.execute(query)}

"""How old a series is, and whether it changed: so that a feed given up never reads as "no progress".

Pure functions of the series' record and of the versions the store has seen. What changed means bytes: the
same bytes read by a newer parser are no change of the publisher's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise

from questions.records import Measurement
from questions.series import Cadence, SeriesRecord, record_of
from storage.records import VersionInfo

NEWS = timedelta(days=30)  # for so long a change of a feed that was given up is news
CURATED = "curated"


class Standing(StrEnum):
    """What to think of a series that did not change."""

    CURRENT = "current"
    FROZEN = "frozen"  # given up by its publisher, or older than its rule allows: says nothing about progress
    CHANGED = "changed"  # it was given up, and its bytes changed lately: look at it
    ONE_OFF = "one_off"  # a study: it is not meant to change
    UNSEEN = "unseen"  # nothing of it is stored
    UNRECORDED = "unrecorded"  # stored, but the catalogue has no record of it


@dataclass(frozen=True)
class Freshness:
    """How fresh a series is. Ages are whole days.

    ``unchanged_since`` is when its bytes last changed, as far as known: the change we saw, else the publisher's
    last one, else our first look (then it may be older). ``newest_point`` is the last day anything in it is
    about, not after the moment asked about.
    """

    standing: Standing
    reason: str
    unchanged_since: datetime | None = None
    unchanged_days: int | None = None
    newest_point: date | None = None
    newest_point_days: int | None = None


@dataclass(frozen=True)
class ByteChange:
    """The bytes of a series changed: when we saw it, from what to what.

    ``surprising``: its publisher had given it up, or it was a study: somebody should look.
    """

    series: str
    at: datetime
    before_sha256: str
    after_sha256: str
    surprising: bool


def byte_changes(
    versions: Mapping[str, Sequence[VersionInfo]], since: datetime, records: Mapping[str, SeriesRecord]
) -> tuple[ByteChange, ...]:
    """Every change of bytes seen at or after ``since``, by time. ``versions``: what the store has of each series."""
    found = [
        ByteChange(series, after.seen_first, before.payload_sha256, after.payload_sha256, _surprising(record))
        for series, seen in versions.items()
        for record in (record_of(series, records),)
        for before, after in _changes(seen)
        if after.seen_first >= since
    ]
    return tuple(sorted(found, key=lambda change: (change.at, change.series)))


def freshness(
    record: SeriesRecord | None,
    versions: Sequence[VersionInfo],
    points: Iterable[Measurement],
    now: datetime,
) -> Freshness:
    """How fresh a series is at ``now``, from its record, the versions seen by then and the newest one's points."""
    if not versions:
        return Freshness(Standing.UNSEEN, "nothing of it is stored")
    newest = max((point.at for point in points if point.at <= now.date()), default=None)
    since = _unchanged_since(record, versions, now)
    unchanged = (now - since).days
    age = None if newest is None else (now.date() - newest).days
    standing, reason = _judge(record, versions, now, unchanged, age)
    return Freshness(standing, reason, since, unchanged, newest, age)


def _changes(versions: Sequence[VersionInfo]) -> Iterable[tuple[VersionInfo, VersionInfo]]:
    for before, after in pairwise(versions):
        if before.payload_sha256 != after.payload_sha256:
            yield before, after


def _surprising(record: SeriesRecord | None) -> bool:
    if record is None or record.source == CURATED:
        return False
    return record.cadence in (Cadence.FROZEN, Cadence.ONE_OFF)


def _given_up(record: SeriesRecord | None, now: datetime) -> datetime | None:
    """The publisher's last change, if by now the series was given up."""
    if record is None or record.frozen_since is None:
        return None
    day = datetime.combine(record.frozen_since, time.min, UTC)
    return day if day <= now else None


def _unchanged_since(record: SeriesRecord | None, versions: Sequence[VersionInfo], now: datetime) -> datetime:
    seen = [after.seen_first for _, after in _changes(versions)]
    if seen:
        return seen[-1]
    given_up = _given_up(record, now)
    first = versions[0].seen_first
    return first if given_up is None else min(first, given_up)


def _judge(
    record: SeriesRecord | None,
    versions: Sequence[VersionInfo],
    now: datetime,
    unchanged: int,
    age: int | None,
) -> tuple[Standing, str]:
    if record is None:
        return Standing.UNRECORDED, "the catalogue has no record of it"
    given_up = _given_up(record, now)
    if given_up is not None:
        news = [after.seen_first for _, after in _changes(versions)]
        if news and news[-1].date() > given_up.date() and now - news[-1] <= NEWS:
            return (
                Standing.CHANGED,
                f"given up on {given_up:%Y-%m-%d}, yet its bytes changed on {news[-1]:%Y-%m-%d}",
            )
        return Standing.FROZEN, f"not updated by its publisher since {given_up:%Y-%m-%d}"
    if record.cadence is Cadence.ONE_OFF:
        return Standing.ONE_OFF, "published once"
    limit = record.max_age_days
    if limit is not None and unchanged > limit:
        return Standing.FROZEN, f"unchanged for {unchanged} days, more than {limit}"
    if limit is not None and age is not None and age > limit:
        return Standing.FROZEN, f"its newest point is {age} days old, more than {limit}"
    return Standing.CURRENT, ""


__all__ = ["NEWS", "ByteChange", "Freshness", "Standing", "byte_changes", "freshness"]

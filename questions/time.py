"""Times are aware and UTC everywhere outside storage; these are the only two doors.

A naive datetime is refused, never guessed: a lost offset moves a forecast by hours without a trace.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(moment: datetime) -> datetime:
    """The same instant in UTC.

    Raises ValueError for a naive datetime (no offset), and OverflowError-free: instants that leave
    the calendar when moved to UTC raise ValueError too.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"naive datetime {moment.isoformat()}: an offset is needed")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment.isoformat()} is outside the calendar in UTC") from error


def parse_utc(text: str) -> datetime:
    """Read ISO 8601 with an offset (``Z`` included) as an aware UTC datetime.

    A bare date is midnight UTC. Raises ValueError with the text when it has a time but no offset.
    """
    cleaned = text.strip()
    if len(cleaned) == 10:
        day = date.fromisoformat(cleaned)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return utc(datetime.fromisoformat(cleaned))


def iso(moment: datetime) -> str:
    """ISO 8601 UTC with ``Z``; microseconds only when there are any."""
    return utc(moment).isoformat().replace("+00:00", "Z")


def day_end(day: date) -> datetime:
    """The last second of a day, 23:59:59 UTC."""
    return datetime.combine(day, time(23, 59, 59), UTC)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z (exact, unlike ``timestamp()``)."""
    return (utc(moment) - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of a count of microseconds since 1970-01-01T00:00Z."""
    return EPOCH + timedelta(0, 0, micros)  # by position: twice as fast as by name

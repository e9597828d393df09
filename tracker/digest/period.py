"""Which week a digest is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from questions.time import utc

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Period:
    """The seven days up to ``at``, the instant everything is told as known at.

    ``label`` is the ISO 8601 week most of them lie in, such as ``2026-W47``: the name of the digest.
    """

    label: str
    at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))

    @property
    def since(self) -> datetime:
        return self.at - WEEK

    @property
    def short(self) -> str:
        """``W47``."""
        return self.label.partition("-")[2]


def period_at(at: datetime) -> Period:
    """The seven days up to an instant.

    >>> period_at(datetime(2026, 11, 23, 6, tzinfo=UTC)).label
    '2026-W47'
    """
    middle = (utc(at) - WEEK / 2).isocalendar()
    return Period(f"{middle.year}-W{middle.week:02d}", at)


def period_of(day: date, now: datetime) -> Period:
    """The ISO week that holds a day, told at its end, or at ``now`` while it is not over.

    >>> period_of(date(2026, 11, 18), datetime(2026, 12, 1, tzinfo=UTC)).at.isoformat()
    '2026-11-23T00:00:00+00:00'
    """
    year, week, _ = day.isocalendar()
    end = datetime.combine(date.fromisocalendar(year, week, 1) + WEEK, time(), UTC)
    return Period(f"{year}-W{week:02d}", min(end, utc(now)))

"""The facts the demo's recording is made of: four small tables anyone can read, and their reader.

What each column is and where it came from stands in ``README.md`` beside the tables, whose numbers
they are in ``LICENCES.md``.
"""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import TypeVar

from tracker.errors import UsageError

T = TypeVar("T")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Horizon:
    """One system's time horizon in one published version: minutes, 95 % intervals, score 0..1.

    ``seen`` is the day on which that version was first seen (not the release date of the system).
    """

    seen: date
    suite: str
    key: str
    release_date: date
    benchmark_name: str
    p50: tuple[float, float, float]
    p80: tuple[float, float, float]
    average_score: float
    is_sota: bool


@dataclass(frozen=True)
class Published:
    """What one version says of itself: its name and its own doubling times in days, if it has any.

    ``from_2023_on`` is (estimate, lower, upper).
    """

    seen: date
    suite: str
    benchmark_name: str
    all_time_stitched: float | None
    from_2023_on: tuple[float, float, float] | None


@dataclass(frozen=True)
class QuestionFact:
    """One community question: whose it is, what became of it, and the crowd's value day by day.

    ``values[i]`` is the crowd's probability of Yes at the end (23:59:59 UTC) of ``days[i]``; days on which
    nobody looked are missing. ``resolved_to`` is None when the outcome is not known. ``frozen`` has the
    ForecastBench sets the question is known to stand in, by due date, and the crowd's value at their freeze.
    """

    source: str
    id: str
    label: str
    url: str
    close_date: date | None
    resolution_date: date | None
    resolved_to: bool | None
    frozen: tuple[tuple[date, float], ...]
    days: tuple[date, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.days or len(self.days) != len(self.values):
            raise ValueError(
                f"{self.source} {self.id}: a question needs as many days as values, at least one"
            )
        if any(later <= earlier for earlier, later in pairwise(self.days)):
            raise ValueError(f"{self.source} {self.id}: days must rise")
        if not all(0.0 <= value <= 1.0 for value in (*self.values, *(value for _, value in self.frozen))):
            raise ValueError(f"{self.source} {self.id}: a crowd value lies outside 0..1")
        if (self.resolution_date is None) != (self.resolved_to is None):
            raise ValueError(f"{self.source} {self.id}: a resolution needs a date and an outcome")

    @property
    def outcome_seen(self) -> date | None:
        """The first day at whose end the outcome can have been seen, or None when there is none.

        Platforms date an outcome back to the close or the event, days or months before anyone entered it.
        A question leaves the daily values when it resolves: what still had a crowd value on a day
        was not resolved on that day, whatever the outcome's own date says.
        """
        if self.resolution_date is None:
            return None
        return max(self.resolution_date, self.days[-1] + timedelta(days=1))

    def known(self, day: date) -> int:
        """How many of the values were there at the end of ``day``."""
        return bisect_right(self.days, day)

    def value(self, day: date) -> float | None:
        """The newest value at the end of ``day``; None before the first one."""
        count = self.known(day)
        return self.values[count - 1] if count else None

    def resolved(self, day: date) -> bool:
        """Whether the outcome could be seen at the end of ``day``."""
        return self.outcome_seen is not None and self.outcome_seen <= day

    def closed(self, day: date) -> bool:
        """Whether the question had closed at the end of ``day`` (a resolution closes it too)."""
        return self.resolved(day) or (self.close_date is not None and self.close_date <= day)


@dataclass(frozen=True)
class Facts:
    """All tables. ``horizons`` and ``published`` are in order of (suite, seen), ``questions`` of (source, id)."""

    horizons: tuple[Horizon, ...]
    published: tuple[Published, ...]
    questions: tuple[QuestionFact, ...]


def load_facts(folder: Traversable | None = None) -> Facts:
    """Read the tables of a folder (default: the bundled ones).

    Raises UsageError naming file, line and what is wrong there.
    """
    place = files(__name__) if folder is None else folder
    horizons = _table(place, "metr_versions.csv", _horizon)
    published = _table(place, "metr_published.csv", _published)
    daily: dict[tuple[str, str], list[tuple[date, float]]] = {}
    for key, day, value in _table(place, "crowd_daily.csv.gz", _crowd):
        daily.setdefault(key, []).append((day, value))
    questions = _table(place, "questions.csv", lambda row: _question(row, daily))
    strangers = set(daily) - {(question.source, question.id) for question in questions}
    if strangers:
        raise UsageError(f"crowd_daily.csv.gz: {min(strangers)} is not in questions.csv")
    return Facts(
        tuple(sorted(horizons, key=lambda row: (row.suite, row.seen, row.release_date, row.key))),
        tuple(sorted(published, key=lambda row: (row.suite, row.seen))),
        tuple(sorted(questions, key=lambda row: (row.source, row.id))),
    )


def _table(folder: Traversable, name: str, read: Callable[[Row], T]) -> list[T]:
    records = []
    for line, row in enumerate(_rows(folder, name), start=2):
        try:
            records.append(read(row))
        except (KeyError, ValueError) as error:
            raise UsageError(f"{name}:{line}: {error}") from error
    return records


def _rows(folder: Traversable, name: str) -> Iterator[Row]:
    data = (folder / name).read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    return csv.DictReader(text.splitlines())


def _horizon(row: Row) -> Horizon:
    return Horizon(
        seen=date.fromisoformat(row["version_seen"]),
        suite=row["suite"],
        key=row["key"],
        release_date=date.fromisoformat(row["release_date"]),
        benchmark_name=row["benchmark_name"],
        p50=(float(row["p50"]), float(row["p50_low"]), float(row["p50_high"])),
        p80=(float(row["p80"]), float(row["p80_low"]), float(row["p80_high"])),
        average_score=float(row["average_score"]),
        is_sota={"true": True, "false": False}[row["is_sota"]],
    )


def _published(row: Row) -> Published:
    stitched, estimate = row["all_time_stitched_days"], row["from_2023_on_days"]
    interval = (row["from_2023_on_low_days"], row["from_2023_on_high_days"])
    return Published(
        seen=date.fromisoformat(row["version_seen"]),
        suite=row["suite"],
        benchmark_name=row["benchmark_name"],
        all_time_stitched=float(stitched) if stitched else None,
        from_2023_on=(float(estimate), float(interval[0]), float(interval[1])) if estimate else None,
    )


def _crowd(row: Row) -> tuple[tuple[str, str], date, float]:
    return (row["source"], row["id"]), date.fromisoformat(row["date"]), float(row["crowd_value"])


def _question(row: Row, daily: Mapping[tuple[str, str], list[tuple[date, float]]]) -> QuestionFact:
    path = daily.get((row["source"], row["id"]), [])
    outcome = {"": None, "0": False, "1": True}[row["resolved_to"]]
    return QuestionFact(
        source=row["source"],
        id=row["id"],
        label=row["label"],
        url=row["url"],
        close_date=_day(row["close_date"]),
        resolution_date=_day(row["resolution_date"]),
        resolved_to=outcome,
        frozen=_frozen(row["question_set_dates"], row["freeze_values"]),
        days=tuple(day for day, _ in path),
        values=tuple(value for _, value in path),
    )


def _frozen(dates: str, values: str) -> tuple[tuple[date, float], ...]:
    if not dates:
        return ()
    pairs = zip(dates.split(";"), values.split(";"), strict=True)
    return tuple((date.fromisoformat(due), float(value)) for due, value in pairs)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None

"""The bundled tables read the plain way, without the code under test: what the recording must give back."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import tracker.demo.facts
from tracker.demo.recording import Recording, make_recording

FOLDER = Path(tracker.demo.facts.__file__).parent
FIRST, LAST = date(2026, 1, 20), date(2026, 8, 20)
TOKEN = "Token any"


@cache
def rows(name: str) -> list[dict[str, str]]:
    data = (FOLDER / name).read_bytes()
    text = gzip.decompress(data).decode() if name.endswith(".gz") else data.decode()
    return list(csv.DictReader(text.splitlines()))


@cache
def daily() -> dict[tuple[str, str], dict[date, float]]:
    """Crowd values by (source, id) and day."""
    found: dict[tuple[str, str], dict[date, float]] = {}
    for row in rows("crowd_daily.csv.gz"):
        day = date.fromisoformat(row["date"])
        found.setdefault((row["source"], row["id"]), {})[day] = float(row["crowd_value"])
    return found


@cache
def recording() -> Recording:
    return make_recording()


def days() -> Iterator[date]:
    for number in range((LAST - FIRST).days + 1):
        yield FIRST + timedelta(days=number)


def morning_after(day: date) -> datetime:
    """07:00 UTC after ``day``: its values are out everywhere."""
    return datetime(day.year, day.month, day.day, 7, tzinfo=UTC) + timedelta(days=1)

"""Curated tables: figures that have no feed, each with where it was read, as of when, by whom and how surely.

One TOML file for each series in ``data/curated/``. What holds for most points of a table stands at its top
(``source_url``, ``as_of``, ``entered_by``, ``verification``); a point may say otherwise. Reading is pure: the
same bytes give the same points, so a kept file can be read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import resources
from typing import Annotated, Self

from pydantic import Field, model_validator

from questions.catalogue import parse_toml
from questions.errors import CatalogueError, Problem
from questions.model import Key, Record
from questions.problems import read_record
from questions.question import ContradictionError, Listed, Text, Url
from questions.records import Measurement

FOLDER = "curated"


class Verification(StrEnum):
    """How the figure came to us, the surest first."""

    PUBLISHED_TABLE = "published_table"  # a table of the publisher's, figure by figure
    PRINTED = "printed"  # printed in the publisher's text or beside its figure
    DIGITISED = "digitised"  # read off a figure: a few per cent of error
    SECONDARY = "secondary"  # told by somebody else who read the publisher
    PRESS = "press"  # told by the press


class Point(Record):
    """One figure. ``at`` is the day it is about, ``as_of`` the day on which the source said so.

    ``beyond_ceiling``: only a bound was published ("at least"), or the instrument does not reach so far.
    """

    key: Annotated[str, Field(min_length=1, max_length=120)]
    metric: Key
    at: date
    value: float
    lower: float | None = None
    upper: float | None = None
    ci_level: Annotated[float | None, Field(gt=0, lt=1)] = None
    beyond_ceiling: bool = False
    label: Annotated[str, Field(max_length=200)] = ""
    source_url: Url = ""
    as_of: date | None = None
    entered_by: str = ""
    verification: Annotated[Verification | None, Field(strict=False)] = None

    @model_validator(mode="after")
    def _interval(self) -> Self:
        low, high = self.lower, self.upper
        if low is not None and high is not None and low > high:
            raise ContradictionError([(("lower",), f"the interval is upside down: {low} > {high}")])
        if (low is None and high is None) and self.ci_level is not None:
            raise ContradictionError([(("ci_level",), "a level without an interval")])
        return self


class CuratedTable(Record):
    """A whole table: its series, the unit of each metric, what holds for most points, and the points."""

    series: Key
    units: Annotated[dict[str, Text], Field(min_length=1)]
    source_url: Url
    as_of: date
    entered_by: Text
    verification: Annotated[Verification, Field(strict=False)]
    note: str = ""
    points: Annotated[Listed[Point], Field(min_length=1)]

    @model_validator(mode="after")
    def _points_agree(self) -> Self:
        findings: list[tuple[tuple[str, ...], str]] = []
        if not self.source_url:
            findings.append((("source_url",), "must not be empty"))
        seen: set[tuple[str, str]] = set()
        for point in self.points:
            named = f"{point.key} {point.metric}"
            if point.metric not in self.units:
                findings.append((("points",), f"{named}: no unit is given for {point.metric!r}"))
            if (point.key, point.metric) in seen:
                findings.append((("points",), f"{named}: two points have this key and metric"))
            seen.add((point.key, point.metric))
        if findings:
            raise ContradictionError(findings)
        return self

    def measurements(self) -> tuple[Measurement, ...]:
        """The points as the store keeps them, by key and metric."""
        return tuple(
            Measurement(
                series=self.series,
                key=point.key,
                metric=point.metric,
                at=point.at,
                value=point.value,
                unit=self.units[point.metric],
                lower=point.lower,
                upper=point.upper,
                ci_level=point.ci_level,
                beyond_ceiling=point.beyond_ceiling,
                label=point.label,
            )
            for point in sorted(self.points, key=lambda point: (point.key, point.metric))
        )

    def origins(self) -> dict[tuple[str, str], Origin]:
        """Where each point comes from, by key and metric."""
        return {
            (point.key, point.metric): Origin(
                source_url=point.source_url or self.source_url,
                as_of=point.as_of or self.as_of,
                entered_by=point.entered_by or self.entered_by,
                verification=point.verification or self.verification,
            )
            for point in self.points
        }


@dataclass(frozen=True)
class Origin:
    """Where one figure was read, as of when, who entered it, and how it came to us."""

    source_url: str
    as_of: date
    entered_by: str
    verification: Verification


def read_table(name: str, content: bytes) -> CuratedTable:
    """A table from a file's bytes. Raises CatalogueError with every mistake, its line and its key."""
    problems: list[Problem] = []
    file = parse_toml(name, content, problems)
    if file is not None:
        table = read_record(CuratedTable, dict(file.data), file, (), problems)
        if table is not None:
            return table
    raise CatalogueError(problems)


def packaged() -> dict[str, bytes]:
    """The packaged tables: file name -> bytes, in order of name."""
    folder = resources.files("questions") / "data" / FOLDER
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    return {entry.name: entry.read_bytes() for entry in files}


__all__ = ["FOLDER", "CuratedTable", "Origin", "Point", "Verification", "packaged", "read_table"]

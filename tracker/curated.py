"""Curated tables as a source: figures without a feed take the same path as everything that is fetched.

The payload is the packaged file itself, kept with its hash before it is read; so a skeptic gets from a point to the
bytes that say where it was read, as of when, by whom and how surely. It is known from the pull that stored it,
whatever day it is about. Nothing is asked for: the tables are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from questions.curated import CuratedTable, packaged, read_table
from questions.errors import CatalogueError
from questions.model import Link
from questions.records import SeriesVersion
from storage.records import RawPayload
from tracker.errors import ParseError
from tracker.payload import Gathering, plain
from tracker.source import Parsed, Plan, SourceTraits

__all__ = ["NAME", "Curated", "table_of"]

NAME = "curated"
ADDRESS = "package:questions/data/curated/"
OK = 200
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Curated:
    """The adapter. ``tables`` are file name -> bytes; None: those of the package."""

    tables: Mapping[str, bytes] | None = None

    parser_version = "1"
    traits = SourceTraits(
        name=NAME,
        setting=NAME,
        base_url="",
        hosts=(),
        pace_s=0.0,
        period_hours=24.0,
        platforms=(),
        credit="the publishers named with each figure",
        licence="facts, attributed (see questions/data/LICENCES.md)",
        backfill_per_link=False,
    )

    def plan(self, links: Sequence[Link], now: datetime, since: datetime | None) -> Plan:
        """Nothing to ask: the tables, as they are now."""
        tables = packaged() if self.tables is None else self.tables
        return Plan(
            (),
            at_hand=tuple(
                RawPayload(
                    NAME, name.removesuffix(".toml"), ADDRESS + name, now, OK, "application/toml", body, {}
                )
                for name, body in tables.items()
            ),
        )

    def parse(self, raw: RawPayload) -> Parsed:
        """The points of one table. Raises ParseError with every mistake, each with its line and key."""
        table = table_of(raw)
        found = Gathering(raw)
        found.versions.append(SeriesVersion(table.series, found.digest, found.at, table.measurements()))
        return found.parsed()


def table_of(raw: RawPayload) -> CuratedTable:
    """The table in a kept file, with where each of its figures comes from. Raises ParseError."""
    if len(raw.body) > MAX_BYTES:
        raise ParseError(NAME, raw.ref, "", f"{len(raw.body)} bytes are too many for a curated table")
    try:
        return read_table(f"{plain(raw.ref, 120)}.toml", raw.body)
    except CatalogueError as error:
        first = error.problems[0]
        told = "; ".join(str(problem) for problem in error.problems[:10])
        raise ParseError(NAME, raw.ref, first.key, plain(told, 1000)) from None

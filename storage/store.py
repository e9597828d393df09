"""The Store Protocol: append-only, bitemporal memory. Its docstrings are the contract.

Two implementations pass the same tests: ``MemoryStore`` (dry runs, tests) and ``SqlStore`` (SQLite and
PostgreSQL). Nothing here is ever updated except three harmless facts: when an unchanged value was last
seen, the state of a run, and the health of a source.

Knowledge time. Every reading method takes ``known_at``: it answers with what this store had seen at or
before that instant (default: everything). ``seen_last`` is clipped to it.

One value, seen again. For a stream, the newest row is the one with the greatest ``as_of``:

* A snapshot *without* the source's own time stamp (``timed_by_source=False``) whose content equals the
  newest row's, at most ``max_gap`` after that row's ``seen_last``, extends the row (``seen_last``,
  ``times_seen``): no new row. A longer silence starts a new row: what was not observed is not bridged.
* A snapshot *with* the source's time stamp is a point at ``as_of``. If the latest row for that ``as_of``
  has the same content, it is known already (the newest point of a stream is extended, older points are
  left alone); if the content differs it is a correction: a new row for the same ``as_of``.
* Content is state, probability, value, distribution, forecasters and hidden_until. Volume, liquidity
  and spread are kept as they were when the row was made and do not make a row of their own.
* A snapshot fetched *before* the stream's newest ``seen_last`` (replays, parallel writers) is stored as
  its own point in time; order of arrival never changes what ``history`` answers, given the same
  fetch times.

Times are aware UTC at this border, both ways; naive ones raise ValueError.
Errors: StorageError and its children only; a failed ``append`` leaves nothing of its batch behind.
Threads: one store object may be used from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from questions.records import (
    Forecast,
    Measurement,
    QuestionInfo,
    Resolution,
    Score,
    StreamKey,
)
from storage.records import (
    AppendReport,
    Batch,
    Change,
    Gap,
    Observation,
    Quarantined,
    RawPayload,
    Run,
    SourceHealth,
    Validator,
    VersionInfo,
)

DEFAULT_MAX_GAP = timedelta(hours=36)


class Store(Protocol):
    max_gap: timedelta

    # raw payloads -----------------------------------------------------------------------------

    def put_raw(self, payload: RawPayload) -> str:
        """Keep a payload for good before anyone parses it; returns its SHA-256.

        The same bytes are stored once (compressed); seeing them again for the same source and URL
        extends a sighting instead of writing a row. Durable when the call returns.
        """

    def get_raw(self, sha256: str) -> RawPayload | None:
        """The payload as first fetched, or None. Raises IntegrityFailure if its bytes do not hash to it."""

    def raw_payloads(self, source: str | None = None, since: datetime | None = None) -> Iterator[RawPayload]:
        """Stored payloads, one per (source, URL, content) sighting, oldest fetch first; for re-parsing."""

    # append -----------------------------------------------------------------------------------

    def append(self, batch: Batch) -> AppendReport:
        """Store what was parsed from one payload, all or nothing. Appending it again adds nothing."""

    def add_forecasts(self, forecasts: Iterable[Forecast]) -> int:
        """Store forecasts on our questions; returns how many were new (same forecaster, question,
        outcome and time is the same forecast; a different probability then raises StorageError)."""

    def add_scores(self, scores: Iterable[Score]) -> int:
        """Store computed scores; a score of the same version is stored once; returns how many were new."""

    # read: community values -------------------------------------------------------------------

    def streams(self, platform: str | None = None, external_id: str | None = None) -> list[StreamKey]:
        """Every stream with at least one row, sorted."""

    def history(self, key: StreamKey, *, known_at: datetime | None = None) -> list[Observation]:
        """A stream's values by ``as_of``, one per ``as_of``: the last one known then."""

    def revisions(self, key: StreamKey) -> list[Observation]:
        """Every row of a stream, corrections included, by (as_of, seen_first)."""

    def latest(
        self, keys: Sequence[StreamKey] | None = None, *, known_at: datetime | None = None
    ) -> dict[StreamKey, Observation]:
        """The newest value by ``as_of`` of each stream (all streams by default)."""

    # read: series -----------------------------------------------------------------------------

    def series_ids(self) -> list[str]: ...

    def versions(self, series: str, *, known_at: datetime | None = None) -> list[VersionInfo]:
        """The versions of a series in the order they were first seen. A version that comes back after
        another one is a new entry."""

    def measurements(
        self, series: str, metric: str | None = None, *, known_at: datetime | None = None
    ) -> list[Measurement]:
        """The points of the newest version known, by (metric, at, key). Removed points are not in it."""

    def series_diff(self, series: str, earlier: datetime, later: datetime) -> list[Change]:
        """What changed between what was known at two instants, by (metric, key)."""

    # read: the rest ---------------------------------------------------------------------------

    def resolutions(self, *, known_at: datetime | None = None) -> list[Resolution]:
        """The last word known per (source, platform, external_id, outcome), sorted by that."""

    def infos(self, *, known_at: datetime | None = None) -> list[QuestionInfo]:
        """The last known facts per (source, platform, external_id), sorted by that."""

    def forecasts(self, *, known_at: datetime | None = None) -> list[Forecast]: ...

    def scores(self) -> list[Score]: ...

    # quarantine -------------------------------------------------------------------------------

    def quarantine(self, entry: Quarantined) -> None:
        """Remember that a stored payload did not parse (once per payload and parser version)."""

    def quarantined(self, *, unresolved_only: bool = True) -> list[Quarantined]: ...

    def release(self, payload_sha256: str, at: datetime) -> None:
        """Mark a payload's quarantine entries resolved: it parses now."""

    # operations -------------------------------------------------------------------------------

    def begin_run(self, job: str, slot: datetime, at: datetime) -> bool:
        """Claim a slot. False if it is done, partial or skipped already, or running elsewhere for
        less than an hour; a run that failed or was abandoned may be claimed again."""

    def end_run(self, run: Run) -> None: ...

    def runs(self, job: str | None = None, since: datetime | None = None) -> list[Run]: ...

    def add_gap(self, gap: Gap) -> None: ...

    def gaps(self, source: str | None = None) -> list[Gap]: ...

    def health(self) -> dict[str, SourceHealth]: ...

    def set_health(self, health: SourceHealth) -> None: ...

    def validator(self, url: str) -> Validator | None: ...

    def set_validator(self, validator: Validator) -> None: ...

    def sight(self, source: str, url: str, sha256: str, at: datetime) -> None:
        """We looked again and the bytes were the same (a 304): extend the sighting."""

    # care -------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Rows per table, for status, backups and copies."""

    def check(self) -> list[str]:
        """Every integrity problem found, in plain words; empty when all is well."""

    def backup(self, target: Path) -> dict[str, int]:
        """A consistent, verified copy while others write; returns the counts in it. SQLite only:
        PostgreSQL raises StorageError naming pg_dump."""

    def close(self) -> None: ...

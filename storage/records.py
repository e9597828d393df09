"""What storage adds to the domain's records: raw payloads, what was seen when, runs, gaps, health."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from questions.records import (
    Forecast,
    History,
    Measurement,
    QuestionHealth,
    QuestionInfo,
    Resolution,
    Score,
    SeriesVersion,
    Snapshot,
)
from questions.time import utc

DIGEST_IN_TEXT = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def digest(body: bytes) -> str:
    """The address of a payload: lower-case hex SHA-256 of its bytes."""
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True)
class RawPayload:
    """The bytes a source answered with, and how they were asked for. Written before parsing.

    ``url`` and ``headers`` never hold a secret. ``sha256`` is of ``body`` as decoded.
    """

    source: str
    ref: str
    url: str
    fetched_at: datetime
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fetched_at", utc(self.fetched_at))

    @property
    def sha256(self) -> str:
        return digest(self.body)


@dataclass(frozen=True)
class Observation:
    """A stored community value and when we saw it.

    The value stood from ``snapshot.as_of``; we first saw it at ``seen_first`` and last at ``seen_last``,
    ``times_seen`` times with no gap longer than the store's ``max_gap`` in between.
    """

    snapshot: Snapshot
    seen_first: datetime
    seen_last: datetime
    times_seen: int


@dataclass(frozen=True)
class Tombstone:
    """What is left of a payload whose bytes were let go: ``size`` of them, at ``dropped_at``."""

    sha256: str
    size: int
    dropped_at: datetime


@dataclass(frozen=True)
class Pruned:
    """Payloads let go: how many, their bytes, and the bytes they took here; ``more`` are waiting."""

    payloads: int = 0
    size_bytes: int = 0
    stored_bytes: int = 0
    more: bool = False


@dataclass(frozen=True)
class VersionInfo:
    """One version of a series as stored: which payload, when it was seen, what it said of itself."""

    series: str
    payload_sha256: str
    seen_first: datetime
    seen_last: datetime
    times_seen: int
    published: Mapping[str, float]


@dataclass(frozen=True)
class Change:
    """What happened to one point (key, metric) of a series between two moments of knowledge.

    ``kind``: added, removed, revised (the value), interval (only its interval), dated, flagged.
    """

    key: str
    metric: str
    kind: str
    before: Measurement | None
    after: Measurement | None


@dataclass(frozen=True)
class Batch:
    """Everything parsed from one payload; appended in one transaction."""

    snapshots: tuple[Snapshot, ...] = ()
    versions: tuple[SeriesVersion, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    infos: tuple[QuestionInfo, ...] = ()
    healths: tuple[QuestionHealth, ...] = ()
    histories: tuple[History, ...] = ()

    def values(self) -> tuple[Snapshot, ...]:
        """Every community value one by one, the points of histories too."""
        return (*self.snapshots, *(point for history in self.histories for point in history.snapshots()))

    def newest(self) -> tuple[Snapshot, ...]:
        """The snapshots, and the newest point of each history: every stream that is told of, and its present."""
        return (*self.snapshots, *(history.newest() for history in self.histories))


@dataclass(frozen=True)
class AppendReport:
    """How many records were new and how many we knew already; a sum over batches."""

    snapshots_new: int = 0
    snapshots_unchanged: int = 0
    measurements_new: int = 0
    measurements_revised: int = 0
    resolutions_new: int = 0

    def __add__(self, other: AppendReport) -> AppendReport:
        return AppendReport(
            self.snapshots_new + other.snapshots_new,
            self.snapshots_unchanged + other.snapshots_unchanged,
            self.measurements_new + other.measurements_new,
            self.measurements_revised + other.measurements_revised,
            self.resolutions_new + other.resolutions_new,
        )


@dataclass(frozen=True)
class Quarantined:
    """A payload that did not parse: where it is, why, with which parser, and whether it did since."""

    payload_sha256: str
    source: str
    ref: str
    reason: str
    parser_version: str
    at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """A word on a question's health and how long it stood: from ``health.fetched_at`` to ``seen_last``."""

    health: QuestionHealth
    seen_last: datetime


class DriftKind(StrEnum):
    """How an answer differs from the shape we expect of it."""

    NEW_FIELD = "new_field"
    MISSING_FIELD = "missing_field"
    NEW_TYPE = "new_type"
    UNKNOWN_VALUE = "unknown_value"
    UNKNOWN_PATH = "unknown_path"


@dataclass(frozen=True)
class Drift:
    """A difference between what a source answers and what it used to, and the bytes that first showed it.

    ``place`` is the kind of answer and the path in it, without positions or ids (``/v0/bets: [].limitProb``);
    ``detail`` is the new type or word. A drift is recorded once, however often it is seen again.
    """

    source: str
    place: str
    kind: DriftKind
    detail: str
    payload_sha256: str
    seen_first: datetime
    seen_last: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", DriftKind(self.kind))
        object.__setattr__(self, "seen_first", utc(self.seen_first))
        object.__setattr__(self, "seen_last", utc(self.seen_last))


class Grain(StrEnum):
    """How often a kind of ordering is kept: at every week's end, or every day."""

    WEEK = "week"
    DAY = "day"


@dataclass(frozen=True)
class OrderingRecord:
    """What every voice said of the order, and how they compared, at an instant and as known at one.

    ``settings`` names what it was asked with: records of other settings are other histories. ``program`` and
    ``model``: the versions that computed it. ``payload`` is canonical JSON and ``sha256`` its digest.
    ValueError for a payload that does not hash to it.
    """

    grain: Grain
    settings: str
    at: datetime
    known_at: datetime
    made_at: datetime
    program: str
    model: str
    payload: str = field(repr=False)
    sha256: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "grain", Grain(self.grain))
        if digest(self.payload.encode()) != self.sha256:
            raise ValueError(f"an ordering of {self.at.isoformat()} does not hash to {self.sha256}")


class RunState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Run:
    """One line of the ledger: a job for a slot (a UTC instant on the job's grid)."""

    job: str
    slot: datetime
    state: RunState
    started_at: datetime
    finished_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True)
class Lease:
    """Who leads until when. ``token`` grows with every change of leader; an ended lease has no ``holder``."""

    name: str
    holder: str
    token: int
    expires_at: datetime


@dataclass(frozen=True)
class Gap:
    """A stretch in which a source was not observed, and why. Gaps are recorded, never bridged."""

    source: str
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True)
class SourceHealth:
    """How a source has been doing: last attempt and success, failures in a row, what it last said."""

    source: str
    state: str = "unknown"  # ok, partial, failed, not_permitted, stale, unknown
    last_attempt_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_change_at: datetime | None = None
    failures: int = 0
    not_before: datetime | None = None
    message: str = ""


@dataclass(frozen=True)
class Validator:
    """What a conditional request needs: the tags of the last full answer of a URL."""

    url: str
    etag: str | None
    last_modified: str | None
    payload_sha256: str


__all__ = [
    "AppendReport",
    "Batch",
    "Change",
    "Drift",
    "DriftKind",
    "Forecast",
    "Gap",
    "Grain",
    "Observation",
    "OrderingRecord",
    "Quarantined",
    "RawPayload",
    "Run",
    "RunState",
    "Score",
    "SourceHealth",
    "Standing",
    "Validator",
    "VersionInfo",
    "digest",
]

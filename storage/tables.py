"""The rows. Only ``storage`` sees them; everybody else sees records.

Rows check nothing by themselves (SQLModel ``table=True`` classes do not validate), so the records are
checked before and the CHECK constraints hold the line behind. Times are ``UtcMicros`` everywhere. The
key of the table that grows (observation) holds its time, so that PostgreSQL can partition it.

A value, a resolution or a question's facts that stand are one row, however often they were seen again.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel
from sqlmodel.main import SQLModelMetaclass

from storage import partitions
from storage.columns import Blob, Day, Flag, Number, UtcMicros, Whole, Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

STRICT = {"sqlite_strict": True}
CLUSTERED = {"sqlite_strict": True, "sqlite_with_rowid": False}


def column(kind: Any, **more: Any) -> Any:
    """A column of a storage type; nullable only when it says so."""
    return Field(sa_type=kind, **more)


def optional(kind: Any, **more: Any) -> Any:
    return Field(default=None, sa_type=kind, nullable=True, **more)


class _Described(SQLModelMetaclass):
    """What ``table=True`` means here: a Core table of these columns, and no mapping to objects.

    Nobody makes row objects. To map them, and to build validators that tables do not use, took half of the time in
    which a database is opened.
    """

    def __init__(self, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Any) -> None:
        type.__init__(self, name, bases, body)
        if options.get("table"):
            _describe(self)


def _describe(rows: Any) -> None:
    """Enter a class's table in ``metadata``."""
    columns: list[Column[Any]] = [rows.__dict__[name] for name in rows.model_fields]
    for name, one in zip(rows.model_fields, columns, strict=True):
        one.name = one.key = name
    given = rows.__table_args__
    *parts, options = given if isinstance(given, tuple) else (given,)
    Table(rows.__tablename__, metadata, *columns, *parts, **options)


class Rows(SQLModel, metaclass=_Described):
    """Base of all rows, in a metadata of their own so that nobody else's tables get in."""

    model_config = {"defer_build": True}
    __table_args__: ClassVar[Any] = STRICT


# payloads -----------------------------------------------------------------------------------------


class PayloadRow(Rows, table=True):
    """Bytes under their SHA-256. ``body`` (zlib) is null while a record only named them."""

    __tablename__ = "payload"
    __table_args__ = (
        UniqueConstraint("sha256"),
        CheckConstraint("(body IS NULL) = (size IS NULL)", name="whole"),
        STRICT,
    )
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    sha256: str = column(Words)
    size: int | None = optional(Whole)
    body: bytes | None = optional(Blob)


class TombstoneRow(Rows, table=True):
    """What is left of a payload whose bytes were let go: their number, and when. Its SHA-256 stays in ``payload``."""

    __tablename__ = "tombstone"
    __table_args__ = CLUSTERED
    payload_id: int = column(Whole, primary_key=True, foreign_key="payload.id")
    size: int = column(Whole)
    dropped_at: datetime = column(UtcMicros)


class SightingRow(Rows, table=True):
    """When a source's URL answered with a payload: first, last and how often.

    The key holds the URL's digest: a bulk call's URL is longer than an index entry may be.
    """

    __tablename__ = "sighting"
    __table_args__ = (
        CheckConstraint("seen_last >= seen_first", name="forward"),
        CheckConstraint("times_seen >= 1", name="seen"),
        Index(None, "seen_first"),
        Index(None, "payload_id"),
        CLUSTERED,
    )
    source: str = column(Words, primary_key=True)
    url_sha256: str = column(Words, primary_key=True)
    payload_id: int = column(Whole, primary_key=True, foreign_key="payload.id")
    url: str = column(Words)
    ref: str = column(Words)
    status: int = column(Whole)
    content_type: str = column(Words)
    headers: str = column(Words)
    seen_first: datetime = column(UtcMicros)
    seen_last: datetime = column(UtcMicros)
    times_seen: int = column(Whole)


class QuarantineRow(Rows, table=True):
    """A payload that a parser version could not read."""

    __tablename__ = "quarantine"
    __table_args__ = CLUSTERED
    payload_id: int = column(Whole, primary_key=True, foreign_key="payload.id")
    parser_version: str = column(Words, primary_key=True)
    source: str = column(Words)
    ref: str = column(Words)
    reason: str = column(Words)
    at: datetime = column(UtcMicros)
    resolved_at: datetime | None = optional(UtcMicros)


# community values ---------------------------------------------------------------------------------


class StreamRow(Rows, table=True):
    """A stream's key and its number."""

    __tablename__ = "stream"
    __table_args__ = (
        UniqueConstraint("source", "platform", "external_id", "outcome", "quantity"),
        Index(None, "platform", "external_id"),
        STRICT,
    )
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    source: str = column(Words)
    platform: str = column(Words)
    external_id: str = column(Words)
    outcome: str = column(Words)
    quantity: str = column(Words)


class QualityColumns(SQLModel):
    """What travels along with a value and is not part of it."""

    volume: float | None = optional(Number)
    liquidity: float | None = optional(Number)
    spread: float | None = optional(Number)
    last_trade_at: datetime | None = optional(UtcMicros)
    payload_id: int | None = optional(Whole, foreign_key="payload.id")


class ValueColumns(SQLModel):
    """A value, present or absent, as ``Snapshot`` has it. ``distribution`` is JSON."""

    timed: bool = column(Flag)
    state: str = column(Words)
    probability: float | None = optional(Number)
    value: float | None = optional(Number)
    distribution: str | None = optional(Words)
    forecasters: int | None = optional(Whole)
    hidden_until: datetime | None = optional(UtcMicros)


def value_checks() -> tuple[CheckConstraint, ...]:
    return (
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        CheckConstraint("forecasters >= 0", name="forecasters"),
        CheckConstraint(
            "(state = 'ok') = (probability IS NOT NULL OR value IS NOT NULL OR distribution IS NOT NULL)",
            name="state",
        ),
    )


class SpellKey(SQLModel):
    stream_id: int = column(Whole, primary_key=True, foreign_key="stream.id")
    as_of: datetime = column(UtcMicros, primary_key=True)
    seen_first: datetime = column(UtcMicros, primary_key=True)
    reading: int = column(Whole, primary_key=True)


class ObservationRow(QualityColumns, ValueColumns, SpellKey, Rows, table=True):
    """A spell: a value standing from ``as_of``, seen from ``seen_first`` to ``seen_last``.

    The primary key serves history and "newest of a stream". ``reading`` numbers accounts of one fetch: a
    mended parser's reading of the same bytes stands beside the one it replaces.
    """

    __tablename__ = "observation"
    __table_args__ = (
        *value_checks(),
        CheckConstraint("seen_last >= seen_first", name="forward"),
        CheckConstraint("times_seen >= 1", name="seen"),
        CLUSTERED | {"postgresql_partition_by": partitions.BY},
    )
    seen_last: datetime = column(UtcMicros)
    times_seen: int = column(Whole)


class ThinningRow(Rows, table=True):
    """What was let go of a stream's values by one rule: how many, from when to when (``as_of``), and when."""

    __tablename__ = "thinning"
    __table_args__ = (
        CheckConstraint("until >= since", name="forward"),
        CheckConstraint("gone >= 1", name="some"),
        CLUSTERED,
    )
    stream_id: int = column(Whole, primary_key=True, foreign_key="stream.id")
    rule: str = column(Words, primary_key=True)
    since: datetime = column(UtcMicros)
    until: datetime = column(UtcMicros)
    gone: int = column(Whole)
    first_at: datetime = column(UtcMicros)
    last_at: datetime = column(UtcMicros)


# series -------------------------------------------------------------------------------------------


class SeriesRow(Rows, table=True):
    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("name"), STRICT)
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    name: str = column(Words)


class VersionRow(Rows, table=True):
    """One content of a series, under the digest of all it says. ``published`` is JSON."""

    __tablename__ = "series_version"
    __table_args__ = (UniqueConstraint("series_id", "digest"), STRICT)
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    series_id: int = column(Whole, foreign_key="series.id")
    digest: str = column(Words)
    payload_id: int = column(Whole, foreign_key="payload.id")
    published: str = column(Words)


class LookRow(Rows, table=True):
    """A look at a series and the version it showed; a second ``reading`` of a look is in force."""

    __tablename__ = "series_look"
    __table_args__ = CLUSTERED
    series_id: int = column(Whole, primary_key=True, foreign_key="series.id")
    seen_at: datetime = column(UtcMicros, primary_key=True)
    reading: int = column(Whole, primary_key=True)
    version_id: int = column(Whole, foreign_key="series_version.id")


class MeasurementRow(Rows, table=True):
    """One account of one point, shared by all versions that give it; a revision is another row."""

    __tablename__ = "measurement"
    __table_args__ = (
        UniqueConstraint("series_id", "digest"),
        CheckConstraint("lower <= upper", name="interval"),
        CheckConstraint("ci_level BETWEEN 0 AND 1", name="level"),
        STRICT,
    )
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    series_id: int = column(Whole, foreign_key="series.id")
    digest: str = column(Words)
    metric: str = column(Words)
    key: str = column(Words)
    at: date = column(Day)
    value: float = column(Number)
    unit: str = column(Words)
    lower: float | None = optional(Number)
    upper: float | None = optional(Number)
    ci_level: float | None = optional(Number)
    is_sota: bool | None = optional(Flag)
    beyond_ceiling: bool = column(Flag)
    label: str = column(Words)


class VersionPointRow(Rows, table=True):
    """Which points a version has. A removed point is one that the next version does not have."""

    __tablename__ = "version_point"
    __table_args__ = (Index(None, "measurement_id"), CLUSTERED)
    version_id: int = column(Whole, primary_key=True, foreign_key="series_version.id")
    measurement_id: int = column(Whole, primary_key=True, foreign_key="measurement.id")


# last words ---------------------------------------------------------------------------------------


class WordColumns(SQLModel):
    payload_id: int | None = optional(Whole, foreign_key="payload.id")
    seen_first: datetime = column(UtcMicros)
    seen_last: datetime = column(UtcMicros)


class ResolutionColumns(SQLModel):
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    source: str = column(Words)
    platform: str = column(Words)
    external_id: str = column(Words)
    outcome: str = column(Words)
    state: str = column(Words)
    resolved_at: datetime | None = optional(UtcMicros)
    value: float | None = optional(Number)
    text: str = column(Words)


class ResolutionRow(WordColumns, ResolutionColumns, Rows, table=True):
    """What a platform said became of a question, standing from ``seen_first`` to ``seen_last``."""

    __tablename__ = "resolution"
    __table_args__ = (
        CheckConstraint("seen_last >= seen_first", name="forward"),
        Index(None, "source", "platform", "external_id", "outcome", "seen_first"),
        STRICT,
    )


class InfoColumns(SQLModel):
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    source: str = column(Words)
    platform: str = column(Words)
    external_id: str = column(Words)
    title: str = column(Words)
    url: str = column(Words)
    question_type: str = column(Words)
    status: str = column(Words)
    opens_at: datetime | None = optional(UtcMicros)
    closes_at: datetime | None = optional(UtcMicros)
    resolves_by: datetime | None = optional(UtcMicros)
    criteria_sha256: str = column(Words)


class InfoRow(WordColumns, InfoColumns, Rows, table=True):
    """What a platform told of a question, standing from ``seen_first`` to ``seen_last``."""

    __tablename__ = "question_info"
    __table_args__ = (
        CheckConstraint("seen_last >= seen_first", name="forward"),
        Index(None, "source", "platform", "external_id", "seen_first"),
        STRICT,
    )


class QuestionHealthColumns(SQLModel):
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    source: str = column(Words)
    platform: str = column(Words)
    external_id: str = column(Words)
    state: str = column(Words)
    message: str = column(Words)
    hidden_until: datetime | None = optional(UtcMicros)


class QuestionHealthRow(WordColumns, QuestionHealthColumns, Rows, table=True):
    """Whether a source told us of a question, or why not, from ``seen_first`` to ``seen_last``."""

    __tablename__ = "question_health"
    __table_args__ = (
        CheckConstraint("seen_last >= seen_first", name="forward"),
        Index(None, "source", "platform", "external_id", "seen_first"),
        STRICT,
    )


class ForecastRow(Rows, table=True):
    __tablename__ = "forecast"
    __table_args__ = (
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        Index(None, "made_at"),
        CLUSTERED,
    )
    question: str = column(Words, primary_key=True)
    outcome: str = column(Words, primary_key=True)
    forecaster: str = column(Words, primary_key=True)
    made_at: datetime = column(UtcMicros, primary_key=True)
    kind: str = column(Words)
    probability: float = column(Number)
    version: str = column(Words)
    comment: str = column(Words)


class ScoreRow(Rows, table=True):
    __tablename__ = "score"
    __table_args__ = CLUSTERED
    question: str = column(Words, primary_key=True)
    outcome: str = column(Words, primary_key=True)
    forecaster: str = column(Words, primary_key=True)
    made_at: datetime = column(UtcMicros, primary_key=True)
    rule: str = column(Words, primary_key=True)
    score_version: str = column(Words, primary_key=True)
    value: float = column(Number)
    computed_at: datetime = column(UtcMicros)


# operations ---------------------------------------------------------------------------------------


class RunRow(Rows, table=True):
    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done', 'partial', 'failed', 'skipped')", name="state"),
        Index(None, "slot"),
        CLUSTERED,
    )
    job: str = column(Words, primary_key=True)
    slot: datetime = column(UtcMicros, primary_key=True)
    state: str = column(Words)
    started_at: datetime = column(UtcMicros)
    finished_at: datetime | None = optional(UtcMicros)
    message: str = column(Words)


class GapRow(Rows, table=True):
    __tablename__ = "gap"
    __table_args__ = (CheckConstraint('"end" >= start', name="forward"), CLUSTERED)
    source: str = column(Words, primary_key=True)
    start: datetime = column(UtcMicros, primary_key=True)
    end: datetime = column(UtcMicros)
    reason: str = column(Words)


class HealthRow(Rows, table=True):
    __tablename__ = "source_health"
    __table_args__ = CLUSTERED
    source: str = column(Words, primary_key=True)
    state: str = column(Words)
    last_attempt_at: datetime | None = optional(UtcMicros)
    last_ok_at: datetime | None = optional(UtcMicros)
    last_change_at: datetime | None = optional(UtcMicros)
    failures: int = column(Whole)
    not_before: datetime | None = optional(UtcMicros)
    message: str = column(Words)


class DriftRow(Rows, table=True):
    """A difference between an answer and the shape we expect: once, with the bytes that first showed it."""

    __tablename__ = "drift"
    __table_args__ = (CheckConstraint("seen_last >= seen_first", name="forward"), CLUSTERED)
    source: str = column(Words, primary_key=True)
    place: str = column(Words, primary_key=True)
    kind: str = column(Words, primary_key=True)
    detail: str = column(Words, primary_key=True)
    payload_id: int = column(Whole, foreign_key="payload.id")
    seen_first: datetime = column(UtcMicros)
    seen_last: datetime = column(UtcMicros)


class QuestionVersionRow(Rows, table=True):
    """A record of one of our questions as it stood from an instant on."""

    __tablename__ = "question_version"
    __table_args__ = CLUSTERED
    question: str = column(Words, primary_key=True)
    seen_at: datetime = column(UtcMicros, primary_key=True)
    version: str = column(Words)
    text: str = column(Words)
    terms: str = column(Words)
    number: int = column(Whole)
    edit: str = column(Words)
    record: str = column(Words)


class JudgementRow(Rows, table=True):
    """What one judge decided of one of our questions."""

    __tablename__ = "judgement"
    __table_args__ = CLUSTERED
    question: str = column(Words, primary_key=True)
    judge: str = column(Words, primary_key=True)
    made_at: datetime = column(UtcMicros, primary_key=True)
    version: str = column(Words)
    outcome: str = column(Words)
    value: float | None = optional(Number)
    on: date | None = optional(Day)
    citations: str = column(Words)
    note: str = column(Words)


class ReceiptRow(Rows, table=True):
    """A verdict on one version of one of our questions, with its evidence as JSON."""

    __tablename__ = "receipt"
    __table_args__ = CLUSTERED
    question: str = column(Words, primary_key=True)
    version: str = column(Words, primary_key=True)
    made_at: datetime = column(UtcMicros, primary_key=True)
    known_at: datetime = column(UtcMicros)
    state: str = column(Words)
    rule: str = column(Words)
    outcome: str | None = optional(Words)
    value: float | None = optional(Number)
    on: date | None = optional(Day)
    resolved_at: datetime | None = optional(UtcMicros)
    reason: str = column(Words)
    computed: str = column(Words)
    evidence: str = column(Words)


class OrderingRow(Rows, table=True):
    """What the voices said of the order at an instant, as canonical JSON under its digest. Only ever added."""

    __tablename__ = "ordering"
    __table_args__ = (
        CheckConstraint("grain IN ('week', 'day')", name="grain"),
        CheckConstraint("length(sha256) = 64", name="digest"),
        CLUSTERED,
    )
    grain: str = column(Words, primary_key=True)
    settings: str = column(Words, primary_key=True)
    at: datetime = column(UtcMicros, primary_key=True)
    made_at: datetime = column(UtcMicros, primary_key=True)
    known_at: datetime = column(UtcMicros)
    program: str = column(Words)
    model: str = column(Words)
    payload: str = column(Words)
    sha256: str = column(Words)


class ValidatorRow(Rows, table=True):
    """The tags of a URL's last full answer, under the URL's digest."""

    __tablename__ = "http_validator"
    __table_args__ = CLUSTERED
    url_sha256: str = column(Words, primary_key=True)
    url: str = column(Words)
    etag: str | None = optional(Words)
    last_modified: str | None = optional(Words)
    payload_id: int = column(Whole, foreign_key="payload.id")


class LeaseRow(Rows, table=True):
    """Who may act as the one leader until when; ``token`` grows with every take-over (fencing)."""

    __tablename__ = "lease"
    __table_args__ = (CheckConstraint("token >= 1", name="token"), CLUSTERED)
    name: str = column(Words, primary_key=True)
    holder: str = column(Words)
    token: int = column(Whole)
    expires_at: datetime = column(UtcMicros)


# mail ---------------------------------------------------------------------------------------------


class OutboxPartRow(Rows, table=True):
    """Bytes that many letters have in common (zlib), under the SHA-256 of what they are."""

    __tablename__ = "outbox_part"
    __table_args__ = (UniqueConstraint("sha256"), STRICT)
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    sha256: str = column(Words)
    body: bytes = column(Blob)


class OutboxRow(Rows, table=True):
    """A message to one address and what became of it. ``own``: JSON, its pieces and their places in the part."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("channel IN ('mail', 'webhook')", name="channel"),
        CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'dead', 'expired', 'held')",
            name="state",
        ),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(None, "state", "next_try_at"),
        Index(None, "address"),
        Index(None, "part_id"),
        CLUSTERED,
    )
    key: str = column(Words, primary_key=True)
    channel: str = column(Words)
    address: str = column(Words)
    kind: str = column(Words)
    period: str = column(Words)
    message_id: str = column(Words)
    own: str = column(Words)
    part_id: int = column(Whole, foreign_key="outbox_part.id")
    created_at: datetime = column(UtcMicros)
    expires_at: datetime = column(UtcMicros)
    state: str = column(Words)
    attempts: int = column(Whole)
    next_try_at: datetime = column(UtcMicros)
    outcome: str = column(Words)
    changed_at: datetime = column(UtcMicros)


class DigestRow(Rows, table=True):
    """A digest as it was made, under the digest of all it says. ``pictures`` is JSON."""

    __tablename__ = "digest"
    __table_args__ = CLUSTERED
    week: str = column(Words, primary_key=True)
    sha256: str = column(Words, primary_key=True)
    as_of: datetime = column(UtcMicros)
    made_at: datetime = column(UtcMicros)
    subject: str = column(Words)
    text: str = column(Words)
    html: str = column(Words)
    pictures: str = column(Words)


class RecipientRow(Rows, table=True):
    """What became of an address at an instant; the newest row of an address counts. ``options`` is JSON."""

    __tablename__ = "recipient"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'confirmed', 'unsubscribed', 'dead')", name="state"),
        Index(None, "address"),
        STRICT,
    )
    id: int | None = Field(default=None, sa_type=Whole, primary_key=True)
    address: str = column(Words)
    at: datetime = column(UtcMicros)
    state: str = column(Words)
    options: str = column(Words)
    reason: str = column(Words)


# alerts -------------------------------------------------------------------------------------------


class AlertRow(Rows, table=True):
    """A change that a person should hear of. ``areas``, ``rule`` and ``evidence`` are JSON."""

    __tablename__ = "alert"
    __table_args__ = CLUSTERED
    signal: str = column(Words, primary_key=True)
    at: datetime = column(UtcMicros, primary_key=True)
    kind: str = column(Words)
    direction: str = column(Words)
    title: str = column(Words)
    before: str = column(Words)
    after: str = column(Words)
    text: str = column(Words)
    url: str = column(Words)
    areas: str = column(Words)
    size: float | None = optional(Number)
    rule: str = column(Words)
    evidence: str = column(Words)


class ArmingRow(Rows, table=True):
    """How a signal is armed from an instant on, as JSON; the newest row of a signal counts."""

    __tablename__ = "alert_arming"
    __table_args__ = CLUSTERED
    signal: str = column(Words, primary_key=True)
    at: datetime = column(UtcMicros, primary_key=True)
    state: str = column(Words)


class DecisionRow(Rows, table=True):
    """What became of an alert, once; ``batch`` names the message it went out in."""

    __tablename__ = "alert_decision"
    __table_args__ = (
        CheckConstraint("fate IN ('queued', 'folded', 'withdrawn', 'expired')", name="fate"),
        ForeignKeyConstraint(["signal", "alerted_at"], ["alert.signal", "alert.at"]),
        CLUSTERED,
    )
    signal: str = column(Words, primary_key=True)
    alerted_at: datetime = column(UtcMicros, primary_key=True)
    at: datetime = column(UtcMicros)
    fate: str = column(Words)
    batch: str = column(Words)


def table(name: str) -> Table:
    """The Core table of a name, for statements that never build row objects."""
    return metadata.tables[name]


# Alembic's own table, made here too so that a new database needs no Alembic.
schema_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

"""The first schema: payloads, values, series, words, forecasts, scores and the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Blob, Day, Flag, Number, UtcMicros, Whole, Words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_forecast()
    _create_gap()
    _create_payload()
    _create_run()
    _create_score()
    _create_series()
    _create_source_health()
    _create_stream()
    _create_http_validator()
    _create_measurement()
    _create_observation()
    _create_quarantine()
    _create_question_info()
    _create_resolution()
    _create_series_version()
    _create_sighting()
    _create_series_look()
    _create_version_point()


def _create_forecast() -> None:
    op.create_table(
        "forecast",
        sa.Column("question", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("forecaster", Words(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("probability", Number, nullable=False),
        sa.Column("version", Words(), nullable=False),
        sa.Column("comment", Words(), nullable=False),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_forecast_probability")),
        sa.PrimaryKeyConstraint("question", "outcome", "forecaster", "made_at", name=op.f("pk_forecast")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_forecast_made_at"), "forecast", ["made_at"])


def _create_gap() -> None:
    op.create_table(
        "gap",
        sa.Column("source", Words(), nullable=False),
        sa.Column("start", UtcMicros(), nullable=False),
        sa.Column("end", UtcMicros(), nullable=False),
        sa.Column("reason", Words(), nullable=False),
        sa.CheckConstraint('"end" >= start', name=op.f("ck_gap_forward")),
        sa.PrimaryKeyConstraint("source", "start", name=op.f("pk_gap")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_payload() -> None:
    op.create_table(
        "payload",
        sa.Column("id", Whole, nullable=False),
        sa.Column("sha256", Words(), nullable=False),
        sa.Column("size", Whole, nullable=True),
        sa.Column("body", Blob(), nullable=True),
        sa.CheckConstraint("(body IS NULL) = (size IS NULL)", name=op.f("ck_payload_whole")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payload")),
        sa.UniqueConstraint("sha256", name=op.f("uq_payload_sha256")),
        sqlite_strict=True,
    )


def _create_run() -> None:
    op.create_table(
        "run",
        sa.Column("job", Words(), nullable=False),
        sa.Column("slot", UtcMicros(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("started_at", UtcMicros(), nullable=False),
        sa.Column("finished_at", UtcMicros(), nullable=True),
        sa.Column("message", Words(), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'partial', 'failed', 'skipped')", name=op.f("ck_run_state")
        ),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_run")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_slot"), "run", ["slot"])


def _create_score() -> None:
    op.create_table(
        "score",
        sa.Column("question", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("forecaster", Words(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("rule", Words(), nullable=False),
        sa.Column("score_version", Words(), nullable=False),
        sa.Column("value", Number, nullable=False),
        sa.Column("computed_at", UtcMicros(), nullable=False),
        sa.PrimaryKeyConstraint(
            "question", "outcome", "forecaster", "made_at", "rule", "score_version", name=op.f("pk_score")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_series() -> None:
    op.create_table(
        "series",
        sa.Column("id", Whole, nullable=False),
        sa.Column("name", Words(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("name", name=op.f("uq_series_name")),
        sqlite_strict=True,
    )


def _create_source_health() -> None:
    op.create_table(
        "source_health",
        sa.Column("source", Words(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("last_attempt_at", UtcMicros(), nullable=True),
        sa.Column("last_ok_at", UtcMicros(), nullable=True),
        sa.Column("last_change_at", UtcMicros(), nullable=True),
        sa.Column("failures", Whole, nullable=False),
        sa.Column("not_before", UtcMicros(), nullable=True),
        sa.Column("message", Words(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_health")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_stream() -> None:
    op.create_table(
        "stream",
        sa.Column("id", Whole, nullable=False),
        sa.Column("source", Words(), nullable=False),
        sa.Column("platform", Words(), nullable=False),
        sa.Column("external_id", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("quantity", Words(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream")),
        sa.UniqueConstraint(
            "source",
            "platform",
            "external_id",
            "outcome",
            "quantity",
            name=op.f("uq_stream_source_platform_external_id_outcome_quantity"),
        ),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_stream_platform_external_id"), "stream", ["platform", "external_id"])


def _create_http_validator() -> None:
    op.create_table(
        "http_validator",
        sa.Column("url", Words(), nullable=False),
        sa.Column("etag", Words(), nullable=True),
        sa.Column("last_modified", Words(), nullable=True),
        sa.Column("payload_id", Whole, nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_http_validator_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_http_validator")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_measurement() -> None:
    op.create_table(
        "measurement",
        sa.Column("id", Whole, nullable=False),
        sa.Column("series_id", Whole, nullable=False),
        sa.Column("digest", Words(), nullable=False),
        sa.Column("metric", Words(), nullable=False),
        sa.Column("key", Words(), nullable=False),
        sa.Column("at", Day(), nullable=False),
        sa.Column("value", Number, nullable=False),
        sa.Column("unit", Words(), nullable=False),
        sa.Column("lower", Number, nullable=True),
        sa.Column("upper", Number, nullable=True),
        sa.Column("ci_level", Number, nullable=True),
        sa.Column("is_sota", Flag(), nullable=True),
        sa.Column("beyond_ceiling", Flag(), nullable=False),
        sa.Column("label", Words(), nullable=False),
        sa.CheckConstraint("ci_level BETWEEN 0 AND 1", name=op.f("ck_measurement_level")),
        sa.CheckConstraint("lower <= upper", name=op.f("ck_measurement_interval")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_measurement_series_id_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement")),
        sa.UniqueConstraint("series_id", "digest", name=op.f("uq_measurement_series_id_digest")),
        sqlite_strict=True,
    )


def _create_observation() -> None:
    op.create_table(
        "observation",
        sa.Column("stream_id", Whole, nullable=False),
        sa.Column("as_of", UtcMicros(), nullable=False),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("reading", Whole, nullable=False),
        sa.Column("timed", Flag(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("probability", Number, nullable=True),
        sa.Column("value", Number, nullable=True),
        sa.Column("distribution", Words(), nullable=True),
        sa.Column("forecasters", Whole, nullable=True),
        sa.Column("hidden_until", UtcMicros(), nullable=True),
        sa.Column("volume", Number, nullable=True),
        sa.Column("liquidity", Number, nullable=True),
        sa.Column("spread", Number, nullable=True),
        sa.Column("payload_id", Whole, nullable=True),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.Column("times_seen", Whole, nullable=False),
        sa.CheckConstraint(
            "(state = 'ok') = (probability IS NOT NULL OR value IS NOT NULL OR distribution IS NOT NULL)",
            name=op.f("ck_observation_state"),
        ),
        sa.CheckConstraint("forecasters >= 0", name=op.f("ck_observation_forecasters")),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_observation_probability")),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_observation_forward")),
        sa.CheckConstraint("times_seen >= 1", name=op.f("ck_observation_seen")),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_observation_payload_id_payload")
        ),
        sa.ForeignKeyConstraint(["stream_id"], ["stream.id"], name=op.f("fk_observation_stream_id_stream")),
        sa.PrimaryKeyConstraint("stream_id", "as_of", "seen_first", "reading", name=op.f("pk_observation")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("parser_version", Words(), nullable=False),
        sa.Column("source", Words(), nullable=False),
        sa.Column("ref", Words(), nullable=False),
        sa.Column("reason", Words(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("resolved_at", UtcMicros(), nullable=True),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_quarantine_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("payload_id", "parser_version", name=op.f("pk_quarantine")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_question_info() -> None:
    op.create_table(
        "question_info",
        sa.Column("id", Whole, nullable=False),
        sa.Column("source", Words(), nullable=False),
        sa.Column("platform", Words(), nullable=False),
        sa.Column("external_id", Words(), nullable=False),
        sa.Column("title", Words(), nullable=False),
        sa.Column("url", Words(), nullable=False),
        sa.Column("question_type", Words(), nullable=False),
        sa.Column("status", Words(), nullable=False),
        sa.Column("opens_at", UtcMicros(), nullable=True),
        sa.Column("closes_at", UtcMicros(), nullable=True),
        sa.Column("resolves_by", UtcMicros(), nullable=True),
        sa.Column("payload_id", Whole, nullable=True),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_question_info_forward")),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_question_info_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_info")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_question_info_source_platform_external_id_seen_first"),
        "question_info",
        ["source", "platform", "external_id", "seen_first"],
    )


def _create_resolution() -> None:
    op.create_table(
        "resolution",
        sa.Column("id", Whole, nullable=False),
        sa.Column("source", Words(), nullable=False),
        sa.Column("platform", Words(), nullable=False),
        sa.Column("external_id", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("resolved_at", UtcMicros(), nullable=True),
        sa.Column("value", Number, nullable=True),
        sa.Column("text", Words(), nullable=False),
        sa.Column("payload_id", Whole, nullable=True),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_resolution_forward")),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_resolution_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resolution")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_resolution_source_platform_external_id_outcome_seen_first"),
        "resolution",
        ["source", "platform", "external_id", "outcome", "seen_first"],
    )


def _create_series_version() -> None:
    op.create_table(
        "series_version",
        sa.Column("id", Whole, nullable=False),
        sa.Column("series_id", Whole, nullable=False),
        sa.Column("digest", Words(), nullable=False),
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("published", Words(), nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_series_version_payload_id_payload")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_series_version_series_id_series")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series_version")),
        sa.UniqueConstraint("series_id", "digest", name=op.f("uq_series_version_series_id_digest")),
        sqlite_strict=True,
    )


def _create_sighting() -> None:
    op.create_table(
        "sighting",
        sa.Column("source", Words(), nullable=False),
        sa.Column("url", Words(), nullable=False),
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("ref", Words(), nullable=False),
        sa.Column("status", Whole, nullable=False),
        sa.Column("content_type", Words(), nullable=False),
        sa.Column("headers", Words(), nullable=False),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.Column("times_seen", Whole, nullable=False),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_sighting_forward")),
        sa.CheckConstraint("times_seen >= 1", name=op.f("ck_sighting_seen")),
        sa.ForeignKeyConstraint(["payload_id"], ["payload.id"], name=op.f("fk_sighting_payload_id_payload")),
        sa.PrimaryKeyConstraint("source", "url", "payload_id", name=op.f("pk_sighting")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sighting_payload_id"), "sighting", ["payload_id"])
    op.create_index(op.f("ix_sighting_seen_first"), "sighting", ["seen_first"])


def _create_series_look() -> None:
    op.create_table(
        "series_look",
        sa.Column("series_id", Whole, nullable=False),
        sa.Column("seen_at", UtcMicros(), nullable=False),
        sa.Column("reading", Whole, nullable=False),
        sa.Column("version_id", Whole, nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_series_look_series_id_series")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["series_version.id"], name=op.f("fk_series_look_version_id_series_version")
        ),
        sa.PrimaryKeyConstraint("series_id", "seen_at", "reading", name=op.f("pk_series_look")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_version_point() -> None:
    op.create_table(
        "version_point",
        sa.Column("version_id", Whole, nullable=False),
        sa.Column("measurement_id", Whole, nullable=False),
        sa.ForeignKeyConstraint(
            ["measurement_id"], ["measurement.id"], name=op.f("fk_version_point_measurement_id_measurement")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["series_version.id"], name=op.f("fk_version_point_version_id_series_version")
        ),
        sa.PrimaryKeyConstraint("version_id", "measurement_id", name=op.f("pk_version_point")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_version_point_measurement_id"), "version_point", ["measurement_id"])

"""Health of questions, drift of answers, digests of criteria; URLs of any length under their digests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.bulk import url_digest
from storage.columns import UtcMicros, Whole, Words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_question_health()
    _create_drift()
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
    else:
        _alter()


def _create_question_health() -> None:
    op.create_table(
        "question_health",
        sa.Column("id", Whole, nullable=False),
        sa.Column("source", Words(), nullable=False),
        sa.Column("platform", Words(), nullable=False),
        sa.Column("external_id", Words(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("message", Words(), nullable=False),
        sa.Column("hidden_until", UtcMicros(), nullable=True),
        sa.Column("payload_id", Whole, nullable=True),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_question_health_forward")),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_question_health_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_health")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_question_health_source_platform_external_id_seen_first"),
        "question_health",
        ["source", "platform", "external_id", "seen_first"],
    )


def _create_drift() -> None:
    op.create_table(
        "drift",
        sa.Column("source", Words(), nullable=False),
        sa.Column("place", Words(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("detail", Words(), nullable=False),
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("seen_first", UtcMicros(), nullable=False),
        sa.Column("seen_last", UtcMicros(), nullable=False),
        sa.CheckConstraint("seen_last >= seen_first", name=op.f("ck_drift_forward")),
        sa.ForeignKeyConstraint(["payload_id"], ["payload.id"], name=op.f("fk_drift_payload_id_payload")),
        sa.PrimaryKeyConstraint("source", "place", "kind", "detail", name=op.f("pk_drift")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _alter() -> None:
    op.add_column("question_info", sa.Column("criteria_sha256", Words(), nullable=False, server_default=""))
    op.alter_column("question_info", "criteria_sha256", server_default=None)
    for name, key in (("sighting", "source, url_sha256, payload_id"), ("http_validator", "url_sha256")):
        op.add_column(name, sa.Column("url_sha256", Words(), nullable=True))
        op.execute(f"UPDATE {name} SET url_sha256 = encode(sha256(convert_to(url, 'UTF8')), 'hex')")  # noqa: S608
        op.alter_column(name, "url_sha256", nullable=False)
        op.execute(f"ALTER TABLE {name} DROP CONSTRAINT pk_{name}")
        op.execute(f"ALTER TABLE {name} ADD CONSTRAINT pk_{name} PRIMARY KEY ({key})")


def _rebuild() -> None:
    """SQLite changes a key, or adds a column without a default, only by building the table anew."""
    bare: Any = op.get_bind().connection.driver_connection
    bare.create_function("url_digest", 1, url_digest, deterministic=True)
    for index in ("sighting_seen_first", "sighting_payload_id", f"question_info_{_INFO_INDEX}"):
        op.drop_index(f"ix_{index}")
    seen = "source, payload_id, url, ref, status, content_type, headers, seen_first, seen_last, times_seen"
    _rebuilt("sighting", _create_sighting, seen, "url_sha256", "url_digest(url)")
    tags = "url, etag, last_modified, payload_id"
    _rebuilt("http_validator", _create_http_validator, tags, "url_sha256", "url_digest(url)")
    facts = (
        "id, source, platform, external_id, title, url, question_type, status, opens_at, closes_at,"
        " resolves_by, payload_id, seen_first, seen_last"
    )
    _rebuilt("question_info", _create_question_info, facts, "criteria_sha256", "''")


def _rebuilt(name: str, create: Callable[[], None], columns: str, added: str, value: str) -> None:
    op.rename_table(name, f"old_{name}")
    create()
    copy = f"INSERT INTO {name} ({columns}, {added}) SELECT {columns}, {value} FROM old_{name}"  # noqa: S608
    op.execute(copy)
    op.drop_table(f"old_{name}")


_INFO_INDEX = "source_platform_external_id_seen_first"


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
        sa.Column("criteria_sha256", Words(), nullable=False),
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
        op.f(f"ix_question_info_{_INFO_INDEX}"),
        "question_info",
        ["source", "platform", "external_id", "seen_first"],
    )


def _create_sighting() -> None:
    op.create_table(
        "sighting",
        sa.Column("source", Words(), nullable=False),
        sa.Column("url_sha256", Words(), nullable=False),
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("url", Words(), nullable=False),
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
        sa.PrimaryKeyConstraint("source", "url_sha256", "payload_id", name=op.f("pk_sighting")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sighting_seen_first"), "sighting", ["seen_first"])
    op.create_index(op.f("ix_sighting_payload_id"), "sighting", ["payload_id"])


def _create_http_validator() -> None:
    op.create_table(
        "http_validator",
        sa.Column("url_sha256", Words(), nullable=False),
        sa.Column("url", Words(), nullable=False),
        sa.Column("etag", Words(), nullable=True),
        sa.Column("last_modified", Words(), nullable=True),
        sa.Column("payload_id", Whole, nullable=False),
        sa.ForeignKeyConstraint(
            ["payload_id"], ["payload.id"], name=op.f("fk_http_validator_payload_id_payload")
        ),
        sa.PrimaryKeyConstraint("url_sha256", name=op.f("pk_http_validator")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

"""PostgreSQL: observations in months, each a table of its own; and what is left of a payload that was let go."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from storage import partitions
from storage.columns import Flag, Number, UtcMicros, Whole, Words

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_tombstone()
    if op.get_bind().dialect.name == "postgresql":
        _partition()


def _create_tombstone() -> None:
    op.create_table(
        "tombstone",
        sa.Column("payload_id", Whole, nullable=False),
        sa.Column("size", Whole, nullable=False),
        sa.Column("dropped_at", UtcMicros(), nullable=False),
        sa.ForeignKeyConstraint(["payload_id"], ["payload.id"], name=op.f("fk_tombstone_payload_id_payload")),
        sa.PrimaryKeyConstraint("payload_id", name=op.f("pk_tombstone")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _partition() -> None:
    op.rename_table("observation", "old_observation")
    op.drop_constraint("pk_observation", "old_observation")
    _create_observation()
    partitions.create(op.get_bind(), datetime.now(UTC))
    op.execute(f"INSERT INTO observation ({_COLUMNS}) SELECT {_COLUMNS} FROM old_observation")  # noqa: S608
    op.drop_table("old_observation")


_COLUMNS = (
    "stream_id, as_of, seen_first, reading, timed, state, probability, value, distribution, forecasters,"
    " hidden_until, volume, liquidity, spread, last_trade_at, payload_id, seen_last, times_seen"
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
        sa.Column("last_trade_at", UtcMicros(), nullable=True),
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
        postgresql_partition_by=partitions.BY,
    )

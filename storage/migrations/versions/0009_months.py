"""PostgreSQL: observations in months, each a table of its own; and what is left of a payload that was let go."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from storage import partitions
from storage.columns import UtcMicros, Whole

revision = "0009"
down_revision = "0008"
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
    same = "LIKE old_observation INCLUDING CONSTRAINTS"
    op.execute(f"CREATE TABLE observation ({same}) PARTITION BY {partitions.BY}")
    op.create_primary_key("pk_observation", "observation", ["stream_id", "as_of", "seen_first", "reading"])
    for parent in ("payload", "stream"):
        name = f"fk_observation_{parent}_id_{parent}"
        op.create_foreign_key(name, "observation", parent, [f"{parent}_id"], ["id"])
    partitions.create(op.get_bind(), datetime.now(UTC))
    op.execute("INSERT INTO observation SELECT * FROM old_observation")
    op.drop_table("old_observation")

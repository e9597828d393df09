"""What was let go of values of long ago: how many, from when to when, by which rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import UtcMicros, Whole, Words

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "thinning",
        sa.Column("stream_id", Whole, nullable=False),
        sa.Column("rule", Words(), nullable=False),
        sa.Column("since", UtcMicros(), nullable=False),
        sa.Column("until", UtcMicros(), nullable=False),
        sa.Column("gone", Whole, nullable=False),
        sa.Column("first_at", UtcMicros(), nullable=False),
        sa.Column("last_at", UtcMicros(), nullable=False),
        sa.CheckConstraint("until >= since", name=op.f("ck_thinning_forward")),
        sa.CheckConstraint("gone >= 1", name=op.f("ck_thinning_some")),
        sa.ForeignKeyConstraint(["stream_id"], ["stream.id"], name=op.f("fk_thinning_stream_id_stream")),
        sa.PrimaryKeyConstraint("stream_id", "rule", name=op.f("pk_thinning")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

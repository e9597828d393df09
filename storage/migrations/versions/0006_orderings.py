"""What the voices said of the order week by week and day by day, as known then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import UtcMicros, Words

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ordering",
        sa.Column("grain", Words(), nullable=False),
        sa.Column("settings", Words(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("known_at", UtcMicros(), nullable=False),
        sa.Column("program", Words(), nullable=False),
        sa.Column("model", Words(), nullable=False),
        sa.Column("payload", Words(), nullable=False),
        sa.Column("sha256", Words(), nullable=False),
        sa.CheckConstraint("grain IN ('week', 'day')", name=op.f("ck_ordering_grain")),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_ordering_digest")),
        sa.PrimaryKeyConstraint("grain", "settings", "at", "made_at", name=op.f("pk_ordering")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

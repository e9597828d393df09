"""Alerts with what they were based on, how each signal is armed, and what became of each alert."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Number, UtcMicros, Words

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("signal", Words(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("direction", Words(), nullable=False),
        sa.Column("title", Words(), nullable=False),
        sa.Column("before", Words(), nullable=False),
        sa.Column("after", Words(), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.Column("url", Words(), nullable=False),
        sa.Column("areas", Words(), nullable=False),
        sa.Column("size", Number, nullable=True),
        sa.Column("rule", Words(), nullable=False),
        sa.Column("evidence", Words(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "at", name=op.f("pk_alert")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_arming",
        sa.Column("signal", Words(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "at", name=op.f("pk_alert_arming")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alert_decision",
        sa.Column("signal", Words(), nullable=False),
        sa.Column("alerted_at", UtcMicros(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("fate", Words(), nullable=False),
        sa.Column("batch", Words(), nullable=False),
        sa.CheckConstraint(
            "fate IN ('queued', 'folded', 'withdrawn', 'expired')", name=op.f("ck_alert_decision_fate")
        ),
        sa.ForeignKeyConstraint(
            ["signal", "alerted_at"],
            ["alert.signal", "alert.at"],
            name=op.f("fk_alert_decision_signal_alerted_at_alert"),
        ),
        sa.PrimaryKeyConstraint("signal", "alerted_at", name=op.f("pk_alert_decision")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

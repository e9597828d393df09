"""The life of our own questions: versions seen, judgements, receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Day, Number, UtcMicros, Whole, Words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "question_version",
        sa.Column("question", Words(), nullable=False),
        sa.Column("seen_at", UtcMicros(), nullable=False),
        sa.Column("version", Words(), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.Column("terms", Words(), nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("edit", Words(), nullable=False),
        sa.Column("record", Words(), nullable=False),
        sa.PrimaryKeyConstraint("question", "seen_at", name=op.f("pk_question_version")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "judgement",
        sa.Column("question", Words(), nullable=False),
        sa.Column("judge", Words(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("version", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("value", Number, nullable=True),
        sa.Column("on", Day(), nullable=True),
        sa.Column("citations", Words(), nullable=False),
        sa.Column("note", Words(), nullable=False),
        sa.PrimaryKeyConstraint("question", "judge", "made_at", name=op.f("pk_judgement")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "receipt",
        sa.Column("question", Words(), nullable=False),
        sa.Column("version", Words(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("known_at", UtcMicros(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("rule", Words(), nullable=False),
        sa.Column("outcome", Words(), nullable=True),
        sa.Column("value", Number, nullable=True),
        sa.Column("on", Day(), nullable=True),
        sa.Column("resolved_at", UtcMicros(), nullable=True),
        sa.Column("reason", Words(), nullable=False),
        sa.Column("computed", Words(), nullable=False),
        sa.Column("evidence", Words(), nullable=False),
        sa.PrimaryKeyConstraint("question", "version", "made_at", name=op.f("pk_receipt")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

"""What is sent and to whom: the outbox, the archive of digests, recipients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Blob, UtcMicros, Whole, Words

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox_part",
        sa.Column("id", Whole, nullable=False),
        sa.Column("sha256", Words(), nullable=False),
        sa.Column("body", Blob(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_part")),
        sa.UniqueConstraint("sha256", name=op.f("uq_outbox_part_sha256")),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        sa.Column("key", Words(), nullable=False),
        sa.Column("channel", Words(), nullable=False),
        sa.Column("address", Words(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("period", Words(), nullable=False),
        sa.Column("message_id", Words(), nullable=False),
        sa.Column("own", Words(), nullable=False),
        sa.Column("part_id", Whole, nullable=False),
        sa.Column("created_at", UtcMicros(), nullable=False),
        sa.Column("expires_at", UtcMicros(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("attempts", Whole, nullable=False),
        sa.Column("next_try_at", UtcMicros(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("changed_at", UtcMicros(), nullable=False),
        sa.CheckConstraint("channel IN ('mail', 'webhook')", name=op.f("ck_outbox_channel")),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'dead', 'expired', 'held')",
            name=op.f("ck_outbox_state"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outbox_attempts")),
        sa.ForeignKeyConstraint(["part_id"], ["outbox_part.id"], name=op.f("fk_outbox_part_id_outbox_part")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outbox")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_outbox_state_next_try_at"), "outbox", ["state", "next_try_at"])
    op.create_index(op.f("ix_outbox_address"), "outbox", ["address"])
    op.create_index(op.f("ix_outbox_part_id"), "outbox", ["part_id"])
    op.create_table(
        "digest",
        sa.Column("week", Words(), nullable=False),
        sa.Column("sha256", Words(), nullable=False),
        sa.Column("as_of", UtcMicros(), nullable=False),
        sa.Column("made_at", UtcMicros(), nullable=False),
        sa.Column("subject", Words(), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.Column("html", Words(), nullable=False),
        sa.Column("pictures", Words(), nullable=False),
        sa.PrimaryKeyConstraint("week", "sha256", name=op.f("pk_digest")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recipient",
        sa.Column("id", Whole, nullable=False),
        sa.Column("address", Words(), nullable=False),
        sa.Column("at", UtcMicros(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("options", Words(), nullable=False),
        sa.Column("reason", Words(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'confirmed', 'unsubscribed', 'dead')", name=op.f("ck_recipient_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipient")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_recipient_address"), "recipient", ["address"])

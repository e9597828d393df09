"""Leases: one leader at a time among several daemons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import UtcMicros, Whole, Words

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_lease()


def _create_lease() -> None:
    op.create_table(
        "lease",
        sa.Column("name", Words(), nullable=False),
        sa.Column("holder", Words(), nullable=False),
        sa.Column("token", Whole, nullable=False),
        sa.Column("expires_at", UtcMicros(), nullable=False),
        sa.CheckConstraint("token >= 1", name=op.f("ck_lease_token")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )

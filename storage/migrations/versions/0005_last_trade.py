"""When a market last traded, beside what else tells how much its price is worth."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import UtcMicros

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("observation", sa.Column("last_trade_at", UtcMicros(), nullable=True))

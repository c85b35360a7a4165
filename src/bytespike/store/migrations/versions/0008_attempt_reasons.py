"""Why an attempt went to the channel that it went to, and who was passed over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("reason", "passed_over"):
        op.add_column("attempts", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))

"""What usage rows add up to, by hour and by day; filled with what the rows say now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_HOUR_US = 3_600_000_000
_SPANS_US = (_HOUR_US, 24 * _HOUR_US)
_SUMS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "web_searches",
    "credits",
)


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("span_us", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("requests", *_SUMS)),
        sa.PrimaryKeyConstraint(
            "user_id", "span_us", "start", "model", "key_id", "protocol", name=op.f("pk_rollups")
        ),
        sqlite_with_rowid=False,
    )
    sums = ", ".join(f"SUM({name})" for name in _SUMS)
    for span_us in _SPANS_US:
        # Numbers alone are put into the text, and integer division is the same on both databases.
        op.execute(
            f"INSERT INTO rollups SELECT user_id, {span_us}, at / {span_us} * {span_us}, model, key_id, protocol, "
            f"COUNT(*), {sums} FROM usage GROUP BY user_id, at / {span_us} * {span_us}, model, key_id, protocol"
        )

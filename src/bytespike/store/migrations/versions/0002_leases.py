"""Caps on models, sums that caps are compared with, and what processes borrow of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caps",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_caps_amount_not_negative")),
        sa.PrimaryKeyConstraint("subject", "model", "span", name=op.f("pk_caps")),
        sqlite_with_rowid=False,
    )
    _sums()
    _lending()


def _sums() -> None:
    """They begin empty: a meter is filled from the usage rows when it is first needed."""
    op.create_table(
        "meters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("span_us", sa.BigInteger(), nullable=False),
        sa.Column("bucket_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meters")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_meters_key_id"), "meters", ["key_id"], unique=False)
    op.create_table(
        "meter_sums",
        sa.Column("meter_id", sa.Text(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("meter_id", "bucket", name=op.f("pk_meter_sums")),
        sqlite_with_rowid=False,
    )


def _lending() -> None:
    op.create_table(
        "borrowers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("spool", sa.Text(), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_borrowers")),
    )
    op.create_table(
        "leases",
        sa.Column("cap", sa.Text(), nullable=False),
        sa.Column("borrower", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("recalled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_leases_amount_not_negative")),
        sa.PrimaryKeyConstraint("cap", "borrower", name=op.f("pk_leases")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_leases_borrower"), "leases", ["borrower"], unique=False)

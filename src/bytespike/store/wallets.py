"""A wallet's beginning. What is in it is the ledger's business alone."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.tables import accounts


def user_wallet(user_id: str) -> str:
    """The account that pays for a user's own keys."""
    return f"wallet:user:{user_id}"


def org_wallet(org_id: str) -> str:
    """The account that pays for an org's keys."""
    return f"wallet:org:{org_id}"


async def add_empty(connection: AsyncConnection, account_id: str, now_us: int) -> None:
    """The wallet of a user or org that is made in the same transaction."""
    await connection.execute(
        insert(accounts).values(id=account_id, kind="wallet", balance=0, created_at=now_us)
    )

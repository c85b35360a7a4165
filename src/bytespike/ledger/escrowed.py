"""What is set aside of a wallet for tasks, by whatever process, for those who are told of it."""

from __future__ import annotations

import asyncio
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.ledger.escrow_sql import HELD_OF
from bytespike.store.engine import reading

#: A database that takes longer for one sum does not answer.
DATABASE_SECONDS: Final = 2


async def escrowed(engine: AsyncEngine, wallet: str) -> int | None:
    """Micro-dollars that have left the wallet for tasks that are not over. None: the database does not answer."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS), reading(engine) as connection:
            total: int = (await connection.execute(HELD_OF, {"account_id": wallet})).scalar_one()
            return total
    except (SQLAlchemyError, OSError, TimeoutError):
        return None

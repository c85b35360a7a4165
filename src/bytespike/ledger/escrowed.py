"""A wallet as the books have it, whichever process moved its money, for those who are told of it."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from sqlalchemy import Text, bindparam, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.ledger.account import Wallet
from bytespike.ledger.escrow_sql import HELD_OF
from bytespike.store.engine import reading
from bytespike.store.tables import accounts

#: A database that takes longer for one row does not answer.
DATABASE_SECONDS: Final = 2

_IN_BOOKS = select(accounts.c.balance, HELD_OF.scalar_subquery()).where(
    accounts.c.id == bindparam("account_id", type_=Text())
)


class InBooks(NamedTuple):
    """Micro-dollars. `balance`: less what this process has posted and not drained. `for_tasks`: what has left it for tasks
    that are not over."""

    balance: int
    for_tasks: int


async def in_books(engine: AsyncEngine, books: asyncio.Lock, wallet: Wallet) -> InBooks | None:
    """None: the database does not answer. `books` are locked meanwhile, so that nothing is drained in between and counts
    twice or not at all."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS), books, reading(engine) as connection:
            found = (await connection.execute(_IN_BOOKS, {"account_id": wallet.id})).first()
            return None if found is None else InBooks(int(found[0]) - wallet.undrained, int(found[1]))
    except (SQLAlchemyError, OSError, TimeoutError):
        return None

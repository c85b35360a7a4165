"""Console sessions: the hash of a cookie's value, and until when it counts."""

from __future__ import annotations

from msgspec import Struct, structs
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import first
from bytespike.store.tables import sessions


class SessionRow(Struct, frozen=True):
    token_hash: str
    user_id: str
    created_at: int
    expires_at: int


async def add(connection: AsyncConnection, row: SessionRow) -> None:
    """Also forgets the sessions that had ended by then."""
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= row.created_at))
    await connection.execute(insert(sessions).values(**structs.asdict(row)))


async def get(connection: AsyncConnection, token_hash: str) -> SessionRow | None:
    return await first(connection, select(sessions).where(sessions.c.token_hash == token_hash), SessionRow)


async def remove(connection: AsyncConnection, token_hash: str) -> None:
    await connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash))


async def remove_all_of(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))

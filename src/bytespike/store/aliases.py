"""Aliases that the operator set: other names, or patterns of names, for the catalog's models."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import every, insert
from bytespike.store.tables import aliases


class AliasRow(Struct, frozen=True):
    """`pattern`: an exact name, or a glob with * and ?. `model`: the catalog's slug."""

    pattern: str
    model: str
    created_at: int


async def add(connection: AsyncConnection, *, pattern: str, model: str, created_at: int) -> None:
    """Raises `InvalidRequest`: the pattern is taken."""
    values = {"pattern": pattern, "model": model, "created_at": created_at}
    taken = InvalidRequest(f"there is an alias {pattern!r} already; remove it first", param="pattern")
    await insert(connection, aliases, values, taken=taken)


async def remove(connection: AsyncConnection, pattern: str) -> bool:
    """Whether it was there."""
    result = await connection.execute(delete(aliases).where(aliases.c.pattern == pattern))
    return result.rowcount > 0


async def listing(connection: AsyncConnection) -> list[AliasRow]:
    return await every(connection, select(aliases).order_by(aliases.c.pattern), AliasRow)

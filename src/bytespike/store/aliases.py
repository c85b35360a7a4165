"""Aliases that the operator set: other names, or patterns of names, for the catalog's models."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct, structs
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import every, insert
from bytespike.store.tables import aliases

#: Who says so: a command, or the catalog file.
Source: TypeAlias = Literal["command", "file"]


class AliasRow(Struct, frozen=True):
    """`pattern`: an exact name, or a glob with * and ?. `model`: the catalog's slug. `thinking` and `substitute` as in
    `catalog.load.Alias`."""

    pattern: str
    model: str
    created_at: int
    thinking: bool = False
    substitute: bool = False
    source: Source = "command"


async def add(connection: AsyncConnection, row: AliasRow) -> None:
    """Raises `InvalidRequest`: the pattern is taken."""
    taken = InvalidRequest(f"there is an alias {row.pattern!r} already; remove it first", param="pattern")
    await insert(connection, aliases, structs.asdict(row), taken=taken)


async def get(connection: AsyncConnection, pattern: str) -> AliasRow | None:
    return next((row for row in await listing(connection) if row.pattern == pattern), None)


async def remove(connection: AsyncConnection, pattern: str) -> bool:
    """Whether it was there."""
    result = await connection.execute(delete(aliases).where(aliases.c.pattern == pattern))
    return result.rowcount > 0


async def listing(connection: AsyncConnection) -> list[AliasRow]:
    return await every(connection, select(aliases).order_by(aliases.c.pattern), AliasRow)

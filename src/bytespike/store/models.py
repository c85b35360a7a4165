"""The operator's models, as they were written."""

from __future__ import annotations

from msgspec import Struct, structs
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.aliases import Source
from bytespike.store.rows import every, first, insert
from bytespike.store.tables import models


class ModelRow(Struct, frozen=True):
    """`definition`: a `catalog.definition.ModelDefinition` as JSON."""

    slug: str
    definition: dict[str, object]
    source: Source
    created_at: int
    updated_at: int


async def add(connection: AsyncConnection, row: ModelRow) -> None:
    """Raises `InvalidRequest`: there is one of that slug."""
    taken = InvalidRequest(f"there is a model {row.slug!r} of yours already; update it", param="slug")
    await insert(connection, models, structs.asdict(row), taken=taken)


async def put(connection: AsyncConnection, row: ModelRow) -> None:
    """The row in the place of the one of the same slug, if there is one."""
    await remove(connection, row.slug)
    await add(connection, row)


async def remove(connection: AsyncConnection, slug: str) -> bool:
    """Whether it was there."""
    result = await connection.execute(delete(models).where(models.c.slug == slug))
    return result.rowcount > 0


async def get(connection: AsyncConnection, slug: str) -> ModelRow | None:
    return await first(connection, select(models).where(models.c.slug == slug), ModelRow)


async def listing(connection: AsyncConnection) -> list[ModelRow]:
    """In the order in which they were added."""
    return await every(connection, select(models).order_by(models.c.created_at, models.c.slug), ModelRow)

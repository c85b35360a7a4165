"""Rows of the object store: what it holds, and until when."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.media_tables import objects
from bytespike.store.rows import every, first


class ObjectRow(Struct, frozen=True):
    """Times in Unix microseconds. `stored_at` None: its bytes are not there yet, or never will be."""

    id: str
    key_id: str
    task_id: str | None
    content_type: str
    bytes: int
    width: int
    height: int
    duration_ms: int | None
    created_at: int
    stored_at: int | None
    expires_at: int


async def add(connection: AsyncConnection, row: ObjectRow) -> None:
    await connection.execute(objects.insert().values(structs.asdict(row)))


async def complete(connection: AsyncConnection, row: ObjectRow) -> bool:
    """Its bytes are there. Whether the row still was."""
    found = structs.asdict(row)
    done = await connection.execute(update(objects).where(objects.c.id == row.id).values(found))
    return done.rowcount > 0


async def get(connection: AsyncConnection, id: str) -> ObjectRow | None:
    return await first(connection, select(objects).where(objects.c.id == id), ObjectRow)


async def of_task(connection: AsyncConnection, task_id: str, key_id: str) -> list[ObjectRow]:
    """A task's, in no order."""
    query = select(objects).where(objects.c.key_id == key_id, objects.c.task_id == task_id)
    return await every(connection, query, ObjectRow)


async def expired(connection: AsyncConnection, now_us: int, limit: int) -> list[str]:
    """Ids, the oldest first."""
    query = (
        select(objects.c.id).where(objects.c.expires_at <= now_us).order_by(objects.c.expires_at).limit(limit)
    )
    return list((await connection.execute(query)).scalars())


async def remove(connection: AsyncConnection, ids: Iterable[str]) -> int:
    """How many rows there were."""
    done = await connection.execute(delete(objects).where(objects.c.id.in_(list(ids))))
    return done.rowcount

"""Responses that are kept for `previous_response_id`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import first
from bytespike.store.tables import responses

_COLUMNS = tuple(responses.c)


class ResponseRow(Struct, frozen=True):
    """Times in Unix microseconds. `input` and `body` are deflated JSON."""

    id: str
    key_id: str
    previous_id: str | None
    channel_id: str
    upstream_id: str | None
    input: bytes
    body: bytes
    created_at: int
    expires_at: int


async def add(connection: AsyncConnection, rows: Iterable[ResponseRow]) -> None:
    """An id that exists already is left as it is: a provider may give out the same one twice."""
    for row in rows:
        found = await connection.execute(select(responses.c.id).where(responses.c.id == row.id))
        if found.first() is None:
            await connection.execute(responses.insert().values(structs.asdict(row)))


async def get(connection: AsyncConnection, id: str, now_us: int) -> ResponseRow | None:
    """None where there is none, or where it has expired."""
    query = select(*_COLUMNS).where(responses.c.id == id, responses.c.expires_at > now_us)
    return await first(connection, query, ResponseRow)


async def remove(connection: AsyncConnection, id: str, key_id: str) -> bool:
    """Whether there was one."""
    done = await connection.execute(
        delete(responses).where(responses.c.id == id, responses.c.key_id == key_id)
    )
    return done.rowcount > 0


async def sweep(connection: AsyncConnection, now_us: int, limit: int) -> int:
    """Delete up to `limit` expired rows; how many there were."""
    expired = (
        select(responses.c.id)
        .where(responses.c.expires_at <= now_us)
        .order_by(responses.c.expires_at)
        .limit(limit)
    )
    done = await connection.execute(delete(responses).where(responses.c.id.in_(expired.scalar_subquery())))
    return done.rowcount

"""What has happened that somebody may want to be told of: rows that webhooks and notifications are made from."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import page
from bytespike.store.tables import events


class NewEvent(Struct, frozen=True):
    """`kind`: what happened ("wallet.low_balance"). `subject`: to what, an id. `at` Unix microseconds. `payload`: the rest,
    by name; amounts are USD as text."""

    kind: str
    subject: str
    at: int
    payload: Mapping[str, str]


class EventRow(Struct, frozen=True):
    """As `NewEvent`; `id` grows with each."""

    id: int
    kind: str
    subject: str
    at: int
    payload: dict[str, str]


async def add(connection: AsyncConnection, found: list[NewEvent]) -> None:
    """In the transaction in which it happens, so that it is told once."""
    await connection.execute(insert(events), [structs.asdict(each) for each in found])


async def listing(
    connection: AsyncConnection, *, kind: str | None = None, limit: int = 50, offset: int = 0
) -> tuple[list[EventRow], int]:
    """The newest first."""
    query = select(events).order_by(events.c.id.desc())
    if kind is not None:
        query = query.where(events.c.kind == kind)
    return await page(connection, query, EventRow, limit=limit, offset=offset)

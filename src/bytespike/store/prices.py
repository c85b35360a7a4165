"""Prices that the operator set. A row is never changed: a new price is a new row with its own `effective_at`."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import every
from bytespike.store.tables import prices


class PriceRow(Struct, frozen=True):
    """`rates`: the fields of `pricing.price.Price`. `channel_id` None: on every channel without its own."""

    id: int
    channel_id: str | None
    model: str
    rates: dict[str, object]
    effective_at: int
    created_at: int


async def add(
    connection: AsyncConnection,
    *,
    channel_id: str | None,
    model: str,
    rates: Mapping[str, object],
    effective_at: int,
    created_at: int,
) -> int:
    """The new price's id."""
    values = {
        "channel_id": channel_id,
        "model": model,
        "rates": dict(rates),
        "effective_at": effective_at,
        "created_at": created_at,
    }
    result = await connection.execute(prices.insert().values(**values).returning(prices.c.id))
    return int(result.scalar_one())


async def listing(connection: AsyncConnection, *, model: str | None = None) -> list[PriceRow]:
    """Every price, of the past and the future too: by model, the newest first. Of equal times the later row wins."""
    query = select(prices).order_by(prices.c.model, prices.c.effective_at.desc(), prices.c.id.desc())
    if model is not None:
        query = query.where(prices.c.model == model)
    return await every(connection, query, PriceRow)

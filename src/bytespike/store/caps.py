"""Caps on what a key spends on single models, and on what a member spends with all keys of an org."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import every
from bytespike.store.tables import caps


class CapRow(Struct, frozen=True):
    """`model`: "" for all of them. `span`: lifetime | 5h | 1d | 7d. `amount`: micro-dollars."""

    model: str
    span: str
    amount: int


async def of(connection: AsyncConnection, subject: str) -> list[CapRow]:
    """A key's or a member's, by model and span."""
    query = (
        select(caps.c.model, caps.c.span, caps.c.amount)
        .where(caps.c.subject == subject)
        .order_by(caps.c.model, caps.c.span)
    )
    return await every(connection, query, CapRow)


async def replace(connection: AsyncConnection, subject: str, model: str, rows: Iterable[CapRow]) -> None:
    """A subject's caps on one model are these, and no others."""
    await connection.execute(delete(caps).where(caps.c.subject == subject, caps.c.model == model))
    values = [{"subject": subject, "model": model, "span": row.span, "amount": row.amount} for row in rows]
    if values:
        await connection.execute(insert(caps), values)

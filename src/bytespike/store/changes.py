"""The change feed: what the control plane wrote, in order, so that running gateways forget what they knew of it.

A row is written in the transaction of the change that it announces. Whoever follows asks for ids above the last one
seen, so ids must become visible in their order: a row of a transaction that commits late must not have a lower id than
one that was seen. On SQLite transactions that write run one after the other anyway; on PostgreSQL those that announce do
(`in_turn`), since they are few.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import every
from bytespike.store.tables import changes

Kind: TypeAlias = Literal["key", "user", "org", "group", "channel", "price", "alias", "model", "wallet"]

#: Changes read at once.
BATCH_MAX = 1000
#: How long changes are kept. A gateway that heard nothing for half of it reads everything anew.
KEPT_US = 3_600 * 1_000_000


class Change(Struct, frozen=True):
    """`ref` is the id of what changed: of the key, user, org, group, channel or account; the model that
    changed, or whose price or alias did."""

    id: int
    kind: str
    ref: str


#: An arbitrary number that only transactions with changes lock.
_TURN = 7_302_118_448


async def in_turn(connection: AsyncConnection) -> None:
    """Wait until no other transaction that announces is open. It is best called first in a transaction: whoever holds
    rows already may keep waiting somebody who has the turn, and then the database ends one of them."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})


async def announce(connection: AsyncConnection, kind: Kind, ref: str, now_us: int) -> None:
    """Tell every gateway, once this transaction is committed, that something changed. Old changes go."""
    await in_turn(connection)
    newest = select(func.max(changes.c.id)).scalar_subquery()
    # The newest row stays whatever its age: SQLite gives out the highest id plus one.
    await connection.execute(delete(changes).where(changes.c.at < now_us - KEPT_US, changes.c.id < newest))
    await connection.execute(insert(changes).values(kind=kind, ref=ref, at=now_us))


async def newest(connection: AsyncConnection) -> int:
    """The id of the last change, 0 if there was none."""
    found = (await connection.execute(select(func.max(changes.c.id)))).scalar()
    return cast("int | None", found) or 0


async def since(connection: AsyncConnection, seen: int) -> list[Change]:
    """The changes after `seen`, oldest first, `BATCH_MAX` at most."""
    query = (
        select(changes.c.id, changes.c.kind, changes.c.ref)
        .where(changes.c.id > seen)
        .order_by(changes.c.id)
        .limit(BATCH_MAX)
    )
    return await every(connection, query, Change)

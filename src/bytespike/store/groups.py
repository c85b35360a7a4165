"""Routing groups, and the grants that exclusive ones need."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import every, first, insert
from bytespike.store.tables import grants, groups


class GroupRow(Struct, frozen=True):
    """`multiplier_ppm`: price multiplier in parts per million. `status`: active | disabled."""

    id: int
    name: str
    multiplier_ppm: int
    exclusive: bool
    status: str
    created_at: int


async def add(
    connection: AsyncConnection, *, name: str, multiplier_ppm: int, exclusive: bool, created_at: int
) -> int:
    """The new group's id. Raises `InvalidRequest`: the name is taken."""
    values = {
        "name": name,
        "multiplier_ppm": multiplier_ppm,
        "exclusive": exclusive,
        "status": "active",
        "created_at": created_at,
    }
    try:
        result = await connection.execute(groups.insert().values(**values).returning(groups.c.id))
    except IntegrityError:
        raise InvalidRequest(f"there is a group {name!r} already", param="name") from None
    return int(result.scalar_one())


async def get(connection: AsyncConnection, group_id: int) -> GroupRow | None:
    return await first(connection, select(groups).where(groups.c.id == group_id), GroupRow)


async def by_name(connection: AsyncConnection, name: str) -> GroupRow | None:
    return await first(connection, select(groups).where(groups.c.name == name), GroupRow)


async def change(connection: AsyncConnection, group_id: int, values: Mapping[str, object]) -> None:
    await connection.execute(update(groups).where(groups.c.id == group_id).values(**values))


async def listing(connection: AsyncConnection) -> list[GroupRow]:
    return await every(connection, select(groups).order_by(groups.c.id), GroupRow)


async def open_to(connection: AsyncConnection, user_id: str) -> list[GroupRow]:
    """The active groups that a user's keys may be bound to: those for all, and those granted."""
    granted = select(grants.c.group_id).where(grants.c.user_id == user_id)
    query = (
        select(groups)
        .where(groups.c.status == "active", or_(groups.c.exclusive.is_(False), groups.c.id.in_(granted)))
        .order_by(groups.c.id)
    )
    return await every(connection, query, GroupRow)


async def grant(connection: AsyncConnection, user_id: str, group_id: int, now_us: int) -> None:
    """Let a user into an exclusive group. Raises `InvalidRequest`: he is in it already."""
    values = {"user_id": user_id, "group_id": group_id, "created_at": now_us}
    taken = InvalidRequest("this user has been granted the group already", param="user")
    await insert(connection, grants, values, taken=taken)


async def withdraw(connection: AsyncConnection, user_id: str, group_id: int) -> bool:
    """Take a grant back; whether there was one."""
    result = await connection.execute(
        delete(grants).where(grants.c.user_id == user_id, grants.c.group_id == group_id)
    )
    return result.rowcount > 0

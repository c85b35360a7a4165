"""Members of organisations: whose keys draw on an org's wallet."""

from __future__ import annotations

from msgspec import Struct, structs
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import first, insert, page
from bytespike.store.tables import members, users

MEMBER_PREFIX = "member:"
#: The role of somebody who is a member no more.
FORMER = "former"


class MemberRow(Struct, frozen=True):
    """`id` names the member where caps and meters do. `role`: owner | admin | member | former."""

    id: str
    org_id: str
    user_id: str
    role: str
    created_at: int


class MemberAndUser(MemberRow, frozen=True):
    email: str


def member_id(org_id: str, user_id: str) -> str:
    """A member, as caps, meters and leases name him."""
    return f"{MEMBER_PREFIX}{org_id}/{user_id}"


async def add(connection: AsyncConnection, row: MemberRow) -> None:
    """Raises `InvalidRequest`: is one already."""
    taken = InvalidRequest("this user is a member of the organisation already", param="user")
    await insert(connection, members, structs.asdict(row), taken=taken)


async def get(connection: AsyncConnection, id: str) -> MemberRow | None:
    return await first(connection, select(members).where(members.c.id == id), MemberRow)


async def change_role(connection: AsyncConnection, id: str, role: str) -> None:
    await connection.execute(update(members).where(members.c.id == id).values(role=role))


async def listing(
    connection: AsyncConnection, org_id: str, *, limit: int = 50, offset: int = 0
) -> tuple[list[MemberAndUser], int]:
    """An org's that are members now, the oldest first."""
    query = (
        select(members, users.c.email)
        .select_from(members.join(users, users.c.id == members.c.user_id))
        .where(members.c.org_id == org_id, members.c.role != FORMER)
        .order_by(members.c.created_at, members.c.id)
    )
    return await page(connection, query, MemberAndUser, limit=limit, offset=offset)

"""Users: who signs in, and whose keys and wallets there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import first, insert, page
from bytespike.store.tables import users


class UserRow(Struct, frozen=True):
    """`role`: user | admin. `tier`: free | pro | max | enterprise. `concurrency`, `rpm`: None for the tier's own."""

    id: str
    email: str
    role: str
    tier: str
    concurrency: int | None
    rpm: int | None
    status: str
    created_at: int


_COLUMNS = tuple(users.c[name] for name in UserRow.__struct_fields__)


async def add(connection: AsyncConnection, row: UserRow, password_hash: str | None) -> None:
    """Raises `InvalidRequest`: the email is taken."""
    values = {name: getattr(row, name) for name in UserRow.__struct_fields__}
    taken = InvalidRequest(f"there is a user {row.email} already", param="email")
    await insert(connection, users, {**values, "password_hash": password_hash}, taken=taken)


async def get(connection: AsyncConnection, user_id: str) -> UserRow | None:
    return await first(connection, select(*_COLUMNS).where(users.c.id == user_id), UserRow)


async def by_email(connection: AsyncConnection, email: str) -> UserRow | None:
    return await first(connection, select(*_COLUMNS).where(users.c.email == email), UserRow)


async def password_hash(connection: AsyncConnection, user_id: str) -> str | None:
    found = (await connection.execute(select(users.c.password_hash).where(users.c.id == user_id))).scalar()
    return cast("str | None", found)


async def change(connection: AsyncConnection, user_id: str, values: Mapping[str, object]) -> None:
    await connection.execute(update(users).where(users.c.id == user_id).values(**values))


async def listing(
    connection: AsyncConnection, *, limit: int = 50, offset: int = 0
) -> tuple[list[UserRow], int]:
    """The oldest first."""
    query = select(*_COLUMNS).order_by(users.c.created_at, users.c.id)
    return await page(connection, query, UserRow, limit=limit, offset=offset)

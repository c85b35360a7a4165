"""Organisations: a wallet that several users' keys may draw on."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import first, insert, page
from bytespike.store.tables import orgs


class OrgRow(Struct, frozen=True):
    """`status`: active | paused."""

    id: str
    name: str
    status: str
    created_at: int


async def add(connection: AsyncConnection, row: OrgRow) -> None:
    """Raises `InvalidRequest`: the name is taken."""
    taken = InvalidRequest(f"there is an organisation {row.name!r} already", param="name")
    await insert(connection, orgs, structs.asdict(row), taken=taken)


async def get(connection: AsyncConnection, org_id: str) -> OrgRow | None:
    return await first(connection, select(orgs).where(orgs.c.id == org_id), OrgRow)


async def by_name(connection: AsyncConnection, name: str) -> OrgRow | None:
    return await first(connection, select(orgs).where(orgs.c.name == name), OrgRow)


async def change(connection: AsyncConnection, org_id: str, values: Mapping[str, object]) -> None:
    await connection.execute(update(orgs).where(orgs.c.id == org_id).values(**values))


async def listing(
    connection: AsyncConnection, *, limit: int = 50, offset: int = 0
) -> tuple[list[OrgRow], int]:
    query = select(orgs).order_by(orgs.c.created_at, orgs.c.id)
    return await page(connection, query, OrgRow, limit=limit, offset=offset)

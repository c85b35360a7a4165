"""Rows in and out: query results as frozen structs, and inserts that say when something exists already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import Executable, Table, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from bytespike.errors import GatewayError

T = TypeVar("T")


async def every(connection: AsyncConnection, query: Executable, kind: type[T]) -> list[T]:
    """All rows of a query, as structs whose fields are named like its columns."""
    result = await connection.execute(query)
    # SQLAlchemy's names are a subclass of str, which msgspec does not take for keys.
    names = list(map(str, result.keys()))
    return [msgspec.convert(dict(zip(names, row, strict=True)), kind) for row in result]


async def first(connection: AsyncConnection, query: Executable, kind: type[T]) -> T | None:
    """The first row of a query that has few, or None."""
    rows = await every(connection, query, kind)
    return rows[0] if rows else None


async def page(
    connection: AsyncConnection, query: Select[*tuple[object, ...]], kind: type[T], *, limit: int, offset: int
) -> tuple[list[T], int]:
    """Some rows of an ordered query, and how many it has in all."""
    counted = select(func.count()).select_from(query.order_by(None).subquery())
    total = (await connection.execute(counted)).scalar_one()
    return await every(connection, query.limit(limit).offset(offset), kind), total


async def insert(
    connection: AsyncConnection, table: Table, *rows: Mapping[str, object], taken: GatewayError
) -> None:
    """Insert rows; raises `taken` where a unique column has the value already."""
    if not rows:
        return
    try:
        await connection.execute(table.insert(), [dict(row) for row in rows])
    except IntegrityError as error:
        if "unique" in str(error.orig).lower():
            raise taken from None
        raise

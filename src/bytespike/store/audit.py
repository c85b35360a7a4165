"""The audit log: who did what to what, in the transaction in which it was done. Secrets never go in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.rows import page
from bytespike.store.tables import audit_log

#: What a detail may be: flat, so that nobody stores a whole object, with its secrets, by mistake.
Detail: TypeAlias = str | int | bool | None


class AuditRow(Struct, frozen=True):
    """`actor`: "cli", "user:<id>" or "key:<id>". `action`: "keys.rotate" and the like. `target`: an id."""

    id: int
    at: int
    actor: str
    action: str
    target: str
    detail: dict[str, Detail]


async def record(
    connection: AsyncConnection,
    *,
    at: int,
    actor: str,
    action: str,
    target: str,
    detail: Mapping[str, Detail],
) -> None:
    values = {"at": at, "actor": actor, "action": action, "target": target, "detail": dict(detail)}
    await connection.execute(insert(audit_log).values(values))


async def listing(
    connection: AsyncConnection, *, target: str | None = None, limit: int = 50, offset: int = 0
) -> tuple[list[AuditRow], int]:
    """The newest first."""
    query = select(audit_log).order_by(audit_log.c.id.desc())
    if target is not None:
        query = query.where(audit_log.c.target == target)
    return await page(connection, query, AuditRow, limit=limit, offset=offset)

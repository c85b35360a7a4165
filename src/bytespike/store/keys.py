"""API keys. Lists and lookups never read the sealed plaintext; only `sealed` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import every, first, insert, page
from bytespike.store.tables import keys, orgs, users


class KeyRow(Struct, frozen=True):
    """Money in micro-dollars, 0 unlimited; times in Unix microseconds. `status`: active | disabled | revoked."""

    id: str
    name: str
    masked: str
    user_id: str
    org_id: str | None
    group_id: int
    quota: int
    limit_5h: int
    limit_1d: int
    limit_7d: int
    ip_whitelist: tuple[str, ...]
    ip_blacklist: tuple[str, ...]
    allowed_models: tuple[str, ...] | None
    status: str
    expires_at: int | None
    spent: int
    created_at: int


class KeyAndOwner(KeyRow, frozen=True):
    """A key with what the data plane needs of those above it. `org_status` is None for a key of no org."""

    hash: str
    owner_status: str
    tier: str
    concurrency: int | None
    rpm: int | None
    org_status: str | None


class SealedKey(Struct, frozen=True):
    id: str
    secret: bytes


_COLUMNS = tuple(keys.c[name] for name in KeyRow.__struct_fields__)


async def add(connection: AsyncConnection, row: KeyRow, *, hash: str, secret: bytes) -> None:
    """`secret` is the sealed plaintext. Raises `InvalidRequest`: the key itself is taken."""
    values = {name: getattr(row, name) for name in KeyRow.__struct_fields__}
    taken = InvalidRequest("this custom key cannot be used", param="custom_key")
    await insert(connection, keys, {**values, "hash": hash, "secret": secret}, taken=taken)


async def get(connection: AsyncConnection, key_id: str) -> KeyRow | None:
    return await first(connection, select(*_COLUMNS).where(keys.c.id == key_id), KeyRow)


async def by_hash(connection: AsyncConnection, hash: str) -> KeyAndOwner | None:
    """What a request's key is, in one query over three primary or unique keys."""
    query = (
        select(
            *_COLUMNS,
            keys.c.hash,
            users.c.status.label("owner_status"),
            users.c.tier,
            users.c.concurrency,
            users.c.rpm,
            orgs.c.status.label("org_status"),
        )
        .select_from(
            keys.join(users, users.c.id == keys.c.user_id).outerjoin(orgs, orgs.c.id == keys.c.org_id)
        )
        .where(keys.c.hash == hash)
    )
    return await first(connection, query, KeyAndOwner)


async def sealed(connection: AsyncConnection, key_id: str) -> bytes | None:
    """The sealed plaintext, for the audited reveal."""
    found = (await connection.execute(select(keys.c.secret).where(keys.c.id == key_id))).scalar()
    return cast("bytes | None", found)


async def sealed_after(connection: AsyncConnection, key_id: str, *, limit: int) -> list[SealedKey]:
    """Some sealed plaintexts, by id, from the one after `key_id` on: to look at all of them piece by piece."""
    query = select(keys.c.id, keys.c.secret).where(keys.c.id > key_id).order_by(keys.c.id).limit(limit)
    return await every(connection, query, SealedKey)


async def usable_ids(connection: AsyncConnection, *, user_id: str, org_id: str) -> list[str]:
    """The keys of a member that are not revoked."""
    query = (
        select(keys.c.id)
        .where(keys.c.user_id == user_id, keys.c.org_id == org_id, keys.c.status != "revoked")
        .order_by(keys.c.id)
    )
    return list((await connection.execute(query)).scalars())


async def change(connection: AsyncConnection, key_id: str, values: Mapping[str, object]) -> None:
    await connection.execute(update(keys).where(keys.c.id == key_id).values(**values))


async def listing(
    connection: AsyncConnection,
    *,
    user_id: str | None = None,
    status: str | None = None,
    revoked: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[KeyRow], int]:
    """The newest first; of one user, of one status, with or without the revoked."""
    query = select(*_COLUMNS).order_by(keys.c.created_at.desc(), keys.c.id.desc())
    if user_id is not None:
        query = query.where(keys.c.user_id == user_id)
    if status is not None:
        query = query.where(keys.c.status == status)
    elif not revoked:
        query = query.where(keys.c.status != "revoked")
    return await page(connection, query, KeyRow, limit=limit, offset=offset)

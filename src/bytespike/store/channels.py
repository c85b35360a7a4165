"""Channels, the models that they serve and the groups that they are in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import delete, select, update
from sqlalchemy import insert as insert_into
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest
from bytespike.store.rows import every, first, insert
from bytespike.store.tables import channel_groups, channel_models, channels


class ChannelRow(Struct, frozen=True):
    """A channel without its secrets. `base_urls` by dialect; `timeouts` in seconds."""

    id: str
    name: str
    platform: str
    base_urls: dict[str, str]
    priority: int
    weight: int
    region: str
    rpm: int | None
    tpm: int | None
    enabled: bool
    disabled_reason: str | None
    headers: dict[str, str]
    timeouts: dict[str, float]
    created_at: int


class Sealed(Struct, frozen=True):
    """A channel's secrets as they are stored."""

    id: str
    credential: bytes
    proxy: bytes | None


class ServedModel(Struct, frozen=True):
    """`model` is the catalog's slug, `upstream_model` the upstream's own name."""

    channel_id: str
    model: str
    upstream_model: str


class Membership(Struct, frozen=True):
    channel_id: str
    group_id: int


_COLUMNS = tuple(channels.c[name] for name in ChannelRow.__struct_fields__)


async def add(
    connection: AsyncConnection,
    row: ChannelRow,
    sealed: Sealed,
    models: Mapping[str, str],
    group_ids: Iterable[int],
) -> None:
    """`models`: upstream names by slug. Raises `InvalidRequest`: the name is taken."""
    values = {name: getattr(row, name) for name in ChannelRow.__struct_fields__}
    values |= {"credential": sealed.credential, "proxy": sealed.proxy}
    taken = InvalidRequest(f"there is a channel {row.name!r} already", param="name")
    await insert(connection, channels, values, taken=taken)
    await put_models(connection, row.id, models)
    await put_groups(connection, row.id, group_ids)


async def put_models(connection: AsyncConnection, channel_id: str, models: Mapping[str, str]) -> None:
    """Replace the models that a channel serves."""
    await connection.execute(delete(channel_models).where(channel_models.c.channel_id == channel_id))
    rows = [
        {"channel_id": channel_id, "model": model, "upstream_model": upstream}
        for model, upstream in models.items()
    ]
    if rows:
        await connection.execute(insert_into(channel_models), rows)


async def put_groups(connection: AsyncConnection, channel_id: str, group_ids: Iterable[int]) -> None:
    """Replace the groups that a channel is in."""
    await connection.execute(delete(channel_groups).where(channel_groups.c.channel_id == channel_id))
    rows = [{"channel_id": channel_id, "group_id": group_id} for group_id in dict.fromkeys(group_ids)]
    if rows:
        await connection.execute(insert_into(channel_groups), rows)


async def change(connection: AsyncConnection, channel_id: str, values: Mapping[str, object]) -> None:
    await connection.execute(update(channels).where(channels.c.id == channel_id).values(**values))


async def remove(connection: AsyncConnection, channel_id: str) -> None:
    """Its models, groups and own prices go with it; usage rows keep its id."""
    await connection.execute(delete(channels).where(channels.c.id == channel_id))


async def get(connection: AsyncConnection, channel_id: str) -> ChannelRow | None:
    return await first(connection, select(*_COLUMNS).where(channels.c.id == channel_id), ChannelRow)


async def by_name(connection: AsyncConnection, name: str) -> ChannelRow | None:
    return await first(connection, select(*_COLUMNS).where(channels.c.name == name), ChannelRow)


async def listing(connection: AsyncConnection) -> list[ChannelRow]:
    """In the order in which routing tries them."""
    return await every(
        connection, select(*_COLUMNS).order_by(channels.c.priority, channels.c.name), ChannelRow
    )


async def all_sealed(connection: AsyncConnection) -> list[Sealed]:
    query = select(channels.c.id, channels.c.credential, channels.c.proxy)
    return await every(connection, query, Sealed)


async def sealed(connection: AsyncConnection, channel_id: str) -> Sealed | None:
    query = select(channels.c.id, channels.c.credential, channels.c.proxy).where(channels.c.id == channel_id)
    return await first(connection, query, Sealed)


async def served(connection: AsyncConnection) -> list[ServedModel]:
    """Which channel serves which model, of all channels."""
    query = select(channel_models).order_by(channel_models.c.channel_id, channel_models.c.model)
    return await every(connection, query, ServedModel)


async def memberships(connection: AsyncConnection) -> list[Membership]:
    """Which channel is in which group, of all channels."""
    return await every(connection, select(channel_groups).order_by(channel_groups.c.group_id), Membership)

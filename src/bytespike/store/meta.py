"""Single facts about this installation."""

from __future__ import annotations

from typing import cast

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.store.tables import meta

#: A known text sealed with the master key, in hexadecimal: tells a wrong key at boot.
MASTER_KEY_CHECK = "master_key_check"
#: The id of the key that `bytespike demo` prints.
DEMO_KEY = "demo_key"
#: The names of the channels that `bytespike demo` has made, with spaces between them.
DEMO_CHANNELS = "demo_channels"


async def get(connection: AsyncConnection, name: str) -> str | None:
    found = (await connection.execute(select(meta.c.value).where(meta.c.name == name))).scalar()
    return cast("str | None", found)


async def put(connection: AsyncConnection, name: str, value: str) -> None:
    """Set a fact, whether or not it was there."""
    await connection.execute(delete(meta).where(meta.c.name == name))
    await connection.execute(insert(meta).values(name=name, value=value))

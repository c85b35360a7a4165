"""What the tests of kept responses need of a gateway: further channels, its rows, and the same gateway once more."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.store import tables
from tests.support.gateway import RunningGateway

_PREFIXES = {"openai_responses": "/openai/v1", "anthropic_messages": "/anthropic"}


class ReopenedGateway(RunningGateway):
    """On the data of one that has stopped: its users, keys and channels are there already."""

    async def _furnish(self) -> None:
        await self.application.parts.directory.poll()


def add_channel(gateway: RunningGateway, dialect: str, model: str, credential: str) -> str:
    """A channel of the same simulator, asked when the first cannot be. Another `credential` is another account."""

    async def add() -> str:
        async with gateway.application.control.writing("test") as write:
            (group_id, *_) = (await channels.listing(write.connection))[0].group_ids
            made = await channels.create(
                write,
                NewChannel(
                    name=f"second-{dialect}",
                    platform="simulator",
                    credential=credential,
                    base_urls={
                        **dict.fromkeys(
                            ("anthropic_messages", "openai_chat", "openai_responses", "gemini"), ""
                        ),
                        dialect: gateway.sim.base_url + _PREFIXES[dialect],
                    },
                    models={model: model},
                    group_ids=(group_id,),
                    priority=9,
                ),
            )
        await gateway.application.parts.directory.poll()
        return made.channel.id

    return gateway.run(add())


def switch(gateway: RunningGateway, name: str, *, enabled: bool) -> None:
    """Enable or disable a channel by its name."""
    _change(gateway, name, ChannelChanges(enabled=enabled))


def credential(gateway: RunningGateway, name: str, secret: str) -> None:
    """Give a channel another credential."""
    _change(gateway, name, ChannelChanges(credential=secret))


def _change(gateway: RunningGateway, name: str, changes: ChannelChanges) -> None:
    async def change() -> None:
        async with gateway.application.control.writing("test") as write:
            (found,) = [
                view for view in await channels.listing(write.connection) if view.channel.name == name
            ]
            await channels.update(write, found.channel.id, changes)
        await gateway.application.parts.directory.poll()

    gateway.run(change())


def kept_rows(gateway: RunningGateway, id: str = "") -> int:
    """How many responses are in the database, expired ones too."""
    query = select(func.count()).select_from(tables.responses)
    if id:
        query = query.where(tables.responses.c.id == id)

    async def count() -> Any:
        async with gateway.application.control.reading() as connection:
            return (await connection.execute(query)).scalar()

    return gateway.run(count())


def expire(gateway: RunningGateway, id: str) -> None:
    """Let the time of a kept response be over."""

    async def change() -> None:
        async with gateway.application.engine.begin() as connection:
            query = update(tables.responses).where(tables.responses.c.id == id).values(expires_at=1)
            assert (await connection.execute(query)).rowcount == 1

    gateway.run(change())

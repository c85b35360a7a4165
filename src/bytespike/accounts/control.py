"""The control plane's way to write: one transaction with its audit rows and change rows, or nothing.

    async with control.writing("cli") as write:
        user = await users.create(write, NewUser(email="ada@example.com"))
        await keys.create(write, NewKey(name="first", user_id=user.id, group_id=1))

Everything that a service does in the block is committed together when it ends, and undone when it raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.accounts.secrets import SecretBox
from bytespike.clock import Clock
from bytespike.store import audit, changes
from bytespike.store.engine import reading


@dataclass(frozen=True, slots=True)
class Write:
    """One transaction of the control plane. `actor`: who does it ("cli", "user:<id>", "key:<id>"). `now_us`: the one
    time that all its rows carry."""

    connection: AsyncConnection
    box: SecretBox
    now_us: int
    actor: str

    async def note(
        self, action: str, target: str, kind: changes.Kind | None, ref: str = "", **detail: audit.Detail
    ) -> None:
        """Leave an audit row, and (with `kind`) tell running gateways. `ref`: what changed, where it is not the
        target. `detail` must not hold a secret."""
        await audit.record(
            self.connection, at=self.now_us, actor=self.actor, action=action, target=target, detail=detail
        )
        if kind is not None:
            await changes.announce(self.connection, kind, ref or target, self.now_us)


@dataclass(frozen=True, slots=True)
class Control:
    """What services need: the database, the master key's box, the time."""

    engine: AsyncEngine
    box: SecretBox
    clock: Clock

    @asynccontextmanager
    async def writing(self, actor: str) -> AsyncGenerator[Write]:
        async with self.engine.begin() as connection:
            await changes.in_turn(connection)
            yield Write(connection, self.box, self.clock.now_us(), actor)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        async with reading(self.engine) as connection:
            yield connection

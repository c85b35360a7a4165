"""A control plane on a fresh database, for tests that need the real thing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bytespike.accounts import channels, groups, keys, users
from bytespike.accounts.channels import ChannelView, NewChannel
from bytespike.accounts.control import Control
from bytespike.accounts.directory import Directory
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import MintedKey, NewKey
from bytespike.accounts.passwords import hash_password
from bytespike.accounts.secrets import SecretBox
from bytespike.accounts.users import NewUser
from bytespike.clock import SystemClock
from bytespike.pricing.price import Price
from bytespike.store.engine import create_engine, migrate
from bytespike.store.groups import GroupRow
from bytespike.store.users import UserRow

MASTER_KEY = bytes(range(32))
DEFAULT_PRICE = Price(input=1_000_000, output=2_000_000)


class SteppedClock:
    """The system's clock, which a test can move."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.ahead_us = 0

    def now_us(self) -> int:
        return self._system.now_us() + self.ahead_us

    def monotonic_ns(self) -> int:
        return self._system.monotonic_ns() + self.ahead_us * 1000


@dataclass
class Plane:
    """`default_prices`: what the catalog is taken to say."""

    control: Control
    clock: SteppedClock
    default_prices: dict[str, Price]

    def directory(self, **options: int | float) -> Directory:
        return Directory(
            self.control.engine, self.control.box, self.clock, self.default_prices.get, **options
        )

    async def user(
        self, email: str = "ada@example.com", password: str | None = None, **fields: str
    ) -> UserRow:
        hashed = None if password is None else await hash_password(password)
        async with self.control.writing("test") as write:
            return await users.create(write, NewUser(email=email, password_hash=hashed, **fields))

    async def group(self, name: str = "default", **fields: int | bool) -> GroupRow:
        async with self.control.writing("test") as write:
            return await groups.create(write, NewGroup(name=name, **fields))

    async def key(self, user: UserRow, group: GroupRow, **fields: object) -> MintedKey:
        async with self.control.writing("test") as write:
            new = NewKey(**{"name": "a key", "user_id": user.id, "group_id": group.id, **fields})
            return await keys.create(write, new)

    async def channel(
        self, group: GroupRow, name: str = "first", models: Mapping[str, str] | None = None, **fields: object
    ) -> ChannelView:
        async with self.control.writing("test") as write:
            new = NewChannel(
                **{
                    "name": name,
                    "platform": "openai",
                    "credential": "upstream-secret",
                    "base_urls": {"openai_chat": "https://api.example.com/v1"},
                    "models": models or {"gpt-5-5": "gpt-5.5"},
                    "group_ids": (group.id,),
                    **fields,
                }
            )
            return await channels.create(write, new)


@asynccontextmanager
async def plane(folder: Path) -> AsyncGenerator[Plane]:
    """A migrated SQLite database in `folder`, with a fixed master key."""
    engine = create_engine(f"sqlite:///{folder}/bytespike.db")
    try:
        await migrate(engine)
        clock = SteppedClock()
        default_prices = {"gpt-5-5": DEFAULT_PRICE, "claude-sonnet-4-6": DEFAULT_PRICE}
        yield Plane(Control(engine, SecretBox(MASTER_KEY), clock), clock, default_prices)
    finally:
        await engine.dispose()

"""The management API over the real parts of a gateway, with a client that speaks ASGI to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from bytespike.accounts import channels, groups, keys, users
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import MintedKey, NewKey
from bytespike.accounts.passwords import hash_password
from bytespike.accounts.users import NewUser
from bytespike.app import Application, assemble
from bytespike.http.management.app import create_management_app
from bytespike.settings import Settings, load
from bytespike.store.groups import GroupRow
from bytespike.store.users import UserRow

PASSWORD = "correct horse battery"
HOST = "gateway.test"


@dataclass
class Managed:
    """`ada` owns `key`; `client` sends no credential of its own."""

    application: Application
    settings: Settings
    client: httpx2.AsyncClient
    ada: UserRow
    group: GroupRow
    key: MintedKey

    def with_key(self, plaintext: str | None = None) -> dict[str, str]:
        return {"x-api-key": plaintext or self.key.plaintext}

    async def user(self, email: str) -> UserRow:
        hashed = await hash_password(PASSWORD)
        async with self.application.control.writing("test") as write:
            return await users.create(write, NewUser(email=email, password_hash=hashed))

    async def new_key(self, user: UserRow, **fields: object) -> MintedKey:
        async with self.application.control.writing("test") as write:
            new = NewKey(**{"name": "k", "user_id": user.id, "group_id": self.group.id, **fields})
            return await keys.create(write, new)


@asynccontextmanager
async def managed(folder: Path, **given: object) -> AsyncGenerator[Managed]:
    """A gateway without a socket on a fresh database: one user, one group, one channel, one key."""
    settings = load({"data_dir": folder, "change_poll_ms": 20, **given})
    async with assemble(settings) as application:
        hashed = await hash_password(PASSWORD)
        async with application.control.writing("test") as write:
            ada = await users.create(write, NewUser(email="ada@example.com", password_hash=hashed))
            group = await groups.create(write, NewGroup(name="default"))
            await channels.create(
                write,
                NewChannel(
                    name="main",
                    platform="simulator",
                    credential="upstream-credential",
                    base_urls={"openai_chat": "http://127.0.0.1:9/v1"},
                    models={"gpt-5-5": "gpt-5.5"},
                    group_ids=(group.id,),
                ),
            )
            key = await keys.create(write, NewKey(name="first", user_id=ada.id, group_id=group.id))
        await application.parts.directory.poll()
        app = create_management_app(application.parts, application.control, settings)
        transport = httpx2.ASGITransport(app=app, client=("192.0.2.7", 1234))
        async with httpx2.AsyncClient(transport=transport, base_url=f"https://{HOST}/api/v1") as client:
            yield Managed(application, settings, client, ada, group, key)

"""`bytespike demo`: the whole thing running in one command, with the simulator as its upstream. `make run` calls it.

The first run makes an administrator, a group, two simulator channels, and a key whose wallet is funded. Later runs keep
all of it, whatever was changed since; only the simulator's port, which is another one each time, is written into its
channels.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping

import typer
from msgspec import Struct

from bytespike.accounts import channels, groups, keys, users
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.accounts.control import Write
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.accounts.master_key import create_private, read_private
from bytespike.accounts.passwords import generate_password, hash_password, verify_password
from bytespike.accounts.users import NewUser
from bytespike.app import serve
from bytespike.catalog.models import Model
from bytespike.cli.command import AsJSON, errors_told
from bytespike.cli.desk import Desk, open_desk
from bytespike.cli.serve import DEFAULT_GROUP, stopped_cleanly
from bytespike.cli.simulator_process import SimulatorProcess
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd, parse_usd
from bytespike.settings import load
from bytespike.store import channels as stored_channels
from bytespike.store import groups as stored_groups
from bytespike.store import meta
from bytespike.store import users as stored_users
from bytespike.store.wallets import user_wallet

ACTOR = "demo"
ADMIN_EMAIL = "admin@localhost"
PASSWORD_FILE = "admin-password"
FIRST_USD = "100"
FAMILY_OF_ANTHROPIC = "claude"

#: The channels, and for each: the dialect that it speaks, and the path under the simulator's address.
CHANNELS: Mapping[str, tuple[str, str]] = {
    "simulator-anthropic": ("anthropic_messages", "/anthropic"),
    "simulator-openai": ("openai_chat", "/openai/v1"),
}


class Demo(Struct, frozen=True):
    """What is printed. `password` and `key` are None where they are not ours to tell any more. Its repr hides them."""

    email: str
    password: str | None
    key: str | None
    key_status: str
    balance: int

    def __repr__(self) -> str:
        return f"Demo(email={self.email!r})"


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    app.command("demo", epilog="PORT and DATA_DIR say where it listens and what it keeps.")(demo)


def demo(as_json: AsJSON = False) -> None:
    """Run the gateway with the simulator as its upstream, and print a login, a key, and calls that work when pasted."""
    with errors_told(), stopped_cleanly():
        settings = load()
        with SimulatorProcess() as simulator:
            made = asyncio.run(prepare(simulator.base_url))

            def announce(base_url: str) -> None:
                facts = described(made, base_url)
                sys.stdout.write(json.dumps(facts, indent=2) + "\n" if as_json else welcome(made, base_url))
                sys.stdout.flush()

            serve(settings, announce)


async def prepare(simulator_url: str) -> Demo:
    """Everything that the printed calls need, made where it is missing. A crash in the middle does no harm."""
    async with open_desk({}, first_run=True) as desk:
        password_file = desk.settings.data_dir / PASSWORD_FILE
        async with desk.reading() as connection:
            first_run = await meta.get(connection, meta.DEMO_KEY) is None
            admin = await stored_users.by_email(connection, ADMIN_EMAIL)
            hashed = None if admin is None else await stored_users.password_hash(connection, admin.id)
        if admin is None:
            create_private(password_file, generate_password() + "\n")
        password = read_private(password_file).strip() if password_file.exists() else None
        if admin is None and password is not None:
            hashed = await hash_password(password)
        elif password is not None and not await verify_password(hashed, password):
            # It was changed since: what the file says is of no use to anybody.
            password = None
        async with desk.control.writing(ACTOR) as write:
            if first_run:
                await _make(desk, write, simulator_url, hashed)
            else:
                await _follow(write, simulator_url)
        return await _facts(desk, password)


async def _make(desk: Desk, write: Write, simulator_url: str, password_hash: str | None) -> None:
    connection = write.connection
    admin = await stored_users.by_email(connection, ADMIN_EMAIL)
    if admin is None:
        admin = await users.create(
            write, NewUser(email=ADMIN_EMAIL, password_hash=password_hash, role="admin", tier="max")
        )
    group = await stored_groups.by_name(connection, DEFAULT_GROUP)
    if group is None:
        group = await groups.create(write, NewGroup(name=DEFAULT_GROUP))
    for name, (dialect, path) in CHANNELS.items():
        if await stored_channels.by_name(connection, name) is None:
            new = NewChannel(
                name=name,
                platform="simulator",
                credential="simulator",
                base_urls={dialect: simulator_url + path},
                models={
                    model.slug: model.vendor_id
                    for model in desk.shipped.models.values()
                    if _serves(name, model)
                },
                group_ids=(group.id,),
            )
            await channels.create(write, new)
    minted = await keys.create(write, NewKey(name="first key", user_id=admin.id, group_id=group.id))
    await meta.put(connection, meta.DEMO_KEY, minted.row.id)


def _serves(channel: str, model: Model) -> bool:
    native = model.family == FAMILY_OF_ANTHROPIC
    return model.kind == "text" and native == (channel == "simulator-anthropic")


async def _follow(write: Write, simulator_url: str) -> None:
    """The simulator listens on another port than last time."""
    for name, (dialect, path) in CHANNELS.items():
        row = await stored_channels.by_name(write.connection, name)
        base_urls = {dialect: simulator_url + path}
        if row is not None and row.platform == "simulator" and row.base_urls != base_urls:
            await channels.update(write, row.id, ChannelChanges(base_urls=base_urls))


async def _facts(desk: Desk, password: str | None) -> Demo:
    async with desk.control.writing(ACTOR) as write:
        key_id = await meta.get(write.connection, meta.DEMO_KEY) or ""
        key = await keys.get(write.connection, key_id)
        plaintext = None
        if key.status != "revoked":
            plaintext = (await keys.reveal(write, key_id)).plaintext
    account = user_wallet(key.user_id)
    # With its idempotency key it happens once, also when the first run was cut off before it.
    await transfers.topup(
        desk.engine,
        account,
        parse_usd(FIRST_USD),
        actor=ACTOR,
        now_us=desk.control.clock.now_us(),
        note="for trying things out",
        idempotency_key="demo-first-topup",
    )
    balance = await transfers.balance(desk.engine, account)
    return Demo(ADMIN_EMAIL, password, plaintext, key.status, balance)


def described(made: Demo, base_url: str) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "base_url": base_url,
        "upstream": "simulator",
        "admin": {"email": made.email, "password": made.password},
        "key": made.key,
        "balance": format_usd(made.balance),
        "curl": None if made.key is None else curls(base_url, made.key),
    }


def curls(base_url: str, key: str) -> dict[str, str]:
    """One call for each dialect, ready to paste into a shell."""
    hello = [{"role": "user", "content": "Say hello."}]
    calls: dict[str, tuple[str, list[str], dict[str, object]]] = {
        "anthropic_messages": (
            "/v1/messages",
            [f"x-api-key: {key}", "anthropic-version: 2023-06-01"],
            {"model": "claude-sonnet-4-6", "max_tokens": 256, "messages": hello},
        ),
        "openai_chat": (
            "/v1/chat/completions",
            [f"Authorization: Bearer {key}"],
            {"model": "gpt-5-5", "messages": hello},
        ),
    }
    return {
        dialect: " \\\n    ".join(
            [
                f"curl -sS {shlex.quote(base_url + path)}",
                *(f"-H {shlex.quote(header)}" for header in [*headers, "content-type: application/json"]),
                f"-d {shlex.quote(json.dumps(body))}",
            ]
        )
        for dialect, (path, headers, body) in calls.items()
    }


def welcome(made: Demo, base_url: str) -> str:
    """What people read."""
    password = made.password or "(the one that you set)"
    lines = [
        "",
        f"ByteSpike listens at {base_url}",
        "Its upstream is the built-in simulator: no answer comes from a real model.",
        "",
        f"  admin login   {made.email}",
        f"  password      {password}",
    ]
    if made.key is None:
        lines += [f"  first key     ({made.key_status}; make another with `bytespike keys create`)", ""]
        return "\n".join(lines) + "\n"
    lines += [f"  first key     {made.key}", f"  its wallet    ${format_usd(made.balance)}", ""]
    for dialect, call in curls(base_url, made.key).items():
        lines += [f"{dialect}:", "", f"  {call}", ""]
    lines += ["Ctrl-C stops it; the next run keeps everything.", ""]
    return "\n".join(lines)

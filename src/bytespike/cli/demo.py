"""`bytespike demo`: the whole thing running in one command, with the simulator as its upstream. `make run` calls it.

The first run makes an administrator, a group, channels for the four dialects, for images and for videos
(`demo_channels.py`), and a key whose wallet is funded. Later runs keep all of it, whatever was changed since.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys

import typer
from msgspec import Struct

from bytespike.accounts import groups, keys, users
from bytespike.accounts.control import Write
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.accounts.master_key import create_private, read_private
from bytespike.accounts.passwords import generate_password, hash_password, verify_password
from bytespike.accounts.users import NewUser
from bytespike.app import serve
from bytespike.cli.catalog_file import load_standing_file
from bytespike.cli.command import AsJSON, errors_told
from bytespike.cli.demo_channels import make_channels
from bytespike.cli.desk import Desk, open_desk
from bytespike.cli.init import DEFAULT_GROUP
from bytespike.cli.serve import stopped_cleanly
from bytespike.cli.simulator_process import SimulatorProcess
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd, parse_usd
from bytespike.settings import load
from bytespike.store import groups as stored_groups
from bytespike.store import meta
from bytespike.store import users as stored_users
from bytespike.store.wallets import user_wallet

ACTOR = "demo"
ADMIN_EMAIL = "admin@localhost"
PASSWORD_FILE = "admin-password"
FIRST_USD = "100"
#: Under this name the printed calls submit a video, and ask for it.
FIRST_VIDEO = "first-video"


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
            asyncio.run(load_standing_file(settings, {}))

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
                await _make(write, hashed)
            key = await keys.get(write.connection, await meta.get(write.connection, meta.DEMO_KEY) or "")
            await make_channels(
                write, simulator_url, desk.shipped.models.values(), key.group_id, first_run=first_run
            )
        return await _facts(desk, password)


async def _make(write: Write, password_hash: str | None) -> None:
    connection = write.connection
    admin = await stored_users.by_email(connection, ADMIN_EMAIL)
    if admin is None:
        admin = await users.create(
            write, NewUser(email=ADMIN_EMAIL, password_hash=password_hash, role="admin", tier="max")
        )
    group = await stored_groups.by_name(connection, DEFAULT_GROUP)
    if group is None:
        group = await groups.create(write, NewGroup(name=DEFAULT_GROUP))
    minted = await keys.create(write, NewKey(name="first key", user_id=admin.id, group_id=group.id))
    await meta.put(connection, meta.DEMO_KEY, minted.row.id)


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
    """One call for each dialect, for images and for a video, ready to paste into a shell."""
    said = "Say hello."
    hello = [{"role": "user", "content": said}]
    bearer = f"Authorization: Bearer {key}"
    film: dict[str, object] = {"prompt": "A red bicycle by the sea", "seconds": 5}
    calls: dict[str, tuple[str, list[str], dict[str, object] | None]] = {
        "anthropic_messages": (
            "/v1/messages",
            [f"x-api-key: {key}", "anthropic-version: 2023-06-01"],
            {"model": "claude-sonnet-4-6", "max_tokens": 256, "messages": hello},
        ),
        "openai_chat": (
            "/v1/chat/completions",
            [bearer],
            {"model": "kimi-k2-6", "messages": hello},
        ),
        "openai_responses": (
            "/v1/responses",
            [bearer],
            {"model": "gpt-5-5", "input": said},
        ),
        "gemini": (
            "/v1beta/models/gemini-3-5-flash:generateContent",
            [f"x-goog-api-key: {key}"],
            {"contents": [{"role": "user", "parts": [{"text": said}]}]},
        ),
        "images": (
            "/v1/images/generations",
            [bearer],
            {"model": "gpt-image-2", "prompt": "A red bicycle by the sea", "size": "1024x1024"},
        ),
        # Pasted again, it is the same task.
        "video": (
            "/v1/tasks/submit",
            [bearer],
            {"model": "seedance-2-fast", "params": film, "out_task_id": FIRST_VIDEO},
        ),
        "video_result": (f"/v1/tasks/query?out_task_id={FIRST_VIDEO}", [bearer], None),
    }
    return {name: _curl(base_url + path, headers, body) for name, (path, headers, body) in calls.items()}


def _curl(url: str, headers: list[str], body: dict[str, object] | None) -> str:
    """`body` None: a GET."""
    words = [f"curl -sS {shlex.quote(url)}", *(f"-H {shlex.quote(header)}" for header in headers)]
    if body is not None:
        words += ["-H 'content-type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
    return " \\\n    ".join(words)


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
    lines += [
        "Every dialect reaches every text model: GET /v1/models lists them, and those for images and videos.",
        "",
    ]
    lines += ["Ctrl-C stops it; the next run keeps everything.", ""]
    return "\n".join(lines)

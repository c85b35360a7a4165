"""`bytespike serve`, `simulator`, `init`, `version`: what is no group of commands."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from bytespike.accounts import groups, users
from bytespike.accounts.control import Write
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.passwords import generate_password, hash_password
from bytespike.accounts.rules import check_email
from bytespike.accounts.users import NewUser
from bytespike.app import serve as serve_application
from bytespike.cli.answer import Answer, record
from bytespike.cli.catalog_file import load_standing_file
from bytespike.cli.command import FAILED, AsJSON, DatabaseURL, DataDir, command, errors_told
from bytespike.cli.desk import Desk
from bytespike.cli.handover import pending
from bytespike.cli.options import secret
from bytespike.cli.supervisor import supervise
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.providers.simulator.directives import BadDirective
from bytespike.providers.simulator.server import run as run_simulator
from bytespike.settings import load
from bytespike.store import groups as stored_groups
from bytespike.store import users as stored_users
from bytespike.store.users import UserRow

DEFAULT_GROUP = "default"

SERVE_EXAMPLE = (
    "Example: bytespike serve --host 0.0.0.0 --port 8080 --data-dir /var/lib/bytespike. Every setting can also be an "
    "environment variable (BYTESPIKE_PORT) or a line of bytespike.toml in the data directory (port = 8080); "
    "docs/reference/settings.md lists them all."
)


def add_to(app: typer.Typer) -> None:
    """Declare the commands on the program itself: they are no groups."""
    command(app, "init", first_run=True, epilog="Example: bytespike init --admin ada@example.com")(init)
    app.command("serve", epilog=SERVE_EXAMPLE)(serve)
    app.command("simulator", epilog="Example: bytespike simulator --port 8099 --seed 7")(simulator)
    app.command("version")(version)


async def init(
    desk: Desk,
    admin: Annotated[
        str | None,
        typer.Option(
            help="Email of an administrator to create, if there is none of that name. Left out: nobody."
        ),
    ] = None,
    password_env: Annotated[
        str | None,
        typer.Option(
            help="Environment variable that holds a new administrator's password. Left out: one is made, and printed once."
        ),
    ] = None,
) -> Answer:
    """Make the database, the master key and a first group; does no harm where they are."""
    given = secret(password_env, None, False, "password")
    password = given or generate_password()
    hashed = None if admin is None else await hash_password(password)
    answer: dict[str, JSON] = {
        "data_dir": str(desk.settings.data_dir),
        "master_key_file": None if desk.settings.master_key else str(desk.settings.master_key_file),
    }
    note = ""
    async with desk.writing() as write:
        if not await stored_groups.listing(write.connection):
            await groups.create(write, NewGroup(name=DEFAULT_GROUP))
        answer["groups"] = [row.name for row in await stored_groups.listing(write.connection)]
        if admin is not None:
            row = await _administrator(write, admin)
            made = row is None
            if row is None:
                row = await users.create(write, NewUser(email=admin, password_hash=hashed, role="admin"))
            answer |= {"admin": row.email, "admin_made": made}
            if made and given is None:
                answer["password"] = password
            if not made:
                note = (
                    f"{row.email} is there already, and the password is as it was; "
                    f"`bytespike users password {row.email}` sets another."
                )
    return record(answer, note=note)


async def _administrator(write: Write, email: str) -> UserRow | None:
    """None: there is no such user. Raises InvalidRequest: there is, and it is no administrator."""
    row = await stored_users.by_email(write.connection, check_email(email))
    if row is not None and row.role != "admin":
        raise InvalidRequest(
            f"{row.email} is a user and no administrator; `bytespike users update {row.email} --role admin` makes one",
            param="--admin",
        )
    return row


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on (8080); 0 takes a free one.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that serve together (1); 2 and more have a supervisor.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (info).")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json (text).")] = None,
    public_base_url: Annotated[
        str | None, typer.Option(help="The address under which users reach it.")
    ] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Proxies whose X-Forwarded-For is believed, as CIDRs with commas.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the settings are right, and start nothing.")
    ] = False,
) -> None:
    """Run the gateway until it is told to stop (SIGINT, SIGTERM). With several workers, SIGHUP restarts it without a gap.

    The first run makes the data directory, the database and the master key. Logs go to standard error. A wrong setting
    stops it with the setting's name and what was expected, and exit code 2.
    """
    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "data_dir": data_dir,
        "database_url": database_url,
        "log_level": log_level,
        "log_format": log_format,
        "public_base_url": public_base_url,
        "trusted_proxies": trusted_proxies,
    }
    with errors_told(), stopped_cleanly():
        settings = load(given)
        if check:
            sys.stdout.write("The settings are right.\n")
            return
        asyncio.run(load_standing_file(settings, given))
        if settings.workers > 1 or pending():
            supervise(settings)
        else:
            serve_application(settings)


def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8099,
    seed: Annotated[int, typer.Option(help="Same seed, same answers.")] = 0,
    profile: Annotated[
        str, typer.Option(help='Options for every request, such as "delay=0.2 pace=0.01".')
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Run the simulator alone: a stand-in provider for trying things out. It is no real model."""

    def announce(base_url: str) -> None:
        text = json.dumps({"base_url": base_url}) if as_json else f"The simulator listens at {base_url}"
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with errors_told():
        try:
            run_simulator(host, port, seed, profile=profile, announce=announce)
        except BadDirective as error:
            raise InvalidRequest(str(error), param="--profile") from None


def version(as_json: AsJSON = False) -> None:
    """Print the version."""
    number = installed_version("bytespike")
    sys.stdout.write((json.dumps({"version": number}) if as_json else number) + "\n")


@contextmanager
def stopped_cleanly() -> Generator[None]:
    """SIGINT and SIGTERM end the block with everything in it unwound, and the program with exit code 0.

    The HTTP server finishes its requests at the first of them and then raises it once more; the default action of
    SIGTERM would end the process there, before the spool is drained and the database closed.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    except SystemExit as ended:
        # The HTTP server has codes of its own, such as 3 for a port that is taken.
        raise SystemExit(FAILED if ended.code else 0) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    raise SystemExit(0)

"""`bytespike init`: the database, the master key, a first group, an administrator."""

from __future__ import annotations

from typing import Annotated

import typer

from bytespike.accounts import groups, users
from bytespike.accounts.control import Write
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.passwords import generate_password, hash_password
from bytespike.accounts.rules import check_email
from bytespike.accounts.users import NewUser
from bytespike.cli.answer import Answer, record
from bytespike.cli.command import command
from bytespike.cli.desk import Desk
from bytespike.cli.options import secret
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.store import groups as stored_groups
from bytespike.store import users as stored_users
from bytespike.store.users import UserRow

DEFAULT_GROUP = "default"


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    command(app, "init", first_run=True, epilog="Example: bytespike init --admin ada@example.com")(init)


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

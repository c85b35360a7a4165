"""`bytespike users`, `bytespike orgs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from msgspec import UNSET

from bytespike.accounts import users as service
from bytespike.accounts.passwords import generate_password, hash_password
from bytespike.accounts.users import NewUser, UserChanges
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import Limit, Offset, secret
from bytespike.core.json_types import JSON
from bytespike.http.management.views import OrgView, UserView
from bytespike.store import orgs as stored_orgs
from bytespike.store import users as stored_users

users = group("users", "The people who sign in and own keys and wallets.")
orgs = group("orgs", "Organisations: a wallet that several users' keys may draw on.")

IdOrEmail: TypeAlias = Annotated[str, typer.Argument(help="The user's id or email.")]
IdOrName: TypeAlias = Annotated[str, typer.Argument(help="The organisation's id or name.")]
PasswordEnv: TypeAlias = Annotated[
    str | None, typer.Option(help="Environment variable that holds the password.", show_default=False)
]
PasswordFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="File that holds the password.", show_default=False)
]
PasswordStdin: TypeAlias = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
Generate: TypeAlias = Annotated[bool, typer.Option("--generate", help="Make a password and print it, once.")]


@command(users, "create")
async def create(
    desk: Desk,
    email: Annotated[str, typer.Option(help="The address that the user signs in with.")],
    admin: Annotated[bool, typer.Option("--admin", help="May administer everything.")] = False,
    tier: Annotated[
        str,
        typer.Option(
            help="free, pro, max or enterprise: 5, 25, 100 or 1000 requests in flight, over all of the user's keys."
        ),
    ] = "free",
    password_env: PasswordEnv = None,
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
    generate: Generate = False,
) -> Answer:
    """Create a user with an empty wallet. Without a password the user cannot sign in."""
    password = secret(password_env, password_file, password_stdin, "password")
    if password is None and generate:
        password = generate_password()
    hashed = None if password is None else await hash_password(password)
    async with desk.writing() as write:
        row = await service.create(write, NewUser(email, hashed, "admin" if admin else "user", tier))
    shown: dict[str, JSON] = UserView.of(row).model_dump(mode="json")
    return record({**shown, "password": password} if generate else shown)


@command(users, "list")
async def list_users(desk: Desk, limit: Limit = 50, offset: Offset = 0) -> Answer:
    """List users, the oldest first."""
    async with desk.reading() as connection:
        rows, total = await stored_users.listing(connection, limit=limit, offset=offset)
    return listing(
        [UserView.of(row) for row in rows],
        ("id", "email", "role", "tier", "status", "created_at"),
        total=total,
    )


@command(users, "show")
async def show_user(desk: Desk, user: IdOrEmail) -> Answer:
    """Show one user."""
    async with desk.reading() as connection:
        return record(UserView.of(await service.find(connection, user)))


@command(users, "update")
async def update(
    desk: Desk,
    user: IdOrEmail,
    role: Annotated[str | None, typer.Option(help="user or admin.")] = None,
    tier: Annotated[str | None, typer.Option(help="free, pro, max or enterprise.")] = None,
    status: Annotated[
        str | None, typer.Option(help="active, or disabled: signs out, and stops the user's keys.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(help="Requests in flight, over all of the user's keys; 0 for the tier's own.", min=0),
    ] = None,
    rpm: Annotated[
        int | None,
        typer.Option(help="Requests a minute, over all of the user's keys; 0 for no limit.", min=0),
    ] = None,
) -> Answer:
    """Change a user. What is not given stays as it is."""
    changes = UserChanges(
        role=UNSET if role is None else role,
        tier=UNSET if tier is None else tier,
        status=UNSET if status is None else status,
        concurrency=UNSET if concurrency is None else concurrency or None,
        rpm=UNSET if rpm is None else rpm or None,
    )
    async with desk.writing() as write:
        found = await service.find(write.connection, user)
        return record(UserView.of(await service.update(write, found.id, changes)))


@command(users, "password")
async def set_password(
    desk: Desk,
    user: IdOrEmail,
    password_env: PasswordEnv = None,
    password_file: PasswordFile = None,
    password_stdin: PasswordStdin = False,
) -> Answer:
    """Set a user's password, or make one and print it. Ends the user's sessions."""
    given = secret(password_env, password_file, password_stdin, "password")
    password = given or generate_password()
    hashed = await hash_password(password)
    async with desk.writing() as write:
        found = await service.find(write.connection, user)
        await service.set_password(write, found.id, hashed)
    shown: dict[str, JSON] = UserView.of(found).model_dump(mode="json")
    return record(shown if given else {**shown, "password": password})


@command(orgs, "create")
async def create_org(desk: Desk, name: Annotated[str, typer.Option(help="The name.")]) -> Answer:
    """Create an organisation with an empty wallet."""
    async with desk.writing() as write:
        return record(OrgView.of(await service.create_org(write, name)))


@command(orgs, "list")
async def list_orgs(desk: Desk, limit: Limit = 50, offset: Offset = 0) -> Answer:
    """List organisations, the oldest first."""
    async with desk.reading() as connection:
        rows, total = await stored_orgs.listing(connection, limit=limit, offset=offset)
    return listing([OrgView.of(row) for row in rows], ("id", "name", "status", "created_at"), total=total)


@command(orgs, "pause")
async def pause_org(desk: Desk, org: IdOrName) -> Answer:
    """Stop an organisation's keys."""
    async with desk.writing() as write:
        return record(OrgView.of(await service.set_org_status(write, org, "paused")))


@command(orgs, "resume")
async def resume_org(desk: Desk, org: IdOrName) -> Answer:
    """Let an organisation's keys work again."""
    async with desk.writing() as write:
        return record(OrgView.of(await service.set_org_status(write, org, "active")))

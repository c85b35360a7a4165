"""`bytespike groups`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from msgspec import UNSET

from bytespike.accounts import groups as service
from bytespike.accounts import users
from bytespike.accounts.groups import GroupChanges, NewGroup, parse_multiplier
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.http.management.views import GroupView
from bytespike.store import groups as stored

groups = group(
    "groups", "Routing groups: which channels a key's requests can reach, and at what multiple of the price."
)

GroupArgument: TypeAlias = Annotated[str, typer.Argument(metavar="GROUP", help="The group's id or name.")]
UserArgument: TypeAlias = Annotated[str, typer.Argument(metavar="USER", help="The user's id or email.")]


@command(groups, "create")
async def create(
    desk: Desk,
    name: Annotated[str, typer.Option(help="The name.")],
    multiplier: Annotated[str, typer.Option(help="Times the channel's price, e.g. 1.25.")] = "1",
    exclusive: Annotated[bool, typer.Option("--exclusive", help="Only for users with a grant.")] = False,
) -> Answer:
    """Create a group."""
    async with desk.writing() as write:
        new = NewGroup(name=name, multiplier_ppm=parse_multiplier(multiplier), exclusive=exclusive)
        return record(GroupView.of(await service.create(write, new)))


@command(groups, "list")
async def list_groups(desk: Desk) -> Answer:
    """List all groups."""
    async with desk.reading() as connection:
        rows = await stored.listing(connection)
    return listing([GroupView.of(row) for row in rows], ("id", "name", "multiplier", "exclusive", "status"))


@command(groups, "update")
async def update(
    desk: Desk,
    found: GroupArgument,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    multiplier: Annotated[str | None, typer.Option(help="Times the channel's price.")] = None,
    exclusive: Annotated[bool | None, typer.Option(help="Only for users with a grant.")] = None,
    status: Annotated[str | None, typer.Option(help="active, or disabled: stops its keys.")] = None,
) -> Answer:
    """Change a group. What is not given stays as it is."""
    changes = GroupChanges(
        name=UNSET if name is None else name,
        multiplier_ppm=UNSET if multiplier is None else parse_multiplier(multiplier),
        exclusive=UNSET if exclusive is None else exclusive,
        status=UNSET if status is None else status,
    )
    async with desk.writing() as write:
        row = await service.find(write.connection, found)
        return record(GroupView.of(await service.update(write, row.id, changes)))


@command(groups, "grant")
async def grant(desk: Desk, found: GroupArgument, user: UserArgument) -> Answer:
    """Let a user bind keys to an exclusive group."""
    async with desk.writing() as write:
        row = await service.find(write.connection, found)
        owner = await users.find(write.connection, user)
        await service.grant(write, row.id, owner.id)
    return record({"group_id": row.id, "user_id": owner.id, "granted": True})


@command(groups, "withdraw")
async def withdraw(desk: Desk, found: GroupArgument, user: UserArgument) -> Answer:
    """Take a grant back. Keys that are bound to the group already stay bound."""
    async with desk.writing() as write:
        row = await service.find(write.connection, found)
        owner = await users.find(write.connection, user)
        await service.withdraw(write, row.id, owner.id)
    return record({"group_id": row.id, "user_id": owner.id, "granted": False})

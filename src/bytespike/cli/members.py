"""`bytespike orgs members`, `add`, `remove`, `cap`, `topup`: who draws on an organisation's wallet, and how much each may."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from bytespike.accounts import members as service
from bytespike.accounts import users
from bytespike.cli.amount_command import AmountCommand
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command
from bytespike.cli.desk import Desk
from bytespike.cli.options import Limit, Offset, usd
from bytespike.cli.users import IdOrName, orgs
from bytespike.cli.wallet import Amount, Note, Once, moved
from bytespike.core.json_types import JSON, JSONObject
from bytespike.http.management.views import moment
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd
from bytespike.store import caps, members

SomeUser: TypeAlias = Annotated[str, typer.Option("--user", help="The user's id or email.")]


@command(orgs, "members")
async def list_members(desk: Desk, org: IdOrName, limit: Limit = 50, offset: Offset = 0) -> Answer:
    """List an organisation's members, with their caps, the oldest first."""
    async with desk.reading() as connection:
        found = await users.find_org(connection, org)
        rows, total = await members.listing(connection, found.id, limit=limit, offset=offset)
        shown: list[JSONObject] = []
        for row in rows:
            capped: dict[str, JSON] = {
                cap.span: format_usd(cap.amount) for cap in await caps.of(connection, row.id)
            }
            shown.append(
                {
                    "org_id": row.org_id,
                    "user_id": row.user_id,
                    "email": row.email,
                    "role": row.role,
                    "caps": capped,
                    "created_at": moment(row.created_at),
                }
            )
    return listing(shown, ("user_id", "email", "role", "caps", "created_at"), total=total)


@command(orgs, "add", epilog="Example: bytespike orgs add Acme --user ada@example.com")
async def add_member(
    desk: Desk,
    org: IdOrName,
    user: SomeUser,
    role: Annotated[str, typer.Option(help="owner, admin or member.")] = "member",
) -> Answer:
    """Make a user a member, or give a member another role. Whoever gets a key of an organisation becomes one anyway."""
    async with desk.writing() as write:
        found = await users.find_org(write.connection, org)
        user_id = (await users.find(write.connection, user)).id
        row = await service.add(write, found.id, user_id, role)
    return record({"org_id": row.org_id, "user_id": row.user_id, "role": row.role})


@command(orgs, "remove")
async def remove_member(desk: Desk, org: IdOrName, user: SomeUser) -> Answer:
    """End a membership. The user's keys of this organisation are revoked, for good."""
    async with desk.writing() as write:
        found = await users.find_org(write.connection, org)
        user_id = (await users.find(write.connection, user)).id
        await service.remove(write, found.id, user_id)
    return record({"org_id": found.id, "user_id": user_id, "removed": True})


@command(orgs, "cap", epilog="Example: bytespike orgs cap Acme --user ada@example.com --limit-1d 20")
async def cap(
    desk: Desk,
    org: IdOrName,
    user: SomeUser,
    quota: Annotated[str | None, typer.Option(help="USD in all, 0 for no limit.")] = None,
    limit_5h: Annotated[
        str | None, typer.Option("--limit-5h", help="USD in any 5 hours, 0 for no limit.")
    ] = None,
    limit_1d: Annotated[
        str | None, typer.Option("--limit-1d", help="USD in any day, 0 for no limit.")
    ] = None,
    limit_7d: Annotated[
        str | None, typer.Option("--limit-7d", help="USD in any 7 days, 0 for no limit.")
    ] = None,
) -> Answer:
    """Limit what a member spends with all his keys of the organisation. What is not given is no limit: none at all takes
    them away."""
    given = {
        "lifetime": usd(quota, "--quota"),
        "5h": usd(limit_5h, "--limit-5h"),
        "1d": usd(limit_1d, "--limit-1d"),
        "7d": usd(limit_7d, "--limit-7d"),
    }
    async with desk.writing() as write:
        found = await users.find_org(write.connection, org)
        user_id = (await users.find(write.connection, user)).id
        amounts = {span: amount or 0 for span, amount in given.items()}
        rows = await service.set_caps(write, found.id, user_id, amounts)
    shown: list[JSONObject] = [{"span": each.span, "amount": format_usd(each.amount)} for each in rows]
    return listing(shown, ("span", "amount"))


@command(
    orgs, "topup", cls=AmountCommand, epilog="Example: bytespike orgs topup Acme 100 --note 'invoice 17'"
)
async def topup(
    desk: Desk, org: IdOrName, amount: Amount, note: Note = "", idempotency_key: Once = None
) -> Answer:
    """Add money that somebody paid to an organisation's wallet."""
    return await moved(desk, transfers.topup, amount, None, org, note, idempotency_key)

"""`bytespike keys`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias, cast

import typer
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import groups, users
from bytespike.accounts import keys as service
from bytespike.accounts.caps import set_caps
from bytespike.accounts.keys import KeyChanges, NewKey
from bytespike.cli.answer import Answer, Cells, listing, plain, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import Limit, Offset, Org, User, secret, usd
from bytespike.core.json_types import JSON, JSONObject
from bytespike.http.management.views import KeyView, NewKeyView
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.window_spend import window_spend
from bytespike.ledger.windows import WINDOWS
from bytespike.store import keys as stored
from bytespike.store.keys import KeyRow

keys = group("keys", "API keys: what clients send, and what each may spend.")

ONCE = "The key is shown now, and by `bytespike keys reveal` later."
COLUMNS = ("id", "name", "masked", "status", "quota", "spent", "windows")

KeyId: TypeAlias = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id: key_…")]
Quota: TypeAlias = Annotated[
    str | None, typer.Option(help="USD in the key's whole life; 0, which a new key has, is no limit.")
]
Limit5h: TypeAlias = Annotated[
    str | None, typer.Option("--limit-5h", help="USD in any 5 hours; 0, which a new key has, is no limit.")
]
Limit1d: TypeAlias = Annotated[
    str | None, typer.Option("--limit-1d", help="USD in any 24 hours; 0, which a new key has, is no limit.")
]
Limit7d: TypeAlias = Annotated[
    str | None, typer.Option("--limit-7d", help="USD in any 7 days; 0, which a new key has, is no limit.")
]
AllowIP: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-ip",
        help="Address or CIDR that may use it; a new key without one may be used from anywhere. Repeatable.",
    ),
]
DenyIP: TypeAlias = Annotated[
    list[str] | None, typer.Option("--deny-ip", help="Address or CIDR that may not. Repeatable; wins.")
]
Models: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--model", help="Model that it may use; a new key without one may use all. Repeatable."),
]
Days: TypeAlias = Annotated[
    int | None,
    typer.Option("--expires-in-days", help="Days from now until it ends; a new key without it never does."),
]


@command(
    keys, "create", epilog="Example: bytespike keys create --name laptop --user ada@example.com --quota 20"
)
async def create(
    desk: Desk,
    name: Annotated[str, typer.Option(help="What it is called in lists.")],
    user: Annotated[str, typer.Option("--user", help="Its owner's id or email.")],
    in_group: Annotated[
        str, typer.Option("--group", help="The group that its requests can reach.")
    ] = "default",
    org: Org = None,
    quota: Quota = None,
    limit_5h: Limit5h = None,
    limit_1d: Limit1d = None,
    limit_7d: Limit7d = None,
    allow_ip: AllowIP = None,
    deny_ip: DenyIP = None,
    model: Models = None,
    expires_in_days: Days = None,
    custom_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds a key of your own choice.")
    ] = None,
) -> Answer:
    """Create a key and print it."""
    custom = secret(custom_key_env, None, False, "custom-key")
    async with desk.writing() as write:
        connection = write.connection
        new = NewKey(
            name=name,
            user_id=(await users.find(connection, user)).id,
            group_id=(await groups.find(connection, in_group)).id,
            org_id=None if org is None else (await users.find_org(connection, org)).id,
            quota=usd(quota, "--quota") or 0,
            limit_5h=usd(limit_5h, "--limit-5h") or 0,
            limit_1d=usd(limit_1d, "--limit-1d") or 0,
            limit_7d=usd(limit_7d, "--limit-7d") or 0,
            ip_whitelist=tuple(allow_ip or ()),
            ip_blacklist=tuple(deny_ip or ()),
            allowed_models=await _slugs(desk, connection, model) if model else None,
            expires_in_days=expires_in_days,
            custom_key=custom,
        )
        minted = await service.create(write, new)
    return record(NewKeyView.minted(minted), note=ONCE)


@command(keys, "list")
async def list_keys(
    desk: Desk,
    user: User = None,
    status: Annotated[str | None, typer.Option(help="active, disabled or revoked.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Answer:
    """List keys, masked, the newest first. `quota` and `spent` are USD; a quota of 0.00 is no limit. `windows`: what is spent of
    each cap that rolls, of how much."""
    async with desk.reading() as connection:
        owner = None if user is None else (await users.find(connection, user)).id
        rows, total = await stored.listing(
            connection, user_id=owner, status=status, limit=limit, offset=offset
        )
        windows = await _windows(desk, connection, rows)
    shown = [{**plain(KeyView.of(row)), "windows": windows[row.id]} for row in rows]
    return listing(shown, COLUMNS, total=total, cells=CELLS)


@command(keys, "show")
async def show_key(desk: Desk, key: KeyId) -> Answer:
    """Show one key, masked."""
    async with desk.reading() as connection:
        row = await service.get(connection, key)
        windows = await _windows(desk, connection, [row])
    return record({**plain(KeyView.of(row)), "windows": windows[row.id]}, cells=CELLS)


@command(keys, "update")
async def update(
    desk: Desk,
    key: KeyId,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    in_group: Annotated[str | None, typer.Option("--group", help="Another group.")] = None,
    status: Annotated[str | None, typer.Option(help="active or disabled.")] = None,
    quota: Quota = None,
    limit_5h: Limit5h = None,
    limit_1d: Limit1d = None,
    limit_7d: Limit7d = None,
    allow_ip: AllowIP = None,
    any_ip: Annotated[bool, typer.Option("--any-ip", help="Forget both IP lists.")] = False,
    deny_ip: DenyIP = None,
    model: Models = None,
    any_model: Annotated[bool, typer.Option("--any-model", help="All models of its group.")] = False,
    expires_in_days: Days = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="No end.")] = False,
) -> Answer:
    """Change a key. What is not given stays as it is; a list that is given replaces the old one."""
    async with desk.writing() as write:
        connection = write.connection
        cleared: tuple[str, ...] | None = () if any_ip else None
        white = tuple(allow_ip) if allow_ip else cleared
        black = tuple(deny_ip) if deny_ip else cleared
        allowed = await _slugs(desk, connection, model) if model else None
        changes = KeyChanges(
            name=UNSET if name is None else name,
            group_id=UNSET if in_group is None else (await groups.find(connection, in_group)).id,
            status=UNSET if status is None else status,
            quota=_unset(usd(quota, "--quota")),
            limit_5h=_unset(usd(limit_5h, "--limit-5h")),
            limit_1d=_unset(usd(limit_1d, "--limit-1d")),
            limit_7d=_unset(usd(limit_7d, "--limit-7d")),
            ip_whitelist=UNSET if white is None else white,
            ip_blacklist=UNSET if black is None else black,
            allowed_models=allowed if model or any_model else UNSET,
            expires_in_days=expires_in_days if expires_in_days is not None or never_expires else UNSET,
        )
        return record(KeyView.of(await service.update(write, key, changes)))


@command(
    keys,
    "cap",
    epilog="Example: bytespike keys cap key_01K5… --model claude-opus-4-8 --limit-1d 5 --quota 100",
)
async def cap(
    desk: Desk,
    key: KeyId,
    model: Annotated[str, typer.Option("--model", help="The model whose use is limited.")],
    quota: Quota = None,
    limit_5h: Limit5h = None,
    limit_1d: Limit1d = None,
    limit_7d: Limit7d = None,
) -> Answer:
    """Limit what a key spends on one model. What is not given is no limit: none at all takes them away."""
    given = {
        "lifetime": usd(quota, "--quota"),
        "5h": usd(limit_5h, "--limit-5h"),
        "1d": usd(limit_1d, "--limit-1d"),
        "7d": usd(limit_7d, "--limit-7d"),
    }
    async with desk.writing() as write:
        slug = await desk.slug(write.connection, model)
        found = await set_caps(write, key, slug, {span: amount or 0 for span, amount in given.items()})
    rows: list[JSONObject] = [
        {"model": each.model, "span": each.span, "amount": format_usd(each.amount)} for each in found
    ]
    return listing(rows, ("model", "span", "amount"))


@command(keys, "revoke")
async def revoke(desk: Desk, key: KeyId) -> Answer:
    """End a key, for good. It stops working within a second."""
    async with desk.writing() as write:
        return record(KeyView.of(await service.revoke(write, key)))


@command(keys, "rotate")
async def rotate(desk: Desk, key: KeyId) -> Answer:
    """Give a key a new plaintext and print it. The old one stops working within a second."""
    async with desk.writing() as write:
        return record(NewKeyView.minted(await service.rotate(write, key)), note=ONCE)


@command(keys, "reveal")
async def reveal(desk: Desk, key: KeyId) -> Answer:
    """Print a key's plaintext. The audit log keeps that it was done."""
    async with desk.writing() as write:
        return record(NewKeyView.minted(await service.reveal(write, key)))


async def _windows(desk: Desk, connection: AsyncConnection, rows: Sequence[KeyRow]) -> dict[str, list[JSON]]:
    """By key, its windows that have a cap, with what is spent of each now."""
    limits: dict[str, dict[str, int]] = {}
    for row in rows:
        found = {spec.name: getattr(row, spec.limit_field) for spec in WINDOWS}
        limits[row.id] = {name: limit for name, limit in found.items() if limit}
    capped = [(key_id, list(names)) for key_id, names in limits.items()]
    spent = await window_spend(connection, capped, desk.control.clock.now_us())
    return {
        key_id: [
            {"span": name, "spent": format_usd(spent[key_id, name]), "limit": format_usd(limit)}
            for name, limit in names.items()
        ]
        for key_id, names in limits.items()
    }


def _compact(windows: JSON) -> str:
    """ "5h 0.12/5.00, 7d 3.00/50.00"."""
    found = cast("Sequence[Mapping[str, str]]", windows or ())
    return ", ".join(f"{each['span']} {each['spent']}/{each['limit']}" for each in found) or "-"


CELLS: Cells = {"windows": _compact}


async def _slugs(desk: Desk, connection: AsyncConnection, names: list[str]) -> tuple[str, ...]:
    return tuple([await desk.slug(connection, name) for name in names])


def _unset(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value

"""Users and organisations: made, each with an empty wallet, changed, found by id or by name."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.control import Write
from bytespike.accounts.records import TIER_CONCURRENCY
from bytespike.accounts.rules import check_email, check_name
from bytespike.errors import InvalidRequest, NotFound
from bytespike.ids import ulid
from bytespike.store import orgs, sessions, users, wallets
from bytespike.store.orgs import OrgRow
from bytespike.store.users import UserRow

ROLES = ("user", "admin")
STATUSES = ("active", "disabled")
ORG_STATUSES = ("active", "paused")
CONCURRENCY_MAX = 100_000
RPM_MAX = 10_000_000


class NewUser(Struct, frozen=True):
    """`password_hash`: what `passwords.hash_password` made; None: the user cannot sign in yet."""

    email: str
    password_hash: str | None = None
    role: str = "user"
    tier: str = "free"


class UserChanges(Struct, frozen=True):
    """What is not UNSET is set. `concurrency` and `rpm` None: the tier's own."""

    role: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    concurrency: int | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET


async def create(write: Write, new: NewUser) -> UserRow:
    """Raises `InvalidRequest`: a wrong field, or the email is taken."""
    _one_of(new.role, ROLES, "role")
    _one_of(new.tier, tuple(TIER_CONCURRENCY), "tier")
    row = UserRow(
        id="usr_" + ulid(),
        email=check_email(new.email),
        role=new.role,
        tier=new.tier,
        concurrency=None,
        rpm=None,
        status="active",
        created_at=write.now_us,
    )
    await users.add(write.connection, row, new.password_hash)
    await wallets.add_empty(write.connection, wallets.user_wallet(row.id), write.now_us)
    await write.note("users.create", row.id, "user", email=row.email, role=row.role)
    return row


async def update(write: Write, user_id: str, changed: UserChanges) -> UserRow:
    """Raises `InvalidRequest`, `NotFound`."""
    await get(write.connection, user_id)
    _one_of(changed.role, ROLES, "role")
    _one_of(changed.tier, tuple(TIER_CONCURRENCY), "tier")
    _one_of(changed.status, STATUSES, "status")
    _between(changed.concurrency, CONCURRENCY_MAX, "concurrency")
    _between(changed.rpm, RPM_MAX, "rpm")
    values = given(changed)
    if values:
        await users.change(write.connection, user_id, values)
        if changed.status == "disabled":
            await sessions.remove_all_of(write.connection, user_id)
        await write.note("users.update", user_id, "user", fields=", ".join(sorted(values)))
    return await get(write.connection, user_id)


async def set_password(write: Write, user_id: str, password_hash: str) -> None:
    """Also ends the user's sessions. `password_hash` as in `NewUser`. Raises `NotFound`."""
    await get(write.connection, user_id)
    await users.change(write.connection, user_id, {"password_hash": password_hash})
    await sessions.remove_all_of(write.connection, user_id)
    await write.note("users.set_password", user_id, "user")


async def get(connection: AsyncConnection, user_id: str) -> UserRow:
    """Raises `NotFound`."""
    row = await users.get(connection, user_id)
    if row is None:
        raise NotFound(f"there is no user {user_id!r}")
    return row


async def find(connection: AsyncConnection, id_or_email: str) -> UserRow:
    """Raises `NotFound`."""
    row = await users.get(connection, id_or_email)
    row = row or await users.by_email(connection, id_or_email.strip().lower())
    if row is None:
        raise NotFound(f"there is no user {id_or_email!r}")
    return row


async def create_org(write: Write, name: str) -> OrgRow:
    """Raises `InvalidRequest`: a wrong name, or it is taken."""
    row = OrgRow(id="org_" + ulid(), name=check_name(name), status="active", created_at=write.now_us)
    await orgs.add(write.connection, row)
    await wallets.add_empty(write.connection, wallets.org_wallet(row.id), write.now_us)
    await write.note("orgs.create", row.id, "org", name=row.name)
    return row


async def set_org_status(write: Write, org_id: str, status: str) -> OrgRow:
    """`status`: "active", or "paused", which stops the org's keys. Raises `InvalidRequest`, `NotFound`."""
    row = await find_org(write.connection, org_id)
    _one_of(status, ORG_STATUSES, "status")
    await orgs.change(write.connection, row.id, {"status": status})
    await write.note("orgs.update", row.id, "org", status=status)
    return structs.replace(row, status=status)


async def find_org(connection: AsyncConnection, id_or_name: str) -> OrgRow:
    """Raises `NotFound`."""
    row = await orgs.get(connection, id_or_name) or await orgs.by_name(connection, id_or_name)
    if row is None:
        raise NotFound(f"there is no organisation {id_or_name!r}")
    return row


def given(changed: Struct) -> dict[str, object]:
    """The fields of a struct of changes that are set."""
    return {name: value for name, value in structs.asdict(changed).items() if value is not UNSET}


def _one_of(value: str | UnsetType, allowed: tuple[str, ...], param: str) -> None:
    if value is not UNSET and value not in allowed:
        raise InvalidRequest(f"{param} is one of {', '.join(allowed)}", param=param)


def _between(value: int | UnsetType | None, most: int, param: str) -> None:
    if isinstance(value, int) and not 1 <= value <= most:
        raise InvalidRequest(f"{param} is 1 to {most}, or nothing for the tier's own", param=param)

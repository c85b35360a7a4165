"""Routing groups: made, changed, and opened to users."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.control import Write
from bytespike.accounts.rules import check_name
from bytespike.accounts.users import given
from bytespike.errors import InvalidRequest, NotFound, PermissionDenied
from bytespike.pricing.price import ONE_PPM
from bytespike.store import groups
from bytespike.store.groups import GroupRow

STATUSES = ("active", "disabled")
#: A price multiplier of 1000.
MULTIPLIER_PPM_MAX = 1000 * ONE_PPM


class NewGroup(Struct, frozen=True):
    name: str
    multiplier_ppm: int = ONE_PPM
    exclusive: bool = False


class GroupChanges(Struct, frozen=True):
    """What is not UNSET is set."""

    name: str | UnsetType = UNSET
    multiplier_ppm: int | UnsetType = UNSET
    exclusive: bool | UnsetType = UNSET
    status: str | UnsetType = UNSET


async def create(write: Write, new: NewGroup) -> GroupRow:
    """Raises `InvalidRequest`: a wrong field, or the name is taken."""
    _check_multiplier(new.multiplier_ppm)
    group_id = await groups.add(
        write.connection,
        name=check_name(new.name),
        multiplier_ppm=new.multiplier_ppm,
        exclusive=new.exclusive,
        created_at=write.now_us,
    )
    await write.note("groups.create", str(group_id), "group", name=new.name)
    return await get(write.connection, group_id)


async def update(write: Write, group_id: int, changed: GroupChanges) -> GroupRow:
    """Raises `InvalidRequest`, `NotFound`."""
    row = await get(write.connection, group_id)
    if changed.status is not UNSET and changed.status not in STATUSES:
        raise InvalidRequest(f"status is one of {', '.join(STATUSES)}", param="status")
    if changed.multiplier_ppm is not UNSET:
        _check_multiplier(changed.multiplier_ppm)
    values = given(changed)
    if changed.name is not UNSET:
        values["name"] = check_name(changed.name)
        other = await groups.by_name(write.connection, str(values["name"]))
        if other is not None and other.id != row.id:
            raise InvalidRequest(f"there is a group {changed.name!r} already", param="name")
    if values:
        await groups.change(write.connection, group_id, values)
        await write.note("groups.update", str(group_id), "group", fields=", ".join(sorted(values)))
    return await get(write.connection, group_id)


async def grant(write: Write, group_id: int, user_id: str) -> None:
    """Let a user bind keys to an exclusive group. Raises `InvalidRequest`, `NotFound`."""
    await get(write.connection, group_id)
    await groups.grant(write.connection, user_id, group_id, write.now_us)
    await write.note("groups.grant", str(group_id), None, user_id=user_id)


async def withdraw(write: Write, group_id: int, user_id: str) -> None:
    """Take a grant back; keys that are bound already stay. Raises `NotFound`."""
    if not await groups.withdraw(write.connection, user_id, group_id):
        raise NotFound("this user has no grant for the group")
    await write.note("groups.withdraw", str(group_id), None, user_id=user_id)


async def get(connection: AsyncConnection, group_id: int) -> GroupRow:
    """Raises `NotFound`."""
    row = await groups.get(connection, group_id)
    if row is None:
        raise NotFound(f"there is no group {group_id}")
    return row


async def find(connection: AsyncConnection, id_or_name: str) -> GroupRow:
    """Raises `NotFound`."""
    row = await groups.by_name(connection, id_or_name)
    if row is None and id_or_name.isascii() and id_or_name.isdigit():
        row = await groups.get(connection, int(id_or_name))
    if row is None:
        raise NotFound(f"there is no group {id_or_name!r}")
    return row


async def check_open(connection: AsyncConnection, group_id: int, user_id: str) -> GroupRow:
    """A group that this user's keys may be bound to. Raises `PermissionDenied`, `NotFound`."""
    row = await get(connection, group_id)
    if all(each.id != group_id for each in await groups.open_to(connection, user_id)):
        reason = "is not active" if row.status != "active" else "is exclusive and needs a grant"
        raise PermissionDenied(f"the group {row.name} {reason}", param="group_id")
    return row


def parse_multiplier(text: str) -> int:
    """Parts per million of a multiplier such as "1.25". Raises `InvalidRequest`."""
    try:
        ppm = Decimal(text) * ONE_PPM
    except InvalidOperation:
        ppm = Decimal("NaN")
    if not ppm.is_finite() or ppm != int(ppm):
        raise InvalidRequest(
            "a multiplier is a number with at most 6 decimals, such as 1.25", param="multiplier"
        )
    return _check_multiplier(int(ppm))


def format_multiplier(ppm: int) -> str:
    """The multiplier as people write it: "1", "1.25"."""
    return f"{(Decimal(ppm) / ONE_PPM).normalize():f}"


def _check_multiplier(ppm: int) -> int:
    if not 0 <= ppm <= MULTIPLIER_PPM_MAX:
        raise InvalidRequest("a multiplier is 0 to 1000", param="multiplier")
    return ppm

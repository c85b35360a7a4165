"""Members of organisations: whose keys draw on an org's wallet, and how much each of them may.

Whoever gets a key of an org is a member of it. A member's caps bind all his keys of that org together. A change takes effect
on every gateway when its change feed brings it, within a second.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import keys, users
from bytespike.accounts.caps import SPANS
from bytespike.accounts.control import Write
from bytespike.accounts.rules import check_credits
from bytespike.errors import InvalidRequest, NotFound
from bytespike.store import caps, members
from bytespike.store import keys as stored_keys
from bytespike.store.caps import CapRow
from bytespike.store.members import FORMER, MemberRow, member_id

ROLES = ("owner", "admin", "member")


async def add(write: Write, org_id: str, user_id: str, role: str = "member") -> MemberRow:
    """Make a user a member, or give a member another role. Raises: InvalidRequest (the role), NotFound."""
    if role not in ROLES:
        raise InvalidRequest(f"role is one of {', '.join(ROLES)}", param="role")
    org = await users.find_org(write.connection, org_id)
    await users.get(write.connection, user_id)
    id = member_id(org.id, user_id)
    row = await members.get(write.connection, id)
    if row is None:
        row = MemberRow(id, org.id, user_id, role, write.now_us)
        await members.add(write.connection, row)
    else:
        await members.change_role(write.connection, id, role)
    await write.note("orgs.add_member", org.id, None, user_id=user_id, role=role)
    return await get(write.connection, org.id, user_id)


async def remove(write: Write, org_id: str, user_id: str) -> None:
    """End a membership, and revoke his keys of the org, for good. Raises `NotFound`."""
    row = await get(write.connection, org_id, user_id)
    # The row stays: what he spent goes on counting, should he come back.
    await members.change_role(write.connection, row.id, FORMER)
    for key_id in await stored_keys.usable_ids(write.connection, user_id=user_id, org_id=org_id):
        await keys.revoke(write, key_id)
    await write.note("orgs.remove_member", org_id, "org", user_id=user_id)


async def get(connection: AsyncConnection, org_id: str, user_id: str) -> MemberRow:
    """Raises `NotFound`."""
    row = await members.get(connection, member_id(org_id, user_id))
    if row is None or row.role == FORMER:
        raise NotFound(f"{user_id!r} is no member of the organisation")
    return row


async def set_caps(write: Write, org_id: str, user_id: str, amounts: Mapping[str, int]) -> list[CapRow]:
    """A member's caps are these from now on: micro-dollars by span; 0, and what is missing, is no cap.

    Raises: InvalidRequest (a span, an amount), NotFound.
    """
    row = await get(write.connection, org_id, user_id)
    for span in amounts:
        if span not in SPANS:
            raise InvalidRequest(f"a cap is on one of {', '.join(SPANS)}, not {span[:40]!r}", param="span")
    wanted = [
        CapRow("", span, check_credits(amount, param=span)) for span, amount in amounts.items() if amount
    ]
    await caps.replace(write.connection, row.id, "", wanted)
    spans = ", ".join(f"{cap.span} {cap.amount}" for cap in wanted)
    await write.note("orgs.cap_member", org_id, "org", user_id=user_id, caps=spans)
    return await caps.of(write.connection, row.id)

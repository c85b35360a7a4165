"""The statements of escrows, each with what it is for."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    select,
    union_all,
    update,
)

from bytespike.store.media_tables import escrows
from bytespike.store.members import MEMBER_PREFIX
from bytespike.store.tables import meter_sums, usage

_ID = bindparam("escrow_id", type_=Text())

#: An escrow.
ONE = select(escrows).where(escrows.c.id == _ID)

#: Whether it is resolved; nobody does that until the transaction ends.
STATE_LOCKED = select(escrows.c.state).where(escrows.c.id == _ID).with_for_update()

#: Money is set aside.
ADD = insert(escrows)

#: What became of it.
RESOLVE = (
    update(escrows)
    .where(escrows.c.id == _ID, escrows.c.state == "held")
    .values(
        state=bindparam("new_state", type_=Text()),
        posted=bindparam("credits", type_=BigInteger()),
        resolved_at=bindparam("now", type_=BigInteger()),
    )
)

#: What is set aside of a wallet.
HELD_OF = select(cast(func.coalesce(func.sum(escrows.c.amount), 0), BigInteger)).where(
    escrows.c.account_id == bindparam("account_id", type_=Text()), escrows.c.state == "held"
)

#: Some of what a bucket of `of_meter` counts is no longer spent. A bucket that is gone has left its window.
LESS = (
    update(meter_sums)
    .where(
        meter_sums.c.meter_id == bindparam("of_meter", type_=Text()),
        meter_sums.c.bucket == bindparam("of_bucket", type_=BigInteger()),
    )
    .values(amount=meter_sums.c.amount - bindparam("credits", type_=BigInteger()))
)

#: What an escrow counts under caps: all of it, and once it is resolved what was billed.
COUNTED = case((escrows.c.state == "held", escrows.c.amount), else_=escrows.c.posted)

#: A usage row is what an escrow came to: caps count the escrow, from when it was set aside.
OF_AN_ESCROW = exists().where(escrows.c.request_id == usage.c.request_id)


def spending(subject: str, model: str, since_us: int) -> CompoundSelect[int, int]:
    """(at, credits) of everything that a key or a member has spent or set aside since then, on one model or ("") on any."""
    of_requests: list[ColumnElement[bool]] = [usage.c.at >= since_us, ~OF_AN_ESCROW]
    of_escrows: list[ColumnElement[bool]] = [escrows.c.at >= since_us, escrows.c.state != "voided"]
    if subject.startswith(MEMBER_PREFIX):
        org_id, _, user_id = subject.removeprefix(MEMBER_PREFIX).partition("/")
        of_requests.append(and_(usage.c.user_id == user_id, usage.c.org_id == org_id))
        of_escrows.append(and_(escrows.c.user_id == user_id, escrows.c.org_id == org_id))
    else:
        of_requests.append(usage.c.key_id == subject)
        of_escrows.append(escrows.c.key_id == subject)
    if model:
        of_requests.append(usage.c.model == model)
        of_escrows.append(escrows.c.model == model)
    return union_all(
        select(usage.c.at, usage.c.credits).where(*of_requests),
        select(escrows.c.at, COUNTED.label("credits")).where(*of_escrows),
    )

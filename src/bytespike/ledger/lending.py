"""Lending, as the database sees it: who borrows, what is lent, what is left to lend. `leases.py` has the theory.

Everything here runs in a transaction of its caller. What reads limits to lend more takes the locks of what it reads, in
one order everywhere: the account's row, the key's, the member's, the user's. Draining takes them in the same order. Giving back takes
none: a lease that is thought larger than it is does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger import lease_sql as sql
from bytespike.ledger import metering
from bytespike.ledger.sql import KEY_LOCKED, MEMBERS_LOCKED
from bytespike.ledger.windows import MINUTE_US, SECOND_US

#: An arbitrary number: on PostgreSQL only joining and leaving lock it.
_JOIN_LOCK = 7_302_118_447
#: A start counts for a minute and one bucket.
_STARTS_KEPT_US = MINUTE_US + 2 * SECOND_US


class Borrower(NamedTuple):
    """A row of `borrowers`. `expires_at` Unix microseconds: later than that it is overdue."""

    id: str
    host: str
    spool: str
    alone: bool
    wanted: bool
    expires_at: int


class Ask(Struct, frozen=True):
    """What one request draws on. `member_id`: whose caps in an org bind it, if any do. `meters`: the sums that its caps are
    compared with."""

    wallet_id: str
    key_id: str
    member_id: str | None
    user_id: str
    meters: tuple[metering.Wanted, ...]
    caps: tuple[str, ...]


class Facts(Struct, frozen=True):
    """What the database says of it, all at one moment. `mine` and `others`: what this borrower and all others together
    have, by cap. `theirs`: the versions of their leases of something, by cap and borrower. `wanted`: this borrower was
    asked for some of it. `borrowers`: how many there are."""

    balance: int
    spent: int
    sums: metering.Sums
    mine: Mapping[str, int]
    others: Mapping[str, int]
    theirs: Mapping[tuple[str, str], int]
    wanted: bool
    borrowers: int


# --- borrowers -----------------------------------------------------------------------------------------------------


async def lock(connection: AsyncConnection) -> None:
    """Join, leave and bury one after the other. On SQLite every writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _JOIN_LOCK})


async def borrowers(connection: AsyncConnection) -> list[Borrower]:
    return [Borrower(*row) for row in await connection.execute(sql.BORROWERS)]


async def leases_counted(connection: AsyncConnection) -> dict[str, int]:
    """How many leases each borrower has."""
    return {borrower: count for borrower, count in await connection.execute(sql.LEASES_COUNTED)}


async def join(connection: AsyncConnection, me: Borrower, now_us: int) -> Borrower:
    """Become a borrower, with nothing borrowed: alone if there is no other, else those that are alone are told. What an
    earlier life of this one had borrowed is returned: its spool must have been drained. Gives the row."""
    await lock(connection)
    await return_all(connection, me.id, now_us)
    alone = all(each.id == me.id for each in await borrowers(connection))
    row = me._replace(alone=alone, wanted=False)
    await connection.execute(sql.put_borrower(connection.dialect, row._asdict()))
    if not alone:
        await connection.execute(sql.WANT_IN, {"me": me.id})
    return row


async def share(connection: AsyncConnection, me: Borrower, now_us: int) -> None:
    """This borrower is not alone from now on, and has nothing: `put` says what it has."""
    await lock(connection)
    await return_all(connection, me.id, now_us)
    await connection.execute(sql.put_borrower(connection.dialect, me._replace(alone=False)._asdict()))
    await connection.execute(sql.WANT_IN, {"me": me.id})


async def renew(connection: AsyncConnection, id: str, expires_at: int) -> tuple[bool, bool] | None:
    """This borrower lives. Gives whether it is alone and whether it is wanted; None if its row is gone."""
    found = (await connection.execute(sql.RENEW, {"me": id, "expiry_us": expires_at})).first()
    return None if found is None else (found[0], found[1])


async def bury(connection: AsyncConnection, id: str, now_us: int) -> None:
    """A borrower is gone and its spool is drained: everything comes back."""
    await lock(connection)
    await return_all(connection, id, now_us)
    await connection.execute(sql.LEAVE, {"me": id})


async def overdue(connection: AsyncConnection, id: str) -> None:
    """A borrower is late and cannot be asked: it is not alone any more, and its slots come back. Its money may be in
    its spool, and stays borrowed."""
    await lock(connection)
    await connection.execute(sql.OVERDUE, {"me": id})
    await connection.execute(sql.RETURN_SLOTS, {"me": id})


async def return_all(connection: AsyncConnection, id: str, now_us: int) -> None:
    """Everything that a borrower has comes back; what it started in the last minute goes on counting until it is over."""
    await connection.execute(sql.FORGET_TOMBS, {"now": now_us})
    await connection.execute(
        sql.KEEP_STARTS,
        {"me": id, "tomb": f"{id}@{now_us}", "until_us": now_us + _STARTS_KEPT_US},
    )
    await connection.execute(sql.RETURN_ALL, {"me": id})


# --- leases --------------------------------------------------------------------------------------------------------


async def look(connection: AsyncConnection, me: str, ask: Ask, now_us: int) -> Facts:
    """What there is to lend; it stays so until the transaction ends."""
    balance = (await connection.execute(sql.BALANCE_LOCKED, {"id": ask.wallet_id})).scalar() or 0
    spent = (await connection.execute(KEY_LOCKED, {"id": ask.key_id})).scalar() or 0
    if ask.member_id is not None:
        await connection.execute(MEMBERS_LOCKED, {"ids": [ask.member_id]})
    await connection.execute(sql.USER_LOCKED, {"id": ask.user_id})
    sums = await metering.read(connection, ask.meters)
    missing = [each for each in ask.meters if each.id not in sums]
    if missing:
        await metering.begin(connection, missing, now_us)
        sums = await metering.read(connection, ask.meters)
    mine: dict[str, int] = {}
    others: dict[str, int] = {}
    theirs: dict[tuple[str, str], int] = {}
    wanted = False
    for cap, borrower, amount, recalled, version in await connection.execute(
        sql.LENT, {"caps": ask.caps, "now": now_us}
    ):
        if borrower == me:
            mine[cap] = amount
            wanted = wanted or recalled
        else:
            others[cap] = others.get(cap, 0) + amount
            if amount:
                theirs[cap, borrower] = version
    count = (await connection.execute(sql.BORROWERS_COUNTED)).scalar_one()
    return Facts(balance, spent, sums, mine, others, theirs, wanted, count)


async def put(connection: AsyncConnection, me: str, amounts: Mapping[str, int], version: int) -> None:
    """This borrower has these amounts now, absolutely; a lease of nothing is no row. `version`: another one than the last
    time, by which those who wait see that it was written."""
    some = {cap: amount for cap, amount in amounts.items() if amount > 0}
    none = [cap for cap, amount in amounts.items() if amount <= 0]
    if some:
        await connection.execute(sql.put_leases(connection.dialect, me, some, version))
    if none:
        await connection.execute(sql.drop_leases(me, none))


async def recall(connection: AsyncConnection, me: str, caps: Sequence[str]) -> None:
    """Ask the others to give back what is idle of these."""
    await connection.execute(sql.RECALL, {"me": me, "caps": caps})


async def recalled(connection: AsyncConnection, me: str) -> list[str]:
    """The caps of which somebody wants back what is idle."""
    return list((await connection.execute(sql.RECALLED, {"me": me})).scalars())


async def drained(
    connection: AsyncConnection,
    me: str,
    by_wallet: Mapping[str, int],
    by_key: Mapping[str, int],
    by_model: Mapping[tuple[str, str], int],
    by_member: Mapping[str, int],
) -> None:
    """So much of what was lent is posted now."""
    amounts: dict[str, int] = {**by_wallet, **by_member}
    for key_id, credits in by_key.items():
        amounts[f"key:{key_id}"] = credits
    for (key_id, model), credits in by_model.items():
        amounts[f"key:{key_id}/{model}"] = credits
    rows = [{"me": me, "of_cap": cap, "credits": credits} for cap, credits in amounts.items() if credits]
    if rows:
        await connection.execute(sql.LESS, rows)

"""What an escrow writes: its row and its transfers, the balances, what its key has spent, the sums behind caps, leases.

Everything runs in a transaction of its caller, which has locked what it changes once a function here returns: accounts,
then the key, then the member, in the order in which draining and lending lock them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, structs
from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger import escrow_sql, lending, metering, sql
from bytespike.ledger.drain import MissingAccount
from bytespike.ledger.entries import HELD, REVENUE, Kind, hold_key, input_hash, release_key
from bytespike.ledger.holds import Hold
from bytespike.ledger.low_balance import Change, tell
from bytespike.ledger.metering import Known, Spent, Sums, Wanted
from bytespike.ledger.records import Attempt, Receipt
from bytespike.ledger.rollups import Rollups
from bytespike.ledger.rows import Row, attempt_row, transfer_row, usage_row
from bytespike.store import changes
from bytespike.store.members import member_id
from bytespike.store.rows import first

EscrowState: TypeAlias = Literal["held", "posted", "voided"]


class EscrowRow(Struct, frozen=True):
    """An escrow as the database has it. `amount`: micro-dollars set aside; `posted`: how much of it was billed. `request_id`: by which it
    was held and is billed. Times are Unix microseconds."""

    id: str
    request_id: str
    account_id: str
    key_id: str
    user_id: str
    org_id: str | None
    model: str
    amount: int
    at: int
    state: EscrowState = "held"
    posted: int = 0
    resolved_at: int | None = None

    def spent(self, credits: int) -> Spent:
        """So much of it, as caps count it."""
        return Spent(self.key_id, self.user_id, self.org_id, self.model, self.at, credits)


class Figures(NamedTuple):
    """What the database has in the end: the wallet's balance, the key's lifetime spend (None: there is no such key any more),
    and the sums that were asked for."""

    balance: int
    spent: int | None
    sums: Sums


class _Locked(NamedTuple):
    """What is about to change."""

    balance: int
    low_balance: int | None
    spent: int | None
    meters: Sequence[Known]


def row_of(hold: Hold, escrow_id: str, at: int) -> EscrowRow:
    """The escrow that a hold becomes."""
    record = hold.account.record
    return EscrowRow(
        id=escrow_id,
        request_id=hold.request_id,
        account_id=hold.wallet.id,
        key_id=record.id,
        user_id=hold.owner.id,
        org_id=record.org_id,
        model=hold.model,
        amount=hold.amount,
        at=at,
    )


class EscrowBooks:
    """Of one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._many = sql.ManyRows(dialect)
        self._rollups = Rollups(dialect)

    async def set_aside(
        self, connection: AsyncConnection, row: EscrowRow, borrower: str | None, low_balance: int
    ) -> Figures:
        """The money leaves the wallet. `borrower`: whose leases covered the hold; `low_balance`: as in `Drain`. Raises:
        MissingAccount, and what the database raises (an escrow of this id, or of this request, is there)."""
        amount = row.amount
        locked = await self._lock(connection, row, ())
        await connection.execute(escrow_sql.ADD, structs.asdict(row))
        await self._many.write(connection, "add_transfers", [_hold_row(row)])
        await self._balances(connection, {row.account_id: -amount, HELD: amount})
        if amount:
            await self._many.write(connection, "add_to_spent", [(row.key_id, amount)])
            places = metering.places(row.spent(amount), locked.meters)
            await self._many.write(connection, "add_to_sums", places)
            if borrower is not None:
                await _lower_leases(connection, borrower, row)
        balance = locked.balance - amount
        change = Change(row.account_id, locked.balance, balance, locked.low_balance)
        await tell(connection, [change], low_balance, row.at)
        return Figures(balance, None if locked.spent is None else locked.spent + amount, {})

    async def resolve(
        self,
        connection: AsyncConnection,
        row: EscrowRow,
        receipt: Receipt | None,
        attempts: Sequence[Attempt],
        now_us: int,
        wanted: Sequence[Wanted],
    ) -> Figures:
        """Everything goes back, and what the receipt says is billed. `row` is locked, and not resolved; the turn to announce
        (`changes.in_turn`) was waited for. `wanted`: the sums to read. Raises MissingAccount, and what the database raises."""
        after = resolved(row, receipt, now_us)
        credits, rest = after.posted, row.amount - after.posted
        locked = await self._lock(connection, row, () if receipt is None else (REVENUE,))
        said = {"escrow_id": row.id, "new_state": after.state, "credits": credits, "now": now_us}
        await connection.execute(escrow_sql.RESOLVE, said)
        transfers = [_release_row(row, now_us)]
        if receipt is not None:
            transfers.append(transfer_row(receipt))
            await self._many.write(connection, "add_usage", [usage_row(receipt)])
            await self._rollups.add(connection, [receipt])
        await self._many.write(connection, "add_transfers", transfers)
        await self._many.write(connection, "add_attempts", [attempt_row(each) for each in attempts])
        await self._balances(connection, {row.account_id: rest, HELD: -row.amount, REVENUE: credits})
        if rest:
            await self._many.write(connection, "add_to_spent", [(row.key_id, -rest)])
            for meter, bucket, less in metering.places(row.spent(rest), locked.meters):
                said = {"of_meter": meter, "of_bucket": bucket, "credits": less}
                await connection.execute(escrow_sql.LESS, said)
            await changes.announce(connection, "wallet", row.account_id, now_us)
        sums = await metering.read(connection, wanted)
        return Figures(locked.balance + rest, None if locked.spent is None else locked.spent - rest, sums)

    async def look(
        self, connection: AsyncConnection, row: EscrowRow, wanted: Sequence[Wanted]
    ) -> tuple[EscrowRow | None, Figures]:
        """The escrow and the figures as they are, once whoever is changing them is done. Raises MissingAccount."""
        locked = await self._lock(connection, row, ())
        return await find(connection, row.id), Figures(
            locked.balance, locked.spent, await metering.read(connection, wanted)
        )

    async def _lock(self, connection: AsyncConnection, row: EscrowRow, more: Sequence[str]) -> _Locked:
        accounts = [row.account_id, HELD, *more]
        found = await connection.execute(sql.BALANCES_LOCKED, {"ids": accounts})
        balances = {id: (balance, threshold) for id, balance, threshold in found}
        if missing := set(accounts) - balances.keys():
            raise MissingAccount(f"no account {min(missing)}")
        spent = (await connection.execute(sql.KEY_LOCKED, {"id": row.key_id})).scalar()
        subjects = [row.key_id]
        if row.org_id is not None:
            member = member_id(row.org_id, row.user_id)
            await connection.execute(sql.MEMBERS_LOCKED, {"ids": [member]})
            subjects.append(member)
        meters = await connection.execute(sql.METERS_OF, {"ids": subjects})
        balance, threshold = balances[row.account_id]
        return _Locked(balance, threshold, spent, [Known(*each) for each in meters])

    async def _balances(self, connection: AsyncConnection, moved: Mapping[str, int]) -> None:
        pairs = [(id, amount) for id, amount in sorted(moved.items()) if amount]
        await self._many.write(connection, "add_to_balances", pairs)


async def find(connection: AsyncConnection, escrow_id: str) -> EscrowRow | None:
    return await first(connection, escrow_sql.ONE.params(escrow_id=escrow_id), EscrowRow)


async def lock_held(connection: AsyncConnection, escrow_id: str) -> bool:
    """Whether it is not resolved yet. It stays so until the transaction ends."""
    state = (await connection.execute(escrow_sql.STATE_LOCKED, {"escrow_id": escrow_id})).scalar_one()
    return state == "held"


def resolved(row: EscrowRow, receipt: Receipt | None, now_us: int) -> EscrowRow:
    """What an escrow is when it is posted, or voided."""
    state: EscrowState = "voided" if receipt is None else "posted"
    credits = 0 if receipt is None else receipt.credits
    return structs.replace(row, state=state, posted=credits, resolved_at=now_us)


async def _lower_leases(connection: AsyncConnection, borrower: str, row: EscrowRow) -> None:
    """What was lent is in the books now, as it is when a receipt is drained."""
    amount = row.amount
    by_member = {} if row.org_id is None else {member_id(row.org_id, row.user_id): amount}
    await lending.drained(
        connection,
        borrower,
        {row.account_id: amount},
        {row.key_id: amount},
        {(row.key_id, row.model): amount},
        by_member,
    )


def _hold_row(row: EscrowRow) -> Row:
    return _transfer(hold_key(row.id), "hold", row.account_id, HELD, row, row.at)


def _release_row(row: EscrowRow, now_us: int) -> Row:
    return _transfer(release_key(row.id), "release", HELD, row.account_id, row, now_us)


def _transfer(key: str, kind: Kind, debit: str, credit: str, row: EscrowRow, at: int) -> Row:
    """In the order of the table's columns. The note says what the money is set aside for."""
    hash = input_hash(kind, debit, credit, row.amount, row.request_id, row.id)
    return (key, debit, credit, row.amount, kind, key, hash, row.request_id, row.id, at)

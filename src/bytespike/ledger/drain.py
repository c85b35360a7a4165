"""From the spool into the database: every settlement once, however often it is tried.

One batch is one transaction: a usage row and a transfer for each receipt, the wallets debited, revenue credited, the
keys' lifetime spend and meters raised, wallets that get low told of, the leases that covered it lowered, the attempts kept, the rollups added to. All
of it happens or none.

Once. A transfer's idempotency key is its request's, and unique. Records that may have been drained before (found in the
spool at start, or part of a batch whose commit was never confirmed) are looked up first, and what the books have
already adds nothing to any balance. The others are inserted without a look: should one be there after all, the
database refuses the batch, nothing has happened, and it is done again with the look.

The database is gone. `once` raises, nothing is lost or counted, and the caller tries again later.

Poison. A record that the database refuses for what it is (not for how the database is) would block everything behind
it. A refused batch is split until the record is found, which then goes to the quarantine, and the log says why.

`Drained` tells the meters what is now in the books. It is given once per record, at the moment when the commit is known.

Whoever reads figures for the meters must not see a commit that the meters have not been told of. So commit and telling
happen under one lock, `books`, and readers take it too. A writer waits for the database's own write lock first and takes
`books` then; a reader needs no write lock; so neither waits for the other while some other process holds the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.ledger import lending, metering, sql
from bytespike.ledger.additions import to_meters
from bytespike.ledger.batches import Batch, Sums, batch_of, newest, sums_of
from bytespike.ledger.entries import REVENUE
from bytespike.ledger.frames import decode_payload
from bytespike.ledger.low_balance import Change, tell
from bytespike.ledger.records import Receipt
from bytespike.ledger.rollups import Rollups
from bytespike.ledger.rows import receipt_hash, receipt_key
from bytespike.ledger.spool import Position, Spool, Unread
from bytespike.ledger.stored import UnreadableRecord
from bytespike.store.writer import writer

log = structlog.get_logger("bytespike.ledger")

#: Records of one transaction: each costs a dozen statements besides those for its rows.
BATCH_RECORDS = 1024
#: How much of an error is logged.
_REASON_CHARS = 300


class MissingAccount(ValueError):
    """A receipt names a wallet that is not in the database."""


class ConflictingReceipt(ValueError):
    """The books have another receipt under this request id."""


#: SQLSTATE classes of errors that lie in the values: "data exception" and "integrity constraint violation".
_STATES_REFUSED = ("22", "23")


def refused(error: Exception) -> bool:
    """Whether a batch failed for what is in it, so that trying again is of no use. Anything else is the database's
    trouble, and passes."""
    if isinstance(error, DBAPIError):
        if isinstance(error, IntegrityError | DataError):
            return True
        # asyncpg's errors have no class of their own here. What it cannot encode is a ValueError underneath.
        state = getattr(error.orig, "sqlstate", None) or ""
        return state.startswith(_STATES_REFUSED) or isinstance(
            getattr(error.orig, "__cause__", None), ValueError
        )
    return isinstance(error, OverflowError | UnreadableRecord | MissingAccount | ConflictingReceipt)


def reason_of(error: Exception) -> str:
    """For the log: what the driver said, without the statement that SQLAlchemy quotes."""
    return repr(error.orig if isinstance(error, DBAPIError) else error)[:_REASON_CHARS]


class Drained(NamedTuple):
    """What became durable. Micro-dollars: `by_wallet`, `by_key`, `by_model` (a key and a model) and `by_member` were posted
    by these records; `balances` and `spent` are what the database has now, for those of them that it knows."""

    by_wallet: Mapping[str, int]
    by_key: Mapping[str, int]
    by_model: Mapping[tuple[str, str], int]
    by_member: Mapping[str, int]
    balances: Mapping[str, int]
    spent: Mapping[str, int]


class Drain:
    """One spool into one database. It keeps a connection of its own, so that its statements stay prepared there.

    `borrower`: whose leases covered what is drained, and are less by it; None where no lease says anything of it.
    `low_balance`: the threshold of wallets that have none of their own, micro-dollars, 0 for none."""

    def __init__(
        self,
        engine: AsyncEngine,
        spool: Spool,
        books: asyncio.Lock,
        drained: Callable[[Drained], None],
        low_balance: int = 0,
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._books = books
        self._drained = drained
        self._one_batch = asyncio.Lock()
        self._many = sql.ManyRows(engine.dialect)
        self._rollups = Rollups(engine.dialect)
        self._writer = writer(engine)
        self.borrower: str | None = None
        self.low_balance = low_balance
        self._look_until = Position(0, 0)
        self._committing = False
        self.set_aside = 0

    def look_until(self, position: Position) -> None:
        """Records before `position` may be in the books already."""
        self._look_until = max(self._look_until, position)

    async def once(self) -> int:
        """Drain one batch. Gives how many records it had, 0 when there are none.

        Raises whatever the database raises while it is out of order; what is not done is read again next time.
        """
        async with self._one_batch:
            unread = self._spool.read(BATCH_RECORDS)
            if unread is None:
                return 0
            try:
                await self._put(unread)
            except BaseException:
                if self._committing:  # perhaps it was done, and only the answer got lost
                    self.look_until(unread.end)
                    self._committing = False
                await self.close()
                raise
            return len(unread.frames)

    @property
    def unconfirmed(self) -> bool:
        """The books may have records that the spool still counts as not drained."""
        return self._spool.drained < self._look_until

    async def close(self) -> None:
        """Give the connection back. The next batch takes another."""
        await self._writer.close()

    async def _put(self, unread: Unread) -> None:
        """Write these, splitting where the database refuses; release what is done as it is done."""
        look = (unread.segment, unread.frames[0].end) <= self._look_until
        try:
            await self._transact(unread, look)
        except Exception as error:
            if not refused(error):
                raise
            self._committing = False
            if not look:
                self.look_until(unread.end)
                await self._put(unread)
            elif (middle := len(unread.frames) // 2) > 0:
                await self._put(Unread(unread.segment, unread.frames[:middle]))
                await self._put(Unread(unread.segment, unread.frames[middle:]))
            else:
                self._put_aside(unread, error)

    def _put_aside(self, one: Unread, error: Exception) -> None:
        """The record goes to the quarantine; its money is no longer waited for."""
        payload = one.frames[0].payload
        self._spool.set_aside(payload)
        self.set_aside += 1
        log.error("drain.set_aside", segment=one.segment, end=one.end.offset, error=reason_of(error))
        if not isinstance(error, UnreadableRecord):
            receipt = decode_payload(payload).receipt
            posted = sums_of(() if receipt is None else (receipt,))
            self._drained(Drained(posted.by_wallet, posted.by_key, posted.by_model, posted.by_member, {}, {}))
        self._spool.release(one)

    async def _transact(self, unread: Unread, look: bool) -> None:
        """One transaction for these records; `look`: leave out what the books have already."""
        batch = await batch_of(unread.frames)
        posted = sums_of(batch.receipts)
        await self._writer.begin()
        async with self._books:
            balances, spent = await self._writer.run(
                lambda connection: self._write(connection, batch, posted, look), self._about_to_commit
            )
            self._committing = False
            self._drained(
                Drained(posted.by_wallet, posted.by_key, posted.by_model, posted.by_member, balances, spent)
            )
            self._spool.release(unread)

    def _about_to_commit(self) -> None:
        self._committing = True

    async def _write(
        self, connection: AsyncConnection, batch: Batch, posted: Sums, look: bool
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Everything that a batch is in the database. Gives the new balances of its wallets and the new spend of its keys."""
        fresh, moved = batch, posted
        if look:
            fresh = await _not_known(connection, batch)
            moved = sums_of(fresh.receipts)
        balances = await self._move_money(connection, posted, moved, newest(batch.receipts))
        spent = await self._raise_spent(connection, posted, moved)
        await self._add_to_meters(connection, fresh.receipts, moved)
        if self.borrower is not None:
            await lending.drained(
                connection, self.borrower, moved.by_wallet, moved.by_key, moved.by_model, moved.by_member
            )
        await self._many.write(connection, "add_usage", fresh.usage)
        await self._many.write(connection, "add_transfers", fresh.transfers)
        await self._many.write(connection, "add_attempts", batch.attempts)
        await self._rollups.add(connection, fresh.receipts)
        return balances, spent

    async def _move_money(
        self, connection: AsyncConnection, posted: Sums, moved: Sums, at_us: int
    ) -> dict[str, int]:
        """Debit the wallets and credit revenue with what is `moved`, and tell of wallets that get low by it. Gives the new
        balance of every wallet in `posted`. `at_us`: when the newest of it was posted.

        Raises `MissingAccount`.
        """
        if not posted.by_wallet:
            return {}
        found = await connection.execute(sql.BALANCES_LOCKED, {"ids": [*posted.by_wallet, REVENUE]})
        balances: dict[str, int] = {}
        thresholds: dict[str, int | None] = {}
        for id, balance, threshold in found:
            balances[id] = balance
            thresholds[id] = threshold
        missing = (posted.by_wallet.keys() | {REVENUE}) - balances.keys()
        if missing:
            raise MissingAccount(f"no account {min(missing)}")
        changes = {id: -amount for id, amount in moved.by_wallet.items()}
        await self._change(connection, "add_to_balances", changes | {REVENUE: moved.total})
        fell = [
            Change(id, balances[id], balances[id] + change, thresholds[id]) for id, change in changes.items()
        ]
        await tell(connection, fell, self.low_balance, at_us)
        return {id: balances[id] + changes.get(id, 0) for id in posted.by_wallet}

    async def _raise_spent(self, connection: AsyncConnection, posted: Sums, moved: Sums) -> dict[str, int]:
        """Raise the keys' lifetime spend. Gives the new figure of every key in `posted` that is still there."""
        if not posted.by_key:
            return {}
        found = await connection.execute(sql.SPENT_LOCKED, {"ids": [*posted.by_key]})
        spent = {id: amount for id, amount in found}
        await self._change(connection, "add_to_spent", moved.by_key)
        return {id: amount + moved.by_key.get(id, 0) for id, amount in spent.items()}

    async def _add_to_meters(
        self, connection: AsyncConnection, receipts: Sequence[Receipt], moved: Sums
    ) -> None:
        """Add to the sums that caps are compared with. The keys are locked, and the members now."""
        if not moved.by_key:
            return
        if moved.by_member:
            await connection.execute(sql.MEMBERS_LOCKED, {"ids": [*moved.by_member]})
        found = await connection.execute(sql.METERS_OF, {"ids": [*moved.by_key, *moved.by_member]})
        rows = to_meters(receipts, [metering.Known(*row) for row in found])
        if rows:
            await self._many.write(connection, "add_to_sums", rows)

    async def _change(self, connection: AsyncConnection, name: sql.Name, changes: Mapping[str, int]) -> None:
        pairs = [(id, change) for id, change in changes.items() if change]
        await self._many.write(connection, name, pairs, sql.PAIRS_MAX)


async def _not_known(connection: AsyncConnection, batch: Batch) -> Batch:
    """The batch without the receipts that the books have. Raises `ConflictingReceipt`."""
    keys = [receipt_key(receipt) for receipt in batch.receipts]
    known: dict[str, str] = {}
    if keys:
        found = await connection.execute(sql.TRANSFERS_KNOWN, {"ids": keys})
        known = {key: hash for key, hash in found}
    fresh = Batch([], [], [], batch.attempts)
    for key, receipt, usage, transfer in zip(keys, batch.receipts, batch.usage, batch.transfers, strict=True):
        hash = receipt_hash(receipt)
        before = known.get(key)
        if before is None:
            known[key] = hash
            fresh.receipts.append(receipt)
            fresh.usage.append(usage)
            fresh.transfers.append(transfer)
        elif before != hash:
            raise ConflictingReceipt(f"the books have another receipt of {receipt.request_id}")
    return fresh

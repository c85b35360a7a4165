"""Money that is set aside for longer than a request lasts: a hold that is in the books, until its task is over.

    hold ──place──► held ──post──► posted    something was made: its receipt is billed, at most what is held
                         ──void──► voided    nothing is owed

A request's hold lives in the memory of one process and dies with it. A task outlives the process that took it, may be
worked on by any other, and must not be lost with either. So its hold, once admitted against every cap, becomes an
**escrow**: a row, and a transfer of the money from the wallet to `system:held`. When the task is over the money goes back
whole, and what is billed is a usage transfer like any request's: so the wallet's entries of usage are what its receipts
say, whatever they were for.

    place    wallet -> system:held       "hold"
    post     system:held -> wallet       "release"       and wallet -> system:revenue, "usage": the receipt
    void     system:held -> wallet       "release"

**Caps.** An escrow counts as spent from `at` until it is resolved, everywhere: it has left the balance, and is in the
key's lifetime spend and in the sums behind windows, caps on models and members' caps, in the bucket of `at`. What is
billed stays in that bucket, however late; the rest is taken out of it. It takes no concurrency slot.

**Leases.** The hold was covered by what this process has borrowed. `place` moves that from the leases to what is posted,
in its transaction, just as the drain does for receipts; the meters in memory follow when the commit is known, in one stretch of code
that nothing can interrupt. So for every cap, at every moment, `posted + all leases <= limit`, and no process needs to be told.
Giving back only makes more to borrow: others find it when they borrow next, within the refusal's few hundred milliseconds, and
the change feed tells them of the wallet's balance.

**Once.** Each is one transaction, in which `write` writes the task's row under its fence: either both are done or
neither. Who resolves locks the escrow's row and finds it held, or does nothing. A crash leaves nothing or the escrow;
the hold is gone with the process either way, and what it was covered by comes back as all leases of the dead do.

**A commit that nobody confirmed** (the connection broke in it) was done or not. The hold is `doubtful` then: its money
stays set aside in memory, as if it were not in the books, while the database is asked. The question locks the rows
that the transaction had changed, so the answer is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.clock import Clock
from bytespike.errors import InternalError
from bytespike.ledger import escrow_meters as meters
from bytespike.ledger.drain import reason_of
from bytespike.ledger.escrow_books import EscrowBooks, EscrowRow, Figures, find, lock_held, resolved, row_of
from bytespike.ledger.holds import Hold, HoldResolved
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.records import Attempt, Receipt
from bytespike.ledger.restoring import tracked
from bytespike.store import changes
from bytespike.store.engine import reading

__all__ = ["Escrow", "EscrowRow", "Escrows", "UnknownEscrow", "Write"]

log = structlog.get_logger("bytespike.ledger")

#: How long a caller waits to hear whether an unconfirmed commit was done.
CONFIRM_S_MAX = 5.0
#: Between two questions: the first wait, and the longest.
_FIRST_QUESTION_S = 0.05
_LONGEST_QUESTION_S = 2.0
#: How much of an error is logged.
_REASON_CHARS = 300

#: Runs inside the transaction that moves the money: it writes the task's row under its fence, and raises to roll all back. It must not take
#: long: no batch is drained meanwhile.
Write: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]
T = TypeVar("T")


class UnknownEscrow(RuntimeError):
    """There is no escrow of this id."""


class _Unconfirmed(Exception):
    """The commit was not confirmed: `error` came instead."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Escrow(Struct, frozen=True):
    """`id`: what it is for, a task's id. `at`: from when windows count it, Unix microseconds. Who pays, the model, the amount and the
    request id are the hold's."""

    id: str
    at: int


class Escrows:
    """Of one process. Callers that are cancelled get their `CancelledError` once the transaction has ended, one way or the other."""

    def __init__(self, engine: AsyncEngine, ledger: Ledger, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._vault = ledger.vault
        self._books = EscrowBooks(engine.dialect)
        self._asking: set[asyncio.Task[bool]] = set()

    async def place(self, hold: Hold, escrow: Escrow, write: Write) -> None:
        """Turn an open hold into an escrow. Its concurrency slot is free then.

        Where this raises, `hold.state` says what to do: if it is "open" nothing was done and the hold is the caller's to void; else
        it was placed (by a call that was cancelled), or that will be found out ("doubtful").

        Raises: what `write` and the database raise; HoldResolved: the hold is not open; InternalError: nobody knows yet.
        """
        await _to_its_end(self._place(hold, escrow, write))

    async def post(
        self, escrow_id: str, receipt: Receipt, attempts: tuple[Attempt, ...], write: Write
    ) -> bool:
        """Bill the receipt, at most what is held; the rest goes back. False, and nothing happens, where the escrow was resolved
        before. Where this raises, it can be tried again.

        The receipt has the escrow's request id, account, key, user, org and model, and its amount in `held`.

        Raises: what `write` and the database raise; UnknownEscrow; ValueError: the receipt is not this escrow's, or bills more.
        """
        return await _to_its_end(self._resolve(escrow_id, receipt, attempts, write))

    async def void(self, escrow_id: str, attempts: tuple[Attempt, ...], write: Write) -> bool:
        """Give everything back. False, and nothing happens, where the escrow was resolved before. Where this raises, it can be
        tried again. Raises: what `write` and the database raise; UnknownEscrow."""
        return await _to_its_end(self._resolve(escrow_id, None, attempts, write))

    async def find(self, escrow_id: str) -> EscrowRow | None:
        """As the database has it."""
        async with reading(self._engine) as connection:
            return await find(connection, escrow_id)

    async def close(self) -> None:
        """Ask no more after commits that were not confirmed."""
        for task in [*self._asking]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # --- within ----------------------------------------------------------------------------------------------------

    async def _place(self, hold: Hold, escrow: Escrow, write: Write) -> None:
        vault = self._vault
        _check_open(hold)
        hold.keep()
        row = row_of(hold, escrow.id, escrow.at)
        try:
            async with self._writing() as connection:
                _check_open(hold)
                await write(connection)
                figures = await self._books.set_aside(
                    connection, row, vault.drain.borrower, vault.drain.low_balance
                )
                await _commit(connection, hold)
                vault.resolve(hold, "escrowed")
                meters.placed(hold, row, figures)
        except _Unconfirmed as unconfirmed:
            await self._hear(unconfirmed, self._ask(row, partial(self._learn_placed, hold, row), hold), hold)

    async def _resolve(
        self, escrow_id: str, receipt: Receipt | None, attempts: tuple[Attempt, ...], write: Write
    ) -> bool:
        vault = self._vault
        now_us = self._clock.now_us()
        row = await self.find(escrow_id)
        if row is None:
            raise UnknownEscrow(f"there is no escrow {escrow_id}")
        if row.state != "held":
            return False
        if receipt is not None:
            _check_receipt(row, receipt)
        credits = 0 if receipt is None else receipt.credits
        try:
            async with self._writing() as connection:
                await changes.in_turn(connection)
                if not await lock_held(connection, escrow_id):
                    return False
                await write(connection)
                alone = vault.sharing.alone
                wanted = () if alone else tracked(meters.known(vault.book, row))
                figures = await self._books.resolve(connection, row, receipt, attempts, now_us, wanted)
                await _commit(connection, None)
                if alone:
                    meters.given_back(vault.book, row, row.amount - credits, figures)
                else:
                    meters.read_again(vault.book, row, figures)
        except _Unconfirmed as unconfirmed:
            ours = resolved(row, receipt, now_us)
            await self._hear(unconfirmed, self._ask(row, partial(self._learn_resolved, ours)), None)
        return True

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, and then the books, as the drain takes them; rolled back where the block did not commit it."""
        vault = self._vault
        async with vault.turn, self._engine.connect() as connection:
            await connection.begin()
            async with vault.books:
                yield connection

    # --- a commit that was not confirmed ---------------------------------------------------------------------------

    async def _hear(
        self, unconfirmed: _Unconfirmed, asking: Coroutine[Any, Any, bool], hold: Hold | None
    ) -> None:
        """Wait for the answer. Raises what the commit raised if it was not done; InternalError: no answer came in time, and
        when it comes, nobody needs to wait for it."""
        task = asyncio.ensure_future(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        await asyncio.wait((task,), timeout=CONFIRM_S_MAX)
        if not task.done():
            task.add_done_callback(partial(self._void_if_open, hold))
            raise InternalError("the gateway has lost touch with its database; try again later")
        if not task.result():
            raise unconfirmed.error

    def _void_if_open(self, hold: Hold | None, asked: asyncio.Task[bool]) -> None:
        if hold is not None and hold.state == "open":
            self._vault.resolve(hold, "voided")

    async def _ask(
        self, row: EscrowRow, learn: Callable[[EscrowRow | None, Figures], bool], hold: Hold | None = None
    ) -> bool:
        """Ask until the database answers."""
        pause_s = _FIRST_QUESTION_S
        while True:
            if hold is not None:
                hold.keep()
            try:
                if self._vault.drain.unconfirmed:  # else what it wrote could count twice in what is read now
                    await self._vault.drain.once()
                async with self._writing() as connection:
                    wanted = tracked(meters.known(self._vault.book, row))
                    found, figures = await self._books.look(connection, row, wanted)
                    return learn(found, figures)
            except (
                Exception
            ) as error:  # the task's boundary: whatever the database's trouble is, it is asked again
                log.warning("ledger.escrow_unconfirmed", escrow=row.id, error=reason_of(error))
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_QUESTION_S, 2 * pause_s)

    def _learn_placed(self, hold: Hold, row: EscrowRow, found: EscrowRow | None, figures: Figures) -> bool:
        hold.know()
        if found is None:
            return False
        self._vault.resolve(hold, "escrowed")
        meters.uncover(hold, row)
        meters.read_again(self._vault.book, row, figures)
        return True

    def _learn_resolved(self, ours: EscrowRow, found: EscrowRow | None, figures: Figures) -> bool:
        meters.read_again(self._vault.book, ours, figures)
        return found == ours


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Whoever waits for it may be cancelled, and is, once it has ended: a transaction is not cut in the middle."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("ledger.escrow_failed", error=repr(error)[:_REASON_CHARS])
        raise


async def _commit(connection: AsyncConnection, hold: Hold | None) -> None:
    """Raises _Unconfirmed, and `hold` is doubtful then."""
    try:
        await connection.commit()
    except Exception as error:
        if hold is not None:
            hold.doubt()
        raise _Unconfirmed(error) from error


def _check_open(hold: Hold) -> None:
    if hold.state != "open":
        raise HoldResolved(f"the hold of {hold.request_id} is {hold.state} already")


def _check_receipt(row: EscrowRow, receipt: Receipt) -> None:
    said = (
        receipt.request_id,
        receipt.account_id,
        receipt.key_id,
        receipt.user_id,
        receipt.org_id,
        receipt.model,
    )
    if said != (row.request_id, row.account_id, row.key_id, row.user_id, row.org_id, row.model):
        raise ValueError(f"the receipt of {receipt.request_id} is not for the escrow {row.id}")
    if type(receipt.credits) is not int or not 0 <= receipt.credits <= row.amount:
        raise ValueError(f"the receipt bills {receipt.credits!r}, and {row.amount} micro-dollars are held")
    if type(receipt.held) is not int or receipt.held != row.amount:
        raise ValueError(
            f"the receipt says that {receipt.held!r} is held, and {row.amount} micro-dollars are"
        )

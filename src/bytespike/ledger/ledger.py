"""The only place where money moves.

A request takes a hold of its worst-case cost before an upstream is called, and resolves it once: posted with a receipt
when something was delivered, voided when not. Both are plain functions on meters in memory (`account.py`): nothing is
awaited, so nothing happens in between, and no cap can be passed by requests that run at once.

    limit - posted - held    is what every check compares with: the wallet, the key's lifetime quota, each of its
                             windows; besides, requests in flight and per minute of the user who owns the key

Posting bills exactly what was delivered. Where that is more than was held, a cap is passed by the difference, which is
why holds are worst cases; where it is less, the rest is free again at once.

A posted receipt is in the spool when `post` returns (`spool.py`): the caller hands the last byte to the client after
that, so what a client has received whole is never lost. A task drains the spool into the database (`drain.py`), another
keeps house: forces the spool to disk, voids holds whose request is gone, deletes what is drained.

One process per database spends money here. Others may top up wallets and change keys at any time: `reload` and changed
key records tell. A wallet that is debited by an operator while holds are open on it may end below zero by what those
holds post.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.errors import InternalError
from bytespike.ledger import sql
from bytespike.ledger.account import CappedKey, KeyAccount
from bytespike.ledger.admission import admit
from bytespike.ledger.book import ACCOUNTS_MAX, Book
from bytespike.ledger.drain import BATCH_RECORDS, Drain, Drained, reason_of
from bytespike.ledger.entries import SYSTEM_ACCOUNTS
from bytespike.ledger.frames import UnreadableRecord, decode_payload
from bytespike.ledger.holds import Hold, HoldResolved
from bytespike.ledger.records import Attempt, Receipt, Settled
from bytespike.ledger.spool import Spool, sync_files
from bytespike.ledger.standing import Standing, WindowStanding, standing_of

__all__ = [
    "Hold",
    "HoldResolved",
    "KeyAccount",
    "Ledger",
    "LedgerStats",
    "Standing",
    "WindowStanding",
]

log = structlog.get_logger("bytespike.ledger")

HOLD_AGE_MAX_S = 3600
DRAIN_INTERVAL_MS = 200
SYNC_INTERVAL_MS = 100
#: After a failed batch: the first wait, and the longest.
BACKOFF_MS_MIN = 100
BACKOFF_MS_MAX = 5_000
#: How long `stop` goes on draining. What is left then is drained at the next start.
STOP_S_MAX = 15
#: Of many failures in a row, which one is logged again.
_LOG_EVERY = 20
#: To this a caller's model name is cut when its receipt would be too large to keep.
_NAME_CHARS = 200
_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_NS_PER_S = 1_000_000_000


class LedgerStats(Struct, frozen=True):
    """`held` micro-dollars in open holds. `spool_*`: not drained yet; `unwritten` of them wait in memory for the disk.
    `drain_lag_ms`: age of the oldest record that is not drained, at most. The rest are counts since the start."""

    accounts: int
    open_holds: int
    held: int
    spool_records: int
    spool_bytes: int
    unwritten: int
    drain_lag_ms: int
    posted: int
    voided: int
    expired: int
    drained: int
    set_aside: int
    drain_failures: int


class Ledger:
    """`engine` must have the newest schema. The spool is opened and closed here."""

    def __init__(
        self,
        engine: AsyncEngine,
        spool: Spool,
        clock: Clock,
        *,
        hold_age_s_max: int = HOLD_AGE_MAX_S,
        accounts_max: int = ACCOUNTS_MAX,
        drain_interval_ms: int = DRAIN_INTERVAL_MS,
        sync_interval_ms: int = SYNC_INTERVAL_MS,
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._clock = clock
        self._hold_age_ns_max = hold_age_s_max * _NS_PER_S
        self._drain_interval_ms = drain_interval_ms
        self._sync_interval_ms = max(1, sync_interval_ms)
        books = asyncio.Lock()
        self._book = Book(engine, clock, books, self._receipts_undrained, accounts_max)
        self._drain = Drain(engine, spool, books, self._on_drained)
        self._holds: dict[str, Hold] = {}  # the oldest first
        self._serving = False
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._syncing: asyncio.Future[None] | None = None
        self._held = 0
        self._posted = self._voided = self._expired = self._drained = self._failures = 0
        self._drained_through_ns = clock.monotonic_ns()

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything that the spool holds into the database, then begin to serve.

        Raises: SpoolLocked (another gateway owns it), OSError, and what the database raises.
        """
        self._spool.open()
        try:
            self._drain.look_until(self._spool.tail)
            async with self._engine.begin() as connection:
                await connection.execute(
                    sql.add_accounts_missing(self._engine.dialect, SYSTEM_ACCOUNTS, self._clock.now_us())
                )
            recovered = await self.flush()
        except BaseException:
            await self._drain.close()
            self._spool.close()
            raise
        if recovered:
            log.info("ledger.recovered", records=recovered)
        self._serving = True
        self._tasks = [asyncio.create_task(self._drain_forever()), asyncio.create_task(self._keep_house())]

    async def stop(self) -> None:
        """Drain what is left, as far as the database takes it in `STOP_S_MAX` seconds, and close the spool."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await asyncio.gather(*self._tasks)
                self._spool.retry()
                await self.flush()
        except Exception as error:  # whatever is wrong: the spool keeps it for the next start
            log.error("ledger.stopped_undrained", records=self._spool.depth, error=reason_of(error))
        await self._drain.close()
        if self._syncing is not None:
            await self._syncing
        await asyncio.to_thread(sync_files, self._spool.unsynced())
        self._spool.close()

    async def flush(self) -> int:
        """Drain until nothing is left. Gives the number of records. Raises what the database raises."""
        total = 0
        while count := await self._drain.once():
            total += count
        self._drained_through_ns = self._clock.monotonic_ns()
        return total

    # --- accounts --------------------------------------------------------------------------------------------------

    def account(self, key: CappedKey) -> KeyAccount | None:
        """The key's account if it is in memory; its caps are `key`'s from now on. Else `await open(key)`."""
        return self._book.find(key)

    async def open(self, key: CappedKey) -> KeyAccount:
        """The key's account, read from the database if need be. Raises what the database raises."""
        if self._drain.unconfirmed and self._book.has_undrained(key.id):
            # Some receipts may be in the rows and in the spool: a window read now could have them twice.
            await self._drain.once()
        return await self._book.open(key)

    async def reload(self, kind: str, ref: str) -> None:
        """Read again what somebody changed in the database: kind "wallet" and an account id, or "key" and a key id.
        Undrained spend stays counted. Raises what the database raises."""
        await self._book.reload(kind, ref)

    def standing(self, account: KeyAccount) -> Standing:
        """The figures of the accounting headers, now."""
        return standing_of(account, self._book.now_us())

    # --- holds -----------------------------------------------------------------------------------------------------

    def hold(self, account: KeyAccount, request_id: str, amount: int) -> Hold:
        """Set `amount` micro-dollars aside and take a concurrency slot; all or nothing.

        Raises: InsufficientBalance, QuotaExceeded, RateLimited, ConcurrencyLimited; InternalError: the spool cannot
        take more, or the account was dropped from memory; ValueError: not an amount, or the id has a hold already.
        """
        if type(amount) is not int or amount < 0:
            raise ValueError(f"{amount!r} is not an amount to hold")
        if request_id in self._holds:
            raise ValueError(f"{request_id} has an open hold already")
        if not self._spool.available:
            raise InternalError(
                "the gateway cannot record usage at present (its spool is full); try again later"
            )
        if account.closed:
            raise InternalError("the key's account was closed in the meantime; try again")
        monotonic_ns = self._clock.monotonic_ns()
        monotonic_us = monotonic_ns // _NS_PER_US
        admit(account, amount, self._book.now_us(), monotonic_us)
        if account.record.rpm is not None:
            account.owner.recent.add(monotonic_us, 1)
        hold = self._holds[request_id] = Hold(account, request_id, amount, monotonic_ns)
        self._held += amount
        return hold

    def post(self, hold: Hold, receipt: Receipt, attempts: tuple[Attempt, ...]) -> None:
        """Resolve the hold with what was delivered. On return the receipt is durable (`Spool.append`).

        Raises, and has changed nothing: HoldResolved; ValueError: the receipt is not this hold's, or is no receipt.
        """
        hold.check_open()
        account = hold.account
        credits = receipt.credits
        if type(credits) is not int or credits < 0 or type(receipt.held) is not int:
            raise ValueError("the receipt's amounts are not whole micro-dollars")
        if (
            receipt.request_id != hold.request_id
            or receipt.account_id != hold.wallet.id
            or receipt.key_id != account.record.id
        ):
            raise ValueError(f"the receipt of {receipt.request_id} is not for the hold of {hold.request_id}")
        self._append(receipt, attempts)
        self._resolved(hold)
        hold.resolve("posted")
        hold.wallet.undrained += credits
        account.undrained += credits
        for window in account.windows.values():
            window.add(receipt.at, credits)
        self._posted += 1

    def void(self, hold: Hold, attempts: tuple[Attempt, ...] = ()) -> None:
        """Resolve the hold with nothing owed. The attempts are kept. Raises, and has changed nothing: HoldResolved."""
        hold.resolve("voided")
        self._resolved(hold)
        self._voided += 1
        if attempts:
            try:
                self._spool.append(Settled(None, attempts))
            except ValueError as error:  # no money is in them: the request must not fail for it
                log.error("ledger.attempts_lost", request_id=hold.request_id, error=str(error)[:200])

    def expire(self) -> int:
        """Void the holds that are older than the maximum: their requests are gone. Gives how many."""
        oldest_ns = self._clock.monotonic_ns() - self._hold_age_ns_max
        gone: list[Hold] = []
        for hold in self._holds.values():
            if hold.since_ns > oldest_ns:
                break
            gone.append(hold)
        for hold in gone:
            hold.resolve("expired")
            self._resolved(hold)
            log.warning("ledger.hold_expired", request_id=hold.request_id, held=hold.amount)
        self._expired += len(gone)
        return len(gone)

    @property
    def available(self) -> bool:
        """Whether holds are taken: the spool can record what they come to."""
        return self._serving and self._spool.available

    def stats(self) -> LedgerStats:
        """What is going on, for metrics and for tests that look for leaks."""
        depth = self._spool.depth
        lag_ns = self._clock.monotonic_ns() - self._drained_through_ns if depth else 0
        return LedgerStats(
            accounts=len(self._book),
            open_holds=len(self._holds),
            held=self._held,
            spool_records=depth,
            spool_bytes=self._spool.bytes,
            unwritten=self._spool.backlog,
            drain_lag_ms=lag_ns // _NS_PER_MS,
            posted=self._posted,
            voided=self._voided,
            expired=self._expired,
            drained=self._drained,
            set_aside=self._drain.set_aside,
            drain_failures=self._failures,
        )

    # --- within ----------------------------------------------------------------------------------------------------

    def _resolved(self, hold: Hold) -> None:
        del self._holds[hold.request_id]
        self._held -= hold.amount

    def _append(self, receipt: Receipt, attempts: tuple[Attempt, ...]) -> None:
        try:
            self._spool.append(Settled(receipt, attempts))
        except ValueError:
            # Too large, then. What makes it so is the caller's, and must not make the request free.
            short = structs.replace(
                receipt, requested_model=receipt.requested_model[:_NAME_CHARS], notices=()
            )
            self._spool.append(Settled(short, attempts))

    def _receipts_undrained(self) -> Iterator[Receipt]:
        for payload in self._spool.undrained():
            try:
                receipt = decode_payload(payload).receipt
            except UnreadableRecord:
                continue
            if receipt is not None:
                yield receipt

    def _on_drained(self, drained: Drained) -> None:
        # What an earlier process left behind is in no meter of this one.
        if self._serving:
            self._book.drained(drained)

    # --- tasks -----------------------------------------------------------------------------------------------------

    async def _drain_forever(self) -> None:
        """Drain every so often; while the database is gone, try less and less often, for ever."""
        wait_ms = self._drain_interval_ms
        failures = 0
        while not await self._stopped_within(wait_ms):
            began_ns = self._clock.monotonic_ns()
            try:
                while (count := await self._drain.once()) == BATCH_RECORDS:
                    self._drained += count
                self._drained += count
            except Exception as error:  # the task's boundary: nothing may end it
                if failures % _LOG_EVERY == 0:
                    log.error("ledger.drain_failed", records=self._spool.depth, error=reason_of(error))
                failures += 1
                self._failures += 1
                wait_ms = min(BACKOFF_MS_MAX, BACKOFF_MS_MIN << min(failures - 1, 10))
            else:
                if failures:
                    log.warning("ledger.drains_again", records=self._spool.depth)
                failures = 0
                wait_ms = self._drain_interval_ms
                self._drained_through_ns = began_ns

    async def _keep_house(self) -> None:
        while not await self._stopped_within(self._sync_interval_ms):
            try:
                self.expire()
                self._spool.retry()
                self._spool.tidy()
                self._sync()
            except OSError as error:  # the disk's trouble; the next round tries again
                log.error("ledger.upkeep_failed", error=reason_of(error))

    def _sync(self) -> None:
        """Have a thread force to disk what was written. One at a time: a slow disk must not use up the threads."""
        if self._syncing is not None and not self._syncing.done():
            return
        fds = self._spool.unsynced()
        if fds:
            self._syncing = asyncio.get_running_loop().run_in_executor(None, sync_files, fds)

    async def _stopped_within(self, wait_ms: int) -> bool:
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

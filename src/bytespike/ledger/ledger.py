"""The only place where money moves.

A request takes a hold of its worst-case cost before an upstream is called, and resolves it once: posted with a receipt
when something was delivered, voided when not. Both are plain functions on meters in memory (`account.py`): nothing is
awaited, so nothing happens in between, and no cap can be passed by requests that run at once.

    limit - posted - held    is what every check compares with: the wallet, the key's lifetime quota, each of its
                             windows, those of its caps on the request's model and of its owner's in his org; besides,
                             requests in flight and per minute of the user who owns the key

Posting bills exactly what was delivered. Where that is more than was held, a cap is passed by the difference, which is
why holds are worst cases; where it is less, the rest is free again at once. A stream that produces more than was held
for it asks for more as it goes (`extend`), and ends where there is no more.

Where several processes spend, each holds against what it has borrowed (`leases.py`), and `acquire` borrows more first
where that is too little. A process alone holds against everything.

A posted receipt is in the spool (`spool.py`) when `post` returns, or, where it is gathered with others of its loop's turn,
before anything leaves at that turn's end (`loop_turn.py`). The caller hands the last byte to the client after that, so what
a client has received whole is never lost. A task drains the spool into the database (`drain.py`), another
keeps house: forces the spool to disk, takes back holds whose request is gone, deletes what is drained; a third one
shares with the other processes (`sharing.py`).

Others may top up wallets and change keys at any time: `reload` and changed key records tell. A wallet that is debited by
an operator while holds are open on it may end below zero by what those holds post.

The file is long because a hold's whole life is in it: whoever changes how one resolves must see how one is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.errors import ConcurrencyLimited, InternalError
from bytespike.ledger import sql
from bytespike.ledger.account import CappedKey, KeyAccount, Meter
from bytespike.ledger.admission import admit, covered, fits, money_covered
from bytespike.ledger.book import ACCOUNTS_MAX, Book
from bytespike.ledger.drain import Drain, Drained, reason_of
from bytespike.ledger.entries import SYSTEM_ACCOUNTS
from bytespike.ledger.frames import decode_payload
from bytespike.ledger.holds import Hold, HoldResolved, HoldState
from bytespike.ledger.leases import NEVER_LOW
from bytespike.ledger.records import Attempt, Receipt, Settled
from bytespike.ledger.sharing import TERM_S, Sharing
from bytespike.ledger.spool import Spool, SpoolLocked
from bytespike.ledger.standing import standing_of
from bytespike.ledger.stats import LedgerStats
from bytespike.ledger.stored import UnreadableRecord
from bytespike.ledger.upkeep import Upkeep
from bytespike.ledger.values import Standing, WindowStanding
from bytespike.ledger.waiting import Waiting
from bytespike.loop_turn import LoopTurn

__all__ = [
    "Hold",
    "HoldResolved",
    "KeyAccount",
    "Ledger",
    "LedgerStats",
    "NotBorrowed",
    "Standing",
    "WindowStanding",
]

log = structlog.get_logger("bytespike.ledger")

HOLD_AGE_MAX_S = 3600
DRAIN_INTERVAL_MS = 200
SYNC_INTERVAL_MS = 100
#: How long `stop` goes on draining. What is left then is drained at the next start.
STOP_S_MAX = 15
#: How long a start waits for a process that drains our spool, in all: so often so long.
ADOPTION_POLLS_MAX = 600
ADOPTION_POLL_S = 0.05
#: To this a caller's model name is cut when its receipt would be too large to keep.
_NAME_CHARS = 200
_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_NS_PER_S = 1_000_000_000


class NotBorrowed(Exception):
    """This process has not borrowed enough for it. There may be more."""


class Vault(NamedTuple):
    """What moves money in the books beside the drain works with (`escrow.py`). `turn`: one at a time, for a crowd would take
    every connection of the pool; then begin a transaction, then lock `books`. `resolve` a hold of this process."""

    turn: asyncio.Lock
    books: asyncio.Lock
    book: Book
    drain: Drain
    sharing: Sharing
    resolve: Callable[[Hold, HoldState], None]


class Ledger:
    """`engine` must have the newest schema. The spool is opened and closed here. `low_balance`: micro-dollars below which a
    wallet without a threshold of its own is low, 0 for none."""

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
        lease_term_s: int = TERM_S,
        low_balance: int = 0,
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._clock = clock
        self._hold_age_ns_max = hold_age_s_max * _NS_PER_S
        books = asyncio.Lock()
        self._book = Book(
            engine, clock, books, self._receipts_undrained, lambda: self._holds.values(), accounts_max
        )
        self._drain = Drain(engine, spool, books, self._on_drained, low_balance)
        self._sharing = Sharing(engine, clock, books, self._book, self._drain, lease_term_s)
        self._waiting = Waiting(self._sharing, clock)
        self._upkeep = Upkeep(
            engine,
            spool,
            clock,
            self._drain,
            self._sharing,
            self.expire,
            drain_interval_ms=drain_interval_ms,
            sync_interval_ms=sync_interval_ms,
        )
        self.vault = Vault(asyncio.Lock(), books, self._book, self._drain, self._sharing, self._resolve)
        self._holds: dict[str, Hold] = {}  # the oldest first
        self._serving = False
        self.turn = LoopTurn()
        self._held = 0
        self._posted = self._voided = self._expired = 0

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything that the spool holds into the database, join those who spend there, then begin to serve.

        Raises: SpoolLocked (another gateway owns it), OSError, and what the database raises.
        """
        await self._open_spool()
        try:
            self._drain.look_until(self._spool.tail)
            async with self._engine.begin() as connection:
                await connection.execute(
                    sql.add_accounts_missing(self._engine.dialect, SYSTEM_ACCOUNTS, self._clock.now_us())
                )
            recovered = await self.flush()
            await self._sharing.join(self._spool.id, str(self._spool.directory))
        except BaseException:
            self._sharing.wake.close()
            await self._drain.close()
            self._spool.close()
            raise
        if recovered:
            log.info("ledger.recovered", records=recovered)
        self._serving = True
        self._upkeep.start()

    async def _open_spool(self) -> None:
        """Another process may be draining it just now, for its last owner: that does not take long."""
        for _ in range(ADOPTION_POLLS_MAX):
            try:
                self._spool.open()
                return
            except SpoolLocked as locked:
                if not locked.adopted:
                    raise
            await asyncio.sleep(ADOPTION_POLL_S)
        self._spool.open()

    async def stop(self) -> None:
        """Drain what is left, as far as the database takes it in `STOP_S_MAX` seconds, give back what is borrowed, and
        close the spool."""
        if self._upkeep.stopping:
            return
        self._upkeep.tell_to_stop()
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await asyncio.gather(*self._upkeep.tasks)
                self._spool.retry()
                await self.flush()
                await self._sharing.leave(drained=self._spool.depth == 0)
        except Exception as error:  # whatever is wrong: the spool keeps it for the next start
            log.error("ledger.stopped_undrained", records=self._spool.depth, error=reason_of(error))
        self._sharing.wake.close()
        await self._drain.close()
        await self._upkeep.sync()
        self._spool.close()

    async def flush(self) -> int:
        """Drain until nothing is left. Gives the number of records. Raises what the database raises."""
        total = 0
        while count := await self._drain.once():
            total += count
        self._upkeep.drained_through_ns = self._clock.monotonic_ns()
        return total

    # --- accounts --------------------------------------------------------------------------------------------------

    def account(self, key: CappedKey) -> KeyAccount | None:
        """The key's account if it is in memory; its caps are `key`'s from now on. Else `await open(key)`."""
        found = self._book.find(key)
        if self._book.followed:
            self._cover()
        return found

    async def open(self, key: CappedKey) -> KeyAccount:
        """The key's account, read from the database if need be. Raises what the database raises."""
        if self._drain.unconfirmed and (key.member_caps or self._book.has_undrained(key.id)):
            # Some receipts may be in the rows and in the spool: a window read now could have them twice.
            await self._drain.once()
        account = await self._book.open(key)
        if self._book.followed:
            self._cover()
        return account

    def _cover(self) -> None:
        """Caps are new here: what was held before there were any is written down as borrowed, so that nobody lends it."""
        followed, self._book.followed = self._book.followed, []
        if self._sharing.alone:
            return
        monotonic_us = self._clock.monotonic_ns() // _NS_PER_US
        for account in followed:
            for on_model in (None, *account.models.values()):
                meters = (account, on_model, account.member)
                if any(meter is not None and meter.uncovered(monotonic_us) for meter in meters):
                    self._upkeep.note_low(account, on_model)

    async def reload(self, kind: str, ref: str) -> None:
        """Read again what somebody changed in the database: kind "wallet" and an account id, or "key" and a key id.
        Undrained spend stays counted. Raises what the database raises."""
        await self._book.reload(kind, ref)

    def standing(self, account: KeyAccount) -> Standing:
        """The figures of the accounting headers, now."""
        return standing_of(account, self._book.now_us())

    # --- holds -----------------------------------------------------------------------------------------------------

    def hold(self, account: KeyAccount, request_id: str, amount: int, model: str = "") -> Hold:
        """Set `amount` micro-dollars aside for a request of `model` (a slug) and take a concurrency slot; all or nothing.

        Raises: InsufficientBalance, QuotaExceeded, RateLimited, ConcurrencyLimited; NotBorrowed: more must be borrowed
        first, which `acquire` does; InternalError: the spool cannot take more, or the account was dropped from memory;
        ValueError: not an amount, or the id has a hold already.
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
        on_model = account.models.get(model) if account.models else None
        if monotonic_ns > self._sharing.valid_until_ns:
            raise InternalError("the gateway has lost touch with its database; try again later")
        if self._sharing.alone:
            admit(account, on_model, amount, self._book.now_us(), monotonic_us)
        elif not covered(account, on_model, amount, monotonic_us):
            if monotonic_ns < account.refused_until_ns:
                admit(account, on_model, amount, self._book.now_us(), monotonic_us)
            raise NotBorrowed("more has to be borrowed first")
        if account.record.rpm is not None:
            account.owner.starts.recent.add(monotonic_us, 1)
        hold = self._holds[request_id] = Hold(account, request_id, amount, monotonic_ns, model)
        self._held += amount
        if not self._sharing.alone:
            self._note_low(account, on_model)
        return hold

    async def acquire(self, account: KeyAccount, request_id: str, amount: int, model: str = "") -> Hold:
        """`hold`, and what has to be borrowed for it is borrowed first: in the common case nothing, without waiting.
        Raises what `hold` raises, but for NotBorrowed."""
        try:
            return self.hold(account, request_id, amount, model)
        except NotBorrowed:
            pass

        def attempt() -> Hold | None:
            try:
                return self.hold(account, request_id, amount, model)
            except NotBorrowed:
                return None

        hold = await self._waiting.borrow_for(account, model, amount, 1, attempt)
        if hold is not None:
            return hold
        monotonic_us = self._clock.monotonic_ns() // _NS_PER_US
        admit(account, account.models.get(model), amount, self._book.now_us(), monotonic_us)
        # By the figures it fits, and yet others were quicker each time.
        raise ConcurrencyLimited(
            "too many requests draw on what is left of a limit; try again", retry_after=1
        )

    def _note_low(self, account: KeyAccount, on_model: Meter | None) -> None:
        """After a hold: remember what is in use, and have more borrowed before what there is runs out."""
        wallet = account.wallet
        owner = account.owner
        wallet.busy = account.busy = owner.slots.busy = owner.starts.busy = True
        low = wallet.granted - wallet.undrained - wallet.held < wallet.low
        if low:
            wallet.low = NEVER_LOW
        member = account.member
        if member is not None:
            member.busy = True
        for meter in (account, on_model, member):
            if meter is not None and meter.granted - meter.undrained - meter.held < meter.low:
                meter.busy = low = True
                meter.low = NEVER_LOW
        if low:
            self._upkeep.note_low(account, on_model)

    def extend(self, hold: Hold, credits: int) -> bool:
        """Set `credits` micro-dollars more aside for a request that is being answered; False if there is not so much,
        or not borrowed. Its hold does not expire meanwhile.

        Raises: HoldResolved; ValueError: not an amount.
        """
        if type(credits) is not int or credits < 0:
            raise ValueError(f"{credits!r} is not an amount to hold")
        hold.check_unresolved()
        hold.keep()
        if hold.state != "open" or hold.wallet is not hold.account.wallet:
            return False
        account = hold.account
        if self._sharing.alone:
            if not fits(account, hold.on_model, credits, self._book.now_us()):
                return False
        elif not money_covered(account, hold.on_model, credits):
            return False
        hold.grow(credits)
        self._held += credits
        return True

    async def extend_borrowing(self, hold: Hold, credits: int) -> bool:
        """`extend`; where what is borrowed is too little, more is borrowed first. False: there is no more, or the
        database cannot be asked. Raises what `extend` raises."""
        if self.extend(hold, credits):
            return True
        if self._sharing.alone or hold.state != "open":
            return False
        try:
            found = await self._waiting.borrow_for(
                hold.account, hold.model, credits, 0, lambda: self.extend(hold, credits) or None
            )
        except InternalError:
            return False
        return found is not None

    def post(
        self, hold: Hold, receipt: Receipt, attempts: tuple[Attempt, ...], *, gathered: bool = False
    ) -> None:
        """Resolve the hold with what was delivered, also where it has expired meanwhile. On return the receipt is
        durable (`Spool.append`); where it is `gathered`, before anything leaves at the end of the loop's turn.

        Raises, and has changed nothing: HoldResolved; ValueError: the receipt is not this hold's, or is no receipt.
        """
        hold.check_unresolved()
        account = hold.account
        credits = receipt.credits
        if type(credits) is not int or credits < 0 or type(receipt.held) is not int:
            raise ValueError("the receipt's amounts are not whole micro-dollars")
        if (
            receipt.request_id != hold.request_id
            or receipt.account_id != hold.wallet.id
            or receipt.key_id != account.key_id
        ):
            raise ValueError(f"the receipt of {receipt.request_id} is not for the hold of {hold.request_id}")
        self._append(receipt, attempts, gathered=gathered)
        self._resolve(hold, "posted")
        hold.wallet.undrained += credits
        account.posted(receipt.at, credits)
        if account.models and (meter := account.models.get(receipt.model)) is not None:
            meter.posted(receipt.at, credits)
        if account.member is not None:
            account.member.posted(receipt.at, credits)
        self._posted += 1

    def void(self, hold: Hold, attempts: tuple[Attempt, ...] = ()) -> None:
        """Resolve the hold with nothing owed. The attempts are kept. Raises, and has changed nothing: HoldResolved."""
        self._resolve(hold, "voided")
        self._voided += 1
        if attempts:
            try:
                self._spool.append(Settled(None, attempts))
            except ValueError as error:  # no money is in them: the request must not fail for it
                log.error("ledger.attempts_lost", request_id=hold.request_id, error=str(error)[:200])

    def expire(self) -> int:
        """Take back the holds that are older than the maximum and of which nobody said since that they live: their
        requests are gone. Gives how many."""
        now_ns = self._clock.monotonic_ns()
        oldest_ns = now_ns - self._hold_age_ns_max
        old: list[Hold] = []
        for hold in self._holds.values():
            if hold.since_ns > oldest_ns:
                break
            old.append(hold)
        gone = 0
        for hold in old:
            if hold.lives or hold.state == "doubtful":
                hold.lives = False
                hold.since_ns = now_ns
                self._holds[hold.request_id] = self._holds.pop(hold.request_id)  # now the youngest
                continue
            self._resolve(hold, "expired")
            gone += 1
            log.warning("ledger.hold_expired", request_id=hold.request_id, held=hold.amount)
        self._expired += gone
        return gone

    @property
    def available(self) -> bool:
        """Whether holds are taken: the spool can record what they come to."""
        return self._serving and self._spool.available

    @property
    def independent(self) -> bool:
        """Whether holds need no database: what was borrowed is still counted as this process's."""
        return self._clock.monotonic_ns() <= self._sharing.valid_until_ns

    def stats(self) -> LedgerStats:
        """What is going on, for metrics and for tests that look for leaks."""
        depth = self._spool.depth
        lag_ns = self._clock.monotonic_ns() - self._upkeep.drained_through_ns if depth else 0
        return LedgerStats(
            accounts=len(self._book),
            open_holds=len(self._holds),
            held=self._held,
            spool_records=depth,
            spool_bytes=self._spool.size_bytes,
            unwritten=self._spool.backlog,
            drain_lag_ms=lag_ns // _NS_PER_MS,
            posted=self._posted,
            voided=self._voided,
            expired=self._expired,
            drained=self._upkeep.drained,
            set_aside=self._drain.set_aside,
            drain_failures=self._upkeep.failures,
            alone=int(self._sharing.alone),
            borrowings=self._sharing.borrowings,
        )

    # --- within ----------------------------------------------------------------------------------------------------

    def _resolve(self, hold: Hold, state: HoldState) -> None:
        if hold.resolve(state):
            del self._holds[hold.request_id]
            self._held -= hold.amount

    def _append(self, receipt: Receipt, attempts: tuple[Attempt, ...], *, gathered: bool) -> None:
        try:
            if not gathered:
                self._spool.append(Settled(receipt, attempts))
            elif self._spool.gather(Settled(receipt, attempts)):
                self.turn.first(self._spool.flush)
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

"""What a ledger does by itself, beside requests: three tasks that end when they are told to, and by nothing else.

drain    bring settlements into the database; while that is gone, try less and less often
house    force the spool to disk, take back lost holds, delete what is drained and what no window counts
share    hear what other processes want, say that this one lives, look after those that are dead
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.ledger import sql
from bytespike.ledger.account import KeyAccount, Meter
from bytespike.ledger.drain import BATCH_RECORDS, Drain, reason_of
from bytespike.ledger.sharing import RENEW_S, Sharing
from bytespike.ledger.spool import Spool, sync_files
from bytespike.ledger.windows import HOUR_US

log = structlog.get_logger("bytespike.ledger")

#: After a failed batch: the first wait, and the longest.
BACKOFF_MS_MIN = 100
BACKOFF_MS_MAX = 5_000
#: Of many failures in a row, which one is logged again.
_LOG_EVERY = 20
#: How often somebody looks whether others want something, taps aside: alone, and not.
LOOK_ALONE_S = 0.5
LOOK_S = 0.1
#: How often idle leases are given back, and the dead looked after.
IDLE_S = 5.0
DEAD_S = 1.0
#: After a round of sharing that failed.
SHARE_RETRY_MS = 1_000
#: How often old sums are deleted, and how long after they have left their windows: a clock may be set back.
FORGET_SUMS_S = 600
SUMS_KEPT_US = 24 * HOUR_US

_NS_PER_S = 1_000_000_000


class Upkeep:
    """`expire` takes back lost holds. `drained_through_ns`: monotonic; what was posted before is in the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        spool: Spool,
        clock: Clock,
        drain: Drain,
        sharing: Sharing,
        expire: Callable[[], int],
        *,
        drain_interval_ms: int,
        sync_interval_ms: int,
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._clock = clock
        self._drain = drain
        self._sharing = sharing
        self._expire = expire
        self._drain_interval_ms = drain_interval_ms
        self._sync_interval_ms = max(1, sync_interval_ms)
        self._stopping = asyncio.Event()
        self._syncing: asyncio.Future[None] | None = None
        self._forget_at_ns = 0
        self._low: dict[tuple[str, str], tuple[KeyAccount, Meter | None]] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.drained = 0
        self.failures = 0
        self.drained_through_ns = clock.monotonic_ns()

    def start(self) -> None:
        """Begin. On a running loop."""
        now_ns = self._clock.monotonic_ns()
        self.drained_through_ns = now_ns
        self._forget_at_ns = now_ns + FORGET_SUMS_S * _NS_PER_S
        self.tasks = [
            asyncio.create_task(self._drain_forever()),
            asyncio.create_task(self._keep_house()),
            asyncio.create_task(self._share_forever()),
        ]

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def tell_to_stop(self) -> None:
        """The tasks end when they have done what they are at."""
        self._stopping.set()
        self._sharing.wake.tapped()

    async def sync(self) -> None:
        """Force everything that was written to disk."""
        if self._syncing is not None:
            await self._syncing
        await asyncio.to_thread(sync_files, self._spool.unsynced())

    def note_low(self, account: KeyAccount, on_model: Meter | None) -> None:
        """What is borrowed of something gets low: more is to be had before it is needed."""
        self._low[account.key_id, "" if on_model is None else on_model.model] = (account, on_model)
        self._sharing.wake.event.set()

    # --- drain -----------------------------------------------------------------------------------------------------

    async def _drain_forever(self) -> None:
        wait_ms = self._drain_interval_ms
        failures = 0
        while not await self._stopped_within(wait_ms):
            began_ns = self._clock.monotonic_ns()
            try:
                while (count := await self._drain.once()) == BATCH_RECORDS:
                    self.drained += count
                self.drained += count
            except Exception as error:  # the task's boundary: nothing may end it
                if failures % _LOG_EVERY == 0:
                    log.error("ledger.drain_failed", records=self._spool.depth, error=reason_of(error))
                failures += 1
                self.failures += 1
                wait_ms = min(BACKOFF_MS_MAX, BACKOFF_MS_MIN << min(failures - 1, 10))
            else:
                if failures:
                    log.warning("ledger.drains_again", records=self._spool.depth)
                failures = 0
                wait_ms = self._drain_interval_ms
                self.drained_through_ns = began_ns

    # --- house -----------------------------------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        while not await self._stopped_within(self._sync_interval_ms):
            try:
                self._expire()
                self._spool.retry()
                self._spool.tidy()
                self._sync()
                await self._forget_sums()
            except (OSError, SQLAlchemyError) as error:  # the disk's trouble; the next round tries again
                log.error("ledger.upkeep_failed", error=reason_of(error))

    def _sync(self) -> None:
        """Have a thread force to disk what was written. One at a time: a slow disk must not use up the threads."""
        if self._syncing is not None and not self._syncing.done():
            return
        fds = self._spool.unsynced()
        if fds:
            self._syncing = asyncio.get_running_loop().run_in_executor(None, sync_files, fds)

    async def _forget_sums(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._forget_at_ns:
            return
        self._forget_at_ns = now_ns + FORGET_SUMS_S * _NS_PER_S
        async with self._engine.begin() as connection:
            await connection.execute(sql.forget_sums(self._clock.now_us() - SUMS_KEPT_US))

    # --- share -----------------------------------------------------------------------------------------------------

    async def _share_forever(self) -> None:
        time_s = asyncio.get_running_loop().time
        renew_at_s = time_s() + RENEW_S
        idle_at_s = dead_at_s = time_s()
        failures = 0
        event = self._sharing.wake.event
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_ALONE_S if self._sharing.alone else LOOK_S):
                    await event.wait()
            event.clear()
            if self._stopping.is_set():
                return
            now_s = time_s()
            try:
                await self._borrow_more()
                if now_s >= renew_at_s:
                    await self._sharing.renew()
                    renew_at_s = now_s + RENEW_S
                await self._sharing.look()
                if not self._sharing.alone and now_s >= idle_at_s:
                    idle_at_s = now_s + IDLE_S
                    await self._sharing.give_back_idle()
                if not self._sharing.alone and now_s >= dead_at_s:
                    dead_at_s = now_s + DEAD_S
                    await self._sharing.adopt_dead()
                failures = 0
            except Exception as error:  # the task's boundary: nothing may end it
                if failures % _LOG_EVERY == 0:
                    log.error("ledger.sharing_failed", error=reason_of(error))
                failures += 1
                await self._stopped_within(SHARE_RETRY_MS)

    async def _borrow_more(self) -> None:
        while self._low:
            _, (account, on_model) = self._low.popitem()
            if not account.closed and not self._sharing.alone:
                await self._sharing.borrow(account, on_model, 0, 0)

    async def _stopped_within(self, wait_ms: int) -> bool:
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

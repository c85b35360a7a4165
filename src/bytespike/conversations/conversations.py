"""The kept responses: written in batches, read through a memory of the newest.

`keep` returns when the response is in the database, so whoever has an answer whole can go on from it, on any node. Many
at a time share one transaction. A database that is away does not hold answers up: after `KEEP_SECONDS_MAX` the response
is only in this process's memory, where a later batch tries again, and a conversation that goes on here notices nothing.

Everything is bounded: the memory in bytes, and what waits to be written in responses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.conversations.keeps import follow
from bytespike.conversations.kept import Kept, NoSuchResponse, from_row, to_row
from bytespike.errors import InternalError
from bytespike.store import responses
from bytespike.store.engine import reading

log = structlog.get_logger("bytespike.conversations")

MEMORY_BYTES_MAX = 64 * 1024 * 1024
#: A response with its input that is larger is not kept.
KEPT_BYTES_MAX = 32 * 1024 * 1024
#: How long an answer waits for its own record.
KEEP_SECONDS_MAX = 2.0
WAITING_MAX = 2_000
BATCH = 100
SWEEP_SECONDS = 600.0
SWEEP_ROWS = 1_000
_RETRY_SECONDS = 1.0


class Unreadable(InternalError):
    """The database is away."""

    def __init__(self, why: str) -> None:
        super().__init__(f"kept responses cannot be reached at the moment ({why}); try again shortly")


class Conversations:
    """One per process. Keep `run` running. `days`: how long a response is kept."""

    everything = False

    def __init__(self, engine: AsyncEngine, clock: Clock, *, days: int) -> None:
        self._engine = engine
        self._clock = clock
        self._kept_us = days * 86_400_000_000
        self._memory: OrderedDict[str, Kept] = OrderedDict()
        self._memory_bytes = 0
        self._waiting: deque[tuple[Kept, asyncio.Future[None]]] = deque()
        self._unwritten: set[str] = set()
        self._wake = asyncio.Event()

    def expiry(self, created_us: int) -> int:
        """When a response of that time is forgotten, Unix microseconds."""
        return created_us + self._kept_us

    async def keep(self, kept: Kept, *, durable: bool = True) -> None:
        """Remember it; returns when it is in the database, or when that takes too long. Raises nothing. What is not to
        be `durable` is not for here."""
        if not durable:
            return
        if kept.size > KEPT_BYTES_MAX:
            log.warning("a response is too large to be kept", response_id=kept.id, bytes=kept.size)
            return
        self._remember(kept)
        if len(self._waiting) >= WAITING_MAX:
            log.error("too many responses wait to be kept", response_id=kept.id)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((kept, done))
        self._unwritten.add(kept.id)
        self._wake.set()
        try:
            async with asyncio.timeout(KEEP_SECONDS_MAX):
                await asyncio.shield(done)
        except TimeoutError:
            log.error("a response is not in the database yet", response_id=kept.id)

    async def get(self, key_id: str, id: str, *, fresh: bool = True) -> Kept:
        """`fresh` False: what is in memory will do, though another process may have deleted it since.

        Raises NoSuchResponse; Unreadable when the database is away and it is not in memory."""
        kept = self._memory.get(id)
        if kept is None or (fresh and id not in self._unwritten):
            try:
                async with reading(self._engine) as connection:
                    row = await responses.get(connection, id, self._clock.now_us())
            except (SQLAlchemyError, OSError) as error:
                if kept is None:
                    raise Unreadable(type(error).__name__) from None
            else:
                kept = None if row is None else kept or from_row(row)
                if kept is not None:
                    self._remember(kept)
        if kept is None or kept.key_id != key_id or kept.expires_at <= self._clock.now_us():
            raise NoSuchResponse(id)
        return kept

    async def chain(self, key_id: str, id: str) -> list[Kept]:
        """As `keeps.Keeps` says."""
        return await follow(lambda each, fresh: self.get(key_id, each, fresh=fresh), id)

    async def delete(self, key_id: str, id: str) -> None:
        """Raises NoSuchResponse, Unreadable."""
        await self.get(key_id, id)
        try:
            async with self._engine.begin() as connection:
                await responses.remove(connection, id, key_id)
        except (SQLAlchemyError, OSError) as error:
            raise Unreadable(type(error).__name__) from None
        self._forget(id)

    async def run(self) -> None:
        """Write what is kept and sweep what has expired, until cancelled; what waits then is still written."""
        swept_at = self._clock.monotonic_ns()
        try:
            while True:
                try:
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
                try:
                    await self._write()
                    if self._clock.monotonic_ns() - swept_at > SWEEP_SECONDS * 1e9:
                        swept_at = self._clock.monotonic_ns()
                        await self.sweep()
                except (SQLAlchemyError, OSError) as error:
                    log.error("responses cannot be kept, trying again", error=type(error).__name__)
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._wake.set()
        finally:
            try:
                await self._write()
            except (SQLAlchemyError, OSError) as error:
                log.error("responses are lost", count=len(self._waiting), error=type(error).__name__)

    async def sweep(self) -> None:
        """Delete what has expired. Raises SQLAlchemyError, OSError."""
        while True:
            async with self._engine.begin() as connection:
                swept = await responses.sweep(connection, self._clock.now_us(), SWEEP_ROWS)
            if swept < SWEEP_ROWS:
                return

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
            async with self._engine.begin() as connection:
                await responses.add(connection, [to_row(kept) for kept, _ in batch])
            for kept, done in batch:
                self._waiting.popleft()
                self._unwritten.discard(kept.id)
                if not done.done():
                    done.set_result(None)

    def _remember(self, kept: Kept) -> None:
        self._forget(kept.id)
        self._memory[kept.id] = kept
        self._memory_bytes += kept.size
        while self._memory_bytes > MEMORY_BYTES_MAX:
            self._forget(next(iter(self._memory)))

    def _forget(self, id: str) -> None:
        gone = self._memory.pop(id, None)
        if gone is not None:
            self._memory_bytes -= gone.size

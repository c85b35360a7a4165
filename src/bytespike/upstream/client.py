"""The client: `request` takes a connection, sends, and waits for the head of the answer.

The package's own page (`bytespike.upstream`) says what is guaranteed and how. The path of a request on an idle
connection is one join, one write, one future and one answer; everything else is off that path.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

from bytespike.loop_turn import LoopTurn
from bytespike.upstream.answer import Answer
from bytespike.upstream.connection import Connection
from bytespike.upstream.dial import Dialer
from bytespike.upstream.errors import TransportError
from bytespike.upstream.exchange import Exchange
from bytespike.upstream.guard import Resolver
from bytespike.upstream.head import request_bytes
from bytespike.upstream.limits import (
    CLOSE_SECONDS,
    DEFAULT_LIMITS,
    STALE_SECONDS,
    SWEEP_SECONDS,
    PoolLimits,
    Timeouts,
)
from bytespike.upstream.pool import Pool, PoolKey, Shared
from bytespike.upstream.resolver import SystemResolver
from bytespike.upstream.stats import PoolStats
from bytespike.upstream.tls import client_context
from bytespike.wire.address import Origin, Proxy
from bytespike.wire.headers import render_headers

_CLOSED = "the client is closed"


class Client:
    """Outbound HTTP/1.1 with pooled connections, for one event loop.

    `tls`: the context for https origins, `tls.client_context()` by default. `resolver`: how names become addresses;
    a `guard.GuardedResolver` confines the client to public addresses. `turn`: of its loop, shared with whoever else acts at
    its end.
    """

    __slots__ = (
        "_closed",
        "_dialer",
        "_limits",
        "_loop",
        "_opened",
        "_pools",
        "_reused",
        "_shared",
        "_stale_retries",
        "_timer",
        "_turn",
    )

    def __init__(
        self,
        *,
        limits: PoolLimits = DEFAULT_LIMITS,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        turn: LoopTurn | None = None,
    ) -> None:
        self._limits = limits
        self._turn = turn or LoopTurn()
        self._dialer = Dialer(resolver or SystemResolver(), tls or client_context())
        self._pools: dict[PoolKey, Pool] = {}
        self._shared = Shared(limits.idle)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._opened = self._reused = self._stale_retries = 0

    async def request(
        self,
        origin: Origin,
        method: bytes,
        target: bytes,
        headers: bytes | Sequence[tuple[bytes, bytes]],
        body: bytes,
        timeouts: Timeouts,
        *,
        proxy: Proxy | None = None,
    ) -> Answer:
        """Send a request and wait for the head of its answer.

        `target` is the path with its query. `headers` are pairs, or a block that `head.render_headers` made before;
        host, content-length, accept-encoding and connection are the transport's own. An answer of any status is an
        answer. Raises TransportError; ValueError for a target, method or header that must not be sent. Cancelled, it
        leaves nothing.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        if self._closed:
            raise TransportError("connect", _CLOSED, sent=False)
        block = headers if isinstance(headers, bytes) else render_headers(headers)
        key = origin if proxy is None else (origin, proxy)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(origin, proxy, self._limits, self._shared)
        data, rest = request_bytes(method, pool.prefix, target, pool.tail, block, body)
        started_at = now = loop.time()
        connection = pool.take()
        retried = False
        while True:
            if connection is None:
                connection = await self._connect(loop, pool, timeouts, started_at)
                now = loop.time()
            reused = connection.served > 0
            if reused:
                self._reused += 1
            exchange = Exchange(timeouts, started_at, head_only=method == b"HEAD")
            exchange.waiter = waiter = loop.create_future()
            connection.send(exchange, data, rest, now, self._turn)
            try:
                await waiter
            except BaseException:
                exchange.cut("reset", "the request was cancelled")
                raise
            if exchange.failure is None:
                return Answer(exchange)
            if retried or not reused or not _was_stale(exchange, loop.time()):
                raise exchange.error()
            # Its idle siblings may be as stale: none of them is used for the second try.
            retried = True
            self._stale_retries += 1
            connection = None
            pool.close_idle()

    async def close(self, drain: float) -> None:
        """Refuse new requests, give those in flight `drain` seconds, then cut them; wait until the sockets are closed.

        A request that is still connecting fails when its connection is there or its deadline has passed.
        """
        self._closed = True
        for pool in self._pools.values():
            pool.drain()
        await self._settle(drain, lambda: not any(pool.connections for pool in self._pools.values()))
        for pool in self._pools.values():
            for connection in list(pool.connections):
                connection.fail("reset", _CLOSED)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._settle(CLOSE_SECONDS, lambda: not self._shared.closing)

    def stats(self) -> PoolStats:
        """The pools as they are now, and the counts since the start."""
        origins = tuple(pool.stats() for pool in self._pools.values())
        return PoolStats(
            origins=origins,
            open=sum(each.open for each in origins),
            idle=sum(each.idle for each in origins),
            in_use=sum(each.in_use for each in origins),
            connecting=sum(each.connecting for each in origins),
            waiting=sum(each.waiting for each in origins),
            closing=len(self._shared.closing),
            opened=self._opened,
            reused=self._reused,
            stale_retries=self._stale_retries,
        )

    async def _settle(self, seconds: float, settled: Callable[[], bool]) -> None:
        """Until `settled`, asked whenever a connection ends, but no longer than `seconds`."""
        shared = self._shared
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not settled():
                    shared.waiter = asyncio.get_running_loop().create_future()
                    await shared.waiter

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, pool: Pool, timeouts: Timeouts, started_at: float
    ) -> Connection:
        """A connection from the pool or a new one, within the connect deadline and the whole's."""
        now = loop.time()
        left = started_at + timeouts.total - now
        limit = min(timeouts.connect, left)
        if self._timer is None and not self._closed:
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        try:
            async with asyncio.timeout(limit):
                return await self._obtain(loop, pool, now + limit)
        except TimeoutError:
            message = f"no connection to {pool.origin.authority} within {limit:.3g} s"
            if left < timeouts.connect:
                raise TransportError("timeout_total", message, sent=False) from None
            raise TransportError("timeout_connect", message, sent=False) from None

    async def _obtain(self, loop: asyncio.AbstractEventLoop, pool: Pool, deadline: float) -> Connection:
        while True:
            if self._closed:
                raise TransportError("connect", _CLOSED, sent=False)
            # The sweep may have dropped the pool while it was empty.
            pool = self._pools.setdefault(pool.key, pool)
            connection = pool.take()
            if connection is None and not pool.take_slot():
                connection = await self._wait(loop, pool)
            if connection is None:
                return await self._open(loop, pool, deadline)
            if connection.usable:
                return connection
            connection.shut()

    async def _wait(self, loop: asyncio.AbstractEventLoop, pool: Pool) -> Connection | None:
        """Another request's connection, or None: a slot for a new one."""
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        if not pool.queue(waiter):
            name = pool.origin.authority
            raise TransportError("connect", f"too many requests wait for a connection to {name}", sent=False)
        try:
            return await waiter
        except BaseException:
            pool.withdraw(waiter)
            raise

    async def _open(self, loop: asyncio.AbstractEventLoop, pool: Pool, deadline: float) -> Connection:
        """A new connection for a slot that was taken."""
        connection = Connection(pool, loop)
        try:
            if self._closed:
                raise TransportError("connect", _CLOSED, sent=False)
            await self._dialer.dial(connection, pool.origin, pool.proxy, deadline)
        except BaseException:
            pool.free_slot()
            raise
        if self._closed or not connection.usable:
            connection.shut()
            pool.free_slot()
            what = _CLOSED if self._closed else f"{pool.origin.authority} closed the connection at once"
            raise TransportError("connect", what, sent=False)
        pool.adopt(connection)
        self._opened += 1
        return connection

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for key, pool in list(self._pools.items()):
            pool.sweep(now)
            if pool.empty:
                del self._pools[key]
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._pools else None


def _was_stale(exchange: Exchange, now: float) -> bool:
    """The server closed the (reused) connection before the request reached it: see "Stale connections"."""
    kind = exchange.failure[0] if exchange.failure is not None else None
    return kind == "reset" and exchange.untouched and now - exchange.sent_at <= STALE_SECONDS

"""The connections to one origin (through one proxy): which are idle, how many there are, who waits.

Plain functions only: nothing here awaits, so nothing here can be interrupted half-way. `size` counts connections and
the slots of those being made; whoever takes a slot gives it back, by `adopt` (a connection fills it) or `free_slot`.
Waiters are futures. One gets either a connection that another request has finished with, or None: a slot, to make a
connection of its own. What a cancelled waiter was given is passed on (`withdraw`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from bytespike.upstream.connection import Connection
from bytespike.upstream.head import line_parts
from bytespike.upstream.limits import PoolLimits
from bytespike.upstream.stats import OriginStats
from bytespike.wire.address import Origin, Proxy

#: What a pool is found by.
PoolKey: TypeAlias = Origin | tuple[Origin, Proxy]


class Shared:
    """What the pools of one client share: room for idle connections, the sockets that are closing, and whoever waits
    for connections to go away (`Client.close`)."""

    __slots__ = ("closing", "idle_left", "waiter")

    def __init__(self, idle: int) -> None:
        self.idle_left = idle
        self.closing: set[Connection] = set()
        self.waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Pool:
    """`prefix` and `tail` stand around the target in a request's head."""

    __slots__ = (
        "_draining",
        "_limits",
        "_shared",
        "connections",
        "idle",
        "key",
        "origin",
        "prefix",
        "proxy",
        "size",
        "tail",
        "waiters",
    )

    def __init__(self, origin: Origin, proxy: Proxy | None, limits: PoolLimits, shared: Shared) -> None:
        self.origin = origin
        self.proxy = proxy
        self.key: PoolKey = origin if proxy is None else (origin, proxy)
        self.prefix, self.tail = line_parts(origin, proxy)
        self._limits = limits
        self._shared = shared
        self.connections: set[Connection] = set()
        self.idle: list[Connection] = []
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.size = 0
        self._draining = False

    # --- for requests -------------------------------------------------------------------------------------------

    def take(self) -> Connection | None:
        """The connection that was used last, if one is idle."""
        while self.idle:
            connection = self.idle.pop()
            self._shared.idle_left += 1
            if connection.usable:
                return connection
            connection.shut()
        return None

    def take_slot(self) -> bool:
        """Room for one more connection. (Asked when none is idle.)"""
        if self.size >= self._limits.per_origin:
            return False
        self.size += 1
        return True

    def free_slot(self) -> None:
        """The slot goes to the next waiter, or back."""
        if not self._pass_on(None):
            self.size -= 1

    def adopt(self, connection: Connection) -> None:
        """A new connection fills its slot, until it is shut."""
        self.connections.add(connection)

    def queue(self, waiter: asyncio.Future[Connection | None]) -> bool:
        """False if too many wait already."""
        if len(self.waiters) >= self._limits.waiters_per_origin:
            return False
        self.waiters.append(waiter)
        return True

    def withdraw(self, waiter: asyncio.Future[Connection | None]) -> None:
        """The waiter gives up; what it may have been given goes to the next."""
        if waiter.done() and not waiter.cancelled():
            connection = waiter.result()
            if connection is None:
                self.free_slot()
            else:
                self.release(connection)
        elif waiter in self.waiters:
            self.waiters.remove(waiter)

    # --- for connections ----------------------------------------------------------------------------------------

    def release(self, connection: Connection) -> None:
        if connection.closed or self._pass_on(connection):
            return
        room = len(self.idle) < self._limits.idle_per_origin and self._shared.idle_left > 0
        if room and not self._draining:
            self._shared.idle_left -= 1
            self.idle.append(connection)
        else:
            connection.shut()

    def forget(self, connection: Connection) -> None:
        self._shared.closing.add(connection)
        if connection not in self.connections:
            return  # never adopted: its slot is still with the request that made it
        self.connections.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
            self._shared.idle_left += 1
        self.free_slot()
        self._shared.wake()

    def gone(self, connection: Connection) -> None:
        self._shared.closing.discard(connection)
        self._shared.wake()

    # --- for the sweep and the end ------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        return self.size == 0 and not self.waiters

    def sweep(self, now: float) -> None:
        """Deadlines of requests, expiry of idle connections."""
        for connection in list(self.connections):
            connection.check(now)
        oldest = now - self._limits.idle_seconds
        for connection in [each for each in self.idle if each.idle_since <= oldest]:
            connection.shut()

    def close_idle(self) -> None:
        for connection in list(self.idle):
            connection.shut()

    def drain(self) -> None:
        """Nothing is kept from now on, and nobody waits: waiters wake up and find the client closed."""
        self._draining = True
        self.close_idle()
        while self._pass_on(None):
            self.size += 1

    def stats(self) -> OriginStats:
        opened = len(self.connections)
        idle = len(self.idle)
        return OriginStats(
            origin=self.origin,
            proxied=self.proxy is not None,
            open=opened,
            idle=idle,
            in_use=opened - idle,
            connecting=self.size - opened,
            waiting=len(self.waiters),
        )

    def _pass_on(self, connection: Connection | None) -> bool:
        """Give it to the request that has waited longest. False if nobody waits."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

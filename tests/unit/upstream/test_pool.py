"""The pool's bookkeeping, without sockets: slots, idle connections and waiters under any order of events."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bytespike.upstream.limits import PoolLimits
from bytespike.upstream.pool import Pool, Shared
from bytespike.wire.address import Origin

LIMITS = PoolLimits(per_origin=3, idle_per_origin=2, idle=2, idle_seconds=10, waiters_per_origin=4)
ORIGIN = Origin("http", "h", 80)


class Stub:
    """What the pool knows of a connection."""

    def __init__(self, pool: Pool, now: float) -> None:
        self.pool = pool
        self.closed = False
        self.usable = True
        self.idle_since = now

    def shut(self) -> None:
        if not self.closed:
            self.closed = True
            self.usable = False
            self.pool.forget(self)

    def check(self, now: float) -> None: ...


class PoolMachine(RuleBasedStateMachine):
    """Requests take and wait, connections are released and die, waiters are served and give up."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.shared = Shared(LIMITS.idle)
        self.pool = Pool(ORIGIN, None, LIMITS, self.shared)
        self.now = 0.0
        self.slots = 0  # taken by requests that are connecting
        self.busy: list[Stub] = []  # in use by requests
        self.waiting: list[asyncio.Future[Any]] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule()
    def a_request_comes(self):
        connection = self.pool.take()
        if connection is not None:
            assert not connection.closed
            self.busy.append(connection)
        elif self.pool.take_slot():
            self.slots += 1
        else:
            waiter = self.loop.create_future()
            room = len(self.pool.waiters) < LIMITS.waiters_per_origin
            assert self.pool.queue(waiter) == room
            if room:
                self.waiting.append(waiter)

    @precondition(lambda self: self.slots)
    @rule(works=st.booleans())
    def a_connection_is_made_or_not(self, works):
        self.slots -= 1
        if works:
            connection = Stub(self.pool, self.now)
            self.pool.adopt(connection)
            self.busy.append(connection)
        else:
            self.pool.free_slot()

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), whole=st.booleans())
    def an_answer_ends(self, data, whole):
        connection = self.busy.pop(data.draw(st.integers(0, len(self.busy) - 1)))
        if whole:
            connection.idle_since = self.now
            self.pool.release(connection)
        else:
            connection.shut()

    @precondition(lambda self: self.pool.idle)
    @rule(data=st.data(), seen=st.booleans())
    def an_idle_connection_dies(self, data, seen):
        connection = data.draw(st.sampled_from(self.pool.idle))
        if seen:
            connection.shut()
        else:
            connection.usable = False

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), cancelled=st.booleans())
    def a_waiter_gives_up(self, data, cancelled):
        waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if cancelled and not waiter.done():
            waiter.cancel()
        self.pool.withdraw(waiter)

    @rule()
    def waiters_run(self):
        for waiter in [each for each in self.waiting if each.done()]:
            self.waiting.remove(waiter)
            connection = waiter.result()
            if connection is None:
                self.slots += 1
            elif not connection.closed:
                self.busy.append(connection)

    @rule(seconds=st.sampled_from([1, 20]))
    def time_passes(self, seconds):
        self.now += seconds
        self.pool.sweep(self.now)
        assert all(self.now - each.idle_since < LIMITS.idle_seconds for each in self.pool.idle)

    @rule()
    def idle_connections_are_closed(self):
        self.pool.close_idle()
        assert self.pool.idle == []

    @invariant()
    def everything_is_counted_once(self):
        given = [each.result() for each in self.waiting if each.done() and not each.cancelled()]
        slots_given = sum(1 for each in given if each is None)
        assert self.pool.size == len(self.pool.connections) + self.slots + slots_given
        assert self.pool.size <= LIMITS.per_origin
        assert set(self.pool.idle) <= self.pool.connections
        on_the_way = {each for each in given if each is not None and not each.closed}
        assert self.pool.connections == set(self.pool.idle) | set(self.busy) | on_the_way
        assert self.shared.idle_left == LIMITS.idle - len(self.pool.idle)
        assert len(self.pool.idle) <= LIMITS.idle_per_origin

    @invariant()
    def nobody_waits_while_there_is_something_to_have(self):
        if any(not each.done() for each in self.pool.waiters):
            assert self.pool.idle == []
            assert self.pool.size == LIMITS.per_origin

    @invariant()
    def stats_say_so(self):
        stats = self.pool.stats()
        assert stats.open == stats.idle + stats.in_use
        assert stats.open + stats.connecting == self.pool.size
        assert self.pool.empty == (self.pool.size == 0 and not self.pool.waiters)


PoolMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase


def test_the_connection_used_last_is_taken_first():
    pool = Pool(ORIGIN, None, LIMITS, Shared(LIMITS.idle))
    first, second = Stub(pool, 0), Stub(pool, 0)
    for connection in (first, second):
        assert pool.take_slot()
        pool.adopt(connection)
    pool.release(first)
    pool.release(second)
    assert pool.take() is second
    assert pool.take() is first
    assert pool.take() is None


def test_a_draining_pool_keeps_nothing_and_wakes_everybody():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pool = Pool(ORIGIN, None, LIMITS, Shared(LIMITS.idle))
        busy, idle = Stub(pool, 0), Stub(pool, 0)
        for connection in (busy, idle):
            pool.take_slot()
            pool.adopt(connection)
        pool.release(idle)
        waiters = [loop.create_future() for _ in range(3)]
        assert all(pool.queue(waiter) for waiter in waiters)
        pool.drain()
        assert idle.closed
        assert [waiter.result() for waiter in waiters] == [None] * 3
        for _ in waiters:
            pool.free_slot()
        pool.release(busy)
        assert busy.closed
        assert pool.empty

    asyncio.run(main())

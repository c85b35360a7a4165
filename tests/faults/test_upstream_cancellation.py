"""A request that is cancelled, wherever it is: no connection, no slot, no task, no timer is left of it.

`run` (tests/support/transport.py) fails if a task, a timer or an error that nobody saw remains.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from bytespike.testing.fault_listener import FullListener
from bytespike.testing.fault_proxy import FaultProxy
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, chunked, sending, whole
from bytespike.upstream.client import Client
from bytespike.upstream.connection import Connection
from bytespike.upstream.limits import PoolLimits
from bytespike.wire.address import Origin, parse_proxy
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_nothing_left,
    assert_whole,
    both_loops,
    exchange,
    open_client,
    origin_of,
    streamed,
    until,
)


async def cancelled(work: Coroutine[Any, Any, Any], reached: Callable[[], bool]) -> None:
    """Start `work`, cancel it once `reached`, and see that it ends as cancelled."""
    task = asyncio.create_task(work)
    await until(lambda: reached() or task.done())
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class NeverResolves:
    public_only = False
    asked = 0

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.get_running_loop().create_future()
        return ()

    def forget(self, host: str) -> None: ...


@both_loops
def test_cancelled_before_it_began(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream, open_client() as client:
            task = asyncio.create_task(exchange(client, upstream))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert_nothing_left(client)
            assert upstream.connections == []

    run(main())


@both_loops
def test_cancelled_while_the_name_is_looked_up(run):
    async def main():
        resolver = NeverResolves()
        async with open_client(resolver=resolver) as client:
            request = client.request(Origin("http", "name.test", 80), POST, b"/", b"", b"", TIMEOUTS)
            await cancelled(request, lambda: resolver.asked == 1)
            assert_nothing_left(client)

    run(main())


@both_loops
def test_cancelled_while_connecting(run):
    async def main():
        with FullListener() as listener:
            async with open_client() as client:
                origin = Origin("http", listener.host, listener.port)
                request = client.request(origin, POST, b"/", b"", b"", TIMEOUTS)
                await cancelled(request, lambda: client.stats().connecting == 1)
                assert_nothing_left(client)

    run(main())


@both_loops
def test_cancelled_while_the_proxy_is_silent(run):
    async def main():
        async with FaultProxy(silent=True) as proxy, open_client() as client:
            origin = Origin("https", "name.test", 443)
            way = parse_proxy(proxy.url)
            request = client.request(origin, POST, b"/", b"", b"", TIMEOUTS, proxy=way)
            await cancelled(request, lambda: proxy.connections == 1)
            assert_nothing_left(client)

    run(main())


@both_loops
def test_cancelled_while_waiting_for_a_connection(run):
    async def handler(peer: Peer) -> None:
        await release.wait()
        await peer.answer(200, body=b"ok")

    release = asyncio.Event()

    async def main():
        limits = PoolLimits(per_origin=1)
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            first = asyncio.create_task(exchange(client, upstream))
            await until(lambda: upstream.requests)
            await cancelled(exchange(client, upstream), lambda: client.stats().waiting == 1)
            last = asyncio.create_task(exchange(client, upstream))
            await until(lambda: client.stats().waiting == 1)
            assert client.stats().in_use == 1
            release.set()
            assert [await first, await last] == [b"ok", b"ok"]
            assert_whole(client)

    run(main())


@both_loops
@pytest.mark.parametrize("granted", ["a connection", "a slot"])
def test_cancelled_in_the_turn_in_which_it_was_given_something_to_go_on_with(run, granted):
    async def handler(peer: Peer) -> None:
        await release.wait()
        await peer.answer(
            200, [(b"connection", b"keep-alive" if granted == "a connection" else b"close")], b"ok"
        )

    release = asyncio.Event()

    async def main():
        limits = PoolLimits(per_origin=1)
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            first = asyncio.create_task(exchange(client, upstream))
            await until(lambda: upstream.requests)
            unlucky = asyncio.create_task(exchange(client, upstream))
            next_in_line = asyncio.create_task(exchange(client, upstream))
            await until(lambda: client.stats().waiting == 2)
            (pool,) = client._pools.values()
            waiter = pool.waiters[0]
            release.set()
            while not waiter.done():
                await asyncio.sleep(0)
            # It has been given something, and has not run since.
            assert (waiter.result() is None) == (granted == "a slot")
            unlucky.cancel()
            assert await first == b"ok"
            with pytest.raises(asyncio.CancelledError):
                await unlucky
            assert await next_in_line == b"ok"
            assert_whole(client)

    run(main())


@both_loops
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\ncontent-le"], ids=["no byte", "half a head"])
def test_cancelled_while_waiting_for_the_head(run, first):
    async def handler(peer: Peer) -> None:
        await peer.send(first)
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            await cancelled(exchange(client, upstream), lambda: bool(upstream.requests))
            assert_nothing_left_open(client)
            await upstream.settled()

    run(main())


@both_loops
def test_cancelled_while_reading_a_body_whole_or_streamed(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"x" * 1000)
        seen.append(peer)
        await peer.stall()

    seen: list[Peer] = []

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            for number, work in enumerate((exchange(client, upstream), streamed(client, upstream)), 1):
                await cancelled(
                    work, lambda wanted=number: len(seen) == wanted and client.stats().in_use == 1
                )
                assert_nothing_left_open(client)
                await upstream.settled()

    run(main())


@both_loops
def test_cancelled_while_a_large_body_is_on_its_way(run):
    async def handler(peer: Peer) -> None:
        await peer_gone.wait()
        await peer.stall()

    peer_gone = asyncio.Event()

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            work = exchange(client, upstream, POST, b"x" * 20_000_000)
            await cancelled(work, lambda: bool(upstream.requests))
            assert_nothing_left_open(client)
            peer_gone.set()
            await upstream.settled()

    run(main())


@both_loops
@pytest.mark.parametrize("kept", [True, False], ids=["pooled connection", "new connection"])
def test_cancelled_at_every_turn_of_the_loop(run, kept):
    """Not at chosen stages but at all of them: after n turns, for every n until the request is through."""
    data = chunked([b"one", b"two", b"three"])

    async def main():
        async with ScriptedUpstream(sending(data, step=9)) as upstream, open_client() as client:
            finished = 0
            for turns in range(400):
                if kept:
                    await exchange(client, upstream)
                else:
                    for pool in client._pools.values():
                        pool.close_idle()
                task = asyncio.create_task(streamed(client, upstream))
                for _ in range(turns):
                    await asyncio.sleep(0)
                finished += task.done()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    assert b"".join(await task) == b"onetwothree"
                assert_whole(client)
                if finished > 3:
                    break
            assert finished > 3, "the request never got through"
            assert await exchange(client, upstream) == b"onetwothree"
            for pool in client._pools.values():
                pool.close_idle()
            await upstream.settled()

    run(main())


@both_loops
def test_connections_are_freed(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            task = asyncio.create_task(exchange(client, upstream))
            await until(lambda: client.stats().in_use)
            alive = [weakref.ref(each) for pool in client._pools.values() for each in pool.connections]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            await upstream.settled()
            gc.collect()
            assert [each() for each in alive] == [None]
            assert not [each for each in gc.get_objects() if isinstance(each, Connection)]

    run(main())


@both_loops
def test_a_client_that_hangs_up_under_load_leaves_the_others_alone(run):
    async def handler(peer: Peer) -> None:
        await peer.answer_chunked([b"a"] * 20, pause=0.005)

    async def main():
        limits = PoolLimits(per_origin=8)
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            tasks = [asyncio.create_task(exchange(client, upstream)) for _ in range(40)]
            for number, task in enumerate(tasks):
                await asyncio.sleep(0.005)
                if number % 2:
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result == b"a" * 20 for result in results[::2])
            assert_whole(client)

    run(main())


def assert_nothing_left_open(client: Client) -> None:
    stats = client.stats()
    assert (stats.open, stats.connecting, stats.waiting) == (0, 0, 0)


@both_loops
def test_an_answer_that_is_dropped_after_its_head_is_cut_by_abort(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            reading = asyncio.create_task(answer.read(LIMIT))
            await asyncio.sleep(0.01)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert_nothing_left_open(client)
            await upstream.settled()

    run(main())

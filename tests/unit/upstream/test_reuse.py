"""Which connections are used again, how many there are, and who waits for one."""

from __future__ import annotations

import asyncio

import pytest

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, chunked, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import PoolLimits
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_whole,
    both_loops,
    exchange,
    open_client,
    origin_of,
    until,
)


@both_loops
def test_a_thousand_sequential_requests_use_one_connection(run):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream, open_client() as client:
            for _ in range(1000):
                assert await exchange(client, upstream) == b"ok"
            assert len(upstream.connections) == 1
            stats = client.stats()
            assert (stats.opened, stats.reused, stats.idle, stats.in_use) == (1, 999, 1, 0)

    run(main())


@both_loops
def test_concurrency_beyond_the_limit_waits_and_proceeds(run):
    async def handler(peer: Peer) -> None:
        await go_on.wait()
        await peer.answer(200, body=b"ok")

    go_on = asyncio.Event()

    async def main():
        limits = PoolLimits(per_origin=4, waiters_per_origin=100)
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            pending = asyncio.gather(*(exchange(client, upstream) for _ in range(50)))
            await until(lambda: len(upstream.requests) == 4)
            stats = client.stats()
            assert (stats.in_use, stats.connecting, stats.waiting) == (4, 0, 46)
            go_on.set()
            assert await pending == [b"ok"] * 50
            assert len(upstream.connections) == 4
            assert_whole(client)

    run(main())


@both_loops
def test_a_full_queue_refuses_at_once(run):
    async def main():
        limits = PoolLimits(per_origin=1, waiters_per_origin=1)

        async def handler(peer: Peer) -> None:
            await release.wait()
            await peer.answer()

        release = asyncio.Event()
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            first = asyncio.create_task(exchange(client, upstream))
            second = asyncio.create_task(exchange(client, upstream))
            await until(lambda: client.stats().waiting == 1)
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert (caught.value.kind, caught.value.sent) == ("connect", False)
            release.set()
            await asyncio.gather(first, second)
            assert_whole(client)

    run(main())


@both_loops
def test_the_connection_used_last_is_used_next_and_idle_ones_expire(run):
    async def main():
        limits = PoolLimits(idle_seconds=0.5)
        async with ScriptedUpstream(sending(whole())) as upstream, open_client(limits=limits) as client:
            await asyncio.gather(*(exchange(client, upstream) for _ in range(3)))
            assert client.stats().idle == len(upstream.connections) == 3
            last = upstream.requests[-1].connection
            for _ in range(5):
                await asyncio.sleep(0.15)
                await exchange(client, upstream)
                assert upstream.requests[-1].connection == last
            assert client.stats().idle == 1
            await until(lambda: client.stats().origins == ())
            await upstream.settled()
            assert [log.ended for log in upstream.connections] == ["client"] * 3

    run(main())


@both_loops
def test_no_more_than_the_limits_are_kept_idle(run):
    async def main():
        limits = PoolLimits(idle_per_origin=2, idle=3)
        async with (
            ScriptedUpstream(sending(whole())) as one,
            ScriptedUpstream(sending(whole())) as other,
            open_client(limits=limits) as client,
        ):
            await asyncio.gather(*(exchange(client, one) for _ in range(5)))
            assert client.stats().idle == 2
            await asyncio.gather(*(exchange(client, other) for _ in range(5)))
            assert client.stats().idle == 3
            assert client.stats().open == 3
            await exchange(client, one)
            await exchange(client, other)
            assert client.stats().idle == 3

    run(main())


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        whole(200, [(b"Connection", b"close")], b"ok"),
        whole(200, [(b"connection", b"Keep-Alive, Close")], b"ok"),
        whole(200, (), b"ok").replace(b"HTTP/1.1", b"HTTP/1.0"),
        whole(200, [(b"connection", b"keep-alive")], b"ok").replace(b"HTTP/1.1", b"HTTP/1.0"),
        whole(200, (), b"ok") + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        whole(200, (), b"ok") + b"x",
        chunked([b"ok"]) + b"left over",
        whole(200, [(b"connection", b"close")], b"ok") + b"left over",
    ],
    ids=[
        "close",
        "close in a list",
        "1.0",
        "1.0 keep-alive",
        "second answer",
        "one byte",
        "after chunks",
        "after close",
    ],
)
def test_a_connection_that_may_be_unclean_is_never_used_again(run, answer):
    async def main():
        async with ScriptedUpstream(sending(answer)) as upstream, open_client() as client:
            for _ in range(3):
                assert await exchange(client, upstream) == b"ok"
            assert len(upstream.connections) == 3
            assert client.stats().open == 0

    run(main())


@both_loops
def test_a_connection_on_which_bytes_come_unasked_is_closed(run):
    async def handler(peer: Peer) -> None:
        await peer.answer(200, body=b"ok")
        await asyncio.sleep(0.02)
        await peer.answer(408, body=b"idle too long")

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            assert await exchange(client, upstream) == b"ok"
            assert client.stats().idle == 1
            await until(lambda: client.stats().open == 0)
            assert await exchange(client, upstream) == b"ok"
            assert len(upstream.connections) == 2

    run(main())


@both_loops
def test_trailers_are_read_and_do_not_become_headers_of_this_answer_or_the_next(run):
    answers = [chunked([b"ok"], trailers=[(b"x-sum", b"1"), (b"x-other", b"2")]), whole(200, (), b"ok")]

    async def handler(peer: Peer) -> None:
        await peer.send(answers[peer.request.target == b"/second"])

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            for target in (b"/first", b"/second"):
                answer = await client.request(origin_of(upstream), POST, target, b"", b"", TIMEOUTS)
                assert await answer.read(LIMIT) == b"ok"
                assert not {b"x-sum", b"x-other"} & set(answer.headers)
            assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_a_connection_that_dies_on_its_way_to_a_waiter_is_replaced(run):
    async def handler(peer: Peer) -> None:
        await release.wait()
        await peer.answer(200, body=b"ok")

    release = asyncio.Event()

    async def main():
        limits = PoolLimits(per_origin=1)
        async with ScriptedUpstream(handler) as upstream, open_client(limits=limits) as client:
            first = asyncio.create_task(exchange(client, upstream))
            await until(lambda: upstream.requests)
            second = asyncio.create_task(exchange(client, upstream))
            await until(lambda: client.stats().waiting == 1)
            (pool,) = client._pools.values()
            waiter = pool.waiters[0]
            release.set()
            while not waiter.done():
                await asyncio.sleep(0)
            waiter.result().shut()
            # The sweep finds an empty pool in just this turn and drops it.
            client._timer.cancel()
            client._sweep(asyncio.get_running_loop())
            assert client.stats().origins == ()
            assert [await first, await second] == [b"ok", b"ok"]
            stats = client.stats()
            assert (stats.opened, stats.idle, stats.stale_retries) == (2, 1, 0)
            assert_whole(client)

    run(main())

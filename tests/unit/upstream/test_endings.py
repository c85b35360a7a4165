"""Patience, abort, close: how an answer or a client ends before its time."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from bytespike.testing.fault_listener import FullListener
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, head, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import PoolLimits, Timeouts
from bytespike.wire.address import Origin
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
def test_a_reader_can_wait_for_a_chunk_with_patience_and_go_on(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"one")
        await asyncio.sleep(0.6)
        await peer.chunk(b"two")
        await peer.chunk(b"")

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            seen = []
            while chunk := (got := await answer.next_chunk_within(0.2)) or (b"quiet" if got is None else b""):
                seen.append(chunk)
            assert seen[0] == b"one"
            assert seen[-1] == b"two"
            assert 1 <= seen.count(b"quiet") <= 3
            assert await answer.next_chunk_within(0.2) == b""
            assert_whole(client)

    run(main())


@both_loops
def test_two_readers_of_one_answer_are_a_mistake(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            reader = asyncio.create_task(answer.next_chunk())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await answer.next_chunk()
            answer.abort()
            with pytest.raises(TransportError):
                await reader

    run(main())


@both_loops
def test_abort_cuts_the_connection_at_once_and_may_be_repeated(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"one")
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            assert await answer.next_chunk() == b"one"
            assert client.stats().in_use == 1
            answer.abort()
            answer.abort()
            assert client.stats().open == 0
            with pytest.raises(TransportError) as caught:
                await answer.next_chunk()
            assert caught.value.kind == "reset"
            await upstream.settled()
            assert upstream.connections[0].ended in ("client", "client_reset")

    run(main())


@both_loops
def test_aborting_a_whole_answer_leaves_its_connection_in_the_pool(run):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            answer.abort()
            assert client.stats().idle == 1
            assert await answer.read(LIMIT) == b"ok"
            answer.abort()
            assert await exchange(client, upstream) == b"ok"
            assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_close_lets_requests_finish_then_cuts_the_others_and_refuses_new_ones(run):
    async def handler(peer: Peer) -> None:
        if peer.request.target == b"/slow":
            await peer.stall()
        await asyncio.sleep(0.1)
        await peer.answer(200, body=b"ok")

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            origin = origin_of(upstream)
            quick = asyncio.create_task(exchange(client, upstream))
            slow = asyncio.create_task(client.request(origin, POST, b"/slow", b"", b"", TIMEOUTS))
            await until(lambda: len(upstream.requests) == 2)
            await client.close(0.5)
            assert await quick == b"ok"
            with pytest.raises(TransportError) as caught:
                await slow
            assert caught.value.kind == "reset"
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert (caught.value.kind, caught.value.sent) == ("connect", False)
            await upstream.settled()

    run(main())


@both_loops
def test_close_does_not_wait_for_longer_than_it_must(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream, open_client() as client:
            await exchange(client, upstream)
            started = asyncio.get_running_loop().time()
            await client.close(5)
            assert asyncio.get_running_loop().time() - started < 0.5

    run(main())


@both_loops
def test_closed_connections_are_not_kept_alive(run):
    async def main():
        limits = PoolLimits(idle_seconds=0.05)
        async with ScriptedUpstream(sending(whole())) as upstream, open_client(limits=limits) as client:
            await exchange(client, upstream)
            (pool,) = client._pools.values()
            reference = weakref.ref(pool.idle[0])
            del pool
            await asyncio.sleep(0.4)
            assert client.stats().open == 0
            assert reference() is None, "only the garbage collector could free it"

    run(main())


@both_loops
def test_no_repr_or_message_shows_headers_queries_or_bodies(run):
    async def main():
        async with (
            ScriptedUpstream(
                sending(head(200, [(b"x-secret", b"sesame"), (b"content-length", b"9")]), "reset")
            ) as upstream,
            open_client() as client,
        ):
            headers = [(b"authorization", b"Bearer sesame")]
            answer = await client.request(
                origin_of(upstream), POST, b"/?key=sesame", headers, b"sesame", TIMEOUTS
            )
            with pytest.raises(TransportError) as caught:
                await answer.read(LIMIT)
            assert "sesame" not in f"{caught.value} {caught.value!r} {client.stats()!r} {answer!r}"

    run(main())


def test_timeouts_have_sane_defaults():
    assert 0 < Timeouts().connect < Timeouts().first_byte <= Timeouts().total


@both_loops
def test_close_turns_waiting_and_connecting_requests_away(run):
    async def main():
        limits = PoolLimits(per_origin=1)
        with FullListener() as listener:
            async with ScriptedUpstream(Peer.stall) as upstream, open_client(limits=limits) as client:
                running = asyncio.create_task(exchange(client, upstream))
                await until(lambda: upstream.requests)
                waiting = asyncio.create_task(exchange(client, upstream))
                origin = Origin("http", listener.host, listener.port)
                connecting = asyncio.create_task(
                    client.request(origin, POST, b"/", b"", b"", Timeouts(connect=0.5))
                )
                await until(lambda: (client.stats().waiting, client.stats().connecting) == (1, 1))
                await client.close(0.1)
                results = await asyncio.gather(running, waiting, connecting, return_exceptions=True)
                assert [(each.kind, each.sent) for each in results] == [
                    ("reset", True),
                    ("connect", False),
                    ("timeout_connect", False),
                ]

    run(main())


@both_loops
def test_a_connection_that_is_ready_after_the_close_is_not_used(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream:

            class Slow:
                public_only = False

                async def resolve(self, host: str, port: int) -> tuple[str, ...]:
                    await asyncio.sleep(0.1)
                    return ("127.0.0.1",)

                def forget(self, host: str) -> None: ...

            async with open_client(resolver=Slow()) as client:
                late = asyncio.create_task(exchange(client, upstream))
                await until(lambda: client.stats().connecting == 1)
                await client.close(0)
                with pytest.raises(TransportError) as caught:
                    await late
                assert (caught.value.kind, caught.value.sent) == ("connect", False)
                await upstream.settled()
                assert upstream.requests == []

    run(main())

"""Pooled connections that the server has closed: repeated once where it is safe, reported where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bytespike.testing.scripted_upstream import Handler, Peer, ScriptedUpstream, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import STALE_SECONDS, Timeouts
from tests.support.transport import (
    POST,
    TIMEOUTS,
    assert_whole,
    both_loops,
    exchange,
    open_client,
    origin_of,
    until,
)


def dying_on_the_second(
    end: Callable[[Peer], None], *, first_bytes: bytes = b"", after: float = 0.0
) -> Handler:
    """Serves the first request of each connection and ends at the second, `after` seconds and some bytes later."""
    served: dict[int, int] = {}

    async def handler(peer: Peer) -> None:
        number = peer.request.connection
        served[number] = served.get(number, 0) + 1
        if served[number] == 1:
            await peer.answer(200, body=b"ok")
            return
        await asyncio.sleep(after)
        await peer.send(first_bytes)
        end(peer)

    return handler


@both_loops
@pytest.mark.parametrize("end", [Peer.close, Peer.reset], ids=["fin", "rst"])
def test_a_request_that_met_a_closed_connection_is_sent_again_on_a_new_one(run, end):
    async def main():
        async with ScriptedUpstream(dying_on_the_second(end)) as upstream, open_client() as client:
            for _ in range(5):
                assert await exchange(client, upstream, POST, b"body") == b"ok"
            assert client.stats().stale_retries == 4
            assert len(upstream.connections) == 5
            assert {each.body for each in upstream.requests} == {b"body"}
            assert_whole(client)

    run(main())


@both_loops
def test_a_large_request_is_sent_again_whole(run):
    async def main():
        body = b"0123456789" * 500_000

        async def handler(peer: Peer) -> None:
            if peer.request.connection == 0 and peer.request.target != b"/first":
                peer.reset()
                return
            received = await peer.read_body()
            await peer.answer(200, body=b"%d" % len(received))

        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/first", b"", b"", TIMEOUTS)
            await answer.read(10)
            assert await exchange(client, upstream, POST, body) == b"%d" % len(body)
            assert client.stats().stale_retries == 1

    run(main())


@both_loops
@pytest.mark.parametrize("first_bytes", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_nothing_is_repeated_once_a_byte_of_an_answer_has_come(run, first_bytes):
    async def main():
        handler = dying_on_the_second(Peer.reset, first_bytes=first_bytes)
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            await exchange(client, upstream)
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert (caught.value.kind, caught.value.sent) == ("reset", True)
            assert client.stats().stale_retries == 0
            assert len(upstream.requests) == 2

    run(main())


@both_loops
def test_nothing_is_repeated_if_the_connection_was_new(run):
    async def handler(peer: Peer) -> None:
        peer.close()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert (caught.value.kind, caught.value.sent) == ("reset", True)
            assert len(upstream.requests) == 1

    run(main())


@both_loops
def test_nothing_is_repeated_if_the_server_had_time_to_work_on_it(run):
    async def main():
        handler = dying_on_the_second(Peer.close, after=STALE_SECONDS + 0.3)
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            await exchange(client, upstream)
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert (caught.value.kind, caught.value.sent) == ("reset", True)
            assert len(upstream.requests) == 2

    run(main())


@both_loops
def test_there_is_no_third_try(run):
    async def handler(peer: Peer) -> None:
        if len(upstreams[0].requests) == 1:
            await peer.answer(200, body=b"ok")
        else:
            peer.close()

    upstreams: list[ScriptedUpstream] = []

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            upstreams.append(upstream)
            await exchange(client, upstream)
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert caught.value.kind == "reset"
            assert len(upstream.requests) == 3
            assert client.stats().stale_retries == 1
            assert client.stats().open == 0

    run(main())


@both_loops
def test_a_timeout_on_a_reused_connection_is_not_repeated(run):
    async def handler(peer: Peer) -> None:
        if peer.request.target == b"/stall":
            await peer.stall()
        await peer.answer(200, body=b"ok")

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            await exchange(client, upstream)
            with pytest.raises(TransportError) as caught:
                await client.request(origin_of(upstream), POST, b"/stall", b"", b"", Timeouts(first_byte=0.2))
            assert (caught.value.kind, caught.value.sent) == ("timeout_first_byte", True)
            assert len(upstream.requests) == 2

    run(main())


@both_loops
def test_the_idle_siblings_of_a_stale_connection_are_not_tried(run):
    async def main():
        async with ScriptedUpstream(dying_on_the_second(Peer.close)) as upstream, open_client() as client:
            await asyncio.gather(*(exchange(client, upstream) for _ in range(8)))
            assert client.stats().idle == 8
            assert await exchange(client, upstream) == b"ok"
            assert client.stats().stale_retries == 1
            assert client.stats().open == 1

    run(main())


@both_loops
def test_a_connection_whose_end_was_seen_is_not_used_at_all(run):
    async def handler(peer: Peer) -> None:
        await peer.answer(200, body=b"ok")
        peer.close()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            for _ in range(3):
                assert await exchange(client, upstream) == b"ok"
                await until(lambda: client.stats().open == 0)
            assert client.stats().stale_retries == 0

    run(main())


@both_loops
def test_a_restarted_server_is_found_again(run):
    async def main():
        async with open_client() as client:
            upstream = ScriptedUpstream(sending(whole(200, (), b"ok")))
            async with upstream:
                await asyncio.gather(*(exchange(client, upstream) for _ in range(5)))
            again = ScriptedUpstream(sending(whole(200, (), b"again")), port=upstream.port)
            async with again:
                assert await exchange(client, again) == b"again"
            assert_whole(client)

    run(main())

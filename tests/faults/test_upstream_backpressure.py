"""Neither side can fill our memory: what is not read is not fetched, what is not taken is not written."""

from __future__ import annotations

import asyncio

import pytest

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, head
from bytespike.upstream.client import Client
from bytespike.upstream.connection import Connection
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import UNREAD_BYTES_MAX, WRITE_BYTES_MAX
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_whole,
    both_loops,
    open_client,
    origin_of,
    until,
)

#: One read of a loop: asyncio's and uvloop's receive buffers are 256 KiB.
ONE_READ = 256 * 1024
#: More than Linux's socket buffers hold on both sides together.
MUCH = 40_000_000
PATTERN = bytes(range(256)) * 64


def only_connection(client: Client) -> Connection:
    (connection,) = (each for pool in client._pools.values() for each in pool.connections)
    return connection


@both_loops
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_stalled_reader_holds_a_bounded_amount_and_gets_every_byte_in_the_end(run, framing):
    async def handler(peer: Peer) -> None:
        if framing == "length":
            await peer.send(head(200, [(b"content-length", b"%d" % MUCH)]))
            for _ in range(MUCH // len(PATTERN)):
                await peer.send(PATTERN)
            await peer.send(PATTERN[: MUCH % len(PATTERN)])
        else:
            await peer.answer_chunked([PATTERN] * (MUCH // len(PATTERN)) + [PATTERN[: MUCH % len(PATTERN)]])

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            log = upstream.connections[0]
            # The reader does nothing. The upstream fills the kernel's buffers, and there it ends.
            before = -1
            for _ in range(100):
                await asyncio.sleep(0.1)
                if log.sent_bytes == before:
                    break
                before = log.sent_bytes
            assert log.sent_bytes < MUCH / 2
            assert answer._exchange.unread <= UNREAD_BYTES_MAX + ONE_READ
            assert sum(map(len, answer._exchange.pieces)) == answer._exchange.unread
            # Then it reads, slowly first.
            size = 0
            while chunk := await answer.next_chunk():
                assert len(chunk) <= UNREAD_BYTES_MAX + ONE_READ
                start = size % len(PATTERN)
                assert chunk[:1000] == (PATTERN * 2)[start : start + 1000][: len(chunk)]
                size += len(chunk)
                if size < 5_000_000:
                    await asyncio.sleep(0)
            assert size == MUCH
            assert_whole(client)
            assert client.stats().idle == 1

    run(main())


@both_loops
def test_a_paused_answer_can_be_aborted(run):
    async def handler(peer: Peer) -> None:
        await peer.answer_chunked([PATTERN] * 1000)

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            await asyncio.sleep(0.1)
            answer.abort()
            assert answer._exchange.unread == 0
            assert answer._exchange.pieces == []
            assert client.stats().open == 0
            await upstream.settled()

    run(main())


@both_loops
def test_a_large_body_is_written_as_fast_as_it_is_taken_and_no_faster(run):
    async def handler(peer: Peer) -> None:
        await go_on.wait()
        body = await peer.read_body()
        await peer.answer(200, body=b"%d" % len(body))

    go_on = asyncio.Event()

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            request = asyncio.create_task(
                client.request(origin_of(upstream), POST, b"/", b"", b"x" * MUCH, TIMEOUTS)
            )
            await until(lambda: upstream.requests)
            await asyncio.sleep(0.3)
            connection = only_connection(client)
            assert connection._to_write is not None
            assert len(connection._to_write) > MUCH / 2
            assert connection._transport.get_write_buffer_size() <= 4 * WRITE_BYTES_MAX
            go_on.set()
            answer = await request
            assert await answer.read(LIMIT) == b"%d" % MUCH
            assert client.stats().idle == 1

    run(main())


@both_loops
@pytest.mark.parametrize("status", [413, 429, 500, 302])
def test_an_error_that_comes_before_the_body_was_sent_is_delivered_and_ends_the_sending(run, status):
    async def handler(peer: Peer) -> None:
        await peer.answer(status, [(b"retry-after", b"7")], b"too much for us")
        await done.wait()

    done = asyncio.Event()

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"x" * MUCH, TIMEOUTS)
            assert (answer.status, answer.headers[b"retry-after"]) == (status, b"7")
            assert await answer.read(LIMIT) == b"too much for us"
            # What the upstream still waits for will not come: the connection cannot be used again.
            assert client.stats().open == 0
            done.set()
            await upstream.settled()

    run(main())


@both_loops
def test_a_long_early_error_is_read_to_its_end(run):
    async def handler(peer: Peer) -> None:
        await peer.answer_chunked([b"e" * 1000] * 50, 400, pause=0.002)
        await done.wait()

    done = asyncio.Event()

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"x" * MUCH, TIMEOUTS)
            assert len(await answer.read(LIMIT)) == 50_000
            assert client.stats().open == 0
            done.set()

    run(main())


@both_loops
def test_a_good_answer_that_begins_early_does_not_end_the_sending(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"early ")
        body = await peer.read_body()
        await peer.chunk(b"%d" % len(body))
        await peer.chunk(b"")

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"x" * MUCH, TIMEOUTS)
            assert answer.status == 200
            assert await answer.read(LIMIT) == b"early %d" % MUCH
            assert_whole(client)

    run(main())


@both_loops
def test_an_upstream_that_resets_while_the_body_is_sent_is_a_reset(run):
    async def handler(peer: Peer) -> None:
        await asyncio.sleep(0.05)
        peer.reset()

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            with pytest.raises(TransportError) as caught:
                await client.request(origin_of(upstream), POST, b"/", b"", b"x" * MUCH, TIMEOUTS)
            assert (caught.value.kind, caught.value.sent) == ("reset", True)
            assert client.stats().open == 0

    run(main())

"""Each deadline fires, when it should and not before, and says what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import pytest

from bytespike.testing.fault_listener import FullListener
from bytespike.testing.fault_proxy import FaultProxy
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, head, sending, whole
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import SWEEP_SECONDS, PoolLimits, Timeouts
from bytespike.wire.address import Origin, parse_proxy
from tests.support.transport import LIMIT, POST, both_loops, exchange, open_client, origin_of, until

#: What a busy machine may add to the sweep's precision.
SLACK_SECONDS = 3.0


async def failing(
    work: Awaitable[object], kind: str, after: float, *, sent: bool, sweeps: int = 1
) -> TransportError:
    """`work` fails with that kind, not before `after` seconds and not much later."""
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        await work
    took = time.monotonic() - started
    assert (caught.value.kind, caught.value.sent) == (kind, sent)
    # The loop's clock counts in milliseconds.
    assert after - 0.003 <= took <= after + sweeps * SWEEP_SECONDS + SLACK_SECONDS
    return caught.value


async def post(client: Client, origin: Origin, timeouts: Timeouts, body: bytes = b"") -> bytes:
    answer = await client.request(origin, POST, b"/", b"", body, timeouts)
    return await answer.read(LIMIT)


@both_loops
def test_connecting(run):
    async def main():
        with FullListener() as listener:
            origin = Origin("http", listener.host, listener.port)
            async with open_client() as client:
                await failing(post(client, origin, Timeouts(connect=0.3)), "timeout_connect", 0.3, sent=False)
                total = Timeouts(connect=5, total=0.3)
                await failing(post(client, origin, total), "timeout_total", 0.3, sent=False)
                assert client.stats().connecting == 0

    run(main())


@both_loops
def test_waiting_for_a_connection_counts_as_connecting(run):
    async def main():
        limits = PoolLimits(per_origin=1)
        async with ScriptedUpstream(Peer.stall) as upstream, open_client(limits=limits) as client:
            first = asyncio.create_task(exchange(client, upstream))
            await until(lambda: upstream.requests)
            waiting = post(client, origin_of(upstream), Timeouts(connect=0.3))
            await failing(waiting, "timeout_connect", 0.3, sent=False)
            assert client.stats().waiting == 0
            first.cancel()

    run(main())


@both_loops
def test_a_silent_proxy_counts_as_connecting(run):
    async def main():
        async with FaultProxy(silent=True) as proxy, open_client() as client:
            origin = Origin("https", "name.test", 443)
            request = client.request(
                origin, POST, b"/", b"", b"", Timeouts(connect=0.3), proxy=parse_proxy(proxy.url)
            )
            await failing(request, "timeout_connect", 0.3, sent=False)

    run(main())


@both_loops
@pytest.mark.parametrize("dribble", [b"", head(100) * 1000, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100])
def test_the_first_byte_means_a_whole_final_head(run, dribble):
    async def handler(peer: Peer) -> None:
        await peer.send_in_steps(dribble, 20, 0.01)
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            request = post(client, origin_of(upstream), Timeouts(first_byte=0.3, idle=0.1))
            await failing(request, "timeout_first_byte", 0.3, sent=True)
            assert client.stats().open == 0

    run(main())


@both_loops
def test_the_first_bytes_clock_starts_when_the_request_has_been_sent(run):
    async def handler(peer: Peer) -> None:
        await asyncio.sleep(0.8)
        await peer.read_body()
        await asyncio.sleep(0.2)
        await peer.answer(200, body=b"ok")

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            timeouts = Timeouts(first_byte=0.6, idle=5)
            assert await post(client, origin_of(upstream), timeouts, b"x" * 20_000_000) == b"ok"

    run(main())


@both_loops
def test_silence_within_a_body(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        for _ in range(4):
            await peer.chunk(b"one")
            await asyncio.sleep(0.1)
        silent_since.append(time.monotonic())
        await peer.stall()

    silent_since: list[float] = []

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", Timeouts(idle=0.3))
            taken = b""
            while len(taken) < 12:
                taken += await answer.next_chunk()
            # The last chunk came 0.1 s before the handler noted the time.
            await failing(answer.next_chunk(), "timeout_idle", 0.2, sent=True, sweeps=3)
            assert client.stats().open == 0

    run(main())


@both_loops
def test_chunk_extensions_and_half_chunks_do_not_count_as_progress_but_body_bytes_do(run):
    async def extensions(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.send_in_steps(b"5;" + b"e" * 10_000, 1, 0.01)

    async def bytewise(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.send(b"8\r\n")
        await peer.send_in_steps(b"progress", 1, 0.1)
        await peer.send(b"\r\n0\r\n\r\n")

    async def main():
        async with open_client() as client:
            async with ScriptedUpstream(extensions) as upstream:
                request = post(client, origin_of(upstream), Timeouts(idle=0.3))
                await failing(request, "timeout_idle", 0.3, sent=True, sweeps=3)
            async with ScriptedUpstream(bytewise) as upstream:
                assert await post(client, origin_of(upstream), Timeouts(idle=0.6)) == b"progress"

    run(main())


@both_loops
def test_a_slow_reader_is_not_the_upstreams_silence(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"one")
        await asyncio.sleep(0.9)
        await peer.chunk(b"two")
        await peer.chunk(b"")

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", Timeouts(idle=0.4))
            assert await answer.next_chunk() == b"one"
            await asyncio.sleep(0.8)
            assert await answer.next_chunk() == b"two"
            assert await answer.next_chunk() == b""

    run(main())


@both_loops
def test_an_upload_that_the_upstream_does_not_read_is_silence(run):
    async def handler(peer: Peer) -> None:
        await asyncio.sleep(5)

    async def main():
        async with ScriptedUpstream(handler, read_body=False) as upstream, open_client() as client:
            request = post(client, origin_of(upstream), Timeouts(first_byte=0.1, idle=0.3), b"x" * 30_000_000)
            error = await failing(request, "timeout_idle", 0.3, sent=True, sweeps=5)
            assert "0.3" in str(error)

    run(main())


@both_loops
def test_the_whole_although_something_always_moves(run):
    async def handler(peer: Peer) -> None:
        await peer.answer_chunked([b"x"] * 1000, pause=0.02)

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            timeouts = Timeouts(first_byte=0.2, idle=0.2, total=0.6)
            await failing(post(client, origin_of(upstream), timeouts), "timeout_total", 0.6, sent=True)
            assert client.stats().open == 0

    run(main())


@both_loops
def test_the_whole_also_ends_an_answer_that_nobody_reads(run):
    async def handler(peer: Peer) -> None:
        await peer.start_chunked()
        await peer.chunk(b"one")
        await peer.stall()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", Timeouts(total=0.3))
            await asyncio.sleep(0.6)
            assert client.stats().open == 0
            assert await answer.next_chunk() == b"one"
            with pytest.raises(TransportError) as caught:
                await answer.next_chunk()
            assert caught.value.kind == "timeout_total"

    run(main())


@both_loops
def test_nothing_fires_after_the_answer_has_come(run):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream, open_client() as client:
            timeouts = Timeouts(first_byte=0.3, idle=0.3, total=0.4)
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", timeouts)
            await asyncio.sleep(0.8)
            assert await answer.read(LIMIT) == b"ok"
            assert client.stats().idle == 1
            assert await post(client, origin_of(upstream), timeouts) == b"ok"
            assert client.stats().opened == 1

    run(main())


@both_loops
def test_the_sweep_sleeps_when_there_is_nothing_to_watch(run):
    async def main():
        limits = PoolLimits(idle_seconds=0.1)
        async with ScriptedUpstream(sending(whole())) as upstream, open_client(limits=limits) as client:
            assert client._timer is None
            for _ in range(2):
                await exchange(client, upstream)
                assert client._timer is not None
                await until(lambda: client._timer is None)

    run(main())

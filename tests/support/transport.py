"""Running transport tests: on both loops, and with a look at what they leave behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from bytespike.testing.scripted_upstream import ScriptedUpstream
from bytespike.upstream.client import Client
from bytespike.upstream.limits import Timeouts
from bytespike.upstream.tls import client_context
from bytespike.wire.address import Origin

#: Longer than any deadline under test, shorter than a test's patience.
TEST_SECONDS = 60
TIMEOUTS = Timeouts(connect=5, first_byte=10, idle=10, total=30)
POST = b"POST"
GET = b"GET"
#: For `Answer.read`, in bytes.
LIMIT = 1 << 20
#: Reading the system's authorities takes longer than most tests.
_TLS = client_context()


def _runner(factory: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[Coroutine[Any, Any, None]], None]:
    def run(main: Coroutine[Any, Any, None]) -> None:
        complaints: list[dict[str, Any]] = []

        async def guarded() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(TEST_SECONDS):
                await main
            for _ in range(5):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            timers = [each for each in getattr(loop, "_scheduled", ()) if not each.cancelled()]
            # The guard's own timeout is cancelled by now; nothing else may be pending.
            assert not timers, f"timers are left: {timers}"

        gc.freeze()  # so that the collection below looks at what the test made, which is little
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(guarded())
                gc.collect()
        finally:
            gc.unfreeze()
        assert not complaints, f"the loop complained: {complaints}"

    return run


#: `def test_...(run): run(main())` on the standard loop and on uvloop. Fails if tasks, timers or unseen errors remain.
both_loops = pytest.mark.parametrize(
    "run", [_runner(asyncio.new_event_loop), _runner(uvloop.new_event_loop)], ids=["asyncio", "uvloop"]
)


def origin_of(upstream: ScriptedUpstream) -> Origin:
    return Origin("http", "127.0.0.1", upstream.port)


@asynccontextmanager
async def open_client(**settings: Any) -> AsyncIterator[Client]:
    """A client that is closed at the end, after which nothing of it may be left."""
    client = Client(**{"tls": _TLS, **settings})
    try:
        yield client
    finally:
        await client.close(0)
        assert_nothing_left(client)


def assert_nothing_left(client: Client) -> None:
    stats = client.stats()
    assert (stats.open, stats.idle, stats.in_use) == (0, 0, 0)
    assert (stats.connecting, stats.waiting, stats.closing) == (0, 0, 0)


def assert_whole(client: Client) -> None:
    """No request runs: every connection that is open is idle."""
    stats = client.stats()
    assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0)
    assert stats.open == stats.idle


async def until(reached: Callable[[], object]) -> None:
    """Wait for something that will be true soon, however busy the machine is."""
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.002)


async def exchange(
    client: Client, upstream: ScriptedUpstream, method: bytes = POST, body: bytes = b"{}"
) -> bytes:
    """A request and the whole body of its answer."""
    answer = await client.request(origin_of(upstream), method, b"/v1/x", b"", body, TIMEOUTS)
    return await answer.read(LIMIT)


async def streamed(client: Client, upstream: ScriptedUpstream) -> list[bytes]:
    """A request and its answer's chunks as they came."""
    answer = await client.request(origin_of(upstream), POST, b"/v1/x", b"", b"{}", TIMEOUTS)
    chunks = []
    while chunk := await answer.next_chunk():
        chunks.append(chunk)
    assert await answer.next_chunk() == b""
    return chunks

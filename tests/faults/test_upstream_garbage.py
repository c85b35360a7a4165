"""Random bytes over real sockets: an answer or a `TransportError`, soon, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, chunked, whole
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import Timeouts
from tests.support.transport import LIMIT, POST, assert_whole, both_loops, open_client, origin_of

SEEDS = [
    whole(200, [(b"content-type", b"application/json")], b'{"id": 1}'),
    chunked([b"data: a\n\n", b"data: b\n\n"], 200, [(b"content-type", b"text/event-stream")]),
    whole(429, [(b"retry-after", b"1"), (b"connection", b"close")], b"slow down"),
]
#: Short, because some garbage looks like the beginning of an answer.
TIMEOUTS = Timeouts(connect=2, first_byte=2, idle=2, total=3)


async def outcome(client: Client, upstream: ScriptedUpstream) -> None:
    """Nothing but an answer or a TransportError, whole and streamed."""
    for way in ("read", "stream"):
        try:
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"{}", TIMEOUTS)
            if way == "read":
                await answer.read(LIMIT)
            else:
                while await answer.next_chunk():
                    pass
        except TransportError:
            pass
        assert client.stats().in_use == 0


def damaged(seed: bytes, random_source: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(random_source.randint(1, 6)):
        at = random_source.randrange(len(data))
        match random_source.randrange(4):
            case 0:
                data[at] = random_source.randrange(256)
            case 1:
                del data[at : at + random_source.randrange(1, 8)]
            case 2:
                data[at:at] = random_source.randbytes(random_source.randrange(1, 8))
            case _:
                data[at:at] = data[: random_source.randrange(len(data))]
        if not data:
            data = bytearray(b"\r\n")
    return bytes(data)


@both_loops
def test_damaged_answers(run):
    source = random.Random(20261103)

    async def handler(peer: Peer) -> None:
        data = damaged(source.choice(SEEDS), source)
        await peer.send_in_steps(data, source.choice([1, 5, 1000]))
        source.choice([peer.close, peer.close, peer.reset])()

    async def main():
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            for _ in range(300):
                await outcome(client, upstream)
            assert_whole(client)

    run(main())


@pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), step=st.sampled_from([1, 7, 400]))
def test_random_bytes(factory, data, step):
    async def handler(peer: Peer) -> None:
        await peer.send_in_steps(data, step)
        peer.close()

    async def main() -> None:
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            await outcome(client, upstream)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())

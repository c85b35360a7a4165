"""An upstream that breaks off at any byte: the answer is whole or an error, what came is handed over, the pool is whole."""

from __future__ import annotations

import asyncio

import pytest

from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream, chunked, head, whole
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from tests.support.transport import LIMIT, POST, TIMEOUTS, assert_whole, both_loops, open_client, origin_of

BODY = b"data: one\n\ndata: two\n\ndata: [DONE]\n\n"
PIECES = [BODY[:11], BODY[11:22], BODY[22:]]
UNARY = whole(200, [(b"content-type", b"application/json")], BODY)
CHUNKED = chunked(PIECES, 200, [(b"content-type", b"text/event-stream")], trailers=[(b"x-sum", b"1")])
UNTIL_CLOSE = head(200, [(b"content-type", b"text/plain")]) + BODY


def produced(data: bytes, offset: int) -> bytes:
    """What of the body is in the first `offset` bytes of these answers."""
    start = data.index(b"\r\n\r\n") + 4
    if data is not CHUNKED:
        return data[start:offset] if offset > start else b""
    came = b""
    for piece in PIECES:
        start = data.index(piece, start)
        came += data[start : min(start + len(piece), offset)] if offset > start else b""
        start += len(piece)
    return came


async def take_all(
    client: Client, upstream: ScriptedUpstream, target: bytes
) -> tuple[bytes, TransportError | None]:
    """Everything that a streaming reader gets, and the error at the end."""
    taken = b""
    try:
        answer = await client.request(origin_of(upstream), POST, target, b"", b"{}", TIMEOUTS)
        while chunk := await answer.next_chunk():
            taken += chunk
    except TransportError as error:
        return taken, error
    return taken, None


async def read_all(client: Client, upstream: ScriptedUpstream, target: bytes) -> bytes:
    answer = await client.request(origin_of(upstream), POST, target, b"", b"{}", TIMEOUTS)
    return await answer.read(LIMIT)


@both_loops
@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("data", [UNARY, CHUNKED, UNTIL_CLOSE], ids=["length", "chunked", "until close"])
def test_an_answer_cut_at_any_byte_is_never_taken_as_whole(run, data, ending):
    async def handler(peer: Peer) -> None:
        if peer.request.target == b"/whole":
            await peer.answer(200, body=b"ok")
            return
        offset = int(peer.request.target[1:])
        await peer.send(data[:offset])
        peer.close() if ending == "close" else peer.reset()

    async def main():
        body_start = data.index(b"\r\n\r\n") + 4
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            for offset in range(len(data) + 1):
                target = b"/%d" % offset
                taken, error = await take_all(client, upstream, target)
                assert taken == produced(data, offset), offset
                if data is UNTIL_CLOSE:
                    is_whole = ending == "close" and offset >= body_start
                else:
                    is_whole = offset == len(data)
                assert (error is None) == is_whole, offset
                if error is not None:
                    assert (error.kind, error.sent) == ("reset", True), offset
                    with pytest.raises(
                        TransportError, match=r"^the (connection ended before|upstream closed)"
                    ):
                        await read_all(client, upstream, target)
                assert client.stats().in_use == 0
                # The next request is none the worse for it.
                assert await take_all(client, upstream, b"/whole") == (b"ok", None)
                assert_whole(client)
                assert client.stats().open <= 1
            assert len(upstream.requests) >= 2 * len(data)

    run(main())


@both_loops
def test_many_broken_answers_at_once_leave_the_pool_whole(run):
    async def handler(peer: Peer) -> None:
        await peer.send_in_steps(CHUNKED[: int(peer.request.target[1:])], 40)
        peer.reset()

    async def main():
        offsets = [n % len(CHUNKED) for n in range(7, 700, 7)]
        async with ScriptedUpstream(handler) as upstream, open_client() as client:
            results = await asyncio.gather(*(take_all(client, upstream, b"/%d" % n) for n in offsets))
            for offset, (taken, error) in zip(offsets, results, strict=True):
                assert taken == produced(CHUNKED, offset)
                assert error is not None
            assert client.stats().open == 0

    run(main())

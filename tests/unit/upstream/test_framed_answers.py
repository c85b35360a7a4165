"""Answers in a framing of their own, which a decoder undoes as they come."""

from __future__ import annotations

import gzip

import pytest

from bytespike.testing.scripted_upstream import ScriptedUpstream, chunked, sending, whole
from bytespike.upstream.answer import Answer
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from tests.support.transport import (
    LIMIT,
    POST,
    TIMEOUTS,
    assert_whole,
    both_loops,
    open_client,
    origin_of,
)


class Lines:
    """Gives whole lines, in capitals; a line with an x is broken."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> None:
        self._held += data

    def take(self, size: int) -> bytes:
        line, end, rest = self._held.partition(b"\n")
        if not end:
            return b""
        if b"x" in line:
            raise ValueError("an x")
        self._held = rest
        return line.upper() + b"\n"

    def finish(self) -> None:
        if self._held:
            raise ValueError("half a line")


async def decoded(client: Client, upstream: ScriptedUpstream) -> Answer:
    answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
    answer.decode(Lines(), b"text/plain")
    return answer


@both_loops
@pytest.mark.parametrize("step", [None, 1])
def test_it_is_given_out_decoded_whole_or_as_it_comes(run, step):
    async def main():
        for data in (whole(200, (), b"one\ntwo\n"), chunked([b"on", b"e\ntwo\n"])):
            async with ScriptedUpstream(sending(data, step=step)) as upstream, open_client() as client:
                answer = await decoded(client, upstream)
                assert answer.headers[b"content-type"] == b"text/plain"
                assert b"content-length" not in answer.headers
                assert await answer.read(LIMIT) == b"ONE\nTWO\n"
                again = await decoded(client, upstream)
                seen = []
                while chunk := await again.next_chunk():
                    seen.append(chunk)
                assert seen == [b"ONE\n", b"TWO\n"]
                assert_whole(client)

    run(main())


@both_loops
@pytest.mark.parametrize(("body", "told"), [(b"one\nxx\n", "an x"), (b"one\ntw", "half a line")])
def test_what_is_broken_comes_behind_what_was_whole(run, body, told):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), body))) as upstream, open_client() as client:
            answer = await decoded(client, upstream)
            assert await answer.next_chunk() == b"ONE\n"
            with pytest.raises(TransportError) as caught:
                await answer.next_chunk()
            assert (caught.value.kind, caught.value.message) == ("protocol", told)
            assert caught.value.sent

    run(main())


@both_loops
def test_what_is_compressed_besides_is_refused(run):
    async def main():
        data = whole(200, [(b"content-encoding", b"gzip")], gzip.compress(b"one\n"))
        async with ScriptedUpstream(sending(data)) as upstream, open_client() as client:
            with pytest.raises(TransportError) as caught:
                await decoded(client, upstream)
            assert caught.value.kind == "protocol"
            assert_whole(client)

    run(main())

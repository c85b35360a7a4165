"""Answers that were compressed although nobody asked."""

from __future__ import annotations

import gzip
import zlib

import pytest

from bytespike.testing.scripted_upstream import ScriptedUpstream, chunked, sending, whole
from bytespike.upstream.errors import TransportError
from tests.support.transport import (
    GET,
    LIMIT,
    TIMEOUTS,
    both_loops,
    exchange,
    open_client,
    origin_of,
    streamed,
)


@both_loops
@pytest.mark.parametrize("step", [None, 1])
def test_gzip_and_deflate_are_undone_although_not_asked_for(run, step):
    text = b"data: hello\n\n" * 20
    raw = zlib.compressobj(wbits=-15)

    async def main():
        for name, encoded in (
            (b"gzip", gzip.compress(text)),
            (b"GZIP", gzip.compress(text[:30]) + gzip.compress(text[30:])),
            (b"x-gzip", gzip.compress(text)),
            (b"deflate", zlib.compress(text)),
            (b"deflate", raw.compress(text) + raw.flush()),
            (b"identity", text),
        ):
            pieces = [encoded[:15], encoded[15:]]
            for data in (
                whole(200, [(b"content-encoding", name)], encoded),
                chunked(pieces, 200, [(b"content-encoding", name)]),
            ):
                async with ScriptedUpstream(sending(data, step=step)) as upstream, open_client() as client:
                    assert await exchange(client, upstream) == text
                    assert b"".join(await streamed(client, upstream)) == text
                    assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_a_decoded_answer_does_not_carry_headers_of_the_encoded_one(run):
    async def main():
        data = whole(200, [(b"content-encoding", b"gzip"), (b"a", b"b")], gzip.compress(b"hello"))
        async with ScriptedUpstream(sending(data)) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), GET, b"/", b"", b"", TIMEOUTS)
            assert dict(answer.headers) == {b"a": b"b"}
            assert await answer.read(5) == b"hello"

    run(main())


@both_loops
def test_a_compression_bomb_is_cut_at_the_limit_and_streamed_in_bounded_pieces(run):
    bomb = gzip.compress(b"\0" * 50_000_000)

    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, [(b"content-encoding", b"gzip")], bomb))) as upstream,
            open_client() as client,
        ):
            answer = await client.request(origin_of(upstream), GET, b"/", b"", b"", TIMEOUTS)
            with pytest.raises(TransportError) as caught:
                await answer.read(LIMIT)
            assert caught.value.kind == "too_large"
            chunks = await streamed(client, upstream)
            assert sum(map(len, chunks)) == 50_000_000
            assert max(map(len, chunks)) <= 256 * 1024

    run(main())


@both_loops
def test_a_compressed_answer_that_breaks_off_is_a_reset(run):
    encoded = gzip.compress(b"hello world, hello world")
    data = whole(200, [(b"content-encoding", b"gzip")], encoded)[:-5]

    async def main():
        async with ScriptedUpstream(sending(data, "close")) as upstream, open_client() as client:
            with pytest.raises(TransportError) as caught:
                await exchange(client, upstream)
            assert caught.value.kind == "reset"

    run(main())


@both_loops
def test_compressed_data_that_ends_in_the_middle_is_an_error_although_the_framing_is_whole(run):
    encoded = gzip.compress(b"hello world, hello world")

    async def main():
        for cut in range(1, len(encoded)):
            data = whole(200, [(b"content-encoding", b"gzip")], encoded[:cut])
            async with ScriptedUpstream(sending(data)) as upstream, open_client() as client:
                with pytest.raises(TransportError) as caught:
                    await exchange(client, upstream)
                assert caught.value.kind == "protocol"

    run(main())

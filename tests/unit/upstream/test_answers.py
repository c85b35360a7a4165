"""What comes back: framing, heads, limits, and what is refused."""

from __future__ import annotations

import pytest

from bytespike.testing.scripted_upstream import ScriptedUpstream, chunked, head, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import HEAD_BYTES_MAX, HEADERS_MAX
from tests.support.transport import (
    GET,
    LIMIT,
    POST,
    TIMEOUTS,
    assert_whole,
    both_loops,
    exchange,
    open_client,
    origin_of,
    streamed,
)


@both_loops
def test_bodies_end_by_length_by_last_chunk_or_with_the_connection(run):
    async def main():
        async with open_client() as client:
            for data, then in (
                (whole(200, (), b"hello world"), "keep"),
                (chunked([b"hello", b" ", b"world"]), "keep"),
                (head(200) + b"hello world", "close"),
                (head(200, version=b"1.0") + b"hello world", "close"),
            ):
                for step in (None, 1, 7):
                    async with ScriptedUpstream(sending(data, then, step=step)) as upstream:
                        assert await exchange(client, upstream) == b"hello world"
                        assert b"".join(await streamed(client, upstream)) == b"hello world"
                        assert_whole(client)

    run(main())


@both_loops
def test_an_answer_to_head_has_no_body_and_neither_have_204_and_304(run):
    async def main():
        head_answer = head(200, [(b"content-length", b"1000")])
        async with ScriptedUpstream(sending(head_answer)) as upstream, open_client() as client:
            for _ in range(3):
                answer = await client.request(origin_of(upstream), b"HEAD", b"/", b"", b"", TIMEOUTS)
                assert answer.headers[b"content-length"] == b"1000"
                assert await answer.read(0) == b""
            assert len(upstream.connections) == 1
        for status in (204, 304):
            async with (
                ScriptedUpstream(sending(head(status, [(b"content-length", b"5")]))) as upstream,
                open_client() as client,
            ):
                for _ in range(2):
                    assert await exchange(client, upstream, GET, b"") == b""
                assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_a_body_after_the_answer_to_head_spoils_the_connection(run):
    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, (), b"unexpected"))) as upstream,
            open_client() as client,
        ):
            for _ in range(2):
                answer = await client.request(origin_of(upstream), b"HEAD", b"/", b"", b"", TIMEOUTS)
                assert await answer.read(0) == b""
            assert len(upstream.connections) == 2

    run(main())


@both_loops
@pytest.mark.parametrize("step", [None, 1])
def test_interim_answers_are_skipped(run, step):
    interim = head(100) + head(103, [(b"link", b"</a>; rel=preload")]) + head(102)

    async def main():
        async with (
            ScriptedUpstream(sending(interim + whole(201, (), b"ok"), step=step)) as upstream,
            open_client() as client,
        ):
            for _ in range(2):
                answer = await client.request(origin_of(upstream), POST, b"/", b"", b"x", TIMEOUTS)
                assert answer.status == 201
                assert b"link" not in answer.headers
                assert await answer.read(LIMIT) == b"ok"
            assert len(upstream.connections) == 1

    run(main())


@both_loops
def test_repeated_headers_are_joined_and_names_are_lower_case(run):
    async def main():
        answer_bytes = head(200, [(b"Vary", b"a"), (b"VARY", b"b"), (b"Content-Length", b"0")])
        async with ScriptedUpstream(sending(answer_bytes)) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), GET, b"/", b"", b"", TIMEOUTS)
            assert dict(answer.headers) == {b"vary": b"a, b", b"content-length": b"0"}

    run(main())


@both_loops
@pytest.mark.parametrize(
    "data",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\na\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        head(200, [(b"transfer-encoding", b"chunked")]) + b"zz\r\nok\r\n0\r\n\r\n",
        head(200, [(b"transfer-encoding", b"chunked")]) + b"2\r\nokay\r\n0\r\n\r\n",
        head(200, [(b"transfer-encoding", b"chunked")]) + b"ffffffffffffffffff\r\n",
        head(200, [(b"transfer-encoding", b"chunked")]) + b"-2\r\nok\r\n",
        head(200, [(b"content-encoding", b"br"), (b"content-length", b"2")]) + b"ok",
        head(200, [(b"content-encoding", b"gzip, gzip"), (b"content-length", b"2")]) + b"ok",
        head(200, [(b"content-encoding", b"gzip"), (b"content-length", b"2")]) + b"ok",
    ],
)
def test_what_is_not_an_answer_as_we_asked_for_it_is_a_protocol_error(run, data):
    async def main():
        for step in (None, 1):
            async with ScriptedUpstream(sending(data, step=step)) as upstream, open_client() as client:
                with pytest.raises(TransportError) as caught:
                    await exchange(client, upstream)
                assert (caught.value.kind, caught.value.sent) == ("protocol", True)
                assert client.stats().in_use == 0

    run(main())


@both_loops
@pytest.mark.parametrize("step", [None, 4096])
def test_heads_trailers_and_chunk_extensions_are_limited(run, step):
    chunky = head(200, [(b"transfer-encoding", b"chunked")])

    async def main():
        for data in (
            head(200, [(b"a", b"x" * (HEAD_BYTES_MAX + 1)), (b"content-length", b"0")]),
            head(200, [(b"a%d" % n, b"b") for n in range(HEADERS_MAX + 1)]),
            head(200, [(b"a", b"b")] * (HEADERS_MAX + 2)),
            head(200, [(b"a", b"x" * 300_000)])[:-4],
            head(103, [(b"a", b"x" * 1000)]) * 100,
            chunky + b"0\r\nx: " + b"y" * 300_000,
            chunky + b"0\r\n" + b"x: y\r\n" * 50_000,
            chunky + b"2;" + b"e" * 300_000,
        ):
            async with ScriptedUpstream(sending(data, step=step)) as upstream, open_client() as client:
                with pytest.raises(TransportError) as caught:
                    await exchange(client, upstream)
                assert caught.value.kind == "too_large", data[:40]
                assert client.stats().open == 0

    run(main())


@both_loops
def test_a_body_over_the_readers_limit_is_cut(run):
    async def main():
        for data, then in (
            (whole(200, (), b"x" * 1001), "keep"),
            (whole(200, (), b"x" * 2_000_000), "keep"),
            (chunked([b"x" * 500] * 3), "keep"),
            (chunked([b"x" * 500_000] * 3), "keep"),
            (head(200) + b"x" * 1001, "close"),
        ):
            async with ScriptedUpstream(sending(data, then)) as upstream, open_client() as client:
                answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
                with pytest.raises(TransportError) as caught:
                    await answer.read(1000)
                assert caught.value.kind == "too_large"
                assert client.stats().in_use == 0
        async with (
            ScriptedUpstream(sending(whole(200, (), b"x" * 1000))) as upstream,
            open_client() as client,
        ):
            answer = await client.request(origin_of(upstream), POST, b"/", b"", b"", TIMEOUTS)
            assert len(await answer.read(1000)) == 1000

    run(main())

"""What goes out: the request as it arrives at an upstream."""

from __future__ import annotations

import pytest

from bytespike.testing.scripted_upstream import ScriptedUpstream, sending, whole
from bytespike.wire.headers import render_headers
from tests.support.transport import (
    GET,
    LIMIT,
    POST,
    TIMEOUTS,
    both_loops,
    exchange,
    open_client,
    origin_of,
)


@both_loops
def test_a_request_arrives_as_it_was_given(run):
    async def main():
        async with (
            ScriptedUpstream(sending(whole(200, [(b"X-Thing", b"a")], b"hello"))) as upstream,
            open_client() as client,
        ):
            block = render_headers([(b"x-api-key", b"secret"), (b"Content-Type", b"application/json")])
            answer = await client.request(
                origin_of(upstream), POST, b"/v1/m?beta=true", block, b'{"a":1}', TIMEOUTS
            )
            assert (answer.status, answer.headers[b"x-thing"]) == (200, b"a")
            assert await answer.read(LIMIT) == b"hello"
            (received,) = upstream.requests
            assert (received.method, received.target, received.body) == (
                b"POST",
                b"/v1/m?beta=true",
                b'{"a":1}',
            )
            assert received.headers == {
                b"host": b"127.0.0.1:%d" % upstream.port,
                b"accept-encoding": b"identity",
                b"x-api-key": b"secret",
                b"content-type": b"application/json",
                b"content-length": b"7",
            }

    run(main())


@both_loops
def test_headers_may_be_pairs_and_a_get_without_body_has_no_length(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream, open_client() as client:
            answer = await client.request(origin_of(upstream), GET, b"/", [(b"a", b"b")], b"", TIMEOUTS)
            assert await answer.read(0) == b""
            await exchange(client, upstream, POST, b"")
            first, second = upstream.requests
            assert first.headers[b"a"] == b"b"
            assert b"content-length" not in first.headers
            assert second.headers[b"content-length"] == b"0"

    run(main())


@both_loops
def test_what_must_not_be_sent_is_refused_before_a_connection_is_made(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream, open_client() as client:
            origin = origin_of(upstream)
            for method, target, headers in (
                (b"POST", b"/a b", b""),
                (b"POST", b"/a\r\nx: y", b""),
                (b"POST", b"no-slash", b""),
                (b"PO ST", b"/", b""),
                (b"POST", b"/", [(b"a", b"b\r\nc: d")]),
                (b"POST", b"/", [(b"content-length", b"5")]),
            ):
                with pytest.raises(ValueError):
                    await client.request(origin, method, target, headers, b"", TIMEOUTS)
            assert upstream.connections == []

    run(main())


@both_loops
@pytest.mark.parametrize("size", [65536, 65537, 1_000_000, 9_000_000])
def test_a_large_body_arrives_whole_on_a_connection_that_is_used_again(run, size):
    async def main():
        async with ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream, open_client() as client:
            body = bytes(range(256)) * (size // 256) + b"." * (size % 256)
            assert await exchange(client, upstream, POST, body) == b"ok"
            assert await exchange(client, upstream) == b"ok"
            assert upstream.requests[0].body == body
            assert len(upstream.connections) == 1

    run(main())

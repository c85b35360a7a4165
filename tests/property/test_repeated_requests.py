"""A connection that remembers heads sees the same requests as one that parses every one of them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.http import connection as connections
from bytespike.http.inbound.request import Inbound
from bytespike.http.sweep import Shared
from bytespike.loop_turn import LoopTurn

Seen = tuple[str, str, bytes, dict[bytes, bytes], bytes]

NAMES = st.sampled_from(
    [b"x-api-key", b"X-Api-Key", b"anthropic-beta", b"x-note", b"Cookie", b"x-content-length"]
)
VALUES = st.sampled_from([b"a", b"b", b"content-length: 3", b"5", b""])
LENGTHS = st.sampled_from([b"content-length: ", b"Content-Length:", b"CONTENT-LENGTH:  "])


@st.composite
def requests(draw: st.DrawFn) -> list[list[bytes]]:
    """Requests, each in pieces as they come from the socket. They repeat each other often."""
    heads = draw(
        st.lists(
            st.tuples(
                st.sampled_from([b"POST /v1/messages", b"POST /v1/x?key=a", b"PUT /v1/messages"]),
                st.lists(st.tuples(NAMES, VALUES), max_size=3),
                LENGTHS,
                st.booleans(),
                st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    found: list[list[bytes]] = []
    for _ in range(draw(st.integers(1, 8))):
        line, headers, length, chunked, version = draw(st.sampled_from(heads))
        body = draw(st.sampled_from([b"", b"{}", b"0\r\n\r\n", b'{"model": "m"}', b"x" * 300]))
        told = [b"%b: %b" % pair for pair in headers]
        if chunked:
            told.append(b"transfer-encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        else:
            told.insert(draw(st.integers(0, len(told))), length + b"%d" % len(body))
        data = b"\r\n".join([line + b" HTTP/" + version, *told]) + b"\r\n\r\n" + body
        cut = draw(st.integers(0, len(data)))
        found.append([data[:cut], data[cut:]] if draw(st.booleans()) and 0 < cut < len(data) else [data])
    return found


class Socket:
    """As much of a transport as a connection needs."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str) -> object:
        return ("192.0.2.1", 4711) if name == "peername" else None

    def write(self, data: bytes) -> None:
        # All but the date.
        self.written.append(data.partition(b"date: ")[0] + data.partition(b"GMT\r\n")[2])

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


async def spoken(requests: list[list[bytes]]) -> tuple[list[Seen], list[bytes], bool]:
    """What one connection sees of them, what it answers, and whether it is closed in the end."""
    seen: list[Seen] = []

    async def app(inbound: Inbound, line: connections.Connection) -> None:
        body = await inbound.body(100_000, 30)
        seen.append((inbound.method, inbound.path, inbound.query, dict(inbound.headers), body))
        line.respond(200, b"x-seen: %d\r\n" % len(seen), body)

    state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0)
    socket: Any = Socket()
    config: Any = SimpleNamespace(loaded_app=app)
    line = connections.Connection(config, state, {}, shared=Shared(LoopTurn()))
    line.connection_made(socket)
    for pieces in requests:
        for piece in pieces:
            if not socket.closed:
                asyncio.get_running_loop().call_soon(line.data_received, piece)
                await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
    assert not state.tasks
    closed = socket.closed
    line.connection_lost(None)
    return seen, socket.written, closed


@given(requests())
@settings(max_examples=150, deadline=None)
def test_the_same_is_seen_and_answered(requests: list[list[bytes]]) -> None:
    remembering = asyncio.run(spoken(requests))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEADS_LEARNT_MAX", 0)
        parsing = asyncio.run(spoken(requests))
    assert remembering == parsing


def test_a_head_that_began_behind_a_body_nobody_wanted_goes_on_whatever_the_next_bytes_are() -> None:
    known = b"POST /v1 HTTP/1.1\r\nauthorization: Bearer one\r\ncontent-length: 3\r\n\r\nabc"
    pieces = [
        known,
        known,
        b"POST /early HTTP/1.1\r\ncontent-le",
        b"ngth: 10\r\n\r\n",
        # It is answered by now.
        b"0123456789GET /began HTTP/1.1\r\nx-note: ",
        known,
        b"POST /victim HTTP/1.1\r\nauthorization: Bearer two\r\ncontent-length: 3\r\n\r\nabc",
    ]

    async def main() -> list[tuple[str, dict[bytes, bytes]]]:
        seen: list[tuple[str, dict[bytes, bytes]]] = []

        async def app(inbound: Inbound, line: connections.Connection) -> None:
            seen.append((inbound.path, dict(inbound.headers)))
            line.respond(401 if inbound.path == "/early" else 200, b"", b"")

        socket: Any = Socket()
        config: Any = SimpleNamespace(loaded_app=app)
        state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0)
        line = connections.Connection(config, state, {}, shared=Shared(LoopTurn()))
        line.connection_made(socket)
        for piece in pieces:
            if not socket.closed:
                asyncio.get_running_loop().call_soon(line.data_received, piece)
            for _ in range(5):
                await asyncio.sleep(0)
        line.connection_lost(None)
        return seen

    remembering = asyncio.run(main())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEADS_LEARNT_MAX", 0)
        parsing = asyncio.run(main())
    assert remembering == parsing
    assert [path for path, _ in parsing][:4] == ["/v1", "/v1", "/early", "/began"]


@pytest.mark.parametrize(("target", "status"), [(b"vendor.example:443", b"400"), (b"/x", b"405")])
def test_nobody_is_connected_to_anything(target: bytes, status: bytes) -> None:
    async def main() -> Socket:
        socket: Any = Socket()
        config: Any = SimpleNamespace(loaded_app=None)
        state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0)
        line = connections.Connection(config, state, {}, shared=Shared(LoopTurn()))
        line.connection_made(socket)
        asyncio.get_running_loop().call_soon(
            line.data_received, b"CONNECT %b HTTP/1.1\r\nhost: vendor.example\r\n\r\n" % target
        )
        await asyncio.sleep(0)
        line.connection_lost(None)
        return socket

    socket = asyncio.run(main())
    assert socket.closed
    assert socket.written[0].startswith(b"HTTP/1.1 %b " % status)


def test_a_known_head_is_not_parsed_again() -> None:
    async def main() -> list[bytes]:
        async def app(inbound: Inbound, line: connections.Connection) -> None:
            line.respond(200, b"", await inbound.body(100, 30))

        socket: Any = Socket()
        config: Any = SimpleNamespace(loaded_app=app)
        state: Any = SimpleNamespace(connections=set(), tasks=set(), total_requests=0)
        line: Any = connections.Connection(config, state, {}, shared=Shared(LoopTurn()))
        line.connection_made(socket)
        for body in (b"one", b"another", b""):
            request = b"POST /v1/x HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            asyncio.get_running_loop().call_soon(line.data_received, request)
            await asyncio.sleep(0)
            # Whoever feeds it again fails.
            line._parser = SimpleNamespace()
            for _ in range(5):
                await asyncio.sleep(0)
        line.connection_lost(None)
        return [each.rpartition(b"\r\n\r\n")[2] for each in socket.written]

    assert asyncio.run(main()) == [b"one", b"another", b""]

"""A body that is taken piece by piece keeps the bounds of one that is taken whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bytespike.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from bytespike.http.inbound.pieces import pieces
from bytespike.http.inbound.request import ClientGone, Inbound


class Line:
    """The connection: what has been asked of it."""

    def __init__(self) -> None:
        self.wanted = 0

    def want_body(self, expected: bool) -> None:
        self.wanted += 1


def inbound(**headers: str) -> tuple[Inbound, Line]:
    line = Line()
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Inbound("POST", "/", b"", given, "127.0.0.1", line), line


async def taken(request: Inbound, limit: int = 100, seconds: float = 30.0) -> list[bytes]:
    return [piece async for piece in pieces(request, limit, seconds)]


def run(
    request: Inbound, sends: Callable[[], Awaitable[None]], limit: int = 100, seconds: float = 30.0
) -> list[bytes]:
    async def both() -> list[bytes]:
        taking = asyncio.create_task(taken(request, limit, seconds))
        await sends()
        return await taking

    return asyncio.run(both())


def test_pieces_come_as_they_arrive() -> None:
    request, line = inbound()

    async def sends() -> None:
        for piece in (b"ab", b"cd"):
            request.arrived(piece)
            for _ in range(3):
                await asyncio.sleep(0)
        request.arrived(b"e")
        request.complete()

    assert run(request, sends) == [b"ab", b"cd", b"e"]
    assert line.wanted > 0


def test_what_was_there_before_is_taken_too() -> None:
    request, _ = inbound()
    request.arrived(b"abc")
    request.complete()
    assert asyncio.run(taken(request)) == [b"abc"]


def test_a_body_that_says_that_it_is_too_large_is_not_asked_for() -> None:
    request, line = inbound(content_length="101")
    with pytest.raises(BodyTooLarge):
        asyncio.run(taken(request))
    assert line.wanted == 0


def test_a_body_that_turns_out_too_large_is_given_up() -> None:
    request, _ = inbound()

    async def sends() -> None:
        for _ in range(3):
            request.arrived(bytes(40))
            for _ in range(3):
                await asyncio.sleep(0)

    with pytest.raises(BodyTooLarge):
        run(request, sends)


def test_a_body_that_does_not_come_in_time_is_given_up() -> None:
    request, _ = inbound(content_length="10")

    async def sends() -> None:
        request.arrived(b"half")

    with pytest.raises(RequestTimeout):
        run(request, sends, seconds=0.05)


def test_a_caller_that_hangs_up_ends_it() -> None:
    request, _ = inbound(content_length="10")

    async def sends() -> None:
        request.arrived(b"half")
        for _ in range(3):
            await asyncio.sleep(0)
        request.cut()

    with pytest.raises(ClientGone):
        run(request, sends)


def test_a_compressed_body_is_refused() -> None:
    request, line = inbound(content_encoding="gzip")
    with pytest.raises(InvalidRequest):
        asyncio.run(taken(request))
    assert line.wanted == 0


def test_whoever_has_no_end_of_its_own_is_told_that_the_server_stops() -> None:
    async def both() -> None:
        request, _ = inbound()
        waiting = asyncio.create_task(request.until_stopping())
        await asyncio.sleep(0)
        assert not waiting.done()
        request.stop()
        await waiting

    asyncio.run(both())

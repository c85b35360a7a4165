"""A request as a handler sees it: its head, and its body as far as it has come.

The body is not read before somebody asks for it, so that a caller without a key cannot make the gateway keep 32 MiB.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from bytespike.errors import BodyTooLarge, InvalidRequest, RequestTimeout

#: Longest silence between two pieces of a body.
BODY_GAP_SECONDS = 30.0


class ClientGone(Exception):
    """The caller hung up before its body was whole."""


class Line(Protocol):
    """What a request needs of its connection."""

    def want_body(self, expected: bool) -> None:
        """Let more of the body come."""
        ...


class Inbound:
    """`headers`: lower-case names; repeated ones joined, in order. `path` is decoded, `query` is raw.

    `peer` is the address at the other end of the connection; `client_ip` is the caller's, behind trusted proxies.
    `gone`: the caller has hung up, and the task that serves it is being cancelled. `stopping`: the server stops, and waits
    for this request.
    """

    __slots__ = (
        "_asked",
        "_complete",
        "_line",
        "_pieces",
        "_unread",
        "_waiter",
        "client_ip",
        "gone",
        "headers",
        "method",
        "path",
        "peer",
        "query",
        "stopping",
    )

    def __init__(
        self, method: str, path: str, query: bytes, headers: dict[bytes, bytes], peer: str, line: Line
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.client_ip = peer
        self.gone = False
        self.stopping = False
        self._line = line
        self._pieces: list[bytes] = []
        self._unread = 0
        self._complete = False
        self._asked = False
        self._waiter: asyncio.Future[None] | None = None

    # --- for handlers -------------------------------------------------------------------------------------------

    async def body(self, limit: int, seconds: float) -> bytes:
        """The whole body. `limit` in bytes; `seconds` for all of it to arrive.

        Raises: BodyTooLarge, RequestTimeout, InvalidRequest, ClientGone.
        """
        self.refuse_unread(limit)
        if self._complete:
            return self._take()
        try:
            return await self._arriving(limit, seconds)
        except TimeoutError:
            raise RequestTimeout("the request's body did not arrive in time") from None

    async def next_piece(self) -> bytes:
        """What has come of the body since the last call, b"" at its end. Raises ClientGone."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._more()
        return self._take()

    async def until_gone(self) -> None:
        """Return when the caller hangs up."""
        while not self.gone:
            await self._wait()

    async def until_stopping(self) -> None:
        """Return when the server stops. For answers that have no end of their own."""
        while not self.stopping:
            await self._wait()

    @property
    def expects_continue(self) -> bool:
        """The client waits for leave to send its body, and has not got it."""
        return not self._asked and self.headers.get(b"expect", b"").lower() == b"100-continue"

    # --- for the connection -------------------------------------------------------------------------------------

    def arrived(self, piece: bytes) -> int:
        """More of the body. How much of it waits although nobody has asked for it."""
        self._pieces.append(piece)
        self._unread += len(piece)
        if self._waiter is not None:
            self._wake()
        return 0 if self._asked else self._unread

    def complete(self) -> None:
        """The body is whole."""
        self._complete = True
        if self._waiter is not None:
            self._wake()

    def stop(self) -> None:
        """The server stops once this request is answered."""
        self.stopping = True
        self._wake()

    def cut(self) -> None:
        """The connection is gone."""
        self.gone = True
        self._wake()

    # --- within --------------------------------------------------------------------------------------------------

    def refuse_unread(self, limit: int) -> None:
        """Before anything is read: what the head says of the body."""
        headers = self.headers
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
            raise InvalidRequest("compressed request bodies are not supported; send the JSON as it is")
        if self._complete:
            if self._unread > limit:
                raise too_large(limit)
        elif int(headers.get(b"content-length", b"0")) > limit:
            raise too_large(limit)

    def _take(self) -> bytes:
        pieces = self._pieces
        self._pieces = []
        self._unread = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _arriving(self, limit: int, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.timeout_at(min(loop.time() + BODY_GAP_SECONDS, end)) as deadline:
            while not self._complete:
                await self._more()
                if self._unread > limit:
                    self._pieces.clear()
                    raise too_large(limit)
                deadline.reschedule(min(loop.time() + BODY_GAP_SECONDS, end))
        return self._take()

    async def _more(self) -> None:
        """Until something has come. Raises ClientGone."""
        if self.gone:
            raise ClientGone
        expected = self.expects_continue and not self._pieces
        self._asked = True
        self._line.want_body(expected)
        await self._wait()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request's body is over the limit of {limit // (1024 * 1024)} MiB")

"""A relay in front of an upstream that hands its answers on the wrong way.

    async with FaultRelay(simulator.host, simulator.port) as relay:
        relay.fault = FAULTS["resets_within"]
        ...                       # requests to relay.url

Each request is fetched whole from the upstream behind, then delivered as `fault` says (`fault_kinds` has them). A fault
that strikes within a stream waits until the client has seen its beginning: whoever reads the client's end says so with
`saw()`. So nothing depends on how quick a machine is.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.testing.scripted_upstream import Headers, Peer, ScriptedUpstream

#: How long a fault waits for the client to see the beginning, before it strikes all the same.
SEEN_SECONDS_MAX = 20.0
_EVENT = re.compile(rb".+?\r?\n\r?\n", re.DOTALL)
_HOP = frozenset(
    {b"host", b"connection", b"accept-encoding", b"transfer-encoding", b"content-length", b"keep-alive"}
)

#: What is left of an answer. "nothing": no success can be told from it. "beginning": a part of it, and then no more.
#: "whole": nothing is lost.
Leaves: TypeAlias = Literal["nothing", "beginning", "whole"]
#: What a client is to hear if nobody else can answer: "broken" (502), "late" (504), "failed" (503).
Told: TypeAlias = Literal["broken", "late", "failed"]


class Delivery:
    """One answer on its way to whoever asked `peer`. `pieces`: a stream's events, or the two halves of any other body."""

    def __init__(self, peer: Peer, status: int, headers: Headers, body: bytes, seen: asyncio.Event) -> None:
        self.peer = peer
        self.status = status
        self.headers = headers
        self.body = body
        self._seen = seen
        kind = dict(headers).get(b"content-type", b"")
        events = kind.startswith(b"text/event-stream")
        # Gemini streams JSON too: one array, an element at a time.
        self.stream = events or b":streamGenerateContent" in peer.request.target
        if events:
            self.pieces = tuple(_EVENT.findall(body))
        else:
            self.pieces = (body[: len(body) // 2], body[len(body) // 2 :])

    @property
    def first(self) -> bytes:
        """The first half of the pieces."""
        return b"".join(self.pieces[: len(self.pieces) // 2])

    @property
    def rest(self) -> bytes:
        return b"".join(self.pieces[len(self.pieces) // 2 :])

    async def begin(self) -> None:
        """The head, and the first half in chunks; of a stream, until the client has seen some of it."""
        await self.peer.start_chunked(self.status, self.headers)
        await self.peer.chunk(self.first)
        await self.seen()

    async def seen(self) -> None:
        """Until the client has seen the beginning of a stream. At once for a whole answer: it is not passed on in parts."""
        if self.stream:
            with suppress(TimeoutError):
                async with asyncio.timeout(SEEN_SECONDS_MAX):
                    await self._seen.wait()


Deliver: TypeAlias = Callable[[Delivery], Awaitable[None]]


class Fault(Struct, frozen=True):
    """A way to deliver an answer. `stream`, `unary`: what it leaves of either. `stalls`: the deadline has to strike.
    `loses_end`: all is there but what says that nothing follows."""

    name: str
    deliver: Deliver
    stream: Leaves
    unary: Leaves
    told: Told = "broken"
    stalls: bool = False
    loses_end: bool = False


async def deliver_whole(delivery: Delivery) -> None:
    """As the upstream behind would have: no fault."""
    if delivery.stream:
        await delivery.peer.answer_chunked(delivery.pieces, delivery.status, delivery.headers)
    else:
        await delivery.peer.answer(delivery.status, delivery.headers, delivery.body)


NO_FAULT = Fault("none", deliver_whole, "whole", "whole")


class FaultRelay:
    """See the top of the module. `tls` makes it an https server. `delivered`: answers that were handed on, or begun."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._behind = (host, port)
        self._upstream = ScriptedUpstream(self._handle, tls=tls)
        self._seen = asyncio.Event()
        self.fault = NO_FAULT
        self.delivered = 0

    @property
    def url(self) -> str:
        return self._upstream.url

    @property
    def open_connections(self) -> int:
        return self._upstream.open_connections

    async def __aenter__(self) -> FaultRelay:
        await self._upstream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._upstream.__aexit__(kind, error, trace)

    def strike(self, fault: Fault) -> None:
        """The next answers go out like this."""
        self.fault = fault
        self.delivered = 0
        self._seen = asyncio.Event()

    def forget(self) -> None:
        """What was asked and which connections have ended."""
        self._upstream.requests.clear()
        self._upstream.connections[:] = [log for log in self._upstream.connections if not log.ended]

    def saw(self) -> None:
        """The client has seen the beginning. (On the relay's loop.)"""
        self._seen.set()

    async def _handle(self, peer: Peer) -> None:
        fault, seen = self.fault, self._seen
        status, headers, body = await self._fetched(peer)
        self.delivered += 1
        await fault.deliver(Delivery(peer, status, headers, body, seen))

    async def _fetched(self, peer: Peer) -> tuple[int, Headers, bytes]:
        """The whole answer of the upstream behind."""
        request = peer.request
        reader, writer = await asyncio.open_connection(*self._behind)
        try:
            lines = [
                b"%b %b HTTP/1.1" % (request.method, request.target),
                b"host: behind",
                b"connection: close",
                b"content-length: %d" % len(request.body),
            ]
            lines += [b"%b: %b" % pair for pair in request.headers.items() if pair[0] not in _HOP]
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + request.body)
            await writer.drain()
            return _parsed(await reader.read())
        finally:
            writer.transport.abort()


def _parsed(raw: bytes) -> tuple[int, Headers, bytes]:
    """Status, headers without those of the connection, and the body without its chunks."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    if (b"transfer-encoding", b"chunked") in pairs:
        body = _unchunked(body)
    return int(first.split()[1]), tuple(pair for pair in pairs if pair[0] not in _HOP), body


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        whole += body[:length]
        body = body[length + 2 :]
    return whole

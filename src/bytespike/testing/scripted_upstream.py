"""An upstream that does exactly what a test says, over real sockets.

    async def handler(peer: Peer) -> None:
        await peer.answer(200, body=b"{}")

    async with ScriptedUpstream(handler) as upstream:
        ...                       # requests to upstream.url
        upstream.requests         # what was received
        upstream.connections      # how each connection went

The handler is called once per request, on a keep-alive connection until somebody ends it. `Peer` sends anything: whole
answers, single bytes, half a chunk, and ends a connection in order (FIN) or with a reset (RST). It speaks HTTP/1.1 just
well enough to read requests with a content-length; it is a double, not a server.

It runs in the loop of the test and starts a task per connection; `__aexit__` ends them all. What a handler raises is
raised by `__aexit__`, except that the client went away, which is no error here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Literal, TypeAlias, cast

from msgspec import Struct

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
#: Who ended a connection: "" while it is open, "client", "server", or a reset by either.
Ending: TypeAlias = Literal["", "client", "server", "client_reset", "server_reset"]

_FLUSH_SECONDS = 0.5
_LINGER_NONE = struct.pack("ii", 1, 0)
_REASON = {
    200: b"OK",
    204: b"No Content",
    304: b"Not Modified",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
}


class Received(Struct, frozen=True):
    """A request. `headers` has lower-case names; `connection` is its connection's number, from 0.

    `body` is b"" if the upstream was told not to read bodies.
    """

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes
    connection: int


class ConnectionLog:
    """One accepted connection. `requests` counts whole heads, `sent_bytes` what the kernel took."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = 0
        self.sent_bytes = 0
        self.ended: Ending = ""


class Peer:
    """The upstream's side of one request. `body_left`: its body has not been read."""

    def __init__(
        self,
        request: Received,
        log: ConnectionLog,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.request = request
        self._log = log
        self._reader = reader
        self._writer = writer
        self.body_left = _length(request.headers) > len(request.body)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are, and wait until the kernel has taken them all."""
        for start in range(0, len(data), 65536):
            if self._writer.transport.is_closing():
                raise ConnectionResetError  # uvloop's transports would raise RuntimeError
            piece = data[start : start + 65536]
            self._writer.write(piece)
            await self._writer.drain()
            self._log.sent_bytes += len(piece)

    async def send_in_steps(self, data: bytes, step: int = 1, pause: float = 0.0) -> None:
        """Send `step` bytes at a time, `pause` seconds apart (0: the loop turns in between)."""
        for start in range(0, len(data), step):
            await self.send(data[start : start + step])
            await asyncio.sleep(pause)

    async def answer(self, status: int = 200, headers: Headers = (), body: bytes = b"") -> None:
        """A whole answer with a content-length."""
        await self.send(whole(status, headers, body))

    async def start_chunked(self, status: int = 200, headers: Headers = ()) -> None:
        await self.send(head(status, (*headers, (b"transfer-encoding", b"chunked"))))

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def answer_chunked(
        self, pieces: Iterable[bytes], status: int = 200, headers: Headers = (), *, pause: float = 0.0
    ) -> None:
        """A chunked answer, a chunk per piece, `pause` seconds apart."""
        await self.start_chunked(status, headers)
        for piece in pieces:
            await self.chunk(piece)
            await asyncio.sleep(pause)
        await self.chunk(b"")

    async def read_body(self) -> bytes:
        """The request's body, if the upstream was told not to read bodies by itself."""
        self.body_left = False
        return await self._reader.readexactly(_length(self.request.headers))

    async def stall(self) -> None:
        """Say nothing until the client goes away."""
        while await self._reader.read(65536):
            pass
        raise ConnectionResetError

    def close(self) -> None:
        """End the connection in order, after what was sent."""
        self._log.ended = self._log.ended or "server"
        self._writer.close()

    def reset(self) -> None:
        """End the connection with RST, after what was sent."""
        self._log.ended = self._log.ended or "server_reset"
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._writer.transport.abort()


Handler: TypeAlias = Callable[[Peer], Awaitable[None]]


class ScriptedUpstream:
    """See the top of the module. `tls` makes it an https server. `read_body=False` leaves bodies to the handler, and
    unread bytes to the kernel: the client's writes then stall once the buffers are full. `port`: 0 picks a free one."""

    def __init__(
        self,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None = None,
        read_body: bool = True,
        port: int = 0,
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._read_body = read_body
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []
        self.port = port
        self.requests: list[Received] = []
        self.connections: list[ConnectionLog] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return sum(1 for log in self.connections if not log.ended)

    async def settled(self, seconds: float = 2.0) -> None:
        """Until no connection is open. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.open_connections:
                await asyncio.wait(self._tasks, timeout=0.01)

    async def __aenter__(self) -> ScriptedUpstream:
        server = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, ssl=self._tls, backlog=1024
        )
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._server is not None:
            await self._server.wait_closed()
        if error is None and self._failures:
            raise self._failures[0]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log = ConnectionLog(len(self.connections))
        self.connections.append(log)
        task = asyncio.create_task(self._serve(log, reader, writer), name=f"scripted upstream {log.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, log: ConnectionLog, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # drain() shall return when the kernel has everything. (Zero would make TLS transports wait for ever.)
        cast(asyncio.Transport, writer.transport).set_write_buffer_limits(high=1, low=0)
        try:
            while not log.ended:
                request = await self._receive(log, reader)
                if request is None:
                    log.ended = log.ended or "client"
                    break
                self.requests.append(request)
                peer = Peer(request, log, reader, writer)
                await self._handler(peer)
                if peer.body_left:
                    peer.close()  # what follows is no request
        except asyncio.IncompleteReadError:
            log.ended = log.ended or "client"
        except (ConnectionError, ssl.SSLError):
            log.ended = log.ended or "client_reset"
        except asyncio.CancelledError:
            log.ended = log.ended or "server"
        except Exception as error:  # a handler's own: reported by __aexit__
            log.ended = log.ended or "server"
            self._failures.append(error)
        finally:
            await _end(writer, log.ended)

    async def _receive(self, log: ConnectionLog, reader: asyncio.StreamReader) -> Received | None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        log.requests += 1
        method, target, _version = lines[0].split(b" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        body = await reader.readexactly(_length(headers)) if self._read_body else b""
        return Received(method, target, headers, body, log.number)


async def _end(writer: asyncio.StreamWriter, ended: Ending) -> None:
    """Close the socket and see it closed; wait a moment for what was sent if the server ended in order."""
    if ended != "server_reset":  # that one is aborted already, and does not take it twice
        writer.close()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS if ended == "server" else 0):
                await writer.wait_closed()
        except TimeoutError:
            writer.transport.abort()
        except OSError:
            return
    with suppress(OSError):
        await writer.wait_closed()


def _length(headers: dict[bytes, bytes]) -> int:
    return int(headers.get(b"content-length", b"0"))


def head(status: int = 200, headers: Headers = (), *, version: bytes = b"1.1") -> bytes:
    """The bytes of an answer's head."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/%b %d %b\r\n%b\r\n" % (version, status, _REASON.get(status, b"Status"), lines)


def whole(status: int = 200, headers: Headers = (), body: bytes = b"") -> bytes:
    """The bytes of an answer with a content-length."""
    return head(status, (*headers, (b"content-length", b"%d" % len(body)))) + body


def chunked(
    pieces: Iterable[bytes], status: int = 200, headers: Headers = (), trailers: Headers = ()
) -> bytes:
    """The bytes of a chunked answer, a chunk per (non-empty) piece."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    tail = b"".join(b"%b: %b\r\n" % pair for pair in trailers)
    return head(status, (*headers, (b"transfer-encoding", b"chunked"))) + chunks + b"0\r\n" + tail + b"\r\n"


def sending(
    data: bytes, then: Literal["keep", "close", "reset"] = "keep", *, step: int | None = None
) -> Handler:
    """A handler that sends these bytes (`step` at a time) to every request, and then keeps the connection, or ends it."""

    async def handler(peer: Peer) -> None:
        if step is None:
            await peer.send(data)
        else:
            await peer.send_in_steps(data, step)
        if then == "close":
            peer.close()
        elif then == "reset":
            peer.reset()

    return handler

"""One client's WebSocket: text messages in and out, over wsproto's framing.

Bounds: a message has `limit` bytes at most (else the socket is closed with 1009); no more than `UNREAD_MAX` messages wait,
then nothing more is taken from the socket. A client that does not read for `STALL_SECONDS_MAX` is cut. No extensions are
offered: compressed messages would have to be bounded twice.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Callable

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UNREAD_MAX = 32
STALL_SECONDS_MAX = 60.0

TOO_BIG = 1009
RESTARTING = 1012


class SocketClosed(ConnectionError):
    """The WebSocket is closed, or is being closed."""


def accept_key(key: bytes) -> bytes:
    """What a server answers to a client's `sec-websocket-key` (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


class WebSocket(asyncio.Protocol):
    """An open WebSocket. Made by the connection that it takes the place of."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._transport = transport
        self._loop = loop
        self._limit = limit
        self._frames = Connection(ConnectionType.SERVER)
        self._pieces: list[str] = []
        self._size = 0
        self._messages: deque[str] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._writable = True
        self._paused = False
        #: Nothing more comes.
        self.closed = False
        #: The server stops. How much is under way on the socket: its user counts it.
        self.stopping = False
        self.busy = 0
        #: Called with this when the connection is lost.
        self.on_lost: Callable[[WebSocket], None] | None = None

    # --- what the transport says --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        try:
            self._frames.receive_data(data)
            for event in self._frames.events():
                self._take(event)
        except LocalProtocolError:
            self._over()

    def eof_received(self) -> None:
        """A client that has closed its side is gone: the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()
        if self.on_lost is not None:
            self.on_lost(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        _wake(self._room)

    def shutdown(self) -> None:
        """The server stops: what is under way is finished, and nothing more is to begin."""
        self.stopping = True
        self.let_go()

    # --- for its user -------------------------------------------------------------------------------------------

    async def receive(self) -> str:
        """The next message. Raises SocketClosed."""
        while not self._messages:
            if self.closed:
                raise SocketClosed
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._messages.popleft()
        if self._paused and len(self._messages) < UNREAD_MAX:
            self._paused = False
            self._transport.resume_reading()
        return message

    async def send(self, text: str) -> None:
        """One message. Waits while the client does not read. Raises SocketClosed."""
        self._write(TextMessage(data=text))
        if self._writable:
            return
        self._room = self._loop.create_future()
        try:
            async with asyncio.timeout(STALL_SECONDS_MAX):
                await self._room
        except TimeoutError:
            self._transport.abort()
            self._over()
            raise SocketClosed from None
        finally:
            self._room = None

    def ping(self) -> None:
        """Show that this side is alive. Raises SocketClosed."""
        self._write(Ping())

    def let_go(self) -> None:
        """Say goodbye if the server stops and nothing is under way any more."""
        if self.stopping and not self.busy:
            self.close(RESTARTING, "the gateway is restarting")

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye. Idempotent."""
        if not self.closed and self._frames.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self._write(CloseConnection(code=code, reason=reason))
        self._over()
        self._transport.close()

    # --- within --------------------------------------------------------------------------------------------------

    def _take(self, event: object) -> None:
        match event:
            case TextMessage():
                self._text(event)
            case BytesMessage():
                self.close(1003, "text messages only")
            case Ping():
                if not self.closed:
                    self._write(event.response())
            case CloseConnection():
                self.close(event.code if 1000 <= event.code < 5000 and event.code != 1005 else 1000)
            case _:
                pass

    def _text(self, event: TextMessage) -> None:
        self._pieces.append(event.data)
        self._size += len(event.data)
        if self._size > self._limit:
            self.close(TOO_BIG, "the message is too large")
            return
        if not event.message_finished:
            return
        self._messages.append("".join(self._pieces))
        self._pieces, self._size = [], 0
        if len(self._messages) >= UNREAD_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def _write(self, event: Event) -> None:
        if self.closed or self._transport.is_closing():
            raise SocketClosed
        try:
            self._transport.write(self._frames.send(event))
        except LocalProtocolError:
            raise SocketClosed from None

    def _over(self) -> None:
        self.closed = True
        _wake(self._reader)
        _wake(self._room)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)

"""One client connection: bytes in, one request at a time to the application, its answer out.

This is the edge of the relay path, so it is ours and thin: no scope, no messages, no middleware between the parser and
the handler. A request is an errand (`errand.py`); its answer is one write if it is whole, and one write per piece if it streams. One class
holds all of a connection's state, and so one file, long as it is: every guarantee below is about how its events meet.

What it guarantees:

- **Bounds.** A head has `HEAD_BYTES_MAX` bytes and `HEAD_SECONDS_MAX` seconds. An idle connection is closed after
  `KEEP_ALIVE_SECONDS`. A body is read as far as the handler asks (`request.Inbound.body`); before that not more than
  `UNREAD_BYTES_MAX` of it is taken from the socket.
- **Hang-ups.** A client that goes away cancels its request at once (`Inbound.gone` is set first), unless its
  answer has been written whole. So does one that does not read: `STALL_SECONDS_MAX` without room for more, and it is cut.
- **Framing.** Answers have a content-length or are chunked; to HTTP/1.0 they end with the connection. An answer that is
  given up in the middle is never closed as if it were whole.
- **What is left of a body** that nobody wanted is read and thrown away, within `DISCARD_BYTES_MAX` and
  `DISCARD_SECONDS_MAX`, so that a client that is still sending gets to read its answer instead of a reset.

A second request before the first is answered counts as a hang-up: hardly any client pipelines, and one that does could
queue without bound.

- **Stopping.** When the server stops, requests that are under way are finished. A connection on which none is stays open
  for `LINGER_SECONDS`: what its client has sent meanwhile, or is just sending, is answered, as the connection's last.

Deadlines are kept by one sweep over all connections (`sweep`), not by a timer each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol, cast

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from bytespike.errors import InvalidRequest
from bytespike.http.errand import Errand
from bytespike.http.inbound.head import target_of
from bytespike.http.inbound.request import Inbound
from bytespike.http.repeated_head import RepeatedHead, remembered
from bytespike.http.stalled import ClientStalled
from bytespike.http.sweep import Shared
from bytespike.http.websocket import WebSocket, accept_key
from bytespike.loop_turn import LoopTurn
from bytespike.wire.json import encode

#: Request line and headers together.
HEAD_BYTES_MAX = 64 * 1024
#: From the first byte of a head (or the opening of a connection) to its last.
HEAD_SECONDS_MAX = 30.0
KEEP_ALIVE_SECONDS = 75.0
#: Of a body that nobody has asked for yet.
UNREAD_BYTES_MAX = 64 * 1024
DISCARD_BYTES_MAX = 96 * 1024 * 1024
DISCARD_SECONDS_MAX = 30.0
#: When the server stops: how long a connection on which nothing is under way stays open for a request that may be on its way.
LINGER_SECONDS = 3.0
#: A client whose heads differ is not worth remembering.
HEADS_LEARNT_MAX = 8
#: A client that takes nothing for so long, while there is something for it, is gone.
STALL_SECONDS_MAX = 60.0

_STATUS_LINES = {
    int(status): b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_CLOSE = b"connection: close\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_BODILESS = frozenset({204, 304})
#: Stands in for a closed connection's parser, so that the two no longer keep each other alive.
_NO_PARSER = httptools.HttpRequestParser(object())
_UPGRADING = frozenset({b"upgrade", b"connection", b"http2-settings"})


class App(Protocol):
    """What answers requests. The coroutine must not raise."""

    def __call__(self, inbound: Inbound, line: Connection) -> Coroutine[Any, Any, None]: ...


class Connection(asyncio.Protocol):
    """One client connection. uvicorn's server makes them, through `connections`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        shared: Shared,
    ) -> None:
        self._shared = shared
        self._app = cast("App", config.loaded_app)
        self._state = server_state
        self._connections = cast("set[Connection]", server_state.connections)
        self._sockets = cast("set[WebSocket]", server_state.connections)
        self._errands = cast("set[Errand]", server_state.tasks)
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._peer = ""
        #: Loop time at which `late` is to be called; 0: never.
        self.deadline = 0.0
        #: How long the answers of this connection have waited for their reader.
        self.stalled_seconds = 0.0
        self._in_head = True
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._inbound: Inbound | None = None
        self._body_open = False
        self._discarded = 0
        self._errand: Errand | None = None
        #: A head was read, and what it asks for is not under way yet.
        self._asked = False
        self._known: RepeatedHead | None = None
        self._heads_learnt = 0
        #: The request is of HTTP/1.1.
        self._newest = False
        self._keep_alive = True
        self._upgrading = False
        self._trailing = b""
        self._started = False
        self._answered = True
        #: A whole answer waits for the end of the loop's turn.
        self._responded = False
        self._chunked = False
        self._writable = True
        self._room: asyncio.Future[None] | None = None

    # --- what the transport says --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        #: Of a Unix socket it is a text.
        peer = cast("tuple[str, int] | str | None", transport.get_extra_info("peername"))
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._connections.add(self)
        stopping = self._shared.stopping
        self.deadline = self._loop.time() + (LINGER_SECONDS if stopping else HEAD_SECONDS_MAX)
        self._shared.add(self, self._loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._shared.discard(self)
        self.deadline = 0.0
        self._parser = _NO_PARSER
        self._let_go()
        inbound = self._inbound
        if inbound is not None:
            inbound.cut()
        # Neither keeps the connection alive, nor the connection them.
        self._inbound = None
        self._errand = None
        room = self._room
        if room is not None and not room.done():
            room.set_result(None)

    def _let_go(self) -> None:
        """Nobody waits for the answer any more."""
        if not self._answered and self._inbound is not None and not self._inbound.gone:
            self._inbound.gone = True
            if self._errand is not None:
                self._errand.cancel()

    def eof_received(self) -> None:
        """A client that has closed its side is gone: the transport closes."""

    def data_received(self, data: bytes) -> None:
        if not self._in_head:
            self._feed(data)
            return
        first = not self._head_bytes
        if first and self._answered and not self._body_open:
            known = self._known
            if known is not None:
                at = known.body_at(data)
                if at >= 0:
                    self._again(known, data, at)
                    return
        self._head_bytes += len(data)
        self._feed(data, first=first)
        if self._in_head and self._head_bytes:
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(431, "the request's head is too large")
            elif self._head_bytes == len(data):
                self.deadline = self._loop.time() + HEAD_SECONDS_MAX

    def _feed(self, data: bytes, *, first: bool = False) -> None:
        """`first`: a request may begin at the first byte."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._not_upgraded(data, upgrade)
        except httptools.HttpParserError:
            self._asked = False
            if not self._transport.is_closing():
                self._refuse(400, "this is not HTTP/1.1")
        if self._asked:
            # Outside of the parser, which does not like to be interrupted.
            self._asked = False
            inbound = self._inbound
            assert inbound is not None
            if first and self._keep_alive and self._heads_learnt < HEADS_LEARNT_MAX:
                self._heads_learnt += 1
                self._known = remembered(data, inbound.method, inbound.path, inbound.query, inbound.headers)
            self._begin(inbound)

    def _again(self, known: RepeatedHead, data: bytes, body_at: int) -> None:
        """A whole request under a head that is known: what the parser would say of it."""
        headers = known.headers.copy()
        headers[b"content-length"] = known.length_in(data)
        self.deadline = 0.0
        self._discarded = 0
        self._started = self._answered = self._chunked = False
        self._keep_alive = not self._shared.stopping
        self._newest = True
        self._inbound = inbound = Inbound(known.method, known.path, known.query, headers, self._peer, self)
        if body_at < len(data):
            inbound.arrived(data[body_at:])
        inbound.complete()
        self._begin(inbound)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        room = self._room
        if room is not None and not room.done():
            room.set_result(None)

    # --- what the parser says -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if not self._answered or self._body_open:
            # Pipelining: see the top of the module.
            self._transport.close()
            self._let_go()
            raise _Pipelined
        self._url = b""
        self._headers = {}
        if not self._head_bytes:
            # Behind the rest of a body that was thrown away: what is read next is not the beginning of a head.
            self._head_bytes = 1
            self.deadline = self._loop.time() + HEAD_SECONDS_MAX

    def on_url(self, url: bytes) -> None:
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        headers = self._headers
        name = name.lower()
        if name in headers:
            value = headers[name] + (b"; " if name == b"cookie" else b", ") + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        parser = self._parser
        headers = self._headers
        self._in_head = False
        self._head_bytes = 0
        self.deadline = 0.0
        path, query = target_of(self._url)
        self._body_open = True
        self._discarded = 0
        self._started = False
        self._answered = False
        self._chunked = False
        self._newest = parser.get_http_version() == "1.1"
        self._keep_alive = self._newest and parser.should_keep_alive() and not self._shared.stopping
        self._inbound = Inbound(parser.get_method().decode("ascii"), path, query, headers, self._peer, self)
        self._upgrading = b"upgrade" in headers and parser.should_upgrade()
        self._asked = not self._upgrading

    def on_body(self, body: bytes) -> None:
        if self._answered:
            self._discarded += len(body)
            if self._discarded > DISCARD_BYTES_MAX:
                self._close()
            return
        inbound = self._inbound
        assert inbound is not None
        if inbound.arrived(body) > UNREAD_BYTES_MAX:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        self._body_open = False
        self._in_head = True
        if self._answered:
            self._rest()
        elif self._inbound is not None:
            self._inbound.complete()
            # A body that came whole before anybody asked may have stopped the reading, and nobody asks for more of it.
            self._transport.resume_reading()

    def _begin(self, inbound: Inbound) -> None:
        self._errand = errand = Errand(self._app(inbound, self), self._loop, self._errands)
        errand.begin()

    def _not_upgraded(self, data: bytes, upgrade: httptools.HttpParserUpgrade) -> None:
        """The client offers another protocol. A WebSocket is the handler's to accept (`upgrade`). Any other (h2c, mostly)
        is not spoken here: the request is answered in this one. The parser stops at an upgrade, so the head is read again
        without the offer."""
        inbound = self._inbound
        assert inbound is not None
        self._asked = False
        if inbound.method == "CONNECT":
            self._answered = True
            self._refuse(405, "this is no proxy")
            return
        if inbound.headers[b"upgrade"].lower() == b"websocket":
            # The parser is of no more use: if the handler answers in HTTP after all, that is the last answer.
            self._keep_alive = False
            self._body_open = False
            self._trailing = data[upgrade.args[0] :]
            inbound.complete()
            self._begin(inbound)
            return
        head = [b"%b %b HTTP/1.1\r\n" % (inbound.method.encode(), self._url)]
        for name, value in inbound.headers.items():
            if name not in _UPGRADING:
                head.append(b"%b: %b\r\n" % (name, value))
        rest = data[upgrade.args[0] :]
        self._upgrading = False
        self._answered = True
        self._body_open = False
        self._in_head = True
        self._parser = httptools.HttpRequestParser(self)
        self._feed(b"".join(head) + b"\r\n" + rest)

    # --- what the application says ------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """The head of an answer has been written."""
        return self._started

    def want_body(self, expected: bool) -> None:
        """The handler wants (more of) the body. `expected`: the client waits for leave to send it."""
        if expected and not self._started:
            self._transport.write(_CONTINUE)
        self._transport.resume_reading()

    def respond(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None:
        """A whole answer, which leaves at the end of the loop's turn. `head` is a block of header lines. `last`: the
        connection closes after it."""
        if self._answered or self._responded or self._transport.is_closing():
            return
        inbound = self._inbound
        assert inbound is not None
        if last or (self._body_open and inbound.expects_continue):
            self._keep_alive = False
        closing = b"" if self._keep_alive else _CLOSE
        if status in _BODILESS:
            answer = b"".join((_STATUS_LINES[status], self._shared.date(), head, closing, b"\r\n"))
        else:
            length = b"content-length: %d\r\n\r\n" % len(body)
            if inbound.method == "HEAD":
                body = b""
            answer = b"".join((_STATUS_LINES[status], self._shared.date(), head, closing, length, body))
        self._started = self._responded = True
        self._shared.turn.then(partial(self._leave, answer))

    def _leave(self, answer: bytes) -> None:
        self._responded = False
        if not self._answered and not self._transport.is_closing():
            self._transport.write(answer)
            self._over()

    def start(self, status: int, head: bytes, length: int | None = None) -> None:
        """The head of an answer that comes in pieces. `length`: of all of them together, where that is known; whoever says
        so sends as much, or gives up (`abort`)."""
        if self._answered or self._transport.is_closing():
            return
        if length is not None:
            head += b"content-length: %d\r\n" % length
        elif self._newest:
            self._chunked = True
            head += b"transfer-encoding: chunked\r\n"
        else:
            self._keep_alive = False
        self._started = True
        self._transport.write(
            b"".join(
                (
                    _STATUS_LINES[status],
                    self._shared.date(),
                    head,
                    b"" if self._keep_alive else _CLOSE,
                    b"\r\n",
                )
            )
        )

    async def send(self, data: bytes) -> None:
        """More of the answer. Waits while the client does not read. Raises ClientStalled."""
        if self._answered or not data or self._transport.is_closing():
            return
        self._write(data)
        if not self._writable:
            await self._until_room()

    def finish(self, data: bytes = b"") -> None:
        """The last of an answer that came in pieces."""
        if self._answered or self._transport.is_closing():
            return
        inbound = self._inbound
        assert inbound is not None
        if not self._chunked or inbound.method == "HEAD":
            self._write(data)
        elif data:
            self._transport.write(b"%x\r\n%b\r\n%b" % (len(data), data, _LAST_CHUNK))
        else:
            self._transport.write(_LAST_CHUNK)
        self._over()

    def upgrade(self, limit: int) -> WebSocket:
        """Accept the WebSocket that the request asks for, and hand the connection over to it. `limit`: of a message, in
        bytes. Raises InvalidRequest."""
        inbound = self._inbound
        if inbound is None:
            raise ConnectionResetError("the client has gone")
        key = inbound.headers.get(b"sec-websocket-key", b"")
        if not self._upgrading or inbound.headers.get(b"sec-websocket-version") != b"13" or not key:
            raise InvalidRequest("this is not the opening of a WebSocket of version 13")
        self._answered = self._started = True
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: %b\r\n\r\n" % accept_key(key)
        )
        socket = WebSocket(self._transport, self._loop, limit)
        self._transport.set_protocol(socket)
        self._shared.discard(self)
        self._connections.discard(self)
        self._sockets.add(socket)
        socket.on_lost = self._sockets.discard
        self._parser = _NO_PARSER
        self._inbound = None
        self._errand = None
        if self._trailing:
            socket.data_received(self._trailing)
        return socket

    def abort(self) -> None:
        """Cut the connection: an answer that has begun will not be whole."""
        self._answered = True
        self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: nothing more once this request is answered, or one that is on its way."""
        self._shared.stopping = True
        if not self._started:
            self._keep_alive = False
        # Else the head of the answer has said that the connection goes on: then one more request may come.
        if not self._answered:
            if self._inbound is not None:
                self._inbound.stop()
            return
        if self._body_open:
            self._close()
        elif not self._head_bytes:
            self.deadline = self._loop.time() + LINGER_SECONDS

    # --- within --------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._inbound is not None and self._inbound.method == "HEAD":
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def _until_room(self) -> None:
        began = self._loop.time()
        self._room = room = self._loop.create_future()
        self.deadline = began + STALL_SECONDS_MAX
        try:
            await room
        finally:
            self._room = None
            self.deadline = 0.0
            self.stalled_seconds += self._loop.time() - began
        if not self._writable and not self._transport.is_closing():
            self.abort()
            if self._inbound is not None:
                self._inbound.gone = True
            raise ClientStalled

    def _over(self) -> None:
        """The answer has been written whole."""
        self._answered = True
        self._errand = None
        self._state.total_requests += 1
        if not self._body_open:
            self._rest()
        elif self._inbound is not None and self._inbound.expects_continue:
            self._close()
        else:
            # The rest of the body is read and dropped; then the connection rests, or closes.
            self.deadline = self._loop.time() + DISCARD_SECONDS_MAX
            self._transport.resume_reading()

    def _rest(self) -> None:
        """The request and its answer are over."""
        self._inbound = None
        if self._keep_alive:
            idle = LINGER_SECONDS if self._shared.stopping else KEEP_ALIVE_SECONDS
            self.deadline = self._loop.time() + idle
        else:
            self._close()

    def _close(self) -> None:
        """Once what was written has been taken, within `STALL_SECONDS_MAX`."""
        self.deadline = self._loop.time() + STALL_SECONDS_MAX
        self._transport.close()

    def late(self) -> None:
        """The deadline has passed."""
        self.deadline = 0.0
        room = self._room
        if room is not None:
            if not room.done():
                room.set_result(None)
        elif self._transport.is_closing():
            self._transport.abort()
        elif self._in_head and self._head_bytes:
            self._refuse(408, "the request's head did not arrive in time")
        else:
            self._close()

    def _refuse(self, status: int, message: str) -> None:
        """An answer to what is not a request."""
        if self._transport.is_closing():
            return
        if not self._answered:
            # Half a request, and its answer under way: nothing sensible can be said any more.
            self._transport.close()
            return
        error = {
            "type": "invalid_request_error",
            "code": "invalid_param",
            "message": message,
            "param": None,
        }
        body = encode({"error": error})
        self._transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (_STATUS_LINES[status], len(body), body)
        )
        self._transport.close()


def connections(turn: LoopTurn) -> type[asyncio.Protocol]:
    """What makes the connections of one server, in the form that uvicorn's `Config` takes. `turn`: its loop's."""
    return cast("type[asyncio.Protocol]", partial(Connection, shared=Shared(turn)))


class _Pipelined(Exception):
    """Stops the parser."""

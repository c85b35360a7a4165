"""One socket to an upstream: sends a request, parses the answer, and knows when it may be used again.

One exchange at a time. Every function here is plain; the loop calls the protocol's, the parser (llhttp, in its strict
mode) calls the `on_*` functions from inside `feed_data`, the sweep calls `check`, and the client the rest.

    idle --send--> sending/reading --whole answer--> released to the pool, or shut
                       |--anything else--> fail: the exchange fails, the socket is aborted

The end of an answer is noted while the parser runs and acted upon after it returns: only then is it known whether more
bytes came with it. What the parser lacks is added here: the answer to HEAD (which has no body whatever its headers say),
bodies that end with the connection, limits, and the refusal of versions and codings that we do not speak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

import httptools

from bytespike.loop_turn import LoopTurn
from bytespike.upstream.errors import Kind
from bytespike.upstream.exchange import Exchange
from bytespike.upstream.limits import (
    FRAMING_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    SWEEP_SECONDS,
    UNREAD_BYTES_MAX,
    WRITE_BYTES_MAX,
)


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def release(self, connection: Connection) -> None:
        """A whole answer was read and the connection can be used again."""
        ...

    def forget(self, connection: Connection) -> None:
        """The connection was shut; its socket is closing."""
        ...

    def gone(self, connection: Connection) -> None:
        """Its socket is closed."""
        ...


class _Refused(Exception):
    """Raised inside a parser callback, to stop the parser."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


def _deaf(data: bytes) -> None:
    """What a shut connection does with bytes."""


#: Stands in for a shut connection's parser, so that the two no longer keep each other alive.
_NO_PARSER = httptools.HttpResponseParser(None)


class Connection(asyncio.Protocol):
    """`served` counts whole answers, `idle_since` is when the last one ended (loop time), `closed` is final."""

    __slots__ = (
        "__weakref__",
        "_beat",
        "_duplicates",
        "_ended",
        "_exchange",
        "_feed",
        "_framing_bytes",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_keep",
        "_looked_at",
        "_loop",
        "_owner",
        "_parser",
        "_reading_paused",
        "_seen_at",
        "_seen_beat",
        "_to_write",
        "_transport",
        "_until_close",
        "_writing_paused",
        "closed",
        "idle_since",
        "served",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = _NO_PARSER
        self._feed: Callable[[bytes], None] = _deaf
        self._exchange: Exchange | None = None
        self._headers: dict[bytes, bytes] = {}
        self._to_write: memoryview | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._head_done = self._ended = self._keep = self._until_close = False
        self._head_bytes = self._framing_bytes = self._duplicates = 0
        # Counts progress of bodies, both ways; the sweep compares it with what it saw last.
        self._beat = self._seen_beat = 0
        self._seen_at = 0.0
        self._looked_at = 0.0
        self.closed = False
        self.idle_since = 0.0
        self.served = 0

    # --- what the client and the pool call ----------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Nothing has ended it yet, as far as one can know without sending."""
        return not (self.closed or self._transport.is_closing())

    def send(
        self,
        exchange: Exchange,
        data: bytes,
        body: bytes | None,
        now: float,
        turn: LoopTurn | None = None,
    ) -> None:
        """Start an exchange: `data` is the head, with the body if that is small; else `body` follows in slices. `turn`: at
        whose end what is small leaves, at once without."""
        self._exchange = exchange
        exchange.line = self
        exchange.sent_at = self._seen_at = self._looked_at = now
        self._headers = exchange.headers
        self._head_done = self._ended = self._until_close = False
        self._head_bytes = self._framing_bytes = self._duplicates = 0
        if body is None and turn is not None:
            turn.then(partial(self._transport.write, data))
            return
        self._transport.write(data)
        if body is not None:
            self._to_write = memoryview(body)
            self._write_on()

    def check(self, now: float) -> None:
        """The sweep: let the exchange fail if a deadline has passed, wake a reader that wants to look again."""
        last, self._looked_at = self._looked_at, now
        exchange = self._exchange
        if exchange is None:
            return
        timeouts = exchange.timeouts
        if now - exchange.started_at >= timeouts.total:
            self.fail("timeout_total", f"no whole answer within {timeouts.total:g} s")
        elif exchange.head_done or self._to_write is not None:
            if self._beat != self._seen_beat or (exchange.head_done and exchange.waiter is None):
                self._seen_beat = self._beat
                self._seen_at = now
            elif now - self._seen_at >= timeouts.idle:
                self.fail("timeout_idle", f"nothing moved for {timeouts.idle:g} s")
        elif now - exchange.sent_at >= timeouts.first_byte:
            self.fail("timeout_first_byte", f"no answer within {timeouts.first_byte:g} s")
        if exchange.patience is not None:
            if exchange.wake_at is None:
                # It began to wait since the last look. If that was long ago, the loop was held up, not the upstream quick.
                exchange.wake_at = min(now, last + SWEEP_SECONDS) + exchange.patience
            if now >= exchange.wake_at:
                exchange.overdue = True
                exchange.wake()

    def fail(self, kind: Kind, message: str) -> None:
        """Cut the connection; its exchange, if there is one, fails with this."""
        exchange = self._exchange
        self.shut()
        if exchange is not None:
            exchange.line = None
            exchange.failure = (kind, message)
            exchange.untouched = self._head_bytes == 0
            exchange.wake()

    def shut(self) -> None:
        """Close the socket at once and leave the pool. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._exchange = None
        self._to_write = None
        self._parser = _NO_PARSER
        self._feed = _deaf
        self._owner.forget(self)
        # abort() closes with FIN like close(), but waits for neither unsent bytes nor TLS's close_notify.
        self._transport.abort()

    def resume(self) -> None:
        """The reader has taken what there was."""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    # --- what the loop calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._new_parser()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.shut()  # nobody asked for bytes
            return
        in_head = not self._head_done
        if in_head:
            self._head_bytes += len(data)
        beat = self._beat
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stopped(exchange, error)
            return
        if self._ended:
            self._finish(exchange)
        elif in_head and not self._head_done:
            if self._head_bytes > HEAD_BYTES_MAX:
                self.fail("too_large", f"the answer's head has more than {HEAD_BYTES_MAX} bytes")
        elif in_head or self._beat != beat:
            if exchange.unread > UNREAD_BYTES_MAX and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()
            exchange.wake()
        else:
            self._framing_bytes += len(data)
            if self._framing_bytes > FRAMING_BYTES_MAX:
                self.fail("too_large", f"more than {FRAMING_BYTES_MAX} bytes of trailers or chunk extensions")

    def eof_received(self) -> None:
        self._peer_ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_ended(exc)
        self._owner.gone(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._to_write is not None:
            self._write_on()

    # --- what the parser calls ----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._ended:
            raise _Refused("protocol", "bytes follow the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        name = name.lower()
        headers = self._headers
        if name in headers:
            self._duplicates += 1
            if self._duplicates > HEADERS_MAX:
                raise _Refused("too_large", f"the answer has more than {HEADERS_MAX} headers")
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        parser = self._parser
        headers = self._headers
        status = parser.get_status_code()
        if status < 200:
            if status == 101 or status < 100:
                raise _Refused("protocol", f"the upstream answered with status {status}")
            headers.clear()  # an interim answer; the final one follows
            return
        self._head_done = True
        if len(headers) > HEADERS_MAX or (
            self._head_bytes > HEAD_BYTES_MAX and _size(headers) > HEAD_BYTES_MAX
        ):
            raise _Refused("too_large", "the answer's head is too large")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise _Refused("protocol", "the upstream used a transfer-encoding that was not asked for")
        keep = parser.should_keep_alive()
        if not keep or b"connection" in headers:
            # The rare path: the parser lets HTTP/1.0 with keep-alive, and newer or foreign versions pass.
            version = parser.get_http_version()
            if version not in ("1.1", "1.0"):
                raise _Refused("protocol", f"the upstream answered in version {version}")
            keep = keep and version == "1.1"
            self._until_close = not keep and coding is None and b"content-length" not in headers
        exchange = self._exchange
        if exchange is None:
            return
        if self._to_write is not None:
            # Answered before the request was sent whole. An error means that the rest is not wanted.
            keep = False
            if status >= 300:
                self._to_write = None
        self._keep = keep
        exchange.status = status
        exchange.head_done = True
        if exchange.head_only:
            self._ended = True

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._ended:
            raise _Refused("protocol", "a body where there is none")
        self._beat += 1
        exchange.unread += len(data)
        exchange.pieces.append(data)

    def on_message_complete(self) -> None:
        if self._head_done:
            self._ended = True

    # --- transitions --------------------------------------------------------------------------------------------

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def _write_on(self) -> None:
        """Write slices of the body until it is out or the transport has enough for now."""
        transport = self._transport
        rest = self._to_write
        while rest is not None and not self._writing_paused and not transport.is_closing():
            transport.write(rest[:WRITE_BYTES_MAX])
            self._beat += 1
            rest = rest[WRITE_BYTES_MAX:] if len(rest) > WRITE_BYTES_MAX else None
        self._to_write = rest
        if rest is None and self._exchange is not None:
            self._exchange.sent_at = self._loop.time()

    def _finish(self, exchange: Exchange) -> None:
        """The whole answer has been read."""
        self._exchange = None
        exchange.line = None
        exchange.complete = True
        transport = self._transport
        if (
            self._keep
            and self._to_write is None
            and transport.get_write_buffer_size() == 0
            and not transport.is_closing()
        ):
            self.served += 1
            self.idle_since = self._loop.time()
            if exchange.head_only:
                self._new_parser()  # the old one waits for the body that the headers announced
            self.resume()
            self._owner.release(self)
        else:
            self.shut()
        exchange.wake()

    def _stopped(self, exchange: Exchange, error: Exception) -> None:
        """The parser will not go on: the bytes are wrong, or there are too many of them."""
        if self._ended:
            self._keep = False
            self._finish(exchange)
            return
        cause = error.__context__
        if isinstance(cause, _Refused):
            self.fail(cause.kind, cause.message)
        else:
            # llhttp's messages are constants; they quote nothing.
            self.fail("protocol", f"the upstream's answer is not HTTP/1.1: {error}")

    def _peer_ended(self, exc: Exception | None) -> None:
        exchange = self._exchange
        if exchange is None:
            self.shut()
        elif exc is None and self._head_done and self._until_close:
            self._keep = False
            self._finish(exchange)
        elif self._head_bytes == 0:
            self.fail("reset", "the upstream closed the connection without an answer")
        else:
            self.fail("reset", "the connection ended before the answer was complete")


def _size(headers: dict[bytes, bytes]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.items())

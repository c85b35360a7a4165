"""What a request gives: status, headers, and the body, whole or as it comes."""

from __future__ import annotations

import asyncio

from bytespike.upstream.decoding import BadEncoding, Decoder, inflater_for
from bytespike.upstream.errors import TransportError
from bytespike.upstream.exchange import Exchange
from bytespike.upstream.limits import DECODED_BYTES_MAX


class Answer:
    """An answer whose head has come.

    Read it to its end or `abort()` it: until then it holds its connection (`Timeouts.total` ends that too). Once the
    last byte has come from the socket the connection is back in the pool, whether or not the bytes have been taken.

    `headers` maps lower-case names to values; repeated ones are joined by ", " (RFC 9110 5.3). If the body was
    compressed it is given decoded, and content-encoding and content-length are left out.
    One reader at a time.
    """

    __slots__ = ("_decoder", "_exchange", "headers", "status")

    def __init__(self, exchange: Exchange) -> None:
        """Raises TransportError("protocol") for an encoding that cannot be undone; the answer is then aborted."""
        self._exchange = exchange
        self.status = exchange.status
        self.headers = exchange.headers
        self._decoder: Decoder | None = None
        if b"content-encoding" in self.headers and not exchange.head_only:
            self._inflate()

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises TransportError: "too_large" above `limit` bytes (the connection is cut), and
        whatever ended the answer early, in which case nothing of it is returned."""
        exchange = self._exchange
        if exchange.complete and self._decoder is None:
            if exchange.unread > limit:
                raise self._too_large(limit)
            return exchange.take() if exchange.pieces else b""
        length = self.headers.get(b"content-length")
        if length is not None and int(length) > limit and not exchange.complete:
            raise self._too_large(limit)
        pieces: list[bytes] = []
        size = 0
        while piece := await self.next_chunk():
            size += len(piece)
            if size > limit:
                raise self._too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def next_chunk(self) -> bytes:
        """What has come since the last call, waiting if that is nothing; b"" at the end of the body.

        Raises TransportError if the answer ended early, after everything that came has been given out. Cancelled, it
        aborts the answer.
        """
        while True:
            chunk = self._ready()
            if chunk is not None:
                return chunk
            await self._more()

    async def next_chunk_within(self, seconds: float) -> bytes | None:
        """As `next_chunk`, but None if nothing came within `seconds` (to the sweep's precision, see `limits`)."""
        chunk = self._ready()
        exchange = self._exchange
        if chunk is None:
            exchange.patience = seconds
            exchange.wake_at = None
            exchange.overdue = False
            try:
                while chunk is None and not exchange.overdue:
                    await self._more()
                    chunk = self._ready()
            finally:
                exchange.patience = None
        return chunk

    def decode(self, decoder: Decoder, content_type: bytes) -> None:
        """Give the body out decoded, as what `content_type` says. Before anything of it has been taken; what is compressed
        besides raises TransportError("protocol"), and the answer is aborted."""
        if self._decoder is not None:
            self.abort()
            raise TransportError("protocol", "the upstream compressed what it had framed", sent=True)
        self._decoder = decoder
        self.headers[b"content-type"] = content_type
        self.headers.pop(b"content-length", None)

    def abort(self) -> None:
        """Cut the connection at once if the answer is still coming. Bytes not taken yet are dropped. Idempotent."""
        exchange = self._exchange
        if exchange.line is not None:
            exchange.cut("reset", "the answer was given up")
            exchange.pieces.clear()
            exchange.unread = 0

    def _ready(self) -> bytes | None:
        """The next chunk if there is one, b"" at the end, None if one must wait."""
        exchange = self._exchange
        if self._decoder is not None:
            return self._ready_decoded(self._decoder)
        if exchange.pieces:
            return exchange.take()
        if exchange.complete:
            return b""
        if exchange.failure is not None:
            raise exchange.error()
        return None

    async def _more(self) -> None:
        exchange = self._exchange
        if exchange.waiter is not None:
            raise RuntimeError("an answer has one reader at a time")
        exchange.waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        except BaseException:
            self.abort()
            raise

    def _inflate(self) -> None:
        try:
            self._decoder = inflater_for(self.headers[b"content-encoding"])
        except BadEncoding as error:
            self.abort()
            raise TransportError("protocol", str(error), sent=True) from None
        if self._decoder is not None:
            del self.headers[b"content-encoding"]
            self.headers.pop(b"content-length", None)

    def _ready_decoded(self, decoder: Decoder) -> bytes | None:
        exchange = self._exchange
        try:
            while True:
                chunk = decoder.take(DECODED_BYTES_MAX)
                if chunk:
                    return chunk
                if exchange.pieces:
                    decoder.feed(exchange.take())
                elif exchange.complete:
                    decoder.finish()
                    return b""
                elif exchange.failure is not None:
                    raise exchange.error()
                else:
                    return None
        except ValueError as error:
            self.abort()
            raise TransportError("protocol", str(error), sent=True) from None

    def _too_large(self, limit: int) -> TransportError:
        self.abort()
        return TransportError("too_large", f"the answer has more than {limit} bytes", sent=True)

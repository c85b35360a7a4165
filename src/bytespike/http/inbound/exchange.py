"""One request and its answer, at the edge.

An `Exchange` is the `pipeline.call.Client` of one request: it puts accounting headers on every answer, and errors into
the caller's envelope. A caller that hangs up sets `gone` and cancels the task that serves the request, wherever it is
waiting (`http.connection`); every stage below is safe to cancel.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from bytespike.core.dialect import Dialect
from bytespike.core.notices import Notice
from bytespike.errors import GatewayError
from bytespike.http.inbound.accounting import accounting_lines
from bytespike.http.inbound.pieces import pieces
from bytespike.http.inbound.request import Inbound
from bytespike.http.statuses import STATUS
from bytespike.http.websocket import WebSocket
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.ledger import Ledger
from bytespike.pipeline.parts import Limits

#: A notices header longer than this is cut: proxies refuse heads that are too large.
NOTICES_BYTES_MAX = 2048

JSON_LINE = b"content-type: application/json\r\n"
_STREAM_LINES = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
EVENT_STREAM_LINE = b"content-type: text/event-stream; charset=utf-8\r\n"


class Line(Protocol):
    """The connection, as far as an answer needs it."""

    @property
    def started(self) -> bool: ...
    @property
    def stalled_seconds(self) -> float: ...
    def respond(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None: ...
    def start(self, status: int, head: bytes, length: int | None = None) -> None: ...
    async def send(self, data: bytes) -> None: ...
    def finish(self, data: bytes = b"") -> None: ...
    def abort(self) -> None: ...
    def upgrade(self, limit: int) -> WebSocket: ...


class Exchange:
    __slots__ = ("_account", "_held", "_inbound", "_ledger", "_limits", "_line", "request_id", "status")

    def __init__(self, inbound: Inbound, line: Line, ledger: Ledger, limits: Limits, request_id: str) -> None:
        self._inbound = inbound
        self._line = line
        self._ledger = ledger
        self._limits = limits
        self.request_id = request_id
        self.status = 0
        self._account: KeyAccount | None = None
        self._held: int | None = None

    # --- what the pipeline says --------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        return self._inbound.gone

    @property
    def stalled_seconds(self) -> float:
        return self._line.stalled_seconds

    def identified(self, account: KeyAccount) -> None:
        self._account = account

    def held(self, credits: int) -> None:
        self._held = credits

    async def body(self) -> bytes:
        return await self._inbound.body(self._limits.body_bytes_max, self._limits.body_seconds)

    async def body_within(self, limit: int) -> bytes:
        """As `body`, where the endpoint takes less, in bytes."""
        limits = self._limits
        return await self._inbound.body(min(limit, limits.body_bytes_max), limits.body_seconds)

    def pieces(self) -> AsyncIterator[bytes]:
        """As `body`, as it comes."""
        return pieces(self._inbound, self._limits.body_bytes_max, self._limits.body_seconds)

    def respond(self, body: bytes, notices: Sequence[Notice | str]) -> None:
        self.status = 200
        head = self._common() + JSON_LINE
        self._line.respond(200, head + notices_line(notices) if notices else head, body)

    def begin(self, notices: Sequence[Notice | str], *, array: bool = False) -> None:
        self.status = 200
        content = JSON_LINE if array else EVENT_STREAM_LINE
        self._line.start(200, self._common() + content + _STREAM_LINES + notices_line(notices))

    def begin_file(self, status: int, head: bytes, length: int | None) -> None:
        """The head of an answer of `length` bytes, which follow in pieces; None: nobody knows yet. `head`: header lines."""
        self.status = status
        self._line.start(status, self._common() + head, length)

    async def send(self, data: bytes) -> None:
        await self._line.send(data)

    def finish(self, data: bytes = b"") -> None:
        self._line.finish(data)

    def abort(self) -> None:
        self._line.abort()

    def upgrade(self) -> WebSocket:
        """Accept the WebSocket that was asked for. Raises InvalidRequest."""
        self.status = 101
        return self._line.upgrade(self._limits.body_bytes_max)

    # --- what the edge says ------------------------------------------------------------------------------------

    def fail(self, error: GatewayError, dialect: Dialect, extra: bytes = b"") -> None:
        """The error in the caller's envelope; nothing may have been sent yet. `extra`: more header lines."""
        status = STATUS[error.code]
        head = JSON_LINE + extra
        if error.retry_after is not None:
            head += b"retry-after: %d\r\n" % error.retry_after
        self.status = status
        body = dialect.write_error(error, status, self.request_id)
        self._line.respond(status, self._common() + head, body, last=status in (408, 413))

    def plain(self, status: int, body: bytes, content_type: bytes, extra: bytes = b"") -> None:
        """Any other whole answer. `extra`: more header lines."""
        self.status = status
        content = b"" if status == 204 else b"content-type: %b\r\n" % content_type
        self._line.respond(status, self._common() + content + extra, body)

    @property
    def began(self) -> bool:
        """The head of an answer has been sent."""
        return self._line.started

    # --- within ------------------------------------------------------------------------------------------------

    def _common(self) -> bytes:
        request_id = self.request_id
        lines = "request-id: " + request_id + "\r\nx-request-id: " + request_id + "\r\n"
        account = self._account
        if account is not None:
            lines += accounting_lines(self._ledger.standing(account), self._held)
        return lines.encode("ascii")


def notices_line(notices: Sequence[Notice | str]) -> bytes:
    """`X-ByteSpike-Notices`, absent where there is nothing to tell. Texts are notices that were kept."""
    if not notices:
        return b""
    text = "; ".join(dict.fromkeys(map(str, notices)))
    raw = text.encode("ascii", "replace").replace(b"\r", b" ").replace(b"\n", b" ")
    if len(raw) > NOTICES_BYTES_MAX:
        raw = raw[: NOTICES_BYTES_MAX - 4] + b" ..."
    return b"x-bytespike-notices: %b\r\n" % raw

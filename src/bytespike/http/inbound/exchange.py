"""One request and its answer, at the edge.

An `Exchange` is the `pipeline.call.Client` of one ASGI request: it puts accounting headers on every answer, errors into
the caller's envelope, and notices a caller that hangs up. A hang-up sets `gone` and cancels the task that serves the
request, wherever it is waiting; every stage below is safe to cancel. To notice it someone must read from `receive`.
For a stream that begins at once; for a whole answer only after 50 ms, because most answers that come from a cache or
a fast model need no watcher, and a task per request is not free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bytespike.core.dialect import Dialect
from bytespike.core.notices import Notice
from bytespike.errors import GatewayError
from bytespike.http.inbound.accounting import accounting_headers
from bytespike.http.inbound.asgi import Headers, Receive, Send
from bytespike.http.statuses import STATUS
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.ledger import Ledger

WATCH_AFTER_SECONDS = 0.05
#: A notices header longer than this is cut: proxies refuse heads that are too large.
NOTICES_BYTES_MAX = 2048

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_STREAM_HEADERS: Headers = [_EVENTS, (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


class Exchange:
    __slots__ = (
        "_account",
        "_began",
        "_finished",
        "_held",
        "_ledger",
        "_receive",
        "_send",
        "_task",
        "_timer",
        "_watcher",
        "gone",
        "request_id",
        "status",
    )

    def __init__(self, receive: Receive, send: Send, ledger: Ledger, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self._ledger = ledger
        self.request_id = request_id
        self.gone = False
        self.status = 0
        self._account: KeyAccount | None = None
        self._held: int | None = None
        self._began = False
        self._finished = False
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None

    # --- what the pipeline says --------------------------------------------------------------------------------

    def identified(self, account: KeyAccount) -> None:
        self._account = account
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self.watch)

    def held(self, credits: int) -> None:
        self._held = credits

    def watch(self) -> None:
        if self._watcher is None and not self._finished:
            self._watcher = asyncio.get_running_loop().create_task(self._until_gone())

    async def respond(
        self, body: bytes, notices: Sequence[Notice], content: tuple[bytes, bytes] = _JSON
    ) -> None:
        await self._whole(200, body, [content, *notice_headers(notices)])

    async def begin(self, notices: Sequence[Notice]) -> None:
        self._began = True
        self.status = 200
        headers = [*self._common(), *_STREAM_HEADERS, *notice_headers(notices)]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        self.close()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    # --- what the edge says ------------------------------------------------------------------------------------

    async def fail(self, error: GatewayError, dialect: Dialect) -> None:
        """The error in the caller's envelope; nothing may have been sent yet."""
        status = STATUS[error.code]
        headers: Headers = [_JSON]
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after))
        if status in (408, 413):
            headers.append((b"connection", b"close"))
        await self._whole(status, dialect.write_error(error, status, self.request_id), headers)

    async def plain(
        self, status: int, body: bytes, content_type: bytes, extra: Headers | None = None
    ) -> None:
        """Any other whole answer."""
        await self._whole(status, body, [(b"content-type", content_type), *(extra or [])])

    @property
    def began(self) -> bool:
        """The head of an answer has been sent."""
        return self._began

    def close(self) -> None:
        """The request is over: nobody watches for a hang-up any more."""
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    # --- within ------------------------------------------------------------------------------------------------

    async def _whole(self, status: int, body: bytes, headers: Headers) -> None:
        self.close()
        self._began = True
        self.status = status
        headers = [*self._common(), *headers, (b"content-length", b"%d" % len(body))]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _common(self) -> Headers:
        request_id = self.request_id.encode()
        headers: Headers = [(b"request-id", request_id), (b"x-request-id", request_id)]
        if self._account is not None:
            headers += accounting_headers(self._ledger.standing(self._account), self._held)
        return headers

    async def _until_gone(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                break
        if not self._finished and self._task is not None:
            self.gone = True
            self._task.cancel()


def notice_headers(notices: Sequence[Notice]) -> Headers:
    """`X-ByteSpike-Notices`, absent where there is nothing to tell."""
    if not notices:
        return []
    text = "; ".join(dict.fromkeys(map(str, notices)))
    raw = text.encode("ascii", "replace").replace(b"\r", b" ").replace(b"\n", b" ")
    if len(raw) > NOTICES_BYTES_MAX:
        raw = raw[: NOTICES_BYTES_MAX - 4] + b" ..."
    return [(b"x-bytespike-notices", raw)]

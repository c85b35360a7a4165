"""The server: uvicorn with bounds that it does not have itself.

uvicorn's parser takes heads of any size, one byte an hour. `BoundedProtocol` closes a connection whose head is too
large or does not arrive in time, and answers what is not HTTP in the OpenAI envelope.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bytespike.http.inbound.body import BODY_RECEIVED
from bytespike.wire.json import encode

#: Request line and headers together.
HEAD_BYTES_MAX = 64 * 1024
#: From the first byte of a head (or the opening of a connection) to its last.
HEAD_SECONDS_MAX = 30.0


#: What `scope["extensions"]` is once the whole body has been received.
WHOLE_BODY: dict[str, dict[object, object]] = {BODY_RECEIVED: {}}


class BoundedProtocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._head_bytes = 0
        self._boundaries = 0
        self._hung_up = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._boundaries
        super().data_received(data)
        if not self._in_head:
            return
        # Bytes in which a head or a message ended are, but for a few, not those of the head that is open now.
        self._head_bytes = self._head_bytes + len(data) if before == self._boundaries else 0
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431, "Request Header Fields Too Large", "the request's head is too large")
        elif self._head_bytes and self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._head_late)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._boundaries += 1
        if self._answering():
            # A second request before the first is answered. Hardly any client does this, uvicorn queues without a
            # bound, and would no longer notice a hang-up of the first: so it counts as one.
            self._hung_up = True
            self.transport.close()
            return
        if self._head_timer is not None:
            self._stop_head_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._hung_up:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._hung_up:
            return
        self._in_head = True
        self._boundaries += 1
        # A small body comes with its head, before the application has begun: then nobody need watch it arrive.
        self.scope["extensions"] = WHOLE_BODY
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "Bad Request", msg)

    def _refuse(self, status: int, phrase: str, message: str) -> None:
        if self.transport.is_closing():
            return
        self._stop_head_timer()
        body = encode(
            {
                "error": {
                    "type": "invalid_request_error",
                    "code": "invalid_param",
                    "message": message,
                    "param": None,
                }
            }
        )
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, phrase.encode(), len(body), body)
        )
        self.transport.close()

    def _head_late(self) -> None:
        self._head_timer = None
        if self._in_head and not self._answering():
            self._refuse(408, "Request Timeout", "the request's head did not arrive in time")

    def _answering(self) -> bool:
        # uvicorn's own annotation does not say that there is none before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

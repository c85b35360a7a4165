"""Bounds on what strangers may send, and headers that every answer has."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bytespike.errors import BodyTooLarge

#: No management request is larger.
BODY_BYTES_MAX = 256 * 1024


class Guarded:
    """Counts the body as it comes (so a missing or wrong content-length changes nothing), and forbids caching."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > BODY_BYTES_MAX:
                    raise BodyTooLarge(f"a management request has at most {BODY_BYTES_MAX} bytes")
            return message

        async def uncached(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"cache-control", b"no-store")]
            await send(message)

        await self._app(scope, counted, uncached)

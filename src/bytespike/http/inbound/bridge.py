"""The management application is ASGI, like its library: this is where its requests cross over."""

from __future__ import annotations

import asyncio

from bytespike.http.inbound.asgi import App, Headers, Message, Scope
from bytespike.http.inbound.exchange import Line
from bytespike.http.inbound.request import ClientGone, Inbound

#: Said by the connection itself.
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})


async def serve_asgi(app: App, inbound: Inbound, line: Line, request_id: str) -> int:
    """Let `app` answer; its answer carries `request_id` too. The status, 0 if there was none."""
    raw_id = request_id.encode()
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": inbound.method,
        "scheme": "http",
        "path": inbound.path,
        "raw_path": inbound.path.encode(),
        "root_path": "",
        "query_string": inbound.query,
        "headers": list(inbound.headers.items()),
        "client": (inbound.peer, 0),
        "server": None,
    }
    status = 0
    head = b""
    done = False
    ended = False

    async def receive() -> Message:
        nonlocal done
        if done:
            await inbound.until_gone()
            return {"type": "http.disconnect"}
        try:
            piece = await inbound.next_piece()
        except ClientGone:
            return {"type": "http.disconnect"}
        done = not piece
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        nonlocal status, head, ended
        if message["type"] == "http.response.start":
            status = message["status"]
            headers: Headers = [
                *((name, value) for name, value in message.get("headers", ()) if name not in _FRAMING),
                (b"request-id", raw_id),
                (b"x-request-id", raw_id),
            ]
            head = b"".join(_line(name, value) for name, value in headers)
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if line.started:
            if more:
                await line.send(body)
            else:
                line.finish(body)
        elif more:
            line.start(status, head)
            await line.send(body)
        else:
            line.respond(status, head, body)
        ended = ended or not more

    # A task of its own: libraries that the management application is made of want a real one.
    await asyncio.ensure_future(app(scope, receive, send))
    if not ended:
        line.abort()
    return status


def _line(name: bytes, value: bytes) -> bytes:
    if b"\r" in value or b"\n" in value:
        raise ValueError("a header value contains a line break")
    return b"%b: %b\r\n" % (name, value)

"""A request's body, bounded in size and in time."""

from __future__ import annotations

import asyncio

from bytespike.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from bytespike.http.inbound.asgi import Receive
from bytespike.http.inbound.request import Inbound

#: Longest silence between two pieces of a body.
BODY_GAP_SECONDS = 30.0
#: How much of a body that is too large is read and thrown away, so that the client, which is still sending, gets to
#: read the answer instead of a reset.
DISCARD_BYTES_MAX = 96 * 1024 * 1024


class ClientGone(Exception):
    """The caller hung up before its body was whole."""


#: An extension of the ASGI scope: this request's body has arrived, whole. Our server sets it; others need not.
BODY_RECEIVED = "bytespike.body_received"


async def read_body(inbound: Inbound, limit: int, seconds: float) -> bytes:
    """The whole body. `limit` in bytes; `seconds` for all of it.

    Raises: BodyTooLarge, RequestTimeout, InvalidRequest, ClientGone.
    """
    headers = inbound.headers
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise InvalidRequest("compressed request bodies are not supported; send the JSON as it is")
    if inbound.body_received:
        # Nothing to wait for, so no timer is needed: this is the way of nearly every request.
        message = await inbound.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if len(body) <= limit and not message.get("more_body", False):
            return body
        raise _too_large(limit)
    declared = headers.get(b"content-length", b"0")
    refused = declared.isdigit() and int(declared) > limit
    try:
        return await _arriving(inbound.receive, limit, seconds, refused)
    except TimeoutError:
        raise RequestTimeout("the request's body did not arrive in time") from None


async def _arriving(receive: Receive, limit: int, seconds: float, too_large: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    more = True
    async with asyncio.timeout_at(min(loop.time() + BODY_GAP_SECONDS, end)) as deadline:
        while more and size <= DISCARD_BYTES_MAX:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > limit:
                too_large = True
                pieces.clear()
            if not too_large:
                pieces.append(piece)
            deadline.reschedule(min(loop.time() + BODY_GAP_SECONDS, end))
    if too_large:
        raise _too_large(limit)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request's body is over the limit of {limit // (1024 * 1024)} MiB")

"""A request's body, bounded in size and in time."""

from __future__ import annotations

import asyncio

from bytespike.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from bytespike.http.inbound.asgi import Receive

#: Longest silence between two pieces of a body.
BODY_GAP_SECONDS = 30.0
#: How much of a body that is too large is read and thrown away, so that the client, which is still sending, gets to
#: read the answer instead of a reset.
DISCARD_BYTES_MAX = 96 * 1024 * 1024


class ClientGone(Exception):
    """The caller hung up before its body was whole."""


async def read_body(receive: Receive, headers: dict[bytes, bytes], limit: int, seconds: float) -> bytes:
    """The whole body. `limit` in bytes; `seconds` for all of it.

    Raises: BodyTooLarge, RequestTimeout, InvalidRequest, ClientGone.
    """
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise InvalidRequest("compressed request bodies are not supported; send the JSON as it is")
    declared = headers.get(b"content-length")
    too_large = declared is not None and declared.isdigit() and int(declared) > limit
    pieces: list[bytes] = []
    size = 0
    started = 0.0
    try:
        async with asyncio.timeout(BODY_GAP_SECONDS) as deadline:
            more = True
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
                if more:
                    now = asyncio.get_running_loop().time()
                    started = started or now
                    deadline.reschedule(min(now + BODY_GAP_SECONDS, started + seconds))
    except TimeoutError:
        raise RequestTimeout("the request's body did not arrive in time") from None
    if too_large:
        raise BodyTooLarge(f"the request's body is over the limit of {limit // (1024 * 1024)} MiB")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

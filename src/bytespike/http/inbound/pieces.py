"""The body of a request as it comes, for whoever need not have it whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bytespike.errors import RequestTimeout
from bytespike.http.inbound.request import BODY_GAP_SECONDS, Inbound, too_large


async def pieces(inbound: Inbound, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """As `Inbound.body` otherwise, its errors among them."""
    inbound.refuse_unread(limit)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    count = 0
    while True:
        try:
            async with asyncio.timeout_at(min(loop.time() + BODY_GAP_SECONDS, end)):
                piece = await inbound.next_piece()
        except TimeoutError:
            raise RequestTimeout("the request's body did not arrive in time") from None
        if not piece:
            return
        count += len(piece)
        if count > limit:
            raise too_large(limit)
        yield piece

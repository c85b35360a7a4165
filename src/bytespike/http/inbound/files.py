"""GET /files/{object}: what was made, for whoever has its signed URL (`media/objects/urls.py`). HEAD and ranges too.

No key is asked for: the URL is the permission. What comes out is told apart from the gateway's own pages by every header that
browsers know for it: the type is the one that the bytes were found to have, nothing is guessed from them, nothing in them may run.

Source of what a range and a condition mean: RFC 9110, sections 13 and 14.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

import structlog

from bytespike.clock import Clock
from bytespike.errors import InternalError, NotFound, PermissionDenied
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import NoSuchObject, ObjectStore, Stored
from bytespike.media.objects.urls import EXTENSIONS, OTHER_EXTENSION, BadLink, ExpiredLink, Links

log = structlog.get_logger("bytespike.http")

_MICROSECONDS: Final = 1_000_000
#: One range. A request for several gets the whole, as it may.
_RANGE: Final = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})")
#: What an answer says besides its type and size.
_SAFE_LINES: Final = (
    b"x-content-type-options: nosniff\r\n"
    b"content-security-policy: default-src 'none'; sandbox\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"cross-origin-resource-policy: cross-origin\r\n"
    b"accept-ranges: bytes\r\n"
)


def get_file(store: ObjectStore, links: Links, clock: Clock) -> Handler:
    """A URL that was changed gets 403, and so does one whose time is over; one whose object is gone before its time 404."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        now_us = clock.now_us()
        try:
            id = links.check(inbound.path, inbound.query, now_us)
        except BadLink:
            raise PermissionDenied("this URL was not signed here, or has been changed") from None
        except ExpiredLink:
            raise PermissionDenied("this URL has expired, and what it led to is deleted") from None
        try:
            stored = await store.find(id)
        except NoSuchObject:
            raise NotFound("what this URL led to has been deleted") from None
        except StoreUnavailable:
            raise InternalError("what this URL leads to cannot be looked up now") from None
        await send_object(inbound, exchange, store, stored, now_us)

    return handler


async def send_object(
    inbound: Inbound, exchange: Exchange, store: ObjectStore, stored: Stored, now_us: int
) -> None:
    """The answer with an object's bytes, or those of them that were asked for."""
    headers = inbound.headers
    etag = b'"%b"' % stored.id.encode()
    about = _about(stored, etag, now_us)
    if _among(etag, headers.get(b"if-none-match")):
        exchange.plain(304, b"", b"", about)
        return
    wanted = _range(headers, etag, stored.bytes)
    if wanted is None:
        start, end, status = 0, stored.bytes, 200
    elif wanted[0] >= wanted[1]:
        exchange.plain(416, b"", b"text/plain", b"content-range: bytes */%d\r\n" % stored.bytes)
        return
    else:
        (start, end), status = wanted, 206
        about += b"content-range: bytes %d-%d/%d\r\n" % (start, end - 1, stored.bytes)
    about += b"content-type: %b\r\n" % stored.content_type.encode("ascii")
    if inbound.method == "HEAD":
        exchange.begin_file(status, about, end - start)
        exchange.finish()
        return
    await _send(exchange, store, stored, start, end, status, about)


async def _send(
    exchange: Exchange, store: ObjectStore, stored: Stored, start: int, end: int, status: int, head: bytes
) -> None:
    """The first piece is read before anything is said, so that an object that cannot be read is an error with a status."""
    async with aclosing(store.read(stored, start, end)) as pieces:
        try:
            first = await anext(pieces, b"")
        except NoSuchObject:
            raise NotFound("what this URL led to has been deleted") from None
        except StoreUnavailable as error:
            log.error("an object cannot be read", object_id=stored.id, error=str(error)[:200])
            raise InternalError("what this URL leads to cannot be read now") from None
        exchange.begin_file(status, head, end - start)
        try:
            await exchange.send(first)
            async for piece in pieces:
                await exchange.send(piece)
        except (NoSuchObject, StoreUnavailable) as error:
            # The status is spent: an answer that is cut is told from a whole one by its length.
            log.error("an object cannot be read", object_id=stored.id, error=str(error)[:200])
            exchange.abort()
            return
    exchange.finish()


def _about(stored: Stored, etag: bytes, now_us: int) -> bytes:
    """Header lines. Only what is known to be a picture or a video is shown in place; anything else is a download."""
    extension = EXTENSIONS.get(stored.content_type, OTHER_EXTENSION)
    shown = b"attachment" if extension == OTHER_EXTENSION else b"inline"
    seconds = max((stored.expires_at - now_us) // _MICROSECONDS, 0)
    return (
        b'%betag: %b\r\ncache-control: private, max-age=%d\r\ncontent-disposition: %b; filename="%b"\r\n'
        % (
            _SAFE_LINES,
            etag,
            seconds,
            shown,
            # An id and an extension of ours: nothing in it needs quoting.
            f"{stored.id}{extension}".encode("ascii"),
        )
    )


def _among(etag: bytes, condition: bytes | None) -> bool:
    if condition is None:
        return False
    return any(each.strip().removeprefix(b"W/") in (etag, b"*") for each in condition.split(b","))


def _range(headers: Mapping[bytes, bytes], etag: bytes, size: int) -> tuple[int, int] | None:
    """Which bytes are wanted, the end excluded; None: all of them. Where the first is not before the second, no byte of the
    object is in the range."""
    match = _RANGE.fullmatch(headers.get(b"range", b"").strip())
    if match is None or headers.get(b"if-range", etag).strip() != etag:
        return None
    first, last = match[1], match[2]
    if not first:
        # The last so many bytes.
        return (max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), (min(int(last) + 1, size) if last else size)

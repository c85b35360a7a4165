"""Pictures that a client gives by URL, made inline: providers differ in what URLs they take, and nobody but the guarded
fetcher asks a user's URL for anything (`upstream/fetch.py`). URLs of the gateway's own objects are opened, not fetched.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs
from sqlalchemy.exc import SQLAlchemyError

from bytespike.errors import ConcurrencyLimited, InternalError, InvalidRequest
from bytespike.media.images.parts import ImageParts
from bytespike.media.objects.backends import StoreUnavailable
from bytespike.media.objects.store import NoSuchObject
from bytespike.media.objects.urls import PREFIX, BadLink, ExpiredLink
from bytespike.media.order import Order, Picture
from bytespike.upstream.fetch import FETCHED_BYTES_MAX, Fetched, FetchesFull, FetchFailed
from bytespike.wire.address import Proxy

#: Of one request at once, so that it does not take every slot.
AT_ONCE_MAX: Final = 4
#: What pictures by URL may have together, before they are base64.
REQUEST_BYTES_MAX: Final = 32 * 1024 * 1024
_MIB: Final = 1024 * 1024


async def inlined(parts: ImageParts, order: Order, proxy: Proxy | None) -> Order:
    """The order with all of its pictures inline.

    Raises InvalidRequest for what cannot be fetched or is too much, ConcurrencyLimited if too much is being fetched.
    Cancelled, or when one of the fetches fails, the others end at once.
    """
    urls = list(dict.fromkeys(picture.url for picture in order.pictures if picture.url))
    if not urls:
        return order
    slots = asyncio.Semaphore(AT_ONCE_MAX)
    found: dict[str, Fetched] = {}

    async def fetch(url: str) -> None:
        async with slots:
            found[url] = await opened(parts, url, proxy)
        if sum(len(each.data) for each in found.values()) > REQUEST_BYTES_MAX:
            raise InvalidRequest(
                f"the images by URL have more than {REQUEST_BYTES_MAX // _MIB} MiB together", param="image"
            )

    try:
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(fetch(url))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return structs.replace(order, pictures=tuple(_inline(each, found) for each in order.pictures))


async def opened(parts: ImageParts, url: str, proxy: Proxy | None) -> Fetched:
    """The picture at a URL. Raises InvalidRequest, ConcurrencyLimited."""
    own = await own_object(parts, url)
    if own is not None:
        return own
    if parts.fetcher is None:
        raise InvalidRequest("images are not fetched here; send them as base64 or data: URLs", param="image")
    try:
        fetched = await parts.fetcher.fetch(url, proxy)
    except FetchFailed as failed:
        raise _refused(url, failed.reason) from None
    except FetchesFull:
        raise ConcurrencyLimited(
            "too many images are being fetched; try again, or send the image as base64", retry_after=1
        ) from None
    if not fetched.media_type.startswith("image/"):
        raise _refused(url, f"it is {fetched.media_type}")
    return fetched


async def own_object(parts: ImageParts, url: str) -> Fetched | None:
    """The picture behind a URL that was signed here; None for any other URL. Raises InvalidRequest: it has expired."""
    try:
        split = urlsplit(url)
        if not split.path.startswith(PREFIX):
            return None
        id = parts.links.check(split.path, split.query.encode("utf-8"), parts.clock.now_us())
    except (BadLink, ValueError):
        return None
    except ExpiredLink:
        raise _refused(url, "its time is over") from None
    try:
        stored = await parts.store.find(id)
        if not stored.content_type.startswith("image/") or stored.bytes > FETCHED_BYTES_MAX:
            raise _refused(url, f"it is {stored.content_type} of {stored.bytes} bytes")
        data = b"".join([piece async for piece in parts.store.read(stored)])
    except NoSuchObject:
        raise _refused(url, "its time is over") from None
    except (StoreUnavailable, SQLAlchemyError, OSError) as error:
        raise InternalError("an image could not be read from the object store") from error
    return Fetched(stored.content_type, data)


def _inline(picture: Picture, found: dict[str, Fetched]) -> Picture:
    if not picture.url:
        return picture
    fetched = found[picture.url]
    return Picture(picture.role, fetched.media_type, base64.b64encode(fetched.data).decode("ascii"))


def _refused(url: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"the image at {_host(url)} cannot be fetched: {reason}", param="image")


def _host(url: str) -> str:
    """What of a URL may be repeated: its path and query may hold a secret."""
    try:
        return (urlsplit(url).hostname or "")[:253] or "a URL without a host"
    except ValueError:
        return "a malformed URL"

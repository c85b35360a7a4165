"""A request's images and documents by URL, made inline: for a target that takes no URLs (`errors.UnsupportedFeature`
with `by_url`). The protocols never ask the network; whoever carries the request does, here, once for all attempts.

What cannot be fetched is the caller's mistake: a 400 that names the URL's host and the reason.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Final
from urllib.parse import urlsplit

from bytespike.core.content import Base64Source
from bytespike.core.media_urls import Media, urls_of, with_bytes
from bytespike.core.request import ChatRequest
from bytespike.errors import ConcurrencyLimited, InvalidRequest
from bytespike.upstream.fetch import Fetcher, FetchesFull, FetchFailed
from bytespike.wire.address import Proxy

#: URLs of one request that are fetched.
URLS_MAX: Final = 20
#: Of them at once, so that one request does not take every slot.
URLS_AT_ONCE_MAX: Final = 4
#: What they may have together: as much as a body may, before it is base64.
REQUEST_BYTES_MAX: Final = 32 * 1024 * 1024

_MIB: Final = 1024 * 1024


async def inlined(
    request: ChatRequest, media: Media, fetcher: Fetcher, proxy: Proxy | None
) -> ChatRequest | None:
    """The request with its images or documents by URL inline; None if it has none.

    Raises InvalidRequest for content that cannot be fetched or is too much, ConcurrencyLimited if too much is being
    fetched. Cancelled, or when one of the fetches fails, the others end at once.
    """
    urls = urls_of(request, media)
    if not urls:
        return None
    if len(urls) > URLS_MAX:
        raise InvalidRequest(
            f"this model takes no URLs, and at most {URLS_MAX} are fetched for it; send the content as base64"
        )
    batch = _Batch(media, fetcher, proxy)
    try:
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(batch.fetch(url))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return with_bytes(request, media, batch.found)


class _Batch:
    """The fetches of one request."""

    __slots__ = ("_bytes", "_fetcher", "_media", "_proxy", "_slots", "found")

    def __init__(self, media: Media, fetcher: Fetcher, proxy: Proxy | None) -> None:
        self._media = media
        self._fetcher = fetcher
        self._proxy = proxy
        self._slots = asyncio.Semaphore(URLS_AT_ONCE_MAX)
        self._bytes = 0
        self.found: dict[str, Base64Source] = {}

    async def fetch(self, url: str) -> None:
        async with self._slots:
            try:
                fetched = await self._fetcher.fetch(url, self._proxy)
            except FetchFailed as failed:
                raise self._refused(url, failed.reason) from None
            except FetchesFull:
                raise ConcurrencyLimited(
                    "too many images and documents are being fetched; try again, or send the content as base64",
                    retry_after=1,
                ) from None
        if fetched.media_type.startswith("image/") != (self._media == "image"):
            raise self._refused(url, f"it is {fetched.media_type}")
        self._bytes += len(fetched.data)
        if self._bytes > REQUEST_BYTES_MAX:
            raise InvalidRequest(
                f"the images and documents by URL have more than {REQUEST_BYTES_MAX // _MIB} MiB together"
            )
        self.found[url] = Base64Source(fetched.media_type, base64.b64encode(fetched.data).decode("ascii"))

    def _refused(self, url: str, reason: str) -> InvalidRequest:
        return InvalidRequest(f"the {self._media} at {_host(url)} cannot be fetched: {reason}")


def _host(url: str) -> str:
    """What of a URL may be repeated: its path and query may hold a secret."""
    try:
        return (urlsplit(url).hostname or "")[:253] or "a URL without a host"
    except ValueError:
        return "a malformed URL"

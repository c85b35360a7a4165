"""One document from a user's URL: content that a target takes no URLs for, fetched on the user's behalf.

What it guarantees
------------------
- **Only public addresses are asked.** Each hop, redirects too, is a request of its own through a client whose resolver
  is guarded (`upstream.guard`): its name is resolved once, and the connection goes to an address that was checked.
- **Nothing of ours goes along**: no cookie, no credential, no header of the caller's. URLs with credentials in them are
  refused, and so are ports on which other services than the web listen.
- **Everything is bounded**: bytes, seconds, redirects, and how many are fetched at once.
- **What comes back is what it says it is**: an image or a PDF by its own first bytes, whatever the server calls it.

Where the operator has set a proxy for the channel, it is used, and given the address that was checked.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urljoin

from msgspec import Struct

from bytespike.upstream.answer import Answer
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import PoolLimits, Timeouts
from bytespike.upstream.stats import PoolStats
from bytespike.wire.address import Origin, Proxy, split_url
from bytespike.wire.headers import render_headers

#: The largest content that is fetched.
FETCHED_BYTES_MAX: Final = 20 * 1024 * 1024
#: For all of it: a free slot, every hop, the last byte.
FETCH_SECONDS: Final = 10.0
#: So many redirects are followed.
REDIRECTS_MAX: Final = 3
#: Fetches at once, of all requests of this process.
FETCHES_MAX: Final = 16
#: Names that are looked up at once: fewer than the loop has threads for it (libuv: 4).
LOOKUPS_MAX: Final = 2
#: A longer URL is not followed.
URL_CHARS_MAX: Final = 8192
#: The client's bounds. Users' URLs lead everywhere, so connections are not kept.
FETCH_LIMITS: Final = PoolLimits(
    per_origin=FETCHES_MAX, idle_per_origin=0, idle=0, waiters_per_origin=FETCHES_MAX
)

_TIMEOUTS: Final = Timeouts(
    connect=FETCH_SECONDS, first_byte=FETCH_SECONDS, idle=FETCH_SECONDS, total=FETCH_SECONDS
)
_HEADERS: Final = render_headers(((b"accept", b"image/*, application/pdf"), (b"user-agent", b"ByteSpike")))
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WEB_PORTS: Final = (80, 443)
#: Below stand other protocols' servers, which must not be talked to by means of a URL.
_FREE_PORT_MIN: Final = 1024
_PDF: Final = b"%PDF-"
#: Readers look for a PDF's header in so many bytes (ISO 32000, implementation notes).
_PDF_HEADER_BYTES: Final = 1024
_IMAGES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Fetched(Struct, frozen=True):
    """`media_type` by the bytes themselves."""

    media_type: str
    data: bytes


class FetchFailed(Exception):
    """The URL gives nothing that can be used. `reason` is for the caller: a few words, no URL, no address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FetchesFull(Exception):
    """No slot came free in time: too much is being fetched."""


class Fetcher:
    """Fetches through `client`, which has to be confined to public addresses. For one event loop."""

    __slots__ = ("_client", "_seconds", "_slots")

    def __init__(
        self, client: Client, *, fetches_max: int = FETCHES_MAX, seconds: float = FETCH_SECONDS
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._slots = asyncio.Semaphore(fetches_max)

    async def fetch(self, url: str, proxy: Proxy | None = None) -> Fetched:
        """Raises FetchFailed, FetchesFull. Cancelled, it leaves nothing."""
        begun = False
        try:
            async with asyncio.timeout(self._seconds):
                async with self._slots:
                    begun = True
                    return await self._followed(url, proxy)
        except TimeoutError:
            if not begun:
                raise FetchesFull from None
            raise FetchFailed(f"it did not come within {self._seconds:g} seconds") from None
        except TransportError as error:
            raise FetchFailed(_reason(error)) from None

    def stats(self) -> PoolStats:
        """The connections of the fetches as they are now."""
        return self._client.stats()

    async def close(self, drain: float) -> None:
        """As `Client.close`."""
        await self._client.close(drain)

    async def _followed(self, url: str, proxy: Proxy | None) -> Fetched:
        for _ in range(REDIRECTS_MAX + 1):
            origin, target = _place(url)
            if proxy is not None and origin.scheme == "http":
                # The proxy would look the name up again, past the check.
                raise FetchFailed("only https can be fetched through this channel's proxy")
            answer = await self._client.request(origin, b"GET", target, _HEADERS, b"", _TIMEOUTS, proxy=proxy)
            if answer.status in _REDIRECTS:
                url = _redirected(url, answer)
                continue
            if answer.status != 200:
                answer.abort()
                raise FetchFailed(f"the server answered {answer.status}")
            return _recognised(await answer.read(FETCHED_BYTES_MAX))
        raise FetchFailed(f"it redirects more than {REDIRECTS_MAX} times")


def _place(url: str) -> tuple[Origin, bytes]:
    if len(url) > URL_CHARS_MAX:
        raise FetchFailed(f"a URL may have {URL_CHARS_MAX} characters")
    try:
        origin, target = split_url(url)
    except ValueError as error:
        raise FetchFailed(str(error)) from None
    if origin.port not in _WEB_PORTS and origin.port < _FREE_PORT_MIN:
        raise FetchFailed("the port is neither 80, 443 nor one from 1024 on")
    return origin, target


def _redirected(url: str, answer: Answer) -> str:
    location = answer.headers.get(b"location")
    answer.abort()
    if location is None:
        raise FetchFailed(f"the server answered {answer.status} without a location")
    try:
        return urljoin(url, location.decode("latin-1"))
    except ValueError:
        raise FetchFailed("it redirects to something that is no URL") from None


def _recognised(data: bytes) -> Fetched:
    for magic, media_type in _IMAGES:
        if data.startswith(magic):
            return Fetched(media_type, data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Fetched("image/webp", data)
    if _PDF in data[:_PDF_HEADER_BYTES]:
        return Fetched("application/pdf", data)
    raise FetchFailed("it is neither an image (PNG, JPEG, GIF, WebP) nor a PDF")


def _reason(error: TransportError) -> str:
    """A name that leads inside is told like one that leads nowhere, so that nobody maps a network with it."""
    if error.kind in ("blocked", "connect", "timeout_connect"):
        return "it cannot be reached at a public address"
    if error.kind == "tls":
        return "its TLS handshake failed"
    if error.kind == "too_large":
        return f"it has more than {FETCHED_BYTES_MAX // (1024 * 1024)} MiB"
    if error.kind.startswith("timeout"):
        return "it did not come in time"
    return "the connection broke before it was there"

"""From a channel and a dialect to the bytes that are the same for every request: where it goes and how it begins.

Endpoints are rendered when a snapshot of the channels is made, never per request. What a channel's settings hold was
checked when it was created; it is checked again here, because this is where it becomes bytes on a wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from bytespike.providers.carriage import Carriage
from bytespike.providers.clouds import carriage_of, is_cloud, region_of
from bytespike.providers.platforms import PLATFORMS, SURFACES, Platform, Surface
from bytespike.wire.address import Origin, Proxy, parse_proxy, parse_url
from bytespike.wire.headers import render_headers

_CONTENT_TYPE = (b"content-type", b"application/json")
_CONTENT_TYPE_LINE = render_headers([_CONTENT_TYPE])


class Account(Protocol):
    """What of a channel is needed here (`accounts.records.Channel` has it)."""

    @property
    def platform(self) -> str: ...
    @property
    def base_urls(self) -> Mapping[str, str]: ...
    @property
    def credential(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def proxy(self) -> str | None: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Endpoint(Struct, frozen=True):
    """Where one dialect of one channel is reached.

    `target` is the path of a request for a completion, `stream_target` that of one that streams, `count_tokens_target`
    that of one that counts (None: it cannot count); `{model}` and `{segment}` in them are yet to be filled in (`filled`).
    `events_query` goes behind a stream's path to get server-sent events. `models_target` lists models (None: nothing does).
    `head` is a block of header lines with the credential, for every request; `default_headers` are lines by lower-case
    name, for requests whose client did not send that header. `carriage`: where requests travel otherwise than the dialect
    says; then `head` has no credential. `lacks`: abilities that models lack there. `timeouts`: as in `platforms.Surface`.
    It holds a secret: its repr hides it.
    """

    dialect: str
    origin: Origin
    target: bytes
    stream_target: bytes
    count_tokens_target: bytes | None
    head: bytes
    default_headers: tuple[tuple[bytes, bytes], ...]
    quirks: frozenset[str]
    proxy: Proxy | None
    events_query: bytes = b""
    models_target: bytes | None = None
    carriage: Carriage | None = None
    lacks: frozenset[str] = frozenset()
    timeouts: Mapping[str, float] = {}

    def __repr__(self) -> str:
        return f"Endpoint(dialect={self.dialect!r}, origin={self.origin!r}, target={self.target!r})"


def typed(head: bytes, content_type: bytes) -> bytes:
    """An endpoint's header lines, for a body that is not JSON; b"" for a request that has none."""
    line = b"" if not content_type else render_headers([(b"content-type", content_type)])
    return head.replace(_CONTENT_TYPE_LINE, line, 1)


class ChannelUnusable(ValueError):
    """A channel's settings cannot be turned into requests. The message quotes no credential and no URL."""


def endpoints(account: Account, platforms: Mapping[str, Platform] = PLATFORMS) -> dict[str, Endpoint]:
    """Every dialect and media API that the channel speaks, in a fixed order. Raises `ChannelUnusable`."""
    found: dict[str, Endpoint] = {}
    for dialect in SURFACES:
        rendered = endpoint(account, dialect, platforms)
        if rendered is not None:
            found[dialect] = rendered
    return found


def endpoint(
    account: Account, dialect: str, platforms: Mapping[str, Platform] = PLATFORMS
) -> Endpoint | None:
    """The channel's endpoint for a dialect; None if it does not speak it. Raises `ChannelUnusable`.

    A channel speaks the dialects of its platform for which there is a base URL: its own or, if it gives none at all, the
    platform's for the channel's region, or the platform's. A media API that stands beside a dialect is where that is. (A
    channel with an address of its own is not at the vendor's, and its credential must not go there.) A base URL of ""
    takes a dialect away.
    """
    platform = platforms.get(account.platform)
    if platform is None:
        raise ChannelUnusable(
            f"there is no platform {account.platform[:40]!r}; there are {', '.join(platforms)}"
        )
    surface = platform.surfaces.get(dialect)
    if surface is None:
        return None
    url = account.base_urls.get(dialect)
    if url is None and surface.beside:
        url = account.base_urls.get(surface.beside) or None
    if url == "" or (url is None and any(account.base_urls.values())):
        return None
    try:
        region = region_of(surface, account.region, account.credential)
        there = url or _platforms_url(surface, region)
        return _render(account, dialect, surface, there, region, own=bool(url)) if there else None
    except ValueError as error:
        raise ChannelUnusable(f"{dialect}: {error}") from None


def _platforms_url(surface: Surface, region: str) -> str:
    """Where the platform itself is; "" where each channel has to say."""
    url = surface.regions.get(region)
    if url is not None:
        return url
    return surface.regional_url.replace("{region}", region) if surface.regional_url else surface.base_url


def _render(
    account: Account, dialect: str, surface: Surface, url: str, region: str, *, own: bool
) -> Endpoint:
    """`own`: the URL is the channel's. Raises ValueError, quoting neither the URL nor a header's value."""
    origin, base = parse_url(url)
    proxy = None if account.proxy is None else parse_proxy(account.proxy)
    extra = {name.lower(): value for name, value in (*surface.headers.items(), *account.headers.items())}
    pairs: list[tuple[bytes, bytes]] = [_CONTENT_TYPE]
    carriage: Carriage | None = None
    project = ""
    if is_cloud(surface):
        carriage, project = carriage_of(
            *(surface, dialect, account.credential, region, origin), own=own, proxy=proxy, headers=extra
        )
    else:
        pairs.append(_auth(surface, account.credential))
    pairs.extend(_pair(name, value) for name, value in extra.items())
    set_by_channel = {name.lower() for name in account.headers}
    defaults = tuple(
        (name.lower().encode("latin-1"), render_headers([_pair(name.lower(), value)]))
        for name, value in surface.default_headers.items()
        if name.lower() not in set_by_channel
    )

    def target(path: str) -> bytes:
        return (base + path.replace("{region}", region).replace("{project}", project)).encode("ascii")

    plain = target(surface.path)
    return Endpoint(
        dialect=dialect,
        origin=origin,
        target=plain,
        stream_target=target(surface.stream_path) if surface.stream_path else plain,
        count_tokens_target=target(surface.count_tokens_path) if surface.count_tokens_path else None,
        head=render_headers(pairs),
        default_headers=defaults,
        quirks=surface.quirks,
        proxy=proxy,
        events_query=b"?" + surface.events_query.encode("ascii") if surface.events_query else b"",
        models_target=target(surface.models_path) if surface.models_path else None,
        carriage=carriage,
        lacks=surface.lacks,
        timeouts=surface.timeouts,
    )


def _auth(surface: Surface, credential: str) -> tuple[bytes, bytes]:
    if surface.auth == "bearer":
        return _pair("authorization", f"Bearer {credential}")
    return _pair(surface.auth, credential)


def _pair(name: str, value: str) -> tuple[bytes, bytes]:
    """Raises ValueError for characters that no header can carry."""
    try:
        return name.encode("ascii"), value.encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("a header name, a header value or the credential is not ASCII") from None

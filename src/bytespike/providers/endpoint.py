"""From a channel and a dialect to the bytes that are the same for every request: where it goes and how it begins.

Endpoints are rendered when a snapshot of the channels is made, never per request. What a channel's settings hold was
checked when it was created; it is checked again here, because this is where it becomes bytes on a wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from msgspec import Struct

from bytespike.providers.platforms import DIALECTS, PLATFORMS, Platform, Surface
from bytespike.wire.address import Origin, Proxy, parse_proxy, parse_url
from bytespike.wire.headers import render_headers

#: Which dialect a client's is translated to when the channel does not speak it, best first: the closest relative, then
#: the one that can carry the most.
TRANSLATIONS: Mapping[str, tuple[str, ...]] = {
    "anthropic_messages": ("openai_responses", "gemini", "openai_chat"),
    "openai_chat": ("openai_responses", "anthropic_messages", "gemini"),
    "openai_responses": ("openai_chat", "anthropic_messages", "gemini"),
    "gemini": ("anthropic_messages", "openai_responses", "openai_chat"),
}

_MODEL = b"{model}"
_CONTENT_TYPE = (b"content-type", b"application/json")


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
    that of one that counts (None: it cannot count); `{model}` in them is yet to be filled in (`filled`). `head` is a block of header lines with the credential, for every request; `default_headers` are lines by
    lower-case name, for requests whose client did not send that header. It holds a secret: its repr hides it.
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

    def __repr__(self) -> str:
        return f"Endpoint(dialect={self.dialect!r}, origin={self.origin!r}, target={self.target!r})"


def filled(target: bytes, model: str) -> bytes:
    """The path with the model's name in it, where it has a place for one."""
    if _MODEL not in target:
        return target
    return target.replace(_MODEL, quote(model, safe="/").encode("ascii"))


class ChannelUnusable(ValueError):
    """A channel's settings cannot be turned into requests. The message quotes no credential and no URL."""


def endpoints(account: Account, platforms: Mapping[str, Platform] = PLATFORMS) -> dict[str, Endpoint]:
    """Every dialect that the channel speaks, in a fixed order. Raises `ChannelUnusable`."""
    found: dict[str, Endpoint] = {}
    for dialect in DIALECTS:
        rendered = endpoint(account, dialect, platforms)
        if rendered is not None:
            found[dialect] = rendered
    return found


def endpoint(
    account: Account, dialect: str, platforms: Mapping[str, Platform] = PLATFORMS
) -> Endpoint | None:
    """The channel's endpoint for a dialect; None if it does not speak it. Raises `ChannelUnusable`.

    A channel speaks the dialects of its platform for which there is a base URL: its own or, if it gives none at all, the
    platform's for the channel's region, or the platform's. (A channel with an address of its own is not at the vendor's,
    and its credential must not go there.) A base URL of "" takes a dialect away.
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
    if url is None and not any(account.base_urls.values()):
        url = surface.regions.get(account.region, surface.base_url)
    if not url:
        return None
    try:
        return _render(account, dialect, surface, url)
    except ValueError as error:
        raise ChannelUnusable(f"{dialect}: {error}") from None


def _render(account: Account, dialect: str, surface: Surface, url: str) -> Endpoint:
    """Raises ValueError, quoting neither the URL nor a header's value."""
    origin, path = parse_url(url)
    own = {name.lower(): value for name, value in account.headers.items()}
    fixed = {name.lower(): value for name, value in surface.headers.items()}
    pairs = [_CONTENT_TYPE, _auth(surface, account.credential)]
    pairs.extend(_pair(name, value) for name, value in {**fixed, **own}.items())
    defaults = tuple(
        (name.lower().encode("latin-1"), render_headers([_pair(name.lower(), value)]))
        for name, value in surface.default_headers.items()
        if name.lower() not in own
    )
    target = _target(path, surface.path)
    return Endpoint(
        dialect=dialect,
        origin=origin,
        target=target,
        stream_target=_target(path, surface.stream_path) if surface.stream_path else target,
        count_tokens_target=_target(path, surface.count_tokens_path) if surface.count_tokens_path else None,
        head=render_headers(pairs),
        default_headers=defaults,
        quirks=surface.quirks,
        proxy=None if account.proxy is None else parse_proxy(account.proxy),
    )


def _target(base: str, path: str) -> bytes:
    return (base + path).encode("ascii")


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


def choose_dialect(
    spoken: Mapping[str, Endpoint], client_dialect: str, *, translate: bool = True
) -> str | None:
    """The dialect in which a channel is asked on behalf of a client: the client's own where the channel speaks it, so
    that bytes pass through, else the best that it can be translated to. None: there is none.

    `translate` False allows no translation.
    """
    if client_dialect in spoken:
        return client_dialect
    if translate:
        for dialect in TRANSLATIONS.get(client_dialect, ()):
            if dialect in spoken:
                return dialect
    return None

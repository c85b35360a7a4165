"""Where requests go: origins and proxies, from URLs.

Errors are `ValueError`s which never quote the URL: it may hold credentials.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from msgspec import Struct

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}")
_UNCLEAN = re.compile(r"[\x00-\x20\x7f\\]")
# What may stand in a path or a query as it is; "%" too, because what is escaped already stays so.
_TARGET_SAFE = "/?:@!$&'()*+,;=-._~%[]"


class Origin(Struct, frozen=True, cache_hash=True):
    """`scheme` is "http" or "https"; `host` a lower-case ASCII name, or an IP literal without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """host, and the port unless it is the scheme's own: what the Host header says."""
        host = bracketed(self.host)
        return host if _DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"


class Proxy(Struct, frozen=True, cache_hash=True):
    """An HTTP proxy. `authorization` is the value of Proxy-Authorization; no repr shows it."""

    host: str
    port: int
    authorization: bytes | None = None

    def __repr__(self) -> str:
        return f"Proxy(host={self.host!r}, port={self.port}, authorization={'***' if self.authorization else None})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("host", self.host), ("port", self.port)]


def bracketed(host: str) -> str:
    """An IPv6 literal in brackets; anything else as it is."""
    return f"[{host}]" if ":" in host else host


def parse_url(url: str) -> tuple[Origin, str]:
    """A base URL: its origin, and its path without a slash at the end ("" for none).

    Raises ValueError for anything but http and https, for credentials, a query or a fragment.
    """
    parts = _split(url, ("http", "https"))
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("a base URL has no query and no fragment")
    return _origin(parts), quote(parts.path, safe=_TARGET_SAFE).rstrip("/")


def split_url(url: str) -> tuple[Origin, bytes]:
    """A whole URL: its origin, and the target to request (path and query; the fragment stays here).

    Raises ValueError for anything but http and https, and for credentials.
    """
    parts = _split(url, ("http", "https"))
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return _origin(parts), target.encode("ascii")


def parse_proxy(url: str) -> Proxy:
    """`http://[user:password@]host:port`. Raises ValueError; proxies behind TLS and SOCKS are not supported."""
    parts = _split(url, ("http",), credentials=True)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("a proxy URL has no path, no query and no fragment")
    authorization = None
    if parts.username is not None:
        # RFC 7617: the user's name has no colon, and both are sent as they are, here as UTF-8.
        user = unquote_to_bytes(parts.username)
        if b":" in user:
            raise ValueError("the proxy's user name must not contain a colon")
        pair = user + b":" + unquote_to_bytes(parts.password or "")
        authorization = b"Basic " + base64.b64encode(pair)
    return Proxy(_host(parts), parts.port or 80, authorization)


def _split(url: str, schemes: tuple[str, ...], *, credentials: bool = False) -> SplitResult:
    if _UNCLEAN.search(url):
        raise ValueError("a URL has no spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL, or its port is no number from 1 to 65535") from None
    if parts.scheme not in schemes:
        raise ValueError(f"the URL must begin with {' or '.join(scheme + '://' for scheme in schemes)}")
    if port == 0:
        raise ValueError("not a URL, or its port is no number from 1 to 65535")
    if not credentials and "@" in parts.netloc:
        raise ValueError("the URL must not contain credentials")
    return parts


def _origin(parts: SplitResult) -> Origin:
    return Origin(parts.scheme, _host(parts), parts.port or _DEFAULT_PORTS[parts.scheme])


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            address = None
        if address is None or address.scope_id is not None:
            raise ValueError("the URL's IPv6 address is malformed, or has a zone")
        return str(address)
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValueError("the URL's host name is malformed") from None
    if not _NAME.fullmatch(host):
        raise ValueError("the URL's host name is missing or malformed")
    return host

"""What a request's head says: whose key, from where, and which flags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import parse_qsl, unquote

import httptools

from bytespike.errors import InvalidRequest

_ON = frozenset({b"true", b"1", b"yes", b"on"})
_OFF = frozenset({b"false", b"0", b"no", b"off", b""})
#: Query strings longer than this are not searched for a key.
QUERY_BYTES_MAX = 4096
_FORWARDED_HOPS_MAX = 16
#: A name or an address, and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def target_of(url: bytes) -> tuple[str, bytes]:
    """A request target's path, decoded, and its query, raw. Raises `httptools.HttpParserInvalidURLError`."""
    query = b""
    if not url.startswith(b"/"):
        parsed = httptools.parse_url(url)
        url, query = parsed.path or b"/", parsed.query or b""
    elif b"?" in url:
        url, _, query = url.partition(b"?")
        query = query.partition(b"#")[0]
    path = url.decode("latin-1")
    return (unquote(path) if "%" in path else path), query


def secret_of(headers: Mapping[bytes, bytes], query: bytes) -> str:
    """The key that was presented, "" if none: `x-api-key`, then `Authorization: Bearer`, `x-goog-api-key`, `?key=`.

    Several may be present (SDKs send what their environment holds); the first in that order wins.
    """
    value = headers.get(b"x-api-key")
    if value:
        return value.decode("latin-1").strip()
    value = headers.get(b"authorization")
    if value and value[:7].lower() == b"bearer ":
        return value[7:].decode("latin-1").strip()
    value = headers.get(b"x-goog-api-key")
    if value:
        return value.decode("latin-1").strip()
    if query and len(query) <= QUERY_BYTES_MAX and b"key=" in query:
        for name, text in parse_qsl(query.decode("latin-1")):
            if name == "key":
                return text.strip()
    return ""


def base_url_of(headers: Mapping[bytes, bytes], configured: str) -> str:
    """Where the caller reaches the gateway: `configured`, unless that is "". Then what its own `host` says, for nobody else
    reads the answer."""
    if configured:
        return configured
    host = headers.get(b"host", b"").decode("latin-1")
    return f"http://{host}" if _HOST.fullmatch(host) else ""


class Addresses:
    """Who is calling. Behind a proxy that is listed as trusted, the address that the proxy vouches for."""

    __slots__ = ("_trusted",)

    def __init__(self, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def client_ip(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The caller's address as text. `X-Forwarded-For` is read from the right, past trusted proxies only, so a
        caller cannot claim an address by sending the header itself."""
        if not self._trusted:
            return peer
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is None or not self._trusts(peer):
            return peer
        hops = [_without_port(hop.strip()) for hop in forwarded.decode("latin-1").split(",")]
        for hop in reversed(hops[-_FORWARDED_HOPS_MAX:]):
            if _parsed(hop) is None:
                return peer
            peer = hop
            if not self._trusts(hop):
                break
        return peer

    def _trusts(self, text: str) -> bool:
        address = _parsed(text)
        if address is None:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in self._trusted)


def _without_port(hop: str) -> str:
    """Some proxies tell the port too: 192.0.2.1:4711, [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def flag(headers: Mapping[bytes, bytes], name: bytes) -> bool:
    """A header that is on or off. Raises InvalidRequest for one that says neither: whoever sends it means something."""
    value = headers.get(name)
    if value is None:
        return False
    word = value.strip().lower()
    if word in _ON or word in _OFF:
        return word in _ON
    told = name.decode("latin-1")
    raise InvalidRequest(f"the header {told} is neither true nor false", param=told)

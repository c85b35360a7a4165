"""No requests into the operator's own network on behalf of a user (SSRF).

URLs that users give (callbacks, media to fetch) may only lead to public addresses. A name is resolved once, each of
its addresses is checked, and the connection goes to a checked address and to no other: there is no second look-up
that could answer differently (DNS rebinding). Odd spellings of private addresses (`0x7f.1`, `2130706433`) are harmless,
because it is the resolved address that is checked. Every redirect is a request of its own, so it is checked again.

What is public is IANA's business: the special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates).
Forms that carry an IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo) are refused whole, even around a
public address: nobody needs them, and what they reach depends on the machine's own routes. A NAT64 prefix that a
network chose for itself inside the global range cannot be known here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_V4_REFUSED = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; one cloud keeps its metadata service there
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host: a public address that leads inside
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
#: All that is allocated as global unicast. Loopback, unspecified, mapped, NAT64, ULA, link-local, multicast: outside.
_V6_PUBLIC = IPv6Network("2000::/3")
_V6_REFUSED = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


class Blocked(ValueError):
    """The address is not public. The message does not say what the name resolved to: that would map the network."""


def check_address(ip: str | IPv4Address | IPv6Address) -> None:
    """Raises `Blocked` unless `ip` is a public unicast address, and ValueError if it is no address."""
    address = ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, IPv4Address):
        refused = any(address in network for network in _V4_REFUSED)
    else:
        refused = (
            address.scope_id is not None
            or address not in _V6_PUBLIC
            or any(address in network for network in _V6_REFUSED)
        )
    if refused:
        raise Blocked("the address is not a public one")


class Resolver(Protocol):
    """Names to addresses. `public_only`: every address given out was checked, and no other may be connected to."""

    @property
    def public_only(self) -> bool: ...

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """The host's addresses, best first, never none. Raises OSError, `Blocked`."""
        ...

    def forget(self, host: str) -> None:
        """None of the addresses given out for `host` could be connected to."""
        ...


class GuardedResolver:
    """A resolver that gives out public addresses only. Others are left out; if none remains, `Blocked`. `allowed`: networks
    of the operator's own that may be reached all the same."""

    __slots__ = ("_allowed", "_inner", "public_only")

    def __init__(
        self, inner: Resolver, *, public_only: bool = True, allowed: tuple[Network, ...] = ()
    ) -> None:
        self._inner = inner
        self._allowed = allowed
        self.public_only = public_only

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        addresses = await self._inner.resolve(host, port)
        if not self.public_only:
            return addresses
        public = tuple(
            address for address in addresses if _is_public(address) or _is_in(address, self._allowed)
        )
        if not public:
            raise Blocked("the host has no public address")
        return public

    def forget(self, host: str) -> None:
        self._inner.forget(host)


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks)


def _is_public(address: str) -> bool:
    try:
        check_address(address)
    except ValueError:
        return False
    return True

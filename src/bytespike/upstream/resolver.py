"""Names to addresses through the system's resolver, with a small cache.

The loop's `getaddrinfo` runs in a thread and costs a millisecond or more; a pool that opens many connections at once
asks for the same name many times. What failed is not cached.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from bytespike.upstream.guard import Resolver
from bytespike.upstream.limits import ADDRESSES_MAX, DNS_HOSTS_MAX, DNS_SECONDS


class SystemResolver:
    """`resolve` gives the addresses in the system's order (RFC 6724), at most `ADDRESSES_MAX`."""

    __slots__ = ("_cache", "_seconds")

    public_only = False

    def __init__(self, seconds: float = DNS_SECONDS) -> None:
        self._seconds = seconds
        self._cache: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Raises OSError (`socket.gaierror`)."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        known = self._cache.get(host)
        if known is not None and loop.time() < known[0]:
            return known[1]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]
        if not addresses:
            raise OSError("the name has no address")
        self._keep(host, (loop.time() + self._seconds, addresses))
        return addresses

    def forget(self, host: str) -> None:
        self._cache.pop(host, None)

    def _keep(self, host: str, entry: tuple[float, tuple[str, ...]]) -> None:
        self._cache.pop(host, None)
        if len(self._cache) >= DNS_HOSTS_MAX:
            del self._cache[next(iter(self._cache))]
        self._cache[host] = entry


class FewLookups:
    """A resolver that asks `inner` for so many names at once, for names that users give.

    A lookup occupies one of the loop's few threads until the name server has answered, and nothing can call it back. So a
    caller that gives up does not give its place to the next one: it is free when the lookup is over. Otherwise a few
    names with slow servers would keep everybody else's from being looked up.
    """

    __slots__ = ("_inner", "_running", "_slots")

    public_only = False

    def __init__(self, inner: Resolver, lookups_max: int) -> None:
        self._inner = inner
        self._slots = asyncio.Semaphore(lookups_max)
        self._running: set[asyncio.Task[tuple[str, ...]]] = set()

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Raises what `inner` raises."""
        await self._slots.acquire()
        lookup = asyncio.get_running_loop().create_task(self._looked_up(host, port))
        self._running.add(lookup)
        lookup.add_done_callback(self._over)
        return await asyncio.shield(lookup)

    def forget(self, host: str) -> None:
        self._inner.forget(host)

    async def _looked_up(self, host: str, port: int) -> tuple[str, ...]:
        return await self._inner.resolve(host, port)

    def _over(self, lookup: asyncio.Task[tuple[str, ...]]) -> None:
        self._running.discard(lookup)
        self._slots.release()
        if not lookup.cancelled():
            # Whoever waited has had the error; who gave up does not miss it.
            lookup.exception()

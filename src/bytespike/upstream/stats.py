"""What the connections to upstreams are doing, in figures."""

from __future__ import annotations

from msgspec import Struct

from bytespike.wire.address import Origin


class OriginStats(Struct, frozen=True):
    """`open` = `idle` + `in_use`; `connecting` are not open yet; `waiting` requests have neither."""

    origin: Origin
    proxied: bool
    open: int
    idle: int
    in_use: int
    connecting: int
    waiting: int


class PoolStats(Struct, frozen=True):
    """Now: the connections per origin and their sums, and `closing` sockets. Since the start: connections `opened`,
    requests on a connection that had been used before (`reused`), and `stale_retries`."""

    origins: tuple[OriginStats, ...]
    open: int
    idle: int
    in_use: int
    connecting: int
    waiting: int
    closing: int
    opened: int
    reused: int
    stale_retries: int

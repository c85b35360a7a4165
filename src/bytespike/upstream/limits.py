"""The transport's bounds, and the values that a caller sets."""

from __future__ import annotations

from msgspec import Struct

#: How often the sweep looks at connections: the precision of deadlines, in seconds.
SWEEP_SECONDS = 0.1
#: A reused connection that ends within this many seconds of the sending, unanswered, was closed before the request.
STALE_SECONDS = 1.0

#: An answer's status line and headers, interim (1xx) answers included.
HEAD_BYTES_MAX = 64 * 1024
#: Header lines of one answer.
HEADERS_MAX = 256
#: Bytes in a row, after the head, that carry no body: trailers and chunk extensions.
FRAMING_BYTES_MAX = 64 * 1024
#: Unread bytes of an answer above which the socket is not read. One read of the loop (256 KiB) may come on top.
UNREAD_BYTES_MAX = 256 * 1024
#: What is decompressed in one go.
DECODED_BYTES_MAX = 256 * 1024

#: A request body up to this size goes out in one write with its head; a larger one in slices of this size.
WRITE_BYTES_MAX = 64 * 1024

#: Addresses of one host that are tried.
ADDRESSES_MAX = 8
#: How long a DNS answer is used, in seconds.
DNS_SECONDS = 30.0
#: Hosts in the DNS cache.
DNS_HOSTS_MAX = 1024
#: A proxy's answer to CONNECT.
TUNNEL_HEAD_BYTES_MAX = 16 * 1024

#: How long `Client.close` waits for aborted sockets to be gone, in seconds.
CLOSE_SECONDS = 2.0


class Timeouts(Struct, frozen=True):
    """In seconds.

    `connect`: a free slot, DNS, TCP, proxy and TLS together. `first_byte`: from the request's last byte until the
    answer's head is complete; interim answers do not count. `idle`: the longest silence while a body is read or
    written. `total`: everything, from the call to the last byte read from the socket.
    """

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0
    total: float = 900.0


class PoolLimits(Struct, frozen=True):
    """`per_origin`: connections to one origin, those being made included. `idle_per_origin`, `idle`: unused ones kept,
    per origin and in all. `idle_seconds`: how long. `waiters_per_origin`: requests that may wait for a connection.
    """

    per_origin: int = 2048
    idle_per_origin: int = 128
    idle: int = 1024
    idle_seconds: float = 60.0
    waiters_per_origin: int = 2048


DEFAULT_LIMITS = PoolLimits()

"""The one error of the transport, and what clients are told of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from bytespike.errors import GatewayError, NoAvailableChannel, UpstreamError, UpstreamTimeout

Kind: TypeAlias = Literal[
    "connect",
    "tls",
    "reset",
    "timeout_connect",
    "timeout_first_byte",
    "timeout_idle",
    "timeout_total",
    "protocol",
    "too_large",
    "blocked",
]


class TransportError(Exception):
    """A request that got no whole answer.

    `kind`:
    - "connect"             no address, refused, unreachable, proxy said no, pool queue full, client closed
    - "tls"                 the handshake failed: untrusted, wrong host, old protocol
    - "reset"               the connection ended before the answer was complete, or was aborted by the caller
    - "timeout_connect"     no connection within `Timeouts.connect`, the wait for a free slot included
    - "timeout_first_byte"  no answer's head within `Timeouts.first_byte` of the request's last byte
    - "timeout_idle"        nothing moved for `Timeouts.idle`
    - "timeout_total"       not finished within `Timeouts.total`
    - "protocol"            what came is not HTTP/1.1 as we asked for it
    - "too_large"           a head, or a body, over its limit
    - "blocked"             the address is not public, and the client is for public addresses only

    `sent`: a byte of the request may have been processed. False means that repeating it elsewhere is free of risk.
    The message names host and port at most; never a header, a query, a body or a credential.
    """

    def __init__(self, kind: Kind, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.sent = sent

    @property
    def cause(self) -> str:
        """For logs."""
        return f"{self.kind}: {self.message}"


def told_of(error: TransportError) -> GatewayError:
    """A broken exchange as the client sees it: its kind, and nothing of hosts."""
    if error.kind.startswith("timeout"):
        return UpstreamTimeout("the upstream did not answer in time")
    if error.kind in ("connect", "tls", "blocked"):
        return NoAvailableChannel("the upstream cannot be reached")
    if error.kind == "too_large":
        return UpstreamError("the upstream's answer is too large")
    return UpstreamError("the connection to the upstream broke")

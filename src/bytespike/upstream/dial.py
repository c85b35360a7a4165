"""Making a connection: addresses, TCP, the proxy's tunnel, TLS.

`dial` gives a connection that is ready to send, or raises `TransportError` with `sent=False`. It runs in the caller's
task and under the caller's deadline. Whatever ends it, cancellation included, the socket that it opened is closed.

TLS is always started on a TCP connection that we hold (`start_tls`), directly or in a tunnel: so there is one path, and
one transport to close if the handshake is cut.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from bytespike.upstream.connection import Connection
from bytespike.upstream.errors import TransportError
from bytespike.upstream.guard import Blocked, Resolver
from bytespike.upstream.head import tunnel_request
from bytespike.upstream.limits import TUNNEL_HEAD_BYTES_MAX
from bytespike.upstream.resolver import SystemResolver
from bytespike.wire.address import Origin, Proxy, bracketed

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")


class Dialer:
    """`resolver` is for origins; proxies are the operator's, so their addresses are not restricted."""

    __slots__ = ("_proxy_resolver", "_resolver", "_tls")

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._proxy_resolver = SystemResolver()
        self._tls = tls

    async def dial(
        self, connection: Connection, origin: Origin, proxy: Proxy | None, deadline: float
    ) -> None:
        """Connect `connection`. `deadline` (loop time) is only used to divide time among addresses."""
        if proxy is None:
            transport = await _reach(self._resolver, origin.host, origin.port, lambda: connection, deadline)
        else:
            transport = await self._through(connection, origin, proxy, deadline)
        try:
            _tune(transport)
            if origin.scheme == "https":
                await self._secure(transport, connection, origin)
        except BaseException:
            transport.abort()
            raise

    async def _through(
        self, connection: Connection, origin: Origin, proxy: Proxy, deadline: float
    ) -> asyncio.Transport:
        """A TCP connection to the proxy; for https a tunnel through it."""
        host = origin.host
        if self._resolver.public_only:
            # The proxy must not look the name up again: it is given the address that was checked.
            if origin.scheme == "http":
                raise TransportError(
                    "blocked", "plain HTTP to a user's URL cannot go through a proxy", sent=False
                )
            host = (await _resolve(self._resolver, host, origin.port))[0]
        if origin.scheme == "http":
            return await _reach(self._proxy_resolver, proxy.host, proxy.port, lambda: connection, deadline)
        answered = asyncio.get_running_loop().create_future()
        tunnel = _Tunnel(answered)
        transport = await _reach(self._proxy_resolver, proxy.host, proxy.port, lambda: tunnel, deadline)
        try:
            transport.write(tunnel_request(f"{bracketed(host)}:{origin.port}", proxy))
            await answered
            tunnel.check()
            if transport.is_closing():
                raise TransportError("connect", "the proxy closed the tunnel", sent=False)
            transport.set_protocol(connection)
            connection.connection_made(transport)
        except BaseException:
            transport.abort()
            raise
        return transport

    async def _secure(self, transport: asyncio.Transport, connection: Connection, origin: Origin) -> None:
        loop = asyncio.get_running_loop()
        name = origin.authority
        if transport.is_closing():
            raise TransportError("tls", f"{name}: the connection ended before the handshake", sent=False)
        try:
            secured = await loop.start_tls(transport, connection, self._tls, server_hostname=origin.host)
        except ssl.SSLCertVerificationError as error:
            raise TransportError("tls", f"{name}: {error.verify_message}", sent=False) from None
        except ssl.SSLError as error:
            raise TransportError(
                "tls", f"{name}: {error.reason or 'the handshake failed'}", sent=False
            ) from None
        except OSError:
            raise TransportError(
                "tls", f"{name}: the connection ended in the handshake", sent=False
            ) from None
        if secured is None:
            raise TransportError("tls", f"{name}: the connection ended in the handshake", sent=False)
        connection.connection_made(secured)


async def _resolve(resolver: Resolver, host: str, port: int) -> tuple[str, ...]:
    try:
        return await resolver.resolve(host, port)
    except Blocked as error:
        raise TransportError("blocked", f"{host}: {error}", sent=False) from None
    except (OSError, UnicodeError):
        raise TransportError("connect", f"cannot resolve {host}", sent=False) from None


async def _reach(
    resolver: Resolver, host: str, port: int, protocol: Callable[[], asyncio.Protocol], deadline: float
) -> asyncio.Transport:
    """TCP to the first address that answers. Each address has its share of the time that is left, so that one which
    swallows packets does not use up the others' turn."""
    loop = asyncio.get_running_loop()
    addresses = await _resolve(resolver, host, port)
    reason = ""
    for index, address in enumerate(addresses):
        others = len(addresses) - index - 1
        share = (deadline - loop.time()) / (others + 1) if others else None
        try:
            async with asyncio.timeout(share):
                transport, _ = await loop.create_connection(protocol, address, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "no answer"
            continue
        return transport
    resolver.forget(host)
    raise TransportError("connect", f"cannot connect to {bracketed(host)}:{port}: {reason}", sent=False)


def _tune(transport: asyncio.Transport) -> None:
    """No waiting to fill packets; dead peers are noticed under long silences."""
    sock: socket.socket = transport.get_extra_info("socket")
    # A connection that has ended already may refuse; whoever uses it will notice.
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class _Tunnel(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT. `answered` is woken when there is one, or when there will be none."""

    __slots__ = ("_answered", "_head", "_lost")

    def __init__(self, answered: asyncio.Future[None]) -> None:
        self._answered = answered
        self._head = b""
        self._lost = False

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > TUNNEL_HEAD_BYTES_MAX:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._wake()

    def check(self) -> None:
        """Raises TransportError unless the proxy opened the tunnel and said nothing after it."""
        head, end, rest = self._head.partition(b"\r\n\r\n")
        status = _STATUS.match(head + end)
        if not end or status is None:
            what = "closed the connection" if self._lost else "did not answer in HTTP/1.1"
            raise TransportError("connect", f"the proxy {what}", sent=False)
        code = int(status.group(1))
        if code == 407:
            raise TransportError("connect", "the proxy refused its credentials (407)", sent=False)
        if not 200 <= code < 300:
            raise TransportError("connect", f"the proxy answered {code} to CONNECT", sent=False)
        if rest:
            raise TransportError("protocol", "bytes follow the proxy's answer to CONNECT", sent=False)

    def _wake(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)

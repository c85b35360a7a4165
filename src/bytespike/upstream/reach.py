"""How far one gets towards an upstream: its name, a connection, TLS. For people who look for what is wrong.

Requests do all of this at once and say one thing; here each step is taken by itself, on a connection that is closed again.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.upstream.resolver import SystemResolver
from bytespike.wire.address import Origin, Proxy, bracketed

Outcome: TypeAlias = Literal["ok", "failed", "skipped"]


class Step(Struct, frozen=True):
    """`name`: what was tried; `dialect`: in which, "" for what comes before any. `found`: a sentence without secrets.
    `ms`: how long it took, in milliseconds."""

    name: str
    outcome: Outcome
    found: str
    ms: int = 0
    dialect: str = ""


async def reach(
    origin: Origin, proxy: Proxy | None, tls: ssl.SSLContext, seconds: float
) -> AsyncIterator[Step]:
    """The steps, as they are taken; the first that fails is the last. `seconds`: for each.

    Through a proxy only the proxy is reached: whatever lies behind it, the requests find out.
    """
    host, port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
    whose = "" if proxy is None else "the proxy "
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(seconds):
            addresses = await SystemResolver().resolve(host, port)
    except (OSError, UnicodeError):
        # A timeout is an OSError too.
        yield Step("dns", "failed", f"{whose}{host} has no address here", _ms(began))
        return
    yield Step("dns", "ok", f"{whose}{host} is {', '.join(addresses)}", _ms(began))
    began = loop.time()
    transport, why = await _connected(addresses, port, seconds)
    if transport is None:
        yield Step("tcp", "failed", f"{whose}{bracketed(host)}:{port}: {why}", _ms(began))
        return
    try:
        yield Step("tcp", "ok", f"{whose}connected to {why}", _ms(began))
        if origin.scheme == "https" and proxy is None:
            yield await _secured(transport, origin, tls, seconds)
    finally:
        transport.abort()


async def _connected(
    addresses: tuple[str, ...], port: int, seconds: float
) -> tuple[asyncio.Transport | None, str]:
    """A connection and its address, or None and why not."""
    why = ""
    loop = asyncio.get_running_loop()
    for address in addresses:
        try:
            async with asyncio.timeout(seconds):
                transport, _ = await loop.create_connection(asyncio.Protocol, address, port)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else "no answer in time"
            continue
        return transport, f"{bracketed(address)}:{port}"
    return None, why


async def _secured(transport: asyncio.Transport, origin: Origin, tls: ssl.SSLContext, seconds: float) -> Step:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(seconds):
            secured = await loop.start_tls(transport, asyncio.Protocol(), tls, server_hostname=origin.host)
    except ssl.SSLCertVerificationError as error:
        return Step("tls", "failed", f"its certificate is not believed: {error.verify_message}", _ms(began))
    except ssl.SSLError as error:
        return Step("tls", "failed", f"the handshake failed: {error.reason or 'no reason'}", _ms(began))
    except OSError:
        return Step("tls", "failed", "the connection ended in the handshake, or nothing was said", _ms(began))
    if secured is None:
        return Step("tls", "failed", "the connection ended in the handshake", _ms(began))
    try:
        version: str = secured.get_extra_info("ssl_object").version()
    finally:
        secured.abort()
    return Step("tls", "ok", f"{version}, the certificate is believed", _ms(began))


def _ms(began: float) -> int:
    return round((asyncio.get_running_loop().time() - began) * 1000)

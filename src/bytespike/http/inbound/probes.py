"""The probes that real clients make before or beside their calls (Claude Code sends HEAD /api/hello)."""

from __future__ import annotations

from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.request import Inbound
from bytespike.wire.json import encode


async def hello(inbound: Inbound, exchange: Exchange) -> None:
    """GET and HEAD / and /api/hello."""
    exchange.plain(200, encode({"name": "bytespike", "message": "hello"}), b"application/json")


def websocket_wanted(inbound: Inbound) -> bool:
    """The request asks for a WebSocket."""
    return inbound.headers.get(b"upgrade", b"").lower() == b"websocket"

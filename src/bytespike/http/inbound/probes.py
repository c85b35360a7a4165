"""The probes that real clients make before or beside their calls (Claude Code sends HEAD /api/hello)."""

from __future__ import annotations

from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.request import Inbound
from bytespike.wire.json import encode


async def hello(inbound: Inbound, exchange: Exchange) -> None:
    """GET and HEAD / and /api/hello."""
    exchange.plain(200, encode({"name": "bytespike", "message": "hello"}), b"application/json")


async def websocket_refused(inbound: Inbound, exchange: Exchange) -> None:
    """GET /v1/responses asks for a WebSocket; 426 makes Codex fall back to plain HTTP at once."""
    exchange.plain(
        426,
        encode(
            {
                "error": {
                    "type": "invalid_request_error",
                    "code": "not_found",
                    "message": "WebSocket is not served here; use HTTP",
                    "param": None,
                }
            }
        ),
        b"application/json",
    )

"""/healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.observe.metrics import Metrics
from bytespike.wire.json import encode


async def healthz(inbound: Inbound, exchange: Exchange) -> None:
    """The process answers. Says nothing about what it needs: that is /readyz."""
    exchange.plain(200, b'{"status":"ok"}', b"application/json")


def readyz(check: Callable[[], Awaitable[dict[str, str]]]) -> Handler:
    """`check` gives what is wrong, by part; empty is ready."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        wrong = await check()
        body = encode({"status": "unavailable" if wrong else "ready", "problems": wrong})
        exchange.plain(503 if wrong else 200, body, b"application/json")

    return handler


def metrics_page(metrics: Metrics) -> Handler:
    """Prometheus text."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        exchange.plain(200, metrics.render(), metrics.content_type)

    return handler

"""/healthz, /readyz, /metrics."""

from __future__ import annotations

from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.http.readiness import Readiness
from bytespike.observe.metrics import Metrics
from bytespike.wire.json import encode


async def healthz(inbound: Inbound, exchange: Exchange) -> None:
    """The process answers. Says nothing about what it needs: that is /readyz."""
    exchange.plain(200, b'{"status":"ok"}', b"application/json")


def readyz(readiness: Readiness) -> Handler:
    """200 where requests may come, else 503; what is wrong, by part."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        report = await readiness.look()
        status = "unavailable" if report.problems else "degraded" if report.degraded else "ready"
        body = encode({"status": status, "problems": {**report.problems}, "degraded": {**report.degraded}})
        exchange.plain(503 if report.problems else 200, body, b"application/json")

    return handler


def metrics_page(metrics: Metrics) -> Handler:
    """Prometheus text."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        exchange.plain(200, metrics.render(), metrics.content_type)

    return handler

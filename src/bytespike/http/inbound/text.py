"""The text endpoints: a dialect, a body, and the pipeline."""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import flag, secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.pipeline.call import Addressed, Arrival
from bytespike.pipeline.life import serve
from bytespike.pipeline.parts import Parts


def serve_text(parts: Parts, dialect: Dialect) -> Handler:
    """POST /v1/messages, /v1/chat/completions."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        await serve(parts, arrival_of(parts, dialect, inbound, exchange), exchange)

    return handler


def arrival_of(
    parts: Parts, dialect: Dialect, inbound: Inbound, exchange: Exchange, where: Addressed | None = None
) -> Arrival:
    """The call as the pipeline takes it. `where`: what the path says of it."""
    headers = inbound.headers
    return Arrival(
        dialect=dialect,
        request_id=exchange.request_id,
        secret=secret_of(headers, inbound.query),
        client_ip=inbound.client_ip,
        headers=headers,
        dry_run=flag(headers, b"x-bytespike-dry-run"),
        started_ns=parts.clock.monotonic_ns(),
        addressed=where,
    )

"""The text endpoints: a dialect, a body, and the pipeline."""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.http.inbound.body import read_body
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import flag, secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.pipeline.call import Call
from bytespike.pipeline.life import serve
from bytespike.pipeline.parts import Parts


def serve_text(parts: Parts, dialect: Dialect) -> Handler:
    """POST /v1/messages, /v1/chat/completions."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        await serve(parts, await call_of(parts, dialect, inbound, exchange), exchange)

    return handler


async def call_of(parts: Parts, dialect: Dialect, inbound: Inbound, exchange: Exchange) -> Call:
    """The call as the pipeline takes it, its body read. Raises GatewayError, ClientGone."""
    started_ns = parts.clock.monotonic_ns()
    headers = inbound.headers
    return Call(
        dialect=dialect,
        request_id=exchange.request_id,
        secret=secret_of(headers, inbound.query),
        client_ip=inbound.client_ip,
        headers=headers,
        body=await read_body(inbound, parts.limits.body_bytes_max, parts.limits.body_seconds),
        dry_run=flag(headers, b"x-bytespike-dry-run"),
        started_ns=started_ns,
    )

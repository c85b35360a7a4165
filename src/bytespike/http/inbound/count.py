"""POST /v1/messages/count_tokens."""

from __future__ import annotations

from bytespike.core.dialect import Dialect
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.http.inbound.text import arrival_of
from bytespike.pipeline.counting import count
from bytespike.pipeline.parts import Parts


def serve_count(parts: Parts, dialect: Dialect) -> Handler:
    """`dialect`: the one whose request body is counted."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        await count(parts, arrival_of(parts, dialect, inbound, exchange), exchange)

    return handler

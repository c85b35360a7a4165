"""GET /api/pricing: public, and the same for everybody."""

from __future__ import annotations

from collections.abc import Callable

from bytespike.core.json_types import JSONObject
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.request import Inbound
from bytespike.wire.json import encode


def pricing(prices: Callable[[], JSONObject]) -> Handler:
    """`prices` gives the whole list as it is now."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        exchange.respond(encode(prices()), ())

    return handler

"""What is kept of /v1/responses: GET, DELETE, its input, and cancelling (which needs a response in the background).

POST /v1/responses itself is a text endpoint like the others; its conversations are `pipeline.threads`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from bytespike.conversations.kept import Kept, NoSuchResponse
from bytespike.core.json_types import JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.protocols.openai_responses import stored
from bytespike.wire.json import decode, encode

_RESPONSES = "/responses/"
_ITEMS = "/input_items"
_CANCEL = "/cancel"


def get_response(parts: Parts) -> Handler:
    """GET /v1/responses/{id} and /v1/responses/{id}/input_items."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        rest = _rest(inbound)
        query = {name: values[-1] for name, values in parse_qs(inbound.query.decode("latin-1")).items()}
        if rest.endswith(_ITEMS):
            kept = await _kept(parts, inbound, exchange, rest.removesuffix(_ITEMS))
            exchange.respond(encode(_page(kept, query)), ())
            return
        kept = await _kept(parts, inbound, exchange, rest)
        if query.get("stream") == "true":
            raise InvalidRequest("only a response in the background can be streamed again", param="stream")
        exchange.respond(kept.body, ())

    return handler


def delete_response(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        kept = await _kept(parts, inbound, exchange, _rest(inbound))
        await parts.conversations.delete(kept.key_id, kept.id)
        exchange.respond(encode(stored.deleted(kept.id)), ())

    return handler


def cancel_response(parts: Parts) -> Handler:
    """POST /v1/responses/{id}/cancel."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        rest = _rest(inbound)
        if not rest.endswith(_CANCEL):
            raise NoSuchResponse(rest)
        await _kept(parts, inbound, exchange, rest.removesuffix(_CANCEL))
        raise InvalidRequest("only a response in the background can be cancelled; this one is complete")

    return handler


def _rest(inbound: Inbound) -> str:
    return inbound.path.partition(_RESPONSES)[2].rstrip("/")


async def _kept(parts: Parts, inbound: Inbound, exchange: Exchange, id: str) -> Kept:
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return await parts.conversations.get(key.id, id)


def _page(kept: Kept, query: Mapping[str, str]) -> JSONObject:
    limit = query.get("limit", str(stored.PAGE_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6):
        raise InvalidRequest("'limit' must be a number.", param="limit")
    value = decode(kept.input)
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return stored.list_page(items, query.get("after"), int(limit), query.get("order", "desc"))

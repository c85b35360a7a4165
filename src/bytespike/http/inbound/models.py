"""GET /v1/models, /v1beta/models and /{id} below them: what this key can reach, in the shape of the caller's dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

from msgspec import Struct

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.catalog import listing
from bytespike.catalog.models import Model
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest, ModelNotFound
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.protocols.gemini.models import model_entry, model_list
from bytespike.routing.support import Support, model_support
from bytespike.wire.json import encode

ANTHROPIC_PAGE = 20
GEMINI_PAGE = 50
PAGE_MAX = 1000


class Reachable(Struct, frozen=True):
    """A model, and how it can be asked."""

    model: Model
    protocols: dict[str, Support]


class Shape(Struct, frozen=True):
    """A dialect's list: its parameters for a page, its page, its entries."""

    size: str
    default: int
    after: tuple[str, ...]
    before: str
    entry: Callable[[Reachable], JSONObject]
    page: Callable[[Sequence[JSONObject], Sequence[str], bool], JSONObject]


def caller_dialect(inbound: Inbound) -> str:
    """Whose list the caller expects: it says so by its version header, its path, or the header of its key."""
    headers = inbound.headers
    if b"anthropic-version" in headers:
        return "anthropic_messages"
    if "/v1beta" in inbound.path or (b"x-goog-api-key" in headers and b"authorization" not in headers):
        return "gemini"
    return "openai_chat"


def list_models(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        found = await _reachable(parts, inbound, exchange)
        shape = SHAPES[caller_dialect(inbound)]
        query = parse_qs(inbound.query.decode("latin-1"))
        family = query.get("family", [None])[-1]
        chosen = listing.select((each.model for each in found), query.get("capability", ()), family)
        page = listing.page(
            chosen,
            _limit(query, shape),
            _first(query, shape.after),
            _first(query, (shape.before,)),
        )
        by_slug = {each.model.slug: each for each in found}
        entries = [shape.entry(by_slug[model.slug]) for model in page.models]
        slugs = [model.slug for model in page.models]
        exchange.respond(encode(shape.page(entries, slugs, page.has_more)), ())

    return handler


def get_model(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        found = await _reachable(parts, inbound, exchange)
        name = inbound.path.partition("/models/")[2].rstrip("/").removeprefix("models/")
        slug = parts.catalog.current.resolve(name).model.slug
        for each in found:
            if each.model.slug == slug:
                exchange.respond(encode(SHAPES[caller_dialect(inbound)].entry(each)), ())
                return
        raise ModelNotFound(
            f"this key does not reach {slug}; GET /v1/models lists what it reaches", param="model"
        )

    return handler


async def _reachable(parts: Parts, inbound: Inbound, exchange: Exchange) -> list[Reachable]:
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return reachable(parts, key)


def reachable(parts: Parts, key: KeyRecord) -> list[Reachable]:
    """The models that some enabled channel of the key's group serves, and that the key allows; newest first."""
    served = parts.directory.routes.by_group_model.get(key.group_id, {})
    models = [
        Reachable(model, _protocols(parts, model, served[slug]))
        for slug, model in parts.catalog.current.models.items()
        if served.get(slug) and (key.allowed_models is None or slug in key.allowed_models)
    ]
    return sorted(models, key=lambda each: (-each.model.created, each.model.slug))


def _protocols(parts: Parts, model: Model, channels: Sequence[Channel]) -> dict[str, Support]:
    strict = parts.limits.strict_protocol_matrix
    return model_support(channels, model, parts.dialects, strict=strict)


def _limit(query: dict[str, list[str]], shape: Shape) -> int:
    text = _first(query, (shape.size,))
    if text is None:
        return shape.default
    if not (text.isascii() and text.isdigit() and len(text) < 8) or not 1 <= int(text) <= PAGE_MAX:
        raise InvalidRequest(f"{shape.size}: a number from 1 to {PAGE_MAX}", param=shape.size)
    return int(text)


def _first(query: dict[str, list[str]], names: Sequence[str]) -> str | None:
    for name in names:
        if name in query:
            return query[name][-1]
    return None


def anthropic_model(each: Reachable) -> JSONObject:
    """As the Anthropic SDK's ModelInfo."""
    model = each.model
    return {
        "type": "model",
        "id": model.slug,
        "display_name": model.display_name,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context_window or None,
        "max_tokens": model.max_output_tokens or None,
    }


def openai_model(each: Reachable) -> JSONObject:
    """As the OpenAI SDK's Model, with the catalog's own fields."""
    model = each.model
    capabilities: list[JSON] = [*sorted(model.capabilities)]
    inputs: list[JSON] = [*model.input_modalities]
    outputs: list[JSON] = [*model.output_modalities]
    protocols: JSONObject = {**each.protocols}
    return {
        "id": model.slug,
        "object": "model",
        "created": model.created,
        "owned_by": model.family,
        "display_name": model.display_name,
        "family": model.family,
        "capabilities": capabilities,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_modalities": inputs,
        "output_modalities": outputs,
        "protocols": protocols,
        "pricing_url": "/api/pricing",
    }


def gemini_model(each: Reachable) -> JSONObject:
    """As the Gemini API's Model."""
    model = each.model
    return model_entry(
        model.slug,
        display_name=model.display_name,
        input_token_limit=model.context_window,
        output_token_limit=model.max_output_tokens,
        thinking="thinking" in model.capabilities,
    )


def _anthropic_page(entries: Sequence[JSONObject], slugs: Sequence[str], more: bool) -> JSONObject:
    data: list[JSON] = [*entries]
    return {
        "data": data,
        "has_more": more,
        "first_id": slugs[0] if slugs else None,
        "last_id": slugs[-1] if slugs else None,
    }


def _openai_page(entries: Sequence[JSONObject], slugs: Sequence[str], more: bool) -> JSONObject:
    data: list[JSON] = [*entries]
    return {"object": "list", "data": data, "has_more": more}


def _gemini_page(entries: Sequence[JSONObject], slugs: Sequence[str], more: bool) -> JSONObject:
    return model_list(entries, slugs[-1] if more else "")


SHAPES = {
    "anthropic_messages": Shape(
        "limit", ANTHROPIC_PAGE, ("after_id",), "before_id", anthropic_model, _anthropic_page
    ),
    "openai_chat": Shape("limit", PAGE_MAX, ("after_id", "after"), "before_id", openai_model, _openai_page),
    "gemini": Shape("pageSize", GEMINI_PAGE, ("pageToken",), "before_id", gemini_model, _gemini_page),
}

"""GET /v1/models and /v1/models/{id}: just what this key can reach, in the dialect of its caller.

With an `anthropic-version` header the Anthropic list (the SDK's `ModelInfo` and its cursor paging), otherwise
OpenAI's list with the catalog's own fields added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

from bytespike.accounts.records import KeyRecord
from bytespike.catalog.models import Model
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest, ModelNotFound
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.wire.json import encode

ANTHROPIC_PAGE = 20
PAGE_MAX = 1000


def list_models(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        models = await _reachable(parts, inbound, exchange)
        query = parse_qs(inbound.query.decode("latin-1"))
        wanted = frozenset(query.get("capability", ()))
        family = query.get("family", [""])[-1].lower()
        chosen = [
            model
            for model in models
            if wanted <= model.capabilities and (not family or model.family.lower() == family)
        ]
        anthropic = b"anthropic-version" in inbound.headers
        page, more = _page(chosen, query, ANTHROPIC_PAGE if anthropic else PAGE_MAX)
        body: JSONObject
        if anthropic:
            body = {
                "data": [anthropic_model(model) for model in page],
                "has_more": more,
                "first_id": page[0].slug if page else None,
                "last_id": page[-1].slug if page else None,
            }
        else:
            data: list[JSON] = [openai_model(model) for model in page]
            body = {"object": "list", "data": data, "has_more": more}
        exchange.respond(encode(body), ())

    return handler


def get_model(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        models = await _reachable(parts, inbound, exchange)
        name = inbound.path.rsplit("/", 1)[-1]
        slug = parts.catalog.current.resolve(name).model.slug
        for model in models:
            if model.slug == slug:
                anthropic = b"anthropic-version" in inbound.headers
                body = anthropic_model(model) if anthropic else openai_model(model)
                exchange.respond(encode(body), ())
                return
        raise ModelNotFound(
            f"this key does not reach {slug}; GET /v1/models lists what it reaches", param="model"
        )

    return handler


async def _reachable(parts: Parts, inbound: Inbound, exchange: Exchange) -> list[Model]:
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return reachable(parts, key)


def reachable(parts: Parts, key: KeyRecord) -> list[Model]:
    """The models that some enabled channel of the key's group serves, and that the key allows; newest first."""
    served = parts.directory.routes.by_group_model.get(key.group_id, {})
    models = [
        model
        for slug, model in parts.catalog.current.models.items()
        if served.get(slug) and (key.allowed_models is None or slug in key.allowed_models)
    ]
    return sorted(models, key=lambda model: (-model.created, model.slug))


def _page(models: Sequence[Model], query: dict[str, list[str]], default: int) -> tuple[Sequence[Model], bool]:
    """`limit`, `after_id` (OpenAI: `after`) and `before_id`, as Anthropic's list has them."""
    text = query.get("limit", [str(default)])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 8) or not 1 <= int(text) <= PAGE_MAX:
        raise InvalidRequest(f"limit: a number from 1 to {PAGE_MAX}", param="limit")
    limit = int(text)
    after = (query.get("after_id") or query.get("after") or [""])[-1]
    before = query.get("before_id", [""])[-1]
    slugs = [model.slug for model in models]
    if before:
        end = slugs.index(before) if before in slugs else 0
        start = max(0, end - limit)
        return models[start:end], start > 0
    start = slugs.index(after) + 1 if after in slugs else 0
    return models[start : start + limit], start + limit < len(models)


def anthropic_model(model: Model) -> JSONObject:
    """As the Anthropic SDK's ModelInfo."""
    return {
        "type": "model",
        "id": model.slug,
        "display_name": model.display_name,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context_window or None,
        "max_tokens": model.max_output_tokens or None,
    }


def openai_model(model: Model) -> JSONObject:
    """As the OpenAI SDK's Model, with the catalog's own fields."""

    def texts(values: Iterable[str]) -> list[JSON]:
        return list(values)

    return {
        "id": model.slug,
        "object": "model",
        "created": model.created,
        "owned_by": model.family,
        "display_name": model.display_name,
        "family": model.family,
        "capabilities": texts(sorted(model.capabilities)),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_modalities": texts(model.input_modalities),
        "output_modalities": texts(model.output_modalities),
        "protocols": texts(model.protocols),
        "pricing_url": "/api/pricing",
    }

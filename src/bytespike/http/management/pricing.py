"""GET /api/pricing: what models cost, for everybody to see. A plain function of the snapshots."""

from __future__ import annotations

from bytespike.accounts.records import Routes
from bytespike.catalog.models import Model
from bytespike.catalog.resolve import Catalog
from bytespike.core.json_types import JSON, JSONObject
from bytespike.http.management.views import ImagePriceView, SecondPriceView, TierView
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.pricing.defaults import default_price
from bytespike.pricing.price import Price


def price_list(catalog: Catalog, routes: Routes) -> JSONObject:
    """Every model of the catalog, in USD as text: per million tokens (`long_prompts`: from a number of prompt tokens on),
    per 1,000 web searches, per image or turn, per second of video and per submitted task. The price is that of the
    channel that is tried first, before a group's multiplier; where no channel serves the model (`available` false) it is
    the catalog's.

    `updated_at`: since when the newest price that the operator set holds; null where all are the catalog's.
    """
    first: dict[str, Price] = {}
    # In the order in which channels are tried.
    for channel in routes.channels.values():
        if channel.enabled:
            for slug, served in channel.models.items():
                first.setdefault(slug, served.price)
    data: list[JSON] = [_entry(model, first.get(model.slug)) for model in catalog.models.values()]
    updated_us = routes.prices_updated_at
    return {
        "object": "list",
        "currency": "USD",
        "updated_at": moment(updated_us) if updated_us else None,
        "data": data,
    }


def _entry(model: Model, served: Price | None) -> JSONObject:
    price = served or default_price(model)
    entry: JSONObject = {
        "id": model.slug,
        "display_name": model.display_name,
        "family": model.family,
        "kind": model.kind,
        "available": served is not None,
        "price_id": price.id,
    }
    if model.kind == "text":
        entry["per_million_tokens"] = {
            "input": format_usd(price.input),
            "output": format_usd(price.output),
            "cache_read": format_usd(price.cache_read),
            "cache_write_5m": format_usd(price.cache_write_5m),
            "cache_write_1h": format_usd(price.cache_write_1h),
        }
        entry["long_prompts"] = [TierView.of(tier).model_dump() for tier in price.tiers or ()]
        entry["per_thousand_web_searches"] = format_usd(price.web_search)
    images = price.images or model.images
    if images:
        entry["images"] = [ImagePriceView.of(rate).model_dump() for rate in images]
    seconds = price.seconds or (() if model.video is None else model.video.seconds)
    if seconds:
        entry["per_submit"] = format_usd(price.submit_fee)
        entry["per_second"] = [SecondPriceView.of(rate).model_dump() for rate in seconds]
    return entry

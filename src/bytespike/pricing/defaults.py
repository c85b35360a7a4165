"""The catalog's price of a model, as a `Price`: what a channel charges until its operator says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import UNSET

from bytespike.catalog.models import Model
from bytespike.pricing.price import Price


def default_prices(models: Mapping[str, Model]) -> Callable[[str], Price | None]:
    """The catalog's price by slug; None where there is no such model. `models` by slug."""

    def find(slug: str) -> Price | None:
        model = models.get(slug)
        return None if model is None else default_price(model)

    return find


def default_price(model: Model) -> Price:
    """Text models by their token rates; images and videos by their tables, videos by their submit fee too."""
    rates = model.rates
    return Price(
        input=rates.input,
        output=rates.output,
        cache_read=rates.cache_read,
        cache_write_5m=rates.cache_write_5m,
        cache_write_1h=rates.cache_write_1h,
        web_search=rates.web_search,
        submit_fee=0 if model.video is None else model.video.submit_fee,
        tiers=rates.tiers or UNSET,
        images=model.images or UNSET,
        seconds=UNSET if model.video is None else model.video.seconds,
    )

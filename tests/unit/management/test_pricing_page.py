"""GET /api/pricing: what it shows of prices besides the rates per token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bytespike.accounts import channels, prices
from bytespike.accounts.prices import Rates
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.http.management.pricing import price_list
from bytespike.pricing.defaults import default_prices
from tests.support.management import Managed, managed


def entry(m: Managed, slug: str) -> dict[str, Any]:
    parts = m.application.parts
    data: Any = price_list(parts.catalog.current, parts.directory.routes)["data"]
    return next(each for each in data if each["id"] == slug)


def test_a_price_shows_its_id_tiers_and_tables(tmp_path: Path) -> None:
    async def run() -> None:
        async with managed(tmp_path) as m:
            catalog = m.application.parts.catalog.current
            before = entry(m, "gpt-5-5")
            assert (before["price_id"], before["long_prompts"]) == ("catalog", [])
            tier = TokenTier(272_000, 10_000_000, 45_000_000, 1_000_000, 10_000_000, 10_000_000)
            async with m.application.control.writing("test") as write:
                made = await prices.set_price(
                    write, "gpt-5-5", Rates(tiers=(tier,)), default_prices(catalog.models)
                )
            await m.application.parts.directory.poll()
            after = entry(m, "gpt-5-5")
            assert after["price_id"] == made.id
            assert after["per_million_tokens"] == before["per_million_tokens"]
            (shown,) = after["long_prompts"]
            assert (shown["above"], shown["input"], shown["output"]) == (272_000, "10.00", "45.00")

    asyncio.run(run())


def test_a_channels_own_tables_are_shown_in_place_of_the_catalogs(tmp_path: Path) -> None:
    async def run() -> None:
        async with managed(tmp_path) as m:
            control, catalog = m.application.control, m.application.parts.catalog.current
            default = default_prices(catalog.models)
            channel = next(iter(m.application.parts.directory.routes.channels.values()))
            async with control.writing("test") as write:
                for slug, rates in (
                    ("gpt-image-2", Rates(images=(ImageRate(70_000, "high", 9, "image"),))),
                    ("sora2", Rates(seconds=(VideoRate(400_000, "720p"),), submit_fee=0)),
                ):
                    await prices.set_price(write, slug, rates, default, channel_id=channel.id)
            # No channel serves them: what is shown is the catalog's.
            await m.application.parts.directory.poll()
            assert entry(m, "gpt-image-2")["images"][0]["price"] == "0.03"
            assert entry(m, "sora2")["per_submit"] == "0.05"
            price = await _served(m, channel.id)
            assert price == {"gpt-image-2": ("price_1", "0.07"), "sora2": ("price_2", "0.40")}

    asyncio.run(run())


async def _served(m: Managed, channel_id: str) -> dict[str, tuple[str, str]]:
    """What the page says once the channel serves both."""
    models = {slug: slug for slug in ("gpt-5-5", "gpt-image-2", "sora2")}
    async with m.application.control.writing("test") as write:
        await channels.update(write, channel_id, channels.ChannelChanges(models=models))
    await m.application.parts.directory.poll()
    image, video = entry(m, "gpt-image-2"), entry(m, "sora2")
    assert (image["images"][0]["quality"], video["per_second"][0]["resolution"]) == ("high", "720p")
    assert video["per_submit"] == "0.00"
    return {
        "gpt-image-2": (image["price_id"], image["images"][0]["price"]),
        "sora2": (video["price_id"], video["per_second"][0]["price"]),
    }

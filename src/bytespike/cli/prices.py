"""`bytespike models price`: prices, the catalog's and those that were set."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from msgspec import UNSET, UnsetType

from bytespike.accounts import channels, prices
from bytespike.accounts.prices import Rates
from bytespike.cli.answer import Answer, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import ModelArgument, time_us, usd
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import PriceView, moment
from bytespike.pricing.defaults import default_prices
from bytespike.store import prices as stored_prices

price = group("price", "Prices: the catalog's, and those that were set.")

ChannelOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--channel", help="A channel's id or name; left out, every channel without its own."),
]
Rate: TypeAlias = Annotated[str | None, typer.Option(help="USD per million tokens.")]


@command(price, "show")
async def show_price(desk: Desk, model: ModelArgument, channel: ChannelOption = None) -> Answer:
    """Show what a model costs now, and the prices that were set for it."""
    async with desk.reading() as connection:
        catalog = await desk.catalog(connection)
        slug = catalog.resolve(model).model.slug
        channel_id = None if channel is None else (await channels.find(connection, channel)).channel.id
        now_us = desk.control.clock.now_us()
        default = default_prices(catalog.models)
        found = await prices.current(connection, slug, default, now_us, channel_id=channel_id)
        rows = await stored_prices.listing(connection, model=slug)
    if found is None:
        raise InvalidRequest(f"{slug} has no price per token; set one with `bytespike models price set`")
    history: list[JSON] = [
        {"id": f"price_{row.id}", "channel_id": row.channel_id, "effective_at": moment(row.effective_at)}
        for row in rows
    ]
    shown: dict[str, JSON] = PriceView.of(found).model_dump(mode="json")
    return record({"model": slug, "channel_id": channel_id, **shown, "set": history})


@command(
    price,
    "set",
    epilog="Example: bytespike models price set gpt-5-5 --input 5 --output 30 --channel openai-main",
)
async def set_price(
    desk: Desk,
    model: ModelArgument,
    channel: ChannelOption = None,
    input: Rate = None,
    output: Rate = None,
    cache_read: Rate = None,
    cache_write: Annotated[str | None, typer.Option(help="USD per million tokens, 5-minute cache.")] = None,
    cache_write_1h: Annotated[
        str | None, typer.Option("--cache-write-1h", help="USD per million tokens, 1-hour cache.")
    ] = None,
    web_search: Annotated[str | None, typer.Option(help="USD per 1,000 searches.")] = None,
    submit_fee: Annotated[str | None, typer.Option(help="USD per task.")] = None,
    effective_at: Annotated[
        str | None, typer.Option(help="When it begins (ISO 8601); left out, now.")
    ] = None,
) -> Answer:
    """Set a price. Rates that are not given stay as they are now. What was billed does not change."""
    rates = Rates(
        input=_rate(input, "--input"),
        output=_rate(output, "--output"),
        cache_read=_rate(cache_read, "--cache-read"),
        cache_write_5m=_rate(cache_write, "--cache-write"),
        cache_write_1h=_rate(cache_write_1h, "--cache-write-1h"),
        web_search=_rate(web_search, "--web-search"),
        submit_fee=_rate(submit_fee, "--submit-fee"),
    )
    begins = time_us(effective_at, "--effective-at")
    async with desk.writing() as write:
        catalog = await desk.catalog(write.connection)
        slug = catalog.resolve(model).model.slug
        channel_id = None if channel is None else (await channels.find(write.connection, channel)).channel.id
        made = await prices.set_price(
            write, slug, rates, default_prices(catalog.models), channel_id=channel_id, effective_at=begins
        )
        at = moment(write.now_us if begins is None else begins)
    shown: dict[str, JSON] = PriceView.of(made).model_dump(mode="json")
    return record({"model": slug, "channel_id": channel_id, **shown, "effective_at": at})


def _rate(text: str | None, name: str) -> int | UnsetType:
    micros = usd(text, name)
    return UNSET if micros is None else micros

"""`bytespike models`: the catalog, the operator's aliases and prices."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from msgspec import UNSET, UnsetType

from bytespike.accounts import aliases as alias_service
from bytespike.accounts import channels, prices
from bytespike.accounts.prices import Rates
from bytespike.catalog.listing import select
from bytespike.catalog.models import Model
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import time_us, usd
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import AliasView, PriceView, moment
from bytespike.store import aliases as stored_aliases
from bytespike.store import channels as stored_channels
from bytespike.store import prices as stored_prices

models = group("models", "The catalog's models, other names for them, and what they cost.")
alias = group("alias", "Other names for the catalog's models.")
price = group("price", "Prices: the catalog's, and those that were set.")
models.add_typer(alias)
models.add_typer(price)

ModelArgument: TypeAlias = Annotated[str, typer.Argument(metavar="MODEL", help="Any name of the model.")]
ChannelOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--channel", help="A channel's id or name; left out, every channel without its own."),
]
Rate: TypeAlias = Annotated[str | None, typer.Option(help="USD per million tokens.")]


@command(models, "list")
async def list_models(
    desk: Desk,
    family: Annotated[str | None, typer.Option(help="Only this family: claude, gpt, …")] = None,
    kind: Annotated[str | None, typer.Option(help="Only text, image or video.")] = None,
    capability: Annotated[list[str] | None, typer.Option(help="Only with this ability. Repeatable.")] = None,
) -> Answer:
    """List the catalog's models."""
    found = select(desk.shipped.models.values(), capability or (), family)
    shown = [_model(desk, model) for model in found if kind in (None, model.kind)]
    return listing(
        shown, ("slug", "family", "kind", "context_window", "max_output_tokens", "input", "output")
    )


@command(models, "show")
async def show_model(desk: Desk, model: ModelArgument) -> Answer:
    """Show a model of the catalog, the channels that serve it, and the names that lead to it."""
    async with desk.reading() as connection:
        found = (await desk.catalog(connection)).resolve(model).model
        serving = {
            row.channel_id for row in await stored_channels.served(connection) if row.model == found.slug
        }
        names: list[JSON] = [
            row.name for row in await stored_channels.listing(connection) if row.id in serving
        ]
        own: list[JSON] = [
            row.pattern for row in await stored_aliases.listing(connection) if row.model == found.slug
        ]
    return record({**_model(desk, found), "channels": names, "aliases": own})


@command(alias, "add")
async def add_alias(
    desk: Desk,
    pattern: Annotated[str, typer.Argument(help="A name, or a pattern with * and ?.")],
    model: ModelArgument,
) -> Answer:
    """Let another name, or every name that fits a pattern, mean a model."""
    async with desk.writing() as write:
        slug = await desk.slug(write.connection, model)
        await alias_service.add(write, pattern, slug)
        catalog = await desk.catalog(write.connection)
        # A name that means a model already cannot be given away: the catalog leaves such an alias out.
        for problem in catalog.problems:
            if f" {pattern} " in problem:
                raise InvalidRequest(problem, param="pattern")
    return record({"pattern": pattern, "model": slug})


@command(alias, "list")
async def list_aliases(desk: Desk) -> Answer:
    """List the aliases that were added (the catalog ships more)."""
    async with desk.reading() as connection:
        rows = await stored_aliases.listing(connection)
    return listing([AliasView.of(row) for row in rows], ("pattern", "model", "created_at"))


@command(alias, "remove")
async def remove_alias(
    desk: Desk, pattern: Annotated[str, typer.Argument(help="The pattern as it was added.")]
) -> Answer:
    """Remove an alias."""
    async with desk.writing() as write:
        await alias_service.remove(write, pattern)
    return record({"pattern": pattern, "removed": True})


@command(price, "show")
async def show_price(desk: Desk, model: ModelArgument, channel: ChannelOption = None) -> Answer:
    """Show what a model costs now, and the prices that were set for it."""
    async with desk.reading() as connection:
        slug = await desk.slug(connection, model)
        channel_id = None if channel is None else (await channels.find(connection, channel)).channel.id
        now_us = desk.control.clock.now_us()
        found = await prices.current(connection, slug, desk.default_price, now_us, channel_id=channel_id)
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
        slug = await desk.slug(write.connection, model)
        channel_id = None if channel is None else (await channels.find(write.connection, channel)).channel.id
        made = await prices.set_price(
            write, slug, rates, desk.default_price, channel_id=channel_id, effective_at=begins
        )
        at = moment(write.now_us if begins is None else begins)
    shown: dict[str, JSON] = PriceView.of(made).model_dump(mode="json")
    return record({"model": slug, "channel_id": channel_id, **shown, "effective_at": at})


def _rate(text: str | None, name: str) -> int | UnsetType:
    micros = usd(text, name)
    return UNSET if micros is None else micros


def _model(desk: Desk, model: Model) -> dict[str, JSON]:
    default = desk.default_price(model.slug)
    shown: dict[str, JSON] = (
        {} if default is None else PriceView.of(default).model_dump(mode="json", exclude={"id"})
    )
    return {
        "slug": model.slug,
        "display_name": model.display_name,
        "family": model.family,
        "kind": model.kind,
        "vendor": model.vendor,
        "platform": model.platform,
        "vendor_id": model.vendor_id,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": [*sorted(model.capabilities)],
        **shown,
    }

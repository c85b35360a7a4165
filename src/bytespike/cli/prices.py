"""`bytespike models price`: prices, the catalog's and those that were set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer
from msgspec import UNSET, UnsetType, structs

from bytespike.accounts import channels, prices
from bytespike.accounts.price_list import import_prices, written
from bytespike.accounts.prices import Rates
from bytespike.catalog.models import TokenRates, TokenTier
from bytespike.catalog.tiers import TierDefinition, tiers_of
from bytespike.cli.answer import Answer, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import NONE, ModelArgument, pairs, time_us, usd
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import PriceView
from bytespike.http.moments import moment
from bytespike.pricing.defaults import default_prices
from bytespike.pricing.price import Price
from bytespike.pricing.price_file import FILE_BYTES_MAX, PriceFileError, read_prices, write_prices
from bytespike.store import channels as stored_channels
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
    tier: Annotated[
        list[str] | None,
        typer.Option(
            help="What all tokens cost when the prompt has more than so many: '200000 input=6 output=22.50'. Rates "
            "that it does not name stay as below it. Repeatable; replaces all tiers; 'none' takes them away."
        ),
    ] = None,
    effective_at: Annotated[
        str | None,
        typer.Option("--from", "--effective-at", help="When it begins (ISO 8601, UTC); left out, now."),
    ] = None,
) -> Answer:
    """Set a price. Rates that are not given stay as they are at its time. What was billed does not change.

    A price of a time to come takes effect by itself, in every running gateway."""
    rates = Rates(
        input=_rate(input, "--input"),
        output=_rate(output, "--output"),
        cache_read=_rate(cache_read, "--cache-read"),
        cache_write_5m=_rate(cache_write, "--cache-write"),
        cache_write_1h=_rate(cache_write_1h, "--cache-write-1h"),
        web_search=_rate(web_search, "--web-search"),
        submit_fee=_rate(submit_fee, "--submit-fee"),
    )
    begins = time_us(effective_at, "--from, --effective-at")
    async with desk.writing() as write:
        catalog = await desk.catalog(write.connection)
        slug = catalog.resolve(model).model.slug
        channel_id = None if channel is None else (await channels.find(write.connection, channel)).channel.id
        default = default_prices(catalog.models)
        us = write.now_us if begins is None else begins
        if tier:
            before = await prices.current(write.connection, slug, default, us, channel_id=channel_id)
            rates = structs.replace(rates, tiers=_tiers(tier, rates, before or Price()))
        made = await prices.set_price(write, slug, rates, default, channel_id=channel_id, effective_at=us)
        at = moment(us)
    shown: dict[str, JSON] = PriceView.of(made).model_dump(mode="json")
    return record({"model": slug, "channel_id": channel_id, **shown, "effective_at": at})


@command(
    price,
    "export",
    epilog="Example: bytespike models price export > prices.toml. docs/howto/change-prices.md has the file's fields.",
)
async def export_prices(
    desk: Desk,
    history: Annotated[
        bool, typer.Option("--history", help="Those too that have been replaced by others.")
    ] = False,
) -> Answer:
    """Print the prices that were set, those that hold and those to come, as TOML that `import` reads."""
    async with desk.reading() as connection:
        names = {row.id: row.name for row in await stored_channels.listing(connection)}
        rows = await stored_prices.listing(connection)
    found = written(rows, names, desk.control.clock.now_us(), history=history)
    text = write_prices(found)
    return Answer({"prices": len(found), "toml": text}, text=text)


@command(price, "import", epilog="Importing a file again changes nothing.")
async def import_file(
    desk: Desk, file: Annotated[Path, typer.Argument(help="A file of prices, in TOML.")]
) -> Answer:
    """Set the prices of a file, all or nothing. Those that hold already are left alone; none is taken away.

    Rates that the file does not name stay as they are at the price's time. A time in the past means now."""
    with file.open("rb") as opened:
        read = opened.read(FILE_BYTES_MAX + 1)
    if len(read) > FILE_BYTES_MAX:
        raise PriceFileError((f"{file}: longer than {FILE_BYTES_MAX} bytes",))
    try:
        found = read_prices(str(file), read.decode("utf-8"))
    except UnicodeDecodeError:
        raise PriceFileError((f"{file}: not UTF-8",)) from None
    async with desk.writing() as write:
        made = await import_prices(write, found, await desk.catalog(write.connection))
    return record({"file": str(file), "added": [*made.added], "unchanged": made.unchanged})


def _tiers(texts: list[str], rates: Rates, before: Price) -> tuple[TokenTier, ...]:
    """Raises `InvalidRequest`."""
    if texts == [NONE]:
        return ()
    definitions: list[TierDefinition] = []
    for text in texts:
        above, *named = text.split()
        if not (above.isascii() and above.isdigit()):
            raise InvalidRequest(f"{text[:60]!r} does not begin with a number of tokens", param="--tier")
        try:
            values = {"above": int(above[:12]), **pairs(named, "--tier")}
            definitions.append(msgspec.convert(values, TierDefinition))
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error), param="--tier") from None
    below = TokenRates(
        *(
            getattr(before, name) if getattr(rates, name) is UNSET else getattr(rates, name)
            for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
        )
    )
    try:
        return tiers_of(definitions, below)
    except ValueError as error:
        raise InvalidRequest(str(error), param="--tier") from None


def _rate(text: str | None, name: str) -> int | UnsetType:
    micros = usd(text, name)
    return UNSET if micros is None else micros

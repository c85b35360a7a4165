"""`bytespike models`: the catalog, and what the operator adds to it or changes in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bytespike.accounts import models as service
from bytespike.catalog.listing import select
from bytespike.catalog.models import Model
from bytespike.catalog.usd import usd_of_micros
from bytespike.cli.aliases import alias
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.catalog_file import loaded, read_file, standing_file
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.model_options import (
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Capabilities,
    ContextWindow,
    Created,
    DisplayName,
    Family,
    HoldOutput,
    Input,
    InputModalities,
    Like,
    MaxOutput,
    Output,
    OutputModalities,
    Platform,
    Protocols,
    Vendor,
    VendorId,
    WebSearch,
    definition,
)
from bytespike.cli.options import ModelArgument
from bytespike.cli.prices import price
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.store import aliases as stored_aliases
from bytespike.store import channels as stored_channels
from bytespike.store import models as stored_models

models = group(
    "models", "The catalog's models, those that you add, other names for them, and what they cost."
)
models.add_typer(alias)
models.add_typer(price)


@command(models, "list")
async def list_models(
    desk: Desk,
    family: Annotated[str | None, typer.Option(help="Only this family: claude, gpt, …")] = None,
    kind: Annotated[str | None, typer.Option(help="Only text, image or video.")] = None,
    capability: Annotated[list[str] | None, typer.Option(help="Only with this ability. Repeatable.")] = None,
    own: Annotated[bool, typer.Option("--own", help="Only those that you added or changed.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Those too that no channel serves.")] = False,
) -> Answer:
    """List the models that your channels serve; while there is no channel, the whole catalog."""
    async with desk.reading() as connection:
        catalog = await desk.catalog(connection)
        sources = {row.slug: str(row.source) for row in await stored_models.listing(connection)}
        served = {row.model for row in await stored_channels.served(connection)}
    found = [
        model
        for model in select(catalog.models.values(), capability or (), family)
        if kind in (None, model.kind) and (not own or model.slug in sources)
    ]
    shown = found if every or own or not served else [model for model in found if model.slug in served]
    more = len(found) - len(shown)
    return listing(
        [_model(model, sources) for model in shown],
        ("slug", "family", "kind", "source", "context_window", "max_output_tokens", "input", "output"),
        note=f"{more} more are served by no channel; --all lists them too." if more else "",
    )


@command(models, "show")
async def show_model(desk: Desk, model: ModelArgument) -> Answer:
    """Show a model of the catalog, the channels that serve it, and the names that lead to it."""
    async with desk.reading() as connection:
        found = (await desk.catalog(connection)).resolve(model).model
        rows = await stored_models.listing(connection)
        sources = {row.slug: str(row.source) for row in rows}
        serving = {
            row.channel_id for row in await stored_channels.served(connection) if row.model == found.slug
        }
        names: list[JSON] = [
            row.name for row in await stored_channels.listing(connection) if row.id in serving
        ]
        own: list[JSON] = [
            row.pattern for row in await stored_aliases.listing(connection) if row.model == found.slug
        ]
    return record({**_model(found, sources), "channels": names, "aliases": own})


@command(
    models,
    "add",
    epilog="Example: bytespike models add claude-opus-5-5 --like claude-opus-4-8 --input 6 --output 30. A channel serves "
    "it after `bytespike channels update NAME --model …`.",
)
async def add_model(
    desk: Desk,
    slug: Annotated[str, typer.Argument(help="Its name here: lower case, with dashes.")],
    like: Like = None,
    family: Family = None,
    vendor: Vendor = None,
    platform: Platform = None,
    vendor_id: VendorId = None,
    display_name: DisplayName = None,
    created: Created = None,
    context_window: ContextWindow = None,
    max_output_tokens: MaxOutput = None,
    hold_output_tokens: HoldOutput = None,
    capability: Capabilities = None,
    input_modality: InputModalities = None,
    output_modality: OutputModalities = None,
    protocol: Protocols = None,
    input: Input = None,
    output: Output = None,
    cache_read: CacheRead = None,
    cache_write: CacheWrite = None,
    cache_write_1h: CacheWrite1h = None,
    web_search: WebSearch = None,
) -> Answer:
    """Add a model to the catalog."""
    options: dict[str, Any] = {
        name: value for name, value in locals().items() if name not in ("desk", "slug")
    }
    async with desk.writing() as write:
        made = await service.add(write, definition(slug, options), desk.shipped.models)
    return record(_model(made, {slug: "command"}))


@command(
    models,
    "update",
    epilog="Example: bytespike models update gpt-5-5 --context-window 2000000. A model of the package is changed too; "
    "`bytespike models remove` makes it as it was.",
)
async def update_model(
    desk: Desk,
    model: ModelArgument,
    family: Family = None,
    vendor: Vendor = None,
    platform: Platform = None,
    vendor_id: VendorId = None,
    display_name: DisplayName = None,
    created: Created = None,
    context_window: ContextWindow = None,
    max_output_tokens: MaxOutput = None,
    hold_output_tokens: HoldOutput = None,
    capability: Capabilities = None,
    input_modality: InputModalities = None,
    output_modality: OutputModalities = None,
    protocol: Protocols = None,
    input: Input = None,
    output: Output = None,
    cache_read: CacheRead = None,
    cache_write: CacheWrite = None,
    cache_write_1h: CacheWrite1h = None,
    web_search: WebSearch = None,
) -> Answer:
    """Change a model. What is not given stays as it is; a list that is given replaces the old one."""
    options: dict[str, Any] = {
        name: value for name, value in locals().items() if name not in ("desk", "model")
    }
    async with desk.writing() as write:
        slug = await desk.slug(write.connection, model)
        made = await service.update(write, definition(slug, options), desk.shipped.models)
    return record(_model(made, {slug: "command"}))


@command(models, "remove")
async def remove_model(desk: Desk, slug: Annotated[str, typer.Argument(help="Its slug.")]) -> Answer:
    """Remove a model that was added, or undo the changes of one of the package's."""
    async with desk.writing() as write:
        await service.remove(write, slug)
        again = slug in desk.shipped.models
        channels: list[JSON] = []
        if not again:
            served = await stored_channels.served(write.connection)
            named = {row.channel_id for row in served if row.model == slug}
            channels = [
                row.name for row in await stored_channels.listing(write.connection) if row.id in named
            ]
    note = "These channels still list it, in vain." if channels else ""
    return record({"slug": slug, "removed": True, "shipped": again, "channels": channels}, note=note)


@command(
    models,
    "load",
    epilog="The file is loaded by `serve` too, when it starts. docs/howto/add-models.md has its fields.",
)
async def load_models(
    desk: Desk,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Left out, the setting catalog_file or catalog.toml in the data directory."
        ),
    ] = None,
) -> Answer:
    """Load models and aliases from a TOML file: add, change and remove what the file is about, all or nothing."""
    path = file or standing_file(desk.settings)
    if path is None:
        raise InvalidRequest(
            f"there is no {desk.settings.data_dir / 'catalog.toml'}; name a file", param="file"
        )
    changes = await loaded(desk, read_file(path, desk.shipped.models))
    return record(
        {
            "file": str(path),
            "added": [*changes.added],
            "changed": [*changes.changed],
            "removed": [*changes.removed],
            "aliases_added": [*changes.aliases_added],
            "aliases_removed": [*changes.aliases_removed],
        }
    )


def _model(model: Model, sources: dict[str, str]) -> dict[str, JSON]:
    """`source`: package, or who added or changed it: command or file."""
    rates = model.rates
    return {
        "slug": model.slug,
        "display_name": model.display_name,
        "family": model.family,
        "kind": model.kind,
        "source": sources.get(model.slug, "package"),
        "vendor": model.vendor,
        "platform": model.platform,
        "vendor_id": model.vendor_id,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "hold_output_tokens": model.hold_output_tokens,
        "capabilities": [*sorted(model.capabilities)],
        "input_modalities": [*model.input_modalities],
        "output_modalities": [*model.output_modalities],
        "protocols": [*model.protocols],
        "input": usd_of_micros(rates.input),
        "output": usd_of_micros(rates.output),
        "cache_read": usd_of_micros(rates.cache_read),
        "cache_write_5m": usd_of_micros(rates.cache_write_5m),
        "cache_write_1h": usd_of_micros(rates.cache_write_1h),
        "web_search": usd_of_micros(rates.web_search),
        "submit_fee": usd_of_micros(0 if model.video is None else model.video.submit_fee),
    }

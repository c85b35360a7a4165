"""`bytespike channels test`: a channel is tried for real, from here, and each step says what it found."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import channels as service
from bytespike.accounts.channels import ChannelView
from bytespike.accounts.records import Channel
from bytespike.accounts.routes import open_channel
from bytespike.catalog.models import Model
from bytespike.catalog.resolve import Catalog
from bytespike.cli.answer import Answer
from bytespike.cli.desk import Desk
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest, ModelNotFound, NotFound
from bytespike.pipeline.carrying import asking
from bytespike.pipeline.probe import Means, probe
from bytespike.protocols.registry import DIALECTS
from bytespike.providers.access_tokens import AccessTokens
from bytespike.providers.endpoint import ChannelUnusable, endpoints
from bytespike.settings import Settings
from bytespike.store import channels as store
from bytespike.upstream.client import Client
from bytespike.upstream.limits import Timeouts
from bytespike.upstream.reach import Step
from bytespike.upstream.tls import client_context

COLUMNS = ("step", "dialect", "result", "ms", "found")
#: How long connections may take to close.
CLOSE_SECONDS = 2.0

EXAMPLE = "Example: bytespike channels test openai-main --model gpt-5-5"


async def try_channel(
    desk: Desk,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's id or name.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Which of its models is asked; left out, its first text model.", show_default=False
        ),
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(help="Try only this one of its dialects.", show_default=False)
    ] = None,
) -> Answer:
    """Try a channel: name, connection, TLS, list of models, and a tiny answer in each dialect, whole and streamed.

    The channel may be disabled. Nothing is billed to anybody here; its provider charges a few tokens. Exit code 1 if a step
    fails.
    """
    async with desk.reading() as connection:
        view = await service.find(connection, channel)
        found = await _opened(desk, connection, view)
        catalog = await desk.catalog(connection)
    if dialect is not None and dialect not in found.endpoints:
        raise InvalidRequest(
            f"the channel does not speak {dialect[:60]!r}; it speaks {', '.join(found.endpoints)}",
            param="--dialect",
        )
    asked, upstream_model = _model(catalog, view, model)
    steps = await _steps(desk, found, asked, upstream_model, dialect)
    failed = [step for step in steps if step.outcome == "failed"]
    rows: list[JSON] = [
        {
            "step": step.name,
            "dialect": step.dialect,
            "result": step.outcome,
            "ms": step.ms,
            "found": step.found,
        }
        for step in steps
    ]
    note = f"{len(failed)} of {len(steps)} steps failed" if failed else "everything that was tried works"
    if not view.channel.enabled:
        note += f"; the channel is disabled: {view.channel.disabled_reason or 'no reason given'}"
    return Answer(
        {
            "channel": view.channel.name,
            "platform": view.channel.platform,
            "model": asked.slug if asked else None,
            "ok": not failed,
            "items": rows,
            "total": len(rows),
        },
        COLUMNS,
        note,
        failed=bool(failed),
    )


async def _opened(desk: Desk, connection: AsyncConnection, view: ChannelView) -> Channel:
    """The channel with its secrets in the clear, as the data plane has it. Raises SecretUnreadable, InvalidRequest."""
    row = view.channel
    sealed = await store.sealed(connection, row.id)
    if sealed is None:
        raise NotFound(f"there is no channel {row.name!r}")
    credential, proxy = open_channel(desk.control.box, sealed)
    channel = Channel(
        id=row.id,
        name=row.name,
        platform=row.platform,
        base_urls=row.base_urls,
        credential=credential,
        models={},
        group_ids=frozenset(),
        region=row.region,
        proxy=proxy,
        headers=row.headers,
        timeouts=row.timeouts,
    )
    try:
        return structs.replace(channel, endpoints=endpoints(channel))
    except ChannelUnusable as error:
        raise InvalidRequest(str(error)) from None


def _model(catalog: Catalog, view: ChannelView, name: str | None) -> tuple[Model | None, str]:
    """The model that is asked and the channel's name for it. Raises ModelNotFound, InvalidRequest."""
    if name is not None:
        model = catalog.resolve(name).model
        if model.slug not in view.models:
            raise InvalidRequest(
                f"the channel does not serve {model.slug}; it serves {', '.join(view.models) or 'no model'}",
                param="--model",
            )
        if model.kind != "text":
            raise InvalidRequest(f"{model.slug} makes no text; only text models are tried", param="--model")
        return model, view.models[model.slug]
    for slug, upstream_model in view.models.items():
        try:
            model = catalog.resolve(slug).model
        except ModelNotFound:
            # The operator's own, and removed meanwhile.
            continue
        if model.kind == "text":
            return model, upstream_model
    return None, ""


async def _steps(
    desk: Desk, channel: Channel, model: Model | None, upstream_model: str, dialect: str | None
) -> list[Step]:
    settings = desk.settings
    tls = client_context(None if settings.ca_file is None else str(settings.ca_file))
    upstream = Client(tls=tls)
    try:
        tokens = AccessTokens(desk.control.clock, asking(upstream))
        means = Means(upstream, tokens, desk.control.clock, DIALECTS, _timeouts(settings))
        return [step async for step in probe(means, tls, channel, model, upstream_model, dialect)]
    finally:
        await upstream.close(CLOSE_SECONDS)


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=settings.connect_timeout_s,
        first_byte=settings.first_byte_timeout_s,
        idle=settings.idle_timeout_s,
        total=settings.total_timeout_s,
    )

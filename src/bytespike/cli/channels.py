"""`bytespike channels`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import channels as service
from bytespike.accounts import groups
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.cli import channel_test
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import given, pairs, secret
from bytespike.errors import InvalidRequest
from bytespike.http.management.views import ChannelView

channels = group("channels", "Channels: upstream accounts, with their credential, models and price.")

#: What fits a terminal of 100 columns: every command takes a channel by its name.
COLUMNS = ("name", "platform", "models", "group_ids", "priority", "weight", "enabled", "disabled_reason")

EXAMPLE = (
    "Example: bytespike channels create --name openai-main --platform openai --credential-env OPENAI_API_KEY "
    "--model gpt-5-5=gpt-5.5 --model gpt-4o --group default"
)

ChannelArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="The channel's id or name.")
]
BaseURLs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--base-url",
        metavar="DIALECT=URL",
        help="Where the platform's own is not meant. A channel that gives one speaks only the dialects it gives. Repeatable.",
    ),
]
Models: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="SLUG[=UPSTREAM]", help="A model, and the upstream's name for it. Repeatable."
    ),
]
Groups: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--group", help="A group whose keys may reach it; in none, nobody does. Repeatable."),
]
CredentialEnv: TypeAlias = Annotated[
    str | None, typer.Option(help="Environment variable that holds the upstream's key.", show_default=False)
]
CredentialFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="File that holds the upstream's key.", show_default=False)
]
CredentialStdin: TypeAlias = Annotated[
    bool, typer.Option("--credential-stdin", help="Read the upstream's key from standard input.")
]
ProxyEnv: TypeAlias = Annotated[
    str | None, typer.Option(help="Environment variable that holds a proxy's URL.", show_default=False)
]
Priority: TypeAlias = Annotated[int | None, typer.Option(help="Lower is tried first. A new channel has 0.")]
Weight: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Its share of the requests among channels of equal priority; 0: only when those cannot. A new channel has 1."
    ),
]
Region: TypeAlias = Annotated[
    str | None, typer.Option(help="The platform's region, where it has several; left out, its main one.")
]
RPM: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--rpm",
        help="Requests a minute that the account allows, 0: not known. At its ceiling a channel is passed over.",
        min=0,
    ),
]
TPM: TypeAlias = Annotated[
    int | None,
    typer.Option("--tpm", help="Tokens a minute that the account allows, 0: not known. Likewise.", min=0),
]
Headers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--header", metavar="NAME=VALUE", help="A header for each of its requests; none: no more. Repeatable."
    ),
]
Timeouts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--timeout",
        metavar="NAME=SECONDS",
        help="connect, first_byte, idle or total; left out, the gateway's setting; none: no more of its own. Repeatable.",
    ),
]


@command(channels, "create", epilog=EXAMPLE)
async def create(
    desk: Desk,
    name: Annotated[str, typer.Option(help="The name.")],
    platform: Annotated[
        str,
        typer.Option(
            help="The wire contract: anthropic, openai, gemini, deepseek, …; docs/reference/platforms.md has all."
        ),
    ],
    model: Models = None,
    in_group: Groups = None,
    base_url: BaseURLs = None,
    credential_env: CredentialEnv = None,
    credential_file: CredentialFile = None,
    credential_stdin: CredentialStdin = False,
    proxy_env: ProxyEnv = None,
    priority: Priority = None,
    weight: Weight = None,
    region: Region = None,
    rpm: RPM = None,
    tpm: TPM = None,
    header: Headers = None,
    timeouts: Timeouts = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not use it yet.")] = False,
) -> Answer:
    """Create a channel. Its credential is read from a variable, a file or standard input, never from the command line."""
    credential = secret(credential_env, credential_file, credential_stdin, "credential")
    if credential is None:
        raise InvalidRequest("give one of --credential-env, --credential-file, --credential-stdin")
    async with desk.writing() as write:
        new = NewChannel(
            name=name,
            platform=platform,
            credential=credential,
            base_urls=pairs(base_url or (), "--base-url"),
            models=await _models(desk, write.connection, model or ()),
            group_ids=await _group_ids(write.connection, in_group or ()),
            priority=priority or 0,
            weight=1 if weight is None else weight,
            region=region or "",
            rpm=rpm or None,
            tpm=tpm or None,
            enabled=not disabled,
            proxy=secret(proxy_env, None, False, "proxy"),
            headers=pairs(given(header or ()), "--header"),
            timeouts=_timeouts(timeouts or ()),
        )
        return record(ChannelView.of(await service.create(write, new)))


@command(channels, "list")
async def list_channels(desk: Desk) -> Answer:
    """List all channels, in the order in which they are tried; `models` says how many. `--json` has every field."""
    async with desk.reading() as connection:
        views = await service.listing(connection)
    return listing([ChannelView.of(view) for view in views], COLUMNS)


@command(channels, "show")
async def show_channel(desk: Desk, channel: ChannelArgument) -> Answer:
    """Show one channel, without its credential."""
    async with desk.reading() as connection:
        return record(ChannelView.of(await service.find(connection, channel)))


@command(channels, "update")
async def update(
    desk: Desk,
    channel: ChannelArgument,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    model: Models = None,
    in_group: Groups = None,
    base_url: BaseURLs = None,
    credential_env: CredentialEnv = None,
    credential_file: CredentialFile = None,
    credential_stdin: CredentialStdin = False,
    proxy_env: ProxyEnv = None,
    no_proxy: Annotated[bool, typer.Option("--no-proxy", help="Connect directly.")] = False,
    priority: Priority = None,
    weight: Weight = None,
    region: Region = None,
    rpm: RPM = None,
    tpm: TPM = None,
    header: Headers = None,
    timeouts: Timeouts = None,
) -> Answer:
    """Change a channel. What is not given stays as it is; a list that is given replaces the old one."""
    credential = secret(credential_env, credential_file, credential_stdin, "credential")
    proxy = secret(proxy_env, None, False, "proxy")
    async with desk.writing() as write:
        found = await service.find(write.connection, channel)
        changes = ChannelChanges(
            name=UNSET if name is None else name,
            credential=UNSET if credential is None else credential,
            base_urls=UNSET if base_url is None else pairs(base_url, "--base-url"),
            models=UNSET if model is None else await _models(desk, write.connection, model),
            group_ids=UNSET if in_group is None else await _group_ids(write.connection, in_group),
            priority=UNSET if priority is None else priority,
            weight=UNSET if weight is None else weight,
            region=UNSET if region is None else region,
            rpm=UNSET if rpm is None else rpm or None,
            tpm=UNSET if tpm is None else tpm or None,
            proxy=proxy if proxy is not None or no_proxy else UNSET,
            headers=UNSET if header is None else pairs(given(header), "--header"),
            timeouts=UNSET if timeouts is None else _timeouts(timeouts),
        )
        return record(ChannelView.of(await service.update(write, found.channel.id, changes)))


command(channels, "test", epilog=channel_test.EXAMPLE)(channel_test.try_channel)


@command(channels, "enable")
async def enable(desk: Desk, channel: ChannelArgument) -> Answer:
    """Use a channel again, also one that was disabled because its credential was refused."""
    async with desk.writing() as write:
        found = await service.find(write.connection, channel)
        return record(
            ChannelView.of(await service.update(write, found.channel.id, ChannelChanges(enabled=True)))
        )


@command(channels, "disable")
async def disable(
    desk: Desk,
    channel: ChannelArgument,
    reason: Annotated[str, typer.Option(help="For whoever looks at it later.")] = "by an operator",
) -> Answer:
    """Take a channel out of routing."""
    async with desk.writing() as write:
        found = await service.find(write.connection, channel)
        await service.disable(write, found.channel.id, reason)
        return record(ChannelView.of(await service.get(write.connection, found.channel.id)))


@command(channels, "remove")
async def remove(desk: Desk, channel: ChannelArgument) -> Answer:
    """Delete a channel with its credential and its own prices. What was billed through it stays."""
    async with desk.writing() as write:
        found = await service.find(write.connection, channel)
        await service.remove(write, found.channel.id)
    return record({"id": found.channel.id, "name": found.channel.name, "removed": True})


async def _models(desk: Desk, connection: AsyncConnection, texts: Iterable[str]) -> dict[str, str]:
    """Upstream names by catalog slug. Without `=` the upstream's name is the vendor's own."""
    catalog = await desk.catalog(connection)
    found: dict[str, str] = {}
    for text in texts:
        name, sign, upstream = text.partition("=")
        model = catalog.resolve(name.strip()).model
        found[model.slug] = upstream.strip() if sign else model.vendor_id
    return found


async def _group_ids(connection: AsyncConnection, names: Iterable[str]) -> tuple[int, ...]:
    return tuple([(await groups.find(connection, name)).id for name in names])


def _timeouts(texts: Iterable[str]) -> dict[str, float]:
    try:
        return {name: float(seconds) for name, seconds in pairs(given(texts), "--timeout").items()}
    except ValueError:
        raise InvalidRequest("a timeout is NAME=SECONDS, such as connect=5", param="--timeout") from None

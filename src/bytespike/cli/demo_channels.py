"""The channels of `bytespike demo`: every dialect and every API for images and videos, spoken by the simulator.

They are made once. An operator who changes one, or takes it away, finds it so at the next run; only the simulator's
port, which is another one each time, is written into those that are still there. A data directory of an older version,
which knew fewer channels, gets the ones that it never had, and its channels no longer serve what those serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges, ChannelView, NewChannel
from bytespike.accounts.control import Write
from bytespike.catalog.models import Model
from bytespike.store import channels as stored_channels
from bytespike.store import meta

PLATFORM = "simulator"
#: What the first version made, which kept no list of it.
FIRST_CHANNELS = frozenset({"simulator-anthropic", "simulator-openai"})


class DemoChannel(Struct, frozen=True):
    """`paths`: what follows the simulator's address, by dialect or API. `families`: whose models it serves; None: all text
    models that no other of these channels serves."""

    paths: Mapping[str, str]
    families: frozenset[str] | None


CHANNELS: Mapping[str, DemoChannel] = {
    "simulator-anthropic": DemoChannel({"anthropic_messages": "/anthropic"}, frozenset({"claude"})),
    "simulator-openai": DemoChannel(
        {"openai_responses": "/openai/v1", "openai_chat": "/openai/v1"}, frozenset({"gpt"})
    ),
    "simulator-gemini": DemoChannel({"gemini": "/gemini"}, frozenset({"gemini"})),
    "simulator-chat": DemoChannel({"openai_chat": "/openai/v1"}, None),
    "simulator-openai-media": DemoChannel(
        {"openai_images": "/openai/v1", "openai_videos": "/openai/v1", "openai_chat": "/openai/v1"},
        frozenset({"gpt-image", "sora"}),
    ),
    "simulator-gemini-media": DemoChannel(
        {"gemini": "/gemini", "gemini_operations": "/gemini"}, frozenset({"nano-banana", "veo"})
    ),
    "simulator-ark": DemoChannel(
        {"ark_images": "/ark/api/v3", "ark_tasks": "/ark/api/v3"}, frozenset({"seedream", "seedance"})
    ),
}


async def make_channels(
    write: Write, simulator_url: str, models: Iterable[Model], group_id: int, *, first_run: bool
) -> None:
    """Make the channels that were never made, in the group, and lead those that are there to the simulator."""
    connection = write.connection
    known = frozenset[str]() if first_run else await _made(connection)
    new = [name for name in CHANNELS if name not in known]
    models = list(models)
    for name in new:
        if await stored_channels.by_name(connection, name) is None:
            await channels.create(
                write,
                NewChannel(
                    name=name,
                    platform=PLATFORM,
                    credential=PLATFORM,
                    base_urls=base_urls(name, simulator_url),
                    models=served(name, models),
                    group_ids=(group_id,),
                ),
            )
    # Older versions served text alone: what else there is was added by hand, and stays.
    text = [model for model in models if model.kind == "text"]
    moved = {slug for name in new for slug in served(name, text)}
    for name in known:
        await _follow(write, name, simulator_url, moved)
    if new:
        await meta.put(connection, meta.DEMO_CHANNELS, " ".join(sorted(known | set(new))))


def base_urls(name: str, simulator_url: str) -> dict[str, str]:
    """The channel's base URLs. The dialects that it does not speak are taken away, although its platform does."""
    return {dialect: simulator_url + path for dialect, path in CHANNELS[name].paths.items()}


def served(name: str, models: Iterable[Model]) -> dict[str, str]:
    """The upstream names of the models that the channel serves, by slug."""
    families = CHANNELS[name].families
    others = frozenset[str]().union(*(each.families or () for each in CHANNELS.values()))
    return {
        model.slug: model.vendor_id
        for model in models
        if (
            model.kind == "text" and model.family not in others
            if families is None
            else model.family in families
        )
    }


async def _made(connection: AsyncConnection) -> frozenset[str]:
    """The channels that some run has made, whatever became of them."""
    kept = await meta.get(connection, meta.DEMO_CHANNELS)
    return FIRST_CHANNELS if kept is None else frozenset(kept.split())


async def _follow(write: Write, name: str, simulator_url: str, moved: set[str]) -> None:
    row = await stored_channels.by_name(write.connection, name)
    if row is None or row.platform != PLATFORM or name not in CHANNELS:
        return
    urls = base_urls(name, simulator_url)
    if row.base_urls != urls:
        await channels.update(write, row.id, ChannelChanges(base_urls=urls))
    if moved:
        view: ChannelView = await channels.get(write.connection, row.id)
        left = {slug: upstream for slug, upstream in view.models.items() if slug not in moved}
        if left != view.models:
            await channels.update(write, row.id, ChannelChanges(models=left))

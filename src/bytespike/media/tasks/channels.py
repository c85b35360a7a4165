"""Which channels can make what a task orders, best first."""

from __future__ import annotations

from msgspec import Struct

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.media.adapters.registry import surface_of
from bytespike.media.tasks.parts import TaskParts
from bytespike.providers.endpoint import Endpoint
from bytespike.routing.candidates import candidates


class Way(Struct, frozen=True):
    """A channel, and the surface of it on which the model is asked. It holds a credential: its repr hides it."""

    channel: Channel
    endpoint: Endpoint
    surface: str


def surface_on(parts: TaskParts, channel: Channel, model: Model) -> str | None:
    """None: the channel cannot make it."""
    if model.kind == "image":
        return None if parts.images is None else parts.images.surface_of(channel.endpoints.keys(), model)
    surface = surface_of(channel.endpoints.keys(), model.media.surfaces)
    return surface if surface in parts.renderers else None


def serving(parts: TaskParts, group_id: int, model: Model) -> dict[str, list[Channel]]:
    """The enabled channels of a group that could make it, were they all in health, by surface."""
    found: dict[str, list[Channel]] = {}
    for channel in parts.directory.routes.by_group_model.get(group_id, {}).get(model.slug, ()):
        surface = surface_on(parts, channel, model)
        if surface is not None:
            found.setdefault(surface, []).append(channel)
    return found


def ways(parts: TaskParts, group_id: int, model: Model) -> list[Way]:
    """Those that are in health now, best first."""
    now_us = parts.clock.now_us()
    found: list[Way] = []
    for surface, channels in serving(parts, group_id, model).items():
        ranked = candidates(
            channels,
            surface,
            now_us=now_us,
            health=parts.health,
            translate=False,
            ceilings=parts.ceilings,
        )
        found.extend(Way(each.channel, each.endpoint, surface) for each in ranked)
    # Of one surface they are in order already; the sort keeps that.
    found.sort(key=lambda way: way.channel.priority)
    return found


def resting(parts: TaskParts, group_id: int, model: Model) -> list[Way]:
    """All that need no operator, whether they rest or not: a task can wait. By priority."""
    found = [
        Way(channel, channel.endpoints[surface], surface)
        for surface, channels in serving(parts, group_id, model).items()
        for channel in channels
        if not parts.health.of(channel.id).needs_operator
    ]
    found.sort(key=lambda way: way.channel.priority)
    return found


def way_back(parts: TaskParts, channel_id: str, model: Model | None) -> Way | None:
    """The channel that a task went to, though it may be disabled since. None: it is gone, or the model is."""
    channel = parts.directory.routes.channels.get(channel_id)
    if channel is None or model is None:
        return None
    surface = surface_on(parts, channel, model)
    return None if surface is None else Way(channel, channel.endpoints[surface], surface)

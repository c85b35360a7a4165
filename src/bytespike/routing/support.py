"""In which protocols a model can be asked, and whether its bytes pass through or are translated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from bytespike.catalog.models import Model
from bytespike.providers.choice import choose_dialect
from bytespike.routing.values import Routable

Support: TypeAlias = Literal["native", "translated"]

#: The API whose shape the images endpoints have.
_OPENAI_IMAGES = "openai_images"


def protocol_support(
    channels: Iterable[Routable], dialects: Iterable[str], published: frozenset[str], *, strict: bool
) -> dict[str, Support]:
    """By dialect. Native: some of `channels` speaks it. `strict`: only the dialects in `published` are translated."""
    support: dict[str, Support] = {}
    names = tuple(dialects)
    for channel in channels:
        for dialect in names:
            translate = not strict or dialect in published
            spoken = choose_dialect(channel.endpoints, dialect, translate=translate)
            if spoken == dialect:
                support[dialect] = "native"
            elif spoken is not None:
                support.setdefault(dialect, "translated")
    return support


def model_support(
    channels: Iterable[Routable], model: Model, dialects: Iterable[str], *, strict: bool
) -> dict[str, Support]:
    """By protocol: dialects, "images" and "tasks". A text model is asked in dialects; what makes images or videos, in those
    that its vendor draws in besides."""
    if model.kind == "text":
        return protocol_support(channels, dialects, model.published, strict=strict)
    support: dict[str, Support] = {}
    for channel in channels:
        spoken = channel.endpoints
        surface = next((each for each in model.media.surfaces if each in spoken), None)
        if surface is None:
            continue
        for dialect in dialects:
            if dialect in model.protocols and dialect in spoken:
                support[dialect] = "native"
        support.setdefault("tasks", "translated")
        if model.kind == "image":
            if surface == _OPENAI_IMAGES:
                support["images"] = "native"
            support.setdefault("images", "translated")
    return support

"""The options by which a model is described on the command line."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from bytespike.catalog.definition import ModelDefinition
from bytespike.errors import InvalidRequest

Like: TypeAlias = Annotated[
    str | None, typer.Option(help="A model of the package: what is not given is as that one has it.")
]
Family: TypeAlias = Annotated[str | None, typer.Option(help="claude, gpt, …, or one of your own.")]
Vendor: TypeAlias = Annotated[str | None, typer.Option(help="Who makes it; left out, the family's.")]
Platform: TypeAlias = Annotated[str | None, typer.Option(help="The vendor's own platform.")]
VendorId: TypeAlias = Annotated[
    str | None, typer.Option(help="What its vendor calls it; left out, the slug.")
]
DisplayName: TypeAlias = Annotated[str | None, typer.Option(help="What people read; left out, the slug.")]
Created: TypeAlias = Annotated[str | None, typer.Option(help="The day of its release, such as 2026-11-21.")]
ContextWindow: TypeAlias = Annotated[int | None, typer.Option(help="Tokens of prompt and answer together.")]
MaxOutput: TypeAlias = Annotated[int | None, typer.Option(help="Tokens that it answers with, at most.")]
HoldOutput: TypeAlias = Annotated[
    int | None, typer.Option(help="Tokens that are paid for in advance when a request sets no limit.")
]
Capabilities: TypeAlias = Annotated[
    list[str] | None, typer.Option(help="What it can: tools, vision, thinking, … Repeatable.")
]
InputModalities: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="text, image, pdf, audio or video; left out, by its capabilities. Repeatable."),
]
OutputModalities: TypeAlias = Annotated[list[str] | None, typer.Option(help="Left out, text. Repeatable.")]
Protocols: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="What its vendor speaks: openai_chat, anthropic_messages, … Left out, the family's. Repeatable."
    ),
]
Input: TypeAlias = Annotated[str | None, typer.Option(help="USD per million tokens of input.")]
Output: TypeAlias = Annotated[str | None, typer.Option(help="USD per million tokens of output.")]
CacheRead: TypeAlias = Annotated[str | None, typer.Option(help="USD per million tokens; left out, as input.")]
CacheWrite: TypeAlias = Annotated[
    str | None, typer.Option(help="USD per million tokens, 5-minute cache; left out, as input.")
]
CacheWrite1h: TypeAlias = Annotated[
    str | None,
    typer.Option("--cache-write-1h", help="USD per million tokens; left out, as the 5-minute cache."),
]
WebSearch: TypeAlias = Annotated[str | None, typer.Option(help="USD per 1,000 searches.")]

_LISTS = {
    "capability": "capabilities",
    "input_modality": "input_modalities",
    "output_modality": "output_modalities",
    "protocol": "protocols",
}
_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "web_search")


def definition(slug: str, options: Mapping[str, Any]) -> ModelDefinition:
    """What the options say of the model. Raises `InvalidRequest`."""
    values: dict[str, Any] = {
        _LISTS.get(name, name): value for name, value in options.items() if value is not None
    }
    rates = {name: values.pop(name) for name in _RATES if name in values}
    if rates:
        values["price"] = rates
    if "created" in values:
        values["created"] = _day(values["created"])
    return msgspec.convert({"slug": slug, **values}, ModelDefinition)


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is not a day, such as 2026-11-21", param="--created") from None

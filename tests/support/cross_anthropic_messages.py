"""Anthropic Messages, as a side of a crossing (see `cross`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pydantic
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params

from bytespike.testing.anthropic_stream import validate_stream
from tests.support import anthropic_traffic
from tests.support.cross import Figures, Recorded

__all__ = ["ADAPTERS", "figures", "recorded", "validate_stream"]

ADAPTERS: list[pydantic.TypeAdapter[Any]] = [
    pydantic.TypeAdapter(message_create_params.MessageCreateParams),
    pydantic.TypeAdapter(beta_message_create_params.MessageCreateParams),
]


def recorded() -> Iterator[Recorded]:
    for each in anthropic_traffic.EXCHANGES:
        if each.status == 200:
            yield Recorded(each.name, _encoded(each.request), _encoded(each.response), each.stream)


def _encoded(value: dict[str, Any] | None) -> bytes | None:
    return None if value is None else json.dumps(value).encode()


def figures(answer: dict[str, Any]) -> Figures | None:
    usage = answer.get("usage")
    if not usage:
        return None
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return Figures(usage["input_tokens"] + read + written, read, (usage["output_tokens"],))

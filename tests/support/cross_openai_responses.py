"""OpenAI Responses, as a side of a crossing (see `cross`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pydantic
from openai.types.responses import response_create_params

from bytespike.testing.responses_stream import validate_stream as validate_any
from tests.support import responses_traffic
from tests.support.cross import Figures, Recorded

__all__ = ["ADAPTERS", "figures", "recorded", "validate_stream"]

ADAPTERS: list[pydantic.TypeAdapter[Any]] = [
    pydantic.TypeAdapter(response_create_params.ResponseCreateParamsNonStreaming),
    pydantic.TypeAdapter(response_create_params.ResponseCreateParamsStreaming),
]


def validate_stream(data: bytes) -> None:
    """Proofs of OpenAI's own keep the ids that they were given with, in whatever dialect they travelled."""
    validate_any(data, native_ids=b'"rs_' in data)


def recorded() -> Iterator[Recorded]:
    for each in responses_traffic.exchanges():
        if each.status == 200:
            whole = each.answer is not None and json.loads(each.answer)["status"] not in (
                "queued",
                "in_progress",
            )
            yield Recorded(each.name, each.request, each.answer if whole else None, each.stream)


def figures(answer: dict[str, Any]) -> Figures | None:
    usage = answer.get("usage")
    if not usage:
        return None
    read = usage["input_tokens_details"]["cached_tokens"]
    return Figures(usage["input_tokens"], read, (usage["output_tokens"],))

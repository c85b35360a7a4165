"""OpenAI Chat Completions, as a side of a crossing (see `cross`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic
from openai.types.chat import completion_create_params

from bytespike.testing.chat_stream import validate_stream
from tests.support import chat_traffic
from tests.support.cross import Figures, Recorded

__all__ = ["ADAPTERS", "figures", "recorded", "validate_stream"]

ADAPTERS: list[pydantic.TypeAdapter[Any]] = [
    pydantic.TypeAdapter(completion_create_params.CompletionCreateParams)
]


def recorded() -> Iterator[Recorded]:
    for each in chat_traffic.exchanges():
        # Some vendors answer 200 with an error inside.
        wrong = each.answer is not None and b'"choices"' not in each.answer
        if each.status == 200 and not wrong:
            yield Recorded(each.name, each.request, each.answer, each.stream)


def figures(answer: dict[str, Any]) -> Figures | None:
    usage = answer.get("usage")
    if not usage:
        return None
    prompt = usage.get("prompt_tokens") or 0
    # Some vendors leave reasoning out of completion_tokens; then only the total has it.
    total = (usage.get("total_tokens") or 0) - prompt
    return Figures(prompt, None, (usage.get("completion_tokens") or 0, total))

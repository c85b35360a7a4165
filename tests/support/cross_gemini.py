"""Gemini native as a side of the crossings (`tests/support/cross.py`)."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from google.genai import types

from bytespike.testing.gemini_stream import validate_stream
from tests.support import gemini_traffic
from tests.support.cross import Figures, Recorded

__all__ = ["ADAPTERS", "figures", "recorded", "validate_stream"]


class Request(pydantic.BaseModel):
    """The body of generateContent. The SDK has no type for it, only for what is in it: this is what its `_to_mldev`
    functions make of a configuration."""

    model_config = pydantic.ConfigDict(extra="forbid")

    contents: list[types.Content]
    systemInstruction: types.Content | None = None
    generationConfig: types.GenerationConfig | None = None
    tools: list[types.Tool] | None = None
    toolConfig: types.ToolConfig | None = None
    safetySettings: list[types.SafetySetting] | None = None
    cachedContent: str | None = None
    labels: dict[str, str] | None = None
    serviceTier: Literal["unspecified", "flex", "standard", "priority"] | None = None
    store: bool | None = None


ADAPTERS = [pydantic.TypeAdapter(Request)]


def recorded() -> list[Recorded]:
    return [
        Recorded(each.name, each.request, each.answer, each.stream)
        for each in gemini_traffic.exchanges()
        if each.status == 200
    ]


def figures(answer: dict[str, Any]) -> Figures | None:
    told = answer.get("usageMetadata")
    if not told:
        return None
    # What the provider's own tools gave the model to read stands beside the prompt, and is charged as input.
    prompt = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    output = told.get("candidatesTokenCount", 0) + told.get("thoughtsTokenCount", 0)
    return Figures(prompt, told.get("cachedContentTokenCount", 0), (output,))

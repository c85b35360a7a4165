"""What a client asked, as OpenTelemetry's conventions write it into a span: JSON of messages with parts.

Only where the operator has asked for it. Text, reasoning, tool calls and their results are told as they are; of images,
documents and other data only that there were some.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bytespike.core.content import (
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.request import ChatRequest
from bytespike.observe import genai
from bytespike.wire.json import encode

#: Of one attribute. More is not told at all: half a JSON is none.
TOLD_BYTES_MAX: Final = 256 * 1024


def told(request: ChatRequest) -> dict[str, str]:
    """The attributes of what was asked."""
    messages: JSON = [
        {"role": turn.role, "parts": [_part(part) for part in turn.parts]} for turn in request.turns
    ]
    found = {genai.INPUT_MESSAGES: encode(messages)}
    if request.system:
        system: JSON = [_part(part) for part in request.system]
        found[genai.SYSTEM_INSTRUCTIONS] = encode(system)
    return {name: value.decode() for name, value in found.items() if len(value) <= TOLD_BYTES_MAX}


def _part(part: Part) -> JSONObject:
    match part:
        case TextPart(text=text) | RefusalPart(text=text):
            return {"type": "text", "content": text}
        case ReasoningPart(text=text):
            return {"type": "reasoning", "content": text}
        case ToolCallPart() | ServerToolCallPart():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
        case ToolResultPart(call_id=call_id, content=content):
            return {"type": "tool_call_response", "id": call_id, "result": _text(content)}
        case _:
            kind = type(part).__name__.removesuffix("Part").lower()
            return {"type": kind, "content": "(not told)"}


def _text(parts: Iterable[Part]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))

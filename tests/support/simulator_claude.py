"""Asking a simulator through the `anthropic` SDK."""

from __future__ import annotations

import base64
from typing import Any

from anthropic import Anthropic
from anthropic.types import Message, MessageParam, TextBlock, ToolParam

PIXEL = base64.b64encode(b"not really a picture").decode()
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
        },
        "required": ["city", "unit", "days"],
    },
}
CLOCK: ToolParam = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}


def user(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


def ask(claude: Anthropic, text: str, **more: Any) -> Message:
    return claude.messages.create(
        model="claude-x", max_tokens=more.pop("max_tokens", 4000), messages=user(text), **more
    )


def said(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))

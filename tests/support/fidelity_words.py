"""Words that probes of requests share: content of each dialect, and what to look for in the hub's request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bytespike.core import content as c
from bytespike.core.request import ChatRequest

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
URL = "https://example.com/cat.png"
PDF_URL = "https://example.com/report.pdf"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CALL = {"city": "Paris"}
CALL_TEXT = json.dumps(CALL)


def parts(request: ChatRequest, kind: type[Any]) -> list[Any]:
    return [part for turn in request.turns for part in turn.parts if isinstance(part, kind)]


def results(request: ChatRequest) -> list[c.ToolResultPart]:
    return parts(request, c.ToolResultPart)


def user(*content: Any) -> dict[str, Any]:
    """Messages, Chat: one user turn of these blocks."""
    return {"messages": [{"role": "user", "content": list(content)}]}


def item(*content: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(content)}]}


def contents(*said: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(said)}]}


def some(kind: type[Any], test: Callable[[Any], bool] = lambda part: True) -> Callable[[ChatRequest], bool]:
    return lambda request: any(test(part) for part in parts(request, kind))


def text_of(request: ChatRequest) -> list[str]:
    return [
        "".join(part.text for part in turn.parts if isinstance(part, c.TextPart)) for turn in request.turns
    ]

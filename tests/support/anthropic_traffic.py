"""The recorded Anthropic traffic, and what counts as the same JSON on this wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.recordings import ROOT, without_nulls

FOLDERS = ("anthropic-messages", "streams/anthropic-messages")
ANSWERS = "responses-only/anthropic"


@dataclass(frozen=True)
class Exchange:
    """One recording. `request` is None where there was none; of `response` and `stream` one is None."""

    name: str
    status: int
    request: dict[str, Any] | None
    response: dict[str, Any] | None
    stream: bytes | None


def _read() -> Iterator[Exchange]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.json")):
            recorded = json.loads(path.read_bytes())
            stream = recorded.get("response_stream")
            yield Exchange(
                f"{folder}/{path.name}",
                recorded["status"],
                recorded["request"],
                recorded.get("response"),
                None if stream is None else stream.encode(),
            )
    for path in sorted((ROOT / ANSWERS).glob("*.json")):
        yield Exchange(f"{ANSWERS}/{path.name}", 200, None, json.loads(path.read_bytes()), None)
    for path in sorted((ROOT / ANSWERS).glob("*.chunks.txt")):
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        framed = [f"event: {json.loads(line)['type']}\ndata: {line}\n\n" for line in lines]
        yield Exchange(f"{ANSWERS}/{path.name}", 200, None, None, "".join(framed).encode())


EXCHANGES: tuple[Exchange, ...] = tuple(_read()) if ROOT.is_dir() else ()


def recorded(kind: str) -> Any:
    """Parametrises a test over "request", "response" (2xx), "stream" or "error" exchanges; skips where none are."""
    chosen = {
        "request": [x for x in EXCHANGES if x.request is not None and x.status == 200],
        "response": [x for x in EXCHANGES if x.response is not None and x.status == 200],
        "stream": [x for x in EXCHANGES if x.stream is not None],
        "error": [x for x in EXCHANGES if x.status != 200],
    }[kind]
    absent = pytest.mark.skip(reason=f"the recorded traffic is not at {ROOT}")
    values = [pytest.param(x, id=x.name) for x in chosen] or [pytest.param(None, marks=absent, id="absent")]
    return pytest.mark.parametrize("exchange", values)


def plain_request(body: dict[str, Any]) -> dict[str, Any]:
    """A request without what means nothing: null members, spellings that are equal, defaults that are spelt out."""
    body = without_nulls(body)
    body.pop("stream", None) if body.get("stream") is False else None
    body["system"] = _blocks(body.get("system", []))
    messages: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = [_plain_block(block) for block in _blocks(message.get("content", []))]
        message = message | {"content": [block for block in content if block is not None]}
        if messages and messages[-1]["role"] == message["role"] != "system":
            messages[-1]["content"] += message["content"]
        else:
            messages.append(message)
    body["messages"] = messages
    body["tools"] = [_plain_tool(tool) for tool in body.get("tools", [])]
    if "output_format" in body:
        body.setdefault("output_config", {})["format"] = body.pop("output_format")
    return body


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _plain_block(block: dict[str, Any]) -> dict[str, Any] | None:
    if block["type"] == "text" and not block["text"]:
        return None
    if block["type"] == "tool_result":
        block = {key: value for key, value in block.items() if not (key == "is_error" and value is False)}
        block["content"] = [b for b in map(_plain_block, _blocks(block.get("content", []))) if b]
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "content":
        block = block | {"source": source | {"content": _blocks(source["content"])}}
    return block


def _plain_tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if not (key == "type" and value == "custom")}


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    """An answer without null members and zero figures that other answers leave out."""
    message = without_nulls(message)
    usage = message.get("usage", {})
    usage.setdefault("cache_creation", {})
    for key in ("cache_creation_input_tokens", "cache_read_input_tokens"):
        usage.setdefault(key, 0)
    for key in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
        usage["cache_creation"].setdefault(key, 0)
    if usage.get("output_tokens_details") == {"thinking_tokens": 0}:
        del usage["output_tokens_details"]
    server = usage.get("server_tool_use", {})
    if not any(server.values()):
        usage.pop("server_tool_use", None)
    else:
        server.setdefault("web_fetch_requests", 0)
    return message

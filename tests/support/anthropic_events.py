"""Building Anthropic's event streams for tests."""

from __future__ import annotations

import json
from typing import Any

from bytespike.core import events as e
from bytespike.protocols.anthropic_messages import DIALECT

USAGE = {"input_tokens": 10, "output_tokens": 1}


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events
    )


def start(**members: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    }
    return {"type": "message_start", "message": message | members}


def block(index: Any, content_block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content_block}


def delta(index: Any, type_: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": type_} | members}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ending(reason: str | None = "end_turn", **members: Any) -> dict[str, Any]:
    event = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
    return event | {"usage": {"output_tokens": 5}} | members


END = {"type": "message_stop"}
PING = {"type": "ping"}
TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def tool(**members: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}} | members


def hello(words: str = "hello") -> list[dict[str, Any]]:
    return [start(), block(0, TEXT), delta(0, "text_delta", text=words), stop(0), ending(), END]


def read_stream(*events: dict[str, Any]) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    return reader.feed(sse(*events)) + reader.end()

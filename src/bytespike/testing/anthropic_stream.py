"""A strict reader of Anthropic's event streams, to hold writers to the wire's order.

It knows only the wire: Anthropic's "Streaming Messages" page and the event types of the official SDK. What real
providers get away with (see `protocols/anthropic_messages/stream_in.py`) is an error here.
"""

from __future__ import annotations

import re

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json
from bytespike.wire.sse import SSEParser

STOP_REASONS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "compaction",
        "refusal",
        "model_context_window_exceeded",
    }
)
#: Which deltas a block takes. Blocks that are not listed take none.
DELTAS = {
    "text": frozenset({"text_delta", "citations_delta"}),
    "thinking": frozenset({"thinking_delta", "signature_delta"}),
    "tool_use": frozenset({"input_json_delta"}),
    "server_tool_use": frozenset({"input_json_delta"}),
    "mcp_tool_use": frozenset({"input_json_delta"}),
}
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MESSAGE_ID = re.compile(r"msg_[a-zA-Z0-9_-]+")


def validate_stream(data: bytes) -> None:
    """Raises `AssertionError` where `data` is not one whole, well-ordered stream that ends in `message_stop` or in
    an `error` event."""
    parser = SSEParser()
    checker = _Checker()
    for event in parser.feed(data):
        decoded = json.decode_object(event.data)
        assert event.event == decoded.get("type"), f"event {event.event!r} holds a {decoded.get('type')!r}"
        checker.take(decoded)
    assert parser.pending == 0, "the last event has no end"
    assert checker.over, "neither message_stop nor error at the end"


class _Checker:
    """`state`: "before" message_start, "content", "ending" (after message_delta), "over"."""

    def __init__(self) -> None:
        self.state = "before"
        self.blocks = 0
        self.open: JSONObject | None = None
        self.input = ""
        self.signatures = 0

    @property
    def over(self) -> bool:
        return self.state == "over"

    def take(self, event: JSONObject) -> None:
        assert not self.over, f"{event['type']} after the end"
        match event["type"]:
            case "ping":
                pass
            case "error":
                error = _object(event, "error")
                assert isinstance(error.get("type"), str), error
                assert isinstance(error.get("message"), str), error
                self.state = "over"
            case "message_start":
                self._message_start(event)
            case "content_block_start":
                self._block_start(event)
            case "content_block_delta":
                self._block_delta(event)
            case "content_block_stop":
                self._block_stop(event)
            case "message_delta":
                self._message_delta(event)
            case "message_stop":
                assert self.state == "ending", "message_stop without message_delta"
                self.state = "over"
            case _:
                assert self.state == "content", f"{event['type']} outside of the message"

    def _message_start(self, event: JSONObject) -> None:
        assert self.state == "before", "a second message_start"
        message = _object(event, "message")
        assert message.get("type") == "message", message
        assert message.get("role") == "assistant", message
        assert message.get("content") == [], "message_start has content"
        assert message.get("stop_reason", 0) is None, message
        assert message.get("stop_sequence", 0) is None, message
        assert isinstance(message.get("model"), str), message
        assert _MESSAGE_ID.fullmatch(str(message.get("id"))), message.get("id")
        _check_usage(_object(message, "usage"), ("input_tokens", "output_tokens"))
        self.state = "content"

    def _block_start(self, event: JSONObject) -> None:
        assert self.state == "content", "content_block_start outside of the content"
        assert self.open is None, "a block starts inside another"
        assert event.get("index") == self.blocks, f"block {event.get('index')} comes after {self.blocks - 1}"
        block = self.open = _object(event, "content_block")
        self.input, self.signatures = "", 0
        match block.get("type"):
            case "text":
                assert block.get("text") == "", block
            case "thinking":
                assert block.get("thinking") == "", block
                assert block.get("signature") == "", block
            case "redacted_thinking":
                assert isinstance(block.get("data"), str), block
                assert block["data"], block
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                assert _TOOL_ID.fullmatch(str(block.get("id"))), block.get("id")
                assert isinstance(block.get("name"), str), block
                assert block.get("input") == {}, block
            case type_:
                assert isinstance(type_, str), block

    def _block_delta(self, event: JSONObject) -> None:
        block = self.open
        assert block is not None, "a delta outside of a block"
        assert event.get("index") == self.blocks, f"a delta of block {event.get('index')} in {self.blocks}"
        delta = _object(event, "delta")
        assert delta.get("type") in DELTAS.get(str(block["type"]), frozenset()), f"{delta} in {block['type']}"
        match delta["type"]:
            case "text_delta":
                assert isinstance(delta.get("text"), str), delta
            case "thinking_delta":
                assert isinstance(delta.get("thinking"), str), delta
                assert self.signatures == 0, "thinking after its signature"
            case "signature_delta":
                assert isinstance(delta.get("signature"), str), delta
                self.signatures += 1
            case "input_json_delta":
                part = delta.get("partial_json")
                assert isinstance(part, str), delta
                self.input += part
            case _:
                assert isinstance(_object(delta, "citation").get("type"), str), delta

    def _block_stop(self, event: JSONObject) -> None:
        block = self.open
        assert block is not None, "content_block_stop outside of a block"
        assert event.get("index") == self.blocks, f"the stop of block {event.get('index')} in {self.blocks}"
        if block["type"] == "thinking":
            assert self.signatures == 1, f"a thinking block with {self.signatures} signatures"
        if block["type"] in ("tool_use", "server_tool_use", "mcp_tool_use"):
            json.decode_object(self.input or "{}")
        self.open = None
        self.blocks += 1

    def _message_delta(self, event: JSONObject) -> None:
        assert self.state in ("content", "ending"), "message_delta outside of the message"
        assert self.open is None, "message_delta inside a block"
        assert _object(event, "delta").get("stop_reason") in STOP_REASONS, event
        _check_usage(_object(event, "usage"), ("output_tokens",))
        self.state = "ending"


def _object(holder: JSONObject, key: str) -> JSONObject:
    value = holder.get(key)
    assert isinstance(value, dict), f"{key} of {holder.get('type')} is no object"
    return value


def _check_usage(usage: JSONObject, required: tuple[str, ...]) -> None:
    for key in required:
        assert _is_count(usage.get(key)), f"usage.{key} is {usage.get(key)!r}"
    for key, value in usage.items():
        assert not key.endswith("_tokens") or value is None or _is_count(value), f"usage.{key} is {value!r}"


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

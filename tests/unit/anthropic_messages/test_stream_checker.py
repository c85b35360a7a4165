"""The strict checker of Anthropic streams itself: it must not let disorder through."""

from __future__ import annotations

from typing import Any

import pytest

from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_events import (
    END,
    PING,
    TEXT,
    THINKING,
    block,
    delta,
    ending,
    hello,
    sse,
    start,
    stop,
    tool,
)

ERROR = {"type": "error", "error": {"type": "api_error", "message": "m"}}
SIGNED = delta(0, "signature_delta", signature="S")


def test_order_is_accepted() -> None:
    validate_stream(sse(*hello()))
    validate_stream(sse(PING, start(), PING, ERROR))
    validate_stream(sse(ERROR))
    validate_stream(sse(start(), block(0, THINKING), SIGNED, stop(0), ending(), ending(), END))


DISORDER: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "no end": hello()[:-1],
    "no message_delta": [start(), END],
    "two starts": [start(), *hello()],
    "content in the start": [start(content=[TEXT]), ending(), END],
    "a stop reason in the start": [start(stop_reason="end_turn"), ending(), END],
    "a foreign id": [start(id="chatcmpl-1"), ending(), END],
    "no usage": [start(usage={}), ending(), END],
    "a gap in the numbers": [start(), block(1, TEXT), stop(1), ending(), END],
    "a block in a block": [start(), block(0, TEXT), block(1, TEXT), stop(1), stop(0), ending(), END],
    "a delta for another block": [
        start(),
        block(0, TEXT),
        delta(1, "text_delta", text="a"),
        stop(0),
        ending(),
        END,
    ],
    "a delta of another type": [
        start(),
        block(0, TEXT),
        delta(0, "thinking_delta", thinking="a"),
        stop(0),
        ending(),
        END,
    ],
    "a delta outside": [start(), delta(0, "text_delta", text="a"), ending(), END],
    "text in the start": [start(), block(0, {"type": "text", "text": "a"}), stop(0), ending(), END],
    "input in the start": [start(), block(0, tool(input={"a": 1})), stop(0), ending(), END],
    "an unsafe tool id": [start(), block(0, tool(id="a:b")), stop(0), ending(), END],
    "thinking without a signature": [start(), block(0, THINKING), stop(0), ending(), END],
    "thinking after its signature": [
        start(),
        block(0, THINKING),
        SIGNED,
        delta(0, "thinking_delta", thinking="a"),
        stop(0),
        ending(),
        END,
    ],
    "the end inside a block": [start(), block(0, TEXT), ending(), END],
    "a stop of another block": [start(), block(0, TEXT), stop(1), ending(), END],
    "an unknown stop reason": [start(), ending("done"), END],
    "no stop reason": [start(), ending(None), END],
    "a block after the end": [start(), ending(), block(0, TEXT), stop(0), END],
    "something after message_stop": [*hello(), PING],
    "something after an error": [ERROR, PING],
    "an error without words": [{"type": "error", "error": {}}],
    "a figure that is no count": [start(), ending(usage={"output_tokens": 1.5}), END],
}


@pytest.mark.parametrize("events", DISORDER.values(), ids=DISORDER)
def test_disorder_is_not(events: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError):
        validate_stream(sse(*events))


def test_bad_framing_and_bad_arguments_are_not() -> None:
    with pytest.raises(AssertionError):
        validate_stream(sse(*hello()).replace(b"event: message_stop", b"event: end"))
    with pytest.raises(AssertionError):
        validate_stream(sse(*hello()) + b"event: ping\n")
    with pytest.raises(ValueError, match="truncated"):
        validate_stream(
            sse(
                start(),
                block(0, tool()),
                delta(0, "input_json_delta", partial_json="{"),
                stop(0),
                ending(),
                END,
            )
        )

"""The strict validator refuses what the wire does not allow: a validator that lets things pass proves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.testing.chat_stream import StreamInvalid, validate_stream

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt"}
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return frame({**HEAD, "choices": [choice], **members})


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
TOTAL = frame({**HEAD, "choices": [], "usage": USAGE})
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ERROR = frame({"error": {"message": "m", "type": "t", "code": "c", "param": None}})


@pytest.mark.parametrize(
    "stream",
    [
        ROLE + STOP + DONE,
        ROLE + chunk({"content": "x"}) + STOP + TOTAL + DONE,
        ROLE + chunk({"tool_calls": [CALL]}) + chunk({}, "tool_calls") + DONE,
        b": hi\n\n" + ROLE + ERROR + DONE,
        ERROR + DONE,
    ],
)
def test_a_right_stream_passes(stream: bytes) -> None:
    validate_stream(stream)


WRONG: dict[str, bytes] = {
    "nothing": b"",
    "no DONE": ROLE + STOP,
    "no choice": DONE,
    "no finish": ROLE + DONE,
    "something after DONE": ROLE + STOP + DONE + ROLE,
    "a named event": ROLE + b"event: x\n" + STOP + DONE,
    "no JSON": ROLE + b"data: x\n\n" + DONE,
    "an unfinished event": ROLE + STOP + DONE + b"data: ",
    "no role": chunk({"content": "x"}) + STOP + DONE,
    "the role twice": ROLE + ROLE + STOP + DONE,
    "two finishes": ROLE + STOP + STOP + DONE,
    "content after the finish": ROLE + STOP + chunk({"content": "x"}) + DONE,
    "a finish with content": ROLE + chunk({"content": "x"}, "stop") + DONE,
    "an unknown finish": ROLE + chunk({}, "eos") + DONE,
    "content that is no string": ROLE + chunk({"content": 5}) + STOP + DONE,
    "another id": ROLE + STOP.replace(b"chatcmpl-1", b"chatcmpl-2") + DONE,
    "another model": ROLE + STOP.replace(b"gpt", b"gtp") + DONE,
    "a foreign id": (ROLE + STOP).replace(b"chatcmpl-1", b"msg_1") + DONE,
    "another object": ROLE + STOP.replace(b"chunk", b"lump") + DONE,
    "usage among choices": ROLE + chunk({}, "stop", usage=USAGE) + DONE,
    "usage before the finish": ROLE + TOTAL + STOP + DONE,
    "usage twice": ROLE + STOP + TOTAL + TOTAL + DONE,
    "usage that does not add up": ROLE + STOP + TOTAL.replace(b": 3}", b": 4}") + DONE,
    "no usage": ROLE + STOP + frame({**HEAD, "choices": []}) + DONE,
    "a call without id": ROLE + chunk({"tool_calls": [{**CALL, "id": None}]}) + STOP + DONE,
    "a call without type": ROLE + chunk({"tool_calls": [{**CALL, "type": None}]}) + STOP + DONE,
    "a call without index": ROLE + chunk({"tool_calls": [{"id": "c"}]}) + STOP + DONE,
    "a call out of order": ROLE + chunk({"tool_calls": [{**CALL, "index": 1}]}) + STOP + DONE,
    "an id twice": ROLE + chunk({"tool_calls": [CALL]}) + chunk({"tool_calls": [CALL]}) + STOP + DONE,
    "arguments that are no JSON": ROLE
    + chunk({"tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{"}}]})
    + chunk({}, "tool_calls")
    + DONE,
    "an empty list": ROLE + chunk({"annotations": []}) + STOP + DONE,
    "an annotation without index": ROLE + chunk({"annotations": [{"type": "x"}]}) + STOP + DONE,
    "a citation without offsets": ROLE
    + chunk(
        {"annotations": [{"index": 0, "type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]}
    )
    + STOP
    + DONE,
    "an error without a code": frame({"error": {"message": "m", "type": "t"}}) + DONE,
    "an error that is text": frame({"error": "m"}) + DONE,
    "an error without DONE": ROLE + ERROR,
    "a chunk after an error": ROLE + ERROR + STOP + DONE,
}


@pytest.mark.parametrize("row", WRONG)
def test_a_wrong_stream_does_not(row: str) -> None:
    with pytest.raises(StreamInvalid):
        validate_stream(WRONG[row])

"""The end of a same-dialect stream that the gateway ends: each choice finishes as at its token limit.

Wire facts (OpenAI's API reference, "The chat completion chunk object"): a choice ends with a chunk whose delta is empty
and that has the reason; usage, where it was asked for, follows in a chunk without choices; `[DONE]` is last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat.frames_out import DONE_FRAME
from bytespike.protocols.openai_chat.usage import write_usage
from bytespike.wire import json
from bytespike.wire.sse import frame

#: What every chunk of an answer repeats.
_REPEATED: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider")


def cut_stream(chunk: bytes, model: str, choices: Iterable[int], usage: Usage | None) -> bytes:
    """`chunk`: the JSON of one that went by. `choices`: those that have not finished. `usage`: None if the client wants
    none."""
    try:
        seen = json.decode_object(chunk)
    except json.NotJSON:
        seen = {}
    members: JSONObject = {key: seen[key] for key in _REPEATED if key in seen}
    members["model"] = model
    out: list[bytes] = []
    for choice in choices:
        ended: JSONObject = {"index": choice, "delta": {}, "logprobs": None, "finish_reason": "length"}
        told: list[JSON] = [ended]
        last: JSONObject = {**members, "choices": told}
        out.append(frame(json.encode(last if usage is None else {**last, "usage": None})))
    if usage is not None:
        out.append(frame(json.encode({**members, "choices": [], "usage": write_usage(usage)})))
    out.append(DONE_FRAME)
    return b"".join(out)

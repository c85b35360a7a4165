"""The end of a same-dialect stream that the gateway ends: a last chunk in which each candidate stops at its token limit.

Wire facts (Gemini API reference, `GenerateContentResponse`): a candidate's last chunk has its `finishReason`; figures so
far are in every chunk, and the latest count; events have no closing frame, an array has its bracket.
"""

from __future__ import annotations

from collections.abc import Iterable

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.protocols.gemini.frames_out import SEPARATOR
from bytespike.protocols.gemini.usage import write_usage
from bytespike.wire import json
from bytespike.wire.sse import frame


def cut_stream(chunk: bytes, model: str, candidates: Iterable[int], usage: Usage, *, array: bool) -> bytes:
    """`chunk`: the JSON of the one that went by last. `candidates`: those that have not finished."""
    try:
        seen = json.decode_object(chunk)
    except json.NotJSON:
        seen = {}
    written: list[JSON] = []
    for index in candidates:
        content: JSONObject = {"parts": [{"text": ""}], "role": "model"}
        written.append({"content": content, "finishReason": "MAX_TOKENS", "index": index})
    last: JSONObject = {
        "candidates": written,
        "usageMetadata": write_usage(usage),
        "modelVersion": model,
    }
    if "responseId" in seen:
        last["responseId"] = seen["responseId"]
    body = json.encode(last)
    return SEPARATOR + body + b"]" if array else frame(body)

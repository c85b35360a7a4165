"""Ids and arguments of tool calls, in the form that Anthropic accepts.

`tool_use.id` and `tool_result.tool_use_id` must match ^[a-zA-Z0-9_-]+$ (Messages API reference); other dialects allow
anything. `safe_id` is a pure function of the id, so that a call and its result agree wherever they stand; `CallIds`
tells calls apart that share an id.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from bytespike.core.content import ToolCallPart
from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire import json

_SAFE = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_UNSAFE_RUN = re.compile(r"[^a-zA-Z0-9_-]+")
_READABLE_CHARS = 40
_HASH_CHARS = 16

#: Arguments that are no JSON object are wrapped in one under this name, and unwrapped when they come back.
INVALID_ARGUMENTS = "invalid_arguments"
#: The one argument of a free-form tool, once it is a function.
CUSTOM_INPUT = "input"


def safe_id(call_id: str) -> str:
    """The id itself where Anthropic would take it, else a readable remnant and a hash."""
    if _SAFE.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    readable = _UNSAFE_RUN.sub("_", call_id[:_READABLE_CHARS]).strip("_") or "call"
    return f"{readable}_{digest}"


class CallIds:
    """The written ids of one request's calls.

    Ids may come again in a later turn (the API takes that), but calls that wait for their results together need
    different ones: a second one gets a suffix, and results go to the calls of their id in order.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}

    def for_call(self, call_id: str) -> str:
        written = base = safe_id(call_id)
        count = 1
        while written in self._waiting:
            count += 1
            written = f"{base}_{count}"
        self._waiting[written] = call_id
        return written

    def for_result(self, call_id: str) -> str:
        written = next((own for own, called in self._waiting.items() if called == call_id), None)
        if written is None:
            return safe_id(call_id)
        del self._waiting[written]
        return written


def input_of(call: ToolCallPart) -> JSONObject | msgspec.Raw:
    """The call's `input`: its arguments verbatim where they are a JSON object, else wrapped in one."""
    if call.kind == "custom":
        return {CUSTOM_INPUT: call.arguments}
    return object_of(call.arguments)


def object_of(arguments: str) -> JSONObject | msgspec.Raw:
    if not arguments or arguments.isspace():
        return {}
    try:
        value = json.decode_object(arguments)
    except json.NotJSON:
        return {INVALID_ARGUMENTS: arguments}
    if json.nests_deeper(value):
        return {INVALID_ARGUMENTS: arguments}
    return msgspec.Raw(arguments.encode())


def arguments_of(value: JSON) -> str:
    """The arguments, as JSON text, of an `input`."""
    if isinstance(value, dict) and len(value) == 1:
        wrapped = value.get(INVALID_ARGUMENTS)
        if isinstance(wrapped, str):
            return wrapped
    return json.encode(value).decode()

"""The wire's shapes that are decoded often, as typed structs: events of a stream, and the few members that `peek` and
the passthrough need.

Only the members that are read are named; msgspec skips the others without building them. Requests and whole answers are
not here: there every member must survive, see `fields`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, cast

import msgspec
from msgspec import Struct

#: A member that is left as bytes, to be decoded only if it is needed.
ABSENT = msgspec.Raw(b"")


class Event(Struct, gc=False):
    """Any event, as far as the frequent ones are read. `delta` is text in all but one of them; that one fails to decode
    and takes the slow way."""

    type: str
    delta: str = ""
    output_index: int = -1
    content_index: int = 0
    summary_index: int = 0
    logprobs: list[Any] | None = None


class Delta(Struct, gc=False):
    """Of a delta what the tap takes: its text, and the item that it belongs to."""

    delta: str
    output_index: int | None = None


class ItemEvent(Struct, gc=False):
    """An event about an item or a part of one, with these as bytes."""

    output_index: int
    item: msgspec.Raw = ABSENT
    part: msgspec.Raw = ABSENT
    annotation: msgspec.Raw = ABSENT


class TypeOnly(Struct, gc=False):
    type: str = ""


class ToolPeek(Struct, gc=False):
    type: str | None = None


class RequestPeek(Struct, gc=False):
    """`input` and the others that are left as bytes are only asked whether they are there."""

    model: str
    stream: bool | None = None
    max_output_tokens: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    tools: list[ToolPeek] | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: msgspec.Raw = msgspec.Raw(b"null")
    response_format: msgspec.Raw = msgspec.Raw(b"null")


class Echoed(TypedDict, total=False):
    """The members of a request that its response repeats (`echo.DEFAULTS`), and `response_format`, which becomes one."""

    background: Any
    instructions: Any
    max_output_tokens: Any
    max_tool_calls: Any
    metadata: Any
    parallel_tool_calls: Any
    previous_response_id: Any
    prompt_cache_key: Any
    prompt_cache_retention: Any
    reasoning: Any
    safety_identifier: Any
    service_tier: Any
    store: Any
    temperature: Any
    text: Any
    tool_choice: Any
    tools: Any
    top_logprobs: Any
    top_p: Any
    truncation: Any
    user: Any
    response_format: Any


class ActionHead(Struct, gc=False):
    type: str | None = None


class ItemHead(Struct, gc=False):
    type: str | None = None
    status: str | None = None
    action: ActionHead | None = None


class Searches(Struct, gc=False):
    num_requests: int | None = None


class ToolUsage(Struct, gc=False):
    web_search: Searches | None = None


class ResponseHead(Struct, gc=False):
    """What passthrough needs of a response object, whole or in an event."""

    model: str | None = None
    status: str | None = None
    error: Any = None
    usage: dict[str, Any] | None = None
    tool_usage: ToolUsage | None = None
    output: list[ItemHead] | None = None


class ResponseEvent(Struct, gc=False):
    """An event about the whole response."""

    response: msgspec.Raw = ABSENT


#: These raise what is in `UNREADABLE` on bytes that are not the wire's.
decode_event = msgspec.json.Decoder(Event).decode
decode_item_event = msgspec.json.Decoder(ItemEvent).decode
decode_delta = msgspec.json.Decoder(Delta).decode
decode_type = msgspec.json.Decoder(TypeOnly).decode
decode_request_peek = msgspec.json.Decoder(RequestPeek).decode
#: The members of a request that are peeked at.
PEEKED = frozenset(RequestPeek.__struct_fields__)
#: The members of a request that its response repeats.
ECHOED = frozenset(Echoed.__annotations__)
decode_echoed = cast("Callable[[bytes], dict[str, Any]]", msgspec.json.Decoder(Echoed).decode)
decode_head = msgspec.json.Decoder(ResponseHead).decode
decode_response_event = msgspec.json.Decoder(ResponseEvent).decode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

"""The wire's shapes that are decoded often, as typed structs: events of a stream, and the few members that `peek`
and the passthrough need.

Only the members that are read are named; msgspec skips the others without building them. Requests and whole answers
are not here: there every member must survive, see `fields`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Struct

#: A member that is left as bytes, to be decoded only if it is needed.
ABSENT = msgspec.Raw()
#: A figure beyond this is no count of tokens.
COUNT_MAX = 10**12


class Delta(Struct, frozen=True):
    """`content_block_delta.delta`, all types in one."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None


class StreamEvent(Struct, frozen=True):
    """Any event. `index` and `delta` are meaningful only in `content_block_delta`."""

    type: str = ""
    index: int = -1
    delta: Delta | None = None


class TypeOnly(Struct, frozen=True):
    type: str = ""


class BlockStart(Struct, frozen=True):
    """`content_block_start`, and of its block the type."""

    content_block: TypeOnly = TypeOnly()


class StartEvent(Struct, frozen=True):
    """`message_start`, with its message as bytes."""

    type: str
    message: msgspec.Raw


class MessageHead(Struct, frozen=True):
    """The members of a message that passthrough needs. `type`: "error" for an error inside of a success."""

    type: str | None = None
    model: str = ""
    usage: msgspec.Raw = ABSENT


TokenCount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


class PlainCacheCreation(Struct, forbid_unknown_fields=True, gc=False):
    ephemeral_5m_input_tokens: TokenCount = 0
    ephemeral_1h_input_tokens: TokenCount = 0


class PlainUsage(Struct, forbid_unknown_fields=True, gc=False):
    """`usage` as most answers have it. What has any other member is read by `usage.read_usage`."""

    input_tokens: TokenCount
    output_tokens: TokenCount
    cache_creation_input_tokens: TokenCount | None = None
    cache_read_input_tokens: TokenCount | None = None
    cache_creation: PlainCacheCreation | None = None
    server_tool_use: None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


class DeltaEvent(Struct, frozen=True):
    """`message_delta`."""

    type: str
    usage: msgspec.Raw = ABSENT


class PeekTool(Struct, frozen=True):
    type: str | None = None


class PeekMetadata(Struct, frozen=True):
    user_id: str | None = None


class PeekBody(Struct, frozen=True):
    """The members of a request that routing and money need."""

    model: str
    stream: bool | None = None
    max_tokens: int | None = None
    metadata: PeekMetadata | None = None
    tools: list[PeekTool] | None = None


decode_event = msgspec.json.Decoder(StreamEvent).decode
decode_type = msgspec.json.Decoder(TypeOnly).decode
decode_block_start = msgspec.json.Decoder(BlockStart).decode
decode_start = msgspec.json.Decoder(StartEvent).decode
decode_head = msgspec.json.Decoder(MessageHead).decode
decode_message_delta = msgspec.json.Decoder(DeltaEvent).decode
decode_peek = msgspec.json.Decoder(PeekBody).decode
#: The members of a request that are peeked at.
PEEKED = frozenset(PeekBody.__struct_fields__)

#: What the decoders above raise.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
decode_plain_usage = msgspec.json.Decoder(PlainUsage).decode

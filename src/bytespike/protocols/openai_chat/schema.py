"""The wire's streamed chunks, as far as they are read, and what is peeked at.

Typed decoding of only these members is what makes a streamed event cheap. The types are wider than OpenAI's, because
vendors send null, integers for ids, arrays for content and objects for arguments. Everything else about a chunk is
skipped by the decoder. `dict[str, Any]` members are decoded JSON and are read through `fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Struct

from bytespike.protocols.token_figures import TOKENS_MAX


class FunctionDelta(Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CustomDelta(Struct, gc=False):
    name: str | None = None
    input: str | None = None


class ToolCallDelta(Struct, gc=False):
    index: int | None = None
    id: str | int | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra_content: dict[str, Any] | None = None


class Delta(Struct, gc=False):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    tool_calls: list[ToolCallDelta] | None = None
    refusal: str | None = None
    function_call: FunctionDelta | None = None
    annotations: list[dict[str, Any]] | None = None
    citation_details: list[dict[str, Any]] | None = None
    server_tool_calls: list[dict[str, Any]] | None = None
    executed_tools: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    audio: dict[str, Any] | None = None
    extra_content: dict[str, Any] | None = None


class LogprobsDelta(Struct, gc=False):
    content: list[Any] | None = None
    refusal: list[Any] | None = None


class ChoiceDelta(Struct, gc=False):
    index: int | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    stop_reason: str | int | None = None
    finish_detail: str | None = None
    logprobs: LogprobsDelta | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class Groq(Struct, gc=False):
    usage: dict[str, Any] | None = None
    error: str | None = None


class Chunk(Struct, gc=False):
    choices: list[ChoiceDelta] | None = None
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    x_groq: Groq | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    moderation: dict[str, Any] | None = None
    base_resp: dict[str, Any] | None = None
    code: str | int | None = None
    message: str | None = None


class StreamOptionsPeek(Struct, gc=False):
    include_usage: bool | None = None


class ToolPeek(Struct, gc=False):
    type: str | None = None


class RequestPeek(Struct, gc=False):
    model: str
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stream_options: StreamOptionsPeek | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    web_search_options: msgspec.Raw = msgspec.Raw(b"null")
    enable_search: bool | None = None
    tools: list[ToolPeek] | None = None


#: A member that is left as bytes, to be decoded only if it is needed.
ABSENT = msgspec.Raw()
TokenCount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=TOKENS_MAX)]


class PlainPromptDetails(Struct, gc=False, forbid_unknown_fields=True):
    cached_tokens: TokenCount = 0
    audio_tokens: TokenCount = 0


class PlainCompletionDetails(Struct, gc=False, forbid_unknown_fields=True):
    reasoning_tokens: TokenCount = 0
    audio_tokens: TokenCount = 0
    accepted_prediction_tokens: TokenCount = 0
    rejected_prediction_tokens: TokenCount = 0


class PlainUsage(Struct, gc=False, forbid_unknown_fields=True):
    """`usage` as OpenAI and most others write it. What has any other member is read by `usage.read_usage`."""

    prompt_tokens: TokenCount
    completion_tokens: TokenCount
    total_tokens: TokenCount
    prompt_tokens_details: PlainPromptDetails | None = None
    completion_tokens_details: PlainCompletionDetails | None = None


class ChoicePeek(Struct, gc=False):
    usage: msgspec.Raw = ABSENT
    error: Any = None


class AnswerPeek(Struct, gc=False):
    """What passthrough needs of a unary answer. `error`: OpenRouter answers 200 with one, MiniMax with `base_resp`."""

    model: str | None = None
    usage: msgspec.Raw = ABSENT
    choices: list[ChoicePeek] | None = None
    error: Any = None
    base_resp: dict[str, Any] | None = None


#: Decode one frame of a stream. Raises `msgspec.DecodeError`, `UnicodeDecodeError`, `RecursionError`.
decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_request_peek = msgspec.json.Decoder(RequestPeek).decode
#: The members of a request that are peeked at.
PEEKED = frozenset(RequestPeek.__struct_fields__)
decode_answer_peek = msgspec.json.Decoder(AnswerPeek).decode
decode_plain_usage = msgspec.json.Decoder(PlainUsage).decode

#: What decoding raises on bytes that are not the wire's.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


# --- what the tap counts ---------------------------------------------------------------------------------------


class TapCall(Struct, gc=False):
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None


class TapDetail(Struct, gc=False):
    text: str | None = None
    summary: str | None = None


class TapDelta(Struct, gc=False):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[TapDetail] | None = None
    tool_calls: list[TapCall] | None = None
    refusal: str | None = None


class TapChoice(Struct, gc=False):
    index: int | None = None
    delta: TapDelta | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class TapChunk(Struct, gc=False):
    choices: list[TapChoice] | None = None
    model: str | None = None
    usage: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    error: Any = None
    x_groq: Groq | None = None
    base_resp: dict[str, Any] | None = None


decode_tap = msgspec.json.Decoder(TapChunk).decode

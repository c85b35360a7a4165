"""The wire's chunks and requests, as far as they are read by type.

Typed decoding of only these members is what makes a streamed event cheap. Parts stay decoded JSON, because every kind of
part has members that must survive. `dict[str, Any]` members are decoded JSON and are read through `fields`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class ContentDelta(Struct, gc=False):
    parts: list[dict[str, Any]] | None = None


class CandidateDelta(Struct, gc=False):
    content: ContentDelta | None = None
    index: int | None = None
    finishReason: str | None = None
    groundingMetadata: dict[str, Any] | None = None
    citationMetadata: dict[str, Any] | None = None
    logprobsResult: dict[str, Any] | None = None


class Feedback(Struct, gc=False):
    blockReason: str | None = None
    blockReasonMessage: str | None = None


class Chunk(Struct, gc=False):
    candidates: list[CandidateDelta] | None = None
    promptFeedback: Feedback | None = None
    usageMetadata: dict[str, Any] | None = None
    modelVersion: str | None = None
    responseId: str | None = None
    createTime: str | None = None
    error: Any = None


class TapPart(Struct, gc=False):
    text: str | None = None
    functionCall: dict[str, Any] | None = None


class TapContent(Struct, gc=False):
    parts: list[TapPart] | None = None


class TapGrounding(Struct, gc=False):
    webSearchQueries: list[Any] | None = None


class TapCandidate(Struct, gc=False):
    content: TapContent | None = None
    index: int | None = None
    finishReason: str | None = None
    groundingMetadata: TapGrounding | None = None


class TapChunk(Struct, gc=False):
    """What passthrough needs of a chunk, and of a whole answer."""

    candidates: list[TapCandidate] | None = None
    promptFeedback: Feedback | None = None
    usageMetadata: dict[str, Any] | None = None
    modelVersion: str | None = None
    error: Any = None


class ConfigPeek(Struct, gc=False):
    maxOutputTokens: int | float | None = None
    max_output_tokens: int | float | None = None
    candidateCount: int | float | None = None
    candidate_count: int | float | None = None


class ToolPeek(Struct, gc=False):
    """The three spellings of web search, in both cases; only whether they are there matters."""

    googleSearch: Any = None
    google_search: Any = None
    googleSearchRetrieval: Any = None
    google_search_retrieval: Any = None
    enterpriseWebSearch: Any = None
    enterprise_web_search: Any = None


class RequestPeek(Struct, gc=False):
    generationConfig: ConfigPeek | None = None
    generation_config: ConfigPeek | None = None
    tools: list[ToolPeek] | None = None


#: Decode one chunk. Raises `msgspec.DecodeError`, `UnicodeDecodeError`, `RecursionError`.
decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_tap = msgspec.json.Decoder(TapChunk).decode
decode_request_peek = msgspec.json.Decoder(RequestPeek).decode

#: What decoding raises on bytes that are not the wire's.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

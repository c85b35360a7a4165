"""Same-dialect traffic: what routing and money need to know of a body.

The model is in the URL, so a request passes as it is, with one exception: a conversation that was held with another
provider's model carries that provider's proofs in sealed signatures (`envelope`), which Google would refuse. When such a
request goes to a Google upstream they are taken out, and only then is the body written anew.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bytespike.core.dialect import Peek, Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.gemini.contents_out import FOREIGN_SIGNATURE
from bytespike.protocols.gemini.envelope import SEALED_PREFIX, is_sealed
from bytespike.protocols.gemini.errors import stream_error
from bytespike.protocols.gemini.names import CANDIDATES_MAX, thinks_by_level
from bytespike.protocols.gemini.schema import (
    UNREADABLE,
    ConfigPeek,
    TapChunk,
    decode_request_peek,
    decode_tap,
)
from bytespike.protocols.gemini.tap import GeminiTap
from bytespike.protocols.gemini.usage import read_usage, with_searches
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member

_SEALED: Final = SEALED_PREFIX.encode()
_CALL: Final = ("functionCall", "function_call")
_SIGNATURE: Final = ("thoughtSignature", "thought_signature")
#: Parts that exist only because this gateway wrote them, once their signature is a seal.
_OWN_PARTS: Final = ("toolCall", "tool_call", "toolResponse", "tool_response")


def peek(body: bytes) -> Peek:
    """Raises `InvalidRequest` for what is no JSON object, or has wrong types in the members that are read. The model, the
    stream and its form are in the URL."""
    try:
        seen = decode_request_peek(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except UNREADABLE as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"The request body is not valid JSON: {why}.") from None
    config = seen.generationConfig or seen.generation_config or ConfigPeek()
    limit = config.maxOutputTokens if config.maxOutputTokens is not None else config.max_output_tokens
    candidates = config.candidateCount if config.candidateCount is not None else config.candidate_count
    if limit is not None and limit < 1:
        name = "generationConfig.maxOutputTokens"
        raise InvalidRequest(f"'{name}' must be at least 1.", param=name)
    if candidates is not None and not 1 <= candidates <= CANDIDATES_MAX:
        name = "generationConfig.candidateCount"
        raise InvalidRequest(f"'{name}' must be between 1 and {CANDIDATES_MAX}.", param=name)
    return Peek(
        model="",
        stream=False,
        max_output_tokens=None if limit is None else int(limit),
        candidates=int(candidates or 1),
        web_search=any(
            spelt is not None
            for tool in seen.tools or ()
            for spelt in (
                tool.googleSearch,
                tool.google_search,
                tool.googleSearchRetrieval,
                tool.google_search_retrieval,
                tool.enterpriseWebSearch,
                tool.enterprise_web_search,
            )
        ),
    )


def _invalid(message: str) -> InvalidRequest:
    """msgspec's message ("Expected `int`, got `str` - at `$.tools[0]`"), with the path as a param."""
    problem, _, where = message.partition(" - at ")
    path = where.strip("`").removeprefix("$").lstrip(".")
    problem = problem.replace("`", "")
    return InvalidRequest(
        f"'{path}': {problem}." if path else f"The request body: {problem}.", param=path or None
    )


def patch_request(body: bytes, target: Target) -> bytes:
    """The body for `target`: the same bytes object where it carries no seal."""
    return without_sealed(body, target) if _SEALED in body else body


def without_sealed(body: bytes, target: Target) -> bytes:
    """The body without seals and without the parts that are nothing without them; the same bytes if there are none."""
    try:
        request = json.decode_object(body)
    except json.NotJSON:
        return body
    contents = request.get("contents")
    if not isinstance(contents, list):
        return body
    kept: list[JSON] = []
    changed = False
    for content in contents:
        parts = content.get("parts") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(parts, list):
            kept.append(content)
            continue
        edited = _without_seals(parts, signs_calls=thinks_by_level(target))
        if edited == parts:
            kept.append(content)
            continue
        changed = True
        if edited:
            kept.append({**content, "parts": edited})
    return json.encode({**request, "contents": kept}) if changed else body


def _without_seals(parts: list[JSON], *, signs_calls: bool) -> list[JSON]:
    edited: list[JSON] = []
    called = False
    for part in parts:
        if not isinstance(part, dict) or not _has_seal(part):
            called = called or (isinstance(part, dict) and any(key in part for key in _CALL))
            edited.append(part)
            continue
        if part.get("thought") or any(key in part for key in _OWN_PARTS):
            continue
        bare: JSONObject = {key: value for key, value in part.items() if key not in _SIGNATURE}
        if any(key in bare for key in _CALL):
            if signs_calls and not called:
                bare["thoughtSignature"] = FOREIGN_SIGNATURE
            called = True
        edited.append(bare)
    return edited


def _has_seal(part: JSONObject) -> bool:
    return any(isinstance(told := part.get(key), str) and is_sealed(told) for key in _SIGNATURE)


def patch_response(body: bytes, model: str) -> tuple[bytes, Usage | None]:
    """The answer under the client's name for the model, and the provider's figures. Raises `UpstreamError`, also for an
    answer that is an error though its status said otherwise. A blocked prompt is an answer of this dialect."""
    if body.lstrip()[:1] == b"[":
        return _patch_array(body, model)
    try:
        seen = decode_tap(body)
    except UNREADABLE as error:
        raise UpstreamError(f"The upstream's answer is malformed: {error}.") from None
    if seen.error:
        raise UpstreamError(stream_error(seen.error).message)
    if seen.modelVersion is not None and seen.modelVersion != model:
        body = replace_string_member(body, "modelVersion", json.encode(model))
    return body, _usage_of(seen)


def _usage_of(seen: TapChunk) -> Usage | None:
    if not seen.usageMetadata:
        return None
    tap = GeminiTap("")
    tap.note(seen)
    return with_searches(read_usage(seen.usageMetadata), tap.searches, seen.usageMetadata)


def _patch_array(body: bytes, model: str) -> tuple[bytes, Usage | None]:
    tap = GeminiTap(model)
    out = tap.feed(body) + tap.end()
    if tap.failure is not None:
        raise UpstreamError(tap.failure.message)
    return out, tap.usage

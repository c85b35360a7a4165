"""Content blocks in, parts out: the blocks of requests and of answers, which are the same ones.

Wire facts: `ContentBlockParam`, `ContentBlock` and their beta forms in the official SDK. A block of a type that is not
listed here becomes a `ForeignPart` with its whole text, and so does a known block around a source of an unknown type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.anthropic_messages.citations import read_citation
from bytespike.protocols.anthropic_messages.envelope import read_reasoning
from bytespike.protocols.anthropic_messages.fields import (
    NOT_AN_ARRAY,
    SPELLING,
    Fields,
    WireError,
    as_fields,
    cache_and_rest,
    extras_of,
)
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.anthropic_messages.tool_ids import arguments_of

#: Blocks hold blocks (tool results, documents) at most this deep: tool_result > document > content.
BLOCK_DEPTH_MAX = 8
#: Where the id of the call is kept to which a sealed proof belongs, until `attach_call_proofs` has seen the turn.
_CALL_PROOF = "_call"

_TEXT = frozenset({"type", "text", "citations", "cache_control"})
_IMAGE = frozenset({"type", "source", "cache_control"})
_DOCUMENT = frozenset({"type", "source", "title", "context", "citations", "cache_control"})
_SEARCH_RESULT = frozenset({"type", "source", "title", "content", "citations", "cache_control"})
_THINKING = frozenset({"type", "thinking", "signature", "cache_control"})
_REDACTED = frozenset({"type", "data", "cache_control"})
_TOOL_USE = frozenset({"type", "id", "name", "input", "cache_control"})
_TOOL_RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
_SERVER_RESULT = frozenset({"type", "tool_use_id", "content", "cache_control"})


def read_content(value: JSON, path: str, depth: int = 0) -> tuple[c.Part, ...]:
    """A string or an array of blocks. Raises `WireError`."""
    if isinstance(value, str):
        return (c.TextPart(value),)
    if not isinstance(value, list):
        raise WireError(path, NOT_AN_ARRAY)
    parts: list[c.Part] = []
    reasons = False
    for index, block in enumerate(value):
        if isinstance(block, dict) and len(block) == 2 and block.get("type") == "text":
            text = block.get("text")
            if isinstance(text, str):
                # The plain form, which needs no path for errors.
                parts.append(c.TextPart(text))
                continue
        part = read_block(as_fields(block, f"{path}.{index}"), depth)
        reasons = reasons or isinstance(part, c.ReasoningPart)
        parts.append(part)
    return attach_call_proofs(parts) if reasons else tuple(parts)


def read_block(block: Fields, depth: int = 0) -> c.Part:
    """One block of any type. Raises `WireError`."""
    type_ = block.string("type")
    if depth > BLOCK_DEPTH_MAX:
        raise WireError(block.path, f"blocks nest more than {BLOCK_DEPTH_MAX} deep")
    reader = _READERS.get(type_)
    if reader is not None:
        return reader(block, depth)
    if type_.endswith("_tool_result") and isinstance(block.obj.get("tool_use_id"), str):
        return _server_result(block, type_)
    return _foreign(block)


def attach_call_proofs(parts: list[c.Part]) -> tuple[c.Part, ...]:
    """Proofs of tool calls travel in thinking blocks of their own (`envelope`): give them back to their calls."""
    proofs: dict[str, c.Proof] = {}
    kept: list[c.Part] = []
    for part in parts:
        call = part.extras.get(NAME, {}).get(_CALL_PROOF) if isinstance(part, c.ReasoningPart) else None
        if call is not None and isinstance(part, c.ReasoningPart):
            if part.proof is not None:
                proofs[str(call)] = part.proof
        else:
            kept.append(part)
    if not proofs:
        return tuple(kept)
    return tuple(
        structs.replace(part, proof=proofs[part.id])
        if isinstance(part, c.ToolCallPart) and part.id in proofs
        else part
        for part in kept
    )


def _foreign(block: Fields) -> c.ForeignPart:
    cache, _ = cache_and_rest(block, frozenset({"cache_control"}))
    return c.ForeignPart(NAME, block.string("type"), block.obj, cache)


def _text(block: Fields, _depth: int) -> c.TextPart:
    text = block.string("text")
    if len(block.obj) == 2:
        return c.TextPart(text)
    cache, rest = cache_and_rest(block, _TEXT)
    citations: list[c.Citation] = []
    if block.optional_array("citations"):
        for fields in block.objects("citations"):
            citation = read_citation(fields)
            if citation is None:
                # Of a type that the hub does not know: the whole list is kept, for the writer of this dialect.
                rest["citations"] = block.obj["citations"]
            else:
                citations.append(citation)
    return c.TextPart(text, tuple(citations), cache, extras_of(rest))


def _source(block: Fields, depth: int) -> c.Source | None:
    """None for a source of a type that the hub does not know."""
    source = block.object("source")
    match source.string("type"):
        case "base64":
            return c.Base64Source(source.optional_string("media_type") or "", source.string("data"))
        case "url":
            return c.UrlSource(source.string("url"))
        case "file":
            return c.FileSource(source.string("file_id"), NAME)
        case "text":
            return c.TextSource(source.string("data"))
        case "content":
            return c.PartsSource(read_content(source.obj.get("content"), source.at("content"), depth + 1))
        case _:
            return None


def _image(block: Fields, depth: int) -> c.Part:
    source = _source(block, depth)
    if source is None:
        return _foreign(block)
    cache, rest = cache_and_rest(block, _IMAGE)
    return c.ImagePart(source, cache=cache, extras=extras_of(rest))


def _cite(block: Fields) -> bool | None:
    config = block.optional_object("citations")
    return None if config is None else config.optional_boolean("enabled")


def _document(block: Fields, depth: int) -> c.Part:
    source = _source(block, depth)
    if source is None:
        return _foreign(block)
    cache, rest = cache_and_rest(block, _DOCUMENT)
    return c.DocumentPart(
        source,
        title=block.optional_string("title"),
        context=block.optional_string("context"),
        cite=_cite(block),
        cache=cache,
        extras=extras_of(rest),
    )


def _search_result(block: Fields, _depth: int) -> c.SearchResultPart:
    cache, rest = cache_and_rest(block, _SEARCH_RESULT)
    return c.SearchResultPart(
        source=block.string("source"),
        title=block.string("title"),
        content=tuple(_text(text, 0) for text in block.objects("content")),
        cite=_cite(block),
        cache=cache,
        extras=extras_of(rest),
    )


def _reasoning(part: c.ReasoningPart, call: str | None, rest: JSONObject) -> c.ReasoningPart:
    if call is not None:
        return structs.replace(part, extras=extras_of({_CALL_PROOF: call}))
    return structs.replace(part, extras=extras_of(rest)) if rest else part


def _thinking(block: Fields, _depth: int) -> c.ReasoningPart:
    _, rest = cache_and_rest(block, _THINKING)
    opaque = block.optional_string("signature") or ""
    part, call = read_reasoning(block.string("thinking"), opaque, redacted=False)
    return _reasoning(part, call, rest)


def _redacted_thinking(block: Fields, _depth: int) -> c.ReasoningPart:
    _, rest = cache_and_rest(block, _REDACTED)
    part, call = read_reasoning("", block.string("data"), redacted=True)
    return _reasoning(part, call, rest)


def _tool_use(block: Fields, _depth: int) -> c.ToolCallPart:
    cache, rest = cache_and_rest(block, _TOOL_USE)
    return c.ToolCallPart(
        block.string("id"),
        block.some_string("name"),
        arguments_of(block.object("input").obj),
        cache=cache,
        extras=extras_of(rest),
    )


def _tool_result(block: Fields, depth: int) -> c.ToolResultPart:
    cache, rest = cache_and_rest(block, _TOOL_RESULT)
    content = block.obj.get("content")
    return c.ToolResultPart(
        block.string("tool_use_id"),
        () if content is None else read_content(content, block.at("content"), depth + 1),
        is_error=block.optional_boolean("is_error") or False,
        cache=cache,
        extras=extras_of(rest),
    )


def _server_call(block: Fields, _depth: int) -> c.ServerToolCallPart:
    cache, rest = cache_and_rest(block, _TOOL_USE)
    if block.obj["type"] != "server_tool_use":
        rest[SPELLING] = block.obj["type"]
    return c.ServerToolCallPart(
        block.string("id"),
        block.string("name"),
        arguments_of(block.object("input").obj),
        origin=NAME,
        cache=cache,
        extras=extras_of(rest),
    )


def _server_result(block: Fields, type_: str) -> c.ServerToolResultPart:
    cache, rest = cache_and_rest(block, _SERVER_RESULT)
    content = block.obj.get("content")
    content_type = content.get("type") if isinstance(content, dict) else None
    failed = isinstance(content_type, str) and content_type.endswith("_error")
    return c.ServerToolResultPart(
        block.string("tool_use_id"),
        type_,
        content,
        origin=NAME,
        is_error=failed or block.obj.get("is_error") is True,
        cache=cache,
        extras=extras_of(rest),
    )


_READERS: Mapping[str, Callable[[Fields, int], c.Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _server_call,
    "mcp_tool_use": _server_call,
}

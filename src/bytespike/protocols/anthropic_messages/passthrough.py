"""Same-dialect traffic: what routing needs to know of a body, and the body with another model name.

Every other byte stays as it was, with one exception: a conversation that was held with another provider's model carries
that provider's proofs in sealed signatures (`envelope`), which Anthropic would refuse. When such a request goes to an
Anthropic upstream, the sealed blocks are taken out, and only then is the body written anew.
"""

from __future__ import annotations

import msgspec

from bytespike.core.dialect import Peek, Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.anthropic_messages.errors import told_error
from bytespike.protocols.anthropic_messages.fields import REQUIRED, WireError
from bytespike.protocols.anthropic_messages.schema import (
    ABSENT,
    DECODE_ERRORS,
    PEEKED,
    decode_head,
    decode_peek,
)
from bytespike.protocols.anthropic_messages.tools import WEB_SEARCH_PREFIX
from bytespike.protocols.anthropic_messages.usage import plain_usage, read_usage
from bytespike.protocols.sealed_text import PREFIX, is_sealed
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.layout import laid_out, replace_model

_SEALED = PREFIX.encode()


def peek(body: bytes) -> Peek:
    """Raises `InvalidRequest` for what is no JSON object with the right types in these members."""
    members, layout = laid_out(body, PEEKED)
    try:
        seen = decode_peek(members)
    except msgspec.ValidationError as error:
        path, problem = _problem(str(error))
        raise InvalidRequest(f"{path}: {problem}" if path else problem, param=path or None) from None
    except DECODE_ERRORS as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"the body is not a JSON object: {why}") from None
    if seen.max_tokens is not None and seen.max_tokens < 0:
        raise InvalidRequest("max_tokens: Input should be greater than or equal to 0", param="max_tokens")
    return Peek(
        model=seen.model,
        stream=seen.stream or False,
        max_output_tokens=seen.max_tokens,
        end_user=seen.metadata.user_id if seen.metadata else None,
        web_search=any(
            tool.type is not None and tool.type.startswith(WEB_SEARCH_PREFIX) for tool in seen.tools or ()
        ),
        layout=layout,
    )


def _problem(message: str) -> tuple[str, str]:
    """msgspec's message ("Expected `str`, got `int` - at `$.tools[0].type`") as a path and a problem."""
    if message.startswith("Object missing required field `"):
        field, _, rest = message.removeprefix("Object missing required field `").partition("`")
        parent = _path(rest)
        return (f"{parent}.{field}" if parent else field), REQUIRED
    problem, _, where = message.partition(" - at ")
    return _path(where), problem.replace("`", "")


def _path(where: str) -> str:
    path = where.rpartition("`$")[2].rstrip("`")
    return path.replace("[", ".").replace("]", "").strip(". ")


def patch_request(body: bytes, seen: Peek, target: Target) -> bytes:
    """The body for `target`: the same bytes object where nothing differs."""
    if _SEALED in body:
        body = without_sealed(body)
    if target.model == seen.model:
        return body
    return replace_model(body, seen, json.encode(target.model))


def without_sealed(body: bytes) -> bytes:
    """The body without blocks and citations that carry an envelope; the same bytes if there are none."""
    try:
        request = json.decode_object(body)
    except json.NotJSON:
        return body
    messages = request.get("messages")
    if not isinstance(messages, list):
        return body
    kept: list[JSON] = []
    changed = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(content, list):
            kept.append(message)
            continue
        blocks: list[JSON] = [
            _without_sealed_citations(block) for block in content if not _is_sealed_block(block)
        ]
        if blocks == content:
            kept.append(message)
            continue
        changed = True
        if blocks:
            edited: JSONObject = dict(message)
            edited["content"] = blocks
            kept.append(edited)
    return json.encode(request | {"messages": kept}) if changed else body


def _is_sealed_block(block: JSON) -> bool:
    if not isinstance(block, dict):
        return False
    opaque = block.get({"thinking": "signature", "redacted_thinking": "data"}.get(str(block.get("type")), ""))
    return isinstance(opaque, str) and is_sealed(opaque)


def _without_sealed_citations(block: JSON) -> JSON:
    citations = block.get("citations") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(citations, list):
        return block
    kept = [citation for citation in citations if not _is_sealed_citation(citation)]
    if len(kept) == len(citations):
        return block
    rest: JSONObject = {key: value for key, value in block.items() if key != "citations"}
    return rest | {"citations": kept} if kept else rest


def _is_sealed_citation(citation: JSON) -> bool:
    index = citation.get("encrypted_index") if isinstance(citation, dict) else None
    return isinstance(index, str) and is_sealed(index)


def patch_response(body: bytes, model: str) -> tuple[bytes, Usage | None]:
    """The answer under the client's name for the model, and the provider's figures. Raises `UpstreamError`, and for an
    error inside of a success what it tells."""
    try:
        head = decode_head(body)
        if head.type == "error":
            raise told_error(json.decode_object(body).get("error"))
        usage = usage_of(head.usage)
    except (*DECODE_ERRORS, WireError, json.NotJSON) as error:
        raise UpstreamError(f"the upstream's answer is malformed: {error}") from None
    if head.model != model:
        body = replace_string_member(body, "model", json.encode(model))
    return body, usage


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """Raises `WireError`."""
    plain = plain_usage(bytes(raw)) if raw is not ABSENT else None
    if plain is not None:
        return plain
    figures = usage_members(raw)
    return None if figures is None else read_usage(figures)


def usage_members(raw: msgspec.Raw) -> JSONObject | None:
    """The members of a `usage` that was left as bytes; None where it is absent or null. Raises `WireError`."""
    if raw is ABSENT or not bytes(raw):
        return None
    try:
        figures = json.decode(bytes(raw))
    except json.NotJSON as error:
        raise WireError("usage", str(error)) from None
    if figures is None:
        return None
    if not isinstance(figures, dict):
        raise WireError("usage", "Input should be an object")
    return figures

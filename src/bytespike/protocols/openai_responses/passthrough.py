"""Same-dialect traffic: what routing and money need to know of a body, and the body with another model name.

Every other byte stays as it was, with these exceptions, in which the body is written anew: `response_format`, which this
gateway takes beside `text.format` and OpenAI does not, moves to where OpenAI takes it; and what this gateway had put into
answers of other providers (sealed reasoning items, our member in annotations), which a client sends back in its history,
is taken out of what goes to an upstream that has never heard of it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from bytespike.core.dialect import Peek, Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.openai_responses.echo import text_format
from bytespike.protocols.openai_responses.names import OWN_MEMBER
from bytespike.protocols.openai_responses.request_in import refuse_unkept
from bytespike.protocols.openai_responses.response import failure_of
from bytespike.protocols.openai_responses.schema import (
    PEEKED,
    UNREADABLE,
    RequestPeek,
    ResponseHead,
    decode_head,
    decode_request_peek,
)
from bytespike.protocols.openai_responses.tools import WEB_SEARCH_PREFIX
from bytespike.protocols.openai_responses.usage import count, read_usage
from bytespike.protocols.sealed_text import PREFIX, is_sealed
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.layout import laid_out, replace_model

_SEALED: Final = PREFIX.encode()
#: What both of them have in common.
_OWN_WORD: Final = OWN_MEMBER.encode()
_OWN_KEY: Final = f'"{OWN_MEMBER}"'.encode()
_RESPONSE_FORMAT: Final = b'"response_format"'
_NULL: Final = b"null"


def peek(body: bytes) -> Peek:
    """Raises `InvalidRequest` for what is no JSON object, or has wrong types in the members that are read, and
    `UnsupportedFeature` for what would reach into another caller's conversations or could not be billed."""
    members, layout = laid_out(body, PEEKED)
    try:
        seen = decode_request_peek(members)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except UNREADABLE as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"The request body is not valid JSON: {why}.") from None
    if seen.max_output_tokens is not None and seen.max_output_tokens < 1:
        raise InvalidRequest("'max_output_tokens' must be at least 1.", param="max_output_tokens")
    _refuse(seen)
    return Peek(
        model=seen.model,
        stream=seen.stream or False,
        max_output_tokens=seen.max_output_tokens,
        end_user=seen.safety_identifier or seen.user,
        prompt_cache_key=seen.prompt_cache_key,
        web_search=any(
            tool.type is not None and tool.type.startswith(WEB_SEARCH_PREFIX) for tool in seen.tools or ()
        ),
        store=seen.store is not False,
        previous_id=seen.previous_response_id or None,
        layout=layout,
    )


def _refuse(seen: RequestPeek) -> None:
    # A response in the background is delivered when nobody waits for it, and so could not be billed. A conversation
    # belongs to the channel's account, and to whoever of its callers knows its id.
    if seen.background:
        refuse_unkept({"background": True})
    if bytes(seen.conversation) != _NULL:
        refuse_unkept({"conversation": True})


def _invalid(message: str) -> InvalidRequest:
    """msgspec's message ("Expected `str`, got `int` - at `$.tools[0].type`"), with the path as a param."""
    problem, _, where = message.partition(" - at ")
    path = where.strip("`").removeprefix("$").lstrip(".")
    missing = re.fullmatch(r"Object missing required field `([a-z_]+)`", problem)
    if missing is not None:
        name = f"{path}.{missing[1]}" if path else missing[1]
        return InvalidRequest(f"'{name}' is required.", param=name)
    problem = problem.replace("`", "")
    return InvalidRequest(
        f"'{path}': {problem}." if path else f"The request body: {problem}.", param=path or None
    )


def patch_request(body: bytes, seen: Peek, target: Target) -> bytes:
    """The body for `target`: the same bytes object where nothing differs."""
    if _is_ours(body) or _asks_in_chats_way(body, seen):
        body = made_native(body)
    if target.model == seen.model:
        return body
    return replace_model(body, seen, json.encode(target.model))


def _is_ours(body: bytes) -> bool:
    """Whether something may stand there that only this gateway writes. The word that both have is searched first."""
    return _OWN_WORD in body and (_SEALED in body or _OWN_KEY in body)


def _asks_in_chats_way(body: bytes, seen: Peek) -> bool:
    layout = seen.layout
    if layout is not None and layout.body is body:
        return "response_format" in layout.members
    return _RESPONSE_FORMAT in body


def made_native(body: bytes) -> bytes:
    """The body without what only this gateway understands; the same bytes if there is nothing of it."""
    try:
        request = json.decode_object(body)
    except json.NotJSON:
        return body
    edited: JSONObject = dict(request)
    format_ = edited.pop("response_format", None)
    if isinstance(format_, dict):
        text = edited.get("text")
        told: JSONObject = dict(text) if isinstance(text, dict) else {}
        if told.get("format") is None:
            edited["text"] = {**told, "format": text_format(format_)}
    items = edited.get("input")
    if isinstance(items, list):
        edited["input"] = [_without_own_members(item) for item in items if not _is_sealed_item(item)]
    return body if edited == request else json.encode(edited)


def _is_sealed_item(item: JSON) -> bool:
    opaque = item.get("encrypted_content") if isinstance(item, dict) else None
    return isinstance(opaque, str) and is_sealed(opaque)


def _without_own_members(item: JSON) -> JSON:
    """A message without our member in its annotations. One that cites no page (a document of another provider's) is
    left out: OpenAI has no such file."""
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(content, list):
        return item
    parts: list[JSON] = []
    for part in content:
        annotations = part.get("annotations") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(annotations, list):
            parts.append(part)
            continue
        kept: list[JSON] = []
        for annotation in annotations:
            if not isinstance(annotation, dict) or OWN_MEMBER not in annotation:
                kept.append(annotation)
            elif annotation.get("type") == "url_citation":
                kept.append({key: value for key, value in annotation.items() if key != OWN_MEMBER})
        parts.append({**part, "annotations": kept})
    return {**item, "content": parts}


def patch_response(body: bytes, model: str) -> tuple[bytes, Usage | None]:
    """The answer under the client's name for the model, and the provider's figures. Raises `UpstreamError`, and for an
    answer that failed though its HTTP status said otherwise the error that it tells."""
    try:
        head = decode_head(body)
    except UNREADABLE as error:
        raise UpstreamError(f"The upstream's answer is malformed: {error}.") from None
    if head.error or head.status == "failed" or head.output is None:
        raise failure_of({"error": head.error})
    return renamed(body, head.model, model), usage_of(head)


def renamed(response: bytes, upstream: str | None, model: str) -> bytes:
    """The response object's JSON under the client's name for the model."""
    if upstream is None or upstream == model:
        return response
    return replace_string_member(response, "model", json.encode(model))


def usage_of(head: ResponseHead) -> Usage | None:
    """The figures of a response object; None where it has none."""
    if not head.usage:
        return None
    told = head.tool_usage.web_search if head.tool_usage else None
    if told is not None and told.num_requests is not None:
        return read_usage(head.usage, count(told.num_requests))
    searches = sum(
        1
        for item in head.output or ()
        if item.type == "web_search_call"
        and (item.action is None or item.action.type == "search")
        and item.status != "failed"
    )
    return read_usage(head.usage, searches)

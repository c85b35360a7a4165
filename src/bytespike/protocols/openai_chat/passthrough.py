"""Same-dialect traffic: what routing and money need to know of a body, and the body with another model name.

Every other byte stays as it was, with three exceptions. A stream is always asked for its usage, because that is what the
request costs; the tap takes out again what the client had not asked for. And members that this gateway had invented for
an answer of a foreign provider (`server_tool_calls`, `citation_details`), which a client sends back in its history, are
taken out of what goes to an upstream that has never heard of them. So are the proofs of another family's model in
`reasoning_details`, with the reasoning that they prove: they are for their own provider alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from bytespike.core.dialect import Peek, Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest, UpstreamError
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.errors import told, told_error, told_in
from bytespike.protocols.openai_chat.names import CHOICES_MAX
from bytespike.protocols.openai_chat.reasoning import format_of
from bytespike.protocols.openai_chat.schema import (
    PEEKED,
    UNREADABLE,
    RequestPeek,
    decode_answer_peek,
    decode_request_peek,
)
from bytespike.protocols.openai_chat.usage import billed_usage
from bytespike.wire import json
from bytespike.wire.jsonedit import replace_string_member
from bytespike.wire.layout import laid_out, replace_model

_NULL: Final = b"null"
_ASK_USAGE: Final = b'"stream_options":{"include_usage":true},'
_STREAM_OPTIONS: Final = re.compile(rb'"stream_options"\s*:\s*')
#: Members of messages that only this gateway writes.
OWN_MEMBERS: Final = ("server_tool_calls", "citation_details")
_OWN_KEYS: Final = tuple(f'"{name}"'.encode() for name in OWN_MEMBERS)
_DETAILS: Final = b'"reasoning_details"'
#: The catalog's family whose models give a format of `reasoning_details`.
_FAMILIES: Final = {
    format_of("anthropic_messages"): "claude",
    format_of("openai_responses"): "gpt",
    format_of("gemini"): "gemini",
}


def peek(body: bytes) -> Peek:
    """Raises `InvalidRequest` for what is no JSON object, or has wrong types in the members that are read."""
    members, layout = laid_out(body, PEEKED)
    try:
        seen = decode_request_peek(members)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except UNREADABLE as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"The request body is not valid JSON: {why}.") from None
    limit = seen.max_completion_tokens if seen.max_completion_tokens is not None else seen.max_tokens
    if limit is not None and limit < 1:
        name = "max_tokens" if seen.max_completion_tokens is None else "max_completion_tokens"
        raise InvalidRequest(f"'{name}' must be at least 1.", param=name)
    if seen.n is not None and not 1 <= seen.n <= CHOICES_MAX:
        raise InvalidRequest(f"'n' must be between 1 and {CHOICES_MAX}.", param="n")
    options = seen.stream_options
    return Peek(
        model=seen.model,
        stream=seen.stream or False,
        # Vendors differ in which of the two they obey: what is held must cover the larger one.
        max_output_tokens=limit if seen.max_tokens is None or limit is None else max(limit, seen.max_tokens),
        candidates=seen.n or 1,
        stream_usage=bool(options is not None and options.include_usage),
        end_user=seen.safety_identifier or seen.user,
        prompt_cache_key=seen.prompt_cache_key,
        web_search=_searches(seen),
        layout=layout,
    )


def _searches(seen: RequestPeek) -> bool:
    if bytes(seen.web_search_options) != _NULL or seen.enable_search:
        return True
    # Zhipu, OpenRouter ("openrouter:web_search") and others offer it as a tool.
    return any(tool.type is not None and "web_search" in tool.type for tool in seen.tools or ())


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
    """The body for `target`: the same bytes object where nothing differs. Raises `InvalidRequest`."""
    if q.SERVER_TOOL_CALLS not in target.quirks and any(key in body for key in _OWN_KEYS):
        body = without_own_members(body)
    if target.family and q.REASONING_DETAILS not in target.quirks and _DETAILS in body:
        body = _without_foreign_reasoning(body, target)
    if target.model != seen.model:
        body = replace_model(body, seen, json.encode(target.model))
    if seen.stream and not seen.stream_usage and q.NO_STREAM_OPTIONS not in target.quirks:
        try:
            body = _ask_for_usage(body)
        except json.NotJSON as error:
            # Peek does not look into what it skips.
            raise InvalidRequest(f"The request body is not valid: {error}.") from None
    return body


class _OptionsRaw(msgspec.Struct):
    stream_options: msgspec.Raw = msgspec.Raw(b"")


_decode_options = msgspec.json.Decoder(_OptionsRaw).decode


def _ask_for_usage(body: bytes) -> bytes:
    if b'"stream_options"' not in body:
        at = body.index(b"{") + 1
        return b"".join((memoryview(body)[:at], _ASK_USAGE, memoryview(body)[at:]))
    try:
        value = bytes(_decode_options(body).stream_options)
    except UNREADABLE as error:
        raise json.NotJSON(str(error)) from None
    spans = [
        (match.end(), match.end() + len(value))
        for match in _STREAM_OPTIONS.finditer(body)
        if value and body.startswith(value, match.end())
    ]
    if len(spans) != 1:
        # The name also stands somewhere deeper. Which is which takes a whole reading.
        whole = json.decode_object(body)
        given = whole.get("stream_options")
        return json.encode(whole | {"stream_options": _with_usage(given)})
    start, end = spans[0]
    view = memoryview(body)
    return b"".join((view[:start], json.encode(_with_usage(json.decode(value))), view[end:]))


def _with_usage(options: JSON) -> JSONObject:
    return {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}


def without_own_members(body: bytes) -> bytes:
    """The body without the members that this gateway had added to an assistant's messages; the same bytes if there are
    none."""

    def edited(message: JSONObject) -> JSONObject:
        if message.keys().isdisjoint(OWN_MEMBERS):
            return message
        return {key: value for key, value in message.items() if key not in OWN_MEMBERS}

    return _with_messages(body, edited)


def _without_foreign_reasoning(body: bytes, target: Target) -> bytes:
    """The body without the details of reasoning that another family's model gave. Where a message has no others, its
    reasoning goes with them, unless the target reads that."""

    def edited(message: JSONObject) -> JSONObject:
        details = message.get("reasoning_details")
        if not isinstance(details, list):
            return message
        kept = [detail for detail in details if not _is_foreign(detail, target.family)]
        if len(kept) == len(details):
            return message
        if kept:
            return {**message, "reasoning_details": kept}
        gone = {"reasoning_details"}
        if q.REASONING_CONTENT not in target.quirks:
            gone.add("reasoning_content")
        return {key: value for key, value in message.items() if key not in gone}

    return _with_messages(body, edited)


def _is_foreign(detail: JSON, family: str) -> bool:
    told = detail.get("format") if isinstance(detail, dict) else None
    return isinstance(told, str) and _FAMILIES.get(told, family) != family


def _with_messages(body: bytes, edited: Callable[[JSONObject], JSONObject]) -> bytes:
    """The body with its messages `edited`; the same bytes where every message comes back as the object that it was."""
    try:
        request = json.decode_object(body)
    except json.NotJSON:
        return body
    messages = request.get("messages")
    if not isinstance(messages, list):
        return body
    kept: list[JSON] = [edited(message) if isinstance(message, dict) else message for message in messages]
    if all(new is old for new, old in zip(kept, messages, strict=True)):
        return body
    return json.encode(request | {"messages": kept})


def patch_response(body: bytes, model: str) -> tuple[bytes, Usage | None]:
    """The answer under the client's name for the model, and the provider's figures. Raises `UpstreamError`, and for an
    answer that is an error though its status said otherwise the error that it tells (see `errors.told_error`)."""
    try:
        seen = decode_answer_peek(body)
        usage = billed_usage(bytes(seen.usage))
        if usage is None and seen.choices:
            # Moonshot has been seen to put it there.
            usage = billed_usage(bytes(seen.choices[0].usage))
    except (*UNREADABLE, json.NotJSON) as error:
        raise UpstreamError(f"The upstream's answer is malformed: {error}.") from None
    if seen.error or not seen.choices or (seen.base_resp is not None and seen.base_resp.get("status_code")):
        raise told_error(told(body))
    for choice in seen.choices:
        if choice.error:
            raise told_error(told_in({"error": choice.error}))
    if seen.model is not None and seen.model != model:
        body = replace_string_member(body, "model", json.encode(model))
    return body, usage

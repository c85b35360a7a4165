"""Whole answers: an upstream's read, a client's written."""

from __future__ import annotations

import hashlib
from typing import Final

from bytespike.core.content import RefusalPart
from bytespike.core.dialect import Reply, WrittenResponse
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.errors import UpstreamError
from bytespike.protocols.openai_chat.answer_out import write_answer
from bytespike.protocols.openai_chat.errors import told_error, told_in
from bytespike.protocols.openai_chat.finish import read_finish, write_finish
from bytespike.protocols.openai_chat.free_form_calls import come_home, free_form_names
from bytespike.protocols.openai_chat.inline_think import split_think
from bytespike.protocols.openai_chat.message_in import read_message
from bytespike.protocols.openai_chat.names import CHOICES_MAX, NAME, aside, wire_members
from bytespike.protocols.openai_chat.usage import UNKNOWN, read_usage, write_usage
from bytespike.protocols.whole_bodies import read_answer
from bytespike.wire import fields as f
from bytespike.wire import json

ID_PREFIX: Final = "chatcmpl-"
_SECONDS_MAX: Final = 1 << 40
_KNOWN: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})
_CHOICE_MEMBERS: Final = frozenset(
    {
        "index",
        "message",
        "finish_reason",
        "native_finish_reason",
        "stop_reason",
        "finish_detail",
        "logprobs",
        "usage",
    }
)
#: Those of a choice that says nothing out of the ordinary.
_PLAIN_CHOICE: Final = frozenset({"index", "message", "finish_reason", "logprobs"})
#: Members of a message that hold calls, whose ids may have to be made.
_CALLING: Final = frozenset({"tool_calls", "function_call", "server_tool_calls", "executed_tools"})
#: The tiers that clients' types know; vendors have others.
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})


def read_response(body: bytes, *, inline_think: bool = False) -> ChatResponse:
    """An upstream's answer. `inline_think`: its reasoning may stand in its content. Raises `UpstreamError`, and for an error inside of a success what it tells."""
    return read_answer(body, lambda obj: _read(obj, inline_think))


def _read(obj: JSONObject, inline_think: bool) -> ChatResponse:
    choices = f.optional_array(obj, "choices")
    base = obj.get("base_resp")
    if obj.get("error") or not choices or (isinstance(base, dict) and base.get("status_code")):
        # OpenRouter, MiniMax and others answer 200 with an error inside.
        raise told_error(told_in(obj))
    if len(choices) > CHOICES_MAX:
        raise f.Wrong(f"holds more than {CHOICES_MAX}", "choices")
    response_id = f.optional_text(obj, "id") or ""
    usage = f.optional_object(obj, "usage")
    candidates: list[Candidate] = []
    for index, choice in enumerate(f.objects(choices, "choices")):
        try:
            candidates.append(_candidate(choice, response_id, index, inline_think))
            # Moonshot has been seen to put it here.
            usage = usage or f.optional_object(choice, "usage")
        except f.Wrong as wrong:
            raise wrong.under("choices", index) from None
    return ChatResponse(
        id=response_id,
        model=f.optional_text(obj, "model") or "",
        candidates=tuple(candidates),
        usage=read_usage(usage) if usage else UNKNOWN,
        created=unix_seconds(obj.get("created")),
        extras=aside(f.rest(obj, _KNOWN)),
    )


def unix_seconds(value: JSON) -> int:
    """A time that some vendors send as a float, or not at all."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 < value < _SECONDS_MAX else 0


def _candidate(choice: JSONObject, response_id: str, index: int, inline_think: bool) -> Candidate:
    if choice.get("error"):
        raise told_error(told_in(choice))
    told = f.object_at(choice, "message")
    prefix = "" if _CALLING.isdisjoint(told) else call_prefix(response_id, index)
    message = read_message(_thinking_apart(told) if inline_think else told, prefix, answer=True)
    reason = f.optional_text(choice, "finish_reason")
    if reason and choice.keys() <= _PLAIN_CHOICE and choice.get("logprobs") is None:
        return Candidate(message.parts, read_finish(reason))
    sequence = choice.get("stop_reason")
    finish = Finish("other")
    if reason:
        finish = read_finish(
            reason,
            f.optional_text(choice, "native_finish_reason"),
            sequence if isinstance(sequence, str) else None,
            f.optional_text(choice, "finish_detail"),
            f.rest(choice, _CHOICE_MEMBERS),
        )
    return Candidate(message.parts, finish, _read_logprobs(f.optional_object(choice, "logprobs")))


def _thinking_apart(message: JSONObject) -> JSONObject:
    """The message with the reasoning of its content in a member of its own."""
    content = message.get("content")
    reasoning, answer = split_think(content) if isinstance(content, str) else ("", "")
    return {**message, "content": answer, "reasoning_content": reasoning} if reasoning else message


def _read_logprobs(given: JSONObject | None) -> Logprobs | None:
    if given is None:
        return None
    content = f.optional_array(given, "content") or ()
    refusal = f.optional_array(given, "refusal") or ()
    return Logprobs(tuple(content), tuple(refusal)) if content or refusal else None


def call_prefix(response_id: str, choice: int) -> str:
    """What the ids of calls begin with that came without one: the same for the streamed and the whole answer, and
    different in every answer, so that a later turn's call is not taken for this one."""
    return f"call_{hashlib.sha256(f'{response_id}:{choice}'.encode('utf-8', 'replace')).hexdigest()[:20]}_"


# --- towards clients -------------------------------------------------------------------------------------------


def answer_id(upstream_id: str, reply: Reply) -> str:
    """The upstream's id where it looks like this dialect's, else the gateway's."""
    if upstream_id.startswith(ID_PREFIX):
        return upstream_id
    return reply.response_id if reply.response_id.startswith(ID_PREFIX) else ID_PREFIX + reply.response_id


def write_response(response: ChatResponse, reply: Reply) -> WrittenResponse:
    """A client's answer."""
    losses = Losses(NAME)
    choices: list[JSON] = []
    free_form = free_form_names(reply)
    for index, candidate in enumerate(response.candidates):
        parts = candidate.parts
        if free_form:
            parts = tuple(come_home(part, free_form) for part in parts)
        refused = any(isinstance(part, RefusalPart) for part in candidate.parts)
        reason, members = write_finish(candidate.finish, refused=refused)
        choices.append(
            {
                "index": index,
                "message": write_answer(parts, losses),
                "logprobs": write_logprobs(candidate.logprobs),
                "finish_reason": reason,
                **members,
            }
        )
    body: JSONObject = {
        "id": answer_id(response.id, reply),
        "object": "chat.completion",
        "created": response.created or reply.created,
        "model": reply.model,
        "choices": choices,
    }
    if response.usage != UNKNOWN:
        body["usage"] = write_usage(response.usage)
    if NAME in response.extras:
        body.update(_extras(wire_members(response.extras)))
    try:
        return WrittenResponse(json.encode(body), losses.notices)
    except RecursionError:
        raise UpstreamError("The upstream's answer nests too deeply.") from None


def write_logprobs(logprobs: Logprobs | None) -> JSON:
    if logprobs is None:
        return None
    return {"content": [*logprobs.content] or None, "refusal": [*logprobs.refusal] or None}


def _extras(members: JSONObject) -> JSONObject:
    if members.get("service_tier") not in _TIERS:
        members.pop("service_tier", None)
    return members

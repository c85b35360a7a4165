"""Whole answers: an upstream's read, a client's written."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bytespike.core import content as c
from bytespike.core.dialect import Reply, WrittenResponse
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError
from bytespike.protocols.openai_responses.answer_out import AnswerItems
from bytespike.protocols.openai_responses.echo import Echo
from bytespike.protocols.openai_responses.envelope import CallProof, Hidden
from bytespike.protocols.openai_responses.errors import failed_member, told_error
from bytespike.protocols.openai_responses.finish import NATIVE, native_members, read_finish, write_finish
from bytespike.protocols.openai_responses.logprobs import divide, read_logprobs
from bytespike.protocols.openai_responses.names import NAME, aside, wire_members
from bytespike.protocols.openai_responses.output_in import brought_home, read_item
from bytespike.protocols.openai_responses.plain_answer import is_plain, plain_body
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.protocols.openai_responses.usage import (
    UNKNOWN,
    read_usage,
    searches_in,
    write_tool_usage,
    write_usage,
)
from bytespike.protocols.whole_bodies import read_answer
from bytespike.wire import fields as f
from bytespike.wire import json

# Parts are compared with their classes themselves: `isinstance` costs thirty times as much where it says no.
_TOOL_CALL: Final = c.ToolCallPart
_REFUSAL: Final = c.RefusalPart
_REASONING: Final = c.ReasoningPart
ID_PREFIX: Final = "resp_"
#: Items of one answer; more is a hostile or broken upstream.
OUTPUT_ITEMS_MAX: Final = 4096
_SECONDS_MAX: Final = 1 << 40
_ID: Final = re.compile(r"resp_[A-Za-z0-9_-]{1,200}")
_TAIL: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KNOWN: Final = frozenset(
    {
        "id", "object", "created_at", "model", "output", "usage", "status", "incomplete_details", "error", "tool_usage",
        "output_text", NATIVE,
    }
)  # fmt: skip
#: What a response is that is not whole yet, or never will be. (Some vendors spell the regular end "complete".)
_NOT_WHOLE: Final = frozenset({"in_progress", "queued", "cancelled"})


def read_response(body: bytes) -> ChatResponse:
    """An upstream's answer. Raises `UpstreamError`, and for one that failed though its HTTP status was 200 the error that
    it tells."""
    return read_answer(body, _read)


def _read(obj: JSONObject) -> ChatResponse:
    status = f.optional_text(obj, "status")
    if obj.get("error") or status == "failed":
        raise failure_of(obj)
    if status in _NOT_WHOLE:
        raise UpstreamError(f"The upstream's answer is not whole: its status is {status}.")
    output = f.array_at(obj, "output")
    parts = read_output(output, ToolNames(obj.get("tools")))
    called = refused = False
    for part in parts:
        kind = type(part)
        called = called or kind is _TOOL_CALL
        refused = refused or kind is _REFUSAL
    return ChatResponse(
        id=f.optional_text(obj, "id") or "",
        model=f.optional_text(obj, "model") or "",
        candidates=(
            Candidate(
                parts,
                read_finish(obj, status, called=called, refused=refused),
                read_logprobs(output),
            ),
        ),
        usage=usage_in(obj),
        created=unix_seconds(obj.get("created_at")),
        extras=aside(response_rest(obj)),
    )


def read_output(output: list[JSON], names: ToolNames) -> tuple[c.Part, ...]:
    """The parts of a whole output. Raises `Wrong` under "output"."""
    if len(output) > OUTPUT_ITEMS_MAX:
        raise f.Wrong(f"must hold at most {OUTPUT_ITEMS_MAX} items", "output")
    found: list[c.Part | CallProof | Hidden] = []
    for index, item in enumerate(f.objects(output, "output")):
        try:
            found.extend(read_item(item, names))
        except f.Wrong as wrong:
            raise wrong.under("output", index) from None
    return tuple(part for part in brought_home(found) if not says_nothing(part))


def says_nothing(part: c.Part) -> bool:
    """Reasoning without text and without proof: OpenAI sends it where it keeps the reasoning to itself."""
    return type(part) is _REASONING and not part.text and part.proof is None


def usage_in(obj: JSONObject) -> Usage:
    """The figures of a response object. Raises `Wrong`."""
    usage = f.optional_object(obj, "usage")
    return UNKNOWN if not usage else read_usage(usage, searches_in(obj.get("tool_usage"), obj.get("output")))


def response_rest(obj: JSONObject) -> JSONObject:
    """Members of a response that the hub does not know: many, of which most stand in each response."""
    rest = obj.copy()
    for key in _KNOWN:
        rest.pop(key, None)
    return rest


def failure_of(obj: JSONObject) -> GatewayError:
    """The error for a response that failed."""
    return told_error({"error": obj.get("error")})


def unix_seconds(value: JSON) -> int:
    """A time that some vendors send as a float, or not at all."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return int(value) if 0 < value < _SECONDS_MAX else 0


# --- towards clients -------------------------------------------------------------------------------------------


def answer_id(upstream_id: str, reply: Reply) -> str:
    """The upstream's id where it looks like this dialect's, else the gateway's."""
    if _ID.fullmatch(upstream_id):
        return upstream_id
    return reply.response_id if reply.response_id.startswith(ID_PREFIX) else ID_PREFIX + reply.response_id


def item_tail(response_id: str) -> str:
    """What the ids of an answer's items have in common: a pure function of the answer's id, so that a stream, its last
    event and the whole answer agree. OpenAI takes at most 64 characters when an id comes back."""
    tail = response_id.removeprefix(ID_PREFIX)
    if _TAIL.fullmatch(tail):
        return tail
    return hashlib.sha256(tail.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def response_object(
    head: JSONObject, echo: Echo, *, status: str, output: list[JSON], extras: JSONObject | None = None
) -> JSONObject:
    """A response object, whole. `head`: id, created_at, model. `extras`: members that an upstream of this dialect gave;
    they are what the request became there, so they win over the echo."""
    return {
        "id": head["id"],
        "object": "response",
        "created_at": head["created_at"],
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": head["model"],
        "output": output,
        **echo.members,
        **(extras or {}),
        "usage": None,
    }


def finished_object(
    head: JSONObject,
    echo: Echo,
    *,
    output: list[JSON],
    finish: Finish,
    refused: bool,
    searched: bool,
    usage: Usage,
    extras: JSONObject,
) -> JSONObject:
    """The response object of an answer that has ended. `refused`, `searched`: the output shows a refusal, a search."""
    status, details = write_finish(finish, refused=refused)
    written = response_object(head, echo, status=status, output=output, extras=extras)
    written["incomplete_details"] = details
    written.update(native_members(finish))
    if usage != UNKNOWN:
        written["usage"] = write_usage(usage)
    told = write_tool_usage(usage, searched=searched)
    if told is not None:
        written["tool_usage"] = told
    return written


def failed_object(
    head: JSONObject, echo: Echo, *, output: list[JSON], error: GatewayError, extras: JSONObject
) -> JSONObject:
    """The response object of an answer that failed."""
    written = response_object(head, echo, status="failed", output=output, extras=extras)
    written["error"] = failed_member(error)
    return written


def head_of(response_id: str, created: int, reply: Reply) -> JSONObject:
    return {
        "id": answer_id(response_id, reply),
        "created_at": created or reply.created,
        "model": reply.model,
    }


def write_response(response: ChatResponse, reply: Reply) -> WrittenResponse:
    """A client's answer. Raises `UnsupportedFeature` for media that the wire has no item for."""
    echo = Echo(reply.echo)
    head = head_of(response.id, response.created, reply)
    tail = item_tail(str(head["id"]))
    try:
        if is_plain(response):
            return WrittenResponse(plain_body(response, head, tail, echo))
        return write_any_response(response, head, tail, echo)
    except RecursionError:
        raise UpstreamError("The upstream's answer nests too deeply.") from None


def write_any_response(response: ChatResponse, head: JSONObject, tail: str, echo: Echo) -> WrittenResponse:
    """The general way, for any answer. Raises `UnsupportedFeature`, `RecursionError`."""
    losses = Losses(NAME)
    candidate = response.candidates[0]
    if len(response.candidates) > 1:
        losses.dropped("candidates", "the Responses API carries one answer")
    if candidate.logprobs is not None and candidate.logprobs.refusal:
        losses.dropped("logprobs.refusal", "the Responses API has none")
    refused = any(isinstance(part, c.RefusalPart) for part in candidate.parts)
    status, _ = write_finish(candidate.finish, refused=refused)
    items = AnswerItems(tail, echo, losses, status)
    output = items.write(candidate.parts, divide(candidate.logprobs, candidate.parts))
    body = finished_object(
        head,
        echo,
        output=output,
        finish=candidate.finish,
        refused=refused,
        searched=any(isinstance(item, dict) and item.get("type") == "web_search_call" for item in output),
        usage=response.usage,
        extras=wire_members(response.extras) if NAME in response.extras else {},
    )
    return WrittenResponse(json.encode(body), losses.notices)

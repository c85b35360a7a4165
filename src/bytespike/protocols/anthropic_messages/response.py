"""A whole answer: the `Message` object, both ways.

Wire facts: `Message` and `BetaMessage` of the official SDK.
"""

from __future__ import annotations

import re

from bytespike.core import content as c
from bytespike.core.dialect import Reply, WrittenResponse
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.response import Candidate, ChatResponse
from bytespike.errors import UpstreamError
from bytespike.protocols.anthropic_messages.blocks_read import read_content
from bytespike.protocols.anthropic_messages.blocks_write import Block, answer_block
from bytespike.protocols.anthropic_messages.envelope import opaque_of_call
from bytespike.protocols.anthropic_messages.errors import told_error
from bytespike.protocols.anthropic_messages.fields import Fields, WireError, extras_of, own_extras
from bytespike.protocols.anthropic_messages.finish import awaits_result, read_finish, write_finish
from bytespike.protocols.anthropic_messages.names import NAME
from bytespike.protocols.anthropic_messages.request_read import decode_body
from bytespike.protocols.anthropic_messages.tool_ids import safe_id
from bytespike.protocols.anthropic_messages.usage import read_usage, write_usage
from bytespike.wire import json

MESSAGE_MEMBERS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"}
)
_MESSAGE_ID = re.compile(r"msg_[A-Za-z0-9_-]{1,100}")
_ID_PREFIX = re.compile(r"^[a-z]{1,12}_")


def read_response(body: bytes) -> ChatResponse:
    """Raises `UpstreamError`, and for an error inside of a success what it tells."""
    try:
        return _response(decode_body(body))
    except WireError as error:
        raise UpstreamError(f"the upstream's answer is malformed: {error}") from None


def _response(message: Fields) -> ChatResponse:
    obj = message.obj
    if obj.get("type") == "error":
        # A status of 200 around an error object: some compatible vendors do that.
        raise told_error(obj.get("error"))
    usage = message.optional_object("usage")
    details = message.optional_object("stop_details") if "stop_details" in obj else None
    finish = read_finish(
        message.optional_string("stop_reason"),
        message.optional_string("stop_sequence"),
        None if details is None else details.obj,
    )
    return ChatResponse(
        id=message.optional_string("id") or "",
        model=message.optional_string("model") or "",
        candidates=(Candidate(read_content(message.array("content"), "content"), finish),),
        usage=read_usage({} if usage is None else usage.obj),
        extras=extras_of(message_rest(message)),
    )


def message_rest(message: Fields) -> JSONObject:
    """Members of a message that the hub does not know ("container", "context_management", ...)."""
    if MESSAGE_MEMBERS.issuperset(message.obj):
        return {}
    return {key: value for key, value in message.rest(MESSAGE_MEMBERS).items() if value is not None}


def message_id(upstream_id: str, response_id: str) -> str:
    """The upstream's id where it is one of Anthropic's form, else one made of `response_id`."""
    if _MESSAGE_ID.fullmatch(upstream_id):
        return upstream_id
    return "msg_" + safe_id(_ID_PREFIX.sub("", response_id) or "none")


def write_response(response: ChatResponse, reply: Reply) -> WrittenResponse:
    """Raises `UnsupportedFeature` for an answer that holds media."""
    losses = Losses(NAME)
    candidate = response.candidates[0]
    if len(response.candidates) > 1:
        losses.dropped("candidates", "the Messages API carries one answer")
    if candidate.logprobs is not None:
        losses.dropped("logprobs", "the Messages API has none")
    called = refused = False
    for part in candidate.parts:
        called = called or awaits_result(part)
        refused = refused or isinstance(part, c.RefusalPart)
    stop = write_finish(candidate.finish, called_tools=called, refused=refused)
    if stop.approximated:
        losses.approximated("stop_reason", candidate.finish.reason)
    message: Block = {
        "id": message_id(response.id, reply.response_id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": answer_blocks(candidate.parts, losses),
        "stop_reason": stop.reason,
        "stop_sequence": stop.sequence,
    }
    if stop.details is not None:
        message["stop_details"] = stop.details
    message["usage"] = write_usage(response.usage)
    if response.extras:
        message |= own_extras(response.extras)
    return WrittenResponse(json.encode(message), losses.notices)


def answer_blocks(parts: tuple[c.Part, ...], losses: Losses) -> list[Block]:
    blocks: list[Block] = []
    for part in parts:
        block = answer_block(part)
        if block is None:
            losses.dropped(lost_part_name(part), "of another provider")
            continue
        blocks.append(block)
        proof = opaque_of_call(part, safe_id(part.id)) if isinstance(part, c.ToolCallPart) else None
        if proof is not None:
            blocks.append({"type": "thinking", "thinking": "", "signature": proof})
    return blocks


def lost_part_name(part: c.Part) -> str:
    match part:
        case c.ServerToolCallPart() | c.ServerToolResultPart():
            return "server tool use"
        case c.ForeignPart(dialect=dialect):
            return f"a part of {dialect}"
        case _:
            return "a part"

"""An answer's message, written for a client, whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCallPart,
    UrlSource,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.protocols.openai_chat.citations import citation_lists, is_annotation
from bytespike.protocols.openai_chat.history_out import google_signature
from bytespike.protocols.openai_chat.names import NAME, own, wire_members
from bytespike.protocols.openai_chat.reasoning import GEMINI, is_foreign_detail, join_text, write_details
from bytespike.protocols.openai_chat.server_tools import write_server_tools

#: Clients parse a function's arguments as JSON; a call without any has empty text in some dialects.
NO_ARGUMENTS: Final = "{}"


def write_answer(parts: Sequence[Part], losses: Losses) -> JSONObject:
    """The `message` of one choice."""
    message: JSONObject = {"role": "assistant", "content": None, "refusal": None}
    if len(parts) == 1:
        only = parts[0]
        if isinstance(only, TextPart) and not only.citations:
            # Nearly every answer.
            message["content"] = only.text
            return message
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    refusals = [part.text for part in parts if isinstance(part, RefusalPart)]
    reasoning = join_text(parts)
    if reasoning:
        message["reasoning_content"] = reasoning
    for name, values in (
        ("reasoning_details", write_details(parts)),
        ("server_tool_calls", write_server_tools(list(parts))),
        *citation_lists(parts).items(),
        ("images", [image_entry(part, losses) for part in parts if isinstance(part, ImagePart)]),
    ):
        if values:
            message[name] = [*values]
    calls: list[JSON] = []
    for part in parts:
        match part:
            case ToolCallPart() if own(part.extras).get("_legacy"):
                message["function_call"] = {"name": part.name, "arguments": part.arguments or NO_ARGUMENTS}
            case ToolCallPart():
                calls.append(call_entry(part, losses))
            case AudioPart():
                message["audio"] = audio_entry(part)
            case ForeignPart():
                tell_foreign(part, losses)
            case _:
                pass
    if calls:
        message["tool_calls"] = calls
    if refusals:
        message["refusal"] = "".join(refusals)
    if texts:
        message["content"] = "".join(texts)
    elif not message.keys() & {"tool_calls", "function_call", "audio"} and not refusals:
        message["content"] = ""
    return message


def call_entry(call: ToolCallPart, losses: Losses) -> JSONObject:
    """One of `tool_calls`, whole."""
    entry: JSONObject = {"id": call.id, "type": call.kind, call.kind: call_body(call, call.arguments)}
    if call.kind == "function" and not call.arguments:
        entry["function"] = {"name": call.name, "arguments": NO_ARGUMENTS}
    entry.update(proof_of_call(call, losses))
    entry.update(wire_members(call.extras))
    return entry


def call_body(call: ToolCallPart, arguments: str) -> JSONObject:
    """The member named after the call's kind."""
    return {"name": call.name, "input" if call.kind == "custom" else "arguments": arguments}


def proof_of_call(call: ToolCallPart, losses: Losses) -> JSONObject:
    """The member that carries a call's proof; only Gemini's has a place."""
    if call.proof is None:
        return {}
    if call.proof.origin != GEMINI:
        losses.dropped("tool_calls.proof", "no place for it")
        return {}
    return {"extra_content": google_signature(call.proof.data)}


def audio_entry(part: AudioPart) -> JSONObject:
    """The `audio` of a message. Members that the upstream did not give are empty, for clients require them."""
    entry: JSONObject = {"id": "", "data": "", "expires_at": 0, "transcript": "", **wire_members(part.extras)}
    if isinstance(part.source, Base64Source):
        entry["data"] = part.source.data
    elif isinstance(part.source, FileSource):
        entry["id"] = part.source.file_id
    return entry


def image_entry(part: ImagePart, losses: Losses) -> JSONObject:
    """One of `images`: OpenRouter's member for images that a model draws."""
    match part.source:
        case Base64Source(media_type=media_type, data=data):
            url = f"data:{media_type or 'image/png'};base64,{data}"
        case UrlSource(url=url):
            pass
        case _:
            losses.dropped("images", "only a file id is known")
            url = ""
    return {"type": "image_url", "image_url": {"url": url}}


def tell_foreign(part: ForeignPart, losses: Losses) -> None:
    """Parts of other dialects that no client of this one could read."""
    if part.dialect != NAME:
        losses.dropped(f"content.{part.kind[:40]}", f"only {part.dialect} has it")
    elif not is_annotation(part) and not is_foreign_detail(part):
        losses.dropped("content", "unknown to chat answers")

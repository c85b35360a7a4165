"""An assistant's turn of a history, written for an upstream."""

from __future__ import annotations

from typing import Final

from bytespike.core.content import (
    AudioPart,
    DocumentPart,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextPart,
    ToolCallPart,
    Turn,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.free_form import CUSTOM_INPUT
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.citations import citation_lists, is_annotation
from bytespike.protocols.openai_chat.content_out import ContentWriter, foreign, unsupported
from bytespike.protocols.openai_chat.inline_think import inlined
from bytespike.protocols.openai_chat.names import NAME, own, wire_members, wire_name
from bytespike.protocols.openai_chat.reasoning import GEMINI, is_foreign_detail, join_text, write_details
from bytespike.protocols.openai_chat.server_tools import write_server_tools
from bytespike.protocols.openai_chat.tool_ids import fitting_id
from bytespike.wire import json

#: A provider-side tool's result may be a whole web page; as text for another model this much of it must do.
SERVER_RESULT_CHARS_MAX: Final = 16_384
#: Members that only the provider which wrote them can read.
_OPAQUE: Final = ("encrypted_", "signature")


def write_assistant(turn: Turn, writer: ContentWriter) -> tuple[JSONObject, list[Part]]:
    """The message, and the parts of the turn that an assistant's message cannot hold: they go into the user message
    that follows. Raises `UnsupportedFeature`."""
    message: JSONObject = {"role": "assistant"}
    entries: list[JSONObject] = []
    calls: list[JSON] = []
    moved: list[Part] = []
    for part in turn.parts:
        match part:
            case TextPart():
                entries.append(writer.text(part))
            case ToolCallPart():
                _call(message, calls, part, writer)
            case RefusalPart():
                _refusal(message, entries, part)
            case ReasoningPart():
                pass
            case ServerToolCallPart() | ServerToolResultPart():
                if q.SERVER_TOOL_CALLS not in writer.quirks:
                    entries.append(_as_text(part, writer))
            case AudioPart(source=FileSource(file_id=audio_id, dialect=dialect)) if dialect == NAME:
                message["audio"] = {"id": audio_id}
            case ImagePart() | DocumentPart():
                writer.losses.approximated("assistant.images", "moved to a user message")
                moved.append(part)
            case ForeignPart() if is_annotation(part) or is_foreign_detail(part):
                pass
            case ForeignPart():
                entries.append(foreign(part))
            case _:
                raise unsupported(f"An assistant's message cannot hold a {type(part).__name__}.")
    _reasoning(message, turn, entries, bool(calls), writer)
    _extensions(message, turn, writer)
    if calls:
        message["tool_calls"] = calls
    message["content"] = _content(entries, turn, message, writer)
    if turn.name is not None:
        message["name"] = turn.name
    message.update(wire_members(turn.extras))
    writer.losses.foreign_extras(turn.extras, "messages.")
    return message, moved


def _content(entries: list[JSONObject], turn: Turn, message: JSONObject, writer: ContentWriter) -> JSON:
    if entries:
        return writer.content(entries, "")
    spelt = own(turn.extras).get("_content")
    if spelt is not None:
        return spelt
    says_something = message.keys() & {"tool_calls", "function_call", "refusal", "audio"}
    return None if says_something else ""


def _call(message: JSONObject, calls: list[JSON], call: ToolCallPart, writer: ContentWriter) -> None:
    name = wire_name(call.name)
    mine = own(call.extras)
    if mine.get("_legacy"):
        message["function_call"] = {"name": name, "arguments": call.arguments}
        return
    entry: JSONObject = {"id": fitting_id(call.id, writer.quirks)}
    if call.kind == "custom" and q.NO_CUSTOM_TOOLS in writer.quirks:
        entry["type"] = "function"
        arguments = json.encode({CUSTOM_INPUT: call.arguments}).decode()
        entry["function"] = {"name": name, "arguments": arguments}
    elif call.kind == "custom":
        entry["type"] = "custom"
        entry["custom"] = {"name": name, "input": call.arguments}
    else:
        entry["type"] = "function"
        entry["function"] = {"name": name, "arguments": call.arguments or "{}"}
    if call.proof is not None:
        if q.GOOGLE_THOUGHT_SIGNATURE in writer.quirks and call.proof.origin == GEMINI:
            entry["extra_content"] = google_signature(call.proof.data)
        else:
            writer.losses.dropped("messages.reasoning", "the model takes no reasoning back")
    if call.cache is not None:
        writer.losses.cache_mark()
    if "_index" in mine:
        entry["index"] = mine["_index"]
    entry.update(wire_members(call.extras))
    writer.losses.foreign_extras(call.extras, "tool_calls.")
    calls.append(entry)


def google_signature(data: str) -> JSONObject:
    """Where Gemini's OpenAI-compatible API keeps a signature."""
    return {"google": {"thought_signature": data}}


def _refusal(message: JSONObject, entries: list[JSONObject], part: RefusalPart) -> None:
    if own(part.extras).get("_part"):
        entries.append({"type": "refusal", "refusal": part.text, **wire_members(part.extras)})
    else:
        said = message.get("refusal")
        message["refusal"] = f"{said}{part.text}" if isinstance(said, str) else part.text


def _reasoning(
    message: JSONObject, turn: Turn, entries: list[JSONObject], has_calls: bool, writer: ContentWriter
) -> None:
    """Give reasoning back in the spelling that the target reads, or drop it. `entries`: of the message's content."""
    parts = [part for part in turn.parts if isinstance(part, (ReasoningPart, ForeignPart))]
    given = False
    if q.REASONING_CONTENT in writer.quirks:
        text = join_text(parts)
        # Moonshot and DeepSeek refuse a call whose message has no such member while thinking is on.
        if text or has_calls:
            message["reasoning_content"] = text
            given = True
    if q.REASONING_DETAILS in writer.quirks:
        details = write_details(parts)
        if details:
            message["reasoning_details"] = [*details]
            given = True
    if q.GOOGLE_THOUGHT_SIGNATURE in writer.quirks:
        for part in parts:
            if isinstance(part, ReasoningPart) and part.proof is not None and part.proof.origin == GEMINI:
                message["extra_content"] = google_signature(part.proof.data)
                given = True
    if not given and q.INLINE_THINK in writer.quirks and (text := join_text(parts)):
        spoken = entries.pop(0)["text"] if entries and entries[0].keys() == {"type", "text"} else ""
        entries.insert(0, {"type": "text", "text": f"{inlined(text)}{spoken}"})
        given = True
    if not given and any(isinstance(part, ReasoningPart) for part in parts):
        writer.losses.dropped("messages.reasoning", "the model takes no reasoning back")


def _extensions(message: JSONObject, turn: Turn, writer: ContentWriter) -> None:
    """Citations and provider-side tools, for an upstream that reads this dialect's extensions."""
    if q.SERVER_TOOL_CALLS not in writer.quirks:
        return
    tools = write_server_tools(list(turn.parts))
    if tools:
        message["server_tool_calls"] = [*tools]
    for name, entries in citation_lists(turn.parts).items():
        message[name] = [*entries]


# --- provider-side tools as text -------------------------------------------------------------------------------


def _as_text(part: ServerToolCallPart | ServerToolResultPart, writer: ContentWriter) -> JSONObject:
    """What a provider-side tool did, as words: the turns after it refer to it, so it must not vanish."""
    writer.losses.approximated("server_tools", "past calls and results written as text")
    if isinstance(part, ServerToolCallPart):
        return {"type": "text", "text": f"[{part.name} {part.arguments}]\n"}
    told = json.encode(_readable(part.content)).decode()
    if len(told) > SERVER_RESULT_CHARS_MAX:
        told = told[:SERVER_RESULT_CHARS_MAX] + "..."
    return {"type": "text", "text": f"[{part.kind}: {told}]\n"}


def _readable(value: JSON) -> JSON:
    """The value without what only its provider can read. Bodies are bounded in depth where they are read."""
    if isinstance(value, dict):
        return {key: _readable(member) for key, member in value.items() if not key.startswith(_OPAQUE)}
    if isinstance(value, list):
        return [_readable(member) for member in value]
    return value

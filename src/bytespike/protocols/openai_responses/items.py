"""Items, put together: those of an answer for a client and those of a history for an upstream.

What a reader had noted on a part (see `output_in`) decides where one message ends and the next begins, and gives items
their own ids and members back. Parts of other origins get what the wire requires and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_responses.annotations import write_annotation
from bytespike.protocols.openai_responses.names import NAME, noted, own, wire_members
from bytespike.protocols.openai_responses.output_in import PIECE_BREAK
from bytespike.wire import json

Said: TypeAlias = "c.TextPart | c.RefusalPart"

#: Members that an item of an answer always has; the upstream's own stand where it gave them.
_DONE: Final[JSONObject] = {"status": "completed"}


def begins_message(part: Said) -> bool:
    """Whether the part is the first of a message of its own."""
    return "_message" in own(part.extras)


def message_members(first: Said) -> JSONObject:
    """What the message beside its content has: noted on its first part."""
    return noted(first.extras, "_message")


def content_entry(part: Said, logprobs: list[JSON] | None = None) -> JSONObject:
    """One part of an assistant's message."""
    if isinstance(part, c.RefusalPart):
        return {"type": "refusal", "refusal": part.text, **wire_members(part.extras)}
    entry: JSONObject = {
        "type": "output_text",
        "annotations": [write_annotation(citation, len(part.text)) for citation in part.citations],
        "text": part.text,
    }
    if logprobs is not None:
        entry["logprobs"] = logprobs
    if part.extras:
        entry.update(wire_members(part.extras))
    return entry


def history_message(parts: Sequence[Said], item_id: str) -> JSONObject:
    """An assistant's message of a history. One plain text is a string, as clients write it; any other content wants the
    item's whole form, with `item_id` where nothing is known of the item."""
    first = parts[0]
    members = message_members(first)
    plain = len(parts) == 1 and isinstance(first, c.TextPart) and not first.citations
    if plain and (own(first.extras).get("_string") or "id" not in members):
        return {"type": "message", "role": "assistant", "content": first.text, **members}
    members = {"id": item_id, **_DONE, **members}
    return {
        "type": "message",
        "role": "assistant",
        "content": [content_entry(part) for part in parts],
        **members,
    }


def reasoning_item(
    part: c.ReasoningPart, item_id: str | None, opaque: str | None, *, summary: bool
) -> JSONObject:
    """A piece of reasoning. `opaque`: its `encrypted_content`. `summary`: its text stands as summaries, not as the
    reasoning itself. `item_id`: None where nothing is known of the item; OpenAI holds its proof against the id."""
    item: JSONObject = {"type": "reasoning"}
    if item_id is not None:
        item["id"] = item_id
    texts = pieces_of(part)
    item["summary"] = [{"type": "summary_text", "text": text} for text in texts] if summary else []
    if texts and not summary:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in texts]
    if opaque is not None:
        item["encrypted_content"] = opaque
    item.update(noted(part.extras, "_item"))
    return item


def pieces_of(part: c.ReasoningPart) -> list[str]:
    """The text, divided as it came."""
    cuts = own(part.extras).get("_cuts")
    if not isinstance(cuts, list):
        return [part.text] if part.text else []
    pieces: list[str] = []
    at = 0
    for cut in cuts:
        size = cut if isinstance(cut, int) else 0
        pieces.append(part.text[at : at + size])
        at += size + len(PIECE_BREAK)
    # The text may have been changed since; then the division means nothing.
    return pieces if PIECE_BREAK.join(pieces) == part.text else [part.text]


def same_item(first: c.ReasoningPart, second: c.ReasoningPart) -> bool:
    """Whether two parts were read from one item: its summary, and its text."""
    return (
        first.id is not None
        and first.id == second.id
        and first.summary
        and not second.summary
        and first.proof is None
        and NAME in first.extras
        and NAME in second.extras
    )


def joined_items(first: JSONObject, second: JSONObject) -> JSONObject:
    """The one item of two parts."""
    return {**first, **{key: value for key, value in second.items() if value}}


def call_item(call: c.ToolCallPart, item_id: str | None, call_id: str, arguments: str) -> JSONObject:
    """A tool call, under its native name."""
    custom = call.kind == "custom"
    told = own(call.extras)
    item: JSONObject = {"type": "custom_tool_call" if custom else "function_call"}
    if item_id is not None:
        item["id"] = item_id
        item.update(_DONE)
    item["call_id"] = call_id
    namespace = told.get("_namespace")
    item["name"] = told["_name"] if namespace else call.name
    item["input" if custom else "arguments"] = arguments
    if namespace:
        item["namespace"] = namespace
    item.update(noted(call.extras, "_item"))
    return item


def hosted_item(part: c.ServerToolCallPart, item_id: str) -> JSONObject:
    """A use of a tool of OpenAI's own, as it came."""
    kind = str(own(part.extras).get("_type") or "web_search_call")
    if kind != "web_search_call":
        return {"type": kind, "id": item_id, **object_of(part.arguments)}
    item: JSONObject = {"type": kind, "id": item_id, **_DONE}
    if part.arguments:
        item["action"] = object_of(part.arguments)
    item.update(noted(part.extras, "_item"))
    return item


def search_item(part: c.ServerToolCallPart, item_id: str) -> JSONObject:
    """Another provider's web search, shown as this wire shows one."""
    told = object_of(part.arguments)
    action: JSONObject = {"type": "search"}
    query = told.get("query")
    queries = [text for text in _list(told.get("queries")) if isinstance(text, str)]
    if isinstance(query, str):
        action["query"] = query
        action["queries"] = [query]
    elif queries:
        action["queries"] = [*queries]
    return {"type": "web_search_call", "id": item_id, **_DONE, "action": action}


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def image_item(part: c.ImagePart, item_id: str) -> JSONObject | None:
    """An image that the model drew; None for one of which the bytes are not known."""
    if not isinstance(part.source, c.Base64Source):
        return None
    item: JSONObject = {"type": "image_generation_call", "id": item_id, **_DONE, "result": part.source.data}
    format_name = part.source.media_type.removeprefix("image/")
    if not own(part.extras).get("_bare") and format_name in ("png", "webp", "jpeg", "gif", "svg"):
        item["output_format"] = format_name
    item.update(noted(part.extras, "_item"))
    return item


def object_of(arguments: str) -> JSONObject:
    """Arguments as an object; {} where they are none."""
    try:
        return json.decode_object(arguments)
    except json.NotJSON:
        return {}

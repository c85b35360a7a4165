"""Output items, read: of a whole answer, of a stream's finished items, and of a client's history.

One item may be several parts (a message), a part may stand for a whole item (a call, a provider-side tool), and some
items are none (an empty piece of reasoning in an answer). What an item has beside its parts is noted on the first of
them, so that this dialect's writer can put the same item together again:

    _message   members of a message item (id, status, phase); `_more` marks the parts that follow in the same item
    _item      members of any other item
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.inline_media import is_base64
from bytespike.protocols.openai_responses.content_in import read_content
from bytespike.protocols.openai_responses.envelope import CallProof, Hidden, open_sealed
from bytespike.protocols.openai_responses.names import NAME, aside
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.protocols.sealed_text import is_sealed
from bytespike.wire import fields as f
from bytespike.wire import json

_TEXT: Final = c.TextPart
_MESSAGE: Final = frozenset({"type", "role", "content"})
_REASONING: Final = frozenset({"type", "id", "summary", "content", "encrypted_content"})
_CALL: Final = frozenset({"type", "call_id", "name", "arguments", "input", "namespace"})
_SEARCH: Final = frozenset({"type", "id", "action"})
_HOSTED: Final = frozenset({"type", "id"})
_IMAGE: Final = frozenset({"type", "id", "result", "output_format"})
_REGULAR: Final = ("completed", "in_progress", "searching", "generating")
#: Between two summaries, or two texts, of one piece of reasoning.
PIECE_BREAK: Final = "\n\n"

#: Provider-side tools, and the hub's names for them.
HOSTED_NAMES: Final = {
    "file_search_call": "file_search",
    "code_interpreter_call": "code_execution",
    "mcp_call": "mcp_call",
    "mcp_list_tools": "mcp_list_tools",
    "program": "program",
    "program_output": "program_output",
}


def read_message_parts(item: JSONObject) -> list[c.Part]:
    """An assistant's message. Raises `Wrong`."""
    content = item.get("content")
    parts = read_content(content) if content is not None else []
    note: JSONObject = {"_message": message_note(item)}
    if isinstance(content, str):
        note["_string"] = True
    return [marked(part, note if number == 0 else {"_more": True}) for number, part in enumerate(parts)]


def message_note(item: JSONObject) -> JSONObject:
    """The members of a message beside its content."""
    return members_of(item, _MESSAGE)


def members_of(item: JSONObject, known: frozenset[str]) -> JSONObject:
    """The members of an item that its part does not hold. That it is whole, or will be, goes without saying."""
    return {
        key: value
        for key, value in item.items()
        if key not in known and value is not None and (key != "status" or value not in _REGULAR)
    }


def marked(part: c.Part, note: JSONObject) -> c.Part:
    """The part with a note of where it stood."""
    if type(part) is _TEXT and not part.extras:
        return c.TextPart(part.text, part.citations, part.cache, aside(note))
    if isinstance(part, (c.TextPart, c.RefusalPart)):
        return structs.replace(part, extras=aside({**(part.extras.get(NAME) or {}), **note}))
    return part


def read_reasoning(item: JSONObject) -> list[c.Part | CallProof | Hidden]:
    """A reasoning item: what it shows, with its proof, or whatever a sealed one holds. Raises `Wrong`."""
    opaque = f.optional_text(item, "encrypted_content")
    if opaque and is_sealed(opaque):
        held = open_sealed(opaque)
        if held is not None:
            return [held]
        opaque = None
    summary, summary_cuts = _texts(item, "summary")
    text, text_cuts = _texts(item, "content")
    item_id = f.optional_text(item, "id")
    proof = c.Proof(NAME, opaque) if opaque else None
    rest: JSONObject = {"_item": members_of(item, _REASONING)}
    parts: list[c.Part | CallProof | Hidden] = []
    if summary_cuts:
        note = _divided(rest, summary_cuts)
        last = None if text_cuts else proof
        parts.append(c.ReasoningPart(summary, last, summary=True, id=item_id, extras=aside(note)))
    if text_cuts or not parts:
        note = _divided(rest, text_cuts)
        parts.append(c.ReasoningPart(text, proof, id=item_id, extras=aside(note)))
    return parts


def _divided(note: JSONObject, cuts: list[JSON]) -> JSONObject:
    return {**note, "_cuts": cuts} if len(cuts) > 1 else note


def _texts(item: JSONObject, key: str) -> tuple[str, list[JSON]]:
    """The texts of a list, joined, and how long each is. A plain string (older vendors) is one text."""
    value = item.get(key)
    if isinstance(value, str):
        return value, [len(value)]
    texts: list[str] = []
    for index, piece in enumerate(f.objects(f.optional_array(item, key) or [], key)):
        try:
            texts.append(f.text(piece, "text"))
        except f.Wrong as wrong:
            raise wrong.under(key, index) from None
    return PIECE_BREAK.join(texts), [len(text) for text in texts]


def read_call(item: JSONObject, names: ToolNames) -> c.ToolCallPart:
    """A function_call or custom_tool_call. Raises `Wrong`."""
    custom = item.get("type") == "custom_tool_call"
    arguments = f.optional_text(item, "input") if custom else arguments_of(item)
    namespace = f.optional_text(item, "namespace")
    name = f.some_text(item, "name")
    note: JSONObject = {"_item": members_of(item, _CALL)}
    if namespace:
        note["_namespace"] = namespace
        note["_name"] = name
    return c.ToolCallPart(
        # Some vendors send "", or only the item's id.
        f.optional_text(item, "call_id") or f.optional_text(item, "id") or "",
        names.flat(namespace, name),
        arguments or "",
        "custom" if custom else "function",
        extras=aside(note),
    )


def arguments_of(item: JSONObject) -> str:
    """The arguments' JSON text; some vendors send the object itself. Raises `Wrong`."""
    arguments = item.get("arguments")
    if isinstance(arguments, dict):
        return json.encode(arguments).decode()
    return f.optional_text(item, "arguments") or ""


def read_search(item: JSONObject) -> c.ServerToolCallPart:
    """A web_search_call: the action is what was asked for. Raises `Wrong`."""
    action = f.optional_object(item, "action")
    arguments = "" if action is None else json.encode(action).decode()
    return c.ServerToolCallPart(
        f.optional_text(item, "id") or "",
        "web_search",
        arguments,
        NAME,
        extras=aside({"_type": "web_search_call", "_item": members_of(item, _SEARCH)}),
    )


def read_hosted(item: JSONObject, kind: str) -> c.ServerToolCallPart:
    """A call of a provider-side tool, with what came of it: all of it is the arguments. Raises `Wrong`."""
    told = f.rest(item, _HOSTED)
    return c.ServerToolCallPart(
        f.optional_text(item, "id") or "",
        HOSTED_NAMES[kind],
        json.encode(told).decode(),
        NAME,
        extras=aside({"_type": kind}),
    )


def read_image(item: JSONObject) -> c.Part:
    """An image_generation_call: the image that was drawn; without one (it failed, or what it holds is no base64) the item as
    it is. Raises `Wrong`."""
    result = f.optional_text(item, "result")
    if not result or not is_base64(result):
        return c.ForeignPart(NAME, "image_generation_call", item)
    format_name = f.optional_text(item, "output_format")
    source = c.Base64Source(f"image/{format_name or 'png'}", result)
    note: JSONObject = {"_item": members_of(item, _IMAGE), "_id": item.get("id")}
    if format_name is None:
        note["_bare"] = True
    return c.ImagePart(source, extras=aside(note))


def _reasoning(item: JSONObject, names: ToolNames) -> list[c.Part | CallProof | Hidden]:
    del names
    return read_reasoning(item)


def _call(item: JSONObject, names: ToolNames) -> list[c.Part | CallProof | Hidden]:
    return [read_call(item, names)]


def _search(item: JSONObject, names: ToolNames) -> list[c.Part | CallProof | Hidden]:
    del names
    return [read_search(item)]


def _image(item: JSONObject, names: ToolNames) -> list[c.Part | CallProof | Hidden]:
    del names
    return [read_image(item)]


_READERS: Final[dict[str, Callable[[JSONObject, ToolNames], list[c.Part | CallProof | Hidden]]]] = {
    "reasoning": _reasoning,
    "custom_tool_call": _call,
    "web_search_call": _search,
    "image_generation_call": _image,
}


def read_item(item: JSONObject, names: ToolNames) -> list[c.Part | CallProof | Hidden]:
    """What one item of an assistant's says. Raises `Wrong`."""
    kind = f.text(item, "type")
    if kind == "message":
        return [*read_message_parts(item)]
    if kind == "function_call":
        return [read_call(item, names)]
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(item, names)
    if kind in HOSTED_NAMES:
        return [read_hosted(item, kind)]
    return [c.ForeignPart(NAME, kind, item)]


def _unsealed(found: Iterable[c.Part | CallProof | Hidden]) -> list[c.Part] | None:
    """The same where nothing was sealed: then each is where it belongs. None where something was."""
    parts: list[c.Part] = []
    for held in found:
        # `isinstance` costs thirty times as much where it says no.
        if type(held) is CallProof or type(held) is Hidden:
            return None
        parts.append(held)
    return parts


def brought_home(
    found: Iterable[c.Part | CallProof | Hidden], elsewhere: Mapping[str, c.Proof] | None = None
) -> list[c.Part]:
    """The parts of a turn or an answer, with sealed proofs given to their calls, and without the items that only showed
    what a sealed part says. `elsewhere`: proofs that other turns hold."""
    found = list(found)
    if not elsewhere:
        unsealed = _unsealed(found)
        if unsealed is not None:
            return unsealed
    proofs = {
        **(elsewhere or {}),
        **{held.call_id: held.proof for held in found if isinstance(held, CallProof)},
    }
    shown = {held.shown for held in found if isinstance(held, Hidden) and held.shown is not None}
    parts: list[c.Part] = []
    for held in found:
        match held:
            case CallProof():
                pass
            case Hidden(part=part):
                parts.append(part)
            case c.ToolCallPart(id=call_id) if call_id in proofs:
                parts.append(structs.replace(held, proof=proofs[call_id]))
            case c.ServerToolCallPart(id=item_id, origin=origin) if origin == NAME and item_id in shown:
                pass
            case _:
                parts.append(held)
    return parts

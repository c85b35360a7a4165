"""A conversation, written as `instructions` and `input` for an upstream.

- The system prompt is `instructions` where it is plain text; a client of this dialect gets its own division back.
- Outputs of calls are items of their own; what else stands in their turn is a message after them. An output may hold
  text, images and files. A failed one is prefixed with "[tool error] ", for the wire has no flag for it.
- Reasoning goes back only with a proof of this dialect: anything else OpenAI would refuse.
- Uses of another provider's tools become text, because the turns after them refer to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ChatRequest
from bytespike.protocols.openai_responses import quirks as q
from bytespike.protocols.openai_responses.content_out import ContentWriter, foreign, unsupported
from bytespike.protocols.openai_responses.items import (
    Said,
    begins_message,
    call_item,
    history_message,
    hosted_item,
    image_item,
    joined_items,
    reasoning_item,
    same_item,
)
from bytespike.protocols.openai_responses.names import (
    CALL_ID_CHARS_MAX,
    NAME,
    noted,
    own,
    wire_name,
)
from bytespike.wire import json

_TEXT: Final = c.TextPart
ERROR_PREFIX: Final = "[tool error] "
_PARAGRAPH: Final = "\n\n"
#: A provider-side tool's result may be a whole web page; as text for another model this much of it must do.
SERVER_RESULT_CHARS_MAX: Final = 16_384
#: Members that only the provider which wrote them can read.
_OPAQUE: Final = ("encrypted_", "signature")


def write_conversation(body: JSONObject, request: ChatRequest, target: Target, losses: Losses) -> None:
    """Set `instructions` and `input`. Raises `UnsupportedFeature`."""
    _Conversation(target, losses).write(body, request)


def fitting_id(call_id: str) -> str:
    """The id of a call where the API takes it, else one made of its hash: the same for the call and its output."""
    if 0 < len(call_id) <= CALL_ID_CHARS_MAX:
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"call_{digest[:40]}"


class _Conversation:
    __slots__ = ("items", "losses", "target", "writer")

    def __init__(self, target: Target, losses: Losses) -> None:
        self.target = target
        self.losses = losses
        self.writer = ContentWriter(target, losses)
        self.items: list[JSON] = []

    def write(self, body: JSONObject, request: ChatRequest) -> None:
        self._opening(body, request)
        for turn in request.turns:
            self.losses.foreign_extras(turn.extras, "input.")
            if turn.name is not None:
                self.losses.dropped("messages.name", "messages have no participant names")
            if turn.role == "user":
                self._user(turn)
            elif turn.role == "assistant":
                self._assistant(turn)
            else:
                self._system_message(turn.parts, turn)
        only = self.items[0] if len(self.items) == 1 else None
        if not self.items and "instructions" in body:
            # A request that is all system prompt: the API wants some input.
            self.items.append({"role": "system", "content": body.pop("instructions")})
        spelt = len(request.turns) == 1 and own(request.turns[0].extras).get("_string")
        if spelt and isinstance(only, dict) and isinstance(only.get("content"), str):
            body["input"] = only["content"]
        else:
            body["input"] = self.items

    # --- system ------------------------------------------------------------------------------------------------

    def _opening(self, body: JSONObject, request: ChatRequest) -> None:
        told = own(request.extras).get("_opening")
        if isinstance(told, list) and _parts_told(told) == len(request.system):
            self._opening_as_told(body, told, request.system)
            return
        plain = [part for part in request.system if _is_plain(part)]
        if len(plain) == len(request.system):
            texts = [part.text for part in plain if isinstance(part, c.TextPart)]
            if texts:
                body["instructions"] = _PARAGRAPH.join(texts)
            return
        self._message("system", request.system, {})

    def _opening_as_told(self, body: JSONObject, told: list[JSON], system: Sequence[c.Part]) -> None:
        at = 0
        for entry in told:
            if not isinstance(entry, dict):
                continue
            count = entry.get("parts")
            count = count if isinstance(count, int) else 0
            parts = system[at : at + count]
            at += count
            if entry.get("role") == "instructions":
                body["instructions"] = "".join(part.text for part in parts if isinstance(part, c.TextPart))
                continue
            members = entry.get("members")
            self._message(str(entry.get("role")), parts, members if isinstance(members, dict) else {})

    def _system_message(self, parts: Sequence[c.Part], turn: c.Turn) -> None:
        role = own(turn.extras).get("_role")
        self._message(role if isinstance(role, str) else "system", parts, noted(turn.extras, "_item"))

    def _message(self, role: str, parts: Sequence[c.Part], members: JSONObject) -> None:
        entries = self.writer.parts(parts, f"A {role} message")
        self.items.append({"role": role, "content": self.writer.content(entries), **members})

    # --- user --------------------------------------------------------------------------------------------------

    def _user(self, turn: c.Turn) -> None:
        rest: list[c.Part] = []
        outputs = False
        for part in turn.parts:
            if type(part) is _TEXT:
                # Mostly it is text, and `isinstance` costs thirty times as much where it says no.
                rest.append(part)
            elif isinstance(part, c.ToolResultPart):
                self._output(part)
                outputs = True
            elif outputs and isinstance(part, c.ForeignPart) and not rest:
                # An output of a kind that the hub does not know, among its like.
                self.items.append(foreign(part))
            elif isinstance(part, c.ForeignPart) and _is_item(part):
                self.items.append(foreign(part))
                outputs = True
            else:
                rest.append(part)
        if rest or not outputs:
            self._message("user", rest, noted(turn.extras, "_item"))

    def _output(self, result: c.ToolResultPart) -> None:
        custom = result.kind == "custom"
        entries = self.writer.parts(result.content, "A tool's output")
        if result.is_error:
            self.losses.approximated("tool_result.is_error", "written as a text prefix")
            entries = _prefixed(entries)
        if result.cache is not None:
            self.losses.cache_mark()
        self.losses.foreign_extras(result.extras, "tool_results.")
        item: JSONObject = {
            "type": "custom_tool_call_output" if custom else "function_call_output",
            "call_id": fitting_id(result.call_id),
            "output": self.writer.content(entries) if entries else "",
        }
        told = own(result.extras)
        if isinstance(told.get("_namespace"), str):
            item["namespace"] = told["_namespace"]
            if told.get("_name") is not None:
                item["name"] = told["_name"]
        item.update(noted(result.extras, "_item"))
        self.items.append(item)

    # --- assistant ---------------------------------------------------------------------------------------------

    def _assistant(self, turn: c.Turn) -> None:
        said: list[Said] = []
        moved: list[c.Part] = []
        before: c.ReasoningPart | None = None
        for part in turn.parts:
            text = self._as_said(part)
            if text is not None:
                if said and begins_message(text):
                    self._say(said)
                said.append(text)
                continue
            if isinstance(part, c.ReasoningPart) and not self._may_return(part):
                continue
            self._say(said)
            if isinstance(part, c.ReasoningPart):
                self._reasoning(part, before)
                before = part
                continue
            before = None
            if isinstance(part, (c.ImagePart, c.DocumentPart)) and NAME not in part.extras:
                self.losses.approximated("assistant.images", "moved to a user message")
                moved.append(part)
            else:
                self.items.append(self._item(part))
        self._say(said)
        if moved:
            self._message("user", moved, {})

    def _say(self, said: list[Said]) -> None:
        if said:
            self.items.append(history_message(said, f"msg_{len(self.items)}"))
            said.clear()

    def _item(self, part: c.Part) -> JSON:
        match part:
            case c.ToolCallPart():
                return self._call(part)
            case c.ServerToolCallPart():
                return hosted_item(part, part.id)
            case c.ImagePart():
                return image_item(part, str(own(part.extras).get("_id") or ""))
            case c.ForeignPart():
                return foreign(part)
            case _:
                raise unsupported(f"An assistant's turn cannot hold a {type(part).__name__}.")

    def _as_said(self, part: c.Part) -> Said | None:
        """The part as it stands in a message, if it does."""
        match part:
            case c.TextPart():
                if part.cache is not None:
                    self.losses.cache_mark()
                if part.citations and NAME not in part.extras:
                    self.losses.dropped("messages.citations", "of another provider")
                    return c.TextPart(part.text)
                return part
            case c.RefusalPart():
                return part
            case c.ServerToolCallPart(origin=origin) if origin != NAME:
                self.losses.approximated("server_tools", "past calls and results written as text")
                return c.TextPart(f"[{part.name} {part.arguments}]\n")
            case c.ServerToolResultPart():
                self.losses.approximated("server_tools", "past calls and results written as text")
                told = json.encode(_readable(part.content)).decode()
                if len(told) > SERVER_RESULT_CHARS_MAX:
                    told = told[:SERVER_RESULT_CHARS_MAX] + "..."
                return c.TextPart(f"[{part.kind}: {told}]\n")
            case _:
                return None

    def _may_return(self, part: c.ReasoningPart) -> bool:
        """Whether the target may have the reasoning back: its own, or any where it reads plain text."""
        if part.proof is not None and part.proof.origin == NAME:
            return True
        if part.proof is None and NAME in part.extras:
            return True
        if q.REASONING_CONTENT in self.target.quirks and part.text:
            return True
        self.losses.dropped("messages.reasoning", "not made by this provider")
        return False

    def _reasoning(self, part: c.ReasoningPart, before: c.ReasoningPart | None) -> None:
        own_proof = part.proof if part.proof is not None and part.proof.origin == NAME else None
        item_id = part.id if NAME in part.extras or own_proof is not None else None
        item = reasoning_item(part, item_id, own_proof.data if own_proof else None, summary=part.summary)
        last = self.items[-1] if self.items else None
        if before is not None and same_item(before, part) and isinstance(last, dict):
            self.items[-1] = joined_items(last, item)
        else:
            self.items.append(item)

    def _call(self, call: c.ToolCallPart) -> JSONObject:
        custom = call.kind == "custom"
        if custom and q.NO_CUSTOM_TOOLS in self.target.quirks:
            raise unsupported("This model takes no calls of free-form tools.")
        if call.proof is not None and call.proof.origin != NAME:
            self.losses.dropped("messages.reasoning", "not made by this provider")
        if call.cache is not None:
            self.losses.cache_mark()
        self.losses.foreign_extras(call.extras, "tool_calls.")
        arguments = call.arguments if custom else call.arguments or "{}"
        named = structs.replace(call, name=wire_name(call.name))
        return call_item(named, None, fitting_id(call.id), arguments)


def _is_item(part: c.ForeignPart) -> bool:
    """Whether a part of this dialect is an item of the input (an output of a computer or a shell), not content."""
    return part.dialect == NAME and not part.kind.startswith("input_")


def _is_plain(part: c.Part) -> bool:
    return isinstance(part, c.TextPart) and part.cache is None and not part.citations and not part.extras


def _parts_told(told: list[JSON]) -> int:
    counts = [entry.get("parts") for entry in told if isinstance(entry, dict)]
    return sum(count for count in counts if isinstance(count, int))


def _prefixed(entries: list[JSON]) -> list[JSON]:
    first = entries[0] if entries else None
    if isinstance(first, dict) and first.get("type") == "input_text":
        return [{**first, "text": f"{ERROR_PREFIX}{first.get('text', '')}"}, *entries[1:]]
    return [{"type": "input_text", "text": ERROR_PREFIX.rstrip()}, *entries]


def _readable(value: JSON) -> JSON:
    """The value without what only its provider can read. Bodies are bounded in depth where they are read."""
    if isinstance(value, dict):
        return {key: _readable(member) for key, member in value.items() if not key.startswith(_OPAQUE)}
    if isinstance(value, list):
        return [_readable(member) for member in value]
    return value

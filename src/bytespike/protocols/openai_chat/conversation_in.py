"""The `messages` of a request, read: what opens the conversation, and its turns."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import structs

from bytespike.core.content import Part, ToolCallPart, ToolResultPart, Turn
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras, JSONObject
from bytespike.protocols.openai_chat.content_in import read_content
from bytespike.protocols.openai_chat.message_in import read_message
from bytespike.protocols.openai_chat.names import aside, own
from bytespike.wire import fields as f

_MESSAGE: Final = frozenset({"role", "content", "name"})
_TOOL_MESSAGE: Final = frozenset({"role", "content", "name", "tool_call_id"})
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_ROLES: Final = "'system', 'developer', 'user', 'assistant', 'tool' or 'function'"


class Conversation(NamedTuple):
    """`opening`: one entry for each system or developer message that opens the conversation, with its role, the number
    of its parts and its further members, so that they can be written back as they came."""

    system: tuple[Part, ...]
    opening: list[JSON]
    turns: tuple[Turn, ...]


class _Reader:
    __slots__ = ("custom", "legacy_id", "opening", "results", "system", "turns")

    def __init__(self) -> None:
        self.system: list[Part] = []
        self.opening: list[JSON] = []
        self.turns: list[Turn] = []
        #: Results of consecutive tool messages: they make one turn.
        self.results: list[ToolResultPart] = []
        #: The ids of calls to free-form tools, because a tool message does not say what it answers.
        self.custom: set[str] = set()
        #: The id that the last legacy function call was given.
        self.legacy_id: str | None = None

    def read(self, message: JSONObject, number: int) -> None:
        role = f.text(message, "role")
        if role == "tool":
            self.results.append(self._tool_result(message))
            return
        if role == "function":
            self.results.append(self._function_result(message, number))
            return
        self.flush()
        if role in _SYSTEM_ROLES:
            self._system(message, role)
        elif role == "user":
            parts = read_content(_content(message))
            self.turns.append(Turn("user", tuple(parts), f.optional_text(message, "name"), _unknown(message)))
        elif role == "assistant":
            self._assistant(message, number)
        else:
            raise f.Wrong(f"must be {_ROLES}, not {role[:40]!r}", "role")

    def flush(self) -> None:
        if self.results:
            self.turns.append(Turn("user", tuple(self.results)))
            self.results = []

    def _system(self, message: JSONObject, role: str) -> None:
        parts = read_content(_content(message))
        name = f.optional_text(message, "name")
        unknown = f.rest(message, _MESSAGE) if len(message) > 2 else {}
        if not self.turns:
            entry: JSONObject = {"role": role, "parts": len(parts)}
            if name is not None:
                unknown = {**unknown, "name": name}
            if unknown:
                entry["members"] = unknown
            self.system.extend(parts)
            self.opening.append(entry)
            return
        if role == "developer":
            unknown = {**unknown, "_role": role}
        self.turns.append(Turn("system", tuple(parts), name, aside(unknown)))

    def _assistant(self, message: JSONObject, number: int) -> None:
        parts, unknown = read_message(message, f"call_{number}_")
        for part in parts:
            if isinstance(part, ToolCallPart):
                self._remember(part)
        self.turns.append(Turn("assistant", parts, f.optional_text(message, "name"), aside(unknown)))

    def _remember(self, call: ToolCallPart) -> None:
        if call.kind == "custom":
            self.custom.add(call.id)
        if call.extras and own(call.extras).get("_legacy"):
            self.legacy_id = call.id

    def _tool_result(self, message: JSONObject) -> ToolResultPart:
        call_id = f.text(message, "tool_call_id")
        parts = read_content(_content(message))
        part = ToolResultPart(call_id, tuple(parts), name=f.optional_text(message, "name"))
        if call_id in self.custom:
            part = structs.replace(part, kind="custom")
        unknown = f.rest(message, _TOOL_MESSAGE) if len(message) > 3 else {}
        return structs.replace(part, extras=aside(unknown)) if unknown else part

    def _function_result(self, message: JSONObject, number: int) -> ToolResultPart:
        """The deprecated role: no id, so the result belongs to the last function call."""
        content = message.get("content")
        call_id = self.legacy_id or f"call_{number}_function"
        self.legacy_id = None
        return ToolResultPart(
            call_id,
            () if content is None else tuple(read_content(content)),
            name=f.text(message, "name"),
            extras=aside({**f.rest(message, _MESSAGE), "_legacy": True}),
        )


def read_conversation(messages: list[JSON]) -> Conversation:
    """Raises `Wrong` under "messages"."""
    if not messages:
        raise f.Wrong("must hold at least one message", "messages")
    reader = _Reader()
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise f.Wrong(f"must be an object, not {f.kind_of(message)}", "messages", number)
        try:
            reader.read(message, number)
        except f.Wrong as wrong:
            raise wrong.under("messages", number) from None
    reader.flush()
    return Conversation(tuple(reader.system), reader.opening, tuple(reader.turns))


def _content(message: JSONObject) -> JSON:
    if "content" not in message:
        raise f.missing("content")
    return message["content"]


def _unknown(message: JSONObject) -> Extras:
    return aside(f.rest(message, _MESSAGE)) if len(message) > 2 else NO_EXTRAS

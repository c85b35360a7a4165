"""A conversation, written as `messages` for an upstream.

Where the hub's turns and chat's messages differ:

- Tool results are messages of their own, directly after the calls; the rest of their turn is a user message after them.
- A tool message takes only text. Images and files in a result go into the next user message, each lot announced by a
  line that names the call.
- A failed result is prefixed with "[tool error] ", for chat has no flag for it.
- System turns in mid-conversation stay where they are, unless the target wants one system message, or all of them first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bytespike.core.content import (
    DocumentPart,
    ForeignPart,
    ImagePart,
    Part,
    SearchResultPart,
    TextPart,
    ToolResultPart,
    Turn,
)
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import ChatRequest
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.alternation import alternating
from bytespike.protocols.openai_chat.content_out import ContentWriter, foreign, is_text, unsupported
from bytespike.protocols.openai_chat.history_out import write_assistant
from bytespike.protocols.openai_chat.names import own, wire_members, wire_name
from bytespike.protocols.openai_chat.tool_ids import fitting_id

ERROR_PREFIX: Final = "[tool error] "
_MOVED: Final = "[The tool returned content that is not text; it follows in the next user message.]"
_PARAGRAPH: Final = "\n\n"


def write_messages(request: ChatRequest, target: Target, losses: Losses) -> list[JSON]:
    """Raises `UnsupportedFeature`."""
    return _Conversation(target, losses).write(request)


class _Conversation:
    __slots__ = ("messages", "pending", "quirks", "writer")

    def __init__(self, target: Target, losses: Losses) -> None:
        self.writer = ContentWriter(target, losses)
        self.quirks = target.quirks
        self.messages: list[JSON] = []
        #: What has to go into the next user message.
        self.pending: list[JSONObject] = []

    def write(self, request: ChatRequest) -> list[JSON]:
        self._opening(request)
        for turn in request.turns:
            if turn.role == "user":
                self._user(turn)
            elif turn.role == "assistant":
                self._flush()
                message, moved = write_assistant(turn, self.writer)
                self.messages.append(message)
                self.pending.extend(self.writer.user_parts(moved))
            else:
                self._system_turn(turn)
        self._flush()
        return alternating(self.messages) if q.ALTERNATE_ROLES in self.quirks else self.messages

    # --- system ------------------------------------------------------------------------------------------------

    def _opening(self, request: ChatRequest) -> None:
        system = list(request.system)
        if q.SYSTEM_FIRST in self.quirks:
            system.extend(part for turn in request.turns if turn.role == "system" for part in turn.parts)
        if not system:
            return
        told = own(request.extras).get("_opening")
        if q.MERGE_SYSTEM not in self.quirks and isinstance(told, list) and _parts_told(told) == len(system):
            self._opening_as_told(told, system)
            return
        entries = self.writer.text_only(system, "system")
        if q.MERGE_SYSTEM in self.quirks:
            content: JSON = _PARAGRAPH.join(str(entry.get("text", "")) for entry in entries)
        else:
            content = self.writer.content(entries, _PARAGRAPH)
        self.messages.append({"role": self._system_role(None), "content": content})

    def _opening_as_told(self, told: list[JSON], system: Sequence[Part]) -> None:
        """As the client of this dialect had spelt it: so many messages, of these roles."""
        at = 0
        for entry in told:
            if not isinstance(entry, dict):
                continue
            count = entry["parts"]
            count = count if isinstance(count, int) else 0
            entries = self.writer.text_only(system[at : at + count], "system")
            at += count
            role = entry.get("role")
            message: JSONObject = {
                "role": self._system_role(role if isinstance(role, str) else None),
                "content": self.writer.content(entries, _PARAGRAPH),
            }
            members = entry.get("members")
            if isinstance(members, dict):
                message.update(members)
            self.messages.append(message)

    def _system_role(self, spelt: str | None) -> str:
        if q.NO_DEVELOPER_ROLE in self.quirks:
            return "system"
        if q.DEVELOPER_ROLE in self.quirks:
            return "developer"
        return spelt or "system"

    def _system_turn(self, turn: Turn) -> None:
        if q.SYSTEM_FIRST in self.quirks:
            self.writer.losses.approximated("messages.system", "moved to the start")
            return
        self._flush()
        role = own(turn.extras).get("_role")
        entries = self.writer.text_only(turn.parts, "system")
        message: JSONObject = {
            "role": self._system_role(role if isinstance(role, str) else None),
            "content": self.writer.content(entries, _PARAGRAPH),
        }
        self._finish(message, turn)

    # --- user --------------------------------------------------------------------------------------------------

    def _user(self, turn: Turn) -> None:
        results = [part for part in turn.parts if isinstance(part, ToolResultPart)]
        if results:
            for result in results:
                self._result(result)
            rest: list[Part] = [part for part in turn.parts if not isinstance(part, ToolResultPart)]
            if not rest:
                self.writer.losses.foreign_extras(turn.extras, "messages.")
                return
        else:
            rest = list(turn.parts)
        entries = [*self.pending, *self.writer.user_parts(rest)]
        self.pending = []
        message: JSONObject = {"role": "user", "content": self.writer.content(entries, _PARAGRAPH)}
        self._finish(message, turn)

    def _finish(self, message: JSONObject, turn: Turn) -> None:
        if turn.name is not None:
            message["name"] = turn.name
        if turn.extras:
            message.update(wire_members(turn.extras))
            self.writer.losses.foreign_extras(turn.extras, "messages.")
        self.messages.append(message)

    def _flush(self) -> None:
        if self.pending:
            self.messages.append({"role": "user", "content": self.writer.content(self.pending, _PARAGRAPH)})
            self.pending = []

    def _result(self, result: ToolResultPart) -> None:
        content = self._result_content(result)
        message: JSONObject
        if own(result.extras).get("_legacy"):
            message = {"role": "function", "name": wire_name(result.name or ""), "content": content}
        else:
            message = {
                "role": "tool",
                "tool_call_id": fitting_id(result.call_id, self.quirks),
                "content": content,
            }
            if result.name is not None:
                message["name"] = wire_name(result.name)
        if result.cache is not None:
            self.writer.losses.cache_mark()
        message.update(wire_members(result.extras))
        self.writer.losses.foreign_extras(result.extras, "tool_results.")
        self.messages.append(message)

    def _result_content(self, result: ToolResultPart) -> JSON:
        entries: list[JSONObject] = []
        moved: list[Part] = []
        for part in result.content:
            match part:
                case TextPart():
                    entries.append(self.writer.text(part))
                case SearchResultPart():
                    entries.append(self.writer.search_result(part))
                case DocumentPart() if is_text(part):
                    entries.extend(self.writer.document(part))
                case ImagePart() | DocumentPart():
                    moved.append(part)
                case ForeignPart():
                    entries.append(foreign(part))
                case _:
                    raise unsupported(f"A tool result cannot hold a {type(part).__name__} for this model.")
        if moved:
            self.writer.losses.approximated("tool_result.content", "images and files moved to a user message")
            self.pending.append({"type": "text", "text": f"[content of the tool result {result.call_id}]"})
            self.pending.extend(self.writer.user_parts(moved))
            if not entries:
                entries.append({"type": "text", "text": _MOVED})
        if result.is_error:
            self.writer.losses.approximated("tool_result.is_error", "written as a text prefix")
            entries = _prefixed(entries)
        if not entries:
            return None if own(result.extras).get("_legacy") else ""
        return self.writer.content(entries, "\n")


def _prefixed(entries: list[JSONObject]) -> list[JSONObject]:
    if not entries:
        return [{"type": "text", "text": ERROR_PREFIX.rstrip()}]
    first = entries[0]
    return [{**first, "text": f"{ERROR_PREFIX}{first.get('text', '')}"}, *entries[1:]]


def _parts_told(told: list[JSON]) -> int:
    counts = [entry.get("parts") for entry in told if isinstance(entry, dict)]
    return sum(count for count in counts if isinstance(count, int))

"""The `input` of a request, read: what opens the conversation, and its turns.

The wire is flat: a message, a piece of reasoning, a call, a call's output are items of one list. The hub has turns. So
everything that the model said in a row (reasoning, messages, calls, uses of provider-side tools) is one assistant's turn,
outputs in a row are one user's turn, and every message of the user is a turn of its own. `instructions` and the system
and developer messages before the first turn open the conversation; later ones are system turns.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from bytespike.core import content as c
from bytespike.core.json_types import JSON, Extras, JSONObject
from bytespike.core.tools import Tool
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_responses.content_in import read_content
from bytespike.protocols.openai_responses.envelope import CallProof, Hidden
from bytespike.protocols.openai_responses.names import NAME, aside
from bytespike.protocols.openai_responses.output_in import brought_home, read_item, read_message_parts
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.protocols.openai_responses.tools import read_tools
from bytespike.wire import fields as f

#: An `input` of more items is no conversation. (A body of the permitted size could hold ten million empty ones.)
ITEMS_MAX: Final = 100_000
# Compared with the class itself: `isinstance` costs thirty times as much where it says no.
_CALL_PROOF: Final = CallProof
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_ROLES: Final = "'user', 'assistant', 'system' or 'developer'"
_MESSAGE: Final = frozenset({"role", "content"})
_OUTPUT: Final = frozenset({"type", "call_id", "output", "name", "namespace"})
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
#: Items of the caller's that no hub part stands for: they are neither the model's words nor a message.
_CALLERS: Final = frozenset(
    {
        "computer_call_output", "local_shell_call_output", "shell_call_output", "apply_patch_call_output",
        "mcp_approval_response", "compaction_trigger", "configuration_update",
    }
)  # fmt: skip


_Said: TypeAlias = "c.Part | CallProof | Hidden"


class Conversation(NamedTuple):
    """`opening`: one entry for `instructions` and for each system or developer message that opens the conversation, so
    that they can be written back as they came. `tools`: those that items of the input added."""

    system: tuple[c.Part, ...]
    opening: list[JSON]
    turns: tuple[c.Turn, ...]
    tools: list[Tool]


class _Reader:
    __slots__ = ("names", "opening", "roles", "runs", "system", "tools", "turns")

    def __init__(self, names: ToolNames) -> None:
        self.names = names
        self.system: list[c.Part] = []
        self.opening: list[JSON] = []
        self.tools: list[Tool] = []
        #: Turns in the making: what the model said in a row, and outputs in a row, make one turn each.
        self.turns: list[c.Turn | list[_Said]] = []
        self.roles: list[str] = []

    def read(self, item: JSONObject) -> None:
        kind = f.optional_text(item, "type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference" if "id" in item else f.text(item, "type")
        if kind == "message":
            self._message(item)
        elif kind in _OUTPUTS:
            self._run("results").append(self._output(item, kind))
        elif kind == "additional_tools":
            self.tools.extend(read_tools(f.array_at(item, "tools"), "auto", self.names))
        elif kind == "item_reference":
            raise UnsupportedFeature(
                "input: an item_reference names an item that only OpenAI keeps; send the item itself.",
                param="input",
            )
        elif kind in _CALLERS:
            self._run("results").append(c.ForeignPart(NAME, kind, item))
        else:
            self._run("model").extend(read_item(item, self.names))

    def _run(self, role: str) -> list[_Said]:
        """The turn in the making that belongs to `role`, which goes on if it is the last."""
        last = self.turns[-1] if self.turns else None
        if isinstance(last, list) and self.roles[-1] == role:
            return last
        run: list[_Said] = []
        self._turn(run, role)
        return run

    def _turn(self, turn: c.Turn | list[_Said], role: str) -> None:
        self.turns.append(turn)
        self.roles.append(role)

    def _message(self, item: JSONObject) -> None:
        role = f.text(item, "role")
        if "content" not in item:
            raise f.missing("content")
        if role == "assistant":
            self._run("model").extend(read_message_parts(item))
        elif role in _SYSTEM_ROLES:
            self._system(item, role)
        elif role == "user":
            self._turn(c.Turn("user", tuple(read_content(item["content"])), extras=_note(item)), role)
        else:
            raise f.Wrong(f"must be {_ROLES}, not {role[:40]!r}", "role")

    def _system(self, item: JSONObject, role: str) -> None:
        parts = read_content(item["content"])
        if not self.turns:
            self.system.extend(parts)
            self.opening.append({"role": role, "parts": len(parts), "members": f.rest(item, _MESSAGE)})
        else:
            self._turn(c.Turn("system", tuple(parts), extras=_note(item, role)), role)

    def _output(self, item: JSONObject, kind: str) -> c.ToolResultPart:
        if item.get("output") is None:
            raise f.missing("output")
        parts = read_content(item["output"], "output")
        note: JSONObject = {"_item": f.rest(item, _OUTPUT)}
        name = f.optional_text(item, "name")
        namespace = f.optional_text(item, "namespace")
        if namespace:
            note["_namespace"] = namespace
            note["_name"] = name
        return c.ToolResultPart(
            f.text(item, "call_id"),
            tuple(parts),
            name=self.names.flat(namespace, name) if name else None,
            kind="custom" if kind == "custom_tool_call_output" else "function",
            extras=aside(note),
        )

    def finished(self) -> tuple[c.Turn, ...]:
        """The turns. What was sealed is brought home first, for a sealed item may stand anywhere."""
        proofs = {
            said.call_id: said.proof
            for turn in self.turns
            if isinstance(turn, list)
            for said in turn
            if type(said) is _CALL_PROOF
        }
        turns: list[c.Turn] = []
        for turn, role in zip(self.turns, self.roles, strict=True):
            if isinstance(turn, c.Turn):
                turns.append(turn)
                continue
            parts = brought_home(turn, proofs)
            if parts:
                turns.append(c.Turn("assistant" if role == "model" else "user", tuple(parts)))
        return tuple(turns)


def _note(item: JSONObject, role: str | None = None) -> Extras:
    note: JSONObject = {"_item": f.rest(item, _MESSAGE)}
    if role == "developer":
        note["_role"] = role
    return aside(note)


def read_conversation(body: JSONObject, names: ToolNames) -> Conversation:
    """`instructions` and `input`. Raises `Wrong`, `UnsupportedFeature`."""
    reader = _Reader(names)
    instructions = f.optional_text(body, "instructions")
    if instructions is not None:
        reader.system.append(c.TextPart(instructions))
        reader.opening.append({"role": "instructions", "parts": 1})
    given = body.get("input")
    if isinstance(given, str):
        turn = c.Turn("user", (c.TextPart(given),), extras=aside({"_string": True}))
        return Conversation(tuple(reader.system), reader.opening, (turn,), [])
    if not isinstance(given, list):
        if given is None:
            raise f.missing("input")
        raise f.Wrong(f"must be a string or an array of items, not {f.kind_of(given)}", "input")
    if len(given) > ITEMS_MAX:
        raise f.Wrong(f"must hold at most {ITEMS_MAX} items", "input")
    for number, item in enumerate(given):
        if not isinstance(item, dict):
            raise f.Wrong(f"must be an object, not {f.kind_of(item)}", "input", number)
        try:
            reader.read(item)
        except f.Wrong as wrong:
            raise wrong.under("input", number) from None
    return Conversation(tuple(reader.system), reader.opening, reader.finished(), reader.tools)

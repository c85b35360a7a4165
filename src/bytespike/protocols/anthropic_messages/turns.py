"""The hub's turns as Anthropic's `messages`.

What the API asks for, and what is done about it (Messages API reference; error texts of the API; recorded traffic):
- consecutive turns of one role are one turn: they are merged here, so that the next rule can be kept;
- tool results come first in the user turn after their calls: they are moved to the front, in their order;
- empty texts are refused: they are left out, and so are turns that have nothing left;
- an answer that is to be continued may not end in white space: it is cut off;
- a "system" turn may stand only after a user turn (or another system turn), and only models from Opus 4.8 on take
  one (quirk "system_turns"): elsewhere it becomes text of the user's turn in <system> tags;
- the first turn may be the assistant's (that was refused once, and is not since the end of 2024).
"""

from __future__ import annotations

from bytespike.core.content import ToolCallPart, Turn
from bytespike.core.dialect import Target
from bytespike.core.losses import Losses
from bytespike.protocols.anthropic_messages.blocks_write import Block, PromptBlocks
from bytespike.protocols.anthropic_messages.fields import own_extras
from bytespike.protocols.anthropic_messages.names import QUIRK_SYSTEM_TURNS

_THINKING = ("thinking", "redacted_thinking")


class Message:
    """One message in the making."""

    __slots__ = ("content", "extras", "role")

    def __init__(self, role: str, content: list[Block], extras: Block) -> None:
        self.role = role
        self.content = content
        self.extras = extras

    def written(self) -> Block:
        message: Block = {"role": self.role}
        content = self.content
        if len(content) == 1 and content[0]["type"] == "text" and len(content[0]) == 2:
            message["content"] = content[0]["text"]
        elif content:
            message["content"] = content
        return message | self.extras if self.extras else message


class WrittenTurns:
    """`messages`, what of the turns belongs to the system prompt, and what the rest of the request must know."""

    __slots__ = ("loop_without_thinking", "messages", "system", "tool_names")

    def __init__(self, messages: list[Message], system: list[Block], tool_names: list[str]) -> None:
        self.messages = messages
        self.system = system
        self.tool_names = tool_names
        self.loop_without_thinking = _loop_without_thinking(messages)


def write_turns(turns: tuple[Turn, ...], target: Target, losses: Losses) -> WrittenTurns:
    """Raises `UnsupportedFeature`. There is no message at all where no turn has any content."""
    writer = _Turns(target, losses)
    for index, turn in enumerate(turns):
        writer.add(turn, f"messages.{index}.content")
    for message in writer.messages:
        if message.role == "user" and len(message.content) > 1:
            message.content.sort(key=lambda block: block["type"] != "tool_result")
    _strip_end(writer.messages)
    return WrittenTurns(writer.messages, writer.system, writer.tool_names)


class _Turns:
    __slots__ = ("_blocks", "_losses", "_system_turns", "messages", "system", "tool_names")

    def __init__(self, target: Target, losses: Losses) -> None:
        self.messages: list[Message] = []
        self.system: list[Block] = []
        self.tool_names: list[str] = []
        self._losses = losses
        self._blocks = PromptBlocks(target, losses)
        self._system_turns = QUIRK_SYSTEM_TURNS in target.quirks

    def add(self, turn: Turn, path: str) -> None:
        if turn.name is not None:
            self._losses.dropped("messages.name", "Anthropic has no participants")
        assistant = turn.role == "assistant"
        if assistant:
            self.tool_names += [part.name for part in turn.parts if isinstance(part, ToolCallPart)]
        content = self._blocks.blocks(turn.parts, path, assistant=assistant)
        extras: Block = {}
        if turn.extras:
            self._losses.foreign_extras(turn.extras, "messages.")
            extras |= own_extras(turn.extras)
        if turn.role == "system":
            self._add_system(content, extras)
        elif content:
            self._append(turn.role, content, extras)

    def _append(self, role: str, content: list[Block], extras: Block) -> None:
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == role and role != "system":
            last.content += content
            last.extras |= extras
        else:
            self.messages.append(Message(role, content, extras))

    def _add_system(self, content: list[Block], extras: Block) -> None:
        if not content and not extras:
            return
        if not self.messages and not extras:
            self.system += content
        elif self._system_turns and self.messages and self.messages[-1].role != "assistant":
            self._append("system", content, extras)
        else:
            self._losses.approximated("messages.role", "a later system turn became text of the user turn")
            self._append("user", [_in_system_tags(block) for block in content], {})


def _in_system_tags(block: Block) -> Block:
    return block | {"text": f"<system>{block['text']}</system>"} if block["type"] == "text" else block


def _strip_end(messages: list[Message]) -> None:
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant":
        return
    while last.content and last.content[-1]["type"] == "text":
        text = str(last.content[-1]["text"]).rstrip()
        if text:
            last.content[-1] = last.content[-1] | {"text": text}
            return
        last.content.pop()
    if not last.content:
        messages.pop()


def _loop_without_thinking(messages: list[Message]) -> bool:
    """Whether the last turn answers tool calls that were made without thinking (of this provider)."""
    answer = len(messages) - 1
    while answer >= 0 and messages[answer].role == "system":
        answer -= 1
    if answer < 1 or not any(block["type"] == "tool_result" for block in messages[answer].content):
        return False
    calls = next((m for m in reversed(messages[:answer]) if m.role == "assistant"), None)
    return calls is None or calls.content[0]["type"] not in _THINKING

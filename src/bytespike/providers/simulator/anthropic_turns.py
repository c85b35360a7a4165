"""Anthropic Messages: the rules between turns.

Who may open, which calls must be answered where, and that the proofs of thinking come home unchanged. Consecutive turns
of one role are one turn, as the API combines them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from bytespike.providers.simulator import proofs
from bytespike.providers.simulator.anthropic_blocks import Block, Wire, content_blocks, refuse
from bytespike.providers.simulator.checks import Node
from bytespike.providers.simulator.prompt import Document, Line, Result

ROLES = ("user", "assistant", "system")
MESSAGES_MAX = 100_000


class Turn(Struct, frozen=True):
    """One or more messages of a role. `at` is the index of the first."""

    role: str
    at: int
    blocks: tuple[Block, ...]


class Transcript(Struct, frozen=True):
    """A conversation that keeps the rules."""

    turns: tuple[Turn, ...]

    @property
    def blocks(self) -> list[Block]:
        return [block for turn in self.turns for block in turn.blocks]

    def latest(self) -> list[Block]:
        """What the user has sent since the last answer (before it, where the last turn is a prefill)."""
        turns = list(self.turns)
        if turns and turns[-1].role == "assistant":
            turns.pop()
        found: list[Block] = []
        for turn in reversed(turns):
            if turn.role == "assistant":
                break
            if turn.role == "user":
                found[:0] = turn.blocks
        return found

    def results(self) -> tuple[Result, ...]:
        """What tools gave back since the last answer."""
        names = {
            block.node.text("id"): block.node.text("name")
            for turn in self.turns
            for block in turn.blocks
            if block.kind == "tool_use"
        }
        return tuple(
            Result(
                names[block.node.text("tool_use_id")], block.text, block.node.value.get("is_error") is True
            )
            for block in self.latest()
            if block.kind == "tool_result"
        )

    def history(self) -> Iterator[Line]:
        """Who said what, in order."""
        for turn in self.turns:
            for block in turn.blocks:
                if turn.role == "assistant":
                    yield Line("answer", block.text)
                elif turn.role == "system":
                    yield Line("system", block.text)
                elif block.kind == "tool_result":
                    yield Line("result", block.text)
                elif block.kind == "text":
                    yield Line("user", block.text)

    def documents(self) -> tuple[Document, ...]:
        return tuple(block.document for block in self.blocks if block.document is not None)


def read_transcript(node: Node, wire: Wire, seed: bytes) -> Transcript:
    """The checked `messages` of a request. Raises `Problem`, `Fault`."""
    messages = node.array("messages")
    if not messages:
        raise refuse("messages: at least one message is required")
    if len(messages) > MESSAGES_MAX:
        raise refuse(f"messages: at most {MESSAGES_MAX} messages are allowed")
    turns: list[Turn] = []
    for index, message in enumerate(node.objects("messages")):
        turn = _turn(message, index, index == len(messages) - 1, wire)
        if turns and turns[-1].role == turn.role:
            last = turns.pop()
            turn = Turn(last.role, last.at, (*last.blocks, *turn.blocks))
        turns.append(turn)
    # An answer may open a conversation (recorded); an instruction may not.
    if turns[0].role == "system":
        raise refuse('messages: first message must use the "user" role')
    _check_calls(turns)
    _check_proofs(turns, seed)
    return Transcript(tuple(turns))


def _turn(message: Node, index: int, last: bool, wire: Wire) -> Turn:
    role = message.one_of("role", ROLES)
    if not wire.lenient:
        message.only(("role", "content"))
    blocks = content_blocks(message, role, wire)
    if not blocks and not (last and role == "assistant"):
        raise refuse(
            f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
            "message"
        )
    if last and role == "assistant" and blocks and blocks[-1].text != blocks[-1].text.rstrip():
        raise refuse("messages: final assistant content cannot end with trailing whitespace")
    return Turn(role, index, tuple(blocks))


def _check_calls(turns: Sequence[Turn]) -> None:
    """Every `tool_use` is answered at the start of the next turn, every `tool_result` answers one of the turn before."""
    open_calls: list[str] = []
    for turn in turns:
        answered = _answers(turn, open_calls)
        missing = [call for call in open_calls if call not in answered]
        if missing:
            _unanswered(turn.at - 1, missing)
        open_calls = []
        for block in turn.blocks:
            if block.kind == "tool_use":
                call = block.node.text("id")
                # Within a turn: a later one may use an id again (recorded).
                if call in open_calls:
                    raise refuse("messages: `tool_use` ids must be unique")
                open_calls.append(call)
    if open_calls:
        _unanswered(turns[-1].at, open_calls)


def _answers(turn: Turn, open_calls: Sequence[str]) -> set[str]:
    """The calls that this turn answers before it says anything else."""
    answered: set[str] = set()
    leading = True
    for place, block in enumerate(turn.blocks):
        if block.kind != "tool_result":
            leading = False
            continue
        call = block.node.text("tool_use_id")
        if call not in open_calls:
            raise refuse(
                f"messages.{turn.at}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if call in answered:
            raise refuse(
                f"messages.{turn.at}.content.{place}: each `tool_use` must have a single result: {call}"
            )
        if leading:
            answered.add(call)
    return answered


def _unanswered(at: int, missing: Sequence[str]) -> None:
    raise refuse(
        f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_proofs(turns: Sequence[Turn], seed: bytes) -> None:
    for turn in turns:
        for place, block in enumerate(turn.blocks):
            where = f"messages.{turn.at}.content.{place}"
            if block.kind == "thinking":
                node = block.node
                if not proofs.signature_holds(seed, node.text("signature"), node.text("thinking")):
                    raise refuse(f"{where}: Invalid `signature` in `thinking` block")
            elif block.kind == "redacted_thinking" and not proofs.redacted_holds(
                seed, block.node.text("data")
            ):
                raise refuse(f"{where}: Invalid `data` in `redacted_thinking` block")


def check_thinking_leads(turns: Sequence[Turn]) -> None:
    """With manual thinking, an answer that called tools must come back with its thinking in front. Raises `Fault`."""
    for turn in reversed(turns):
        if turn.role != "assistant":
            continue
        kinds = [block.kind for block in turn.blocks]
        if "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking"):
            raise refuse(
                f"messages.{turn.at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                f"`{kinds[0]}`. When `thinking` is enabled, a final `assistant` message must start with a thinking "
                "block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
            )
        return

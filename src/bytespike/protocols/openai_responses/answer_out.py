"""An answer's output items, written for a client.

`item_of_*` build one finished item each; the whole answer and the stream's last events are made of the same ones, so
that they cannot differ. `AnswerItems` writes a whole answer.

A part that this wire has no item for travels sealed (`envelope`), in a reasoning item that shows nothing. It stands before
what it belongs to (the proof of a call before the call, a provider-side call before the item that shows it), so that
whoever reads the output in order knows in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Final

from msgspec import structs

from bytespike.core import content as c
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.free_form import unwrapped
from bytespike.protocols.openai_responses.echo import Echo
from bytespike.protocols.openai_responses.envelope import seal_call_proof, seal_part, seal_reasoning
from bytespike.protocols.openai_responses.items import (
    Said,
    begins_message,
    call_item,
    content_entry,
    hosted_item,
    image_item,
    message_members,
    reasoning_item,
    search_item,
)
from bytespike.protocols.openai_responses.names import NAME, aside, noted, own

#: Clients parse a function's arguments as JSON; a call without any has empty text in some dialects.
NO_ARGUMENTS: Final = "{}"
#: The prefix of each kind of item's ids.
MESSAGE_ID: Final = "msg"
REASONING_ID: Final = "rs"
CALL_ID: Final = "fc"
CUSTOM_CALL_ID: Final = "ctc"
SEARCH_ID: Final = "ws"
IMAGE_ID: Final = "ig"
_OPENAI_REASONING: Final = "rs_"
_NO_TOKENS: Final[list[JSON]] = []


def made_id(prefix: str, tail: str, index: int) -> str:
    """The id of item number `index` of the output."""
    return f"{prefix}_{tail}_{index}"


def id_of_message(first: Said, tail: str, index: int) -> str:
    told = message_members(first).get("id")
    return told if isinstance(told, str) and told else made_id(MESSAGE_ID, tail, index)


def item_of_message(
    parts: Sequence[Said], logprobs: Sequence[list[JSON]], item_id: str, status: str = "completed"
) -> JSONObject:
    """A message. `logprobs`: the tokens of each of its texts."""
    # More texts than lists of tokens: the rest have none.
    tokens = chain(logprobs, repeat(_NO_TOKENS))
    content: list[JSON] = [
        content_entry(part, next(tokens) if isinstance(part, c.TextPart) else None) for part in parts
    ]
    members = message_members(parts[0])
    return {
        "type": "message",
        "role": "assistant",
        **members,
        "id": item_id,
        "status": members.get("status") or status,
        "content": content,
    }


def id_of_reasoning(part: c.ReasoningPart, tail: str, index: int) -> str:
    """OpenAI holds a proof against the id that it was given with, so that an id of its form stays. (In a stream it is
    needed before the proof is known.)"""
    known = part.id is not None and (NAME in part.extras or part.id.startswith(_OPENAI_REASONING))
    return part.id if part.id and known else made_id(REASONING_ID, tail, index)


def shows_summary(part: c.ReasoningPart, echo: Echo) -> bool:
    """Whether the text stands as a summary: it is one, or the client asked to see summaries and would see nothing of
    a text that stands elsewhere."""
    return part.summary or (echo.summaries and NAME not in part.extras)


def item_of_reasoning(part: c.ReasoningPart, echo: Echo, item_id: str) -> JSONObject:
    opaque = seal_reasoning(part)
    if "_cuts" in own(part.extras):
        # A stream cannot know where it was divided, and both shall say the same.
        part = structs.replace(part, extras=aside({"_item": noted(part.extras, "_item")}))
    return reasoning_item(part, item_id, opaque, summary=shows_summary(part, echo))


def item_sealed(opaque: str, item_id: str) -> JSONObject:
    """A reasoning item that shows nothing."""
    return {"type": "reasoning", "id": item_id, "summary": [], "encrypted_content": opaque}


def nativized(call: c.ToolCallPart, echo: Echo) -> c.ToolCallPart:
    """The call as the client's own tools are called: in its namespace, free-form if the tool is."""
    native = echo.natives.get(call.name)
    if native is None or NAME in call.extras:
        return call
    if native.namespace is not None:
        call = structs.replace(call, extras=aside({"_namespace": native.namespace, "_name": native.name}))
    if native.kind == "custom" and call.kind == "function":
        return structs.replace(call, kind="custom", arguments=unwrapped(call.arguments))
    return call


def id_of_call(call: c.ToolCallPart, tail: str, index: int) -> str:
    told = noted(call.extras, "_item").get("id")
    if isinstance(told, str) and told:
        return told
    return made_id(CUSTOM_CALL_ID if call.kind == "custom" else CALL_ID, tail, index)


def call_id_of(call: c.ToolCallPart, tail: str, index: int) -> str:
    """Clients tell calls apart by this id; not every upstream gives one."""
    return call.id or made_id("call", tail, index)


def item_of_call(call: c.ToolCallPart, item_id: str, call_id: str) -> JSONObject:
    """`call`: nativized, with its whole arguments."""
    arguments = call.arguments if call.kind == "custom" else call.arguments or NO_ARGUMENTS
    return call_item(call, item_id, call_id, arguments)


def items_of_whole(part: c.Part, tail: str, index: int, losses: Losses) -> list[JSONObject]:
    """The items of a part that comes whole; `index`: the number of the first. Raises `UnsupportedFeature` for media
    that this wire cannot show."""
    match part:
        case c.ServerToolCallPart(origin=origin):
            if origin == NAME:
                return [hosted_item(part, part.id or made_id(SEARCH_ID, tail, index))]
            return _foreign_call(part, tail, index, losses)
        case c.ServerToolResultPart():
            return [item_sealed(seal_part(part, None), made_id(REASONING_ID, tail, index))]
        case c.ForeignPart(dialect=dialect, raw=raw):
            if dialect == NAME and isinstance(raw, dict):
                return [raw]
            losses.dropped(f"content.{part.kind[:40]}", f"only {dialect} has it")
            return [item_sealed(seal_part(part, None), made_id(REASONING_ID, tail, index))]
        case c.ImagePart():
            told = own(part.extras).get("_id")
            item = image_item(part, told if isinstance(told, str) else made_id(IMAGE_ID, tail, index))
            if item is not None:
                return [item]
        case _:
            pass
    kind = type(part).__name__.removesuffix("Part").lower()
    raise UnsupportedFeature(
        f"the model answered with {kind} content, which the Responses API cannot carry; use an endpoint that can"
    )


def _foreign_call(part: c.ServerToolCallPart, tail: str, index: int, losses: Losses) -> list[JSONObject]:
    sealed_id = made_id(REASONING_ID, tail, index)
    if part.name != "web_search":
        losses.dropped(f"server_tools.{part.name[:40]}", "kept for later turns and not shown")
        return [item_sealed(seal_part(part, None), sealed_id)]
    shown = made_id(SEARCH_ID, tail, index + 1)
    return [item_sealed(seal_part(part, shown), sealed_id), search_item(part, shown)]


class AnswerItems:
    """The output of one whole answer in the making. `status`: of a message that the answer ends with."""

    __slots__ = ("_echo", "_losses", "_output", "_said", "_status", "_tail", "_tokens")

    def __init__(self, tail: str, echo: Echo, losses: Losses, status: str) -> None:
        self._tail = tail
        self._status = status
        self._echo = echo
        self._losses = losses
        self._output: list[JSON] = []
        self._said: list[Said] = []
        self._tokens: list[list[JSON]] = []

    def write(self, parts: Sequence[c.Part], logprobs: Sequence[list[JSON]]) -> list[JSON]:
        """`logprobs`: the tokens of each text. Raises `UnsupportedFeature`."""
        tokens = chain(logprobs, repeat(_NO_TOKENS))
        for part in parts:
            if isinstance(part, (c.TextPart, c.RefusalPart)):
                if self._said and begins_message(part):
                    self._say()
                self._said.append(part)
                if isinstance(part, c.TextPart):
                    self._tokens.append(next(tokens))
                continue
            self._say()
            self._other(part)
        self._say(self._status)
        return self._output

    def _say(self, status: str = "completed") -> None:
        if self._said:
            item_id = id_of_message(self._said[0], self._tail, len(self._output))
            self._output.append(item_of_message(self._said, self._tokens, item_id, status))
            self._said, self._tokens = [], []

    def _other(self, part: c.Part) -> None:
        tail = self._tail
        match part:
            case c.ReasoningPart():
                self._output.append(
                    item_of_reasoning(part, self._echo, id_of_reasoning(part, tail, len(self._output)))
                )
            case c.ToolCallPart():
                call = nativized(part, self._echo)
                index = len(self._output) + (part.proof is not None)
                call_id = call_id_of(call, tail, index)
                sealed = seal_call_proof(part, call_id)
                if sealed is not None:
                    self._output.append(item_sealed(sealed, made_id(REASONING_ID, tail, index - 1)))
                self._output.append(item_of_call(call, id_of_call(call, tail, index), call_id))
            case _:
                self._output.extend(items_of_whole(part, tail, len(self._output), self._losses))

"""The parts of an answer, written for a client.

What this wire has no form for goes out in the nearest one, with a sealed signature (`envelope`) that says what it was:
foreign proofs of reasoning, refusals, free-form calls, provider-side tools of other providers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bytespike.core.content import (
    AudioPart,
    DocumentPart,
    ForeignPart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.losses import Losses
from bytespike.protocols.gemini.call_ids import is_of_answer
from bytespike.protocols.gemini.envelope import Reasoned, Sealed, reasoned, seal, thought_signature
from bytespike.protocols.gemini.names import NAME, own, wire_members
from bytespike.protocols.gemini.parts_out import (
    OTHER_TOOL,
    TOOL_TYPES,
    Wire,
    args_of,
    media_part,
    object_of,
    server_call,
    server_result,
)

_REFUSAL = seal(Sealed(kind="refusal"))
_UNSIGNED = seal(Sealed())


class AnswerParts(NamedTuple):
    """`texts`: the text parts and their numbers in the content. `queries`: what a web search was asked for."""

    parts: list[Wire]
    texts: list[tuple[int, TextPart]]
    queries: list[str]
    called: bool


def write_parts(parts: Sequence[Part], losses: Losses) -> AnswerParts:
    """The parts of one candidate."""
    written: list[Wire] = []
    texts: list[tuple[int, TextPart]] = []
    queries: list[str] = []
    before: list[Reasoned] = []
    called = False
    held: str | None = None
    for number, part in enumerate(parts):
        if isinstance(part, ReasoningPart):
            copy = carried(part)
            if copy is not None:
                before.append(copy)
            following = parts[number + 1] if number + 1 < len(parts) else None
            if is_signature(part) and isinstance(following, TextPart) and following.text:
                held = part.proof.data if part.proof else None
                continue
        wire = whole_part(part, before, losses, first=not called)
        if wire is None:
            continue
        if isinstance(part, ReasoningPart) and _runs_into_next(part, parts[number + 1 : number + 2]):
            wire["thoughtSignature"] = thought_signature(part, ends=True)
        if isinstance(part, TextPart):
            texts.append((len(written), part))
            if held is not None:
                wire["thoughtSignature"] = held
                held = None
        elif isinstance(part, ToolCallPart):
            called = True
            before = []
        elif isinstance(part, ServerToolCallPart):
            queries += queries_of(part)
        written.append(wire)
    return AnswerParts(written, texts, queries, called)


def whole_part(part: Part, before: Sequence[Reasoned], losses: Losses, *, first: bool = False) -> Wire | None:
    """One part, whole; None for what no client of this dialect could read. `before`: reasoning that a call takes
    along. `first`: a call would be the answer's first."""
    match part:
        case TextPart():
            return {"text": part.text, **wire_members(part.extras)}
        case ReasoningPart():
            return reasoning_part(part)
        case ToolCallPart():
            return call_part(part, before, losses, first=first)
        case RefusalPart():
            return {"text": part.text, "thoughtSignature": _REFUSAL}
        case ServerToolCallPart():
            return server_call(part) if part.origin == NAME else _foreign_call(part)
        case ServerToolResultPart():
            return server_result(part) if part.origin == NAME else _foreign_result(part)
        case ImagePart() | AudioPart() | DocumentPart():
            wire = media_part(part)
            if wire is None:
                losses.dropped("content.media", "only another provider has the file")
            return wire
        case ForeignPart(dialect=dialect, kind=kind, raw=raw):
            if dialect == NAME and isinstance(raw, dict):
                return dict(raw)
            losses.dropped(f"content.{kind[:40]}", f"only {dialect} has it")
            return None
        case _:
            losses.dropped(f"content.{type(part).__name__}", "unknown to Gemini answers")
            return None


def _runs_into_next(part: ReasoningPart, following: Sequence[Part]) -> bool:
    """Whether a reader would take the next piece of reasoning for more of this one, which nothing ends."""
    if thought_signature(part) is not None or not part.text:
        return False
    return bool(following) and isinstance(following[0], ReasoningPart) and not is_signature(following[0])


def is_signature(part: ReasoningPart) -> bool:
    """Whether the part is nothing but a signature of this dialect, as text and calls carry it."""
    return not part.text and part.proof is not None and part.proof.origin == NAME


def carried(part: ReasoningPart) -> Reasoned | None:
    """What a call that follows takes along: only reasoning that another provider wants to have back."""
    if part.proof is None or part.proof.origin == NAME:
        return None
    return reasoned(part)


def reasoning_part(part: ReasoningPart) -> Wire:
    if is_signature(part) and part.proof is not None:
        return {"text": "", "thoughtSignature": part.proof.data, **wire_members(part.extras)}
    wire: Wire = {"text": part.text, "thought": True}
    signature = thought_signature(part)
    if signature is not None:
        wire["thoughtSignature"] = signature
    return {**wire, **wire_members(part.extras)}


def call_part(call: ToolCallPart, before: Sequence[Reasoned], losses: Losses, *, first: bool) -> Wire:
    """A call. The first of another provider's answer always has a signature, if only an empty seal: by it `passthrough`
    knows that no Google model made the call, when the conversation goes to one that insists on a signature."""
    function: Wire = {"name": call.name, "args": args_of(call, losses)}
    if call.id:
        function["id"] = call.id
    beside = own(call.extras).get("_call")
    if isinstance(beside, dict):
        function.update(beside)
    wire: Wire = {"functionCall": function, **wire_members(call.extras)}
    proof = call.proof
    if proof is not None and proof.origin == NAME:
        wire["thoughtSignature"] = proof.data
    elif proof is not None or before or call.kind == "custom":
        sealed = Sealed(
            origin=proof.origin if proof else "",
            data=proof.data if proof else "",
            kind="custom" if call.kind == "custom" else "",
            before=tuple(before),
        )
        wire["thoughtSignature"] = seal(sealed)
    elif first and not is_of_answer(call.id):
        wire["thoughtSignature"] = _UNSIGNED
    return wire


def _foreign_call(part: ServerToolCallPart) -> Wire:
    args = object_of(part.arguments)
    told: Wire = {"toolType": TOOL_TYPES.get(part.name, OTHER_TOOL), "args": args}
    if part.id:
        told["id"] = part.id
    # Arguments that are no object travel as they are.
    spelt = "" if args or part.arguments in ("", "{}") else part.arguments
    sealed = Sealed(origin=part.origin, name=part.name, data=spelt, extras=dict(part.extras))
    return {"toolCall": told, "thoughtSignature": seal(sealed)}


def _foreign_result(part: ServerToolResultPart) -> Wire:
    told: Wire = {"toolType": OTHER_TOOL, "response": {"content": part.content}}
    if part.call_id:
        told["id"] = part.call_id
    sealed = Sealed(
        origin=part.origin, kind=part.kind or "result", is_error=part.is_error, extras=dict(part.extras)
    )
    return {"toolResponse": told, "thoughtSignature": seal(sealed)}


def queries_of(part: ServerToolCallPart) -> list[str]:
    """What a search of another provider was asked for, for `groundingMetadata`."""
    if part.name != "web_search" or part.origin == NAME:
        return []
    query = object_of(part.arguments).get("query")
    return [query] if isinstance(query, str) and query else []

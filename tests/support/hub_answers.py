"""Random answers in the hub's terms, such as every dialect can say, and their events in any order that the grammar allows.

What one dialect alone cannot say is left out here, and told where it is used: media, several choices, reasons that only one
dialect has. Ids and names are such as every dialect takes.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st
from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAME = st.text("abcXYZ_", min_size=1, max_size=8)
OPAQUE = st.binary(min_size=3, max_size=12).map(lambda raw: base64.b64encode(raw).decode())
ORIGINS = ("anthropic_messages", "openai_responses", "gemini")
OBJECT = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)
COUNT = st.integers(0, 10**6)


@st.composite
def reasoning(draw: st.DrawFn, origin: str) -> c.ReasoningPart:
    """What a provider thinks is proven by itself. `origin` "": by nobody."""
    if not origin:
        return c.ReasoningPart(draw(TEXT))
    proof = c.Proof(origin, draw(OPAQUE))
    match draw(st.sampled_from(["shown", "hidden"])):
        case "shown":
            return c.ReasoningPart(draw(TEXT), proof)
        case _:
            return c.ReasoningPart(proof=proof, redacted=origin == "anthropic_messages")


@st.composite
def text(draw: st.DrawFn) -> c.TextPart:
    words = draw(TEXT)
    cites: list[c.Citation] = []
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            start = draw(st.integers(0, len(words) - 1))
            end = draw(st.integers(start + 1, len(words)))
            cites.append(c.Citation("web", draw(TEXT), draw(TEXT), start=start, end=end))
        else:
            cites.append(
                c.Citation("page", title=draw(TEXT), cited_text=draw(TEXT), start=1, end=2, document_index=0)
            )
    return c.TextPart(words, tuple(cites))


@st.composite
def call(draw: st.DrawFn, number: int, origin: str) -> c.ToolCallPart:
    id_, name = f"call_{number}", draw(NAME)
    if draw(st.integers(0, 4)) == 0:
        return c.ToolCallPart(id_, name, draw(TEXT), "custom")
    signed = OPAQUE.map(lambda data: c.Proof("gemini", data)) if origin == "gemini" else st.none()
    proof = draw(st.none() | signed)
    arguments = json.dumps(draw(OBJECT), ensure_ascii=draw(st.booleans()))
    return c.ToolCallPart(id_, name, arguments, proof=proof)


@st.composite
def search(draw: st.DrawFn, number: int) -> list[c.Part]:
    """A search at Anthropic: only its own calls have a place in its answers."""
    origin = "anthropic_messages"
    query = json.dumps({"query": draw(TEXT)})
    found: list[c.Part] = [c.ServerToolCallPart(f"srvtoolu_{number}", "web_search", query, origin)]
    if draw(st.booleans()):
        found.append(c.ServerToolResultPart(f"srvtoolu_{number}", "web_search_tool_result", [], origin))
    return found


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    """One choice. A model that refuses says nothing else; what it stops for fits to what it said."""
    origin = draw(st.sampled_from(["", *ORIGINS]))
    # Two pieces of thinking that nobody proves are one.
    parts: list[c.Part] = list(draw(st.lists(reasoning(origin), max_size=2 if origin else 1)))
    refuses = draw(st.integers(0, 7)) == 0
    if refuses:
        parts.append(c.RefusalPart(draw(TEXT)))
    for number in range(0 if refuses else draw(st.integers(0, 4))):
        match draw(st.sampled_from(["text", "call", "search", *(["reasoning"] if origin else [])])):
            case "text":
                parts.append(draw(text()))
            case "reasoning":
                parts.append(draw(reasoning(origin)))
            case "call":
                parts.append(draw(call(number, origin)))
            case _:
                parts += draw(search(number))
    if parts and isinstance(parts[-1], c.ReasoningPart) and not parts[-1].text:
        # A proof at the very end is one that Anthropic's streams leave out (noticed): a message cannot end in it.
        parts.append(c.TextPart(draw(TEXT)))
    calls = any(isinstance(part, c.ToolCallPart) for part in parts)
    regular = "refusal" if refuses else "tool_calls" if calls else "stop"
    reason: Any = draw(st.sampled_from([regular, "length"]))
    reasoned = draw(COUNT)
    usage = Usage(
        *[draw(COUNT) for _ in range(4)],
        output=reasoned + draw(COUNT),
        reasoning=reasoned,
        web_searches=sum(isinstance(part, c.ServerToolCallPart) for part in parts),
    )
    return ChatResponse("up", "m", (Candidate(tuple(parts), Finish(reason)),), usage)


@st.composite
def streamed(draw: st.DrawFn) -> tuple[list[e.Event], ChatResponse]:
    """An answer, and its events: texts and arguments in pieces. Calls stay open beside anything, as readers of chat leave
    them; whatever else there is no reader of ours interrupts."""
    answer = draw(answers())
    (candidate,) = answer.candidates
    lanes = [_lane(index, part, draw) for index, part in enumerate(candidate.parts)]
    are_calls = [isinstance(part, c.ToolCallPart) for part in candidate.parts]
    events: list[e.Event] = [e.Started(answer.id, answer.model)]
    started = 0
    while any(lanes):
        # Parts start in the order of their numbers.
        ready = [number for number, lane in enumerate(lanes) if lane and number <= started]
        begun = [number for number in ready if number < started and not are_calls[number]]
        chosen = draw(st.sampled_from(begun or ready))
        started = max(started, chosen + 1)
        events.append(lanes[chosen].pop(0))
        if draw(st.integers(0, 15)) == 0:
            events.append(draw(st.sampled_from([e.Ping(), e.UsageUpdate(answer.usage)])))
    return [*events, e.Finished(candidate.finish), e.Done(answer.usage)], answer


def _lane(index: int, part: c.Part, draw: st.DrawFn) -> list[e.Event]:
    lane: list[e.Event]
    match part:
        case c.TextPart():
            lane = [e.PartStart(index, c.TextPart("")), *_texts(index, part.text, draw)]
            lane += [e.CitationDelta(index, citation) for citation in part.citations]
        case c.ReasoningPart() if part.text:
            lane = [e.PartStart(index, structs.replace(part, text="", proof=None))]
            lane += _texts(index, part.text, draw)
            lane += [e.ProofDelta(index, part.proof)] if part.proof else []
        case c.RefusalPart():
            lane = [e.PartStart(index, c.RefusalPart("")), *_texts(index, part.text, draw)]
        case c.ToolCallPart():
            lane = [e.PartStart(index, structs.replace(part, arguments=""))]
            lane += [e.InputDelta(index, piece) for piece in _cut(part.arguments, draw)]
        case _:
            lane = [e.PartStart(index, part)]
    return [*lane, e.PartEnd(index)]


def _texts(index: int, words: str, draw: st.DrawFn) -> list[e.Event]:
    return [e.TextDelta(index, piece) for piece in _cut(words, draw)]


def _cut(words: str, draw: st.DrawFn) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(words)), max_size=2)))
    return [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]

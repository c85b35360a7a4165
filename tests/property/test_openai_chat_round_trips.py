"""Answers in the hub's terms survive the chat wire, whole and streamed, whatever they hold and however they interleave."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat import DIALECT
from bytespike.testing.chat_stream import validate_stream
from tests.support.chat_traffic import REPLY, same_response
from tests.support.hub_streams import read_stream

pytestmark = pytest.mark.slow

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
OPAQUE = st.text("abcXYZ0189+/=", min_size=1, max_size=10)
ORIGIN = st.sampled_from(["anthropic_messages", "gemini", "openai_responses", "xai-responses-v1"])
JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.dictionaries(TEXT, inner, max_size=2),
).map(json.dumps)


@st.composite
def reasoning(draw: st.DrawFn) -> c.ReasoningPart:
    kind = draw(st.sampled_from(["plain", "signed", "encrypted", "summary", "redacted", "hidden"]))
    match kind:
        case "plain":
            return c.ReasoningPart(draw(TEXT))
        case "signed":
            return c.ReasoningPart(
                draw(TEXT), c.Proof(draw(st.sampled_from(["anthropic_messages", "gemini"])), draw(OPAQUE))
            )
        case "encrypted":
            return c.ReasoningPart(draw(TEXT), c.Proof("xai-responses-v1", draw(OPAQUE)))
        case "summary":
            return c.ReasoningPart(
                draw(TEXT), c.Proof("openai_responses", draw(OPAQUE)), summary=True, id=draw(OPAQUE)
            )
        case "redacted":
            return c.ReasoningPart(proof=c.Proof("anthropic_messages", draw(OPAQUE)), redacted=True)
        case _:
            return c.ReasoningPart(
                proof=c.Proof(draw(st.sampled_from(["anthropic_messages", "gemini"])), draw(OPAQUE))
            )


@st.composite
def text(draw: st.DrawFn) -> c.TextPart:
    words = draw(TEXT)
    cites: list[c.Citation] = []
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            start = draw(st.integers(0, len(words) - 1))
            cites.append(
                c.Citation(
                    "web", draw(TEXT), draw(TEXT), start=start, end=draw(st.integers(start, len(words)))
                )
            )
        else:
            cites.append(
                c.Citation("page", title=draw(TEXT), cited_text=draw(TEXT), start=1, end=2, document_index=0)
            )
    return c.TextPart(words, tuple(cites))


@st.composite
def call(draw: st.DrawFn, number: int) -> c.ToolCallPart:
    proof = draw(st.none() | OPAQUE.map(lambda data: c.Proof("gemini", data)))
    return c.ToolCallPart(f"call_{number}", draw(OPAQUE), draw(JSON_TEXT), proof=proof)


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    """One text at most, so that canonical order loses nothing but order."""
    parts: list[c.Part] = draw(st.lists(reasoning(), max_size=3))
    if draw(st.booleans()):
        parts.append(c.ServerToolCallPart("s", "web_search", draw(JSON_TEXT), "anthropic_messages"))
        if draw(st.booleans()):
            parts.append(
                c.ServerToolResultPart("s", "k", draw(JSON_TEXT), "anthropic_messages", draw(st.booleans()))
            )
    parts += draw(st.lists(text(), max_size=1))
    parts += draw(st.lists(TEXT.map(c.RefusalPart), max_size=1))
    parts += [draw(call(number)) for number in range(draw(st.integers(0, 3)))]
    usage = Usage(*[draw(st.integers(0, 10**6)) for _ in range(5)])
    return ChatResponse("up", "m", (Candidate(tuple(parts), Finish("stop")),), usage)


@st.composite
def interleaved(draw: st.DrawFn, response: ChatResponse) -> list[e.Event]:
    """The answer's events: text in random pieces, and calls open at the same time."""
    events: list[e.Event] = [e.Started("up", "m")]
    queues: list[list[e.Event]] = []
    for index, part in enumerate(response.candidates[0].parts):
        if isinstance(part, c.ToolCallPart):
            queues.append(_call_events(index, part, draw))
        else:
            events += _events(index, part, draw)
    started = 0
    while queues:
        # Parts are numbered in the order in which they start: one that waits for its start waits for its turn.
        number = draw(st.integers(0, min(started, len(queues) - 1)))
        queue = queues[number]
        started += isinstance(queue[0], e.PartStart)
        events.append(queue.pop(0))
        if not queue:
            del queues[number]
            started -= 1
    return [*events, e.Finished(response.candidates[0].finish), e.Done(response.usage)]


def _pieces(words: str, draw: st.DrawFn) -> list[str]:
    at = draw(st.integers(0, len(words)))
    return [words[:at], words[at:]]


def _call_events(index: int, part: c.ToolCallPart, draw: st.DrawFn) -> list[e.Event]:
    start = c.ToolCallPart(part.id, part.name, "", proof=part.proof)
    return [
        e.PartStart(index, start),
        *[e.InputDelta(index, piece) for piece in _pieces(part.arguments, draw)],
        e.PartEnd(index),
    ]


def _events(index: int, part: c.Part, draw: st.DrawFn) -> list[e.Event]:
    match part:
        case c.TextPart():
            cites: list[e.Event] = [e.CitationDelta(index, citation) for citation in part.citations]
            deltas: list[e.Event] = [e.TextDelta(index, piece) for piece in _pieces(part.text, draw)]
            return [e.PartStart(index, c.TextPart("")), *deltas, *cites, e.PartEnd(index)]
        case c.ReasoningPart() if part.text:
            start = c.ReasoningPart("", summary=part.summary, id=part.id)
            proof: list[e.Event] = [e.ProofDelta(index, part.proof)] if part.proof else []
            pieces: list[e.Event] = [e.TextDelta(index, piece) for piece in _pieces(part.text, draw)]
            return [e.PartStart(index, start), *pieces, *proof, e.PartEnd(index)]
        case _:
            return [e.PartStart(index, part), e.PartEnd(index)]


read = partial(read_stream, DIALECT)


@settings(max_examples=200, deadline=None)
@given(answers())
def test_a_whole_answer_survives(response: ChatResponse) -> None:
    body = DIALECT.write_response(response, REPLY).body
    assert same_response(DIALECT.read_response(body)) == same_response(response)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_streamed_answer_survives(data: st.DataObject) -> None:
    response = data.draw(answers())
    events = data.draw(interleaved(response))
    assert same_response(fold(events)) == same_response(response)
    stream = DIALECT.stream_writer(REPLY).write(events)
    validate_stream(stream)
    assert same_response(fold(read(stream))) == same_response(response)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_prefix_and_a_failure_is_a_strict_stream(data: st.DataObject) -> None:
    events = data.draw(interleaved(data.draw(answers())))
    cut = data.draw(st.integers(0, len(events) - 1))
    stream = DIALECT.stream_writer(REPLY).write([*events[:cut], e.Failed("upstream_error", "broken")])
    validate_stream(stream)
    last = read(stream)[-1]
    assert isinstance(last, e.Failed)


@settings(max_examples=200, deadline=None)
@given(answers())
def test_the_history_of_an_answer_survives(response: ChatResponse) -> None:
    message: dict[str, Any] = json.loads(DIALECT.write_response(response, REPLY).body)["choices"][0][
        "message"
    ]
    turn = DIALECT.read_request(json.dumps({"model": "m", "messages": [message]}).encode()).turns[0]
    came = ChatResponse("", "", (Candidate(turn.parts, Finish("stop")),), response.usage)
    assert same_response(came) == same_response(response)

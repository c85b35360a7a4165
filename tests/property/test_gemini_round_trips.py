"""Answers and requests in the hub's terms survive the Gemini wire, whole and streamed, in both framings, whatever they hold
and however they interleave."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Target
from bytespike.core.finish import Finish
from bytespike.core.fold import fold
from bytespike.core.request import ChatRequest, OutputFormat, Sampling
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.tools import FunctionTool, ToolChoice
from bytespike.core.usage import Usage
from bytespike.protocols.gemini import DIALECT
from bytespike.testing.gemini_stream import validate_stream
from tests.support.gemini_traffic import ARRAY_REPLY, NEWER, OLDER, REPLY, same_response
from tests.support.hub_streams import read_stream

pytestmark = pytest.mark.slow

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAME = st.text("abcXYZ_", min_size=1, max_size=8)
OPAQUE = st.binary(min_size=3, max_size=12).map(lambda raw: base64.b64encode(raw).decode())
FOREIGN = st.sampled_from(["anthropic_messages", "openai_responses", "openai_chat", "xai-responses-v1"])
OBJECT = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    ),
    max_size=2,
)
ARGUMENTS = OBJECT.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False))


@st.composite
def reasoning(draw: st.DrawFn) -> c.ReasoningPart:
    foreign = c.Proof(draw(FOREIGN), draw(OPAQUE))
    match draw(st.sampled_from(["plain", "own", "signature", "foreign", "summary", "redacted", "named"])):
        case "plain":
            return c.ReasoningPart(draw(TEXT))
        case "own":
            return c.ReasoningPart(draw(TEXT), c.Proof("gemini", draw(OPAQUE)))
        case "signature":
            return c.ReasoningPart(proof=c.Proof("gemini", draw(OPAQUE)))
        case "foreign":
            return c.ReasoningPart(draw(TEXT), foreign)
        case "summary":
            return c.ReasoningPart(draw(TEXT), foreign, summary=True, id=draw(NAME))
        case "redacted":
            return c.ReasoningPart(proof=foreign, redacted=True)
        case _:
            return c.ReasoningPart(draw(TEXT), id=draw(NAME))


@st.composite
def text(draw: st.DrawFn, *, cited: bool = True) -> c.TextPart:
    words = draw(TEXT)
    cites: list[c.Citation] = []
    for _ in range(draw(st.integers(0, 2)) if cited else 0):
        start = draw(st.integers(0, len(words) - 1))
        if draw(st.booleans()):
            end = draw(st.integers(start + 1, len(words)))
            cites.append(
                c.Citation("web", draw(TEXT), draw(st.none() | TEXT), draw(st.just("") | TEXT), start, end)
            )
        else:
            cites.append(
                c.Citation("page", title=draw(TEXT), cited_text=draw(TEXT), start=1, end=2, document_index=0)
            )
    return c.TextPart(words, tuple(cites))


@st.composite
def call(draw: st.DrawFn, number: int) -> c.ToolCallPart:
    if draw(st.integers(0, 4)) == 0:
        return c.ToolCallPart(f"call_{number}", draw(NAME), draw(TEXT), "custom")
    proof = draw(st.none() | OPAQUE.map(lambda data: c.Proof("gemini", data)))
    return c.ToolCallPart(f"call_{number}", draw(NAME), draw(ARGUMENTS), proof=proof)


@st.composite
def server_tool(draw: st.DrawFn) -> list[c.Part]:
    origin = draw(FOREIGN)
    name = draw(st.sampled_from(["web_search", "web_fetch", "code_execution", "bash"]))
    found: list[c.Part] = [c.ServerToolCallPart("s", name, draw(ARGUMENTS), origin)]
    if draw(st.booleans()):
        found.append(c.ServerToolResultPart("s", draw(NAME), draw(OBJECT), origin, draw(st.booleans())))
    return found


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    parts: list[c.Part] = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["text", "reasoning", "call", "tool", "refusal"]))
        if kind == "tool":
            parts += draw(server_tool())
            continue
        part: c.Part
        match kind:
            case "text":
                part = draw(text())
            case "reasoning":
                part = draw(reasoning())
            case "call":
                part = draw(call(number))
            case _:
                part = c.RefusalPart(draw(TEXT))
        parts.append(part)
    finish = Finish(
        draw(st.sampled_from(["stop", "length", "tool_calls", "refusal", "content_filter", "other", "pause"]))
    )
    usage = Usage(*[draw(st.integers(0, 10**6)) for _ in range(5)])
    return ChatResponse("up", "m", (Candidate(tuple(parts), finish),), usage)


@st.composite
def cut(draw: st.DrawFn, response: ChatResponse) -> list[e.Event]:
    """The answer's events: text and arguments in random pieces, calls open at the same time."""
    told: list[e.Event] = [e.Started("up", "m")]
    waiting: list[e.Event] = []
    for index, part in enumerate(response.candidates[0].parts):
        match part:
            case c.TextPart(text=words, citations=cites):
                told += waiting
                waiting = []
                told += [e.PartStart(index, c.TextPart("")), *_pieces(index, words, draw)]
                told += [*[e.CitationDelta(index, cite) for cite in cites], e.PartEnd(index)]
            case c.ReasoningPart(text=words) if words:
                told += waiting
                waiting = []
                told += [
                    e.PartStart(index, structs.replace(part, text="", proof=None)),
                    *_pieces(index, words, draw),
                ]
                told += [*([e.ProofDelta(index, part.proof)] if part.proof else []), e.PartEnd(index)]
            case c.ToolCallPart(arguments=arguments):
                at = draw(st.integers(0, len(arguments)))
                told += [
                    e.PartStart(index, structs.replace(part, arguments="")),
                    e.InputDelta(index, arguments[:at]),
                ]
                rest: list[e.Event] = [e.InputDelta(index, arguments[at:]), e.PartEnd(index)]
                # Its end may come after the start of the next call.
                told += waiting
                waiting = rest
            case _:
                told += waiting
                waiting = []
                told += [e.PartStart(index, part), e.PartEnd(index)]
    return [*told, *waiting, e.Finished(response.candidates[0].finish), e.Done(response.usage)]


def _pieces(index: int, words: str, draw: st.DrawFn) -> list[e.Event]:
    at = draw(st.integers(0, len(words)))
    return [e.TextDelta(index, words[:at]), e.TextDelta(index, words[at:])]


read = partial(read_stream, DIALECT)


@settings(max_examples=300, deadline=None)
@given(answers())
def test_a_whole_answer_survives(response: ChatResponse) -> None:
    body = DIALECT.write_response(response, REPLY).body
    assert same_response(DIALECT.read_response(body)) == same_response(response)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_streamed_answer_survives_in_both_framings(data: st.DataObject) -> None:
    response = data.draw(answers())
    events = data.draw(cut(response))
    assert same_response(fold(events)) == same_response(response)
    for reply in (REPLY, ARRAY_REPLY):
        writer = DIALECT.stream_writer(reply)
        stream = b"".join([writer.write([event]) for event in events])
        validate_stream(stream, array=reply.array)
        assert same_response(fold(read(stream))) == same_response(response)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_prefix_and_a_failure_is_a_strict_stream(data: st.DataObject) -> None:
    events = data.draw(cut(data.draw(answers())))
    at = data.draw(st.integers(0, len(events) - 1))
    for reply in (REPLY, ARRAY_REPLY):
        stream = DIALECT.stream_writer(reply).write([*events[:at], e.Failed("upstream_error", "broken")])
        validate_stream(stream, array=reply.array)
        assert isinstance(read(stream)[-1], e.Failed)


@settings(max_examples=200, deadline=None)
@given(answers())
def test_the_history_of_an_answer_survives(response: ChatResponse) -> None:
    content = json.loads(DIALECT.write_response(response, REPLY).body)["candidates"][0]["content"]
    body = json.dumps({"contents": [content, {"parts": [{"text": "go on"}]}]}).encode()
    turns = DIALECT.read_request(body).turns
    came = ChatResponse("", "", (Candidate(turns[0].parts, Finish("stop")),))
    # Citations are not part of a content: they stay behind.
    bare = [
        structs.replace(part, citations=()) if isinstance(part, c.TextPart) else part
        for part in response.candidates[0].parts
    ]
    assert same_response(came) == same_response(
        ChatResponse("", "", (Candidate(tuple(bare), Finish("stop")),))
    )


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    turns: list[c.Turn] = [c.Turn("user", (draw(text(cited=False)),))]
    for number in range(draw(st.integers(0, 3))):
        calls = [draw(call(10 * number + each)) for each in range(draw(st.integers(0, 2)))]
        said: list[c.Part] = [
            *draw(st.lists(reasoning(), max_size=2)),
            *draw(st.lists(text(cited=False), max_size=1)),
            *calls,
        ]
        if not said:
            continue
        turns.append(c.Turn("assistant", tuple(said)))
        answers: list[c.Part] = [
            c.ToolResultPart(each.id, (c.TextPart(draw(TEXT)),), draw(st.booleans()), each.name)
            for each in calls
        ]
        turns.append(c.Turn("user", (*answers, draw(text(cited=False)))))
    return ChatRequest(
        model="",
        turns=tuple(turns),
        system=tuple(draw(st.lists(text(cited=False), max_size=2))),
        tools=tuple(FunctionTool(f"f{each}", draw(st.none() | TEXT), {"type": "object"}) for each in range(draw(st.integers(0, 2)))),
        tool_choice=draw(st.none() | st.sampled_from([ToolChoice("auto"), ToolChoice("none")])),
        max_output_tokens=draw(st.none() | st.integers(1, 1000)),
        stop=tuple(draw(st.lists(TEXT, max_size=3))),
        sampling=Sampling(draw(st.none() | st.floats(0, 2)), None, draw(st.none() | st.integers(1, 50))),
        output_format=draw(st.none() | st.sampled_from([OutputFormat("json_object"), OutputFormat("json_schema", {"type": "object"})])),
        candidates=draw(st.integers(1, 3)),
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(requests(), st.sampled_from([OLDER, NEWER]))
def test_a_request_that_is_written_reads_the_same_and_validates(
    request: ChatRequest, able: frozenset[str]
) -> None:
    target = Target("gemini-x", "gemini", able, 10**6)
    body = DIALECT.write_request(request, target).body
    told: dict[str, Any] = json.loads(body)
    for content in told["contents"]:
        types.Content.model_validate(content)
    again = DIALECT.read_request(body)
    for name in ("max_output_tokens", "stop", "sampling", "output_format", "candidates"):
        assert getattr(again, name) == getattr(request, name), name
    assert [part.text for part in again.system] == [part.text for part in request.system]
    assert [(tool.name, tool.description) for tool in again.tools] == [
        (tool.name, tool.description) for tool in request.tools
    ]
    assert [_turn(turn) for turn in again.turns] == [_turn(turn) for turn in request.turns if _turn(turn)[1]]
    # Written once more it is the same.
    assert json.loads(DIALECT.write_request(again, target).body) == told


def _turn(turn: c.Turn) -> tuple[str, list[Any]]:
    """What of a turn goes to the upstream: foreign reasoning does not."""
    found: list[Any] = []
    for part in turn.parts:
        match part:
            case c.ReasoningPart(proof=proof) if proof is None or proof.origin != "gemini":
                pass
            case c.ReasoningPart():
                found.append((part.text, part.proof))
            case c.ToolCallPart():
                arguments = (
                    json.loads(part.arguments) if part.kind == "function" else {"input": part.arguments}
                )
                proof = part.proof
                own = proof if proof and proof.data != "skip_thought_signature_validator" else None
                found.append((part.id, part.name, arguments, own))
            case c.ToolResultPart():
                found.append((part.call_id, part.content, part.is_error))
            case c.TextPart():
                found.append(part.text)
            case _:
                found.append(part)
    return turn.role, found

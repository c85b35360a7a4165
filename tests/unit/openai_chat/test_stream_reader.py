"""Streams of upstreams: every oddity that vendors were seen to have, as the hub's events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import Fold, fold
from bytespike.core.response import ChatResponse, Logprobs
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat import DIALECT
from bytespike.protocols.openai_chat.calls_in import CALLS_MAX
from bytespike.protocols.openai_chat.response import call_prefix
from bytespike.testing.chat_stream import validate_stream
from tests.support.chat_traffic import REPLY, same_response

NAME = "openai_chat"
#: What made-up ids begin with in the first choice of the answer "chatcmpl-1".
PREFIX = call_prefix("chatcmpl-1", 0)
DONE = b"data: [DONE]\n\n"
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def frame(chunk: dict[str, Any]) -> bytes:
    return (
        b"data: " + json.dumps({"id": "chatcmpl-1", "created": 5, "model": "m", **chunk}).encode() + b"\n\n"
    )


def delta(_choice: int = 0, **members: Any) -> dict[str, Any]:
    return {"choices": [{"index": _choice, "delta": members, "finish_reason": None}]}


def call(**members: Any) -> dict[str, Any]:
    return delta(tool_calls=[members])


def read(stream: bytes) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    return [*reader.feed(stream), *reader.end()]


def stream(*chunks: dict[str, Any]) -> bytes:
    return b"".join([frame(chunk) for chunk in chunks])


def folded(*chunks: dict[str, Any]) -> ChatResponse:
    """The fold of these chunks, a stop and [DONE]; the grammar is checked on the way."""
    whole = Fold()
    for event in read(stream(*chunks, STOP) + DONE):
        whole.add(event)
    assert whole.done, whole.failed
    return whole.response()


def own(**members: Any) -> dict[str, Any]:
    return {NAME: members}


SIGNED = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}

ROWS: dict[str, tuple[list[dict[str, Any]], tuple[c.Part, ...]]] = {
    "text": (
        [delta(role="assistant", content=""), delta(content="a"), delta(content="b")],
        (c.TextPart("ab"),),
    ),
    "null deltas": (
        [
            {"choices": [{"index": 0, "delta": None}]},
            delta(content=None, tool_calls=None),
            delta(content="a"),
        ],
        (c.TextPart("a"),),
    ),
    "no index": ([{"choices": [{"delta": {"content": "a"}}]}], (c.TextPart("a"),)),
    "a refusal": ([delta(refusal="n"), delta(refusal="o")], (c.RefusalPart("no"),)),
    "reasoning_content, then text": (
        [
            delta(reasoning_content="h"),
            delta(reasoning_content="m"),
            delta(reasoning_content=None, content="x"),
        ],
        (c.ReasoningPart("hm"), c.TextPart("x")),
    ),
    "reasoning (Groq)": (
        [delta(reasoning="hm"), delta(content="x")],
        (c.ReasoningPart("hm"), c.TextPart("x")),
    ),
    "both spellings in a chunk": ([delta(reasoning="hm", reasoning_content="hm")], (c.ReasoningPart("hm"),)),
    "details and plain text in a chunk": (
        [
            delta(reasoning="h", reasoning_details=[{**SIGNED, "text": "h"}]),
            delta(reasoning="m", reasoning_details=[{**SIGNED, "text": "m"}]),
            delta(reasoning=None, reasoning_details=[{**SIGNED, "signature": "sig"}]),
            delta(content="x"),
        ],
        (
            c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),
            c.TextPart("x"),
        ),
    ),
    "details that repeat what came as plain text": (
        [delta(reasoning="hm"), delta(reasoning_details=[{**SIGNED, "text": "hm", "signature": "sig"}])],
        (c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),),
    ),
    "empty details": (
        [
            delta(reasoning="hm", reasoning_details=[]),
            delta(reasoning=None, reasoning_details=[]),
            delta(content="x"),
        ],
        (c.ReasoningPart("hm"), c.TextPart("x")),
    ),
    "a proof after plain text": (
        [
            delta(reasoning="hm"),
            delta(
                reasoning_details=[
                    {"type": "reasoning.encrypted", "data": "e", "format": "openai-responses-v1"}
                ]
            ),
        ],
        (c.ReasoningPart("hm", c.Proof("openai_responses", "e")),),
    ),
    "a summary and its proof": (
        [
            delta(
                reasoning="su",
                reasoning_details=[
                    {
                        "type": "reasoning.summary",
                        "summary": "su",
                        "format": "openai-responses-v1",
                        "index": 0,
                    }
                ],
            ),
            delta(
                reasoning="m",
                reasoning_details=[
                    {"type": "reasoning.summary", "summary": "m", "format": "openai-responses-v1", "index": 0}
                ],
            ),
            delta(
                reasoning_details=[
                    {
                        "type": "reasoning.encrypted",
                        "data": "e",
                        "id": "rs_1",
                        "format": "openai-responses-v1",
                        "index": 0,
                    }
                ]
            ),
        ],
        (
            c.ReasoningPart(
                "sum",
                c.Proof("openai_responses", "e"),
                summary=True,
                id="rs_1",
            ),
        ),
    ),
    "redacted reasoning between": (
        [
            delta(reasoning_details=[{**SIGNED, "text": "a"}, {**SIGNED, "signature": "s"}]),
            delta(
                reasoning_details=[
                    {"type": "reasoning.encrypted", "data": "e", "format": "anthropic-claude-v1", "index": 1}
                ]
            ),
            delta(reasoning_details=[{**SIGNED, "index": 2, "text": "b"}]),
        ],
        (
            c.ReasoningPart("a", c.Proof("anthropic_messages", "s")),
            c.ReasoningPart(proof=c.Proof("anthropic_messages", "e"), redacted=True),
            c.ReasoningPart("b", extras=own(_format="anthropic-claude-v1")),
        ),
    ),
    "thinking among the content (Mistral)": (
        [
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
            delta(content=[{"type": "text", "text": "x"}]),
            delta(content="y"),
        ],
        (c.ReasoningPart("hm"), c.TextPart("xy")),
    ),
    # --- tool calls ---
    "parallel calls, one after the other": (
        [
            call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
            call(index=0, function={"arguments": '{"x"'}),
            call(index=0, function={"arguments": ":1}"}),
            call(index=1, id="b", type="function", function={"name": "g", "arguments": ""}),
            call(index=1, function={"arguments": "{}"}),
        ],
        (c.ToolCallPart("a", "f", '{"x":1}'), c.ToolCallPart("b", "g", "{}")),
    ),
    "interleaved calls": (
        [
            call(index=0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
            call(index=1, id="b", type="function", function={"name": "g", "arguments": '{"y"'}),
            call(index=0, function={"arguments": ":1}"}),
            call(index=1, function={"arguments": ":2}"}),
        ],
        (c.ToolCallPart("a", "f", '{"x":1}'), c.ToolCallPart("b", "g", '{"y":2}')),
    ),
    "no index (Mistral)": (
        [
            delta(
                tool_calls=[
                    {"id": "a", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "function": {"name": "g", "arguments": "{}"}},
                ]
            )
        ],
        (c.ToolCallPart("a", "f", "{}"), c.ToolCallPart("b", "g", "{}")),
    ),
    "the same index for every call (Gemini)": (
        [
            call(index=0, id="a", type="function", function={"name": "f", "arguments": "{}"}),
            call(index=0, id="b", type="function", function={"name": "f", "arguments": "{}"}),
        ],
        (c.ToolCallPart("a", "f", "{}"), c.ToolCallPart("b", "f", "{}")),
    ),
    "empty ids in continuations (Alibaba)": (
        [
            call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
            call(index=0, id="", type="function", function={"arguments": "{}"}),
            call(index=0, id="", type="function", function={"arguments": ""}),
        ],
        (c.ToolCallPart("a", "f", "{}"),),
    ),
    "id and name repeated": (
        [
            call(index=0, id="0", type="function", function={"name": "f", "arguments": ""}),
            call(index=0, id="0", type="function", function={"name": "f", "arguments": '{"a"'}),
            call(index=0, id="0", type="function", function={"name": "f", "arguments": ":1}"}),
        ],
        (c.ToolCallPart("0", "f", '{"a":1}'),),
    ),
    "arguments that are null": (
        [call(index=0, id="a", type="function", function={"name": "f", "arguments": None})],
        (c.ToolCallPart("a", "f", ""),),
    ),
    "arguments as an object": (
        [call(index=0, id="a", function={"name": "f", "arguments": {"x": 1}})],
        (c.ToolCallPart("a", "f", '{"x":1}'),),
    ),
    "an id that is a number": (
        [call(index=0, id=7, function={"name": "f", "arguments": "{}"})],
        (c.ToolCallPart("7", "f", "{}"),),
    ),
    "the name after the arguments": (
        [
            call(index=0, id="a", function={"arguments": "{"}),
            call(index=0, function={"name": "f", "arguments": "}"}),
        ],
        (c.ToolCallPart("a", "f", "{}"),),
    ),
    "a free-form call": (
        [
            call(index=0, id="a", type="custom", custom={"name": "g", "input": ""}),
            call(index=0, custom={"input": "raw "}),
            call(index=0, custom={"input": "text"}),
        ],
        (c.ToolCallPart("a", "g", "raw text", "custom"),),
    ),
    "a signed call (Gemini)": (
        [
            call(
                index=0,
                id="a",
                function={"name": "f", "arguments": "{}"},
                extra_content={"google": {"thought_signature": "s"}},
            )
        ],
        (c.ToolCallPart("a", "f", "{}", proof=c.Proof("gemini", "s")),),
    ),
    "text after a call": (
        [
            delta(content="a"),
            call(index=0, id="i", function={"name": "f", "arguments": "{}"}),
            delta(content="b"),
        ],
        (c.TextPart("a"), c.ToolCallPart("i", "f", "{}"), c.TextPart("b")),
    ),
    "the deprecated function call": (
        [delta(function_call={"name": "f", "arguments": ""}), delta(function_call={"arguments": "{}"})],
        (c.ToolCallPart(f"{PREFIX}function", "f", "{}", extras=own(_legacy=True)),),
    ),
    "a call without id": (
        [call(index=0, type="function", function={"name": "f", "arguments": "{}"})],
        (c.ToolCallPart(f"{PREFIX}0", "f", "{}"),),
    ),
    "an entry that says nothing": ([call(index=0, id="", function={"name": "", "arguments": ""})], ()),
    "neither index nor id, one after the other": (
        [
            call(function={"name": "f", "arguments": "{}"}),
            call(function={"name": "f", "arguments": '{"x":1}'}),
        ],
        (c.ToolCallPart(f"{PREFIX}0", "f", "{}"), c.ToolCallPart(f"{PREFIX}1", "f", '{"x":1}')),
    ),
    "arguments repeated after their end": (
        [
            call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
            call(index=1, id="b", function={"name": "g", "arguments": "{}"}),
            call(index=0, function={"arguments": "{}"}),
        ],
        (c.ToolCallPart("a", "f", "{}"), c.ToolCallPart("b", "g", "{}")),
    ),
    "a signature that comes after the call": (
        [
            call(index=0, id="a", function={"name": "f", "arguments": "{"}),
            call(index=0, function={"arguments": "}"}, extra_content={"google": {"thought_signature": "s"}}),
        ],
        (c.ToolCallPart("a", "f", "{}", proof=c.Proof("gemini", "s")),),
    ),
    # --- citations, images, audio, provider-side tools ---
    "a signed message (Gemini)": (
        [delta(content="x"), delta(extra_content={"google": {"thought_signature": "s"}})],
        (c.TextPart("x"), c.ReasoningPart(proof=c.Proof("gemini", "s"))),
    ),
    "a detail of an unknown type": (
        [delta(reasoning_details=[{"type": "reasoning.image", "x": 1}])],
        (c.ForeignPart(NAME, "reasoning_detail", {"type": "reasoning.image", "x": 1}),),
    ),
    "an annotation that is no citation": (
        [delta(content="x"), delta(annotations=[{"type": "file", "file": {}}])],
        (c.TextPart("x"), c.ForeignPart(NAME, "annotation", {"type": "file", "file": {}})),
    ),
    "odd content parts": (
        [
            delta(
                content=[
                    "stray",
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": ""},
                ]
            )
        ],
        (c.ImagePart(c.UrlSource("https://x.test/a.png")), c.ReasoningPart("hm")),
    ),
    "provider-side tools (Groq)": (
        [
            delta(executed_tools=[{"index": 0, "type": "search", "arguments": "{}"}]),
            delta(executed_tools=[{"index": 0, "type": "search", "arguments": "{}", "output": "found"}]),
            delta(content="x"),
        ],
        (
            c.ServerToolCallPart(f"{PREFIX}tool_0", "web_search", "{}", "groq"),
            c.ServerToolResultPart(f"{PREFIX}tool_0", "executed_tool", {"output": "found"}, "groq"),
            c.TextPart("x"),
        ),
    ),
    "a citation after its text": (
        [
            delta(content="see here"),
            delta(
                annotations=[
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "u", "title": "t", "start_index": 4, "end_index": 8},
                    }
                ]
            ),
            delta(content="!"),
        ],
        (c.TextPart("see here!", (c.Citation("web", "u", "t", start=4, end=8),)),),
    ),
    "a citation in a later text": (
        [
            delta(content="abc"),
            delta(refusal="no"),
            delta(content="def"),
            delta(
                annotations=[
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "u", "title": "t", "start_index": 4, "end_index": 6},
                    }
                ]
            ),
        ],
        (
            c.TextPart("abc"),
            c.RefusalPart("no"),
            c.TextPart("def", (c.Citation("web", "u", "t", start=1, end=3),)),
        ),
    ),
    "a citation without text": (
        [
            delta(
                content="", annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]
            )
        ],
        (c.TextPart("", (c.Citation("web", "u", "t"),)),),
    ),
    "an image (OpenRouter)": (
        [
            delta(content="x"),
            delta(images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,iV"}}]),
        ],
        (c.TextPart("x"), c.ImagePart(c.Base64Source("image/png", "iV"))),
    ),
    "audio in pieces": (
        [
            delta(audio={"id": "audio_1", "transcript": "h"}),
            delta(audio={"transcript": "i"}),
            delta(audio={"data": "AA"}),
            delta(audio={"data": "BB"}),
            delta(audio={"expires_at": 99}),
        ],
        (
            c.AudioPart(
                c.Base64Source("", "AABB"), "", extras=own(id="audio_1", transcript="hi", expires_at=99)
            ),
        ),
    ),
}


#: Made-up ids differ in another answer.
WITHOUT_IDS = {"the deprecated function call"}


@pytest.mark.parametrize("row", ROWS)
def test_chunks_become(row: str) -> None:
    chunks, parts = ROWS[row]
    assert folded(*chunks).candidates[0].parts == parts


@pytest.mark.parametrize("row", ROWS)
def test_what_was_streamed_reads_the_same_when_it_is_written_whole_or_streamed_on(row: str) -> None:
    response = folded(*ROWS[row][0])
    if row in WITHOUT_IDS:
        return
    whole = DIALECT.read_response(DIALECT.write_response(response, REPLY).body)
    assert same_response(whole) == same_response(response)
    written = DIALECT.stream_writer(REPLY).write(read(stream(*ROWS[row][0], STOP) + DONE))
    validate_stream(written)
    assert same_response(fold(read(written))) == same_response(response)


def test_the_events_of_a_plain_answer() -> None:
    chunks = [
        delta(role="assistant", content=""),
        delta(content="hi"),
        STOP,
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
    ]
    usage = Usage(3, output=2, extras=own(prompt_tokens=3, completion_tokens=2, total_tokens=5))
    assert read(stream(*chunks) + DONE) == [
        e.Started("chatcmpl-1", "m", 5),
        e.PartStart(0, c.TextPart("")),
        e.TextDelta(0, "hi"),
        e.PartEnd(0),
        e.UsageUpdate(usage),
        e.Finished(Finish("stop")),
        e.Done(usage),
    ]


def test_a_call_is_closed_when_the_next_one_starts_and_its_arguments_are_complete() -> None:
    events = read(
        stream(
            call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
            call(index=1, id="b", function={"name": "g", "arguments": "{"}),
        )
    )
    kinds = [(type(event).__name__, getattr(event, "index", None)) for event in events]
    assert kinds[1:6] == [
        ("PartStart", 0),
        ("InputDelta", 0),
        ("PartEnd", 0),
        ("PartStart", 1),
        ("InputDelta", 1),
    ]


def test_several_choices() -> None:
    chunks = [
        delta(0, content="a"),
        delta(1, content="x"),
        delta(0, content="b"),
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
    ]
    response = folded(*chunks)
    assert [candidate.parts for candidate in response.candidates] == [(c.TextPart("ab"),), (c.TextPart("x"),)]
    assert [candidate.finish.reason for candidate in response.candidates] == ["stop", "length"]


def test_logprobs() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    chunk = {
        "choices": [
            {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token], "refusal": None}}
        ]
    }
    assert folded(chunk, chunk).candidates[0].logprobs == Logprobs((token, token))


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    "chunks",
    [
        [STOP, {"choices": [], "usage": USAGE}],
        [{**STOP, "usage": USAGE}],
        [
            delta(content="x") | {"usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
            {**STOP, "usage": USAGE},
        ],
        [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}],
        [{**STOP, "x_groq": {"id": "r", "usage": USAGE}}],
        [STOP, {"usage": USAGE}],
        [STOP, {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}], "usage": USAGE}],
    ],
    ids=[
        "a chunk of its own",
        "the last choice's",
        "cumulative",
        "Moonshot",
        "Groq",
        "no choices member",
        "OpenRouter",
    ],
)
def test_usage_wherever_it_stands(chunks: list[dict[str, Any]]) -> None:
    events = read(stream(delta(content="hi"), *chunks) + DONE)
    assert isinstance(events[-1], e.Done)
    assert (events[-1].usage.input, events[-1].usage.output) == (3, 2)


def test_a_stream_without_usage_says_that_it_does_not_know() -> None:
    done = read(stream(delta(content="hi"), STOP) + DONE)[-1]
    assert isinstance(done, e.Done)
    assert done.usage == Usage(exact=False)


def test_done_is_optional_when_every_choice_has_finished() -> None:
    assert isinstance(read(stream(delta(content="hi"), STOP))[-1], e.Done)


def test_a_done_without_a_finish_ends_the_answer() -> None:
    events = read(stream(delta(content="hi")) + DONE)
    assert e.Finished(Finish("other")) in events
    assert isinstance(events[-1], e.Done)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DONE,
        b": comment\n\n",
        stream(delta(content="hi")),
        stream(delta(0, content="a"), delta(1, content="b"), STOP),
        stream(delta(content="hi")) + frame(STOP)[:-1],
        stream(call(index=0, id="a", function={"arguments": "{}"}), STOP) + DONE,
        stream(delta(content="hi"), STOP, call(index=0, id="a", function={"arguments": "{}"})),
    ],
    ids=[
        "nothing",
        "only DONE",
        "only a comment",
        "no finish",
        "one of two finished",
        "the last event has no end",
        "a call that never gets a name",
        "the same, begun after the finish",
    ],
)
def test_an_incomplete_stream_fails(data: bytes) -> None:
    failed = read(data)[-1]
    assert isinstance(failed, e.Failed)
    assert failed.code == "upstream_error"


ERRORS: dict[str, tuple[bytes, str]] = {
    "an error object": (frame({"error": {"message": "boom", "type": "server_error"}}), "upstream_error"),
    "an error text": (b'data: {"error": "boom"}\n\n', "upstream_error"),
    "an error event (Groq)": (
        b'event: error\ndata: {"error":{"message":"bad call","type":"invalid_request_error","status_code":400}}\n\n',
        "invalid_param",
    ),
    "an error beside choices (OpenRouter)": (
        frame({**delta(content=""), "error": {"code": 502, "message": "provider down"}}),
        "upstream_error",
    ),
    "an error in a choice": (
        frame(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "error": {"code": 400, "message": "bad"},
                        "finish_reason": "error",
                    }
                ]
            }
        ),
        "invalid_param",
    ),
    "the window is full": (
        frame({"error": {"message": "too long", "code": "context_length_exceeded"}}),
        "context_length_exceeded",
    ),
    "a policy": (frame({"error": {"message": "no", "code": "content_filter"}}), "content_policy_violation"),
    "a rate limit": (frame({"error": {"message": "slow", "code": 429}}), "no_available_channel"),
    "Zhipu's codes": (frame({"error": {"code": "1301", "message": "sensitive"}}), "content_policy_violation"),
    "MiniMax": (
        b'data: {"base_resp": {"status_code": 1039, "status_msg": "token limit"}}\n\n',
        "context_length_exceeded",
    ),
    "code and message alone (Alibaba)": (
        b'data: {"code": "InternalError", "message": "boom"}\n\n',
        "upstream_error",
    ),
    "no JSON": (b"data: <html>\n\n", "upstream_error"),
    "half a JSON": (b'data: {"choices": [\n\n', "upstream_error"),
    "an array": (b"data: [1]\n\n", "upstream_error"),
    "a wrong type": (b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', "upstream_error"),
    "a hostile choice": (frame(delta(10_000, content="x")), "upstream_error"),
    "a negative choice": (frame(delta(-1, content="x")), "upstream_error"),
    "bad UTF-8": (b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', "upstream_error"),
    "deep nesting": (b"data: " + b"[" * 5000 + b"]" * 5000 + b"\n\n", "upstream_error"),
    "a wrong annotation": (
        frame(delta(annotations=[{"type": "url_citation", "url_citation": {"url": 5}}])),
        "upstream_error",
    ),
}


@pytest.mark.parametrize("row", ERRORS)
def test_an_error_in_the_stream_fails_it_and_the_reader_is_deaf_after(row: str) -> None:
    data, code = ERRORS[row]
    reader = DIALECT.stream_reader()
    events = reader.feed(stream(delta(content="hi")) + data)
    assert isinstance(events[-1], e.Failed)
    assert events[-1].code == code
    assert reader.feed(stream(STOP) + DONE) == []
    assert reader.end() == []


def test_a_channels_trouble_is_not_told() -> None:
    events = read(frame({"error": {"message": "key sk-secret has no credit", "code": "insufficient_quota"}}))
    assert isinstance(events[-1], e.Failed)
    assert "sk-secret" not in events[-1].message


def test_the_number_of_calls_is_bounded() -> None:
    reader = DIALECT.stream_reader()
    events: list[e.Event] = []
    for number in range(CALLS_MAX + 1):
        events += reader.feed(
            frame(call(index=number, id=str(number), function={"name": "f", "arguments": "{"}))
        )
    assert isinstance(events[-1], e.Failed)


def test_a_huge_index_costs_nothing() -> None:
    parts = folded(call(index=10**9, id="a", function={"name": "f", "arguments": "{}"})).candidates[0].parts
    assert parts == (c.ToolCallPart("a", "f", "{}"),)


def test_the_number_of_parts_is_bounded() -> None:
    reader = DIALECT.stream_reader()
    events: list[e.Event] = []
    for _ in range(3000):
        events += reader.feed(frame(delta(content="x")) + frame(delta(refusal="y")))
    assert isinstance(events[-1], e.Failed)


def test_comments_keepalives_and_azures_first_chunk_say_nothing() -> None:
    azure = {"choices": [], "created": 0, "id": "", "model": "", "prompt_filter_results": []}
    data = (
        b": OPENROUTER PROCESSING\n\n"
        + b'data: {"type": "ping"}\n\n'
        + b"data: "
        + json.dumps(azure).encode()
        + b"\n\n"
    )
    events = read(data + stream(delta(content="hi"), STOP) + DONE)
    assert next(event for event in events if not isinstance(event, e.Ping)) == e.Started("chatcmpl-1", "m", 5)
    assert isinstance(events[-1], e.Done)


def test_a_repeated_finish_counts_once() -> None:
    events = read(stream(delta(content="hi"), STOP, STOP) + DONE)
    assert sum(isinstance(event, e.Finished) for event in events) == 1

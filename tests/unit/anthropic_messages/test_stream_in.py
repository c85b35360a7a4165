"""Reading Anthropic's event stream: every event, and what odd streams are taken for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold
from bytespike.core.usage import Usage
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.wire.limits import EVENT_BYTES_MAX
from tests.support.anthropic_events import (
    END,
    PING,
    TEXT,
    THINKING,
    block,
    delta,
    ending,
    hello,
    read_stream,
    sse,
    start,
    stop,
    tool,
)

OWN = "anthropic_messages"


def parts(*events: dict[str, Any]) -> tuple[c.Part, ...]:
    """What a whole answer of these block events holds."""
    read = read_stream(start(), *events, ending(), END)
    assert isinstance(read[-1], e.Done), read[-1]
    return fold(read).candidates[0].parts


def failure(*events: dict[str, Any]) -> e.Failed:
    last = read_stream(*events)[-1]
    assert isinstance(last, e.Failed)
    return last


def test_a_stream_becomes_these_events() -> None:
    usage = Usage(input=10, output=1)
    assert read_stream(PING, *hello()) == [
        e.Ping(),
        e.Started("msg_1", "claude-x"),
        e.UsageUpdate(usage),
        e.PartStart(0, c.TextPart("")),
        e.TextDelta(0, "hello"),
        e.PartEnd(0),
        e.UsageUpdate(Usage(input=10, output=5)),
        e.Finished(Finish("stop")),
        e.Done(Usage(input=10, output=5)),
    ]


CITED = {
    "type": "web_search_result_location",
    "url": "u",
    "title": "t",
    "cited_text": "c",
    "encrypted_index": "E",
}
SEARCH = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

PARTS: dict[str, tuple[list[dict[str, Any]], c.Part]] = {
    "text": (
        [block(0, TEXT), delta(0, "text_delta", text="a"), delta(0, "text_delta", text="b"), stop(0)],
        c.TextPart("ab"),
    ),
    "text that comes with its start": (
        [block(0, {"type": "text", "text": "a"}), delta(0, "text_delta", text="b"), stop(0)],
        c.TextPart("ab"),
    ),
    "citations": (
        [
            block(0, TEXT | {"citations": []}),
            delta(0, "citations_delta", citation=CITED),
            delta(0, "text_delta", text="a"),
            stop(0),
        ],
        c.TextPart("a", (c.Citation("web", "u", "t", "c", proof="E"),)),
    ),
    "thinking": (
        [
            block(0, THINKING),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="SIG"),
            stop(0),
        ],
        c.ReasoningPart("hm", c.Proof(OWN, "SIG")),
    ),
    "thinking that is not shown": (
        [block(0, THINKING), delta(0, "signature_delta", signature="SIG"), stop(0)],
        c.ReasoningPart("", c.Proof(OWN, "SIG")),
    ),
    "redacted thinking": (
        [block(0, {"type": "redacted_thinking", "data": "ENC"}), stop(0)],
        c.ReasoningPart("", c.Proof(OWN, "ENC"), redacted=True),
    ),
    "tool use in pieces": (
        [
            block(0, tool()),
            delta(0, "input_json_delta", partial_json=""),
            delta(0, "input_json_delta", partial_json='{"a"'),
            delta(0, "input_json_delta", partial_json=": 1.0}"),
            stop(0),
        ],
        c.ToolCallPart("toolu_1", "f", '{"a": 1.0}'),
    ),
    "tool use without arguments": (
        [block(0, tool()), delta(0, "input_json_delta", partial_json=""), stop(0)],
        c.ToolCallPart("toolu_1", "f", "{}"),
    ),
    "tool use whose input comes with its start": (
        [block(0, tool(input={"a": 1}, caller={"type": "direct"})), stop(0)],
        c.ToolCallPart("toolu_1", "f", '{"a":1}', extras={OWN: {"caller": {"type": "direct"}}}),
    ),
    "the deltas of an input replace what came with its start": (
        [block(0, tool(input={"a": 1})), delta(0, "input_json_delta", partial_json='{"b":2}'), stop(0)],
        c.ToolCallPart("toolu_1", "f", '{"b":2}'),
    ),
    "server tool use": (
        [
            block(0, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
            delta(0, "input_json_delta", partial_json='{"query":"q"}'),
            stop(0),
        ],
        c.ServerToolCallPart("srvtoolu_1", "web_search", '{"query":"q"}', OWN),
    ),
    "server tool result": (
        [block(0, SEARCH), stop(0)],
        c.ServerToolResultPart("srvtoolu_1", "web_search_tool_result", [], OWN),
    ),
    "compaction": (
        [
            block(0, {"type": "compaction", "content": None}),
            delta(0, "compaction_delta", content="so far", encrypted_content="E"),
            stop(0),
        ],
        c.ForeignPart(
            OWN, "compaction", {"type": "compaction", "content": "so far", "encrypted_content": "E"}
        ),
    ),
    "a block of a new type that grows in known ways": (
        [
            block(0, {"type": "robot_use", "input": {}}),
            delta(0, "text_delta", text="a"),
            delta(0, "text_delta", text="b"),
            delta(0, "input_json_delta", partial_json='{"x":'),
            delta(0, "input_json_delta", partial_json="1}"),
            stop(0),
        ],
        c.ForeignPart(OWN, "robot_use", {"type": "robot_use", "input": {"x": 1}, "text": "ab"}),
    ),
}


@pytest.mark.parametrize(("events", "part"), PARTS.values(), ids=PARTS)
def test_a_block_becomes_a_part(events: list[dict[str, Any]], part: c.Part) -> None:
    assert parts(*events) == (part,)


REASONS = {
    "end_turn": Finish("stop"),
    "max_tokens": Finish("length"),
    "tool_use": Finish("tool_calls"),
    "pause_turn": Finish("pause"),
    "refusal": Finish("refusal"),
    "model_context_window_exceeded": Finish("context_window"),
    "compaction": Finish("other", raw="compaction"),
    "boredom": Finish("other", raw="boredom"),
    None: Finish("other"),
}


@pytest.mark.parametrize(("reason", "finish"), REASONS.items(), ids=map(str, REASONS))
def test_a_stop_reason_becomes_a_finish(reason: str | None, finish: Finish) -> None:
    assert fold(read_stream(start(), ending(reason), END)).candidates[0].finish == finish


def test_a_stop_sequence_and_the_details_of_a_refusal_are_kept() -> None:
    stopped = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert fold(read_stream(start(), ending(delta=stopped), END)).candidates[0].finish == Finish(
        "stop_sequence", "END"
    )
    details = {"type": "refusal", "category": "bio", "explanation": "no"}
    refused = fold(
        read_stream(start(), ending(delta={"stop_reason": "refusal", "stop_details": details}), END)
    )
    assert refused.candidates[0].finish == Finish(
        "refusal", detail="no", extras={OWN: {"stop_details": details}}
    )


def test_the_figures_of_a_delta_replace_those_of_the_start() -> None:
    begun = {
        "input_tokens": 10,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 8,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 6},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    ended = {
        "input_tokens": 30,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 9,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    }
    usage = fold(read_stream(start(usage=begun), ending(usage=ended), END)).usage
    assert usage == Usage(
        input=30,
        cache_read=5,  # a total cannot fall
        cache_write_5m=3,
        cache_write_1h=6,
        output=50,
        reasoning=20,
        web_searches=2,
        extras={OWN: {"service_tier": "standard", "server_tool_use": {"web_fetch_requests": 1}}},
    )


def test_what_the_hub_does_not_know_of_a_message_is_kept() -> None:
    container = {"id": "c", "expires_at": "2026"}
    last = ending(
        delta={"stop_reason": "end_turn", "container": container}, context_management={"applied_edits": []}
    )
    response = fold(read_stream(start(diagnostics={"a": 1}, container=None), last, END))
    assert response.extras == {
        OWN: {"diagnostics": {"a": 1}, "container": container, "context_management": {"applied_edits": []}}
    }


# --- odd streams ---------------------------------------------------------------------------------------------------


def test_a_message_may_come_whole_in_its_start() -> None:
    read = read_stream(start(content=[tool(input={"a": 1})], stop_reason="tool_use"), END)
    (candidate,) = fold(read).candidates
    assert candidate.parts == (c.ToolCallPart("toolu_1", "f", '{"a":1}'),)
    assert candidate.finish == Finish("tool_calls")


def test_of_two_starts_the_first_stands() -> None:
    again = start(id="msg_2", usage={"input_tokens": 99, "output_tokens": 9})
    read = read_stream(start(), again, *hello()[1:])
    assert [event for event in read if isinstance(event, e.Started)] == [e.Started("msg_1", "claude-x")]
    assert fold(read).usage.input == 10


def test_nothing_counts_after_the_end() -> None:
    reader = DIALECT.stream_reader()
    first = reader.feed(sse(*hello()))
    assert isinstance(first[-1], e.Done)
    assert reader.feed(sse(*hello("again"), {"type": "error", "error": {}})) == []
    assert reader.feed(b"data: {") == []
    assert reader.end() == []


def test_blocks_that_overlap_keep_their_deltas() -> None:
    assert parts(
        block(0, TEXT),
        block(5, tool()),
        delta(5, "input_json_delta", partial_json="{}"),
        delta(0, "text_delta", text="a"),
        stop(5),
        stop(0),
    ) == (c.TextPart("a"), c.ToolCallPart("toolu_1", "f", "{}"))


def test_a_start_closes_what_was_open_under_its_index() -> None:
    assert parts(
        block(0, TEXT),
        delta(0, "text_delta", text="a"),
        block(0, TEXT),
        delta(0, "text_delta", text="b"),
        stop(0),
        stop(0),
    ) == (c.TextPart("a"), c.TextPart("b"))


def test_the_end_closes_what_is_open() -> None:
    assert parts(block(0, TEXT), delta(0, "text_delta", text="a")) == (c.TextPart("a"),)


def test_the_last_event_counts_without_its_empty_line() -> None:
    reader = DIALECT.stream_reader()
    events = reader.feed(sse(*hello()).rstrip(b"\n")) + reader.end()
    assert isinstance(events[-1], e.Done)


def test_the_type_may_stand_only_in_the_events_name() -> None:
    nameless = sse(*hello()).replace(b'"type": "message_stop"', b"")
    reader = DIALECT.stream_reader()
    assert isinstance(reader.feed(nameless)[-1], e.Done)


def test_events_of_new_types_are_foreign() -> None:
    new = {"type": "weather", "index": "north", "delta": [1]}
    foreign = e.ForeignEvent(OWN, "weather", new)
    assert foreign in read_stream(start(), new, *hello()[1:])
    strange = delta(0, "hum_delta", hum=1)
    read = read_stream(start(), block(0, TEXT), strange, stop(0), ending(), END)
    assert e.ForeignEvent(OWN, "content_block_delta", strange) in read
    unknown = delta(0, "citations_delta", citation={"type": "dream_location"})
    assert e.ForeignEvent(OWN, "content_block_delta", unknown) in read_stream(
        start(), block(0, TEXT), unknown, stop(0), ending(), END
    )


ERRORS = {
    "overloaded_error": "no_available_channel",
    "rate_limit_error": "no_available_channel",
    "invalid_request_error": "invalid_param",
    "api_error": "upstream_error",
    "timeout_error": "timeout",
    "request_too_large": "request_entity_too_large",
    "authentication_error": "no_available_channel",
    "billing_error": "no_available_channel",
    "permission_error": "no_available_channel",
    "brand_new_error": "upstream_error",
}


@pytest.mark.parametrize(("type_", "code"), ERRORS.items())
def test_an_error_event_fails_with_the_code_of_its_type(type_: str, code: str) -> None:
    error = {"type": "error", "error": {"type": type_, "message": "the account 7 is overdrawn"}}
    failed = failure(start(), block(0, TEXT), error, *hello())
    assert failed.code == code
    # Only what is about the request is told in the upstream's words.
    assert ("7" in failed.message) == (type_ in ("invalid_request_error", "request_too_large"))


MALFORMED: dict[str, bytes] = {
    "no JSON": sse(start()) + b"event: content_block_stop\ndata: {]\n\n",
    "no object": sse(start()) + b"event: content_block_stop\ndata: [1]\n\n",
    "bad UTF-8": sse(start()) + b'data: {"type":"content_block_stop","x":"\xff"}\n\n',
    "bad UTF-8 in a delta": sse(start(), block(0, TEXT))
    + b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff"}}\n\n',
    "deep": sse(start()) + b'data: {"type":"x","y":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n",
    "deeper than is decoded": sse(start()) + b"data: " + b"[" * 100_000 + b"\n\n",
    "an end without a start": sse(ending(), END),
    "a block without a start": sse(block(0, TEXT)),
    "a delta without a block": sse(start(), delta(0, "text_delta", text="a")),
    "a delta after its block": sse(start(), block(0, TEXT), stop(0), delta(0, "text_delta", text="a")),
    "a delta of a wrong type": sse(start(), block(0, TEXT), delta(0, "text_delta", text=5)),
    "a delta that is none": sse(start(), block(0, TEXT), {"type": "content_block_delta", "index": 0}),
    "text for a tool": sse(start(), block(0, tool()), delta(0, "text_delta", text="a")),
    "arguments for a text": sse(start(), block(0, TEXT), delta(0, "input_json_delta", partial_json="{}")),
    "a negative index": sse(start(), block(-1, TEXT)),
    "a huge index": sse(start(), block(10**30, TEXT)),
    "an index that is none": sse(start(), block("0", TEXT)),
    "a block that is none": sse(start(), block(0, "text")),
    "a block without its text": sse(start(), block(0, {"type": "text"})),
    "a citation that is none": sse(start(), block(0, TEXT), delta(0, "citations_delta", citation=[])),
    "a negative count": sse(start(usage={"input_tokens": -1, "output_tokens": 0})),
    "a count that is none": sse(start(), ending(usage={"output_tokens": "5"})),
    "an absurd count": sse(start(), ending(usage={"output_tokens": 10**40})),
    "more blocks than any answer has": sse(
        start(), *[event for i in range(4097) for event in (block(i % 4096, TEXT), stop(i % 4096))]
    ),
}


@pytest.mark.parametrize("stream", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_stream_fails_and_is_not_read_on(stream: bytes) -> None:
    reader = DIALECT.stream_reader()
    events = reader.feed(stream)
    failed = events[-1]
    assert isinstance(failed, e.Failed)
    assert failed.code == "upstream_error"
    assert reader.feed(sse(*hello())) == []
    assert reader.end() == []


def test_an_event_without_end_is_not_kept() -> None:
    reader = DIALECT.stream_reader()
    piece = b"data: " + b"x" * (EVENT_BYTES_MAX // 2)
    assert reader.feed(piece) == []
    assert isinstance(reader.feed(piece)[-1], e.Failed)


def test_an_empty_stream_is_a_failure() -> None:
    assert [type(event) for event in DIALECT.stream_reader().end()] == [e.Failed]


def test_whole_answers_are_read_alike() -> None:
    body = json.dumps(
        start(content=[{"type": "text", "text": "a"}], stop_reason="end_turn")["message"]
    ).encode()
    streamed = fold(
        read_stream(start(), block(0, TEXT), delta(0, "text_delta", text="a"), stop(0), ending(), END)
    )
    whole = DIALECT.read_response(body)
    assert whole.candidates == streamed.candidates
    assert (whole.id, whole.model) == (streamed.id, streamed.model)

"""Writing Anthropic's event stream for answers of any dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.usage import Usage
from bytespike.errors import RateLimited
from bytespike.protocols.anthropic_messages import DIALECT, stream_out
from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_events import TEXT, block, delta, stop
from tests.support.anthropic_sdk import valid_events
from tests.support.anthropic_targets import REPLY

OWN = "anthropic_messages"
STARTED = e.Started("chatcmpl-1", "gpt-x", 5)
USAGE = Usage(input=7, cache_read=3, output=9, reasoning=4)
DONE = (e.Finished(Finish("stop")), e.Done(USAGE))


def write(*events: e.Event) -> list[dict[str, Any]]:
    """The events of a valid stream, without pings."""
    stream = DIALECT.stream_writer(REPLY).write(list(events))
    validate_stream(stream)
    return valid_events(stream)


def blocks(*events: e.Event) -> list[dict[str, Any]]:
    """What is written between the message's head and its end."""
    return write(STARTED, *events, *DONE)[1:-2]


def whole(part: c.Part, index: int = 0) -> list[e.Event]:
    return [e.PartStart(index, part), e.PartEnd(index)]


def test_the_head_and_the_end_of_a_foreign_answer() -> None:
    first, last, end = write(STARTED, *DONE)
    assert first["message"] == {
        "id": "msg_01TEST",
        "type": "message",
        "role": "assistant",
        "model": "the-model",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 0,
        },
    }
    assert last == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 3,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }
    assert end == {"type": "message_stop"}


def test_the_head_goes_out_with_the_first_bytes_and_with_the_figures_behind_it() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED, e.UsageUpdate(Usage(input=7))])
    assert out.count(b"\n\n") == 1
    assert b'"input_tokens":7' in out
    assert DIALECT.stream_writer(REPLY).write([STARTED]).startswith(b"event: message_start\n")


def test_an_answer_without_a_start_gets_a_head() -> None:
    assert [event["type"] for event in write(*DONE)] == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("upstream", "ours", "id_"),
    [
        ("msg_01AbC", "req_01X", "msg_01AbC"),
        ("chatcmpl-1", "req_01X", "msg_01X"),
        ("msg_ü", "resp_a/b", "msg_a_b_c14cddc033f64b9d"),
        ("", "01X", "msg_01X"),
    ],
)
def test_the_id_is_the_upstreams_where_it_can_be(upstream: str, ours: str, id_: str) -> None:
    writer = DIALECT.stream_writer(Reply("m", ours))
    first = valid_events(writer.write([e.Started(upstream, "x")]))[0]
    assert first["message"]["id"] == id_


PARTS: dict[str, tuple[list[e.Event], list[dict[str, Any]]]] = {
    "text": (
        [
            e.PartStart(0, c.TextPart("")),
            e.TextDelta(0, "a"),
            e.TextDelta(0, ""),
            e.TextDelta(0, "ü\n"),
            e.PartEnd(0),
        ],
        [block(0, TEXT), delta(0, "text_delta", text="a"), delta(0, "text_delta", text="ü\n"), stop(0)],
    ),
    "text that comes whole": (
        whole(c.TextPart("a")),
        [block(0, TEXT), delta(0, "text_delta", text="a"), stop(0)],
    ),
    "text that comes with its end": (
        [e.PartStart(0, c.TextPart("")), e.PartEnd(0, c.TextPart("a"))],
        [block(0, TEXT), delta(0, "text_delta", text="a"), stop(0)],
    ),
    "a web citation": (
        [
            e.PartStart(0, c.TextPart("a")),
            e.CitationDelta(0, c.Citation("web", "u", "t", "c", proof="E")),
            e.PartEnd(0),
        ],
        [
            block(0, TEXT),
            delta(0, "text_delta", text="a"),
            delta(
                0,
                "citations_delta",
                citation={
                    "type": "web_search_result_location",
                    "url": "u",
                    "title": "t",
                    "cited_text": "c",
                    "encrypted_index": "E",
                },
            ),
            stop(0),
        ],
    ),
    "thinking with our own proof": (
        [
            e.PartStart(0, c.ReasoningPart("")),
            e.TextDelta(0, "hm"),
            e.ProofDelta(0, c.Proof(OWN, "SIG")),
            e.PartEnd(0),
        ],
        [
            block(0, {"type": "thinking", "thinking": "", "signature": ""}),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="SIG"),
            stop(0),
        ],
    ),
    "thinking without a proof": (
        whole(c.ReasoningPart("hm")),
        [
            block(0, {"type": "thinking", "thinking": "", "signature": ""}),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="bytespike.v1.none.e30"),
            stop(0),
        ],
    ),
    "redacted thinking whose proof comes late": (
        [e.PartStart(0, c.ReasoningPart(redacted=True)), e.ProofDelta(0, c.Proof(OWN, "E")), e.PartEnd(0)],
        [block(0, {"type": "redacted_thinking", "data": "E"}), stop(0)],
    ),
    "a tool call": (
        [
            e.PartStart(0, c.ToolCallPart("call:1", "f", "")),
            e.InputDelta(0, '{"a"'),
            e.InputDelta(0, ":1}"),
            e.PartEnd(0),
        ],
        [
            block(0, {"type": "tool_use", "id": "call_1_0af6315558b41599", "name": "f", "input": {}}),
            delta(0, "input_json_delta", partial_json='{"a"'),
            delta(0, "input_json_delta", partial_json=":1}"),
            stop(0),
        ],
    ),
    "a tool call without arguments": (
        whole(c.ToolCallPart("c1", "f", "")),
        [
            block(0, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
            delta(0, "input_json_delta", partial_json="{}"),
            stop(0),
        ],
    ),
    "a call of a free-form tool": (
        [
            e.PartStart(0, c.ToolCallPart("c1", "f", "", kind="custom")),
            e.InputDelta(0, 'say "x"'),
            e.InputDelta(0, "\n"),
            e.PartEnd(0),
        ],
        [
            block(0, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
            delta(0, "input_json_delta", partial_json='{"input":"say \\"x\\"'),
            delta(0, "input_json_delta", partial_json="\\n"),
            delta(0, "input_json_delta", partial_json='"}'),
            stop(0),
        ],
    ),
    "a call of a free-form tool without input": (
        whole(c.ToolCallPart("c1", "f", "", kind="custom")),
        [
            block(0, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
            delta(0, "input_json_delta", partial_json='{"input":""}'),
            stop(0),
        ],
    ),
    "our own server tool": (
        [
            e.PartStart(0, c.ServerToolCallPart("s1", "web_search", "", OWN)),
            e.InputDelta(0, '{"query":"q"}'),
            e.PartEnd(0),
            *whole(c.ServerToolResultPart("s1", "web_search_tool_result", [], OWN), 1),
        ],
        [
            block(0, {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}),
            delta(0, "input_json_delta", partial_json='{"query":"q"}'),
            stop(0),
            block(1, {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}),
            stop(1),
        ],
    ),
    "a refusal": (
        [e.PartStart(0, c.RefusalPart("")), e.TextDelta(0, "no"), e.PartEnd(0)],
        [block(0, TEXT), delta(0, "text_delta", text="no"), stop(0)],
    ),
    "a block that only we know": (
        [
            e.PartStart(0, c.ForeignPart(OWN, "compaction", {"type": "compaction"})),
            e.PartEnd(0, c.ForeignPart(OWN, "compaction", {"type": "compaction", "content": "s"})),
        ],
        [block(0, {"type": "compaction", "content": "s"}), stop(0)],
    ),
}


@pytest.mark.parametrize(("events", "expected"), PARTS.values(), ids=PARTS)
def test_a_part_becomes_a_block(events: list[e.Event], expected: list[dict[str, Any]]) -> None:
    assert blocks(*events) == expected


@pytest.mark.parametrize("events", [events for events, _ in PARTS.values()], ids=PARTS)
def test_it_does_not_matter_how_events_are_batched(events: list[e.Event]) -> None:
    everything = [STARTED, *events, *DONE]
    writer = DIALECT.stream_writer(REPLY)
    assert b"".join(writer.write([event]) for event in everything) == DIALECT.stream_writer(REPLY).write(
        everything
    )


def test_parts_that_overlap_follow_one_another() -> None:
    written = blocks(
        e.PartStart(0, c.TextPart("")),
        e.PartStart(1, c.ToolCallPart("a", "f", "")),
        e.PartStart(2, c.ToolCallPart("b", "g", "")),
        e.InputDelta(2, "{}"),
        e.TextDelta(0, "x"),
        e.InputDelta(1, '{"a":'),
        e.PartEnd(2),
        e.TextDelta(0, "y"),
        e.PartEnd(0),
        e.InputDelta(1, "1}"),
        e.PartEnd(1),
    )
    assert written == [
        block(0, TEXT),
        delta(0, "text_delta", text="x"),
        delta(0, "text_delta", text="y"),
        stop(0),
        block(1, {"type": "tool_use", "id": "a", "name": "f", "input": {}}),
        delta(1, "input_json_delta", partial_json='{"a":'),
        delta(1, "input_json_delta", partial_json="1}"),
        stop(1),
        block(2, {"type": "tool_use", "id": "b", "name": "g", "input": {}}),
        delta(2, "input_json_delta", partial_json="{}"),
        stop(2),
    ]


def test_parts_that_are_open_at_the_end_are_closed() -> None:
    assert [
        event["type"]
        for event in blocks(e.PartStart(0, c.TextPart("a")), e.PartStart(1, c.ToolCallPart("a", "f", "{}")))
    ] == ["content_block_start", "content_block_delta", "content_block_stop"] * 2


STOPS: dict[str, tuple[Finish, c.Part, dict[str, Any]]] = {
    "stop": (Finish("stop"), c.TextPart("a"), {"stop_reason": "end_turn", "stop_sequence": None}),
    "stop with a tool call": (
        Finish("stop"),
        c.ToolCallPart("a", "f", "{}"),
        {"stop_reason": "tool_use", "stop_sequence": None},
    ),
    "tool calls": (
        Finish("tool_calls"),
        c.ToolCallPart("a", "f", "{}"),
        {"stop_reason": "tool_use", "stop_sequence": None},
    ),
    "a call that is answered already": (
        Finish("stop"),
        c.ToolCallPart(
            "a", "f", "{}", extras={OWN: {"caller": {"type": "code_execution_20250825", "tool_id": "s"}}}
        ),
        {"stop_reason": "end_turn", "stop_sequence": None},
    ),
    "length with a tool call": (
        Finish("length"),
        c.ToolCallPart("a", "f", "{}"),
        {"stop_reason": "max_tokens", "stop_sequence": None},
    ),
    "a sequence": (
        Finish("stop_sequence", "END"),
        c.TextPart("a"),
        {"stop_reason": "stop_sequence", "stop_sequence": "END"},
    ),
    "the window": (
        Finish("context_window"),
        c.TextPart("a"),
        {"stop_reason": "model_context_window_exceeded", "stop_sequence": None},
    ),
    "a refusal in words": (
        Finish("stop"),
        c.RefusalPart("no"),
        {"stop_reason": "refusal", "stop_sequence": None},
    ),
    "a filter with its reason": (
        Finish("content_filter", detail="violence"),
        c.TextPart("a"),
        {
            "stop_reason": "refusal",
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": None, "explanation": "violence"},
        },
    ),
    "a pause": (Finish("pause"), c.TextPart("a"), {"stop_reason": "pause_turn", "stop_sequence": None}),
    "our own other reason": (
        Finish("other", raw="compaction"),
        c.TextPart("a"),
        {"stop_reason": "compaction", "stop_sequence": None},
    ),
}


@pytest.mark.parametrize(("finish", "part", "expected"), STOPS.values(), ids=STOPS)
def test_a_finish_becomes_a_stop_reason(finish: Finish, part: c.Part, expected: dict[str, Any]) -> None:
    written = write(STARTED, *whole(part), e.Finished(finish), e.Done(USAGE))
    assert written[-2]["delta"] == expected


@pytest.mark.parametrize("reason", ["error", "other"])
def test_a_reason_that_the_wire_lacks_is_noticed(reason: Any) -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED, e.Finished(Finish(reason, raw="X")), e.Done(USAGE)])
    assert b'"stop_reason":"end_turn"' in out
    assert [str(notice) for notice in writer.notices] == [f"stop_reason: approximated ({reason})"]


def test_what_only_another_dialect_has_is_left_out_and_noticed() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write(
        [
            STARTED,
            *whole(c.ServerToolCallPart("w", "web_search", "{}", "openai_responses")),
            *whole(c.ForeignPart("gemini", "x", {}), 1),
            e.PartStart(2, c.TextPart("second"), 1),
            e.TextDelta(2, "more"),
            e.PartEnd(2),
            *whole(c.TextPart("a"), 3),
            e.LogprobsDelta(({"token": "a"},)),
            e.ForeignEvent("gemini", "x", {}),
            e.ForeignEvent(OWN, "message_stop", {}),
            e.Finished(Finish("length"), 1),
            *DONE,
        ]
    )
    validate_stream(out)
    assert out.count(b"content_block_start") == 2
    assert b"second" not in out
    assert b"end_turn" in out
    assert [notice.feature for notice in writer.notices] == [
        "server tool use",
        "a part of gemini",
        "candidates",
        "logprobs",
        "stream event",
    ]


def test_our_own_new_events_go_through() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED, e.ForeignEvent(OWN, "weather", {"type": "weather"}), *DONE])
    assert b'event: weather\ndata: {"type":"weather"}\n\n' in out


def test_what_a_message_has_besides_comes_once() -> None:
    head = {OWN: {"diagnostics": {}, "container": {"id": "a", "expires_at": "2026-01-01T00:00:00Z"}}}
    end = {
        OWN: {
            "diagnostics": {},
            "container": {"id": "b", "expires_at": "2026-01-01T00:00:00Z"},
            "context_management": {"applied_edits": []},
        }
    }
    first, last, _ = write(
        e.Started("msg_1", "x", extras=head), e.Finished(Finish("stop")), e.Done(USAGE, end)
    )
    assert first["message"]["diagnostics"] == {}
    assert first["message"]["container"]["id"] == "a"
    assert last["delta"]["container"]["id"] == "b"
    assert last["context_management"] == {"applied_edits": []}
    assert "diagnostics" not in last


@pytest.mark.parametrize("part", [c.ImagePart(c.UrlSource("u")), c.AudioPart(c.UrlSource("u"), "wav")])
def test_media_end_the_stream_in_an_error(part: c.Part) -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED, *whole(part), *DONE])
    validate_stream(out)
    assert b'"type":"invalid_request_error"' in out
    assert writer.write(list(DONE)) == b""


def test_a_failure_is_the_dialects_own_error_at_any_point() -> None:
    events: list[e.Event] = [STARTED, e.PartStart(0, c.TextPart("")), e.TextDelta(0, "a"), e.PartEnd(0)]
    for count in range(len(events) + 1):
        writer = DIALECT.stream_writer(REPLY)
        out = writer.write(events[:count]) + writer.write([e.Failed("timeout", "too slow"), *DONE])
        validate_stream(out)
        assert out.endswith(
            b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"too slow"}}\n\n'
        )
        assert writer.fail(RateLimited("x")) == writer.keep_alive() == b""


def test_the_gateways_own_failure_too() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED]) + writer.fail(RateLimited("wait"))
    validate_stream(out)
    assert json.loads(out.split(b"data: ")[-1])["error"] == {"type": "rate_limit_error", "message": "wait"}


def test_pings_may_come_at_any_time() -> None:
    writer = DIALECT.stream_writer(REPLY)
    out = (
        writer.keep_alive()
        + writer.write([e.Ping(), STARTED])
        + writer.keep_alive()
        + writer.write(list(DONE))
    )
    validate_stream(out)
    assert out.count(b'event: ping\ndata: {"type":"ping"}\n\n') == 3
    assert writer.keep_alive() == b""


def test_an_event_of_a_part_that_is_not_open_is_an_error() -> None:
    out = DIALECT.stream_writer(REPLY).write([STARTED, e.TextDelta(7, "a")])
    validate_stream(out)
    assert b"api_error" in out


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_out, "ANSWER_BYTES_MAX", 10)
    writer = DIALECT.stream_writer(REPLY)
    out = writer.write([STARTED, e.PartStart(0, c.TextPart("")), e.PartStart(1, c.TextPart(""))])
    out += writer.write([e.TextDelta(1, "x" * 6), e.TextDelta(1, "x" * 6)])
    validate_stream(out)
    assert b"overlap" in out


@pytest.mark.parametrize("within", [False, True], ids=["after it", "before its end"])
def test_a_proof_after_the_last_text_is_left_out_and_named(within: bool) -> None:
    proof = whole(c.ReasoningPart(proof=c.Proof("gemini", "c2ln")), 1)
    writer = DIALECT.stream_writer(REPLY)
    start, end = whole(c.TextPart("hi"))
    events = [STARTED, start, *([*proof, end] if within else [end, *proof]), *DONE]
    written = valid_events(writer.write(events))
    assert [
        event["content_block"]["type"] for event in written if event["type"] == "content_block_start"
    ] == ["text"]
    assert written[-2]["delta"]["stop_reason"] == "end_turn"
    assert [notice.feature for notice in writer.notices] == ["the signature of a text"]


def test_a_proof_between_a_text_and_a_call_stays() -> None:
    proof = c.ReasoningPart(proof=c.Proof("gemini", "c2ln"))
    call = c.ToolCallPart("call_1", "look", "{}")
    written = blocks(*whole(c.TextPart("hi")), *whole(proof, 1), *whole(call, 2))
    starts = [event["content_block"]["type"] for event in written if event["type"] == "content_block_start"]
    assert starts == ["text", "thinking", "tool_use"]
    assert [event["index"] for event in written if event["type"] == "content_block_stop"] == [0, 1, 2]


def test_a_proof_that_is_all_there_is_stays() -> None:
    written = blocks(*whole(c.ReasoningPart(proof=c.Proof("gemini", "c2ln"))))
    assert written[0]["content_block"]["type"] == "thinking"

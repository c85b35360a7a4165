"""The hub's events, written as a client's stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold, unfold
from bytespike.errors import RateLimited, UpstreamTimeout
from bytespike.protocols.openai_responses import DIALECT
from bytespike.testing.responses_stream import validate_stream
from tests.support.responses_bodies import REPLY, USAGE, answer, asked, kinds, streamed, told

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
START = e.Started("", "up")
END = (e.Finished(Finish("stop")), e.Done(USAGE))


def part(index: int, skeleton: c.Part, *deltas: str, final: c.Part | None = None) -> list[e.Event]:
    delta = e.InputDelta if isinstance(skeleton, (c.ToolCallPart, c.ServerToolCallPart)) else e.TextDelta
    return [e.PartStart(index, skeleton), *(delta(index, text) for text in deltas), e.PartEnd(index, final)]


def checked(events: list[e.Event], reply: Any = REPLY) -> bytes:
    """The stream, strict, valid by the SDK's types, and with the last event as the whole answer would be."""
    stream = streamed(events, reply)
    validate_stream(stream)
    for event in told(stream):
        EVENT.validate_python(event)
    whole = json.loads(DIALECT.write_response(fold(events), reply).body)
    assert told(stream)[-1]["response"] == whole
    return stream


def test_a_text_has_the_whole_sequence_of_events() -> None:
    stream = checked([START, *part(0, c.TextPart(""), "he", "llo"), *END])
    assert kinds(stream) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in told(stream)] == list(range(10))


def test_thinking_a_text_and_two_calls() -> None:
    stream = checked(
        [
            START,
            *part(0, c.ReasoningPart(""), "h", "m"),
            *part(1, c.TextPart(""), "so"),
            *part(2, c.ToolCallPart("c1", "f", ""), '{"a"', ":1}"),
            *part(3, c.ToolCallPart("c2", "g", "", "custom"), "raw"),
            e.Finished(Finish("tool_calls")),
            e.Done(USAGE),
        ]
    )
    assert [item["type"] for item in told(stream)[-1]["response"]["output"]] == [
        "reasoning", "message", "function_call", "custom_tool_call",
    ]  # fmt: skip
    assert "reasoning_text.delta" in kinds(stream)


def test_thinking_is_a_summary_where_the_client_asked_for_one() -> None:
    reply = asked(reasoning={"effort": "low", "summary": "auto"})
    proof = e.ProofDelta(0, c.Proof("anthropic_messages", "sig"))
    stream = checked(
        [START, e.PartStart(0, c.ReasoningPart("")), e.TextDelta(0, "hm"), proof, e.PartEnd(0), *END], reply
    )
    assert [kind for kind in kinds(stream) if "summary" in kind] == [
        "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]  # fmt: skip


def test_texts_in_a_row_are_parts_of_one_message() -> None:
    stream = checked([START, *part(0, c.TextPart(""), "a"), *part(1, c.RefusalPart(""), "no"), *END])
    assert kinds(stream).count("output_item.added") == 1
    assert [event["content_index"] for event in told(stream) if event["type"].endswith("part.added")] == [
        0,
        1,
    ]


def test_parts_that_overlap_follow_each_other() -> None:
    events: list[e.Event] = [
        START,
        e.PartStart(0, c.ToolCallPart("c1", "f", "")),
        e.PartStart(1, c.ToolCallPart("c2", "g", "")),
        e.InputDelta(1, '{"b":'),
        e.InputDelta(0, '{"a":1}'),
        e.InputDelta(1, "2}"),
        e.PartEnd(1),
        e.PartEnd(0),
        *END,
    ]
    stream = checked(events)
    done = [event["arguments"] for event in told(stream) if event["type"].endswith("arguments.done")]
    assert done == ['{"a":1}', '{"b":2}']


def test_the_proof_of_a_call_goes_before_it_even_if_it_comes_after_its_start() -> None:
    proof = c.Proof("gemini", "sig")
    stream = checked(
        [
            START,
            e.PartStart(0, c.ToolCallPart("c1", "f", "")),
            e.ProofDelta(0, proof),
            e.InputDelta(0, "{}"),
            e.PartEnd(0),
            *END,
        ]
    )
    assert [item["type"] for item in told(stream)[-1]["response"]["output"]] == ["reasoning", "function_call"]


def test_a_proof_that_comes_too_late_goes_behind_its_call() -> None:
    events: list[e.Event] = [
        START,
        e.PartStart(0, c.ToolCallPart("c1", "f", "")),
        e.InputDelta(0, "{}"),
        e.ProofDelta(0, c.Proof("gemini", "sig")),
        e.PartEnd(0),
        *END,
    ]
    stream = streamed(events)
    validate_stream(stream)
    last = told(stream)[-1]["response"]
    assert [item["type"] for item in last["output"]] == ["function_call", "reasoning"]
    back = DIALECT.read_response(json.dumps(last).encode()).candidates[0].parts
    assert isinstance(back[0], c.ToolCallPart)
    assert back[0].proof == c.Proof("gemini", "sig")


def test_a_free_form_tool_that_had_become_a_function_is_free_form_again() -> None:
    reply = asked(tools=[{"type": "custom", "name": "g"}])
    stream = checked([START, *part(0, c.ToolCallPart("c1", "g", ""), '{"inp', 'ut":"x\\ny"}'), *END], reply)
    (done,) = [event for event in told(stream) if event["type"] == "response.custom_tool_call_input.done"]
    assert done["input"] == "x\ny"


def test_a_namespace_is_named_from_the_start() -> None:
    tool = {"type": "namespace", "name": "a", "description": "", "tools": [{"type": "function", "name": "f"}]}
    stream = checked([START, *part(0, c.ToolCallPart("c1", "a__f", ""), "{}"), *END], asked(tools=[tool]))
    (added,) = [event["item"] for event in told(stream) if event["type"].endswith("item.added")]
    assert (added["namespace"], added["name"], added["arguments"]) == ("a", "f", "")


def test_another_providers_search_tells_its_steps() -> None:
    call = c.ServerToolCallPart("s", "web_search", "", "anthropic_messages")
    result = c.ServerToolResultPart("s", "web_search_tool_result", [], "anthropic_messages")
    stream = checked([START, *part(0, call, '{"query":', '"q"}'), *part(1, result), *END])
    steps = [kind for kind in kinds(stream) if kind.startswith("web_search_call")]
    assert steps == ["web_search_call.in_progress", "web_search_call.searching", "web_search_call.completed"]


def test_an_image_comes_whole() -> None:
    stream = checked([START, *part(0, c.ImagePart(c.Base64Source("image/png", "iVBO"))), *END])
    (added,) = [event["item"] for event in told(stream) if event["type"].endswith("item.added")]
    assert (added["status"], added["result"]) == ("in_progress", None)


def test_citations_and_probabilities_come_with_their_text() -> None:
    token = {"token": "hi", "logprob": -1.0, "bytes": [104, 105], "top_logprobs": []}
    events: list[e.Event] = [
        START,
        e.PartStart(0, c.TextPart("")),
        e.CitationDelta(0, c.Citation("web", "https://a.test", "A", proof="idx")),
        e.TextDelta(0, "hi"),
        e.LogprobsDelta((token,)),
        e.PartEnd(0),
        *END,
    ]
    stream = checked(events)
    (annotation,) = [event["annotation"] for event in told(stream) if "annotation.added" in event["type"]]
    assert annotation["end_index"] == 2
    tokens = [event["logprobs"] for event in told(stream) if event["type"] == "response.output_text.delta"]
    assert tokens == [[], [token]]


def test_probabilities_that_follow_their_text_still_belong_to_it() -> None:
    token = {"token": "hi", "logprob": -1.0, "bytes": [104, 105], "top_logprobs": []}
    checked([START, *part(0, c.TextPart("hi")), e.LogprobsDelta((token,)), *END])


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_answer_is_incomplete_and_so_is_its_message(reason: Any) -> None:
    stream = checked([START, *part(0, c.TextPart(""), "x"), e.Finished(Finish(reason)), e.Done(USAGE)])
    last = told(stream)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_an_answer_of_nothing_is_a_response_without_output() -> None:
    assert kinds(checked([START, *END])) == ["created", "in_progress", "completed"]
    assert kinds(checked([*END])) == ["created", "in_progress", "completed"]


def test_a_failure_is_told_and_the_response_failed() -> None:
    stream = streamed([START, *part(0, c.TextPart(""), "x"), e.Failed("timeout", "late")])
    validate_stream(stream)
    error, failed = told(stream)[-2:]
    assert error["error"] == {"message": "late", "type": "api_error", "param": None, "code": "timeout"}
    assert failed["response"]["error"] == {"code": "server_error", "message": "late"}
    EVENT.validate_python(failed)


def test_a_failure_before_any_response_is_an_error_alone() -> None:
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.fail(RateLimited("slow down"))
    validate_stream(stream)
    assert kinds(stream) == ["error"]
    assert writer.fail(UpstreamTimeout("x")) == writer.write([START]) == writer.keep_alive() == b""


def test_media_that_the_wire_lacks_end_the_stream_in_an_error() -> None:
    stream = streamed([START, *part(0, c.AudioPart(c.Base64Source("audio/wav", "AA"), "wav")), *END])
    validate_stream(stream)
    assert told(stream)[-1]["response"]["error"]["code"] == "invalid_prompt"


def test_keep_alives_are_comments() -> None:
    writer = DIALECT.stream_writer(REPLY)
    assert writer.keep_alive().startswith(b":")
    assert writer.write([e.Ping()]).startswith(b":")


def test_further_answers_and_other_dialects_events_are_noticed() -> None:
    writer = DIALECT.stream_writer(REPLY)
    events = [START, e.PartStart(0, c.TextPart("a")), e.PartStart(1, c.TextPart("b"), 1), e.TextDelta(1, "x")]
    stream = writer.write([*events, e.PartEnd(1), e.PartEnd(0), e.ForeignEvent("gemini", "x", {}), *END])
    validate_stream(stream)
    assert [notice.feature for notice in writer.notices] == ["candidates", "events.x"]
    assert b'"b"' not in stream


def test_events_may_come_one_by_one_or_together() -> None:
    events = list(unfold(answer(c.ReasoningPart("r"), c.TextPart("a"), c.ToolCallPart("c", "f", "{}"))))
    assert streamed(events) == DIALECT.stream_writer(REPLY).write(events)


def test_a_part_that_the_upstream_gives_whole_at_its_end_is_streamed_then() -> None:
    events = [
        START,
        *part(0, c.ReasoningPart(""), final=c.ReasoningPart("hm", c.Proof("gemini", "s"))),
        *part(1, c.TextPart(""), final=c.TextPart("hi", (c.Citation("web", "u", "t"),))),
        *part(2, c.ToolCallPart("c", "f", ""), final=c.ToolCallPart("c", "f", '{"a":1}')),
        *END,
    ]
    stream = checked(events)
    deltas = [event["delta"] for event in told(stream) if event["type"].endswith(".delta")]
    assert deltas == ["hm", "hi", '{"a":1}']

"""An upstream's stream, read into the hub: the forms that real streams have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import PARTS_MAX, fold
from bytespike.core.response import Logprobs
from bytespike.protocols.openai_responses import DIALECT
from bytespike.protocols.openai_responses.envelope import Envelope, seal
from tests.support.responses_bodies import events_of, framed, response_of
from tests.support.responses_traffic import same_response

OWN = "openai_responses"
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}  # fmt: skip
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}', "status": "completed"}  # fmt: skip


def begun(**members: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": response_of(status="in_progress", usage=None, **members)}


def ended(*items: dict[str, Any], kind: str = "completed", **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": response_of(*items, status=kind, **members)}


def ev(kind: str, index: int = 0, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": index, "item_id": "x", **members}


def folded(*events: dict[str, Any]) -> Any:
    return same_response(fold(events_of(framed(*events)))).candidates[0]


def test_a_text_streams_as_it_comes() -> None:
    got = events_of(
        framed(
            begun(),
            ev("output_item.added", item={**MESSAGE, "content": [], "status": "in_progress"}),
            ev(
                "content_part.added",
                content_index=0,
                part={"type": "output_text", "text": "", "annotations": []},
            ),
            ev("output_text.delta", content_index=0, delta="h", logprobs=[]),
            ev("output_text.delta", content_index=0, delta="i", logprobs=[]),
            ev("output_text.done", content_index=0, text="hi"),
            ev("content_part.done", content_index=0, part=MESSAGE["content"][0]),
            ev("output_item.done", item=MESSAGE),
            ended(MESSAGE),
        )
    )
    assert [type(event).__name__ for event in got] == [
        "Started", "PartStart", "TextDelta", "TextDelta", "PartEnd", "Finished", "Done",
    ]  # fmt: skip
    assert isinstance(got[0], e.Started)
    assert (got[0].id, got[0].model, got[0].created) == ("resp_up", "up", 1)


@pytest.mark.parametrize(
    "events",
    [
        (begun(), ended(MESSAGE)),
        (ended(MESSAGE),),
        (begun(), ev("output_item.done", item=MESSAGE), ended(MESSAGE)),
        (begun(), ev("output_item.added", item={**MESSAGE, "content": []}), ended(MESSAGE)),
        (begun(), ev("output_text.delta", content_index=0, delta="hi"), ended()),
        (begun(), ev("output_item.added", item={**MESSAGE, "content": []}), ev("output_text.delta", delta="hi"), ended(MESSAGE)),
        (begun(), ev("output_item.added", item={**MESSAGE, "content": []}), ev("output_text.delta", delta="hi"), ev("output_item.done", item=MESSAGE), ended()),
    ],
)  # fmt: skip
def test_whatever_was_not_streamed_is_taken_from_what_comes_later(events: tuple[dict[str, Any], ...]) -> None:
    assert folded(*events).parts == (c.TextPart("hi"),)


def test_a_call_streams_and_its_arguments_count_once() -> None:
    start = ev("output_item.added", item={**CALL, "arguments": ""})
    pieces = [ev("function_call_arguments.delta", delta=text) for text in ('{"a"', ":1}")]
    done = ev("function_call_arguments.done", arguments='{"a":1}')
    for events in (
        (begun(), start, *pieces, done, ev("output_item.done", item=CALL), ended(CALL)),
        (begun(), start, done, ev("output_item.done", item=CALL), ended(CALL)),
        (begun(), start, ended(CALL)),
        (begun(), ev("output_item.added", item=CALL), *pieces, ended(CALL)),
    ):
        got = folded(*events)
        assert got.parts == (c.ToolCallPart("c1", "f", '{"a":1}'),)
        assert got.finish == Finish("tool_calls")


def test_a_call_of_a_namespace_has_its_flat_name() -> None:
    tool = {"type": "namespace", "name": "a", "description": "", "tools": [{"type": "function", "name": "f"}]}
    call = {**CALL, "namespace": "a"}
    got = folded(begun(tools=[tool]), ev("output_item.added", item={**call, "arguments": ""}), ended(call))
    assert [part.name for part in got.parts] == ["a__f"]


def test_several_summaries_are_one_part_with_its_proof() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "encrypted_content": "enc",
    }
    got = folded(
        begun(),
        ev("output_item.added", item={**item, "summary": [], "encrypted_content": "early"}),
        ev("reasoning_summary_text.delta", summary_index=0, delta="a"),
        ev("reasoning_summary_text.delta", summary_index=1, delta="b"),
        ev("output_item.done", item=item),
        ended(item),
    )
    assert got.parts == (c.ReasoningPart("a\n\nb", c.Proof(OWN, "enc"), summary=True),)


def test_a_summary_and_a_text_are_two_parts() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
        "encrypted_content": "enc",
    }
    got = folded(
        begun(),
        ev("output_item.added", item={**item, "summary": [], "content": []}),
        ev("reasoning_summary_text.delta", summary_index=0, delta="a"),
        ev("reasoning_text.delta", content_index=0, delta="long"),
        ev("output_item.done", item=item),
        ended(item),
    )
    assert got.parts == (
        c.ReasoningPart("a", summary=True),
        c.ReasoningPart("long", c.Proof(OWN, "enc")),
    )


def test_reasoning_that_shows_and_proves_nothing_is_no_part() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    added = ev("output_item.added", item=item)
    assert folded(begun(), added, ev("output_item.done", item=item), ended(item)).parts == ()


def test_a_sealed_proof_is_the_calls_that_follows() -> None:
    sealed = {
        "type": "reasoning",
        "id": "rs_0",
        "summary": [],
        "encrypted_content": seal("gemini", Envelope(proof="sig", call="c1")),
    }
    got = folded(
        begun(),
        ev("output_item.done", item=sealed),
        ev("output_item.added", 1, item={**CALL, "arguments": ""}),
        ev("output_item.done", 1, item=CALL),
        ended(sealed, CALL),
    )
    assert got.parts == (c.ToolCallPart("c1", "f", '{"a":1}', proof=c.Proof("gemini", "sig")),)


def test_citations_count_once_however_they_are_told() -> None:
    annotation = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    part = {**MESSAGE["content"][0], "annotations": [annotation]}
    start = ev("content_part.added", content_index=0, part={"type": "output_text", "text": ""})
    delta = ev("output_text.delta", content_index=0, delta="hi")
    added = ev("output_text.annotation.added", content_index=0, annotation_index=0, annotation=annotation)
    done = ev("content_part.done", content_index=0, part=part)
    bare = ev("content_part.done", content_index=0, part=MESSAGE["content"][0])
    for events in ((start, delta, added, done), (start, delta, done), (start, delta, added, bare)):
        (text,) = folded(begun(), *events, ended()).parts
        assert text.citations == (c.Citation("web", "u", "t", start=0, end=2),)


def test_log_probabilities_come_with_the_deltas_or_at_the_end_and_count_once() -> None:
    token = {"token": "hi", "logprob": -1}
    with_it = ev("output_text.delta", content_index=0, delta="hi", logprobs=[token])
    without = ev("output_text.delta", content_index=0, delta="hi", logprobs=[])
    done = ev("content_part.done", content_index=0, part={**MESSAGE["content"][0], "logprobs": [token]})
    for events in ((with_it, done), (without, done), (with_it,)):
        assert folded(begun(), *events, ended()).logprobs == Logprobs((token,))


def test_other_ids_in_each_event_are_one_item() -> None:
    got = folded(
        begun(),
        ev("output_item.added", item={**MESSAGE, "content": [], "id": "a"}),
        ev("output_text.delta", content_index=0, delta="hi", item_id="b"),
        ev("output_item.done", item={**MESSAGE, "id": "c"}),
        ended({**MESSAGE, "id": "d"}),
    )
    assert got.parts == (c.TextPart("hi"),)


def test_provider_side_tools_are_what_their_finished_item_says() -> None:
    item = {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "code": "1+1",
        "outputs": None,
    }
    got = folded(
        begun(),
        ev("output_item.added", item={**item, "code": "", "status": "in_progress"}),
        ev("code_interpreter_call.in_progress"),
        ev("code_interpreter_call_code.delta", delta="1+1"),
        ev("code_interpreter_call.completed"),
        ev("output_item.done", item=item),
        ended(item),
    )
    (part,) = got.parts
    assert (part.name, json.loads(part.arguments)["code"]) == ("code_execution", "1+1")


def test_events_of_new_types_are_kept_apart() -> None:
    got = events_of(framed(begun(), {"type": "response.new_thing", "x": 1}, ended()))
    assert [event.kind for event in got if isinstance(event, e.ForeignEvent)] == ["response.new_thing"]


def test_an_incomplete_answer_says_why() -> None:
    details = {"reason": "max_output_tokens"}
    got = folded(begun(), ended(MESSAGE, kind="incomplete", incomplete_details=details))
    assert got.finish == Finish("length")


@pytest.mark.parametrize(
    ("event", "code", "about"),
    [
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "m"}}, "context_length_exceeded", "request"),
        ({"type": "error", "code": "invalid_prompt", "message": "m", "param": None}, "content_policy_violation", "request"),
        ({"type": "error", "error": {"type": "insufficient_quota", "message": "our account"}}, "no_available_channel", "channel"),
        ({"type": "response.failed", "response": response_of(status="failed", error={"code": "server_error", "message": "m"})}, "upstream_error", "upstream"),
        ({"type": "response.failed", "response": response_of(status="failed", error={"code": "rate_limit_exceeded", "message": "m"})}, "no_available_channel", "channel"),
    ],
)  # fmt: skip
def test_a_failure_says_whose_fault_it_is(event: dict[str, Any], code: str, about: str) -> None:
    failed = events_of(framed(begun(), event))[-1]
    assert isinstance(failed, e.Failed)
    assert (failed.code, failed.about) == (code, about)
    assert "our account" not in failed.message


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "output_index": 0, "delta": 3},
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": None},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "x"},
        {"type": "response.output_item.added", "output_index": -1, "item": MESSAGE},
        {"type": "response.output_item.added", "output_index": 10**9, "item": MESSAGE},
        {"type": "response.output_item.added", "output_index": 0, "item": []},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call"}},
        {"type": "response.content_part.done", "output_index": "x"},
        {"type": "response.completed"},
        {"type": "response.completed", "response": {"output": [3]}},
        {"type": 3},
    ],
)
def test_a_malformed_event_breaks_the_stream(event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    failed = events_of(framed(begun()) + data)[-1]
    assert isinstance(failed, e.Failed)
    assert failed.code == "upstream_error"


def test_deltas_of_the_wrong_kind_of_item_break_the_stream() -> None:
    reasoning = {"type": "reasoning", "id": "rs", "summary": []}
    for item, delta in (
        (reasoning, ev("output_text.delta", content_index=0, delta="x")),
        ({**MESSAGE, "content": []}, ev("reasoning_text.delta", content_index=0, delta="x")),
        (reasoning, ev("function_call_arguments.delta", delta="x")),
    ):
        failed = events_of(framed(begun(), ev("output_item.added", item=item), delta))[-1]
        assert isinstance(failed, e.Failed)


def test_an_answer_of_endless_parts_is_cut_off() -> None:
    reader = DIALECT.stream_reader()
    got = reader.feed(framed(begun()))
    for number in range(PARTS_MAX + 1):
        got += reader.feed(framed(ev("output_text.delta", content_index=number, delta="")))
    assert isinstance(got[-1], e.Failed)


def test_nothing_is_read_after_the_end() -> None:
    reader = DIALECT.stream_reader()
    reader.feed(framed(begun(), ended()))
    assert reader.feed(framed(begun(), ended(MESSAGE))) == reader.end() == []

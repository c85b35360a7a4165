"""Whatever the hub's grammar allows, the writers of the Anthropic dialect keep the wire's order and lose nothing."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold, unfold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.tool_ids import CallIds, arguments_of, object_of, safe_id
from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_sdk import valid_events, valid_message
from tests.support.anthropic_targets import REPLY
from tests.support.hub_strategies import (
    counts,
    ids,
    made,
    overlapping,
    some_words,
    usages,
    words,
    written_in_pieces,
)

OWN = "anthropic_messages"


objects = st.dictionaries(words, st.integers() | words | st.lists(words, max_size=2), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
citations = made(
    c.Citation,
    st.just("web"),
    some_words,
    st.none() | words,
    words,
    proof=some_words.filter(lambda s: "." not in s),
) | made(
    c.Citation, st.sampled_from(["char", "page", "block"]), st.just(""), words, words, counts, counts, counts
)
proofs = made(c.Proof, st.sampled_from([OWN, "gemini", "openai_responses"]), ids)
texts = made(c.TextPart, some_words, st.lists(citations, max_size=2).map(tuple))
parts: st.SearchStrategy[Any] = st.one_of(
    texts,
    made(c.ReasoningPart, words, st.none() | proofs),
    made(c.ReasoningPart, st.just(""), proofs, st.just(True)),
    made(c.ToolCallPart, ids, ids, objects),
    made(c.ServerToolCallPart, ids, st.just("web_search"), objects, st.just(OWN)),
    made(c.ServerToolResultPart, ids, st.just("web_search_tool_result"), st.just([]), st.just(OWN)),
)
finishes = st.sampled_from(
    [
        Finish("length"),
        Finish("tool_calls"),
        Finish("pause"),
        Finish("stop_sequence", "x"),
        Finish("context_window"),
    ]
)
answers = made(
    lambda held, finish, usage: ChatResponse(
        "msg_01x", REPLY.model, (Candidate(tuple(held), finish),), usage
    ),
    st.lists(parts, max_size=5),
    finishes,
    usages,
)
relaxed = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def _values(response: ChatResponse) -> ChatResponse:
    """With arguments as canonical JSON: their spelling may differ."""
    (candidate,) = response.candidates
    held = tuple(
        structs.replace(part, arguments=json.dumps(json.loads(part.arguments), sort_keys=True))
        if isinstance(part, (c.ToolCallPart, c.ServerToolCallPart))
        else part
        for part in candidate.parts
    )
    return structs.replace(response, candidates=(structs.replace(candidate, parts=held),))


@relaxed
@given(answers)
def test_a_written_answer_reads_back_equal(answer: ChatResponse) -> None:
    result = DIALECT.write_response(answer, REPLY)
    valid_message(result.body)
    assert result.notices == ()
    assert _values(DIALECT.read_response(result.body)) == _values(answer)


@relaxed
@given(answers)
def test_a_written_stream_reads_back_equal(answer: ChatResponse) -> None:
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.write(list(unfold(answer)))
    validate_stream(stream)
    valid_events(stream)
    assert writer.notices == ()
    reader = DIALECT.stream_reader()
    assert _values(fold(reader.feed(stream) + reader.end())) == _values(answer)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[e.Event], ChatResponse]:
    """Events whose parts overlap in any way that the grammar allows, and what they fold into."""
    answer = draw(answers)
    return overlapping(draw, answer), answer


@relaxed
@given(streams(), st.data())
def test_parts_may_overlap_in_any_way(
    stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    events, answer = stream
    assert _values(fold(events)) == _values(answer)
    out = written_in_pieces(data.draw, DIALECT, REPLY, events)
    validate_stream(out)
    reader = DIALECT.stream_reader()
    assert _values(fold(reader.feed(out) + reader.end())) == _values(answer)


@relaxed
@given(streams(), st.data())
def test_a_stream_that_fails_anywhere_ends_in_an_error(
    stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    events, _ = stream
    writer = DIALECT.stream_writer(REPLY)
    count = data.draw(st.integers(0, len(events) - 1))
    out = writer.write([*events[:count], e.Failed("timeout", "late")])
    validate_stream(out)
    assert b"event: error" in out


@given(st.text())
def test_ids_are_safe_and_stable(call_id: str) -> None:
    safe = safe_id(call_id)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", safe)
    assert safe_id(safe) == safe == safe_id(call_id)


@given(st.lists(st.sampled_from(["a", "b", "a:b", "a/b", "é"]), max_size=8))
def test_calls_that_wait_together_have_different_ids_and_their_results_find_them(calls: list[str]) -> None:
    ids_ = CallIds()
    written = [ids_.for_call(call) for call in calls]
    assert len(set(written)) == len(calls)
    for call in sorted(set(calls)):
        own = [id_ for id_, made in zip(written, calls, strict=True) if made == call]
        assert [ids_.for_result(call) for _ in own] == own


@given(st.text() | objects)
def test_arguments_of_any_kind_come_back(arguments: str) -> None:
    try:
        was_object = isinstance(json.loads(arguments), dict)
    except ValueError:
        was_object = False
    carried = json.loads(json.dumps(object_of(arguments), default=lambda raw: json.loads(bytes(raw))))
    assert isinstance(carried, dict)
    if was_object:
        assert carried == json.loads(arguments)
    elif arguments.strip():
        assert arguments_of(carried) == arguments

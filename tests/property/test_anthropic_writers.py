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
from bytespike.core.usage import Usage
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.tool_ids import CallIds, arguments_of, object_of, safe_id
from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_sdk import valid_events, valid_message
from tests.support.anthropic_targets import REPLY

OWN = "anthropic_messages"


def made(
    kind: Any, *members: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Values of a hub type. (`st.builds` would evaluate its annotations.)"""
    return st.tuples(st.tuples(*members), st.fixed_dictionaries(named)).map(
        lambda given_: kind(*given_[0], **given_[1])
    )


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
some_words = words.filter(bool)
counts = st.integers(0, 10**6)
objects = st.dictionaries(words, st.integers() | words | st.lists(words, max_size=2), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
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
usages = made(
    Usage,
    input=counts,
    cache_read=counts,
    cache_write_5m=counts,
    cache_write_1h=counts,
    output=st.integers(10**6, 10**7),
    reasoning=counts,
    web_searches=counts,
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


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[e.Event], ChatResponse]:
    """Events whose parts overlap in any way that the grammar allows, and what they fold into."""
    answer = draw(answers)
    lanes: list[list[e.Event]] = []
    for index, part in enumerate(answer.candidates[0].parts):
        lane: list[e.Event] = []
        match part:
            case c.TextPart():
                lane = [e.PartStart(index, c.TextPart(""))]
                lane += [e.TextDelta(index, piece) for piece in _pieces(draw, part.text)]
                lane += [e.CitationDelta(index, citation) for citation in part.citations]
            case c.ReasoningPart(redacted=False):
                lane = [e.PartStart(index, c.ReasoningPart(""))]
                lane += [e.TextDelta(index, piece) for piece in _pieces(draw, part.text)]
                lane += [e.ProofDelta(index, part.proof)] if part.proof else []
            case c.ToolCallPart():
                lane = [e.PartStart(index, c.ToolCallPart(part.id, part.name, ""))]
                lane += [e.InputDelta(index, piece) for piece in _pieces(draw, part.arguments)]
            case _:
                lane = [e.PartStart(index, part)]
        lanes.append([*lane, e.PartEnd(index)])
    events: list[e.Event] = [e.Started(answer.id, answer.model)]
    started = 0
    while any(lanes):
        # Parts start in the order of their numbers; everything else may come in any order.
        ready = [i for i, lane in enumerate(lanes) if lane and i <= started]
        chosen = draw(st.sampled_from(ready))
        started = max(started, chosen + 1)
        events.append(lanes[chosen].pop(0))
        if draw(st.integers(0, 9)) == 0:
            events.append(draw(st.sampled_from([e.Ping(), e.UsageUpdate(answer.usage)])))
    events += [e.Finished(answer.candidates[0].finish), e.Done(answer.usage)]
    return events, answer


@relaxed
@given(streams(), st.data())
def test_parts_may_overlap_in_any_way(
    stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    events, answer = stream
    assert _values(fold(events)) == _values(answer)
    writer = DIALECT.stream_writer(REPLY)
    out, rest = b"", events
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        out, rest = out + writer.write(rest[:count]), rest[count:]
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

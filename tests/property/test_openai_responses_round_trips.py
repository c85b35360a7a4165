"""Whatever the hub's grammar allows, the Responses writers keep the wire's order and lose nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from openai.types.responses import Response
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.fold import fold, unfold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.protocols.openai_responses import DIALECT
from bytespike.protocols.openai_responses.tool_names import ToolNames
from bytespike.testing.responses_stream import validate_stream
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
from tests.support.responses_bodies import REPLY, asked, told
from tests.support.responses_traffic import same_response

RESPONSE = TypeAdapter(Response)
OWN = "openai_responses"


objects = st.dictionaries(words, st.integers() | words, max_size=3).map(json.dumps)
proofs = made(c.Proof, st.sampled_from([OWN, "gemini", "anthropic_messages"]), some_words)
foreign_proofs = made(c.Proof, st.sampled_from(["gemini", "anthropic_messages"]), some_words)
citations = st.one_of(
    made(c.Citation, st.just("web"), some_words, st.none() | some_words, words, proof=st.none() | some_words),
    made(c.Citation, st.just("web"), some_words, st.none() | some_words, start=counts, end=counts),
    made(c.Citation, st.sampled_from(["char", "page", "block", "search_result"]), words, st.none() | words, words, counts, counts, st.none() | counts),
)  # fmt: skip
#: Reasoning that says or proves something, and calls whose arguments are not empty: the rest reads as nothing, or as {}.
parts: st.SearchStrategy[Any] = st.one_of(
    made(c.TextPart, words, st.lists(citations, max_size=2).map(tuple)),
    made(c.RefusalPart, words),
    made(c.ReasoningPart, some_words, st.none() | foreign_proofs, summary=st.booleans()),
    made(c.ReasoningPart, some_words, proofs, summary=st.booleans()),
    made(c.ReasoningPart, st.just(""), proofs),
    made(c.ReasoningPart, st.just(""), foreign_proofs, st.just(True)),
    made(c.ToolCallPart, ids, ids, objects, proof=st.none() | foreign_proofs),
    made(c.ToolCallPart, ids, ids, words, st.just("custom")),
    made(
        c.ServerToolCallPart,
        ids,
        st.sampled_from(["web_search", "x"]),
        objects,
        st.just("anthropic_messages"),
    ),
    made(c.ServerToolResultPart, ids, ids, st.just([{"a": 1}]), st.just("anthropic_messages"), st.booleans()),
    made(c.ForeignPart, st.just("gemini"), ids, st.just({"a": 1})),
)
finishes = st.sampled_from(["stop", "length", "content_filter", "context_window", "error"]).map(Finish)


def _answer(held: list[Any], finish: Finish, usage: Usage) -> ChatResponse:
    return ChatResponse("", "", (Candidate(tuple(held), finish),), usage)


answers = made(_answer, st.lists(parts, max_size=6), finishes, usages)
relaxed = settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def comparable(response: ChatResponse) -> ChatResponse:
    """In the hub's terms; a completed answer tells by its output why it stopped, and calls in a row with one id are one
    call's business."""
    (candidate,) = same_response(response).candidates
    finish = candidate.finish
    if finish.reason in ("stop", "tool_calls", "refusal"):
        finish = Finish("stop")
    return structs.replace(same_response(response), candidates=(structs.replace(candidate, finish=finish),))


def distinct(answer: ChatResponse) -> ChatResponse:
    """The answer with an id of its own for each call: a proof belongs to the call of its id."""
    (candidate,) = answer.candidates
    held = tuple(
        structs.replace(part, id=f"{number}{part.id}") if isinstance(part, c.ToolCallPart) else part
        for number, part in enumerate(candidate.parts)
    )
    return structs.replace(answer, candidates=(structs.replace(candidate, parts=held),))


@relaxed
@given(answers.map(distinct))
def test_a_written_answer_reads_back_equal(answer: ChatResponse) -> None:
    body = DIALECT.write_response(answer, REPLY).body
    RESPONSE.validate_json(body)
    assert comparable(DIALECT.read_response(body)) == comparable(answer)


@relaxed
@given(answers.map(distinct))
def test_a_written_stream_reads_back_equal_and_ends_in_the_whole_answer(answer: ChatResponse) -> None:
    stream = DIALECT.stream_writer(REPLY).write(list(unfold(answer)))
    validate_stream(stream)
    assert told(stream)[-1]["response"] == json.loads(DIALECT.write_response(answer, REPLY).body)
    reader = DIALECT.stream_reader()
    assert comparable(fold([*reader.feed(stream), *reader.end()])) == comparable(answer)


@relaxed
@given(answers.map(distinct))
def test_an_answer_comes_home_as_the_history_of_the_next_request(answer: ChatResponse) -> None:
    output = json.loads(DIALECT.write_response(answer, REPLY).body)["output"]
    request = DIALECT.read_request(
        json.dumps({"model": "m", "input": [*output, {"role": "user", "content": "x"}]}).encode()
    )
    came = request.turns[0].parts if request.turns[0].role == "assistant" else ()
    home = structs.replace(answer, candidates=(Candidate(came, Finish("stop")),))
    left = structs.replace(answer, candidates=(Candidate(answer.candidates[0].parts, Finish("stop")),))
    assert comparable(home) == comparable(left)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[e.Event], ChatResponse]:
    """Events whose parts overlap in any way that the grammar allows, and what they fold into."""
    answer: ChatResponse = distinct(draw(answers))
    return overlapping(draw, answer), answer


@relaxed
@given(streams(), st.data())
def test_parts_may_overlap_in_any_way(
    stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    events, answer = stream
    out = written_in_pieces(data.draw, DIALECT, REPLY, events)
    validate_stream(out)
    assert told(out)[-1]["response"] == json.loads(DIALECT.write_response(fold(events), REPLY).body)
    reader = DIALECT.stream_reader()
    assert comparable(fold([*reader.feed(out), *reader.end()])) == comparable(answer)


@relaxed
@given(streams(), st.data())
def test_a_stream_that_fails_anywhere_ends_in_an_error(
    stream: tuple[list[e.Event], ChatResponse], data: st.DataObject
) -> None:
    events, _ = stream
    count = data.draw(st.integers(0, len(events) - 1))
    out = DIALECT.stream_writer(REPLY).write([*events[:count], e.Failed("timeout", "late")])
    validate_stream(out)
    assert b"event: error" in out


namespaces = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.just("namespace"),
            "name": st.sampled_from(["a", "a_", "a__b", "crm", "x" * 70, "ü"]),
            "description": st.just(""),
            "tools": st.lists(
                st.sampled_from(["f", "b__f", "_f", "y" * 60]).map(
                    lambda name: {"type": "function", "name": name}
                ),
                max_size=3,
            ),
        }
    ),
    max_size=4,
)


@relaxed
@given(namespaces, st.lists(st.sampled_from(["f", "a__f", "crm__f"]), max_size=2))
def test_every_tool_of_a_namespace_has_a_name_of_its_own_that_leads_back(
    groups: list[dict[str, Any]], plain: list[str]
) -> None:
    tools = [*groups, *({"type": "function", "name": name} for name in plain)]
    names = ToolNames(tools)
    wanted = {(group["name"], tool["name"]) for group in groups for tool in group["tools"]}
    flats = {names.flat(*each): each for each in wanted}
    assert len(flats) == len(wanted)
    assert flats.keys().isdisjoint(plain)
    assert all(len(flat) <= 64 for flat in flats)
    for flat, (namespace, name) in flats.items():
        call = c.ToolCallPart("c", flat, "{}")
        body = DIALECT.write_response(_answer([call], Finish("stop"), Usage()), asked(tools=tools)).body
        (item,) = json.loads(body)["output"]
        assert (item["namespace"], item["name"]) == (namespace, name)

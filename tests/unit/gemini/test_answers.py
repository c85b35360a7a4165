"""Whole answers: what an upstream says, and what a client of Gemini native gets of any provider's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish, FinishReason
from bytespike.core.fold import Fold, unfold
from bytespike.core.request import ChatRequest
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.core.usage import Usage
from bytespike.errors import ContentPolicyViolation, UpstreamError
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.counting import read_count, write_count
from bytespike.protocols.gemini.envelope import open_seal
from bytespike.protocols.gemini.finish import REASONS
from bytespike.protocols.gemini.models import model_entry, model_list
from bytespike.testing.gemini_stream import FINISH_REASONS
from tests.support.gemini_traffic import REPLY

CLAUDE = "anthropic_messages"


def answer(*parts: dict[str, Any], **members: Any) -> bytes:
    candidate = {
        "content": {"parts": list(parts), "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    } | members
    return json.dumps({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r"}).encode()


def parts_of(*parts: dict[str, Any], **members: Any) -> tuple[c.Part, ...]:
    return DIALECT.read_response(answer(*parts, **members)).candidates[0].parts


def whole(*parts: c.Part, finish: Finish | None = None, usage: Usage | None = None) -> ChatResponse:
    return ChatResponse("up", "m", (Candidate(parts, finish or Finish("stop")),), usage or Usage())


def written(response: ChatResponse) -> dict[str, Any]:
    return json.loads(DIALECT.write_response(response, REPLY).body)


def wire_parts(*parts: c.Part) -> list[dict[str, Any]]:
    return written(whole(*parts))["candidates"][0]["content"]["parts"]


def back(response: ChatResponse) -> ChatResponse:
    return DIALECT.read_response(DIALECT.write_response(response, REPLY).body)


def history(*parts: dict[str, Any]) -> ChatRequest:
    """A client's next request, with the model's content as it sends it back."""
    body = {"contents": [{"role": "model", "parts": list(parts)}, {"parts": [{"text": "go on"}]}]}
    return DIALECT.read_request(json.dumps(body).encode())


# --- an upstream's ---------------------------------------------------------------------------------------------


def test_an_answer_names_itself_and_its_model() -> None:
    response = DIALECT.read_response(answer({"text": "hi"}))
    assert (response.id, response.model) == ("r", "gemini-x")
    assert response.candidates[0].parts == (c.TextPart("hi"),)


def test_calls_without_ids_get_ids_of_this_answer() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    first, second = parts_of(call, call)
    assert isinstance(first, c.ToolCallPart)
    assert isinstance(second, c.ToolCallPart)
    assert first.id != second.id
    other = DIALECT.read_response(answer(call).replace(b'"responseId": "r"', b'"responseId": "s"'))
    (again,) = other.candidates[0].parts
    assert isinstance(again, c.ToolCallPart)
    assert again.id not in (first.id, second.id)


def test_a_blocked_prompt_is_a_violation_of_content_policy() -> None:
    body = json.dumps({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}).encode()
    with pytest.raises(ContentPolicyViolation, match="PROHIBITED_CONTENT"):
        DIALECT.read_response(body)
    # The same dialect passes it on as the service says it.
    assert DIALECT.patch_response(body, "m") == (body, None)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"candidates":[]}', b'{"candidates":[3]}', b'{"error":{"code":500,"message":"x"}}',
        b'{"candidates":[{"content":{"parts":[3]}}]}', b'{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}',
        b'[{"error":{"code":500,"message":"x"}}]', b"[3]",
    ],
)  # fmt: skip
def test_bytes_that_are_no_answer_are_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.read_response(body)


def test_an_array_of_chunks_is_one_answer() -> None:
    chunks = [json.loads(answer({"text": "a"}, finishReason=None)), json.loads(answer({"text": "b"}))]
    response = DIALECT.read_response(json.dumps(chunks).encode())
    assert response.candidates[0].parts == (c.TextPart("ab"),)
    assert response.candidates[0].finish == Finish("stop", extras=response.candidates[0].finish.extras)


@pytest.mark.parametrize("word", sorted(REASONS))
def test_every_finish_reason_of_the_sdk_survives_both_ways(word: str) -> None:
    response = DIALECT.read_response(answer({"text": "x"}, finishReason=word, finishMessage="because"))
    candidate = written(response)["candidates"][0]
    assert (candidate["finishReason"], candidate["finishMessage"]) == (word, "because")
    assert word in FINISH_REASONS
    assert word in types.FinishReason.__members__


@pytest.mark.parametrize(
    "reason",
    [
        "stop",
        "stop_sequence",
        "length",
        "context_window",
        "content_filter",
        "refusal",
        "pause",
        "error",
        "other",
    ],
)
def test_every_finish_of_the_hub_survives_and_has_a_word_of_the_wire(reason: FinishReason) -> None:
    finish = Finish(reason, sequence="END" if reason == "stop_sequence" else None)
    told = written(whole(c.TextPart("x"), finish=finish))["candidates"][0]
    assert told["finishReason"] in FINISH_REASONS
    assert back(whole(c.TextPart("x"), finish=finish)).candidates[0].finish == finish


def test_a_stop_with_calls_waits_for_results() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    assert DIALECT.read_response(answer(call)).candidates[0].finish.reason == "tool_calls"
    told = written(whole(c.ToolCallPart("1", "f", "{}"), finish=Finish("tool_calls")))["candidates"][0]
    assert told["finishReason"] == "STOP"
    assert "nativeFinishReason" not in told


@pytest.mark.parametrize("reason", ["stop", "refusal"])
def test_a_refusal_in_words_is_no_regular_end_here_and_comes_home_as_it_was(reason: FinishReason) -> None:
    refused = whole(c.RefusalPart("I will not."), finish=Finish(reason))
    told = written(refused)["candidates"][0]
    assert told["finishReason"] == "SAFETY"
    assert told["content"]["parts"][0]["text"] == "I will not."
    assert back(refused).candidates == refused.candidates
    stream = DIALECT.stream_writer(REPLY)
    reader = DIALECT.stream_reader()
    heard = Fold()
    for event in reader.feed(stream.write(list(unfold(refused)))) + reader.end():
        heard.add(event)
    assert heard.response().candidates == refused.candidates


def test_log_probabilities_have_openais_shape_and_go_back() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "é", "tokenId": 5, "logProbability": -0.1}, {"token": "e", "logProbability": -2}]}],
    }  # fmt: skip
    candidate = DIALECT.read_response(answer({"text": "é"}, logprobsResult=result)).candidates[0]
    assert candidate.logprobs is not None
    (entry,) = candidate.logprobs.content
    assert isinstance(entry, dict)
    assert (entry["token"], entry["logprob"], entry["bytes"]) == ("é", -0.1, [195, 169])
    assert written(ChatResponse("", "", (candidate,)))["candidates"][0]["logprobsResult"] == result


def test_log_probabilities_of_another_provider_are_googles() -> None:
    logprobs = Logprobs(({"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []},))
    response = ChatResponse("", "", (Candidate((c.TextPart("a"),), Finish("stop"), logprobs),))
    told = written(response)["candidates"][0]["logprobsResult"]
    assert told == {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    assert back(response).candidates[0].logprobs == logprobs


# --- grounding -------------------------------------------------------------------------------------------------

SOURCES = [{"web": {"uri": "https://a.org", "title": "A"}}, {"web": {"uri": "https://b.org"}}]


def _support(start: int, end: int, text: str, *sources: int, **segment: Any) -> dict[str, Any]:
    told = {"startIndex": start, "endIndex": end, "text": text} | segment
    return {"segment": told, "groundingChunkIndices": list(sources)}


def _grounded(*parts: str, supports: list[Any], chunks: list[Any] = SOURCES) -> list[c.TextPart]:
    grounding = {
        "groundingChunks": chunks,
        "groundingSupports": supports,
        "webSearchQueries": ["q", "q", "r"],
    }
    got = parts_of(
        {"text": "thinking", "thought": True},
        *[{"text": part} for part in parts],
        groundingMetadata=grounding,
    )
    return [part for part in got if isinstance(part, c.TextPart)]


def test_offsets_in_bytes_become_offsets_in_characters() -> None:
    text = "Häuser in Köln. Ja."
    start = len("Häuser ".encode())
    (part,) = _grounded(text, supports=[_support(start, start + len("in Köln.".encode()), "in Köln.", 0, 1)])
    assert [(cite.url, cite.title) for cite in part.citations] == [
        ("https://a.org", "A"),
        ("https://b.org", None),
    ]
    assert all(text[cite.start : cite.end] == "in Köln." for cite in part.citations)


def test_the_segments_text_says_which_part_is_meant() -> None:
    first, second = _grounded(
        "one", "two", supports=[_support(0, 3, "two", 0), _support(0, 3, "one", 1, partIndex=1)]
    )
    assert [cite.url for cite in second.citations] == ["https://a.org"]
    assert [cite.url for cite in first.citations] == ["https://b.org"]


def test_a_segment_that_is_nowhere_belongs_to_the_last_text_without_offsets() -> None:
    (part,) = _grounded("one", supports=[_support(5, 9, "nope", 0, 99)])
    assert [(cite.start, cite.end) for cite in part.citations] == [(None, None)]


def test_retrieved_files_are_search_results_and_maps_are_web_pages() -> None:
    chunks = [
        {"retrievedContext": {"text": "t", "title": "T"}},
        {"maps": {"uri": "https://maps", "title": "M"}},
    ]
    (part,) = _grounded("one", supports=[_support(0, 3, "one", 0, 1)], chunks=chunks)
    assert part.citations == (
        c.Citation("search_result", "", "T", "t", 0, 1, 0),
        c.Citation("web", "https://maps", "M", start=0, end=3),
    )


def test_recited_passages_are_citations_too() -> None:
    told = {"citations": [{"startIndex": 0, "endIndex": 3, "uri": "https://a.org", "license": "MIT"}]}
    (part,) = parts_of({"text": "one two"}, citationMetadata=told)
    assert isinstance(part, c.TextPart)
    (citation,) = part.citations
    assert (citation.url, citation.start, citation.end) == ("https://a.org", 0, 3)
    assert citation.extras == {"gemini": {"license": "MIT"}}


def test_searches_are_billed_by_answer_up_to_gemini_2_and_by_query_later() -> None:
    grounding = {"webSearchQueries": ["q", "q", "r"]}
    for model, searches in (("gemini-2.5-flash", 1), ("gemini-3-flash-preview", 2), ("", 2)):
        told = json.loads(answer({"text": "x"}, groundingMetadata=grounding))
        told |= {"modelVersion": model, "usageMetadata": {"promptTokenCount": 1}}
        body = json.dumps(told).encode()
        assert DIALECT.read_response(body).usage.web_searches == searches
        _, usage = DIALECT.patch_response(body, "m")
        assert usage is not None
        assert usage.web_searches == searches


def test_citations_of_any_provider_are_grounding_and_come_back_whole() -> None:
    cites = (
        c.Citation("web", "https://a.org", "A", "quoted", 2, 5, proof="idx"),
        c.Citation("web", "https://b.org", None),
        c.Citation("page", title="doc", cited_text="q", start=3, end=4, document_index=1),
        c.Citation("web", "https://a.org", "A", start=0, end=2),
    )
    response = whole(c.ReasoningPart("hm"), c.TextPart("Öl: ölig", cites), c.TextPart(" und"))
    told = written(response)["candidates"][0]["groundingMetadata"]
    assert told["groundingChunks"][0] == {"web": {"uri": "https://a.org", "title": "A"}}
    assert told["groundingSupports"][0]["segment"] == {
        "startIndex": 3, "endIndex": 7, "text": ": ö", "partIndex": 1,
    }  # fmt: skip
    # A citation that says nothing special has no member of ours.
    assert "citation" not in told["groundingSupports"][3]
    assert back(response).candidates[0].parts == response.candidates[0].parts
    types.GroundingMetadata.model_validate({**told, "groundingSupports": [
        {key: value for key, value in support.items() if key != "citation"} for support in told["groundingSupports"]
    ]})  # fmt: skip


# --- for a client: proofs and what has no form here ----------------------------------------------------------


def test_googles_own_proofs_go_out_as_they_are() -> None:
    proof = c.Proof("gemini", "c2ln")
    got = wire_parts(
        c.ReasoningPart("hm", proof), c.ReasoningPart(proof=proof), c.TextPart("x"), c.ToolCallPart("1", "f", "{}", proof=proof)
    )  # fmt: skip
    assert got == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "x", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": "c2ln"},
    ]


FOREIGN: list[tuple[str, c.Part]] = [
    ("signed thinking", c.ReasoningPart("hm", c.Proof(CLAUDE, "sig"))),
    ("redacted thinking", c.ReasoningPart(proof=c.Proof(CLAUDE, "sig"), redacted=True)),
    (
        "encrypted reasoning",
        c.ReasoningPart("sum", c.Proof("openai_responses", "enc"), summary=True, id="rs_1"),
    ),
    ("plain thinking", c.ReasoningPart("hm")),
    ("a refusal", c.RefusalPart("no")),
    ("a free-form call", c.ToolCallPart("1", "f", "SELECT 1", "custom")),
    ("a call with broken arguments", c.ToolCallPart("1", "f", '{"a')),
    ("a signed call", c.ToolCallPart("1", "f", "{}", proof=c.Proof("openai_chat", "p"))),
    ("a search", c.ServerToolCallPart("s", "web_search", '{"query":"q"}', CLAUDE, extras={CLAUDE: {"a": 1}})),
    ("another tool", c.ServerToolCallPart("s", "bash", "[1]", CLAUDE)),
    ("its result", c.ServerToolResultPart("s", "web_search_tool_result", [{"a": 1}], CLAUDE, True)),
    ("an image", c.ImagePart(c.Base64Source("image/png", "iVBO"))),
]


@pytest.mark.parametrize("part", [row[1] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_what_has_no_form_here_survives_the_answer_and_the_history(part: c.Part) -> None:
    response = whole(part)
    assert back(response).candidates[0].parts == (part,)
    # Back from a client that decodes signatures and encodes them in the other alphabet.
    echoed = [types.Part.model_validate(wire).model_dump(mode="json", by_alias=True, exclude_none=True) for wire in wire_parts(part)]  # fmt: skip
    assert history(*echoed).turns[0].parts == (part,)


def test_a_call_takes_the_reasoning_before_it_along_for_clients_that_drop_thoughts() -> None:
    thoughts = (
        c.ReasoningPart("first", c.Proof(CLAUDE, "s1")),
        c.ReasoningPart(proof=c.Proof(CLAUDE, "s2"), redacted=True),
        c.ReasoningPart("unsigned"),
    )
    call = c.ToolCallPart("1", "f", "{}")
    wires = wire_parts(*thoughts, c.TextPart("so"), call, c.ToolCallPart("2", "f", "{}"))
    assert [copy.data for copy in open_seal(wires[4]["thoughtSignature"]).before] == ["s1", "s2"]
    assert "thoughtSignature" not in wires[5]
    # All of it comes back: nothing twice.
    assert [part for part in history(*wires).turns[0].parts if isinstance(part, c.ReasoningPart)] == list(
        thoughts
    )
    # Gemini CLI leaves thoughts out of the history.
    kept = [wire for wire in wires if not wire.get("thought")]
    assert history(*kept).turns[0].parts == (
        c.TextPart("so"), *thoughts[:2], call, c.ToolCallPart("2", "f", "{}"),
    )  # fmt: skip


def test_a_history_of_stream_chunks_is_one_turn_with_its_pieces_put_together() -> None:
    proof = c.Proof(CLAUDE, "s")
    writer = DIALECT.stream_writer(REPLY)
    told: list[e.Event] = [
        e.PartStart(0, c.ReasoningPart()), e.TextDelta(0, "h"), e.TextDelta(0, "m"), e.ProofDelta(0, proof), e.PartEnd(0),
        e.PartStart(1, c.ReasoningPart("un")), e.TextDelta(1, "signed"), e.PartEnd(1),
        e.PartStart(2, c.ReasoningPart(proof=proof, redacted=True)), e.PartEnd(2),
        e.PartStart(3, c.TextPart("")), e.TextDelta(3, "a"), e.TextDelta(3, "b"), e.PartEnd(3),
        e.PartStart(4, c.ToolCallPart("1", "f", "{}")), e.PartEnd(4), e.Finished(Finish("tool_calls")), e.Done(Usage()),
    ]  # fmt: skip
    stream = writer.write(told)
    contents = [json.loads(line[6:])["candidates"][0]["content"] for line in stream.split(b"\n\n") if line]
    body = {"contents": [*contents, {"parts": [{"text": "go on"}]}]}
    first, second = DIALECT.read_request(json.dumps(body).encode()).turns
    assert [part for part in first.parts if part != c.TextPart("")] == [
        c.ReasoningPart("hm", proof),
        c.ReasoningPart("unsigned", extras={"gemini": {"_ended": True}}),
        c.ReasoningPart(proof=proof, redacted=True),
        c.TextPart("ab"),
        c.ToolCallPart("1", "f", "{}"),
    ]
    assert second.role == "user"


def test_an_answer_without_parts_has_a_content_without_parts() -> None:
    assert written(whole())["candidates"][0]["content"] == {"role": "model"}
    assert back(whole()).candidates[0].parts == ()


def test_parts_of_another_dialect_are_dropped_and_noticed() -> None:
    result = DIALECT.write_response(
        whole(c.ForeignPart("openai_chat", "annotation", {}), c.TextPart("x")), REPLY
    )
    assert [str(notice) for notice in result.notices] == [
        "content.annotation: dropped (only openai_chat has it)"
    ]


# --- figures -----------------------------------------------------------------------------------------------------


def figures(**told: int) -> Usage:
    body = json.loads(answer({"text": "x"}))
    return DIALECT.read_response(json.dumps(body | {"usageMetadata": told}).encode()).usage


def test_the_figures_are_disjoint_buckets() -> None:
    usage = figures(
        promptTokenCount=100, cachedContentTokenCount=40, candidatesTokenCount=10, thoughtsTokenCount=5,
        toolUsePromptTokenCount=7, totalTokenCount=122,
    )  # fmt: skip
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (67, 40, 15, 5)


def test_thoughts_that_only_the_total_tells_are_output() -> None:
    usage = figures(promptTokenCount=10, candidatesTokenCount=5, totalTokenCount=25)
    assert (usage.output, usage.reasoning) == (15, 10)


def test_hostile_figures_are_no_figures() -> None:
    usage = figures(promptTokenCount=-5, candidatesTokenCount=10**30, cachedContentTokenCount=3)
    assert (usage.input, usage.cache_read, usage.output) == (0, 3, 0)


def test_figures_of_any_provider_add_up_and_come_back() -> None:
    usage = Usage(10, 20, 30, 40, 50, 15, 2)
    told = written(whole(usage=usage))["usageMetadata"]
    assert told["promptTokenCount"] == 100
    assert told["cachedContentTokenCount"] == 20
    assert (told["candidatesTokenCount"], told["thoughtsTokenCount"], told["totalTokenCount"]) == (
        35,
        15,
        150,
    )
    assert back(whole(usage=usage)).usage == usage
    assert "usageMetadata" not in written(whole(usage=Usage(exact=False)))


# --- counts and models -------------------------------------------------------------------------------------------


def test_a_count_is_read_and_written() -> None:
    assert read_count(write_count(12)) == 12
    assert (
        types.CountTokensResponse(totalTokens=12).total_tokens == json.loads(write_count(12))["totalTokens"]
    )
    assert read_count(b"{}") == 0
    for body in (b"", b"[]", b'{"totalTokens":-1}', b'{"totalTokens":"3"}', b'{"totalTokens":true}'):
        with pytest.raises(UpstreamError):
            read_count(body)


def test_models_are_listed_in_googles_shape() -> None:
    entry = model_entry(
        "gemini-3-1-pro",
        display_name="Gemini 3.1 Pro",
        input_token_limit=10,
        output_token_limit=5,
        thinking=True,
    )
    assert entry == {
        "name": "models/gemini-3-1-pro", "version": "gemini-3-1-pro", "displayName": "Gemini 3.1 Pro",
        "inputTokenLimit": 10, "outputTokenLimit": 5, "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }  # fmt: skip
    assert model_list([entry]) == {"models": [entry]}
    assert model_list([], "next") == {"models": [], "nextPageToken": "next"}

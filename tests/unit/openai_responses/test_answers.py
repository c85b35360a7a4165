"""Whole answers: an upstream's read, a client's written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs
from openai.types.responses import Response

from bytespike.core import content as c
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.core.usage import Usage
from bytespike.errors import ContentPolicyViolation, GatewayError, UnsupportedFeature, UpstreamError
from bytespike.protocols.openai_responses import DIALECT
from tests.support.responses_bodies import REPLY, USAGE, answer, asked, output, response_of, shown
from tests.support.sdk_shapes import exactly

OURS = frozenset({"reasoning_tokens", "store", "bytespike"})
OWN = "openai_responses"


def again(*parts: c.Part) -> tuple[c.Part, ...]:
    """The parts of a written answer, read back."""
    body = DIALECT.write_response(answer(*parts), REPLY).body
    return DIALECT.read_response(body).candidates[0].parts


def read(*items: dict[str, Any], **members: Any) -> ChatResponse:
    return DIALECT.read_response(json.dumps(response_of(*items, **members)).encode())


def test_an_answer_is_a_response_by_the_sdks_type() -> None:
    body = shown(answer(c.ReasoningPart("hm"), c.TextPart("hi"), c.ToolCallPart("c1", "f", "{}")))
    made = exactly(Response, body, OURS)
    assert made.output_text == "hi"
    assert (made.id, made.model, made.created_at) == ("resp_01TEST", "the-model", 1_700_000_000)
    assert [item.id for item in made.output] == ["rs_01TEST_0", "msg_01TEST_1", "fc_01TEST_2"]


def test_usage_counts_cached_tokens_and_reasoning_in_and_tells_reasoning_at_the_top() -> None:
    assert shown(answer())["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 17,
        "reasoning_tokens": 4,
    }
    assert structs.replace(read().usage, extras={}) == USAGE


def test_cache_writes_by_lifetime_and_searches_come_back() -> None:
    usage = Usage(input=1, cache_write_5m=2, cache_write_1h=3, output=1, web_searches=4)
    body = shown(answer(usage=usage))
    assert body["usage"]["input_tokens_details"]["cache_write_tokens_details"] == {
        "ttl_30m_tokens": 2,
        "ttl_12h_tokens": 3,
    }
    exactly(Response, body, OURS)
    back = DIALECT.read_response(json.dumps(body).encode()).usage
    assert (back.cache_write_5m, back.cache_write_1h, back.web_searches) == (2, 3, 4)


def test_an_answer_without_figures_has_none() -> None:
    assert shown(answer(usage=Usage(exact=False)))["usage"] is None
    assert not read(usage=None).usage.exact


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 2, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 1}, (2, 5, 1)),
        ({"input_tokens": 5, "output_tokens": 1, "total_tokens": 9}, (5, 0, 4)),
        ({"input_tokens": -5, "output_tokens": "x", "total_tokens": None}, (0, 0, 0)),
        ({"input_tokens": 1e300, "output_tokens": True}, (0, 0, 0)),
    ],
)
def test_odd_figures_never_become_negative_or_absurd(
    usage: dict[str, Any], expected: tuple[int, ...]
) -> None:
    got = read(usage=usage).usage
    assert (got.input, got.cache_read, got.output) == expected


def test_searches_are_those_told_or_those_shown() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}}
    page = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "open_page"}}
    failed = {"type": "web_search_call", "id": "ws", "status": "failed", "action": {"type": "search"}}
    assert read(search, page, failed, search).usage.web_searches == 2
    told = {"web_search": {"num_requests": 7}}
    assert read(search, tool_usage=told).usage.web_searches == 7
    body = json.dumps(response_of(search, page, failed, tool_usage=None)).encode()
    usage = DIALECT.patch_response(body, "x")[1]
    assert usage is not None
    assert usage.web_searches == 1


def test_the_request_is_echoed() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "web_search"}]
    reply = asked(
        instructions="i",
        temperature=0.5,
        tools=tools,
        tool_choice="required",
        metadata={"a": "b"},
        store=False,
    )
    body = shown(answer(), reply)
    exactly(Response, body, OURS)
    assert (body["instructions"], body["temperature"], body["tool_choice"]) == ("i", 0.5, "required")
    assert body["tools"][0] == {"type": "function", "name": "f", "parameters": None, "strict": True}
    assert (body["metadata"], body["store"], body["parallel_tool_calls"]) == ({"a": "b"}, False, True)


def test_a_response_format_is_echoed_as_the_texts_format() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    body = shown(answer(), asked(response_format=schema))
    exactly(Response, body, OURS)
    assert body["text"] == {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
    assert shown(answer(), asked(text={"verbosity": "low"}))["text"] == {
        "verbosity": "low",
        "format": {"type": "text"},
    }


def test_texts_in_a_row_are_one_message_and_come_back_as_they_were() -> None:
    parts = (
        c.TextPart("a"),
        c.TextPart("b"),
        c.RefusalPart("no"),
        c.ToolCallPart("c", "f", "{}"),
        c.TextPart("d"),
    )
    assert [item["type"] for item in output(*parts)] == ["message", "function_call", "message"]
    texts = [part.text for part in again(*parts) if isinstance(part, (c.TextPart, c.RefusalPart))]
    assert texts == ["a", "b", "no", "d"]


# --- reasoning and proofs --------------------------------------------------------------------------------------


def test_thinking_stands_as_text_unless_the_client_asked_for_summaries() -> None:
    part = c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig"))
    (item,) = output(part)
    assert item["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert item["summary"] == []
    (asked_for,) = output(part, reply=asked(reasoning={"summary": "auto"}))
    assert asked_for["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in asked_for
    assert again(part) == (part,)


@pytest.mark.parametrize(
    "part",
    [
        c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),
        c.ReasoningPart("", c.Proof("anthropic_messages", "red"), redacted=True),
        c.ReasoningPart("sum", c.Proof("gemini", "sig"), summary=True, id="x"),
        c.ReasoningPart("plain"),
        c.ToolCallPart("c", "f", "{}", proof=c.Proof("gemini", "sig")),
        c.ServerToolCallPart("s", "web_search", '{"query":"q"}', "anthropic_messages"),
        c.ServerToolCallPart("s", "code_execution", "{}", "anthropic_messages"),
        c.ServerToolResultPart("s", "r", {"a": [1]}, "anthropic_messages", is_error=True),
        c.ForeignPart("anthropic_messages", "container_upload", {"file_id": "f"}),
    ],
)
def test_what_only_another_provider_understands_comes_home(part: c.Part) -> None:
    (back,) = again(part)
    # The item that showed a call is noted on it.
    assert structs.replace(back, extras={}) == part if isinstance(part, c.ToolCallPart) else back == part


def test_openais_own_proof_stays_as_it_is_with_its_id() -> None:
    (item,) = output(c.ReasoningPart("s", c.Proof(OWN, "enc"), summary=True, id="rs_abc"))
    assert (item["id"], item["encrypted_content"]) == ("rs_abc", "enc")


def test_the_proof_of_a_call_stands_before_it() -> None:
    items = output(c.ToolCallPart("c", "f", "{}", proof=c.Proof("gemini", "sig")))
    assert [item["type"] for item in items] == ["reasoning", "function_call"]
    assert items[0]["encrypted_content"].startswith("bytespike.v1.gemini.")
    exactly(Response, shown(answer(c.ToolCallPart("c", "f", "{}", proof=c.Proof("gemini", "sig")))), OURS)


def test_another_providers_search_is_shown_and_its_results_kept() -> None:
    parts = (
        c.ServerToolCallPart("s", "web_search", '{"query":"q"}', "anthropic_messages"),
        c.ServerToolResultPart("s", "web_search_tool_result", [{"url": "u"}], "anthropic_messages"),
    )
    items = output(*parts)
    assert [item["type"] for item in items] == ["reasoning", "web_search_call", "reasoning"]
    assert items[1]["action"] == {"type": "search", "query": "q", "queries": ["q"]}
    exactly(Response, shown(answer(*parts)), OURS)
    assert again(*parts) == parts


def test_reasoning_that_shows_and_proves_nothing_is_no_part() -> None:
    assert read({"type": "reasoning", "id": "rs", "summary": []}).candidates[0].parts == ()


# --- citations, probabilities, images --------------------------------------------------------------------------

CITATIONS = (
    c.Citation("web", "https://a.test", "A", start=1, end=2),
    c.Citation("web", "https://b.test", "B", "quoted", proof="idx"),
    c.Citation("page", title="Doc", cited_text="q", start=1, end=3, document_index=0),
)


def test_citations_of_every_kind_come_back() -> None:
    part = c.TextPart("some text", CITATIONS)
    (item,) = output(part)
    annotations = item["content"][0]["annotations"]
    assert [annotation["type"] for annotation in annotations] == [
        "url_citation",
        "url_citation",
        "file_citation",
    ]
    assert (annotations[1]["start_index"], annotations[1]["end_index"]) == (0, 9)
    exactly(Response, shown(answer(part)), OURS)
    (back,) = again(part)
    assert isinstance(back, c.TextPart)
    assert back.citations == CITATIONS


def test_log_probabilities_belong_to_the_texts_that_they_make_up() -> None:
    other = {"token": "d", "logprob": -3}
    tokens = (
        {"token": "ab", "logprob": -1, "bytes": None},
        {"token": "c", "logprob": -2, "top_logprobs": [other]},
    )
    whole = ChatResponse(
        "", "", (Candidate((c.TextPart("ab"), c.TextPart("c")), Finish("stop"), Logprobs(tokens)),), USAGE
    )
    body = shown(whole)
    exactly(Response, body, OURS)
    first, second = (part["logprobs"] for part in body["output"][0]["content"])
    assert (first[0]["bytes"], first[0]["top_logprobs"]) == ([97, 98], [])
    assert second[0]["top_logprobs"] == [{"token": "d", "logprob": -3, "bytes": [100]}]
    back = DIALECT.read_response(json.dumps(body).encode()).candidates[0].logprobs
    assert back is not None
    assert len(back.content) == 2


def test_an_image_is_one_that_was_generated() -> None:
    part = c.ImagePart(c.Base64Source("image/webp", "UklG"))
    (item,) = output(part)
    assert (item["type"], item["result"], item["output_format"]) == ("image_generation_call", "UklG", "webp")
    (back,) = again(part)
    assert isinstance(back, c.ImagePart)
    assert back.source == part.source


def test_audio_has_no_item() -> None:
    with pytest.raises(UnsupportedFeature, match="audio"):
        output(c.AudioPart(c.Base64Source("audio/wav", "AA"), "wav"))


# --- the client's own tools ------------------------------------------------------------------------------------

NAMESPACE = {
    "type": "namespace",
    "name": "crm",
    "description": "d",
    "tools": [{"type": "function", "name": "find"}, {"type": "custom", "name": "note"}],
}


def test_a_call_of_a_flat_name_is_in_its_namespace_again() -> None:
    (item,) = output(c.ToolCallPart("c", "crm__find", "{}"), reply=asked(tools=[NAMESPACE]))
    assert (item["type"], item["namespace"], item["name"]) == ("function_call", "crm", "find")
    exactly(Response, shown(answer(c.ToolCallPart("c", "crm__find", "{}")), asked(tools=[NAMESPACE])), OURS)


def test_a_free_form_tool_that_had_become_a_function_is_free_form_again() -> None:
    call = c.ToolCallPart("c", "crm__note", '{"input":"*** patch"}')
    (item,) = output(call, reply=asked(tools=[NAMESPACE]))
    assert (item["type"], item["namespace"], item["name"]) == ("custom_tool_call", "crm", "note")
    assert item["input"] == "*** patch"
    assert item["id"].startswith("ctc_")
    odd = c.ToolCallPart("c", "g", '{"input":1}')
    (kept,) = output(odd, reply=asked(tools=[{"type": "custom", "name": "g"}]))
    assert kept["input"] == '{"input":1}'


def test_a_call_without_arguments_has_an_empty_object_and_one_without_an_id_gets_one() -> None:
    (item,) = output(c.ToolCallPart("", "f", ""))
    assert (item["arguments"], item["call_id"]) == ("{}", "call_01TEST_0")


# --- how it ended ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("pause", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("context_window", "incomplete", {"reason": "max_output_tokens", "native_reason": "context_window"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("refusal", "incomplete", {"reason": "content_filter", "native_reason": "refusal"}),
        ("error", "incomplete", {"reason": None, "native_reason": "error"}),
    ],
)
def test_why_it_stopped(finish: str, status: str, details: dict[str, Any] | None) -> None:
    body = shown(answer(c.TextPart("x"), finish=finish))
    assert (body["status"], body["incomplete_details"]) == (status, details)
    assert body["output"][-1]["status"] == status
    back = DIALECT.read_response(json.dumps(body).encode()).candidates[0].finish.reason
    assert back == finish
    assert body.get("native_reason") == ("pause" if finish == "pause" else None)


def test_a_completed_answer_says_by_its_output_why_it_stopped() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    refusal = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "no"}],
    }
    assert read(call).candidates[0].finish == Finish("tool_calls")
    assert read(refusal).candidates[0].finish == Finish("refusal")
    assert shown(answer(c.RefusalPart("no"), finish="refusal"))["status"] == "completed"


def test_other_ends_of_the_wire_come_back() -> None:
    response = read(status="incomplete", incomplete_details={"reason": "steered"})
    assert response.candidates[0].finish == Finish("other", raw="steered")
    assert shown(response)["incomplete_details"] == {"reason": "steered"}


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, UpstreamError),
        ({"status": "failed", "error": None}, UpstreamError),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}, ContentPolicyViolation),
        ({"status": "queued"}, UpstreamError),
        ({"status": "cancelled"}, UpstreamError),
        ({"output": None}, UpstreamError),
        ({"output": [1]}, UpstreamError),
        ({"output": [{"type": "reasoning", "summary": [{"text": 1}]}]}, UpstreamError),
    ],
)
def test_an_answer_that_is_none_is_the_upstreams_error(
    members: dict[str, Any], error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        read(**members)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"output":[' + b"[" * 500 + b"]" * 500 + b"]}"]
)
def test_what_is_no_answer_is_the_upstreams_error(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.read_response(data)


def test_the_upstreams_id_stays_where_it_is_one() -> None:
    assert shown(answer(id="resp_abc"))["id"] == "resp_abc"
    assert shown(answer(id="chatcmpl-1"))["id"] == "resp_01TEST"

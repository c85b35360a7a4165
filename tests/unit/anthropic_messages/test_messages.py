"""Whole answers and their figures, the dialect's facts, and the few fields that passthrough reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.dialect import Peek, Target
from bytespike.core.finish import Finish
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.core.usage import Usage
from bytespike.errors import InvalidRequest, UnsupportedFeature, UpstreamError
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.fields import WireError
from bytespike.protocols.anthropic_messages.usage import read_usage, write_usage
from tests.support.anthropic_sdk import valid_message
from tests.support.anthropic_targets import REPLY, ask

OWN = "anthropic_messages"


def answer(*parts: c.Part, **members: Any) -> ChatResponse:
    candidates = members.pop("candidates", (Candidate(parts, Finish("stop")),))
    return ChatResponse("chatcmpl-1", "gpt-x", candidates, **members)


# --- answers -------------------------------------------------------------------------------------------------------


def test_a_foreign_answer_as_a_message() -> None:
    usage = Usage(input=7, cache_read=3, cache_write_5m=2, output=9, reasoning=4, web_searches=1)
    result = DIALECT.write_response(
        answer(
            c.ReasoningPart("hm", c.Proof("openai_responses", "X")),
            c.TextPart("a", (c.Citation("web", "u", "t"),)),
            c.ToolCallPart("call:1", "f", '{"a": 1'),
            usage=usage,
        ),
        REPLY,
    )
    body = valid_message(result.body)
    sealed = body["content"][0].pop("signature")
    index = body["content"][1]["citations"][0].pop("encrypted_index")
    assert sealed.startswith("bytespike.v1.openai_responses.")
    assert index.startswith("bytespike.v1.none.")
    assert body == {
        "id": "msg_01TEST",
        "type": "message",
        "role": "assistant",
        "model": "the-model",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {
                "type": "text",
                "text": "a",
                "citations": [
                    {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": ""}
                ],
            },
            {
                "type": "tool_use",
                "id": "call_1_0af6315558b41599",
                "name": "f",
                "input": {"invalid_arguments": '{"a": 1'},
            },
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        },
    }
    assert result.notices == ()


def test_what_a_message_cannot_hold_is_noticed() -> None:
    first = Candidate(
        (c.ServerToolResultPart("w", "x", None, "openai_responses"), c.RefusalPart("no")),
        Finish("stop"),
        Logprobs(),
    )
    result = DIALECT.write_response(answer(candidates=(first, first)), REPLY)
    assert valid_message(result.body)["content"] == [{"type": "text", "text": "no"}]
    assert json.loads(result.body)["stop_reason"] == "refusal"
    assert [notice.feature for notice in result.notices] == ["candidates", "logprobs", "server tool use"]


def test_an_answer_of_media_is_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="image"):
        DIALECT.write_response(answer(c.ImagePart(c.UrlSource("u"))), REPLY)


BAD_ANSWERS = {
    "no JSON": b"{",
    "no object": b"[]",
    "an error with a status of 200": b'{"type":"error","error":{"type":"api_error","message":"x"}}',
    "no content": b'{"type":"message"}',
    "content of a wrong type": b'{"content":"x"}',
    "a bad block": b'{"content":[{"type":"text"}]}',
    "bad figures": b'{"content":[],"usage":{"input_tokens":-1}}',
    "deep": b'{"content":[],"x":' + b"[" * 500 + b"]" * 500 + b"}",
}


@pytest.mark.parametrize("body", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_malformed_answer_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.read_response(body)


# --- figures -------------------------------------------------------------------------------------------------------

TOTALS = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 4,
    "output_tokens": 3,
}
ENTRY = TOTALS | {"input_tokens": 100, "output_tokens": 50, "type": "compaction"}


def test_compaction_is_billed_though_the_totals_leave_it_out() -> None:
    raw = TOTALS | {"iterations": [ENTRY, ENTRY | {"type": "message"}]}
    usage = read_usage(raw)
    assert (usage.input, usage.cache_write_5m, usage.cache_read, usage.output) == (110, 10, 8, 53)
    assert write_usage(usage) == raw | {
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0}
    }


def test_an_advisors_tokens_are_another_models() -> None:
    entry = ENTRY | {"type": "advisor_message", "model": "claude-opus-4-8"}
    usage = read_usage(TOTALS | {"iterations": [entry]})
    assert (usage.input, usage.output) == (10, 3)
    assert usage.extras == {OWN: {"iterations": [entry]}}


def test_cache_writes_are_split_by_ttl() -> None:
    split = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}
    usage = read_usage({"cache_creation_input_tokens": 5, "cache_creation": split})
    assert (usage.cache_write_5m, usage.cache_write_1h) == (2, 3)
    assert read_usage({"cache_creation": split}) == usage
    unsaid = read_usage({"cache_creation_input_tokens": 5})
    assert (unsaid.cache_write_5m, unsaid.cache_write_1h) == (5, 0)


@pytest.mark.parametrize("wrong", [-1, "5", True, 1.5, 10**13, []])
def test_figures_that_are_no_counts_are_refused(wrong: Any) -> None:
    with pytest.raises(WireError):
        read_usage({"input_tokens": wrong})


# --- passthrough ---------------------------------------------------------------------------------------------------


def test_peek_reads_what_routing_needs() -> None:
    body = ask(
        model="claude-x",
        stream=True,
        max_tokens=5,
        metadata={"user_id": "u"},
        tools=[{"name": "f"}, {"type": None}, {"type": "web_search_20260318", "name": "web_search"}],
    )
    assert DIALECT.peek(json.dumps(body).encode()) == Peek("claude-x", True, 5, end_user="u", web_search=True)
    assert DIALECT.peek(b'{"model":"m","stream":null,"tools":null}') == Peek("m", False)


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (b"{}", "model", "model: Field required"),
        (b'{"model":5}', "model", "model: Expected str, got int"),
        (b'{"model":"m","tools":[{"type":5}]}', "tools.0.type", "tools.0.type: "),
        (b'{"model":"m","metadata":[]}', "metadata", "metadata: "),
        (b'{"model":"m","max_tokens":-1}', "max_tokens", "max_tokens: "),
        (b'{"model":"m","max_tokens":"5"}', "max_tokens", "max_tokens: "),
        (b'{"model":"m"', None, "the body is not a JSON object"),
        (b"[]", None, "Expected object"),
        (b"\xff", None, "the body is not a JSON object"),
        (b'{"model":"\xff"}', None, "the body is not a JSON object"),
        (b'{"x":' + b"[" * 100_000, None, "it nests too deeply"),
    ],
)
def test_peek_refuses_what_it_cannot_read(body: bytes, param: str | None, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.peek(body)
    assert caught.value.param == param
    assert message in caught.value.message


def test_a_patched_request_differs_only_in_the_models_name() -> None:
    body = b'{ "messages":[{"model":"claude-x"}],"model" : "claude-x","x":1.0,"x":2}'
    seen = DIALECT.peek(body)
    assert DIALECT.patch_request(body, seen, Target("claude-x")) is body
    patched = DIALECT.patch_request(body, seen, Target('new "one"'))
    assert patched == body.replace(b' : "claude-x"', b' : "new \\"one\\""')


def test_a_patched_answer_differs_only_in_the_models_name() -> None:
    body = b'{"usage":{"input_tokens":1,"iterations":[{"model":"claude-x"}]}, "model":"claude-x"}'
    patched, usage = DIALECT.patch_response(body, "mine")
    assert patched == body.replace(b', "model":"claude-x"', b', "model":"mine"')
    assert usage is not None
    assert usage.input == 1
    assert DIALECT.patch_response(b'{"model":"m","usage":null}', "m") == (b'{"model":"m","usage":null}', None)
    assert DIALECT.patch_response(b"{}", "m") == (b"{}", None)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"model":5}', b'{"usage":[]}', b'{"usage":{"input_tokens":"x"}}']
)
def test_an_answer_that_cannot_be_tapped_is_the_upstreams_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.patch_response(body, "m")


def test_the_version_and_the_flags_are_passed_on_and_nothing_else() -> None:
    assert DIALECT.name == OWN
    assert DIALECT.request_headers == {"anthropic-version", "anthropic-beta"}
    assert DIALECT.response_headers == frozenset()

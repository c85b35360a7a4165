"""Whole answers of upstreams: every spelling that vendors use, in the hub's terms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.finish import Finish
from bytespike.core.response import ChatResponse, Logprobs
from bytespike.errors import NoAvailableChannel, UpstreamError
from bytespike.protocols.openai_chat import DIALECT

NAME = "openai_chat"


def answer(message: dict[str, Any], **members: Any) -> ChatResponse:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [choice],
        **members,
    }
    return DIALECT.read_response(json.dumps(body).encode())


def own(**members: Any) -> dict[str, Any]:
    return {NAME: members}


CALL_ID = "call_" + "a" * 20

MESSAGES: dict[str, tuple[dict[str, Any], tuple[c.Part, ...]]] = {
    "text": ({"content": "hi", "refusal": None, "annotations": []}, (c.TextPart("hi"),)),
    "nothing": ({"content": ""}, ()),
    "a refusal": ({"content": None, "refusal": "no"}, (c.RefusalPart("no"),)),
    "reasoning_content (DeepSeek)": (
        {"reasoning_content": "hm", "content": "x"},
        (c.ReasoningPart("hm"), c.TextPart("x")),
    ),
    "reasoning (Groq)": ({"reasoning": "hm", "content": "x"}, (c.ReasoningPart("hm"), c.TextPart("x"))),
    "reasoning in two spellings": (
        {"reasoning_content": "hm", "reasoning": "hm", "content": "x"},
        (c.ReasoningPart("hm"), c.TextPart("x")),
    ),
    "signed reasoning, told twice (OpenRouter)": (
        {
            "reasoning": "hm",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "hm",
                    "signature": "sig",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                }
            ],
            "content": "x",
        },
        (c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")), c.TextPart("x")),
    ),
    "redacted reasoning": (
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "zz", "format": "anthropic-claude-v1"}
            ]
        },
        (c.ReasoningPart(proof=c.Proof("anthropic_messages", "zz"), redacted=True),),
    ),
    "a summary and its proof are one piece": (
        {
            "reasoning": "sum",
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "sum", "format": "openai-responses-v1", "index": 0},
                {
                    "type": "reasoning.encrypted",
                    "data": "enc",
                    "id": "rs_1",
                    "format": "openai-responses-v1",
                    "index": 1,
                },
            ],
        },
        (c.ReasoningPart("sum", c.Proof("openai_responses", "enc"), summary=True, id="rs_1"),),
    ),
    "a proof beside plain text": (
        {
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "enc", "format": "xai-responses-v1"}
            ],
        },
        (c.ReasoningPart("hm"), c.ReasoningPart(proof=c.Proof("xai-responses-v1", "enc"))),
    ),
    "a signature beside plain text": (
        {
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.text", "signature": "s", "format": "google-gemini-v1"}],
        },
        (c.ReasoningPart("hm", c.Proof("gemini", "s")),),
    ),
    "a detail of an unknown type": (
        {"reasoning_details": [{"type": "reasoning.image", "data": "x"}], "content": "x"},
        (c.ForeignPart(NAME, "reasoning_detail", {"type": "reasoning.image", "data": "x"}), c.TextPart("x")),
    ),
    "thinking among the content (Mistral)": (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "x"},
            ]
        },
        (
            c.ReasoningPart(
                "hm", extras=own(_part={"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]})
            ),
            c.TextPart("x"),
        ),
    ),
    "calls": (
        {
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "raw"}},
            ],
        },
        (c.ToolCallPart("a", "f", '{"x": 1}'), c.ToolCallPart("b", "g", "raw", "custom")),
    ),
    "a call without type, with its index (Mistral)": (
        {
            "content": "",
            "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}, "index": 0}],
        },
        (c.ToolCallPart("a", "f", "{}", extras=own(_index=0)),),
    ),
    "arguments as an object": (
        {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
        (c.ToolCallPart("a", "f", '{"x":1}'),),
    ),
    "a signed call (Gemini)": (
        {
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "s"}},
                }
            ]
        },
        (c.ToolCallPart("a", "f", "{}", proof=c.Proof("gemini", "s")),),
    ),
    "a signed message (Gemini)": (
        {"content": "x", "extra_content": {"google": {"thought_signature": "s"}}, "thought_signature": "s"},
        (c.ReasoningPart(proof=c.Proof("gemini", "s")), c.TextPart("x")),
    ),
    "a citation (OpenAI)": (
        {
            "content": "see here",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "https://a.test", "title": "A", "start_index": 4, "end_index": 8},
                }
            ],
        },
        (c.TextPart("see here", (c.Citation("web", "https://a.test", "A", start=4, end=8),)),),
    ),
    "a flat citation": (
        {
            "content": "see",
            "annotations": [
                {
                    "type": "url_citation",
                    "url": "https://a.test",
                    "title": "",
                    "start_index": 0,
                    "end_index": 3,
                }
            ],
        },
        (c.TextPart("see", (c.Citation("web", "https://a.test", None, start=0, end=3),)),),
    ),
    "an annotation that is no citation (OpenRouter)": (
        {"content": "x", "annotations": [{"type": "file", "file": {"hash": "h"}}]},
        (c.TextPart("x"), c.ForeignPart(NAME, "annotation", {"type": "file", "file": {"hash": "h"}})),
    ),
    "an image (OpenRouter)": (
        {
            "content": "x",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}],
        },
        (c.TextPart("x"), c.ImagePart(c.Base64Source("image/png", "iVBO"))),
    ),
    "audio": (
        {"content": None, "audio": {"id": "audio_1", "data": "AAAA", "expires_at": 9, "transcript": "hi"}},
        (
            c.AudioPart(
                c.Base64Source("", "AAAA"), "", extras=own(id="audio_1", expires_at=9, transcript="hi")
            ),
        ),
    ),
    "provider-side tools (Groq)": (
        {
            "content": "x",
            "executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "found"}],
        },
        (
            c.ServerToolCallPart(f"{CALL_ID}_tool_0", "web_search", "{}", "groq"),
            c.ServerToolResultPart(f"{CALL_ID}_tool_0", "executed_tool", {"output": "found"}, "groq"),
            c.TextPart("x"),
        ),
    ),
}


@pytest.mark.parametrize("row", MESSAGES)
def test_a_message_becomes(row: str) -> None:
    message, parts = MESSAGES[row]
    got = answer(message).candidates[0].parts
    assert tuple(_known_id(part) for part in got) == parts


def _known_id(part: c.Part) -> c.Part:
    """Made-up ids depend on a hash."""
    if isinstance(part, c.ServerToolCallPart):
        return c.ServerToolCallPart(f"{CALL_ID}_{part.id[26:]}", part.name, part.arguments, part.origin)
    if isinstance(part, c.ServerToolResultPart):
        return c.ServerToolResultPart(f"{CALL_ID}_{part.call_id[26:]}", part.kind, part.content, part.origin)
    return part


FINISHES: dict[str, tuple[dict[str, Any], Finish]] = {
    "stop": ({"finish_reason": "stop"}, Finish("stop")),
    "length": ({"finish_reason": "length"}, Finish("length")),
    "tool_calls": ({"finish_reason": "tool_calls"}, Finish("tool_calls")),
    "content_filter": ({"finish_reason": "content_filter"}, Finish("content_filter")),
    "function_call": ({"finish_reason": "function_call"}, Finish("tool_calls", raw="function_call")),
    "none": ({"finish_reason": None}, Finish("other")),
    "sensitive (Zhipu)": ({"finish_reason": "sensitive"}, Finish("content_filter", raw="sensitive")),
    "network_error (Zhipu)": ({"finish_reason": "network_error"}, Finish("error", raw="network_error")),
    "window full (Zhipu)": (
        {"finish_reason": "model_context_window_exceeded"},
        Finish("context_window", raw="model_context_window_exceeded"),
    ),
    "no resources (DeepSeek)": (
        {"finish_reason": "insufficient_system_resource"},
        Finish("error", raw="insufficient_system_resource"),
    ),
    "window full (Mistral)": (
        {"finish_reason": "model_length"},
        Finish("context_window", raw="model_length"),
    ),
    "eos": ({"finish_reason": "eos"}, Finish("stop", raw="eos")),
    "filtered (Gemini)": (
        {"finish_reason": "content_filter: RECITATION"},
        Finish("content_filter", raw="content_filter: RECITATION"),
    ),
    "a malformed call (Gemini)": (
        {"finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"},
        Finish("error", raw="function_call_filter: MALFORMED_FUNCTION_CALL"),
    ),
    "unknown": ({"finish_reason": "bored"}, Finish("other", raw="bored")),
    "a native reason that says no more (OpenRouter)": (
        {"finish_reason": "stop", "native_finish_reason": "end_turn"},
        Finish("stop", raw="end_turn"),
    ),
    "a native reason that says more": (
        {"finish_reason": "content_filter", "native_finish_reason": "refusal"},
        Finish("refusal"),
    ),
    "a stop sequence (vLLM)": (
        {"finish_reason": "stop", "stop_reason": "END"},
        Finish("stop_sequence", sequence="END"),
    ),
    "a stop token (vLLM)": ({"finish_reason": "stop", "stop_reason": 128009}, Finish("stop")),
}


@pytest.mark.parametrize("row", FINISHES)
def test_a_finish_becomes(row: str) -> None:
    members, finish = FINISHES[row]
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, **members}
    got = DIALECT.read_response(json.dumps({"choices": [choice]}).encode()).candidates[0].finish
    assert got == finish


def test_calls_without_an_id_get_one_that_differs_between_answers_and_calls() -> None:
    calls = [{"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}}] * 2
    first = answer({"tool_calls": calls}, id="one").candidates[0].parts
    again = answer({"tool_calls": calls}, id="one").candidates[0].parts
    other = answer({"tool_calls": calls}, id="two").candidates[0].parts
    ids = [part.id for part in (*first, *other) if isinstance(part, c.ToolCallPart)]
    assert len(set(ids)) == 4
    assert first == again
    assert all(len(call_id) <= 40 for call_id in ids)


def test_several_choices_logprobs_and_what_is_unknown() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    body = {
        "id": "x",
        "created": 1.5,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a"},
                "finish_reason": "stop",
                "logprobs": {"content": [token], "refusal": None},
                "content_filter_results": {},
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "b"},
                "finish_reason": "length",
                "logprobs": None,
            },
        ],
    }
    response = DIALECT.read_response(json.dumps(body).encode())
    assert [candidate.parts for candidate in response.candidates] == [(c.TextPart("a"),), (c.TextPart("b"),)]
    assert response.candidates[0].logprobs == Logprobs((token,))
    assert response.candidates[1].logprobs is None
    assert response.candidates[0].finish.extras == own(content_filter_results={})
    assert response.created == 1
    assert response.extras == own(system_fingerprint="fp")
    assert response.usage.exact is False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"tool_calls": [{}]}}]}',
        b'{"choices": {"0": 1}}',
        b'{"id": 5, "choices": [{"message": {}}]}',
        b'{"error": {"message": "boom", "code": 500}}',
        b'{"error": {"message": "boom", "code": 500}, "choices": [{"message": {"content": "x"}}]}',
        b'{"choices": [{"error": {"message": "boom"}, "message": {"content": "x"}}]}',
        b'{"choices": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"choices": [{"message": {"x":' + b"[" * 200 + b"]" * 200 + b"}}]}",
    ],
)
def test_what_is_no_answer_is_an_upstream_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.read_response(body)


def test_an_account_error_inside_a_200_does_not_reach_the_client() -> None:
    with pytest.raises(NoAvailableChannel) as raised:
        DIALECT.read_response(b'{"error": {"message": "key sk-secret is out of credit", "code": 402}}')
    assert "sk-secret" not in raised.value.message


def test_too_many_choices_are_refused() -> None:
    choice = {"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    with pytest.raises(UpstreamError, match="128"):
        DIALECT.read_response(json.dumps({"choices": [choice] * 129}).encode())

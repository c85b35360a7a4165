"""The bytes on the wire: shapes against the SDKs' types, event sequences, determinism."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from anthropic.types import ErrorResponse, Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject

from bytespike.providers.simulator.server import Simulator
from tests.support.sdk_shapes import exactly
from tests.support.simulator_http import Post, poster

FUNCTION = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLAUDE_TOOL = {"name": "lookup", "input_schema": FUNCTION}
GPT_TOOL = {"type": "function", "function": {"name": "lookup", "parameters": FUNCTION}}
SEARCH_TOOL = {"type": "web_search_20250305", "name": "web_search"}
SAYINGS = [
    "Hello",
    "grüße 🦊 \\n \"quotes\" \u2028 <b>",
    "lookup",
    "in parallel, lookup [[sim: text=Let me see.]]",
    "[[sim: refusal]]",
    "[[sim: thinking=hm redacted]]",
    "[[sim: web_search]]",
    "[[sim: tokens=100 piece=7]]",
    "[[sim: text=]]",
    "[[sim: stop_reason=pause_turn]]",
]  # fmt: skip


def asked(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


# --- Anthropic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", SAYINGS)
def test_a_message_has_the_sdks_shape(messages: Post, text: str) -> None:
    answer = messages(messages=asked(text), tools=[CLAUDE_TOOL, SEARCH_TOOL], thinking={"type": "adaptive"})
    exactly(Message, answer.json)


@pytest.mark.parametrize("text", SAYINGS)
def test_a_streams_events_have_the_sdks_shape_and_fold_to_the_message(messages: Post, text: str) -> None:
    fields: dict[str, Any] = {
        "messages": asked(text),
        "tools": [CLAUDE_TOOL, SEARCH_TOOL],
        "thinking": {"type": "adaptive"},
    }
    events = messages(**fields, stream=True).events
    assert all(event["type"] == name for name, event in events)
    for name, event in events:
        if name != "ping":
            exactly(RawMessageStreamEvent, event)
    assert folded(events) == messages(**fields).json


def folded(events: list[tuple[str, Any]]) -> Any:
    """A stream, put together without the SDK."""
    message: Any = None
    raw: dict[int, str] = {}
    for name, event in events:
        match name:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
                assert event["index"] == len(message["content"]) - 1
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "citations_delta":
                        block["citations"].append(delta["citation"])
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        raw[event["index"]] = raw.get(event["index"], "") + delta["partial_json"]
            case "content_block_stop":
                if raw.get(event["index"]):
                    message["content"][event["index"]]["input"] = json.loads(raw[event["index"]])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def test_the_sequence_of_anthropics_events(messages: Post) -> None:
    events = messages(
        messages=asked("lookup [[sim: piece=1000]]"),
        tools=[CLAUDE_TOOL],
        thinking={"type": "adaptive"},
        stream=True,
    ).events
    kinds = [
        name + (f" {event['delta']['type']}" if name == "content_block_delta" else "")
        for name, event in events
    ]
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta thinking_delta",
        "content_block_delta signature_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta input_json_delta",
        "content_block_delta input_json_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    opening = events[0][1]["message"]
    assert (opening["content"], opening["stop_reason"], opening["usage"]["output_tokens"]) == ([], None, 1)


def test_a_tool_without_arguments_streams_one_empty_delta(messages: Post) -> None:
    tool = {"name": "now", "input_schema": {"type": "object"}}
    events = messages(messages=asked("now"), tools=[tool], stream=True).events
    deltas = [event["delta"] for name, event in events if name == "content_block_delta"]
    assert deltas == [{"type": "input_json_delta", "partial_json": ""}]


def test_errors_models_and_counts_have_the_sdks_shape(call: Post, messages: Post) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    exactly(ErrorResponse, messages(max_tokens=...).json)
    exactly(ErrorResponse, messages(messages=asked("[[sim: error=529]]")).json)
    for model in call("/v1/models", headers=headers, method="GET").json["data"]:
        exactly(ModelInfo, model)
    body = {"model": "m", "messages": asked("Hello")}
    exactly(MessageTokensCount, call("/v1/messages/count_tokens", body, headers).json)


# --- OpenAI ----------------------------------------------------------------------------------------------------

#: Sent by the API, and not in the SDK's types of a delta.
STREAMED_BESIDES = frozenset({"annotations"})


@pytest.mark.parametrize("text", SAYINGS[:-1])
@pytest.mark.parametrize("n", [1, 2])
def test_a_completion_has_the_sdks_shape(completions: Post, text: str, n: int) -> None:
    answer = completions(messages=asked(text), tools=[GPT_TOOL], n=n, logprobs=True, top_logprobs=1)
    exactly(ChatCompletion, answer.json)


@pytest.mark.parametrize("text", SAYINGS[:-1])
@pytest.mark.parametrize("n", [1, 2])
def test_a_streams_chunks_have_the_sdks_shape_and_fold_to_the_completion(
    completions: Post, text: str, n: int
) -> None:
    fields: dict[str, Any] = {"messages": asked(text), "tools": [GPT_TOOL], "n": n, "reasoning_effort": "low"}
    events = completions(**fields, stream=True, stream_options={"include_usage": True}).events
    assert events[-1] == ("", "[DONE]")
    for _, chunk in events[:-1]:
        exactly(ChatCompletionChunk, chunk, STREAMED_BESIDES)
    unary = completions(**fields).json
    assert events[-2][1]["usage"] == unary["usage"]
    for at, choice in enumerate(unary["choices"]):
        deltas = [c["delta"] for _, chunk in events[:-1] for c in chunk["choices"] if c["index"] == at]
        message = choice["message"]
        assert deltas[0]["role"] == "assistant"
        assert "".join(delta.get("content") or "" for delta in deltas) == (message["content"] or "")
        assert "".join(delta.get("refusal") or "" for delta in deltas) == (message["refusal"] or "")
        assert [a for delta in deltas for a in delta.get("annotations", [])] == message["annotations"]
        calls: list[Any] = []
        for delta in deltas:
            for part in delta.get("tool_calls", []):
                if part["index"] == len(calls):
                    calls.append({name: value for name, value in part.items() if name != "index"})
                else:
                    calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
        assert calls == message.get("tool_calls", [])


def test_the_sequence_of_openais_chunks(completions: Post) -> None:
    events = completions(
        messages=asked("[[sim: piece=4 text=12345678]]"), stream=True, stream_options={"include_usage": True}
    ).events
    choices = [chunk["choices"] for _, chunk in events[:-1]]
    assert [(c[0]["delta"], c[0]["finish_reason"]) if c else None for c in choices] == [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"content": "1234"}, None),
        ({"content": "5678"}, None),
        ({}, "stop"),
        None,
    ]
    assert [chunk["usage"] is None for _, chunk in events[:-1]] == [True, True, True, True, False]
    assert len({chunk["id"] for _, chunk in events[:-1]}) == 1


def test_chunks_are_padded_unless_told_otherwise(completions: Post) -> None:
    padded = completions(stream=True).events
    plain = completions(stream=True, stream_options={"include_obfuscation": False}).events
    assert all("obfuscation" in chunk for _, chunk in padded[:-1])
    assert not any("obfuscation" in chunk for _, chunk in plain[:-1])


def test_openais_errors_and_models_have_the_sdks_shape(call: Post, completions: Post) -> None:
    for answer in (completions(messages=...), completions(messages=asked("[[sim: error=500]]"))):
        assert answer.json.keys() == {"error"}
        exactly(ErrorObject, answer.json["error"])
    listed = call("/v1/models", headers={"authorization": "Bearer k"}, method="GET").json
    assert listed["object"] == "list"
    for model in listed["data"]:
        exactly(Model, model)


# --- both ------------------------------------------------------------------------------------------------------


def test_plain_models_answers_in_the_dialect_of_its_caller(call: Post) -> None:
    claude = call("/v1/models", headers={"x-api-key": "k", "anthropic-version": "2023-06-01"}, method="GET")
    assert "has_more" in claude.json
    gpt = call("/v1/models", headers={"authorization": "Bearer k"}, method="GET")
    assert "object" in gpt.json
    assert call("/anthropic/v1/models", headers={"x-api-key": "k"}, method="GET").status == 400


@pytest.mark.parametrize("stream", [False, True])
def test_same_seed_and_request_same_bytes_and_another_seed_other_ids(
    messages: Post, completions: Post, stream: bool
) -> None:
    fields: dict[str, Any] = {"messages": asked("lookup, and think"), "stream": stream}
    assert messages(**fields).body == messages(**fields).body
    assert completions(**fields).body == completions(**fields).body
    assert messages(**fields).headers["request-id"] != messages(**fields).headers["request-id"]
    with Simulator(seed=8) as other:
        body = {"model": "m", **fields}
        theirs = poster(other.base_url)("/v1/chat/completions", body, {"authorization": "Bearer any"})
    assert theirs.body != completions(**fields).body


def test_different_requests_have_different_ids(completions: Post) -> None:
    ids = {completions(messages=asked(f"Question {n}")).json["id"] for n in range(20)}
    assert len(ids) == 20


def test_headers_say_what_the_vendors_say(messages: Post, completions: Post) -> None:
    assert messages().headers["content-type"] == "application/json"
    assert messages(stream=True).headers["content-type"] == "text/event-stream; charset=utf-8"
    assert messages(stream=True).headers["transfer-encoding"] == "chunked"
    assert completions().headers["x-request-id"].startswith("req_sim")
    assert completions().headers["server"] == "bytespike-simulator"


def test_requests_at_once_have_ids_of_their_own() -> None:
    async def main() -> list[str]:
        body = {"model": "m", "messages": asked("[[sim: delay=0.05]]")}
        async with Simulator() as sim:
            post = poster(sim.base_url)
            answers = await asyncio.gather(
                *(
                    asyncio.to_thread(post, "/v1/chat/completions", body, {"authorization": "Bearer k"})
                    for _ in range(8)
                )
            )
            return [answer.headers["x-request-id"] for answer in answers]

    assert len(set(asyncio.run(main()))) == 8

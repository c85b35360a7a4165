"""The bytes on the wire of Responses and Gemini: shapes against the SDKs' types, sequences, determinism."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types as t
from openai.types.responses import Response, ResponseStreamEvent

from bytespike.providers.simulator.server import Simulator
from tests.support.sdk_shapes import exactly
from tests.support.simulator_http import Post, poster

FUNCTION = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TOOLS: list[Any] = [
    {"type": "function", "name": "lookup", "parameters": FUNCTION, "strict": False},
    {"type": "custom", "name": "shell"},
    {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "inner"}]},
    {"type": "web_search"},
]
DECLARED = [
    {"functionDeclarations": [{"name": "lookup", "parametersJsonSchema": FUNCTION}]},
    {"googleSearch": {}},
]
SAYINGS = [
    "Hello",
    "grüße 🦊 \\n \"quotes\" \u2028 <b>",
    "lookup",
    "in parallel, lookup [[sim: text=Let me see.]]",
    "shell and inner in parallel",
    "[[sim: refusal]]",
    "[[sim: refusal=no]]",
    "[[sim: thinking=hm redacted]]",
    "[[sim: web_search]]",
    "[[sim: tokens=100 piece=7]]",
    "[[sim: text=]]",
    "[[sim: tool=lookup args=no_json]]",
]  # fmt: skip
#: What the API sends and the SDK's types do not know (recorded).
ON_THE_WIRE = frozenset({"frequency_penalty", "presence_penalty", "store", "obfuscation", "status", "bytes"})


# --- Responses -------------------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "tools": TOOLS,
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "top_logprobs": 2,
}


@pytest.mark.parametrize("text", SAYINGS)
def test_a_response_has_the_sdks_shape(responses: Post, text: str) -> None:
    exactly(Response, responses(input=text, **SETTINGS).json, ON_THE_WIRE)


@pytest.mark.parametrize("text", SAYINGS)
def test_a_streams_events_have_the_sdks_shape_and_fold_to_the_response(responses: Post, text: str) -> None:
    events = [event for _, event in responses(input=text, stream=True, **SETTINGS).events]
    for event in events:
        # A search begins without its action (recorded), which the SDK's type requires.
        if event.get("item", {}).get("type") != "web_search_call":
            exactly(ResponseStreamEvent, event, ON_THE_WIRE)
    unary = responses(input=text, **SETTINGS).json
    assert folded(events) == unary["output"]
    assert {**events[-1]["response"], "id": ""} == {**unary, "id": ""}


def folded(events: list[dict[str, Any]]) -> list[Any]:
    """The items of a stream, put together from their deltas, without the SDK."""
    items: list[Any] = []
    for event in events:
        kind = event["type"].removeprefix("response.")
        item = (
            items[event["output_index"]] if "output_index" in event and kind != "output_item.added" else None
        )
        match kind:
            case "output_item.added":
                items.append(event["item"])
            case "content_part.added":
                item["content"].append(event["part"])
            case "reasoning_summary_part.added":
                item["summary"].append(event["part"])
            case "output_text.delta":
                part = item["content"][event["content_index"]]
                part["text"] += event["delta"]
                part["logprobs"] += event["logprobs"]
            case "output_text.annotation.added":
                item["content"][event["content_index"]]["annotations"].append(event["annotation"])
            case "refusal.delta":
                item["content"][event["content_index"]]["refusal"] += event["delta"]
            case "reasoning_summary_text.delta":
                item["summary"][event["summary_index"]]["text"] += event["delta"]
            case "function_call_arguments.delta":
                item["arguments"] += event["delta"]
            case "custom_tool_call_input.delta":
                item["input"] += event["delta"]
            case "output_item.done":
                if item["type"] == "web_search_call":
                    item |= {"action": event["item"]["action"]}
                if "status" in item:
                    item["status"] = event["item"]["status"]
            case _:
                pass
    return items


def test_the_sequence_of_a_responses_events(responses: Post) -> None:
    asked = "lookup [[sim: piece=1000 text=First.]]"
    events = responses(input=asked, stream=True, tools=TOOLS, reasoning={"summary": "auto"}).events
    assert [name.removeprefix("response.") for name, _ in events] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip


# --- Gemini ----------------------------------------------------------------------------------------------------

THINKING = {
    "generationConfig": {"thinkingConfig": {"includeThoughts": True}, "responseLogprobs": True, "logprobs": 2}
}


def said(text: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "tools": DECLARED, **THINKING}


@pytest.mark.parametrize("text", SAYINGS)
def test_googles_response_has_the_sdks_shape(contents: Post, text: str) -> None:
    exactly(t.GenerateContentResponse, contents(**said(text)).json)


@pytest.mark.parametrize("text", SAYINGS)
def test_googles_chunks_have_the_sdks_shape_and_add_up_to_the_response(contents: Post, text: str) -> None:
    chunks = contents(action="streamGenerateContent", **said(text)).json
    for chunk in chunks:
        exactly(t.GenerateContentResponse, chunk)
    unary = contents(**said(text)).json
    last = chunks[-1]
    if "candidates" not in unary:
        assert last == unary
        return
    merged: list[dict[str, Any]] = []
    for chunk in chunks:
        for part in chunk["candidates"][0]["content"].get("parts", ()):
            same = (
                merged
                and "text" in part
                and "text" in merged[-1]
                and part.get("thought") == merged[-1].get("thought")
            )
            if same:
                merged[-1] = {**merged[-1], **part, "text": merged[-1]["text"] + part["text"]}
            else:
                merged.append(part)
    (candidate,) = unary["candidates"]
    assert merged == candidate["content"].get("parts", [])
    assert {**last["candidates"][0], "content": 0} == {**candidate, "content": 0}
    assert {**last, "candidates": 0} == {**unary, "candidates": 0}


# --- determinism -----------------------------------------------------------------------------------------------


def test_the_same_seed_and_request_give_the_same_bytes_and_another_seed_others() -> None:
    def bodies(seed: int) -> list[bytes]:
        with Simulator(seed=seed) as sim:
            post = poster(sim.base_url)
            asked = {"model": "m", "input": "Hello", **SETTINGS}
            return [
                post("/v1/responses", asked, {"authorization": "Bearer k"}).body,
                post("/v1/responses", {**asked, "stream": True}, {"authorization": "Bearer k"}).body,
                post("/v1beta/models/m:generateContent", said("Hello"), {"x-goog-api-key": "k"}).body,
                post("/v1beta/models/m:streamGenerateContent", said("Hello"), {"x-goog-api-key": "k"}).body,
            ]

    first = bodies(1)
    assert bodies(1) == first
    assert all(left != right for left, right in zip(bodies(2), first, strict=True))


def test_another_keys_response_is_another(call: Post) -> None:
    asked = {"model": "m", "input": "Hello"}
    names = {
        json.loads(call("/v1/responses", asked, {"authorization": f"Bearer {key}"}).body)["id"]
        for key in "ab"
    }
    assert len(names) == 2

"""What the simulator refuses on /v1/chat/completions, and in which words; and what it must not refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulator_http import Post

TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
HELLO = {"role": "user", "content": "Hello"}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    form = {"name": "x", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


Refused = tuple[dict[str, Any], str, str | None, str | None]
REFUSED: list[Refused] = [
    # fields
    ({"model": ...}, "you must provide a model parameter", None, None),
    ({"messages": ...}, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
    ({"messages": []}, "Invalid 'messages': empty array.", "messages", "empty_array"),
    ({"messages": "Hi"}, "Invalid type for 'messages': expected an array, but got a string instead.", "messages",
     "invalid_type"),
    ({"top_k": 5}, "Unknown parameter: 'top_k'.", "top_k", "unknown_parameter"),
    ({"temperature": 3}, "Invalid 'temperature': integer above maximum value. Expected a value <= 2, but got 3",
     "temperature", "integer_above_max_value"),
    ({"max_tokens": 0}, "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1", "max_tokens",
     "integer_below_min_value"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time is not supported", "max_tokens",
     "invalid_parameter_combination"),
    ({"model": "o3-mini", "max_tokens": 5}, "Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter"),
    ({"n": 0}, "Invalid 'n': integer below minimum value.", "n", "integer_below_min_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "Invalid 'stop': array too long.", "stop", "array_above_max_length"),
    ({"top_logprobs": 2}, "only allowed when 'logprobs' is enabled", "top_logprobs", "invalid_value"),
    ({"stream_options": {}}, "only allowed when 'stream' is enabled", "stream_options", None),
    ({"stream": True, "stream_options": {"usage": True}}, "Unknown parameter: 'stream_options.usage'.",
     "stream_options.usage", "unknown_parameter"),
    ({"reasoning_effort": "huge"}, "Invalid value: 'huge'. Supported values are: 'none', 'minimal', 'low', 'medium', "
     "'high', 'xhigh', and 'max'.", "reasoning_effort", "invalid_value"),
    # messages
    ({"messages": [{"role": "robot", "content": "x"}]}, "Invalid value: 'robot'. Supported values are: 'system'",
     "messages[0].role", "invalid_value"),
    ({"messages": [{"role": "user"}]}, "Missing required parameter: 'messages[0].content'.", "messages[0].content",
     "missing_required_parameter"),
    ({"messages": [{"role": "assistant", "content": None}]}, "expected a string, got null", "messages[0].content", None),
    ({"messages": user({"type": "image", "image": "x"})}, "Invalid value: 'image'. Supported values are: 'text', "
     "'image_url', 'input_audio', and 'file'.", "messages[0].content[0].type", "invalid_value"),
    ({"messages": user({"type": "text"})}, "Missing required parameter: 'messages[0].content[0].text'.",
     "messages[0].content[0].text", "missing_required_parameter"),
    ({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     "Supported values are: 'text'.", "messages[0].content[0].type", "invalid_value"),
    ({"messages": user({"type": "image_url", "image_url": "x"})}, "expected an object, but got a string",
     "messages[0].content[0].image_url", "invalid_type"),
    ({"messages": user({"type": "image_url", "image_url": {"url": "cat.png"}})}, "Expected a valid URL",
     "messages[0].content[0].image_url.url", "invalid_value"),
    ({"messages": user({"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}})}, "Invalid base64 data",
     "messages[0].content[0].image_url.url", "invalid_base64"),
    ({"messages": user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "ogg"}})},
     "Supported values are: 'wav', and 'mp3'.", "messages[0].content[0].input_audio.format", "invalid_value"),
    # calls and results
    ({"messages": [RESULT]}, "must be a response to a preceeding message with 'tool_calls'", "messages.[0].role", None),
    ({"messages": [HELLO, CALLED]}, "did not have response messages: call_1", "messages.[2].role", None),
    ({"messages": [HELLO, CALLED, HELLO]}, "did not have response messages: call_1", "messages.[2].role", None),
    ({"messages": [HELLO, CALLED, {**RESULT, "tool_call_id": "other"}]}, "'tool_call_id' of 'other' not found",
     "messages.[2].tool_call_id", None),
    ({"messages": [HELLO, CALLED, RESULT, HELLO, RESULT]}, "must be a response to", "messages.[4].role", None),
    ({"messages": [HELLO, {**CALLED, "tool_calls": [{**CALL, "id": "x" * 41}]}]}, "maximum length 40, but got a string "
     "with length 41", "messages[1].tool_calls[0].id", "string_above_max_length"),
    ({"messages": [HELLO, {**CALLED, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}]},
     "expected a string, but got an object", "messages[1].tool_calls[0].function.arguments", "invalid_type"),
    # tools
    ({"tools": []}, "Invalid 'tools': empty array.", "tools", "empty_array"),
    ({"tools": [{"type": "web_search"}]}, "Supported values are: 'function', and 'custom'.", "tools[0].type",
     "invalid_value"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "string does not match pattern",
     "tools[0].function.name", "invalid_value"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
     "schema must be a JSON Schema of 'type: \"object\"'", "tools[0].function.parameters", "invalid_function_parameters"),
    ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}]},
     "'additionalProperties' is required to be supplied and to be false", "tools[0].function.parameters",
     "invalid_function_parameters"),
    ({"tool_choice": "auto"}, "'tool_choice' is only allowed when 'tools' are specified", "tool_choice", None),
    ({"parallel_tool_calls": False}, "only allowed when 'tools' are specified", "parallel_tool_calls", None),
    ({"tools": [TOOL], "tool_choice": "any"}, "Supported values are: 'none', 'auto', and 'required'.", "tool_choice",
     "invalid_value"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "Tool choice 'g' not found",
     "tool_choice", None),
    # structured output
    ({"response_format": {"type": "json_object"}}, "must contain the word 'json'", "messages", None),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "'response_format.json_schema.name'",
     "response_format.json_schema.name", "missing_required_parameter"),
    (strict({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}),
     "Missing 'a'", "response_format", None),
    (strict({"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"], "additionalProperties": False}),
     "In context=('properties', 'a'), 'additionalProperties' is required", "response_format", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"), REFUSED, ids=[refused[1][:60] for refused in REFUSED]
)
def test_a_wrong_request_is_refused_in_the_apis_words(
    completions: Post, fields: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    answer = completions(**fields)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert message in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert answer.headers["x-request-id"]


ACCEPTED: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}, {**HELLO, "name": "me"}]},
    {"messages": [HELLO, {"role": "assistant", "content": "Hi"}]},
    {"messages": [HELLO, {"role": "assistant", "refusal": "no"}, HELLO]},
    {"messages": [HELLO, CALLED, RESULT, HELLO]},
    {"messages": [HELLO, {**CALLED, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, {**RESULT, "tool_call_id": "call_2"},
                  {**RESULT, "content": [{"type": "text", "text": "x"}]}]},
    {"messages": user({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}})},
    {"messages": user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}})},
    {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": True},
    {"max_tokens": 5, "temperature": None, "top_p": 0.1, "seed": -1, "stop": None, "user": "u", "store": False,
     "metadata": {"a": "b"}, "service_tier": "auto", "verbosity": "low", "logit_bias": {"1": 5}, "presence_penalty": -2},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_right_request_is_accepted(completions: Post, fields: dict[str, Any]) -> None:
    answer = completions(**fields)
    assert answer.status == 200, answer.body


def test_only_a_bearer_token_is_a_key(call: Post) -> None:
    body = {"model": "m", "messages": [HELLO]}
    for headers in ({}, {"x-api-key": "k"}, {"authorization": "Basic k"}, {"authorization": "Bearer "}):
        answer = call("/v1/chat/completions", body, headers)
        assert (answer.status, answer.json["error"]["type"]) == (401, "invalid_request_error")


def test_the_service_tier_is_reported(completions: Post) -> None:
    assert completions().json["service_tier"] == "default"
    assert completions(service_tier="flex").json["service_tier"] == "flex"
    assert completions(service_tier="fast").json["service_tier"] == "priority"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 5000])
def test_what_is_no_json_object_gets_the_envelope(call: Post, body: bytes) -> None:
    answer = call("/v1/chat/completions", body, {"authorization": "Bearer k"})
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


def test_other_paths_and_methods_get_the_envelope(call: Post) -> None:
    missing = call("/openai/v1/embeddings", {})
    assert (missing.status, missing.json["error"]["type"]) == (404, "invalid_request_error")
    assert call("/v1/chat/completions", method="GET").status == 405
    assert call("/api/hello", method="HEAD").status == 404

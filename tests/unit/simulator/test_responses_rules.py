"""OpenAI Responses: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulator_http import Post

HELLO = {"role": "user", "content": "Hello"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "r"}
CUSTOM = {"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": "x"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


def strict(schema: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}}


Refused = tuple[dict[str, Any], str, str | None, str | None]
REFUSED: list[Refused] = [
    # fields
    ({"model": ...}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
    ({"input": ...}, 'One of "input" or "previous_response_id"', "input", "missing_required_parameter"),
    ({"input": []}, "Invalid 'input': empty array.", "input", "empty_array"),
    ({"input": 5}, "expected an array, but got an integer", "input", "invalid_type"),
    ({"top_k": 5}, "Unknown parameter: 'top_k'.", "top_k", "unknown_parameter"),
    ({"n": 2}, "Unknown parameter: 'n'.", "n", "unknown_parameter"),
    ({"stop": ["x"]}, "Unknown parameter: 'stop'.", "stop", "unknown_parameter"),
    ({"messages": [HELLO]}, "has moved to 'input'", "messages", "unsupported_parameter"),
    ({"response_format": {"type": "json_object"}}, "has moved to 'text.format'", "response_format",
     "unsupported_parameter"),
    ({"max_output_tokens": 5}, "Expected a value >= 16, but got 5", "max_output_tokens", "integer_below_min_value"),
    ({"temperature": -1}, "decimal below minimum value. Expected a value >= 0, but got -1", "temperature",
     "decimal_below_min_value"),
    ({"include": ["everything"]}, "Invalid value: 'everything'.", "include[0]", "invalid_value"),
    ({"reasoning": {"effort": "huge"}}, "Invalid value: 'huge'.", "reasoning.effort", "invalid_value"),
    ({"reasoning": {"budget": 5}}, "Unknown parameter: 'reasoning.budget'.", "reasoning.budget", "unknown_parameter"),
    ({"truncation": "some"}, "Supported values are: 'auto', and 'disabled'.", "truncation", "invalid_value"),
    ({"prompt_cache_key": "x" * 65}, "maximum length 64", "prompt_cache_key", "string_above_max_length"),
    ({"metadata": {"a": 5}}, "expected a string", "metadata.a", "invalid_type"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "too many properties", "metadata", "object_above_max_properties"),
    ({"stream_options": {}}, "only allowed when 'stream' is enabled", "stream_options", None),
    ({"stream": True, "stream_options": {"include_usage": True}}, "Unknown parameter: 'stream_options.include_usage'.",
     "stream_options.include_usage", "unknown_parameter"),
    ({"background": True}, "does not play 'background'", "background", "unsupported_parameter"),
    ({"previous_response_id": "resp_1"}, "Previous response with id 'resp_1' not found.", "previous_response_id",
     "previous_response_not_found"),
    # items
    ({"input": [{"type": "thought"}]}, "Invalid value: 'thought'. Supported values are: 'message'", "input[0].type",
     "invalid_value"),
    ({"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'.", "input[0].role", "invalid_value"),
    ({"input": [{**HELLO, "name": "me"}]}, "Unknown parameter: 'input[0].name'.", "input[0].name", "unknown_parameter"),
    ({"input": user({"type": "text", "text": "x"})}, "Supported values are: 'input_text', 'input_image', and "
     "'input_file'.", "input[0].content[0].type", "invalid_value"),
    ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
     "Supported values are: 'output_text', and 'refusal'.", "input[0].content[0].type", "invalid_value"),
    ({"input": user({"type": "input_image", "image_url": {"url": "x"}})}, "expected a string, but got an object",
     "input[0].content[0].image_url", "invalid_type"),
    ({"input": user({"type": "input_image", "image_url": "cat.png"})}, "Expected a valid URL",
     "input[0].content[0].image_url", "invalid_value"),
    ({"input": user({"type": "input_file", "file_data": "AAAA"})}, "Expected a base64-encoded data URL",
     "input[0].content[0].file_data", "invalid_value"),
    ({"input": [HELLO, {**CALL, "id": "toolu_1"}, RESULT]}, "Expected an ID that begins with 'fc'.", "input[1].id",
     "invalid_value"),
    ({"input": [HELLO, {**CALL, "call_id": "x" * 65}, RESULT]}, "maximum length 64", "input[1].call_id",
     "string_above_max_length"),
    ({"input": [HELLO, {**CALL, "call_id": ""}, RESULT]}, "empty string", "input[1].call_id", "empty_string"),
    ({"input": [HELLO, CALL, {**RESULT, "output": 5}]}, "expected a string, but got an integer", "input[2].output",
     "invalid_type"),
    ({"input": user({"type": "input_image"})}, "'input[0].content[0].image_url'", "input[0].content[0].image_url",
     "missing_required_parameter"),
    ({"input": user({"type": "input_file"})}, "'input[0].content[0].file_data'", "input[0].content[0].file_data",
     "missing_required_parameter"),
    ({"input": [HELLO, {**CALL, "arguments": {}}, RESULT]}, "expected a string, but got an object", "input[1].arguments",
     "invalid_type"),
    # rules between items
    ({"input": [HELLO, RESULT]}, "No tool call found for function call output with call_id call_1.", "input", None),
    ({"input": [HELLO, CALL]}, "No tool output found for function call call_1.", "input", None),
    ({"input": [HELLO, RESULT, CALL]}, "No tool call found for function call output", "input", None),
    ({"input": [HELLO, CUSTOM, RESULT]}, "No tool call found for function call output", "input", None),
    ({"input": [HELLO, CUSTOM]}, "No tool output found for custom tool call call_1.", "input", None),
    ({"input": [HELLO, {"type": "reasoning", "summary": [], "encrypted_content": "x"}, CALL, RESULT]},
     "could not be verified", None, "invalid_encrypted_content"),
    ({"input": [HELLO, {"type": "compaction", "encrypted_content": "x"}]}, "could not be verified", None,
     "invalid_encrypted_content"),
    ({"input": [{"type": "reasoning", "summary": []}, HELLO]}, "'input[0].encrypted_content'",
     "input[0].encrypted_content", "missing_required_parameter"),
    # tools
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "'tools[0].name'", "tools[0].name",
     "missing_required_parameter"),
    ({"tools": [{"type": "googleSearch"}]}, "Invalid value: 'googleSearch'.", "tools[0].type", "invalid_value"),
    ({"tools": [{**TOOL, "name": "a b"}]}, "string does not match pattern", "tools[0].name", "invalid_value"),
    ({"tools": [{**TOOL, "cache_control": {}}]}, "Unknown parameter: 'tools[0].cache_control'.",
     "tools[0].cache_control", "unknown_parameter"),
    ({"tools": [{**TOOL, "parameters": {"type": "array"}}]}, "got 'type: \"array\"'", "tools[0].parameters",
     "invalid_function_parameters"),
    ({"tools": [{**TOOL, "strict": True}]}, "'additionalProperties' is required", "tools[0].parameters",
     "invalid_function_parameters"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": []}]}, "'tools[0].description'", "tools[0].description",
     "missing_required_parameter"),
    ({"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "peg"}}]},
     "Supported values are: 'lark', and 'regex'.", "tools[0].format.syntax", "invalid_value"),
    ({"tools": [TOOL], "tool_choice": "any"}, "Supported values are: 'none', 'auto', and 'required'.", "tool_choice",
     "invalid_value"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}, "'tool_choice.name'",
     "tool_choice.name", "missing_required_parameter"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "not found in 'tools'", "tool_choice", None),
    # structured output
    ({"text": {"format": {"type": "json_object"}}}, "must contain the word 'json'", "input", None),
    ({"text": {"format": {"type": "json_schema", "json_schema": {}}}}, "Unknown parameter: 'text.format.json_schema'.",
     "text.format.json_schema", "unknown_parameter"),
    (strict({"type": "object", "properties": {"a": {}}, "additionalProperties": False}), "Missing 'a'",
     "text.format.schema", "invalid_json_schema"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"), REFUSED, ids=[refused[1][:60] for refused in REFUSED]
)
def test_a_wrong_request_is_refused_in_the_apis_words(
    responses: Post, fields: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    answer = responses(**fields)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert message in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


ACCEPTED: list[dict[str, Any]] = [
    {"input": [{"type": "message", **HELLO, "id": "msg_1", "status": "completed"}]},
    {"input": [{"role": "developer", "content": "x"}, {"role": "system", "content": "x"}, HELLO]},
    {"input": [HELLO, {"role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]}]},
    {"input": [HELLO, CALL, {**CALL, "call_id": "call_2"}, {**RESULT, "call_id": "call_2"}, RESULT, HELLO]},
    {"input": [HELLO, CALL, {**RESULT, "output": [{"type": "input_text", "text": "x"}]}]},
    {"input": [HELLO, {**CALL, "namespace": "n", "id": "fc_1"}, {**RESULT, "id": "fc_2"}]},
    {"input": [HELLO, {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}]},
    {"tools": [TOOL, {"type": "tool_search"}, {"type": "mcp", "server_label": "x", "server_url": "https://x"}]},
    {"tools": [{"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}]},
    {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False},
    {"store": False, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "client_metadata": {"a": "b"},
     "reasoning": {"effort": "medium", "summary": "auto"}, "text": {"verbosity": "low"}},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
    {"metadata": {"a": "b"}, "user": "u", "safety_identifier": "s", "service_tier": "auto", "truncation": "auto",
     "max_tool_calls": 3, "top_logprobs": 2, "temperature": None},
    strict(CLOSED),
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_right_request_is_accepted(responses: Post, fields: dict[str, Any]) -> None:
    answer = responses(**fields)
    assert answer.status == 200, answer.body


def test_obfuscation_pads_the_deltas_unless_it_is_switched_off(responses: Post) -> None:
    padded = responses(stream=True).events
    plain = responses(stream=True, stream_options={"include_obfuscation": False}).events
    deltas = [event for _, event in padded if event["type"].endswith(".delta")]
    assert deltas
    assert all("obfuscation" in event for event in deltas)
    assert all("obfuscation" not in event for _, event in plain)


def test_every_event_names_its_type(responses: Post) -> None:
    answer = responses(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert all(name == event["type"] for name, event in answer.events)


def test_a_broken_stream_ends_with_the_error_and_the_failed_response(responses: Post) -> None:
    found = [event for _, event in responses(stream=True, input="[[sim: error_event_after=3]]").events]
    assert [event["type"] for event in found[3:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in found] == [0, 1, 2, 3, 4]
    assert found[3]["error"]["code"] == found[4]["response"]["error"]["code"] == "server_error"
    assert found[4]["response"]["status"] == "failed"


@pytest.mark.parametrize(
    ("reason", "status", "last"),
    [
        ("content_filter", "incomplete", "response.incomplete"),
        ("failed", "failed", "response.failed"),
        ("completed", "completed", "response.completed"),
    ],
)
def test_how_it_ends_can_be_chosen(responses: Post, reason: str, status: str, last: str) -> None:
    asked = f"[[sim: stop_reason={reason}]]"
    answer = responses(input=asked).json
    assert answer["status"] == status
    assert (answer["incomplete_details"] or {}).get("reason") == (reason if status == "incomplete" else None)
    assert responses(input=asked, stream=True).events[-1][0] == last

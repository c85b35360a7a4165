"""What the simulator refuses on /v1/messages, and in which words; and what it must not refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulator_http import Post

TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
MARK = {"type": "ephemeral"}


def turn(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def text(value: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    # fields
    ({"model": ...}, "model: Field required"),
    ({"model": 3}, "model: Input should be a valid string"),
    ({"max_tokens": ...}, "max_tokens: Field required"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"top_k": -2}, "top_k: Input should be greater than or equal to 0"),
    ({"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid array"),
    ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"metadata": {"team": "x"}}, "metadata.team: Extra inputs are not permitted"),
    ({"service_tier": "gold"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"system": 3}, "system: Input should be a valid list"),
    ({"system": [IMAGE]}, "`image` blocks are not permitted in system turns"),
    # turns
    ({"messages": ...}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": ["Hello"]}, "messages.0: Input should be an object"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should be 'user', 'assistant' or"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
    ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages.0.name: Extra inputs are not permitted"),
    ({"messages": [turn("system", text()), turn("user", text())]}, 'first message must use the "user" role'),
    ({"messages": [turn("user", text()), turn("assistant", text("So "))]}, "cannot end with trailing whitespace"),
    # blocks
    ({"messages": [turn("user", {"text": "x"})]}, "messages.0.content.0.type: Field required"),
    ({"messages": [turn("user", {"type": "image_url"})]}, "Input tag 'image_url' found using 'type' does not match"),
    ({"messages": [turn("user", text(""))]}, "text content blocks must be non-empty"),
    ({"messages": [turn("user", text(weight=1))]}, "messages.0.content.0.text.weight: Extra inputs are not permitted"),
    ({"messages": [turn("user", {"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
    ({"messages": [turn("user", {**IMAGE, "source": {**IMAGE["source"], "media_type": "image/tiff"}})]},
     "messages.0.content.0.image.source.media_type: Input should be 'image/jpeg'"),
    ({"messages": [turn("user", {**IMAGE, "source": {**IMAGE["source"], "data": "A"}})]}, "invalid base64 data"),
    ({"messages": [turn("user", {"type": "document", "source": {"type": "base64", "media_type": "text/html",
                                                                "data": "AAAA"}})]},
     "messages.0.content.0.document.source.media_type: Input should be 'application/pdf'"),
    ({"messages": [turn("user", CALL)]}, "`tool_use` blocks are not permitted in user turns"),
    ({"messages": [turn("user", text()), turn("assistant", RESULT)]}, "`tool_result` blocks are not permitted in"),
    ({"messages": [turn("user", text()), turn("assistant", {"type": "thinking", "thinking": "x"})]},
     "messages.1.content.0.thinking.signature: Field required"),
    ({"messages": [turn("user", text()), turn("assistant", {**CALL, "id": "call 1"})]},
     "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"),
    ({"messages": [turn("user", text()), turn("assistant", {**CALL, "input": "{}"})]},
     "messages.1.content.0.tool_use.input: Input should be an object"),
    ({"messages": [turn("user", text(cache_control={"type": "forever"}))]},
     "messages.0.content.0.text.cache_control.type: Input should be 'ephemeral'"),
    # calls and results
    ({"messages": [turn("user", text()), turn("assistant", CALL)]},
     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"),
    ({"messages": [turn("user", text()), turn("assistant", CALL), turn("user", text())]},
     "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"),
    ({"messages": [turn("user", text()), turn("assistant", CALL), turn("user", text(), RESULT)]},
     "messages.1: `tool_use` ids were found without"),
    ({"messages": [turn("user", RESULT)]}, "messages.0.content.0: unexpected `tool_use_id` found in `tool_result`"),
    ({"messages": [turn("user", text()), turn("assistant", CALL), turn("user", {**RESULT, "tool_use_id": "other"})]},
     "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: other"),
    ({"messages": [turn("user", text()), turn("assistant", CALL), turn("user", RESULT, RESULT)]}, "a single result"),
    ({"messages": [turn("user", text()), turn("assistant", CALL, CALL), turn("user", RESULT)]}, "ids must be unique"),
    # tools
    ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{**TOOL, "parameters": {}}]}, "tools.0.custom.parameters: Extra inputs are not permitted"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "any"}}, "tool_choice may only be specified while providing tools."),
    ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type: Input should be 'auto', 'any', 'tool' or"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "Tool 'g' not found in provided tools"),
    ({"tools": [{**TOOL, "strict": True}]}, "'additionalProperties' must be explicitly set to false"),
    # thinking
    ({"thinking": {"type": "on"}}, "thinking.type: Input should be 'enabled', 'disabled', 'between_tools' or 'adaptive'"),
    ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    ({"thinking": {"type": "enabled", "budget_tokens": 100}},
     "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 3000, "temperature": 0.5},
     "`temperature` may only be set to 1 when thinking is enabled."),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 3000, "tools": [TOOL],
      "tool_choice": {"type": "any"}}, "Thinking may not be enabled when tool_choice forces tool use."),
    # structured output
    ({"output_config": {"effort": "huge"}}, "output_config.effort: Input should be 'low'"),
    (strict({"type": "object"}),
     "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"),
    (strict({"type": "array", "items": {"type": "integer", "minimum": 1}}),
     "For 'integer' type, property 'minimum' is not supported"),
    (strict({"type": "array", "minItems": 2}), "For 'array' type, property 'minItems' is not supported"),
    # caching
    ({"messages": [turn("user", *[text(cache_control=MARK)] * 5)]}, "A maximum of 4 blocks with cache_control may be"),
    ({"messages": [turn("user", text(cache_control=MARK), text(cache_control={**MARK, "ttl": "1h"}))]},
     "ttl='1h' block must not come after"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_a_wrong_request_is_refused_in_the_apis_words(
    messages: Post, fields: dict[str, Any], message: str
) -> None:
    answer = messages(**fields)
    assert answer.status == 400, answer.body
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert message in answer.json["error"]["message"]
    assert answer.json["request_id"] == answer.headers["request-id"]


ACCEPTED: list[dict[str, Any]] = [
    {"messages": [turn("user", text()), turn("assistant", text("So"))]},
    {"messages": [turn("user", text()), turn("user", text()), turn("assistant", text()), turn("user", text())]},
    {"messages": [turn("user", text()), turn("system", text("Be kind")), turn("assistant", text()), turn("user", text())]},
    {"messages": [turn("user", text()), turn("assistant", text(), CALL), turn("user", RESULT, text())]},
    {"messages": [turn("user", text()), turn("assistant", CALL, {**CALL, "id": "toolu_2"}), turn("user", RESULT),
                  turn("user", {**RESULT, "tool_use_id": "toolu_2", "content": [text(), IMAGE], "is_error": True})]},
    {"messages": [turn("user", text()), turn("assistant", CALL), turn("user", {**RESULT, "content": ...} | {"content": []})]},
    {"messages": [turn("user", IMAGE, text())], "system": [text(cache_control=MARK)], "cache_control": MARK},
    {"messages": [turn("user", {"type": "document", "source": {"type": "content", "content": [text()]}}, text())]},
    {"messages": [turn("user", {"type": "search_result", "source": "s", "title": "t", "content": [text()]}, text())]},
    {"messages": [turn("assistant", text()), turn("user", text())]},
    {"messages": [turn("user", text()), *[turn("assistant", CALL), turn("user", RESULT)] * 2]},
    {"tools": [TOOL], "tool_choice": {"type": "none"}},
    {"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "web_search_20260318", "name": "web_search"}]},
    {"temperature": 0.3, "top_p": 0.9, "top_k": 5, "service_tier": "auto", "metadata": {"user_id": None}},
    {"output_config": {"effort": "max"}, "thinking": {"type": "disabled"}, "stop_sequences": [], "speed": "standard"},
    strict({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False}),
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_right_request_is_accepted(messages: Post, fields: dict[str, Any]) -> None:
    answer = messages(**fields)
    assert answer.status == 200, answer.body


# --- versions and betas ----------------------------------------------------------------------------------------


def test_the_version_header_is_required_and_checked(messages: Post) -> None:
    missing = messages({"anthropic-version": ""})
    assert (missing.status, missing.json["error"]["message"]) == (
        400,
        "anthropic-version: header is required",
    )
    wrong = messages({"anthropic-version": "2024-01-01"})
    assert '"2024-01-01" is not a valid version' in wrong.json["error"]["message"]


DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None,
            "start_char_index": 0, "end_char_index": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": 1}, "temperature: Extra inputs are not permitted"),
        ({"top_p": 0.5}, "top_p: Extra inputs are not permitted"),
        ({"top_k": 5}, "top_k: Extra inputs are not permitted"),
        ({"messages": [turn("user", text()), turn("assistant", DOCUMENT), turn("user", text())]}, "`document` blocks"),
        ({"messages": [turn("user", text(citations=[CITATION]))]}, "citations: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_the_version_of_2026_refuses_what_the_one_of_2023_takes(
    messages: Post, fields: dict[str, Any], message: str
) -> None:
    assert messages({"anthropic-version": "2023-06-01"}, **fields).status == 200
    refused = messages({"anthropic-version": "2026-10-21"}, **fields)
    assert refused.status == 400
    assert message in refused.json["error"]["message"]


def test_both_versions_take_an_ordinary_request_and_both_key_headers(messages: Post) -> None:
    assert messages({"anthropic-version": "2026-10-21"}).status == 200
    assert messages({"x-api-key": "", "authorization": "Bearer k"}).status == 200
    nobody = messages({"x-api-key": ""})
    assert (nobody.status, nobody.json["error"]["type"]) == (401, "authentication_error")


def test_a_beta_header_lets_unknown_fields_and_blocks_pass(messages: Post) -> None:
    fields = {
        "context_management": {"edits": []},
        "tools": [{**TOOL, "shiny": True}],
        "messages": [
            {**turn("user", {"type": "brand_new", "x": 1}, text(glow=2)), "output_config": {"effort": "low"}}
        ],
    }
    assert messages(**fields).status == 400
    assert messages({"anthropic-beta": "some-2026-01-01"}, **fields).status == 200


# --- what is no request at all ---------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000])
def test_what_is_no_json_object_gets_the_envelope(call: Post, body: bytes) -> None:
    answer = call("/v1/messages", body, {"x-api-key": "k", "anthropic-version": "2023-06-01"})
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


def test_other_paths_and_methods_get_the_envelope(call: Post) -> None:
    missing = call("/anthropic/v1/nothing", {})
    assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")
    assert call("/v1/messages", method="GET").status == 405
    assert call("/anthropic/v1/chat/completions", {}).status == 404


def test_a_body_over_the_limit_is_refused(call: Post) -> None:
    answer = call("/v1/messages", b" " * (32 * 1024 * 1024 + 1), {"x-api-key": "k"})
    assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")

"""Gemini: what is refused, in which words, and what the wire looks like."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bytespike.providers.simulator.exchange import LIMITED_RETRY_AFTER_S
from tests.support.simulator_http import Post

HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
FUNCTION = {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {}}}
TOOLS = [{"functionDeclarations": [FUNCTION]}]
SKIP = "skip_thought_signature_validator"


def called(*names: str, signature: str | None = SKIP) -> dict[str, Any]:
    parts: list[Any] = [{"functionCall": {"name": name, "args": {}}} for name in names]
    if signature is not None:
        parts[0]["thoughtSignature"] = signature
    return {"role": "model", "parts": parts}


def answered(*names: str) -> dict[str, Any]:
    return {
        "role": "user",
        "parts": [{"functionResponse": {"name": name, "response": {"r": "x"}}} for name in names],
    }


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


REFUSED: list[tuple[dict[str, Any], str]] = [
    # names and types, as protocol buffers have them
    ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
    (config(top_n=1), "Unknown name \"top_n\" at 'generation_config': Cannot find field."),
    ({"contents": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}]},
     "Unknown name \"type\" at 'contents[0].parts[0]': Cannot find field."),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}]}]},
     "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'"),
    ({"contents": "Hello"}, "Invalid value at 'contents[0]' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)"),
    (config(temperature="hot"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\""),
    (config(maxOutputTokens=1.5), "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), 1.5"),
    (config(stopSequences=[1]), "Invalid value at 'generation_config.stop_sequences[0]' (TYPE_STRING), 1"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "FunctionCallingConfig.Mode), \"MAYBE\""),
    ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "*"}}]}]}, "(TYPE_BYTES), Base64 decoding failed"),
    ({"safetySettings": [{"category": "RUDENESS", "threshold": "BLOCK_NONE"}]}, "HarmCategory), \"RUDENESS\""),
    # contents
    ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified"),
    ({"contents": [{"role": "user", "parts": []}]}, "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty."),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
    ({"contents": [{"role": "user", "parts": [{"thought": True}]}]}, "required oneof field 'data' must have one initialized field"),
    ({"contents": [{"parts": [{"text": "x", "inlineData": {"mimeType": "a/b", "data": ""}}]}]}, "oneof field 'data' is already set"),
    ({"contents": [HELLO, {"role": "model", "parts": [{"functionCall": {"args": {}}}]}]}, "function_call.name: Name cannot be empty."),
    # calls and responses
    ({"contents": [HELLO, called("f")]}, "number of function response parts is equal to the number of function call parts"),
    ({"contents": [HELLO, called("f", "g"), answered("f")]}, "number of function response parts is equal"),
    ({"contents": [HELLO, called("f"), HELLO]}, "number of function response parts is equal"),
    ({"contents": [HELLO, answered("f")]}, "function response turn comes immediately after a function call turn"),
    ({"contents": [called("f"), answered("f")]}, "function call turn comes immediately after a user turn"),
    # signatures
    ({"contents": [HELLO, called("f", signature=None), answered("f")]}, "Function call is missing a thought_signature in functionCall parts."),
    ({"contents": [HELLO, called("f", signature=None), answered("f")]}, "function call `default_api:f` , position 2."),
    ({"contents": [HELLO, called("f"), answered("f"), called("g", signature=None), answered("g")]}, "`default_api:g` , position 4."),
    ({"contents": [HELLO, called("f", signature="Zm9yZ2Vk"), answered("f")]}, "Corrupted thought signature."),
    # settings
    (config(temperature=3), "temperature must be in the range [0.0, 2.0]."),
    (config(candidateCount=9), "candidate_count must be in the range [1, 8]."),
    (config(stopSequences=list("abcdef")), "at most 5 stop sequences"),
    (config(thinkingConfig={"thinkingBudget": 5, "thinkingLevel": "LOW"}), "You can only set only one of thinking budget and thinking level."),
    (config(thinkingConfig={"thinkingBudget": 0, "includeThoughts": True}), "Unable to include thoughts"),
    (config(responseSchema={"type": "STRING"}), "needs a response_mime_type"),
    (config(responseMimeType="application/json", responseSchema={"type": "STRING"}, responseJsonSchema={}), "Only one of"),
    (config(responseMimeType="application/json", responseJsonSchema=[]), "response_json_schema: must be an object"),
    (config(thinkingConfig={"thinkingBudget": -5}), "must be -1, 0 or more"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "STRING"}}]}]}, "parameters.type: should be OBJECT"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": 5}]}]}, "parameters_json_schema: must be an object"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "needs at least one function declaration"),
    ({"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}, "mime_type must be specified"),
    ({"contents": [{"parts": [{"fileData": {"mimeType": "image/png"}}]}]}, "file_uri must be specified"),
    (config(responseMimeType="text/html"), "allowed mimetypes are"),
    (config(logprobs=2), "only allowed when response_logprobs is true"),
    # tools
    ({"tools": [{"functionDeclarations": [{"name": "1f"}]}]}, "Invalid function name. Must start with a letter or an underscore."),
    ({"tools": [{"functionDeclarations": [FUNCTION, FUNCTION]}]}, "Duplicate function declaration found: f"),
    ({"tools": [{"functionDeclarations": [{**FUNCTION, "parameters": {"type": "OBJECT"}}]}]}, "mutually exclusive"),
    ({"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}, "only be set when"),
    ({"tools": TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}}, "g is not found"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[refused[1][:70] for refused in REFUSED])
def test_a_wrong_request_is_refused_in_googles_words(
    contents: Post, fields: dict[str, Any], message: str
) -> None:
    answer = contents(**fields)
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert message in error["message"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")


ACCEPTED: list[dict[str, Any]] = [
    {"contents": [{"parts": [{"text": "no role"}]}]},
    {"contents": {"parts": {"text": "rows of one"}}, "system_instruction": {"parts": {"text": "x"}}},
    {"contents": [HELLO, called("f", "g"), answered("f", "g"), called("g"), answered("g")]},
    {"contents": [HELLO, called("f", signature=None), answered("f"), {"role": "model", "parts": [{"text": "x"}]}, HELLO]},
    {"contents": [HELLO, called("f", signature="context_engineering_is_the_way_to_go"), answered("f")]},
    {"contents": [HELLO, called("f", signature=base64.b64encode(SKIP.encode()).decode()), answered("f")]},
    {"generation_config": {"max_output_tokens": "20", "response_mime_type": "text/plain", "topK": 5, "seed": -1}},
    {"tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}, {"googleSearch": {}}]},
    {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}]}]},
    {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
    config(thinkingConfig={"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, responseModalities=["TEXT"]),
    config(thinkingConfig=None),
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_right_request_is_accepted(contents: Post, fields: dict[str, Any]) -> None:
    answer = contents(**fields)
    assert answer.status == 200, answer.body


def test_models_before_gemini_3_do_not_insist_on_signatures(contents: Post) -> None:
    history = [HELLO, called("f", signature=None), answered("f")]
    assert contents(contents=history, model="gemini-2.5-flash").status == 200
    assert contents(contents=history, model="gemini-3-flash").status == 400


def test_what_could_not_be_read_is_told_by_its_path_too(contents: Post) -> None:
    (detail,) = contents(**config(top_n=1)).json["error"]["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"][0]["field"] == "generation_config"


def test_the_key_comes_in_a_header_or_in_the_query(call: Post) -> None:
    path = "/v1beta/models/m:generateContent"
    body = {"contents": [HELLO]}
    assert call(path, body, {"x-goog-api-key": "k"}).status == 200
    assert call(f"{path}?key=k", body).status == 200
    for headers in ({}, {"authorization": "Bearer k"}, {"x-api-key": "k"}):
        answer = call(path, body, headers)
        assert (answer.status, answer.json["error"]["status"]) == (403, "PERMISSION_DENIED")
    bad = call(path, body, {"x-goog-api-key": "sim-bad"}).json["error"]
    assert (bad["code"], bad["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert call(path, body, {"x-goog-api-key": "sim-poor"}).status == 429


def test_a_limit_is_told_in_a_retry_info_and_in_no_header(contents: Post) -> None:
    limited = contents({"x-goog-api-key": "sim-limited"})
    assert limited.status == 429
    assert "retry-after" not in limited.headers
    retry = limited.json["error"]["details"][-1]
    assert retry == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": f"{LIMITED_RETRY_AFTER_S}s",
    }


@pytest.mark.parametrize("prefix", ["/gemini/v1beta", "/gemini/v1", "/v1beta", "/v1"])
def test_every_path_that_the_sdks_build_is_served(call: Post, prefix: str) -> None:
    key = {"x-goog-api-key": "k"}
    for action in ("generateContent", "streamGenerateContent", "countTokens"):
        assert call(f"{prefix}/models/m:{action}", {"contents": [HELLO]}, key).status == 200
    assert call(f"{prefix}/models/m:embedContent", {}, key).json["error"]["status"] == "NOT_FOUND"
    assert call(f"{prefix}/models/m:generateContent", None, key, "GET").json["error"]["code"] == 405


def test_events_end_in_cr_lf_twice(contents: Post) -> None:
    answer = contents(action="streamGenerateContent?alt=sse")
    assert answer.headers["content-type"] == "text/event-stream"
    blocks = answer.body.split(b"\r\n\r\n")
    assert blocks[-1] == b""
    chunks = [json.loads(block.removeprefix(b"data: ")) for block in blocks[:-1]]
    assert len(chunks) > 2
    assert all(chunk["usageMetadata"]["promptTokenCount"] for chunk in chunks)


def test_without_alt_sse_a_stream_is_one_array(contents: Post) -> None:
    events = contents(action="streamGenerateContent?alt=sse").body.split(b"\r\n\r\n")[:-1]
    answer = contents(action="streamGenerateContent")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json == [json.loads(event.removeprefix(b"data: ")) for event in events]
    (single,) = contents(
        action="streamGenerateContent", contents=[{"parts": [{"text": "[[sim: text=x]]"}]}]
    ).json
    assert single["candidates"][0]["finishReason"] == "STOP"
    refused = contents(action="streamGenerateContent", contents=[])
    assert (refused.status, refused.json[0]["error"]["code"]) == (400, 400)


@pytest.mark.parametrize("after", [0, 2])
def test_a_broken_stream_ends_with_the_error(contents: Post, after: int) -> None:
    asked = [{"parts": [{"text": f"[[sim: error_event_after={after}]]"}]}]
    array = contents(action="streamGenerateContent", contents=asked).json
    assert len(array) == after + 1
    assert array[-1]["error"]["status"] == "INTERNAL"
    events = contents(action="streamGenerateContent?alt=sse", contents=asked).body.split(b"\r\n\r\n")[:-1]
    assert json.loads(events[-1].removeprefix(b"data: ")) == array[-1]
    assert contents(contents=asked).status == 500


def test_counting_takes_contents_or_a_whole_request(contents: Post) -> None:
    whole = {
        "model": "models/m",
        "contents": [HELLO],
        "systemInstruction": {"parts": [{"text": "x" * 40}]},
        "tools": TOOLS,
    }
    plain = contents(action="countTokens").json["totalTokens"]
    counted = contents(action="countTokens", contents=..., generateContentRequest=whole).json
    assert counted["totalTokens"] > plain + 10
    assert counted["promptTokensDetails"] == [{"modality": "TEXT", "tokenCount": counted["totalTokens"]}]
    assert contents(action="countTokens", generateContentRequest=whole).status == 400
    assert "Unknown name" in contents(action="countTokens", tools=TOOLS).json["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"[" * 5000])
def test_what_is_no_json_object_gets_the_envelope(call: Post, body: bytes) -> None:
    answer = call("/v1beta/models/m:generateContent", body, {"x-goog-api-key": "k"})
    assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_how_it_ended_is_told_in_words(contents: Post) -> None:
    def ended(text: str) -> dict[str, Any]:
        return contents(contents=[{"parts": [{"text": text}]}], tools=TOOLS).json["candidates"][0]

    assert ended("f, please")["finishMessage"] == "Model generated function call(s)."
    assert ended("[[sim: refusal=No, thank you]]")["finishMessage"] == "No, thank you"
    assert ended("[[sim: stop_reason=RECITATION]]")["finishReason"] == "RECITATION"
    assert "finishMessage" not in ended("Hello")

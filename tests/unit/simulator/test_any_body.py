"""Whatever the body, a request is answered or refused; it never breaks the simulator."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.providers.simulator import anthropic, gemini, openai_chat, openai_responses, proofs
from bytespike.providers.simulator.directives import Defaults
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.prefix_cache import PrefixCache
from tests.support.simulator_http import Post

WORLD = World(b"0", Defaults.of(""), PrefixCache(time.monotonic))
HEADERS = {"authorization": "Bearer k", "anthropic-version": "2023-06-01", "x-goog-api-key": "k"}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
CLAUDE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
    "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "f and read [[sim: delay=1]]"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]}]},
    ],
    "stream": True,
}  # fmt: skip
GPT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "f [[sim: pace=1]]", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            ],
        },
        {"role": "assistant", "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "t1", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    "stop": ["x"],
    "n": 2,
    "logprobs": True,
    "top_logprobs": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
}  # fmt: skip

RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "s",
    "input": [
        {"role": "developer", "content": "s"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "f [[agent: run x]] [[sim: pace=1]]", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"},
        ]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}],
         "encrypted_content": proofs.encrypt_reasoning(WORLD.seed, bytes(12))},
        {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": [{"type": "input_text", "text": "r"}]},
        {"type": "custom_tool_call", "call_id": "t2", "name": "c", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "t2", "output": "r"},
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "g", "parameters": SCHEMA}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "custom", "name": "c"}]},
        {"type": "web_search", "filters": {"allowed_domains": ["x"]}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "top_logprobs": 1,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
}  # fmt: skip
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "f [[sim: pace=1]]"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
        {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {"a": 1}},
                                     "thoughtSignature": proofs.sign_thought(WORLD.seed, bytes(12))}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"output": "r"}}}]},
    ],
    "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}]},
              {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "generationConfig": {"temperature": 1, "candidateCount": 2, "stopSequences": ["x"], "responseLogprobs": True, "logprobs": 1,
                         "responseMimeType": "application/json", "responseJsonSchema": SCHEMA,
                         "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 5}},
}  # fmt: skip
HANDLERS = [
    (anthropic.messages, CLAUDE),
    (openai_chat.completions, GPT),
    (openai_responses.responses, RESPONSES),
    (gemini.stream, GEMINI),
]

_small = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.just([]), st.just({})
)  # fmt: skip
_junk = st.recursive(
    _small,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


def changed(body: Any, path: tuple[Any, ...], junk: Any, drop: bool) -> Any:
    body = copy.deepcopy(body)
    node = body
    try:
        for step in path[:-1]:
            node = node[step]
        if drop:
            del node[path[-1]]
        else:
            node[path[-1]] = junk
    except (KeyError, IndexError, TypeError):
        pass  # an earlier change took that place away
    return body


def answered(handler: Callable[[Incoming, World], Reply], body: Any) -> None:
    incoming = Incoming("POST", "/", "", HEADERS, json.dumps(body).encode(), 1)
    try:
        reply = handler(incoming, WORLD)
    except Fault:
        return
    frames = list(reply.frames) if reply.frames is not None else [reply.body]
    assert all(frames)


def test_the_bodies_that_are_changed_are_accepted_as_they_are() -> None:
    for handler, body in HANDLERS:
        assert handler(Incoming("POST", "/", "", HEADERS, json.dumps(body).encode(), 1), WORLD).status == 200


@pytest.mark.parametrize(
    ("handler", "body"),
    HANDLERS,
    ids=["anthropic", "openai", "responses", "gemini"],
)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_body_is_answered_or_refused(handler: Any, body: Any, data: st.DataObject) -> None:
    spots = places(body)
    for _ in range(data.draw(st.integers(1, 3))):
        body = changed(body, data.draw(st.sampled_from(spots)), data.draw(_junk), data.draw(st.booleans()))
    answered(handler, body)


def schema_format(schema: str) -> str:
    return '{"type":"json_schema","name":"n","strict":true,"schema":' + schema + "}"


@pytest.mark.parametrize("depth", [50, 200, 400, 2000])
def test_deep_nesting_is_answered_or_refused(call: Post, depth: int) -> None:
    opening = '{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":'
    schema = opening * depth + '{"type":"string"}' + "}}" * depth
    asked = '"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]'
    claude = "{" + asked + ',"output_config":{"format":{"type":"json_schema","schema":' + schema + "}}}"
    form = '{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":' + schema + "}}"
    gpt = "{" + asked + ',"response_format":' + form + "}"
    responses = '{"model":"m","input":"x","text":{"format":' + schema_format(schema) + "}}"
    gemini_ = (
        '{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"responseMimeType":"application/json",'
    )
    gemini_ += '"responseJsonSchema":' + schema + "}}"
    for path, body in (
        ("/v1/messages", claude),
        ("/v1/chat/completions", gpt),
        ("/v1/responses", responses),
        ("/v1beta/models/m:generateContent", gemini_),
    ):
        answer = call(path, body.encode(), HEADERS)
        assert answer.status in (200, 400)
        assert answer.headers["content-type"] == "application/json"

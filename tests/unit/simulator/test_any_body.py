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

from bytespike.providers.simulator import anthropic, openai_chat
from bytespike.providers.simulator.directives import Defaults
from bytespike.providers.simulator.exchange import Fault, Incoming, Reply, World
from bytespike.providers.simulator.prefix_cache import PrefixCache
from tests.support.simulator_http import Post

WORLD = World(b"0", Defaults.of(""), PrefixCache(time.monotonic))
HEADERS = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
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
    for handler, body in ((anthropic.messages, CLAUDE), (openai_chat.completions, GPT)):
        assert handler(Incoming("POST", "/", "", HEADERS, json.dumps(body).encode(), 1), WORLD).status == 200


@pytest.mark.parametrize(
    ("handler", "body"),
    [(anthropic.messages, CLAUDE), (openai_chat.completions, GPT)],
    ids=["anthropic", "openai"],
)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_body_is_answered_or_refused(handler: Any, body: Any, data: st.DataObject) -> None:
    spots = places(body)
    for _ in range(data.draw(st.integers(1, 3))):
        body = changed(body, data.draw(st.sampled_from(spots)), data.draw(_junk), data.draw(st.booleans()))
    answered(handler, body)


@pytest.mark.parametrize("depth", [50, 200, 400, 2000])
def test_deep_nesting_is_answered_or_refused(call: Post, depth: int) -> None:
    opening = '{"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":'
    schema = opening * depth + '{"type":"string"}' + "}}" * depth
    asked = '"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]'
    claude = "{" + asked + ',"output_config":{"format":{"type":"json_schema","schema":' + schema + "}}}"
    form = '{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":' + schema + "}}"
    gpt = "{" + asked + ',"response_format":' + form + "}"
    for path, body in (("/v1/messages", claude), ("/v1/chat/completions", gpt)):
        answer = call(path, body.encode(), HEADERS)
        assert answer.status in (200, 400)
        assert answer.headers["content-type"] == "application/json"

"""Whatever the bytes, the readers of the chat dialect raise their own error or none.

Real shapes are mutated, because random bytes do not get past the first brace: a node of the JSON is replaced, removed or
doubled, or bytes are flipped, cut and spliced.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.core.dialect import Peek, Target
from bytespike.core.events import Done, Failed
from bytespike.core.fold import Fold
from bytespike.errors import GatewayError, InvalidRequest, UpstreamError
from bytespike.protocols.openai_chat import DIALECT, quirks

REQUEST: dict[str, Any] = {
    "model": "gpt",
    "messages": [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        },
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JV", "filename": "a.pdf"},
                },
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": "t",
            "refusal": None,
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "index": 0},
                {
                    "type": "reasoning.encrypted",
                    "data": "d",
                    "format": "openai-responses-v1",
                    "index": 1,
                    "id": "rs",
                },
            ],
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": "u",
                        "title": "t",
                        "start_index": 0,
                        "end_index": 1,
                        "block": True,
                    },
                }
            ],
            "citation_details": [{"kind": "char", "start_index": 0, "end_index": 1, "extras": {"a": {}}}],
            "server_tool_calls": [
                {
                    "index": 0,
                    "id": "s",
                    "name": "web_search",
                    "arguments": "{}",
                    "result": {"kind": "k", "content": []},
                }
            ],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "d", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
        {"role": "system", "content": "later"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
        {
            "type": "custom",
            "custom": {
                "name": "g",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
            },
        },
    ],
    "functions": [{"name": "h"}],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    "parallel_tool_calls": True,
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "x"}}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low", "max_tokens": 5},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["a"],
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "max_tokens": 5,
    "metadata": {"a": "b"},
}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                **REQUEST["messages"][2],
                "audio": {"id": "a", "data": "AA", "expires_at": 1, "transcript": "t"},
                "images": [{"image_url": {"url": "https://x.test"}}],
                "executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "o"}],
                "extra_content": {"google": {"thought_signature": "s"}},
            },
            "logprobs": {"content": [{}], "refusal": []},
            "finish_reason": "stop",
            "native_finish_reason": "x",
            "stop_reason": "y",
        }
    ],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_cache_hit_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 1}},
        "completion_tokens_details": {"reasoning_tokens": 1},
        "server_tool_use": {"web_search_requests": 1},
    },
}
MESSAGE = ANSWER["choices"][0]["message"]
DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": ""},
    {"reasoning_content": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0}]},
    {"reasoning_details": MESSAGE["reasoning_details"]},
    {"content": "t"},
    {
        "content": [
            {"type": "text", "text": "x"},
            {"type": "thinking", "thinking": [{"type": "text", "text": "y"}]},
        ]
    },
    {"annotations": MESSAGE["annotations"], "citation_details": MESSAGE["citation_details"]},
    {"server_tool_calls": MESSAGE["server_tool_calls"]},
    {"executed_tools": MESSAGE["executed_tools"], "images": MESSAGE["images"]},
    {"tool_calls": [{"index": 0, **MESSAGE["tool_calls"][0]}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, **MESSAGE["tool_calls"][1]}]},
    {"function_call": {"name": "f", "arguments": "{"}},
    {"audio": MESSAGE["audio"], "refusal": "no", "extra_content": MESSAGE["extra_content"]},
]
CHUNKS: list[dict[str, Any]] = [
    *[
        {"id": "chatcmpl-1", "model": "m", "created": 1, "choices": [{"index": 0, "delta": delta}]}
        for delta in DELTAS
    ],
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {"content": [{}]}}]},
    {"choices": [], "usage": ANSWER["usage"], "x_groq": {"usage": ANSWER["usage"]}, "moderation": {}},
]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["", "data:", "data:image/png;base64,", "system", "custom", "reasoning.encrypted", "enabled", "{}"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just({})), max_size=3),
    st.dictionaries(
        st.sampled_from(["type", "text", "id", "index", "name", "content"]), st.text(max_size=3), max_size=3
    ),
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, member in value.items():
            found += nodes(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += nodes(member, (*path, index))
    return found


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:
    value = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in nodes(value) if path] or [()]))
        if not path:
            return draw(JUNK)
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "double"])):
            case "replace":
                holder[path[-1]] = draw(JUNK)
            case "remove":
                del holder[path[-1]]
            case _ if isinstance(holder, list):
                holder.append(holder[path[-1]])
            case _:
                holder[path[-1]] = [holder[path[-1]]]
    return value


@st.composite
def torn(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes flipped, cut out and spliced in."""
    at = draw(st.integers(0, len(data)))
    end = draw(st.integers(at, min(len(data), at + 20)))
    return data[:at] + draw(st.binary(max_size=6)) + data[end:]


def stream_of(chunks: list[Any]) -> bytes:
    return (
        b"".join([b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]) + b"data: [DONE]\n\n"
    )


REQUESTS = st.one_of(
    mutated(REQUEST).map(lambda body: json.dumps(body).encode()), torn(json.dumps(REQUEST).encode())
)
ANSWERS = st.one_of(
    mutated(ANSWER).map(lambda body: json.dumps(body).encode()), torn(json.dumps(ANSWER).encode())
)
STREAMS = st.one_of(
    mutated(CHUNKS).map(lambda value: stream_of(value if isinstance(value, list) else [value])),
    torn(stream_of(CHUNKS)),
)
CAPABILITIES = ["vision", "tools", "thinking", "json_schema", "web_search", "documents", "audio"]


@settings(max_examples=100, deadline=None)
@given(
    REQUESTS, st.sets(st.sampled_from(sorted(quirks.ALL)), max_size=6), st.sets(st.sampled_from(CAPABILITIES))
)
def test_a_request_is_refused_or_read_and_what_is_read_is_refused_or_written(
    body: bytes, switches: set[str], able: set[str]
) -> None:
    try:
        request = DIALECT.read_request(body)
    except InvalidRequest as error:
        assert error.message
        return
    try:
        written = DIALECT.write_request(request, Target("m", "f", frozenset(able), 100, frozenset(switches)))
    except InvalidRequest as error:
        assert error.message
        return
    assert json.loads(written.body)["model"] == "m"
    for notice in written.notices:
        assert str(notice).isascii()
        assert not set(str(notice)) & set(",;\r\n")


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_peek_refuses_or_sees_and_what_it_sees_can_be_patched(body: bytes) -> None:
    try:
        seen = DIALECT.peek(body)
        patched = DIALECT.patch_request(body, seen, Target("another"))
    except InvalidRequest as error:
        assert error.message
        return
    # What peek skips over it does not check: bad UTF-8 deep inside is the upstream's to refuse.
    assert DIALECT.peek(patched).model == "another"


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_an_answer_is_malformed_or_read(body: bytes) -> None:
    try:
        response = DIALECT.read_response(body)
    except GatewayError as error:
        assert isinstance(error, UpstreamError) or error.about
        assert error.message
    else:
        assert min(response.usage.input, response.usage.output, response.usage.reasoning) >= 0
    try:
        DIALECT.patch_response(body, "m")
    except GatewayError as error:
        assert isinstance(error, UpstreamError) or error.about
        assert error.message
    for status in (200, 400, 429, 500):
        assert DIALECT.read_error(status, {}, body).about in ("request", "channel", "upstream")


@settings(max_examples=100, deadline=None)
@given(STREAMS, st.lists(st.integers(1, 400), max_size=8))
def test_a_stream_is_read_in_the_grammars_order_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    reader, whole = DIALECT.stream_reader(), DIALECT.stream_reader()
    folded = Fold()
    pieces: list[bytes] = []
    rest = stream
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    events = [event for piece in [*pieces, rest] for event in reader.feed(piece)] + reader.end()
    for event in events:
        folded.add(event)
    assert isinstance(events[-1], (Done, Failed))
    assert events == whole.feed(stream) + whole.end()
    assert reader.feed(b"data: {}\n\n") == []


@settings(max_examples=100, deadline=None)
@given(STREAMS, st.integers(0, 4000), st.booleans())
def test_a_tap_lets_pass_fails_and_agrees_with_itself_however_it_is_cut(
    stream: bytes, cut: int, usage: bool
) -> None:
    seen = Peek("m", True, stream_usage=usage)
    whole, cut_up = DIALECT.tap(seen, "m"), DIALECT.tap(seen, "m")
    out = whole.feed(stream) + whole.end()
    assert cut_up.feed(stream[:cut]) + cut_up.feed(stream[cut:]) + cut_up.end() == out
    assert (whole.complete, whole.usage, whole.produced_chars) == (
        cut_up.complete,
        cut_up.usage,
        cut_up.produced_chars,
    )
    assert (whole.failure is None) == (cut_up.failure is None)

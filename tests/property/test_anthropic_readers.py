"""Whatever the bytes, the readers of the Anthropic dialect raise their own two errors or none.

Bodies are real ones (recorded, where the recordings are there), with values replaced, removed, moved, or bytes broken.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytespike.core import events as e
from bytespike.core.dialect import Peek
from bytespike.core.fold import fold
from bytespike.errors import GatewayError, InvalidRequest, UpstreamError
from bytespike.protocols.anthropic_messages import DIALECT
from tests.support.anthropic_events import TEXT, THINKING, block, delta, ending, sse, start, stop, tool
from tests.support.anthropic_targets import ALL, REPLY, say
from tests.support.anthropic_traffic import EXCHANGES

_SIZE_MAX = 20_000

REQUESTS: list[dict[str, Any]] = [
    say(
        ("user", [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]),
        ("assistant", [{"type": "thinking", "thinking": "", "signature": "S"}, tool(input={"a": [1]})]),
        (
            "user",
            [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "b"}]}],
        ),
        tools=[
            {"name": "f", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        metadata={"user_id": "u"},
    )
] + [x.request for x in EXCHANGES if x.request is not None and len(json.dumps(x.request)) < _SIZE_MAX]
ANSWERS: list[dict[str, Any]] = [start(content=[{"type": "text", "text": "a"}, tool()])["message"]] + [
    x.response for x in EXCHANGES if x.response is not None and len(json.dumps(x.response)) < _SIZE_MAX
]
STREAMS: list[bytes] = [
    sse(
        start(),
        block(0, THINKING),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="S"),
        stop(0),
        block(1, TEXT),
        delta(1, "text_delta", text="a"),
        stop(1),
        block(2, tool()),
        delta(2, "input_json_delta", partial_json='{"a":1}'),
        stop(2),
        ending("tool_use"),
        {"type": "message_stop"},
    )
] + [x.stream for x in EXCHANGES if x.stream is not None and len(x.stream) < _SIZE_MAX]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["type", "text", "tool_use", "tool_result", "thinking", "document", "base64", "enabled", "auto", ""]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
relaxed = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *[place for key, member in members for place in _places(member, (*path, key))]]


@st.composite
def mutated(draw: st.DrawFn, bodies: list[dict[str, Any]]) -> bytes:
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 3))):
        *parents, last = draw(st.sampled_from(_places(body)[1:] or [("x",)]))
        holder: Any = body
        for key in parents:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "remove", "rename"])):
            case "replace":
                holder[last] = draw(anything)
            case "remove":
                del holder[last]
            case _ if isinstance(holder, dict):
                holder[draw(st.text(max_size=6))] = holder.pop(last)
            case _:
                pass
    return draw(broken(json.dumps(body).encode())) if draw(st.booleans()) else json.dumps(body).encode()


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "insert", "drop", "flip"])):
            case "cut":
                data = data[:at]
            case "insert":
                data = data[:at] + draw(st.binary(max_size=4)) + data[at:]
            case "drop":
                data = data[:at] + data[at + draw(st.integers(1, 40)) :]
            case _:
                data = (
                    data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
                    if at < len(data)
                    else data
                )
    return data


@relaxed
@given(mutated(REQUESTS))
def test_a_request_is_read_or_refused(body: bytes) -> None:
    with suppress(InvalidRequest):
        DIALECT.peek(body)
    try:
        request = DIALECT.read_request(body)
    except InvalidRequest:
        return
    try:
        result = DIALECT.write_request(request, ALL)
    except InvalidRequest:
        return
    assert isinstance(json.loads(result.body), dict)


@relaxed
@given(mutated(ANSWERS))
def test_an_answer_is_read_or_the_upstreams_error(body: bytes) -> None:
    try:
        DIALECT.patch_response(body, "mine")
    except GatewayError as error:
        # An error inside of a success says whose fault it is.
        assert isinstance(error, UpstreamError) or error.about
    try:
        response = DIALECT.read_response(body)
    except GatewayError as error:
        assert isinstance(error, UpstreamError) or error.about
        return
    written = DIALECT.write_response(response, REPLY)
    assert json.loads(written.body)["model"] == REPLY.model


@relaxed
@given(st.integers(400, 599), st.sampled_from(ANSWERS).map(json.dumps).map(str.encode).flatmap(broken))
def test_an_error_answer_is_always_read(status: int, body: bytes) -> None:
    failure = DIALECT.read_error(status, {"retry-after": body[:20].decode("latin-1")}, body)
    assert failure.about in ("request", "channel", "upstream")
    assert failure.error.message


@relaxed
@given(st.sampled_from(STREAMS).flatmap(broken), st.integers(1, 4000))
def test_a_stream_is_read_or_fails_and_never_raises(stream: bytes, step: int) -> None:
    reader, tap = DIALECT.stream_reader(), DIALECT.tap(Peek("m", True), "mine")
    events: list[e.Event] = []
    out = b""
    for at in range(0, len(stream), step):
        events += reader.feed(stream[at : at + step])
        out += tap.feed(stream[at : at + step])
    events += reader.end()
    out += tap.end()
    assert isinstance(events[-1], (e.Done, e.Failed))
    assert sum(isinstance(event, (e.Done, e.Failed)) for event in events) == 1
    fold(events)
    assert tap.complete or tap.failure is not None
    if isinstance(events[-1], e.Done) and tap.failure is None:
        assert tap.usage is None or tap.usage == events[-1].usage
    whole = DIALECT.stream_reader()
    assert whole.feed(stream) + whole.end() == events

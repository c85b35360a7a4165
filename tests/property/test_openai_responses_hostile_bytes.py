"""Whatever the bytes, the readers of the Responses dialect raise their own error or none.

Real shapes are mutated, because random bytes do not get past the first brace: a node of the JSON is replaced, removed or
doubled, or bytes are flipped, cut and spliced.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bytespike.core import content as c
from bytespike.core.dialect import Peek, Target
from bytespike.core.events import Done, Failed
from bytespike.core.fold import Fold
from bytespike.errors import GatewayError, InvalidRequest, UnsupportedFeature
from bytespike.protocols.openai_responses import DIALECT, echo_of, stored
from tests.support.responses_bodies import ALL, REPLY, asked, framed, output, response_of

ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "developer", "content": "d"},
    {
        "role": "user",
        "content": [
            {
                "type": "input_text",
                "text": "x",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
            },
            {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "low"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,JV", "filename": "a.pdf"},
        ],
    },
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "t"}],
        "encrypted_content": "enc",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "t",
                "annotations": [
                    {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1},
                    {
                        "type": "file_citation",
                        "file_id": "f",
                        "filename": "n",
                        "index": 0,
                        "bytespike": {"kind": "page"},
                    },
                ],
                "logprobs": [{"token": "t", "logprob": -1, "bytes": [1], "top_logprobs": [{"token": "u"}]}],
            },
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "c", "outputs": []},
    {
        "type": "image_generation_call",
        "id": "ig_1",
        "status": "completed",
        "result": "iVBO",
        "output_format": "png",
    },
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "enc"},
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "namespace": "n",
        "name": "f",
        "arguments": "{}",
    },
    {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
    *output(
        c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")),
        c.ServerToolCallPart("s", "web_search", '{"query":"q"}', "anthropic_messages"),
        c.ToolCallPart("c3", "f", "{}", proof=c.Proof("gemini", "sig")),
    ),
]
OUTPUTS: list[dict[str, Any]] = [
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "r"}]},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "r"},
    {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "h"}]},
]
REQUEST: dict[str, Any] = {
    "model": "gpt",
    "instructions": "i",
    "input": [*ITEMS, *OUTPUTS],
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "f"}]},
        {"type": "web_search", "filters": {"allowed_domains": ["a"]}, "user_location": {"city": "x"}},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
        "verbosity": "low",
    },
    "response_format": {"type": "json_object"},
    "include": ["message.output_text.logprobs"],
    "max_output_tokens": 5,
    "metadata": {"a": "b"},
    "stream": True,
    "top_logprobs": 2,
    "user": "u",
}
ANSWER: dict[str, Any] = response_of(
    *ITEMS[2:], tool_usage={"web_search": {"num_requests": 1}}, tools=REQUEST["tools"]
)


def _streamed() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**ANSWER, "output": [], "status": "in_progress"}}
    ]
    for index, item in enumerate(ITEMS[2:]):
        place = {"output_index": index, "item_id": item.get("id")}
        events.append({"type": "response.output_item.added", **place, "item": item})
        if item["type"] == "message":
            for number, part in enumerate(item["content"]):
                where = {**place, "content_index": number}
                kind = "output_text" if part["type"] == "output_text" else "refusal"
                events.append({"type": "response.content_part.added", **where, "part": part})
                events.append(
                    {
                        "type": f"response.{kind}.delta",
                        **where,
                        "delta": "t",
                        "logprobs": part.get("logprobs"),
                    }
                )
                events += [
                    {"type": "response.output_text.annotation.added", **where, "annotation": note}
                    for note in part.get("annotations", [])
                ]
                events.append({"type": "response.content_part.done", **where, "part": part})
        elif item["type"] == "reasoning":
            events.append(
                {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": "s"}
            )
            events.append(
                {"type": "response.reasoning_text.delta", **place, "content_index": 0, "delta": "t"}
            )
        elif item["type"] == "function_call":
            events.append({"type": "response.function_call_arguments.delta", **place, "delta": "{}"})
        events.append({"type": "response.output_item.done", **place, "item": item})
    return [*events, {"type": "response.completed", "response": ANSWER}]


EVENTS = _streamed()
VALUES: list[Any] = [
    None, True, 0, -1, 1e300, "", "x", "\ud800", [], {}, [None], {"type": "x"}, "function_call", "reasoning", "message",
    [[[]]], 2**70,
]  # fmt: skip
relaxed = settings(max_examples=150, deadline=None, database=None)


def _nodes(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        found += _nodes(value[key])
    return found


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> bytes:
    """The value with up to three nodes changed, and sometimes its bytes too."""
    made = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        nodes = _nodes(made)
        if not nodes:
            break
        holder, key = nodes[draw(st.integers(0, len(nodes) - 1))]
        match draw(st.sampled_from(["replace", "remove", "double"])):
            case "replace":
                holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
            case "remove":
                del holder[key]
            case _:
                holder[key] = [holder[key], holder[key]]
    data = json.dumps(made).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0 and data:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 4)) :]
    return data


@relaxed
@given(mutated(REQUEST))
def test_a_request_is_read_or_refused(data: bytes) -> None:
    target = Target("t", capabilities=ALL)
    try:
        seen = DIALECT.peek(data)
        DIALECT.patch_request(data, seen, target)
    except InvalidRequest:
        pass
    try:
        request = DIALECT.read_request(data)
    except InvalidRequest:
        return
    try:
        json.loads(DIALECT.write_request(request, target).body)
    except UnsupportedFeature:
        pass


@relaxed
@given(mutated(REQUEST), mutated(ITEMS))
def test_what_is_kept_of_a_request_is_kept_or_refused(data: bytes, chain: bytes) -> None:
    echo_of(data)
    try:
        DIALECT.peek(data)
        stored.list_page(stored.input_items(data, "resp_1"))
        stored.without_previous(data)
        items = json.loads(chain)
        stored.expand(
            data, [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        )
    except (InvalidRequest, ValueError):
        pass


@relaxed
@given(mutated(REQUEST))
def test_any_request_can_be_echoed(data: bytes) -> None:
    echo = echo_of(data)
    reply = type(REPLY)(REPLY.model, REPLY.response_id, echo=echo)
    response = DIALECT.read_response(json.dumps(ANSWER).encode())
    json.loads(DIALECT.write_response(response, reply).body)


@relaxed
@given(mutated(ANSWER))
def test_an_answer_is_read_or_is_the_upstreams_error(data: bytes) -> None:
    try:
        DIALECT.patch_response(data, "m")
    except GatewayError as error:
        assert not isinstance(error, UnsupportedFeature)
    try:
        response = DIALECT.read_response(data)
    except GatewayError as error:
        assert not isinstance(error, UnsupportedFeature)
        return
    DIALECT.write_response(response, asked(tools=REQUEST["tools"]))


@st.composite
def broken_streams(draw: st.DrawFn) -> bytes:
    events = [framed(event) for event in EVENTS]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(events) - 1))
        match draw(st.sampled_from(["mutate", "remove", "double", "swap", "cut"])):
            case "mutate":
                events[at] = b"data: " + draw(mutated(EVENTS[min(at, len(EVENTS) - 1)])) + b"\n\n"
            case "remove":
                del events[at]
            case "double":
                events.insert(at, events[at])
            case "swap":
                other = draw(st.integers(0, len(events) - 1))
                events[at], events[other] = events[other], events[at]
            case _:
                events[at] = events[at][: draw(st.integers(0, len(events[at])))]
        if not events:
            break
    return b"".join(events)


@relaxed
@given(broken_streams(), st.integers(1, 400))
def test_a_stream_is_read_in_order_or_fails(stream: bytes, step: int) -> None:
    reader = DIALECT.stream_reader()
    folded = Fold()
    last: Any = None
    for at in range(0, len(stream), step):
        for event in reader.feed(stream[at : at + step]):
            folded.add(event)
            last = event
    for event in reader.end():
        folded.add(event)
        last = event
    assert isinstance(last, (Done, Failed))
    tap = DIALECT.tap(Peek("m", True), "m")
    keeper = stored.Keeper()
    for at in range(0, len(stream), step):
        keeper.feed(tap.feed(stream[at : at + step]))
    tap.end()
    keeper.end()
    assert tap.complete or tap.failure is not None


@relaxed
@given(
    st.integers(100, 599),
    st.binary(max_size=60) | mutated({"error": {"message": "m", "code": "c", "param": "p"}}),
)
def test_any_error_answer_means_something(status: int, data: bytes) -> None:
    failure = DIALECT.read_error(status, {"retry-after": data.decode("latin-1")}, data)
    assert failure.about in ("request", "channel", "upstream")

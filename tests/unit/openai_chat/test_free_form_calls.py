"""Free-form tools of a client whose model had to take them for functions: their calls come home free-form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish
from bytespike.core.fold import Fold, unfold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import NO_USAGE
from bytespike.protocols.openai_chat import DIALECT

TOOLS = [
    {"type": "custom", "custom": {"name": "patch"}},
    {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}},
]
ASKED = json.dumps({"model": "m", "messages": [], "tools": TOOLS}).encode()
REPLY = Reply("m", "chatcmpl-1", echo=DIALECT.echo(ASKED))


def answered(*calls: c.ToolCallPart) -> ChatResponse:
    return ChatResponse("up", "m", (Candidate(calls, Finish("tool_calls")),))


def whole(*calls: c.ToolCallPart, reply: Reply = REPLY) -> list[dict[str, Any]]:
    message = json.loads(DIALECT.write_response(answered(*calls), reply).body)["choices"][0]["message"]
    return message["tool_calls"]


def streamed(events: list[e.Event]) -> tuple[c.Part, ...]:
    reader = DIALECT.stream_reader()
    heard = Fold()
    for event in reader.feed(DIALECT.stream_writer(REPLY).write(events)) + reader.end():
        heard.add(event)
    return heard.response().candidates[0].parts


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "*** Begin\\n\\u00e9"}', "*** Begin\né"),
        ('{"input": ""}', ""),
        # What is not the function's one string is what the model wrote.
        ('{"input": 1}', '{"input": 1}'),
        ('{"input": "a", "more": 1}', '{"input": "a", "more": 1}'),
        ('{"input": "a', '{"input": "a'),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_the_functions_one_string_is_the_tools_input(arguments: str, text: str) -> None:
    call = c.ToolCallPart("call_1", "patch", arguments)
    assert whole(call) == [{"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": text}}]
    expected = c.ToolCallPart("call_1", "patch", text, "custom")
    assert streamed(list(unfold(answered(call)))) == (expected,)


def test_a_call_whose_arguments_come_in_pieces_waits_for_its_end() -> None:
    call = c.ToolCallPart("call_1", "patch", "")
    pieces = ['{"inp', 'ut": "a', "b", '"}']
    events: list[e.Event] = [
        e.Started("up", "m"),
        e.PartStart(0, call),
        *(e.InputDelta(0, piece) for piece in pieces),
        e.PartEnd(0),
        e.Finished(Finish("tool_calls")),
        e.Done(NO_USAGE),
    ]
    assert streamed(events) == (c.ToolCallPart("call_1", "patch", "ab", "custom"),)


def test_other_calls_stay_what_they_are() -> None:
    find = c.ToolCallPart("call_1", "find", '{"input": "x"}')
    free = c.ToolCallPart("call_2", "patch", '{"input": "x"}', "custom")
    assert [call["type"] for call in whole(find, free)] == ["function", "custom"]
    assert whole(free)[0]["custom"]["input"] == '{"input": "x"}'
    assert streamed(list(unfold(answered(find, free)))) == (find, free)
    # Where the client offered no free-form tool, nothing is turned.
    plain = Reply("m", "chatcmpl-1")
    assert whole(c.ToolCallPart("call_1", "patch", "{}"), reply=plain)[0]["type"] == "function"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"custom"',
        b'["custom"]',
        b'{"tools": "custom"}',
        b'{"tools": [{"type": "custom"}, {"type": "custom", "custom": {"name": 3}}, "custom", null]}',
        b'{"messages": [{"role": "user", "content": "custom"}], "tools": [{"type": "function"}]}',
    ],
)
def test_a_request_without_free_form_tools_echoes_nothing(body: bytes) -> None:
    assert DIALECT.echo(body) is None


def test_the_clients_next_turn_gives_the_call_back_as_it_got_it() -> None:
    (call,) = whole(c.ToolCallPart("call_1", "patch", '{"input": "x"}'))
    messages = [
        {"role": "user", "content": "Patch it"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]
    request = DIALECT.read_request(json.dumps({"model": "m", "messages": messages, "tools": TOOLS}).encode())
    (given,) = request.turns[1].parts
    (result,) = request.turns[2].parts
    assert given == c.ToolCallPart("call_1", "patch", "x", "custom")
    assert isinstance(result, c.ToolResultPart)
    assert result.kind == "custom"

"""Tool names that a target cannot carry are shortened on the way there, and come back whole in the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.dialect import Dialect, Reply, Target
from bytespike.core.fold import fold, unfold
from bytespike.core.renaming import fitting_name, renamed_tools, restored_event, restored_response
from bytespike.core.request import ChatRequest
from bytespike.pipeline.translation import Translation
from bytespike.protocols import anthropic_messages, openai_chat

LONG = "mcp__a_server_with_a_long_name__" + "x" * 110
LONGER = LONG + "y"
TARGET = Target("m", capabilities=frozenset({"tools"}))
LIMITS = pytest.mark.parametrize(
    ("dialect", "limit"),
    [(openai_chat.DIALECT, 64), (anthropic_messages.DIALECT, 128)],
    ids=["chat", "messages"],
)


def names_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["name"]} if isinstance(value.get("name"), str) else set()
        return own.union(*(names_in(member) for member in value.values()))
    if isinstance(value, list):
        return set().union(*(names_in(member) for member in value))
    return set()


def test_a_name_that_fits_stays() -> None:
    assert fitting_name("f" * 64, 64) == "f" * 64
    assert not renamed_tools((t.FunctionTool("f"), t.WebSearchTool()), 64)


def test_a_long_name_keeps_its_beginning_and_differs_from_others() -> None:
    one, other = fitting_name(LONG, 64), fitting_name(LONGER, 64)
    assert one != other
    assert len(one) == len(other) == 64
    assert one.startswith("mcp__a_server_with_a_long_name__")
    assert fitting_name(LONG, 64) == one


@LIMITS
def test_every_place_of_a_name_in_a_request_agrees(dialect: Dialect, limit: int) -> None:
    request = ChatRequest(
        model="client",
        turns=(
            c.Turn("user", (c.TextPart("hi"),)),
            c.Turn("assistant", (c.ToolCallPart("c1", LONG, "{}"),)),
            c.Turn("user", (c.ToolResultPart("c1", (c.TextPart("x"),), name=LONG),)),
        ),
        tools=(t.FunctionTool(LONG), t.CustomTool(LONGER), t.FunctionTool("short")),
        tool_choice=t.ToolChoice("named", (LONG,)),
    )
    written = dialect.write_request(request, TARGET)
    assert dict(written.renamed) == {fitting_name(LONG, limit): LONG, fitting_name(LONGER, limit): LONGER}
    body = json.loads(written.body)
    assert names_in(body) - {"m"} == {*written.renamed, "short"}
    assert fitting_name(LONG, limit) in json.dumps(body["tool_choice"])


def test_an_allowed_subset_is_found_by_the_clients_names() -> None:
    request = ChatRequest(
        model="client",
        turns=(c.Turn("user", (c.TextPart("hi"),)),),
        tools=(t.FunctionTool(LONG), t.FunctionTool("short")),
        tool_choice=t.ToolChoice("auto", (LONG,)),
    )
    for quirks in (frozenset[str](), frozenset({"no_allowed_tools"})):
        target = Target("m", capabilities=frozenset({"tools"}), quirks=quirks)
        body = json.loads(openai_chat.DIALECT.write_request(request, target).body)
        assert names_in(body["tool_choice"]) | names_in(body["tools"]) >= {fitting_name(LONG, 64)}
        assert LONG not in json.dumps(body)
    narrowed = json.loads(anthropic_messages.DIALECT.write_request(request, TARGET).body)["tools"]
    assert [tool["name"] for tool in narrowed] == [fitting_name(LONG, 128)]


@LIMITS
def test_an_answer_has_the_clients_names_again(dialect: Dialect, limit: int) -> None:
    renamed = renamed_tools((t.FunctionTool(LONG),), limit)
    answer = {
        "id": "x",
        "choices": [
            {
                "message": {
                    "tool_calls": [
                        {"id": "a", "function": {"name": fitting_name(LONG, limit), "arguments": "{}"}},
                        {"id": "b", "function": {"name": "short", "arguments": "{}"}},
                    ]
                },
                "finish_reason": "tool_calls",
            }
        ],
    }
    read = openai_chat.DIALECT.read_response(json.dumps(answer).encode())
    restored = restored_response(read, renamed)
    assert [part.name for part in restored.candidates[0].parts if isinstance(part, c.ToolCallPart)] == [
        LONG,
        "short",
    ]
    events = [restored_event(event, renamed) for event in unfold(read)]
    assert fold(events).candidates == restored.candidates
    reader = openai_chat.DIALECT.stream_reader()
    writer = anthropic_messages.DIALECT.stream_writer(Reply("client", "id"))
    chunk = {"index": 0, "id": "a", "function": {"name": fitting_name(LONG, limit), "arguments": "{}"}}
    stream = {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [chunk]}, "finish_reason": None}]}
    told = Translation(reader, writer, renamed).feed(b"data: " + json.dumps(stream).encode() + b"\n\n")
    assert LONG.encode() in told

"""The official `anthropic` SDK against the simulator itself: tools and thinking."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import (
    ThinkingBlock,
    ToolUseBlock,
)

from bytespike.providers.simulator.server import Simulator
from bytespike.providers.simulator.tokens import count
from tests.support.json_schema_check import violations
from tests.support.simulator_claude import CLOCK, WEATHER, ask, said, user


def test_a_tool_round_trip(claude: Anthropic) -> None:
    first = ask(claude, "What is the weather? Use get_weather.", tools=[WEATHER, CLOCK])
    assert first.stop_reason == "tool_use"
    (call,) = first.content
    assert isinstance(call, ToolUseBlock)
    assert call.name == "get_weather"
    assert violations(call.input, WEATHER["input_schema"]) == []
    second = claude.messages.create(
        model="claude-x",
        max_tokens=1000,
        tools=[WEATHER, CLOCK],
        messages=[
            *user("What is the weather? Use get_weather."),
            first.to_param(),
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 degrees"}],
            },
        ],
    )
    assert second.stop_reason == "end_turn"
    assert "get_weather gave" in said(second)
    assert "sunny, 21 degrees" in said(second)


def test_a_failed_tool_is_told_apart(claude: Anthropic) -> None:
    first = ask(claude, "get_time", tools=[CLOCK])
    (call,) = first.content
    assert isinstance(call, ToolUseBlock)
    second = claude.messages.create(
        model="m",
        max_tokens=1000,
        messages=[
            *user("get_time"),
            first.to_param(),
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": call.id,
                        "is_error": True,
                        "content": [{"type": "text", "text": "no clock"}],
                    }
                ],
            },
        ],
        tools=[CLOCK],
    )
    assert 'get_time failed with: "no clock"' in said(second)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "auto"}, []),
        ({"type": "none"}, []),
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
    ],
)
def test_tool_choice_is_obeyed(claude: Anthropic, choice: Any, names: list[str]) -> None:
    message = ask(claude, "Hello", tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [block.name for block in message.content if isinstance(block, ToolUseBlock)] == names


@pytest.mark.parametrize(("disabled", "calls"), [(False, 2), (True, 1)])
def test_parallel_calls_unless_they_are_disabled(claude: Anthropic, disabled: bool, calls: int) -> None:
    message = ask(
        claude,
        "In parallel, get_weather and get_time",
        tools=[WEATHER, CLOCK],
        tool_choice={"type": "auto", "disable_parallel_tool_use": disabled},
    )
    blocks = [block for block in message.content if isinstance(block, ToolUseBlock)]
    assert len(blocks) == calls
    assert len({block.id for block in blocks}) == calls


@pytest.mark.parametrize(
    "thinking",
    [
        {"type": "enabled", "budget_tokens": 1024},
        {"type": "adaptive"},
        {"type": "adaptive", "display": "summarized"},
    ],
)
def test_thinking_comes_signed_and_is_billed_as_output(claude: Anthropic, thinking: Any) -> None:
    message = ask(claude, "Think!", thinking=thinking)
    thought = message.content[0]
    assert isinstance(thought, ThinkingBlock)
    assert thought.signature
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == count(thought.thinking)
    assert message.usage.output_tokens == count(thought.thinking) + count(said(message))


def test_omitted_thinking_shows_nothing_and_is_still_signed_and_billed(claude: Anthropic) -> None:
    message = ask(claude, "Think!", thinking={"type": "adaptive", "display": "omitted"})
    thought = message.content[0]
    assert isinstance(thought, ThinkingBlock)
    assert thought.thinking == ""
    assert thought.signature
    assert message.usage.output_tokens > count(said(message))


def test_thinking_sent_back_unchanged_is_accepted_and_a_changed_one_is_not(claude: Anthropic) -> None:
    text = "Think, then get_time. [[sim: redacted]]"
    first = ask(claude, text, tools=[CLOCK], thinking={"type": "enabled", "budget_tokens": 1024})
    call = first.content[-1]
    assert isinstance(call, ToolUseBlock)
    assert [block.type for block in first.content] == ["thinking", "redacted_thinking", "tool_use"]

    def again(content: list[Any]) -> anthropic.types.Message:
        return claude.messages.create(
            model="m",
            max_tokens=4000,
            tools=[CLOCK],
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[
                *user(text),
                {"role": "assistant", "content": content},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "noon"}],
                },
            ],
        )

    blocks = [block.to_dict() for block in first.content]
    assert "noon" in said(again(blocks))
    signature = str(blocks[0]["signature"])
    flipped = ("A" if signature[20] != "A" else "B").join((signature[:20], signature[21:]))
    for broken in (
        {"signature": flipped},
        {"signature": "not base64!"},
        {"thinking": "other thoughts"},
    ):
        with pytest.raises(anthropic.BadRequestError, match=r"messages\.1\.content\.0: Invalid `signature`"):
            again([{**blocks[0], **broken}, *blocks[1:]])
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.1\.content\.1: Invalid `data`"):
        again([blocks[0], {**blocks[1], "data": signature}, *blocks[2:]])
    with pytest.raises(anthropic.BadRequestError, match="must start with a thinking"):
        again(blocks[2:])


def test_a_proof_of_another_seed_is_refused(claude: Anthropic) -> None:
    thought = ask(claude, "Think!", thinking={"type": "adaptive"}).content[0]
    with (
        Simulator(seed=8) as other,
        Anthropic(base_url=other.base_url, api_key="any", max_retries=0) as foreign,
    ):
        messages: list[Any] = [
            *user("Think!"),
            {"role": "assistant", "content": [thought.to_dict()]},
            *user("And?"),
        ]
        claude.messages.create(model="m", max_tokens=10, messages=messages)
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            foreign.messages.create(model="m", max_tokens=10, messages=messages)


def test_max_tokens_inside_a_call_leaves_its_arguments_unfinished(claude: Anthropic) -> None:
    text = 'get_time [[sim: tool=get_time args={"a": "0123456789012345678901234567890123456789"}]]'
    limit = count("get_time") + 3
    assert ask(claude, text, max_tokens=limit, tools=[CLOCK]).stop_reason == "max_tokens"
    with claude.messages.stream(model="m", max_tokens=limit, tools=[CLOCK], messages=user(text)) as stream:
        arguments = "".join(event.partial_json for event in stream if event.type == "input_json")
    assert arguments == '{"a": "01234'


def test_thinking_between_tools_starts_with_the_first_result(claude: Anthropic) -> None:
    thinking: Any = {"type": "between_tools"}
    first = ask(claude, "get_time", tools=[CLOCK], thinking=thinking)
    (call,) = first.content
    assert isinstance(call, ToolUseBlock)
    result: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "noon"}]
    second = claude.messages.create(
        model="m",
        max_tokens=500,
        tools=[CLOCK],
        thinking=thinking,
        messages=[*user("get_time"), first.to_param(), {"role": "user", "content": result}],
    )
    assert [block.type for block in second.content] == ["thinking", "text"]


def test_the_tools_that_anthropic_defines_are_called_with_their_own_input(claude: Anthropic) -> None:
    tools: Any = [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    ]
    (bash,) = ask(claude, "bash", tools=tools).content
    (editor,) = ask(claude, "str_replace_based_edit_tool", tools=tools).content
    assert isinstance(bash, ToolUseBlock)
    assert bash.input == {"command": "echo simulator"}
    assert isinstance(editor, ToolUseBlock)
    assert editor.input["command"] == "view"

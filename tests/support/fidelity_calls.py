"""Probes of calls of tools and of their results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from tests.support.fidelity import Asked, C, G, M, R
from tests.support.fidelity_tools import TOOL
from tests.support.fidelity_words import (
    CALL,
    CALL_TEXT,
    PNG,
    parts,
    results,
)


def exchange(dialect: str, result: Any, arguments: str = CALL_TEXT) -> dict[str, Any]:
    """A conversation with one call, answered by `result`: a block, message, item or part."""
    if dialect == M:
        messages = [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": json.loads(arguments)}
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", **result}]},
        ]
        return {**TOOL[M], "messages": messages}
    if dialect == C:
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": arguments},
        }
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", **result},
        ]
        return {**TOOL[C], "messages": messages}
    if dialect == R:
        items = [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": arguments},
            {"type": "function_call_output", "call_id": "call_1", **result},
        ]
        return {**TOOL[R], "input": items}
    turns = [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"id": "call_1", "name": "weather", "args": json.loads(arguments)}}],
        },
        {"role": "user", "parts": [{"functionResponse": {"id": "call_1", "name": "weather", **result}}]},
    ]
    return {**TOOL[G], "contents": turns}


TEXT_RESULT: dict[str, dict[str, Any]] = {
    M: {"content": "18 degrees"},
    C: {"content": "18 degrees"},
    R: {"output": "18 degrees"},
    G: {"response": {"output": "18 degrees"}},
}


def calls() -> Iterator[tuple[str, Asked]]:
    def called(request: ChatRequest) -> bool:
        made = parts(request, c.ToolCallPart)
        answered = results(request)
        return [(each.name, json.loads(each.arguments)) for each in made] == [("weather", CALL)] and [
            each.call_id for each in answered
        ] == [made[0].id]

    exchanged = {dialect: exchange(dialect, TEXT_RESULT[dialect]) for dialect in (M, C, R, G)}
    yield "calls", Asked(called, exchanged)
    yield (
        "call_ids",
        Asked(
            lambda request: (
                parts(request, c.ToolCallPart)[0].id in ("toolu_1", "call_1")
                and results(request)[0].call_id in ("toolu_1", "call_1")
            ),
            exchanged,
        ),
    )
    yield (
        "broken_arguments",
        Asked(
            lambda request: parts(request, c.ToolCallPart)[0].arguments == '{"city": "Par',
            {each: exchange(each, TEXT_RESULT[each], '{"city": "Par') for each in (C, R)},
        ),
    )
    yield (
        "result_text",
        Asked(lambda request: "18 degrees" in str(results(request)[0].content), exchanged),
    )
    image = f"data:image/png;base64,{PNG}"

    def pictured(request: ChatRequest) -> bool:
        return any(
            isinstance(part, c.ImagePart) and getattr(part.source, "data", "") == PNG
            for each in results(request)
            for part in each.content
        )

    yield (
        "result_image",
        Asked(
            pictured,
            {
                M: exchange(
                    M,
                    {
                        "content": [
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                            }
                        ]
                    },
                ),
                R: exchange(R, {"output": [{"type": "input_image", "image_url": image}]}),
                G: exchange(
                    G,
                    {
                        "response": {"output": {"$ref": "x"}},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                    },
                ),
            },
        ),
    )
    yield (
        "result_error",
        Asked(
            lambda request: results(request)[0].is_error,
            {
                M: exchange(M, {"content": "no such city", "is_error": True}),
                G: exchange(G, {"response": {"error": "no such city"}}),
            },
        ),
    )
    yield (
        "custom_call",
        Asked(
            lambda request: (
                [(each.kind, each.arguments) for each in parts(request, c.ToolCallPart)]
                == [("custom", "SELECT 1")]
            ),
            {
                C: {
                    "messages": [
                        {"role": "user", "content": "Hi"},
                        {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {
                                    "id": "call_1",
                                    "type": "custom",
                                    "custom": {"name": "sql", "input": "SELECT 1"},
                                }
                            ],
                        },
                        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
                    ],
                    "tools": [{"type": "custom", "custom": {"name": "sql"}}],
                },
                R: {
                    "input": [
                        {"role": "user", "content": "Hi"},
                        {
                            "type": "custom_tool_call",
                            "call_id": "call_1",
                            "name": "sql",
                            "input": "SELECT 1",
                        },
                        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1"},
                    ],
                    "tools": [{"type": "custom", "name": "sql"}],
                },
            },
        ),
    )

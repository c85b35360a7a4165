"""Probes of what servers of the Model Context Protocol did, in histories and in answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from tests.support.fidelity import Answered, Asked, C, G, M, R

#: Messages: a call and its result, in an assistant's turn.
BLOCKS: list[dict[str, Any]] = [
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "x", "input": {"say": "hey"}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcptoolu_1",
        "is_error": False,
        "content": [{"type": "text", "text": "hey"}],
    },
    {"type": "text", "text": "It said hey."},
]
#: Responses: the server's tools, a call with its output, and what the model says of it.
ITEMS: list[dict[str, Any]] = [
    {
        "type": "mcp_list_tools",
        "id": "mcpl_1",
        "server_label": "x",
        "tools": [
            {"name": "echo", "input_schema": {"type": "object"}, "annotations": None, "description": None}
        ],
    },
    {
        "type": "mcp_call",
        "id": "mcp_1",
        "server_label": "x",
        "name": "echo",
        "arguments": '{"say":"hey"}',
        "output": "hey",
        "error": None,
        "approval_request_id": None,
        "status": "completed",
    },
    {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "It said hey.", "annotations": []}],
    },
]
APPROVAL: list[dict[str, Any]] = [
    {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "server_label": "x",
        "name": "echo",
        "arguments": '{"say":"hey"}',
    },
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
]


def _called(parts: tuple[c.Part, ...]) -> bool:
    return any(isinstance(part, c.ServerToolCallPart) and "hey" in part.arguments for part in parts)


def _in_history(request: ChatRequest) -> bool:
    return any(_called(turn.parts) for turn in request.turns)


def _in_answer(response: ChatResponse) -> bool:
    return _called(response.candidates[0].parts)


def _approved(request: ChatRequest) -> bool:
    kinds = [part.kind for turn in request.turns for part in turn.parts if isinstance(part, c.ForeignPart)]
    return kinds == ["mcp_approval_request", "mcp_approval_response"]


def servers_in_histories() -> Iterator[tuple[str, Asked]]:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": BLOCKS},
        {"role": "user", "content": "And?"},
    ]
    items = [{"role": "user", "content": "Hi"}, *ITEMS, {"role": "user", "content": "And?"}]
    yield "mcp_history", Asked(_in_history, {M: {"messages": messages}, R: {"input": items}})
    asked = [{"role": "user", "content": "Hi"}, ITEMS[0], *APPROVAL]
    yield "mcp_approval", Asked(_approved, {R: {"input": asked}})


def servers_in_answers() -> Iterator[tuple[str, Answered]]:
    yield (
        "answer_mcp",
        Answered(_in_answer, {M: {"content": BLOCKS}, R: {"output": ITEMS}}, frozenset({M, C, R, G})),
    )

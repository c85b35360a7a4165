"""The request with which a client goes on: the answer given back as it came, its calls answered, or something more said."""

from __future__ import annotations

import copy
from typing import Any

from msgspec import Struct


class Then(Struct, frozen=True, forbid_unknown_fields=True):
    """`result`: what every call gives. `say`: what the user says, instead or after."""

    result: str | None = None
    say: str | None = None


def next_request(dialect: str, request: dict[str, Any], answer: dict[str, Any], then: Then) -> dict[str, Any]:
    body = copy.deepcopy(request)
    _GO_ON[dialect](body, answer, then)
    return body


def _anthropic(body: dict[str, Any], answer: dict[str, Any], then: Then) -> None:
    user: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": then.result}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    if then.say is not None:
        user.append({"type": "text", "text": then.say})
    body["messages"] += [
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": user},
    ]


def _chat(body: dict[str, Any], answer: dict[str, Any], then: Then) -> None:
    message = answer["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": then.result}
        for call in message.get("tool_calls") or ()
    ]
    said = [] if then.say is None else [{"role": "user", "content": then.say}]
    body["messages"] += [message, *results, *said]


def _responses(body: dict[str, Any], answer: dict[str, Any], then: Then) -> None:
    before = body["input"]
    if isinstance(before, str):
        before = [{"role": "user", "content": before}]
    results = [
        {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": then.result}
        for item in answer["output"]
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    said = [] if then.say is None else [{"role": "user", "content": then.say}]
    body["input"] = [*before, *answer["output"], *results, *said]


def _gemini(body: dict[str, Any], answer: dict[str, Any], then: Then) -> None:
    content = answer["candidates"][0]["content"]
    parts: list[dict[str, Any]] = []
    for part in content.get("parts", ()):
        if "functionCall" in part:
            call = part["functionCall"]
            id_ = {"id": call["id"]} if "id" in call else {}
            parts.append(
                {"functionResponse": {**id_, "name": call["name"], "response": {"output": then.result}}}
            )
    if then.say is not None:
        parts.append({"text": then.say})
    body["contents"] += [content, {"role": "user", "parts": parts}]


_GO_ON = {
    "anthropic_messages": _anthropic,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
}

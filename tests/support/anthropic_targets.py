"""Targets and small builders for the tests of the Anthropic dialect."""

from __future__ import annotations

import json
from typing import Any

from bytespike.core.dialect import Reply, Target, Written
from bytespike.core.request import ChatRequest
from bytespike.protocols.anthropic_messages import DIALECT

CAPABILITIES = frozenset({"vision", "tools", "thinking", "json_schema", "web_search", "documents"})
#: Takes budgets and sampling, as the models up to Opus 4.5 do.
OLDER = Target("claude-haiku-4-5", "claude", CAPABILITIES, 64_000)
#: Thinks adaptively, takes system turns and no sampling, as the models from Opus 4.8 on do.
NEWER = Target(
    "claude-opus-4-8",
    "claude",
    CAPABILITIES,
    128_000,
    frozenset({"adaptive_thinking", "system_turns", "effort_xhigh", "no_sampling"}),
)
#: Takes everything that some model takes: nothing is lost on it that this dialect can carry.
ALL = Target("claude-any", "claude", CAPABILITIES, 10**9, frozenset({"system_turns", "effort_xhigh"}))
REPLY = Reply(model="the-model", response_id="req_01TEST")


def read(body: dict[str, Any]) -> ChatRequest:
    return DIALECT.read_request(json.dumps(body).encode())


def ask(**members: Any) -> dict[str, Any]:
    """A request body: the least that is valid, and `members`."""
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]} | members


def say(*messages: tuple[str, Any], **members: Any) -> dict[str, Any]:
    """A request body with these (role, content) messages."""
    return ask(messages=[{"role": role, "content": content} for role, content in messages], **members)


def written(request: ChatRequest, target: Target = OLDER) -> tuple[dict[str, Any], Written]:
    result = DIALECT.write_request(request, target)
    return json.loads(result.body), result


def notices(result: Written) -> list[str]:
    return [f"{notice.feature}: {notice.action}" for notice in result.notices]

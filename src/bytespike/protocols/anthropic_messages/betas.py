"""Which `anthropic-beta` flags a written request needs.

A passed-through request keeps the flags that its client sent. A written one gets those of the features that it uses.
Source of the flags: `AnthropicBetaParam` of the official SDK and the notes on its parameters. A flag for a feature that
has left beta since does no harm, so features that only newer models have without a flag are listed too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from bytespike.protocols.anthropic_messages.blocks_write import Block

_BY_PARAMETER = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "compaction": "compact-2026-09-04",
    "fallbacks": "server-side-fallback-2026-07-01",
    "fallback_credit_token": "fallback-credit-2026-07-01",
    "thread": "message-threads-2026-08-12",
    "billing_policy": "user-profiles-billing-2026-10-01",
    "speed": "fast-mode-2026-02-01",
}
_BY_BLOCK = {
    "compaction": "compact-2026-01-12",
    "container_upload": "files-api-2025-04-14",
    "tool_addition": "mid-conversation-tool-changes-2026-07-01",
    "tool_removal": "mid-conversation-tool-changes-2026-07-01",
}
_BY_TOOL = {
    "advisor_20260301": "advisor-tool-2026-03-01",
    "computer_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
}
_BY_MESSAGE = {
    "clear_at": "mid-conversation-system-clear-at-2026-08-21",
    "output_config": "mid-conversation-output-config-2026-07-01",
}
#: The parameters that `_by_settings` looks into.
_WITH_SETTINGS = frozenset({"context_management", "output_config", "container", "thinking"})
_COMPACT_EDIT = ("compact_", "compact-2026-01-12")
_FILES = "files-api-2025-04-14"
_TASK_BUDGET = "task-budgets-2026-03-13"
_THINKING_UPDATES = "thinking-display-updates-2026-08-18"
_THINKING_BINDING = "thinking-binding-controls-2026-08-01"
_SKILLS = "skills-2025-10-02"


def betas_for(body: Block, messages: Iterable[Block], blocks: Iterable[Block]) -> tuple[str, ...]:
    """The flags for a body, its messages and all their blocks, each once."""
    found: dict[str, None] = {}
    if not _BY_PARAMETER.keys().isdisjoint(body):
        for key, flag in _BY_PARAMETER.items():
            if body.get(key) is not None:
                found[flag] = None
    if not _WITH_SETTINGS.isdisjoint(body):
        for flag in _by_settings(body):
            found[flag] = None
    if "tools" in body:
        for tool in _members(body["tools"]):
            needed = _BY_TOOL.get(str(_member(tool, "type")))
            if needed:
                found[needed] = None
    for message in messages:
        if not _BY_MESSAGE.keys().isdisjoint(message):
            for key, flag in _BY_MESSAGE.items():
                if key in message:
                    found[flag] = None
    for block in blocks:
        if block["type"] in _BY_BLOCK:
            found[_BY_BLOCK[str(block["type"])]] = None
        if "source" in block and _member(block["source"], "type") == "file":
            found[_FILES] = None
    return tuple(found)


def _by_settings(body: Block) -> Iterable[str]:
    edits = _members(_member(body.get("context_management"), "edits"))
    if any(str(_member(edit, "type")).startswith(_COMPACT_EDIT[0]) for edit in edits):
        yield _COMPACT_EDIT[1]
    if _member(body.get("output_config"), "task_budget") is not None:
        yield _TASK_BUDGET
    if _member(body.get("container"), "skills") is not None:
        yield _SKILLS
    thinking = body.get("thinking")
    if _member(thinking, "display") == "updates":
        yield _THINKING_UPDATES
    if _member(thinking, "block_binding") is not None:
        yield _THINKING_BINDING


def _member(value: object, key: str) -> object:
    return cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None


def _members(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []

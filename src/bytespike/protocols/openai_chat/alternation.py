"""For targets whose chat template wants a user's and an assistant's message in turns: neighbours of one role become one.

Calls and their results are no neighbours of this kind: a message that calls tools ends what can be joined.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject

_PARAGRAPH: Final = "\n\n"
_ROLES: Final = frozenset({"user", "assistant"})
#: Members that two messages may have and still be one.
_PLAIN: Final = frozenset({"role", "content"})


def alternating(messages: list[JSON]) -> list[JSON]:
    """The messages, joined where two of one role follow each other. Texts are joined by an empty line."""
    joined: list[JSON] = []
    for message in messages:
        last = joined[-1] if joined else None
        if isinstance(last, dict) and isinstance(message, dict) and _are_one(last, message):
            joined[-1] = {"role": last["role"], "content": _content(last["content"], message["content"])}
        else:
            joined.append(message)
    return joined


def _are_one(first: JSONObject, second: JSONObject) -> bool:
    return (
        first.get("role") in _ROLES
        and first.get("role") == second.get("role")
        and first.keys() == second.keys() == _PLAIN
    )


def _content(first: JSON, second: JSON) -> JSON:
    if isinstance(first, str) and isinstance(second, str):
        return first + _PARAGRAPH + second
    return [*_parts(first), *_parts(second)]


def _parts(content: JSON) -> list[JSON]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []

"""Calls of a client's free-form tools, from an upstream that had to take the tools for functions.

The answer does not say that the function stood in for a tool of another type; the client's request does. So the names
of its free-form tools travel in `core.dialect.Reply.echo`.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core.content import Part, ToolCallPart
from bytespike.core.dialect import Layout, Reply
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.free_form import unwrapped
from bytespike.protocols.openai_chat.names import NAME
from bytespike.wire import json
from bytespike.wire.layout import excerpt

_CUSTOM: Final = "custom"
_IN_BODY: Final = b'"custom"'
_NAMES: Final = "free_form_tools"
_READ: Final = frozenset({"tools"})
_NONE: Final[frozenset[str]] = frozenset()


def echo_of(body: bytes, layout: Layout | None = None) -> JSONObject | None:
    """For `Reply.echo`: the names of the request's free-form tools; None if it has none. Never raises."""
    if _IN_BODY not in body:
        return None
    try:
        tools = json.decode_object(excerpt(body, layout, _READ)).get("tools")
    except json.NotJSON:
        return None
    names: list[JSON] = []
    for tool in tools if isinstance(tools, list) else []:
        told = tool.get(_CUSTOM) if isinstance(tool, dict) and tool.get("type") == _CUSTOM else None
        name = told.get("name") if isinstance(told, dict) else None
        if isinstance(name, str):
            names.append(name)
    return {_NAMES: names} if names else None


def free_form_names(reply: Reply) -> frozenset[str]:
    names = None if reply.echo is None else reply.echo.get(_NAMES)
    return frozenset(str(name) for name in names) if isinstance(names, list) else _NONE


def stood_in(part: Part, names: frozenset[str]) -> bool:
    """Whether the part calls a function that stood in for one of the client's free-form tools."""
    return (
        isinstance(part, ToolCallPart)
        and part.kind == "function"
        and part.name in names
        and NAME not in part.extras
    )


def come_home(part: Part, names: frozenset[str]) -> Part:
    """The part as the client's own tools are called."""
    if isinstance(part, ToolCallPart) and stood_in(part, names):
        return structs.replace(part, kind="custom", arguments=unwrapped(part.arguments))
    return part

"""Tool names that a target cannot carry: shortened on the way there, and the client's own again in the answer.

A pure function of the name, so that definition, choice, history and a later turn agree without a memory. What was
renamed travels beside the written request (`core.dialect.Written.renamed`), because an answer does not know its request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import structs

from bytespike.core import events as e
from bytespike.core.content import Part, ToolCallPart
from bytespike.core.response import ChatResponse
from bytespike.core.tools import CustomTool, FunctionTool, Tool

_HASH_CHARS = 10
NO_RENAMES: Mapping[str, str] = {}


def fitting_name(name: str, chars_max: int) -> str:
    """The name itself where it is short enough, else its beginning and a hash of it all."""
    if len(name) <= chars_max:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{name[: chars_max - _HASH_CHARS - 1]}_{digest}"


def renamed_tools(tools: Sequence[Tool], chars_max: int) -> Mapping[str, str]:
    """The client's names by those that were sent, of the tools whose names were too long."""
    if not tools:
        return NO_RENAMES
    names = [
        tool.name
        for tool in tools
        if isinstance(tool, FunctionTool | CustomTool) and len(tool.name) > chars_max
    ]
    return {fitting_name(name, chars_max): name for name in names} if names else NO_RENAMES


def restored_response(response: ChatResponse, renamed: Mapping[str, str]) -> ChatResponse:
    """An upstream's answer with the client's names of its tools."""
    if not renamed:
        return response
    candidates = tuple(
        structs.replace(candidate, parts=tuple(_restored(part, renamed) for part in candidate.parts))
        for candidate in response.candidates
    )
    return structs.replace(response, candidates=candidates)


def restored_event(event: e.Event, renamed: Mapping[str, str]) -> e.Event:
    """The same for an event of a stream."""
    if isinstance(event, e.PartStart):
        return structs.replace(event, part=_restored(event.part, renamed))
    if isinstance(event, e.PartEnd) and event.part is not None:
        return structs.replace(event, part=_restored(event.part, renamed))
    return event


def _restored(part: Part, renamed: Mapping[str, str]) -> Part:
    if isinstance(part, ToolCallPart) and part.name in renamed:
        return structs.replace(part, name=renamed[part.name])
    return part

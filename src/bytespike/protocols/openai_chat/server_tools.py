"""Tools that run at the provider: `server_tool_calls`, our own list, and Groq's `executed_tools`.

    {"index", "id", "name", "origin", "arguments", "result": {"kind", "content", "is_error"}}

A result stands in the entry of its call where it directly follows it. Otherwise (calls inside of calls, a call in an
earlier message) it has an entry of its own, without a name, so that the order of calls and results is kept. In a stream
an entry comes in two pieces with the same index, the call and then the result, so that clients that merge deltas by
index end up with the unary form.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.content import Part, ServerToolCallPart, ServerToolResultPart
from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject
from bytespike.wire import fields as f

#: Groq's "agentic tooling" (compound models) names its own tools so.
_GROQ_NAMES: Final = {"search": "web_search", "visit": "web_fetch", "python": "code_execution"}
_GROQ_MEMBERS: Final = frozenset({"index", "type", "arguments"})


def read_entry(entry: JSONObject) -> tuple[ServerToolCallPart | None, ServerToolResultPart | None]:
    """One entry. Raises `Wrong`."""
    call_id = f.optional_text(entry, "id") or ""
    origin = f.optional_text(entry, "origin") or ""
    name = f.optional_text(entry, "name")
    call = None
    if name is not None:
        arguments = f.optional_text(entry, "arguments") or ""
        call = ServerToolCallPart(call_id, name, arguments, origin, extras=_extras(entry))
    found = f.optional_object(entry, "result")
    result = None
    if found is not None:
        result = ServerToolResultPart(
            call_id,
            f.optional_text(found, "kind") or "",
            found.get("content"),
            f.optional_text(found, "origin") or origin,
            is_error=f.optional_flag(found, "is_error") or False,
            extras=_extras(found),
        )
    return call, result


def from_groq(tool: JSONObject, call_id: str) -> JSONObject:
    """One of Groq's `executed_tools` as an entry of `server_tool_calls`. Raises `Wrong`."""
    entry: JSONObject = {"id": call_id, "origin": "groq"}
    kind = f.optional_text(tool, "type")
    if kind is not None:
        entry["name"] = _GROQ_NAMES.get(kind, kind)
        entry["arguments"] = f.optional_text(tool, "arguments") or ""
    answered: JSONObject = {
        key: value for key, value in tool.items() if key not in _GROQ_MEMBERS and value is not None
    }
    if answered:
        entry["result"] = {"kind": "executed_tool", "content": answered}
    return entry


def read_server_tools(message: JSONObject, id_prefix: str) -> list[Part]:
    """The provider-side calls and results of a whole message, in its order. Raises `Wrong`."""
    parts: list[Part] = []
    for key in ("server_tool_calls", "executed_tools"):
        values = f.optional_array(message, key)
        for index, entry in enumerate(f.objects(values, key) if values else []):
            try:
                told = from_groq(entry, f"{id_prefix}tool_{index}") if key == "executed_tools" else entry
                parts.extend(part for part in read_entry(told) if part is not None)
            except f.Wrong as wrong:
                raise wrong.under(key, index) from None
    return parts


class StreamedTools:
    """The provider-side calls of one choice of a stream: a result in a later chunk belongs to the call with its index."""

    __slots__ = ("_calls", "_prefix")

    def __init__(self, id_prefix: str) -> None:
        self._prefix = id_prefix
        #: Ids and origins of calls, by the index of their entry.
        self._calls: dict[int, tuple[str, str]] = {}

    def entry(self, entry: JSONObject) -> list[Part]:
        """What an entry of `server_tool_calls` adds. Raises `Wrong`."""
        index = entry.get("index")
        place = index if isinstance(index, int) else len(self._calls)
        known = self._calls.get(place)
        if known is not None and "id" not in entry:
            entry = {**entry, "id": known[0], "origin": entry.get("origin") or known[1]}
        return self._added(entry, place)

    def executed(self, tool: JSONObject, number: int) -> list[Part]:
        """What an entry of Groq's `executed_tools` adds, the one of that number in its chunk. Raises `Wrong`."""
        index = tool.get("index")
        place = index if isinstance(index, int) else number
        return self._added(from_groq(tool, f"{self._prefix}tool_{place}"), place)

    def _added(self, entry: JSONObject, place: int) -> list[Part]:
        call, result = read_entry(entry)
        parts: list[Part] = []
        if call is not None and place not in self._calls:
            self._calls[place] = (call.id, call.origin)
            parts.append(call)
        if result is not None:
            parts.append(result)
        return parts


def _extras(member: JSONObject) -> Extras:
    kept = f.optional_object(member, "extras")
    if not kept:
        return NO_EXTRAS
    return {dialect: members for dialect, members in kept.items() if isinstance(members, dict)}


# --- writing ---------------------------------------------------------------------------------------------------


def write_call(call: ServerToolCallPart) -> JSONObject:
    """The entry for a call, without its index."""
    entry: JSONObject = {
        "id": call.id,
        "type": call.name,
        "name": call.name,
        "origin": call.origin,
        "arguments": call.arguments,
    }
    if call.extras:
        entry["extras"] = dict(call.extras)
    return entry


def write_result(result: ServerToolResultPart, *, origin: str | None) -> JSONObject:
    """The `result` member. `origin` is the call's, where the entry says it already."""
    member: JSONObject = {"kind": result.kind, "content": result.content, "is_error": result.is_error}
    if result.origin != origin:
        member["origin"] = result.origin
    if result.extras:
        member["extras"] = dict(result.extras)
    return member


def write_server_tools(parts: list[Part]) -> list[JSONObject]:
    """The `server_tool_calls` of a whole message."""
    entries: list[JSONObject] = []
    last: ServerToolCallPart | None = None
    for part in parts:
        if isinstance(part, ServerToolCallPart):
            entries.append({"index": len(entries), **write_call(part)})
            last = part
        elif isinstance(part, ServerToolResultPart):
            if last is not None and last.id == part.call_id:
                entries[-1]["result"] = write_result(part, origin=last.origin)
            else:
                entries.append(
                    {"index": len(entries), "id": part.call_id, "result": write_result(part, origin="")}
                )
            last = None
    return entries

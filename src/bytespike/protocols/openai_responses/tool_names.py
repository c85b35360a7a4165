"""Tools in namespaces, under one flat name, and back.

A `namespace` tool groups tools: the model's call says `{"namespace": "crm", "name": "find"}`. No other dialect has that,
so the hub knows such a tool by a flat name, `crm__find`, cut and hashed where it is longer than names may be, or hashed
where another tool of the request has that name already. The flat name is a pure function of the request's own tools, so
the same table is made again from the tools that the answer echoes, and turns a call back into its native form. A call of
the history names its tool natively too; one whose namespace the request no longer offers gets the plain flat name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_responses.names import TOOL_NAME_CHARS_MAX

_JOINT: Final = "__"
_HASH_CHARS: Final = 8
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_-]")


class Native(NamedTuple):
    """A tool as this wire calls it. `namespace` is None for a tool that stands alone; `kind` is its type."""

    namespace: str | None
    name: str
    kind: str


class ToolNames:
    """The table of one request's tools."""

    __slots__ = ("_flat", "_native")

    def __init__(self, tools: JSON) -> None:
        """`tools`: the request's member of that name, as it came; what is malformed in it is skipped."""
        self._native: dict[str, Native] = {}
        self._flat: dict[tuple[str, str], str] = {}
        entries = [entry for entry in tools if isinstance(entry, dict)] if isinstance(tools, list) else []
        for name, kind in _callable(entries):
            self._native.setdefault(name, Native(None, name, kind))
        for entry in entries:
            namespace = entry.get("name")
            inner = entry.get("tools")
            if (
                entry.get("type") != "namespace"
                or not isinstance(namespace, str)
                or not isinstance(inner, list)
            ):
                continue
            for name, kind in _callable([tool for tool in inner if isinstance(tool, dict)]):
                if (namespace, name) not in self._flat:
                    self._add(Native(namespace, name, kind), namespace)

    def _add(self, native: Native, namespace: str) -> None:
        flat = flat_name(namespace, native.name)
        if flat in self._native:
            flat = _hashed(namespace, native.name)
        self._flat[namespace, native.name] = flat
        self._native[flat] = native

    def flat(self, namespace: str | None, name: str) -> str:
        """The hub's name of a tool."""
        if not namespace:
            return name
        return self._flat.get((namespace, name)) or flat_name(namespace, name)

    def anywhere(self, name: str) -> str:
        """The hub's name of a tool that a choice names without its namespace: the one tool of that name."""
        if name in self._native:
            return name
        found = [flat for (_, inner), flat in self._flat.items() if inner == name]
        return found[0] if len(found) == 1 else name

    @property
    def natives(self) -> Mapping[str, Native]:
        """By the hub's name, how this wire calls each tool."""
        return self._native


def _callable(tools: list[JSONObject]) -> Iterator[tuple[str, str]]:
    for tool in tools:
        name, kind = tool.get("name"), tool.get("type")
        if kind in ("function", "custom") and isinstance(name, str):
            yield name, str(kind)


def flat_name(namespace: str, name: str) -> str:
    """`namespace__name` where every dialect takes that as a name, else a readable start of it and a hash."""
    flat = f"{namespace.rstrip('_')}{_JOINT}{name}"
    if len(flat) > TOOL_NAME_CHARS_MAX or _UNSAFE.search(flat):
        return _hashed(namespace, name)
    return flat


def _hashed(namespace: str, name: str) -> str:
    digest = hashlib.sha256(f"{namespace}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    readable = _UNSAFE.sub("_", f"{namespace}{_JOINT}{name}")[: TOOL_NAME_CHARS_MAX - _HASH_CHARS - 1]
    return f"{readable}_{digest}"

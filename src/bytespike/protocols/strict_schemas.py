"""Which JSON Schemas OpenAI enforces.

Structured Outputs with `strict` take a subset: every object says `additionalProperties: false` and requires all of its
properties, and many keywords are not known. Source: OpenAI's guide "Structured Outputs", section "Supported schemas".
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject

_KEYWORDS: Final = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs",
        "definitions", "description", "title", "pattern", "format", "multipleOf", "maximum", "exclusiveMaximum",
        "minimum", "exclusiveMinimum", "minItems", "maxItems", "$schema",
    }
)  # fmt: skip
#: Beyond this many nodes nobody checks; the schema is then a best effort.
_NODES_MAX: Final = 5000


def fits_strict(schema: JSONObject | None) -> bool:
    """Whether OpenAI would take the schema with `strict`. Sure in the positive; a doubt is a no."""
    if schema is None or schema.get("type") != "object":
        return False
    todo: list[JSON] = [schema]
    for _ in range(_NODES_MAX):
        if not todo:
            return True
        node = todo.pop()
        if not isinstance(node, dict) or not node.keys() <= _KEYWORDS or not _closed(node):
            return False
        todo.extend(_below(node))
    return False


def _closed(node: JSONObject) -> bool:
    properties = node.get("properties")
    if node.get("type") != "object" and properties is None:
        return True
    if not isinstance(properties, dict) or node.get("additionalProperties") is not False:
        return False
    required = node.get("required")
    return isinstance(required, list) and set(properties) == {
        name for name in required if isinstance(name, str)
    }


def _below(node: JSONObject) -> list[JSON]:
    found: list[JSON] = []
    for key in ("properties", "$defs", "definitions"):
        members = node.get(key)
        if isinstance(members, dict):
            found.extend(members.values())
    choices = node.get("anyOf")
    if isinstance(choices, list):
        found.extend(choices)
    if "items" in node:
        found.append(node["items"])
    return found

"""Anthropic: the part of JSON Schema that an answer can be held to, in strict tools and in structured output.

Objects are closed, and bounds on numbers, lengths and counts are refused, but for a `minItems` of 0 or 1. Source: the
API's documentation of structured outputs; the refusal of `minimum` was recorded.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator.anthropic_blocks import refuse

_OUT_OF_RANGE = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


def check_grammar(schema: JSON, where: str) -> None:
    """The part of JSON Schema that constrained answers can be held to. Raises `Fault`."""
    if isinstance(schema, list):
        for part in schema:
            check_grammar(part, where)
        return
    if not isinstance(schema, dict):
        return
    kinds = schema.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == "object" and schema.get("additionalProperties") is not False:
            raise refuse(
                f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        for name in _unsupported(kind, schema):
            raise refuse(f"{where}: For '{kind}' type, property '{name}' is not supported")
    for word_ in ("properties", "$defs", "definitions"):
        children = schema.get(word_)
        if isinstance(children, dict):
            for child in children.values():
                check_grammar(child, where)
    for word_ in ("items", "anyOf", "allOf", "prefixItems"):
        check_grammar(schema.get(word_), where)


def _unsupported(kind: JSON, schema: JSONObject) -> list[str]:
    if kind in ("integer", "number"):
        return sorted(_OUT_OF_RANGE & schema.keys())
    if kind == "string":
        return sorted({"minLength", "maxLength"} & schema.keys())
    if kind == "array":
        found = sorted({"maxItems", "uniqueItems"} & schema.keys())
        return found if schema.get("minItems") in (None, 0, 1) else ["minItems", *found]
    return []

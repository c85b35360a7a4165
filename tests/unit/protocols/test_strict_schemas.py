"""Which schemas OpenAI would enforce."""

from __future__ import annotations

from typing import Any

import pytest

from bytespike.protocols.strict_schemas import fits_strict

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def around(inner: Any) -> dict[str, Any]:
    return {**CLOSED, "properties": {"a": inner}}


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        around(CLOSED),
        around({"type": "array", "items": CLOSED, "minItems": 1}),
        around({"anyOf": [CLOSED, {"type": "null"}]}),
        {**around({"$ref": "#/$defs/x"}), "$defs": {"x": CLOSED}},
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    ],
)
def test_a_closed_schema_fits(schema: dict[str, Any]) -> None:
    assert fits_strict(schema)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "array", "items": CLOSED},
        {"type": "object"},
        {**CLOSED, "required": []},
        {**CLOSED, "additionalProperties": True},
        {**CLOSED, "additionalProperties": {"type": "string"}},
        {**CLOSED, "minProperties": 1},
        around({"type": "object"}),
        around({"oneOf": [CLOSED]}),
        around({"type": "array", "items": {"type": "object", "properties": {"b": {}}}}),
        around(True),
        {**CLOSED, "$defs": {"x": {"type": "object"}}},
        {
            **CLOSED,
            "properties": {str(n): {"type": "string"} for n in range(6000)},
            "required": [str(n) for n in range(6000)],
        },
    ],
)
def test_anything_else_or_doubtful_does_not(schema: dict[str, Any] | None) -> None:
    assert not fits_strict(schema)

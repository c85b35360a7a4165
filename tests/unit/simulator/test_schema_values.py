"""Generated values meet their schemas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bytespike.providers.simulator.schema_values import Dice, value_for
from tests.support.json_schema_check import violations


def made(schema: Any, seed: bytes = b"seed") -> Any:
    return value_for(schema, Dice(seed))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {"enum": ["red", "green", 3, None, {"a": 1}]},
        {"const": {"fixed": [1, 2]}},
        {"type": ["null", "integer"]},
        {"type": "integer", "minimum": 5, "maximum": 5},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2},
        {"type": "integer", "minimum": 7, "multipleOf": 5},
        {"type": "integer", "maximum": -3},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 0.01},
        {"type": "number", "minimum": 0.3, "multipleOf": 0.25},
        {"type": "string", "minLength": 40},
        {"type": "string", "maxLength": 3},
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        *({"type": "string", "format": form} for form in ("date-time", "date", "time", "uuid", "uri", "email")),
        *({"type": "string", "format": form} for form in ("ipv4", "ipv6", "hostname", "duration")),
        {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"type": "integer"}, "minItems": 30, "uniqueItems": True},
        {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 20}, "minItems": 20, "uniqueItems": True},
        {"type": "array", "maxItems": 0},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}]},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            ]
        },
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
        {"$defs": {"x": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/x"}},
        {"$defs": {"a/b": {"const": 1}}, "$ref": "#/$defs/a~1b"} | {},
    ],
)  # fmt: skip
def test_a_value_meets_its_schema(schema: dict[str, Any]) -> None:
    if "$ref" in schema:
        assert made(schema) == 1
        return
    assert violations(made(schema), schema) == []


def test_recursive_schemas_come_to_an_end() -> None:
    tree = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "children", "parent"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    }
    value = made(tree)
    assert violations(value, tree["$defs"]["node"], tree) == []


def test_a_schema_that_refers_to_itself_alone_does_not_hang() -> None:
    assert made({"$ref": "#"}) is not ...
    assert (
        made({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})
        is not ...
    )
    assert made({"allOf": [{"$ref": "#"}]}) is not ...


class Step(BaseModel):
    action: str
    seconds: float = Field(gt=0, le=60)


class Plan(BaseModel):
    """A schema as real tools have it."""

    title: str = Field(min_length=3, max_length=20)
    steps: list[Step] = Field(min_length=2)
    priority: int = Field(ge=1, le=5)
    owner: str | None
    tags: dict[str, int]


def test_a_pydantic_schema_is_met_as_pydantic_sees_it() -> None:
    plan = Plan.model_validate(made(Plan.model_json_schema()))
    assert len(plan.steps) >= 2


def test_only_required_properties_are_given_or_the_first_if_none_is() -> None:
    both = {"a": {"type": "string"}, "b": {"type": "string"}}
    assert made({"type": "object", "properties": both, "required": ["b"]}).keys() == {"b"}
    assert made({"type": "object", "properties": both}).keys() == {"a"}


def test_same_seed_same_value_and_another_seed_may_choose_otherwise() -> None:
    schema = {"enum": list(range(1000))}
    assert made(schema, b"one") == made(schema, b"one")
    assert len({made(schema, bytes([seed])) for seed in range(20)}) > 10


# --- any schema ------------------------------------------------------------------------------------------------

_numbers = st.tuples(st.integers(-100, 100), st.integers(0, 50)).map(
    lambda pair: {"minimum": pair[0], "maximum": pair[0] + pair[1]}
)
_scalars = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    _numbers.map(lambda bounds: {"type": "integer", **bounds}),
    _numbers.map(lambda bounds: {"type": "number", **bounds}),
    st.tuples(st.integers(0, 30), st.integers(0, 30)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
    ),
    st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none(), st.booleans()), min_size=1, max_size=4).map(
        lambda choices: {"enum": choices}
    ),
    st.sampled_from(["date", "uuid", "email", "ipv4"]).map(lambda form: {"type": "string", "format": form}),
)  # fmt: skip


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(drawn: tuple[dict[str, Any], bool, bool]) -> dict[str, Any]:
        properties, every, closed = drawn
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if every:
            schema["required"] = list(properties)
        if closed:
            schema["additionalProperties"] = False
        return schema

    names = st.text("abcdefgh_", min_size=1, max_size=6)
    return st.tuples(st.dictionaries(names, children, max_size=4), st.booleans(), st.booleans()).map(build)


def _arrays(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(children, st.integers(0, 3), st.integers(0, 3)).map(
        lambda drawn: {
            "type": "array",
            "items": drawn[0],
            "minItems": drawn[1],
            "maxItems": drawn[1] + drawn[2],
        }
    )


_schemas = st.recursive(
    _scalars,
    lambda children: st.one_of(
        _objects(children),
        _arrays(children),
        st.lists(children, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        children.map(lambda schema: {"$defs": {"it": schema}, "allOf": [{"description": "as is"}, schema]}),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(schema=_schemas, seed=st.binary(max_size=4))
def test_any_schema_is_met(schema: dict[str, Any], seed: bytes) -> None:
    assert violations(made(schema, seed), schema) == []


@settings(max_examples=100, deadline=None)
@given(
    schema=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
        lambda children: st.one_of(
            st.lists(children, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["type", "properties", "items", "$ref", "anyOf", "allOf", "enum", "required", "minimum", "pattern",
                     "minLength", "maxItems", "minItems", "prefixItems", "multipleOf", "additionalProperties"]
                ),
                children,
                max_size=4,
            ),
        ),
        max_leaves=15,
    )
)  # fmt: skip
def test_nonsense_for_a_schema_is_survived(schema: Any) -> None:
    made(schema)

"""Structured output: `output_config.format`, both ways.

Anthropic's schemas are a subset of JSON Schema ("Structured outputs" page, and `transform_schema` of the official SDK):
every object must forbid additional properties, and limits on numbers, lengths and counts are refused. A schema from
another dialect is made to fit: objects are closed, and refused limits move into the description, where the model still
reads them. A schema that fits already comes out as it went in.
"""

from __future__ import annotations

from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.core.request import OutputFormat
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.anthropic_messages.fields import Fields
from bytespike.wire import json
from bytespike.wire.limits import JSON_DEPTH_MAX

#: Asks for what `json_object` means elsewhere; Anthropic has no such switch.
JSON_OBJECT_INSTRUCTION = "Answer with one valid JSON object and nothing else: no prose, no code fence."

_REFUSED_LIMITS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
_SCHEMA_MAPS = ("properties", "$defs", "definitions")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def read_output_format(format_: Fields) -> OutputFormat | None:
    """None for a type that the hub does not know. Raises `WireError`."""
    if format_.string("type") != "json_schema":
        return None
    return OutputFormat("json_schema", format_.object("schema").obj)


def write_output_format(wanted: OutputFormat | None, target: Target, losses: Losses) -> JSONObject | None:
    """`output_config.format`. Raises `UnsupportedFeature` where the model cannot be held to a schema."""
    if wanted is None or wanted.kind != "json_schema":
        return None
    if "json_schema" not in target.capabilities:
        raise UnsupportedFeature(
            "response_format: this model cannot be held to a JSON schema", param="response_format"
        )
    return {"type": "json_schema", "schema": fitted(wanted.schema or {"type": "object"}, losses)}


def fitted(schema: JSONObject, losses: Losses) -> JSONObject:
    if json.nests_deeper(schema, JSON_DEPTH_MAX):
        raise UnsupportedFeature("response_format: the schema nests too deeply", param="response_format")
    return _fitted(schema, losses)


def _fitted(schema: JSONObject, losses: Losses) -> JSONObject:
    out = dict(schema)
    for key in _SCHEMA_MAPS:
        members = out.get(key)
        if isinstance(members, dict):
            out[key] = {name: _sub(member, losses) for name, member in members.items()}
    for key in _SCHEMA_LISTS:
        members = out.get(key)
        if isinstance(members, list):
            out[key] = [_sub(member, losses) for member in members]
    if "items" in out:
        out["items"] = _sub(out["items"], losses)
    if _is_object(out) and out.get("additionalProperties") is not False:
        if "additionalProperties" in out:
            losses.approximated("response_format.schema", "additional properties are not allowed")
        out["additionalProperties"] = False
    limits = {key: out.pop(key) for key in list(out) if key in _REFUSED_LIMITS}
    min_items = out.get("minItems")
    if min_items not in (None, 0, 1):
        limits["minItems"] = out.pop("minItems")
    if limits:
        losses.approximated("response_format.schema", "limits became part of a description")
        spelt = ", ".join(f"{key}: {json.encode(value).decode()}" for key, value in limits.items())
        description = out.get("description")
        out["description"] = f"{description} ({spelt})" if isinstance(description, str) else spelt
    return out


def _sub(schema: JSON, losses: Losses) -> JSON:
    return _fitted(schema, losses) if isinstance(schema, dict) else schema


def _is_object(schema: JSONObject) -> bool:
    type_ = schema.get("type")
    return type_ == "object" or (isinstance(type_, list) and "object" in type_)

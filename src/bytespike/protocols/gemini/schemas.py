"""JSON Schema, and the subset of OpenAPI that Google calls `Schema`; both ways.

`parametersJsonSchema` and `responseJsonSchema` take JSON Schema as it is, `$defs`, `$ref` and unions included; so that is
what is written. Keywords outside of Google's list (google-genai, GenerateContentConfig.response_json_schema) are ignored
by the service; for a response that is a constraint which is not enforced, and noticed. `const` is not in the list and
becomes an `enum` of one value. Beside a `$ref` nothing else may stand.

`parameters` and `responseSchema` take `Schema`: types in upper case, `nullable`, no `$ref`, `const` or `oneOf`. A
client's is read into JSON Schema; it is written for targets with the quirk "openapi_schema", references put in their
place. A schema that refers to itself has no finite form of that kind: there it becomes any object.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.gemini.proto_json import camel_keys
from bytespike.wire import fields as f
from bytespike.wire import json
from bytespike.wire.limits import JSON_DEPTH_MAX

#: Nodes of one schema; more, once references are in their place, is a hostile one.
NODES_MAX: Final = 20_000

_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES: Final = ("items", "additionalProperties", "not", "contains", "propertyNames")
#: Constraints of JSON Schema that Google does not enforce in answers.
_UNENFORCED: Final = frozenset(
    {
        "pattern", "minLength", "maxLength", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems",
        "minProperties", "maxProperties", "patternProperties", "not", "allOf", "contains", "propertyNames", "if",
    }
)  # fmt: skip


# --- JSON Schema for Google --------------------------------------------------------------------------------------


def fitted(schema: JSONObject, feature: str, losses: Losses, *, enforced: bool) -> JSONObject:
    """The schema for a member that takes JSON Schema: itself where it fits. `enforced`: the answer must keep to it.

    Raises `UnsupportedFeature` for a schema that nests too deeply.
    """
    if json.nests_deeper(schema, JSON_DEPTH_MAX):
        raise UnsupportedFeature(f"{feature}: the schema nests too deeply", param=feature)
    if enforced and _holds_any(schema, _UNENFORCED):
        losses.approximated(feature, "some limits of the schema are not enforced")
    return _fitted(schema)


def _fitted(schema: JSONObject) -> JSONObject:
    if "$ref" in schema:
        kept = {key: value for key, value in schema.items() if key.startswith("$")}
        return kept if len(kept) == len(schema) else {**kept, **_below(kept)}
    out = {**schema, **_below(schema)}
    if "const" in out:
        out.setdefault("enum", [out["const"]])
        del out["const"]
    return out


def _below(schema: JSONObject) -> JSONObject:
    """The members that hold schemas, with those fitted."""
    found: JSONObject = {}
    for key in _MAPS:
        members = schema.get(key)
        if isinstance(members, dict):
            found[key] = {name: _sub(member) for name, member in members.items()}
    for key in _LISTS:
        choices = schema.get(key)
        if isinstance(choices, list):
            found[key] = [_sub(choice) for choice in choices]
    for key in _SINGLES:
        if isinstance(schema.get(key), dict):
            found[key] = _sub(schema[key])
    return found


def _sub(schema: JSON) -> JSON:
    return _fitted(schema) if isinstance(schema, dict) else schema


def _holds_any(schema: JSONObject, keywords: frozenset[str]) -> bool:
    todo: list[JSON] = [schema]
    while todo:
        node = todo.pop()
        if not isinstance(node, dict):
            continue
        if not keywords.isdisjoint(node):
            return True
        for key in _MAPS:
            members = node.get(key)
            if isinstance(members, dict):
                todo.extend(members.values())
        for key in _LISTS:
            choices = node.get(key)
            if isinstance(choices, list):
                todo.extend(choices)
        todo.extend([node[key] for key in _SINGLES if key in node])
    return False


# --- Google's Schema, read ---------------------------------------------------------------------------------------

_RENAMED: Final = {"ref": "$ref", "defs": "$defs"}
#: Members of `Schema` that JSON Schema has not.
_GOOGLES_OWN: Final = frozenset({"nullable", "propertyOrdering"})
_INT64: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)


def from_openapi(schema: JSONObject, depth: int = 0) -> JSONObject:
    """Google's `Schema` as JSON Schema. Raises `Wrong`."""
    if depth > JSON_DEPTH_MAX:
        raise f.Wrong("nests too deeply")
    told = camel_keys(schema)
    out: JSONObject = {}
    for key, value in told.items():
        if key in _GOOGLES_OWN or value is None:
            continue
        if key == "type" and isinstance(value, str):
            out["type"] = value.lower()
        elif key == "example":
            out["examples"] = [value]
        elif key in ("properties", "defs", "$defs") and isinstance(value, dict):
            out[_RENAMED.get(key, key)] = {name: _read_sub(member, depth) for name, member in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            out[key] = [_read_sub(choice, depth) for choice in value]
        elif key in ("items", "additionalProperties"):
            out[key] = _read_sub(value, depth)
        elif key in _INT64 and isinstance(value, str) and value.isdecimal():
            # proto3 JSON writes int64 as strings.
            out[key] = int(value[:18])
        else:
            out[_RENAMED.get(key, key)] = value
    return _nullable(out) if told.get("nullable") is True else out


def _read_sub(value: JSON, depth: int) -> JSON:
    return from_openapi(value, depth + 1) if isinstance(value, dict) else value


def _nullable(schema: JSONObject) -> JSONObject:
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
        choices = schema.get("enum")
        if isinstance(choices, list) and None not in choices:
            schema["enum"] = [*choices, None]
        return schema
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        schema["anyOf"] = [*choices, {"type": "null"}]
    return schema


# --- Google's Schema, written --------------------------------------------------------------------------------------

_KEPT: Final = frozenset(
    {
        "title", "description", "format", "default", "pattern", "required", "minItems", "maxItems", "minLength",
        "maxLength", "minProperties", "maxProperties", "minimum", "maximum", "propertyOrdering",
    }
)  # fmt: skip
_KNOWN: Final = _KEPT | {
    "type", "properties", "items", "anyOf", "oneOf", "enum", "const", "$ref", "$defs", "definitions", "examples",
    "additionalProperties", "$schema", "$id", "nullable", "prefixItems",
}  # fmt: skip


def to_openapi(schema: JSONObject, feature: str, losses: Losses) -> JSONObject:
    """JSON Schema as Google's `Schema`. Raises `UnsupportedFeature` for one that is too large."""
    return _Translation(schema, feature, losses).node(schema, ())


class _Translation:
    __slots__ = ("_count", "_feature", "_losses", "_root")

    def __init__(self, root: JSONObject, feature: str, losses: Losses) -> None:
        self._root = root
        self._feature = feature
        self._losses = losses
        self._count = 0

    def node(self, schema: JSON, open_refs: tuple[str, ...], depth: int = 0) -> JSONObject:
        self._count += 1
        if self._count > NODES_MAX or depth > JSON_DEPTH_MAX:
            raise UnsupportedFeature(f"{self._feature}: the schema is too large", param=self._feature)
        if not isinstance(schema, dict):
            return {"type": "OBJECT"} if schema is not False else {"type": "NULL"}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._referred(reference, open_refs, depth)
        if not schema.keys() <= _KNOWN:
            self._losses.approximated(self._feature, "Gemini knows a part of JSON Schema")
        out: JSONObject = {key: value for key, value in schema.items() if key in _KEPT}
        self._type(schema, out)
        self._enum(schema, out)
        properties = schema.get("properties")
        if isinstance(properties, dict):
            out["properties"] = {
                name: self.node(member, open_refs, depth + 1) for name, member in properties.items()
            }
        if "items" in schema:
            out["items"] = self.node(schema["items"], open_refs, depth + 1)
        choices = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(choices, list):
            self._choices(choices, out, open_refs, depth)
        return out

    def _referred(self, reference: str, open_refs: tuple[str, ...], depth: int) -> JSONObject:
        if reference in open_refs:
            self._losses.approximated(self._feature, "a schema that refers to itself is cut off")
            return {"type": "OBJECT"}
        found: JSON = self._root
        for step in reference.removeprefix("#").split("/"):
            if step:
                found = (
                    found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
                )
        if not isinstance(found, dict):
            self._losses.approximated(self._feature, "a reference leads nowhere")
            return {"type": "OBJECT"}
        return self.node(found, (*open_refs, reference), depth + 1)

    def _type(self, schema: JSONObject, out: JSONObject) -> None:
        kind = schema.get("type")
        if isinstance(kind, str):
            out["type"] = kind.upper()
        elif isinstance(kind, list):
            kinds = [name.upper() for name in kind if isinstance(name, str) and name != "null"]
            if len(kinds) < len(kind):
                out["nullable"] = True
            if len(kinds) == 1:
                out["type"] = kinds[0]
            elif kinds:
                out["anyOf"] = [{"type": name} for name in kinds]
        elif "properties" in schema:
            out["type"] = "OBJECT"
        if schema.get("nullable") is True:
            out["nullable"] = True

    def _enum(self, schema: JSONObject, out: JSONObject) -> None:
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(choices, list):
            return
        # Google's enum holds strings, for strings.
        texts: list[JSON] = [choice for choice in choices if isinstance(choice, str)]
        if None in choices:
            out["nullable"] = True
        if len(texts) == len([choice for choice in choices if choice is not None]):
            out["enum"] = texts
            out.setdefault("type", "STRING")
        else:
            spelt = ", ".join(json.encode(choice).decode() for choice in choices)
            described = out.get("description")
            out["description"] = f"{described} (one of: {spelt})" if described else f"one of: {spelt}"
            self._losses.approximated(self._feature, "choices that are no strings became a description")

    def _choices(self, choices: list[JSON], out: JSONObject, open_refs: tuple[str, ...], depth: int) -> None:
        real = [
            choice for choice in choices if not (isinstance(choice, dict) and choice.get("type") == "null")
        ]
        if len(real) < len(choices):
            out["nullable"] = True
        if len(real) == 1:
            out.update(self.node(real[0], open_refs, depth + 1) | out)
        elif real:
            out["anyOf"] = [self.node(choice, open_refs, depth + 1) for choice in real]

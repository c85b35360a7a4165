"""Reading JSON as Google's APIs do: by protocol buffer messages, whose fields are known.

A message is a table from a field's name, in camelCase, to what it holds:

    string, int, float, bool, bytes     scalars; numbers may come as strings
    any, struct                         any JSON, any JSON object; not looked into
    =Name                               an enum, in any case (recorded)
    Name                                a message
    [x]                                 several of x; one alone counts as a row of one
    {x}                                 a map from strings to x

Names come in camelCase or snake_case; what is null is absent. What is not in the table is refused. The words are those
that the API gives.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON, JSONObject

_UPPER = re.compile(r"[A-Z]")
_UNDERSCORED = re.compile(r"_([a-z0-9])")
_SCALARS = {
    "string": "TYPE_STRING",
    "int": "TYPE_INT32",
    "float": "TYPE_FLOAT",
    "bool": "TYPE_BOOL",
    "bytes": "TYPE_BYTES",
}
_INT32_MAX = 2**31 - 1
_SHOWN_CHARS_MAX = 100


class Violation(Exception):
    """A field that is not what its message says. `field` is its path, in snake_case."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.field = field
        self.description = description


class Schema(Struct, frozen=True):
    """The messages and enums of an API. `package` goes before their names in errors."""

    package: str
    messages: Mapping[str, Mapping[str, str]]
    enums: Mapping[str, Sequence[str]]

    def read(self, message: str, value: JSONObject) -> JSONObject:
        """`value` with its names in camelCase and without nulls. Raises `Violation`."""
        return self._message(message, value, "")

    def _message(self, name: str, value: JSONObject, path: str) -> JSONObject:
        fields = self.messages[name]
        read: JSONObject = {}
        for key, child in value.items():
            own = key if key in fields else _UNDERSCORED.sub(lambda found: found.group(1).upper(), key)
            if own not in fields:
                at = f" at '{path}'" if path else ""
                raise Violation(
                    path, f'Invalid JSON payload received. Unknown name "{key}"{at}: Cannot find field.'
                )
            if child is not None:
                where = snake(own)
                read[own] = self._value(fields[own], child, f"{path}.{where}" if path else where)
        return read

    def _value(self, kind: str, value: JSON, path: str) -> JSON:
        if kind.startswith("["):
            row = value if isinstance(value, list) else [value]
            inner = kind[1:-1]
            return [
                self._value(inner, item, f"{path}[{at}]") for at, item in enumerate(row) if item is not None
            ]
        if kind.startswith("{"):
            if not isinstance(value, dict):
                raise _wrong(path, "Map", value)
            return {key: self._value(kind[1:-1], item, f"{path}[{key}].value") for key, item in value.items()}
        if kind.startswith("="):
            return self._enum(kind[1:], value, path)
        if kind in _SCALARS:
            return _scalar(kind, value, path)
        if kind == "any":
            return value
        if not isinstance(value, dict):
            raise _wrong(path, self._full(kind), value)
        return value if kind == "struct" else self._message(kind, value, path)

    def _enum(self, name: str, value: JSON, path: str) -> str:
        values = self.enums[name]
        if isinstance(value, str):
            read = value.upper()
            if read in values:
                return read
        elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(values):
            return values[value]
        raise _wrong(path, self._full(name), value)

    def _full(self, name: str) -> str:
        if name == "struct":
            return "type.googleapis.com/google.protobuf.Struct"
        return f"type.googleapis.com/{self.package}.{name}"


def snake(name: str) -> str:
    """A field's name in snake_case."""
    return _UPPER.sub(lambda found: f"_{found.group().lower()}", name)


def decode_bytes(text: str) -> bytes | None:
    """Base64 of either alphabet, padded or not; None if it is none."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _wrong(path: str, kind: str, value: JSON) -> Violation:
    shown = msgspec.json.encode(value).decode()[:_SHOWN_CHARS_MAX]
    return Violation(path, f"Invalid value at '{path}' ({kind}), {shown}")


def _scalar(kind: str, value: JSON, path: str) -> JSON:
    match kind:
        case "string":
            good = isinstance(value, str)
        case "bool":
            good = isinstance(value, bool)
        case "bytes":
            good = isinstance(value, str)
            if isinstance(value, str) and decode_bytes(value) is None:
                shown = value[:_SHOWN_CHARS_MAX]
                raise Violation(
                    path, f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{shown}\""
                )
        case _:
            return _number(kind, value, path)
    if not good:
        raise _wrong(path, _SCALARS[kind], value)
    return value


def _number(kind: str, value: JSON, path: str) -> JSON:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            raise _wrong(path, _SCALARS[kind], value) from None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _wrong(path, _SCALARS[kind], value)
    if kind == "float":
        return number
    if number != number or abs(number) > _INT32_MAX or number != int(number):
        raise _wrong(path, _SCALARS[kind], value)
    return int(number)

"""What Google's JSON (the proto3 JSON mapping) takes besides what other JSON does.

It takes every member in camelCase and in snake_case, and clients send both, even in one body. `camel_keys` gives an object
with camelCase keys; readers call it on every object of the wire, and never on the caller's own data (arguments, results,
schemas, labels). It takes the names of an enum in either case, and its integers have a width.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import JSONObject
from bytespike.wire import fields as f

#: An int32 of the wire.
INTEGER_MAX: Final = (1 << 31) - 1


def camel_keys(obj: JSONObject) -> JSONObject:
    """The object with camelCase keys; itself where it has no others."""
    for key in obj:
        if "_" in key:
            return {_camel(key): value for key, value in obj.items()}
    return obj


def _camel(key: str) -> str:
    head, *tail = key.split("_")
    # A leading underscore belongs to no name of the wire: such a key stays what it is.
    return head + "".join([word[:1].upper() + word[1:] for word in tail]) if head else key


def optional_word(obj: JSONObject, key: str) -> str | None:
    """The name of an enum's value, in upper case. Raises `fields.Wrong`."""
    value = f.optional_text(obj, key)
    return None if value is None else value.upper()


def optional_int32(
    obj: JSONObject, key: str, *, least: int = -INTEGER_MAX, most: int = INTEGER_MAX
) -> int | None:
    """An integer that the wire can carry, within the allowed values. Raises `fields.Wrong`."""
    return f.optional_integer(obj, key, least=least, most=most)

"""JSON in and out, with the two errors that callers care about."""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire.limits import JSON_DEPTH_MAX
from bytespike.wire.not_json import NotAnObject as NotAnObject
from bytespike.wire.not_json import NotJSON as NotJSON

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()

encode = _encoder.encode
"""Compact JSON bytes of anything msgspec knows."""


def decode(data: bytes | str) -> JSON:
    """Any JSON value. Raises `NotJSON`."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJSON(_reason(error)) from None


def decode_object(data: bytes | str) -> JSONObject:
    """A JSON object. Raises `NotJSON`, `NotAnObject`."""
    value = decode(data)
    if not isinstance(value, dict):
        raise NotAnObject("not a JSON object")
    return value


def nests_deeper(value: JSON, depth_max: int = JSON_DEPTH_MAX, *, text: bytes | None = None) -> bool:
    """Whether arrays and objects of a decoded value nest deeper than `depth_max`. Walks level by level, so that its
    own stack stays flat; every reader that recurses asks it first. `text`: what it was decoded from. The walk visits
    each value once, which takes a fraction of what it takes to look for brackets in each byte of the text; only a text
    that has no room for so many is not walked at all."""
    if text is not None and len(text) <= 2 * depth_max:
        return False
    level: list[JSON] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth_max):
        if not level:
            return False
        below: list[JSON] = []
        for container in level:
            if isinstance(container, dict):
                below += [member for member in container.values() if isinstance(member, (dict, list))]
            elif isinstance(container, list):
                below += [member for member in container if isinstance(member, (dict, list))]
        level = below
    return bool(level)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the JSON nests too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    return str(error)

"""JSON in and out, with the two errors that callers care about."""

from __future__ import annotations

import msgspec

from bytespike.core.json_types import JSON, JSONObject
from bytespike.wire.limits import JSON_DEPTH_MAX

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()

encode = _encoder.encode
"""Compact JSON bytes of anything msgspec knows."""


class NotJSON(ValueError):
    """The bytes are no JSON text, or nest too deeply. The message says where, without quoting content."""


class NotAnObject(NotJSON):
    """JSON, but not an object."""


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
    own stack stays flat; every reader that recurses asks it first. `text`: what it was decoded from, which mostly has
    too few brackets to nest so deep."""
    if text is not None and text.count(b"{") + text.count(b"[") <= depth_max:
        return False
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth_max):
        if not level:
            return False
        below: list[dict[str, JSON] | list[JSON]] = []
        for container in level:
            members = container.values() if isinstance(container, dict) else container
            below.extend([member for member in members if isinstance(member, (dict, list))])
        level = below
    return bool(level)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the JSON nests too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    return str(error)

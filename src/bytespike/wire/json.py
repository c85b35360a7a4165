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
    """Whether arrays and objects of a decoded value nest deeper than `depth_max`, which is also how far this looks: every
    reader that recurses asks it first. `text`: what it was decoded from. To visit each value once takes a fraction of what
    it takes to look for brackets in each byte of the text; only a text that has no room for so many is not looked into."""
    if text is not None and len(text) <= 2 * depth_max:
        return False
    return _deeper(value, depth_max)


def _deeper(value: JSON, room: int) -> bool:
    if isinstance(value, dict):
        members = list(value.values())
    elif isinstance(value, list):
        members = value
    else:
        return False
    if not room:
        return True
    deeper = False
    for member in members:
        if isinstance(member, (dict, list)):
            deeper = deeper or _deeper(member, room - 1)
    return deeper


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the JSON nests too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    return str(error)

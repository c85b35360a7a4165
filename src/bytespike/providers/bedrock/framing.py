"""application/vnd.amazon.eventstream: bytes in, cut anywhere; messages out. Sans-IO.

Facts: AWS's "Event stream encoding". A message is, with all numbers big-endian:

    length of the whole (4)  length of the headers (4)  CRC-32 of these eight bytes (4)
    headers: [length of name (1), name, type (1), value]*     payload     CRC-32 of all before (4)

Types of values: 0 true, 1 false, 2 byte, 3 short, 4 integer, 5 long, 6 bytes, 7 string (both with a length of two bytes),
8 timestamp (milliseconds, eight bytes), 9 UUID (sixteen bytes).

The first CRC is checked as soon as its twelve bytes are there: a length that is wrong is never waited for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from bytespike.wire.limits import EVENT_BYTES_MAX

_PRELUDE_BYTES = 12
#: Prelude and last CRC: a message without headers and payload.
_MESSAGE_BYTES_MIN = 16
#: AWS's own limit.
_HEADERS_BYTES_MAX = 128 * 1024
_FIXED: Mapping[int, struct.Struct] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_UUID_BYTES = 16

Value: TypeAlias = bool | int | bytes | str


class BrokenFrame(ValueError):
    """The bytes are no event stream, were changed on their way, or end in the middle."""


class Message(Struct, frozen=True):
    headers: Mapping[str, Value]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is a string; "" if it is not there, or is something else."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class FrameReader:
    """`feed` bytes, then call `next` until it gives None. `pending`: bytes of a message that is not complete."""

    __slots__ = ("_buffer", "_start")

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0

    @property
    def pending(self) -> int:
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._start :] + data if self.pending else data
        self._start = 0

    def next(self) -> Message | None:
        """The next whole message. Raises BrokenFrame, and from then on always."""
        buffer, start = self._buffer, self._start
        held = len(buffer) - start
        if held < _PRELUDE_BYTES:
            return None
        length, headers_length, crc = struct.unpack_from(">III", buffer, start)
        if zlib.crc32(buffer[start : start + 8]) != crc:
            raise BrokenFrame("the event stream's prelude does not match its checksum")
        if headers_length > _HEADERS_BYTES_MAX or length < _MESSAGE_BYTES_MIN + headers_length:
            raise BrokenFrame("the lengths in the event stream's prelude are impossible")
        if length > EVENT_BYTES_MAX:
            raise BrokenFrame(f"a message of the event stream has more than {EVENT_BYTES_MAX} bytes")
        if held < length:
            return None
        end = start + length
        (message_crc,) = struct.unpack_from(">I", buffer, end - 4)
        if zlib.crc32(memoryview(buffer)[start : end - 4]) != message_crc:
            raise BrokenFrame("a message of the event stream does not match its checksum")
        body = start + _PRELUDE_BYTES + headers_length
        headers = _headers(buffer[start + _PRELUDE_BYTES : body])
        self._start = end
        return Message(headers, buffer[body : end - 4])


def _headers(data: bytes) -> dict[str, Value]:
    found: dict[str, Value] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode("utf-8")
            value, at = _value(data, data[name_end], name_end + 1)
            found[name] = value
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BrokenFrame("the headers of an event stream's message are malformed") from None
    if at != len(data):
        raise BrokenFrame("the headers of an event stream's message are malformed")
    return found


def _value(data: bytes, kind: int, at: int) -> tuple[Value, int]:
    """A header's value, and where the next header begins."""
    if kind in (0, 1):
        return kind == 0, at
    fixed = _FIXED.get(kind)
    if fixed is not None:
        (number,) = fixed.unpack_from(data, at)
        return int(number), at + fixed.size
    if kind in (6, 7):
        (length,) = struct.unpack_from(">H", data, at)
        end = at + 2 + length
        raw = data[at + 2 : end]
        return (raw if kind == 6 else raw.decode("utf-8")), end
    if kind == 9:
        return data[at : at + _UUID_BYTES], at + _UUID_BYTES
    raise BrokenFrame("a header of an event stream's message has an unknown type")


def message_bytes(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message as it stands on the wire, with headers that are strings: for servers, and for tests."""
    block = b"".join(
        b"%c%b\x07%b%b" % (len(name), name.encode(), struct.pack(">H", len(value.encode())), value.encode())
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", _MESSAGE_BYTES_MIN + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))

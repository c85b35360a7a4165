"""Records in a file, so that a reader knows where each one ends and whether it is whole.

    frame    length (4 bytes, little endian), CRC-32 of the payload seeded with that length (4 bytes), payload
    payload  one `records.Settled` in MessagePack

A file that stops inside a frame was cut there: its writer was killed, or the disk was full. A frame that is all there
but fails its checksum, or has an impossible length, is damage: nothing behind it can be trusted. Zeros, which a file
system may leave after a power cut, are no frame, since no payload is empty.
"""

from __future__ import annotations

from binascii import crc32
from struct import Struct

import msgspec

from bytespike.ledger.records import Settled
from bytespike.ledger.stored import Frame, Scan, UnreadableRecord, decode_settled

#: The largest payload. A settlement has a few hundred bytes.
RECORD_BYTES_MAX = 256 * 1024

_HEADER = Struct("<II")
HEADER_BYTES = _HEADER.size


_encode = msgspec.msgpack.Encoder().encode


def encode_frame(settled: Settled) -> bytes:
    """One settlement, framed. Raises ValueError: it is too large, or holds what cannot be written."""
    try:
        payload = _encode(settled)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"the settlement cannot be written: {error}") from error
    length = len(payload)
    if length > RECORD_BYTES_MAX:
        raise ValueError(f"a settlement of {length} bytes; {RECORD_BYTES_MAX} are the most")
    return _HEADER.pack(length, crc32(payload, length)) + payload


def frame_of(payload: bytes) -> bytes:
    """A payload that was read, framed again."""
    return _HEADER.pack(len(payload), crc32(payload, len(payload))) + payload


def decode_payload(payload: bytes) -> Settled:
    """Raises `UnreadableRecord`."""
    try:
        return decode_settled(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableRecord(str(error)) from error


def scan(data: bytes, frames_max: int, base: int) -> Scan:
    """The frames at the start of `data`, at most so many. `base`: where in the file `data` begins."""
    frames: list[Frame] = []
    offset = 0
    size = len(data)
    unpack = _HEADER.unpack_from
    while offset < size:
        if len(frames) == frames_max:
            return Scan(frames, "")
        start = offset + HEADER_BYTES
        if start > size:
            return Scan(frames, "cut")
        length, checksum = unpack(data, offset)
        if not 0 < length <= RECORD_BYTES_MAX:
            return Scan(frames, "damaged")
        end = start + length
        if end > size:
            return Scan(frames, "cut")
        payload = data[start:end]
        if crc32(payload, length) != checksum:
            return Scan(frames, "damaged")
        frames.append(Frame(payload, base + end))
        offset = end
    return Scan(frames, "")

"""Width, height and duration of WebM files.

EBML: elements within elements. `Info` and `Tracks` come in front of the clusters with the pictures; reading ends at the
first cluster when both have been seen. A live recording tells no duration. Sources: RFC 8794 (EBML), sections 4 and 5; RFC 9559
(Matroska), section 5.1.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Final

from bytespike.media.probe.stream import DEPTH_MAX, Damaged, Enough, Found, Read, Skip, Steps, Want

_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_INFO: Final = 0x1549A966
_TRACKS: Final = 0x1654AE6B
_TIMESTAMP_SCALE: Final = 0x2AD7B1
_DURATION: Final = 0x4489
_WIDTH: Final = 0xB0
_HEIGHT: Final = 0xBA
_ENTRY: Final = 0xAE
_VIDEO: Final = 0xE0
_CONTAINERS: Final = frozenset({_SEGMENT, _INFO, _TRACKS, _ENTRY, _VIDEO})
_NUMBERS: Final = frozenset({_TIMESTAMP_SCALE, _DURATION, _WIDTH, _HEIGHT})
_NUMBER_BYTES_MAX: Final = 8
#: Nanoseconds in a unit of time, unless the file says otherwise.
_SCALE: Final = 1_000_000
#: Of an element whose end is not known beforehand.
_ENDLESS: Final = 1 << 62


def webm(found: Found) -> Steps:
    yield from _elements(_ENDLESS, 0, {}, found)


def _elements(size: int, depth: int, numbers: dict[int, float], found: Found) -> Steps:
    """The elements within one of `size` bytes."""
    if depth > DEPTH_MAX:
        raise Damaged
    while size > 0:
        id, id_bytes = yield from _id()
        inner, size_bytes = yield from _size()
        size -= id_bytes + size_bytes + inner
        if size < 0 and inner != _ENDLESS:
            raise Damaged
        if id in _CONTAINERS:
            yield from _elements(inner, depth + 1, numbers, found)
        elif id in _NUMBERS and 0 < inner <= _NUMBER_BYTES_MAX:
            _note(id, (yield Read(inner)), numbers, found)
        elif id == _CLUSTER and found.width:
            raise Enough
        else:
            yield Skip(inner)


def _id() -> Generator[Want, bytes, tuple[int, int]]:
    """An element's id, its length marker included, and how many bytes it had."""
    first = (yield Read(1))[0]
    length = 9 - first.bit_length()
    if length > 4:
        raise Damaged
    return int.from_bytes(bytes((first,)) + (yield Read(length - 1)), "big"), length


def _size() -> Generator[Want, bytes, tuple[int, int]]:
    """An element's size, `_ENDLESS` where it is not known, and how many bytes it had."""
    first = (yield Read(1))[0]
    length = 9 - first.bit_length()
    if length > 8:
        raise Damaged
    ones = (1 << 7 * length) - 1
    size = int.from_bytes(bytes((first,)) + (yield Read(length - 1)), "big") & ones
    return (_ENDLESS if size == ones else size), length


def _note(id: int, body: bytes, numbers: dict[int, float], found: Found) -> None:
    """A number of the file. Of several video tracks the first one's size counts."""
    if id == _DURATION:
        if len(body) not in (4, 8):
            raise Damaged
        (numbers[id],) = struct.unpack(">f" if len(body) == 4 else ">d", body)
    else:
        numbers.setdefault(id, int.from_bytes(body, "big"))
    found.width = int(numbers.get(_WIDTH, 0))
    found.height = int(numbers.get(_HEIGHT, 0))
    if _DURATION in numbers:
        found.seconds = numbers[_DURATION] * numbers.get(_TIMESTAMP_SCALE, _SCALE) / 1e9

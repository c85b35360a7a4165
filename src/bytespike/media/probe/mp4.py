"""Width, height and duration of MP4 and QuickTime files.

A file is boxes within boxes. What matters is in `moov`, in front of the pictures (`mdat`) or behind them; either way
everything else is skipped. The size is that of the largest track, turned as its matrix says; the duration is that track's,
else the movie's. Source: ISO/IEC 14496-12, sections 4.2, 8.2.2, 8.3.2 and 8.8.2.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from bytespike.media.probe.stream import DEPTH_MAX, Damaged, Found, Read, Skip, Steps, Want

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mvex"})
#: The longest of the headers that are read, in any version, is shorter.
_HEADER_BYTES_MAX: Final = 1024
#: A duration that is not known.
_UNKNOWN: Final = frozenset({0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})


@dataclass(slots=True)
class _Movie:
    """Durations in units of `scale` a second."""

    scale: int = 0
    whole: int = 0
    fragments: int = 0
    track: int = 0


def mp4(found: Found) -> Steps:
    movie = _Movie()
    while True:
        kind, inner, _ = yield from _header()
        if kind == b"moov":
            yield from _boxes(inner, 1, found, movie)
            _conclude(found, movie)
            return
        yield Skip(inner)


def _header() -> Generator[Want, bytes, tuple[bytes, int, int]]:
    """A box's type, how many bytes of it follow, and how many its header had. A size of 0 is damage here: such a box goes
    on to the end of the file, holds pictures, and has nothing behind it."""
    head = yield Read(8)
    size, kind, length = int.from_bytes(head[:4], "big"), head[4:], 8
    if size == 1:
        size, length = int.from_bytes((yield Read(8)), "big"), 16
    if size < length:
        raise Damaged
    return kind, size - length, length


def _boxes(size: int, depth: int, found: Found, movie: _Movie) -> Steps:
    """The boxes within a box of `size` bytes."""
    if depth > DEPTH_MAX:
        raise Damaged
    while size > 0:
        kind, inner, length = yield from _header()
        size -= length + inner
        if size < 0:
            raise Damaged
        if kind in _CONTAINERS:
            yield from _boxes(inner, depth + 1, found, movie)
        elif kind in _READERS and inner <= _HEADER_BYTES_MAX:
            _READERS[kind]((yield Read(inner)), found, movie)
        else:
            yield Skip(inner)


def _mvhd(body: bytes, found: Found, movie: _Movie) -> None:
    at, width = (20, 8) if body[:1] == b"\x01" else (12, 4)
    movie.scale = int.from_bytes(body[at : at + 4], "big")
    movie.whole = int.from_bytes(body[at + 4 : at + 4 + width], "big")


def _mehd(body: bytes, found: Found, movie: _Movie) -> None:
    movie.fragments = int.from_bytes(body[4:], "big")


def _tkhd(body: bytes, found: Found, movie: _Movie) -> None:
    at, wide = (28, 8) if body[:1] == b"\x01" else (20, 4)
    duration = int.from_bytes(body[at : at + wide], "big")
    matrix = body[at + wide + 16 : at + wide + 52]
    sizes = body[at + wide + 52 : at + wide + 60]
    if len(sizes) < 8:
        raise Damaged
    # Fixed point, 16.16.
    width, height = int.from_bytes(sizes[:4], "big") >> 16, int.from_bytes(sizes[4:], "big") >> 16
    if width * height <= found.width * found.height:
        return
    # A quarter turn has nothing on the matrix' diagonal.
    turned = matrix[:4] == matrix[16:20] == b"\0\0\0\0"
    found.width, found.height = (height, width) if turned else (width, height)
    movie.track = duration


_READERS: Final = {b"mvhd": _mvhd, b"tkhd": _tkhd, b"mehd": _mehd}


def _conclude(found: Found, movie: _Movie) -> None:
    if not movie.scale:
        return
    for duration in (movie.track, movie.fragments, movie.whole):
        if duration not in _UNKNOWN:
            found.seconds = duration / movie.scale
            return

"""Small video files, put together box by box, for tests of what is read from them. Their pictures are noise."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def box(kind: bytes, *contents: bytes, large: bool = False) -> bytes:
    """`large`: with a size of 64 bits."""
    body = b"".join(contents)
    if large:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


_UPRIGHT = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_QUARTER_TURN = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)


def _mvhd(scale: int, duration: int, *, wide: bool) -> bytes:
    times = (
        struct.pack(">QQIQ", 0, 0, scale, duration) if wide else struct.pack(">IIII", 0, 0, scale, duration)
    )
    return box(b"mvhd", bytes((wide, 0, 0, 0)), times, bytes(80))


def _tkhd(width: int, height: int, duration: int, *, wide: bool, turned: bool) -> bytes:
    times = (
        struct.pack(">QQIIQ", 0, 0, 1, 0, duration) if wide else struct.pack(">IIIII", 0, 0, 1, 0, duration)
    )
    matrix = _QUARTER_TURN if turned else _UPRIGHT
    sizes = struct.pack(">II", width << 16, height << 16)
    return box(b"tkhd", bytes((wide, 0, 0, 3)), times, bytes(16), matrix, sizes)


def moov(
    width: int,
    height: int,
    seconds: float,
    *,
    scale: int = 1000,
    wide: bool = False,
    turned: bool = False,
    track_told: bool = True,
    movie_told: bool = True,
    fragments: float = 0.0,
    large: bool = False,
) -> bytes:
    """`wide`: version 1 headers. `large`: boxes with sizes of 64 bits. `fragments`: the seconds told for a file in fragments."""
    duration = round(seconds * scale)
    sound = box(b"trak", _tkhd(0, 0, duration + scale, wide=wide, turned=False), large=large)
    picture = box(
        b"trak",
        _tkhd(width, height, duration if track_told else 0, wide=wide, turned=turned),
        box(b"mdia", bytes(300)),
        large=large,
    )
    parts = [_mvhd(scale, duration + scale if movie_told else 0, wide=wide), sound, picture]
    if fragments:
        parts.append(box(b"mvex", box(b"mehd", bytes(4), struct.pack(">I", round(fragments * scale)))))
    return box(b"moov", *parts, box(b"udta", bytes(40)), large=large)


FTYP = box(b"ftyp", b"isom", bytes(4), b"isomiso2mp41")


def mp4(
    width: int = 1280, height: int = 720, seconds: float = 8.0, *, last: bool = False, pictures: int = 5_000
) -> bytes:
    """`last`: what tells of the file stands behind the pictures."""
    head = moov(width, height, seconds)
    pixels = box(b"mdat", bytes(range(256)) * (pictures // 256 + 1))
    return FTYP + (pixels + head if last else head + box(b"free", bytes(16)) + pixels)


def large_mp4(
    megabytes: int, width: int = 1920, height: int = 1080, seconds: float = 12.0
) -> Iterator[bytes]:
    """A file of about so many MB, piece by piece: never whole in memory. What tells of it comes last."""
    piece = bytes(range(256)) * 256
    count = megabytes * 1024 * 1024 // len(piece)
    yield FTYP + struct.pack(">I4sQ", 1, b"mdat", count * len(piece) + 16)
    for _ in range(count):
        yield piece
    yield moov(width, height, seconds)


def element(id: bytes, *contents: bytes, endless: bool = False) -> bytes:
    """`endless`: its size is not told."""
    body = b"".join(contents)
    size = b"\x01\xff\xff\xff\xff\xff\xff\xff" if endless else ((1 << 56) | len(body)).to_bytes(8, "big")
    return id + size + body


def webm(
    width: int = 854,
    height: int = 480,
    seconds: float | None = 5.5,
    *,
    endless: bool = False,
    scale: int | None = 1_000_000,
) -> bytes:
    """`seconds` None: a live recording, which does not know. `scale`: nanoseconds in a unit, None: not told, a million."""
    info = [b""]
    if scale is not None:
        info.append(element(b"\x2a\xd7\xb1", scale.to_bytes(4, "big")))
    if seconds is not None:
        info.append(element(b"\x44\x89", struct.pack(">d", seconds * 1e9 / (scale or 1_000_000))))
    picture = element(
        b"\xae",
        element(b"\x83", b"\x01"),
        element(
            b"\xe0", element(b"\xb0", width.to_bytes(2, "big")), element(b"\xba", height.to_bytes(2, "big"))
        ),
    )
    sound = element(b"\xae", element(b"\x83", b"\x02"))
    cluster = element(b"\x1f\x43\xb6\x75", bytes(3_000), endless=endless)
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"webm"))
    return head + element(
        b"\x18\x53\x80\x67",
        element(b"\x15\x49\xa9\x66", *info),
        element(b"\x16\x54\xae\x6b", sound, picture),
        cluster,
        endless=endless,
    )

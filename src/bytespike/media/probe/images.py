"""Width and height of PNG, JPEG, GIF and WebP.

Sources: PNG specification (W3C), section 11.2.2; ITU-T T.81, annex B; GIF89a, section 18; RFC 9649 (WebP) and RFC 6386,
section 9.1.
"""

from __future__ import annotations

from bytespike.media.probe.stream import Damaged, Found, Read, Skip, Steps

#: JPEG: markers that begin a frame: SOF0 to SOF15, without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: JPEG: markers without a length: TEM, RST0 to RST7.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
#: JPEG: what comes after is the picture itself.
_SCAN, _END = 0xDA, 0xD9
#: The bytes in front of a VP8 key frame's sizes.
_VP8_START = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = 0x2F


def png(found: Found) -> Steps:
    yield Skip(8)
    head = yield Read(16)
    if head[4:8] != b"IHDR":
        raise Damaged
    found.width = int.from_bytes(head[8:12], "big")
    found.height = int.from_bytes(head[12:16], "big")


def gif(found: Found) -> Steps:
    yield Skip(6)
    sizes = yield Read(4)
    found.width = int.from_bytes(sizes[:2], "little")
    found.height = int.from_bytes(sizes[2:], "little")


def jpeg(found: Found) -> Steps:
    yield Skip(2)
    while True:
        if (yield Read(1)) != b"\xff":
            raise Damaged
        marker = 0xFF
        while marker == 0xFF:  # any number of them may stand in front
            marker = (yield Read(1))[0]
        if marker in _BARE:
            continue
        if marker in (_SCAN, _END):
            raise Damaged
        length = int.from_bytes((yield Read(2)), "big")
        if marker in _FRAMES:
            frame = yield Read(5)
            found.height = int.from_bytes(frame[1:3], "big")
            found.width = int.from_bytes(frame[3:5], "big")
            return
        yield Skip(length - 2)


def webp(found: Found) -> Steps:
    yield Skip(12)
    kind = (yield Read(8))[:4]
    if kind == b"VP8X":
        sizes = (yield Read(10))[4:]
        found.width = int.from_bytes(sizes[:3], "little") + 1
        found.height = int.from_bytes(sizes[3:], "little") + 1
    elif kind == b"VP8L":
        head = yield Read(5)
        if head[0] != _VP8L_SIGNATURE:
            raise Damaged
        bits = int.from_bytes(head[1:], "little")
        found.width = (bits & 0x3FFF) + 1
        found.height = (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        frame = yield Read(10)
        if frame[3:6] != _VP8_START:
            raise Damaged
        found.width = int.from_bytes(frame[6:8], "little") & 0x3FFF
        found.height = int.from_bytes(frame[8:10], "little") & 0x3FFF

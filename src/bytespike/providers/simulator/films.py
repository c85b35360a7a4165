"""Films that the simulator makes: real MP4 files of the size, the length and the weight that were asked for.

A test card of coloured bars with the word "simulator" on it, and a white bar that goes from left to right once. Same words,
same seed, same bytes. What makes a file heavier than its pictures is a `free` box of noise, made as it is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct
from PIL import Image, ImageDraw

from bytespike.providers.simulator.h264 import MACROBLOCK, Encoder, Strip

FRAMES_PER_SECOND = 24
SECONDS_MAX = 60
FILE_BYTES_MAX = 256 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
FILMS_KEPT = 16

_BARS = 8
_CAPTION = "simulator"
#: Samples within the range of video, in which 16 is black and 235 is white.
_LEGAL = bytes(16 + value * (235 - 16) // 255 for value in range(256))
_MATRIX = b"".join(value.to_bytes(4, "big") for value in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
_UNDETERMINED = 0x55C4
_BOX_HEAD_BYTES = 8


class Clip(Struct, frozen=True):
    """What is to be filmed. `file_bytes`: the file has as many at least."""

    words: str
    width: int
    height: int
    seconds: int
    file_bytes: int = 0


class Film(Struct, frozen=True):
    """A file: `pictures`, and so many bytes of filling behind them."""

    pictures: bytes
    filling: int = 0

    @property
    def length(self) -> int:
        return len(self.pictures) + self.filling

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, in pieces; the filling never stands in memory whole."""
        view = memoryview(self.pictures)
        for at in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[at : at + CHUNK_BYTES])
        if not self.filling:
            return
        yield self.filling.to_bytes(4, "big") + b"free"
        left = self.filling - _BOX_HEAD_BYTES
        noise = hashlib.shake_256(b"filling").digest(CHUNK_BYTES)
        while left > 0:
            yield noise[:left]
            left -= CHUNK_BYTES


# The same few are asked for again and again, by tests and by loads.
@lru_cache(maxsize=FILMS_KEPT)
def make(clip: Clip, seed: bytes) -> Film:
    """The film. Raises ValueError for sides or a length that are not filmed."""
    if not 1 <= clip.seconds <= SECONDS_MAX:
        raise ValueError(f"a film of {clip.seconds} seconds is not made")
    encoder = Encoder(clip.width, clip.height)
    dice = hashlib.shake_256(seed + b"\0" + clip.words.encode("utf-8", "surrogatepass")).digest(3 * _BARS)
    samples: list[bytes] = []
    for second in range(clip.seconds):
        samples.append(encoder.whole(_strip(encoder.samples_across, dice, second, clip.seconds), second))
        samples += [encoder.same(frame) for frame in range(1, FRAMES_PER_SECOND)]
    pictures = _file(clip, encoder, samples)
    short = clip.file_bytes - len(pictures)
    return Film(pictures, max(short, _BOX_HEAD_BYTES) if short > 0 else 0)


def _strip(width: int, dice: bytes, second: int, seconds: int) -> Strip:
    """The upper lines of the picture of one second. The last of them is the picture below."""
    image = Image.new("RGB", (width, MACROBLOCK))
    pen = ImageDraw.Draw(image)
    for bar in range(_BARS):
        colour = (dice[3 * bar], dice[3 * bar + 1], dice[3 * bar + 2])
        pen.rectangle((width * bar // _BARS, 0, width * (bar + 1) // _BARS, MACROBLOCK), fill=colour)
    at = width * second // seconds
    pen.rectangle((at, 0, at + max(width // (2 * seconds), 1), MACROBLOCK), fill=(255, 255, 255))
    pen.text((4, 2), _CAPTION, fill=(255, 255, 255), stroke_fill=(0, 0, 0), stroke_width=1)
    luma, blue, red = image.convert("YCbCr").split()
    return Strip(*(plane.tobytes().translate(_LEGAL) for plane in (luma, _halved(blue), _halved(red))))


def _halved(plane: Image.Image) -> Image.Image:
    whole = (0, 0, plane.width, plane.height)
    return plane.transform(
        (plane.width // 2, plane.height // 2), Image.Transform.EXTENT, whole, Image.Resampling.NEAREST
    )


# --- the file (ISO/IEC 14496-12) -------------------------------------------------------------------------------


def _file(clip: Clip, encoder: Encoder, samples: list[bytes]) -> bytes:
    ftyp = _box(b"ftyp", b"isom" + _u32(0x200) + b"isomiso2avc1mp41")
    media = b"".join(samples)
    # Where the pictures begin depends on how long the index is, and not on what it says.
    start = len(ftyp) + len(_moov(clip, encoder, samples, 0)) + _BOX_HEAD_BYTES
    return ftyp + _moov(clip, encoder, samples, start) + _box(b"mdat", media)


def _moov(clip: Clip, encoder: Encoder, samples: list[bytes], start: int) -> bytes:
    length = len(samples)
    mvhd = _full(
        b"mvhd",
        _u32(0, 0, FRAMES_PER_SECOND, length, 0x10000)
        + b"\x01\x00"
        + bytes(10)
        + _MATRIX
        + bytes(24)
        + _u32(2),
    )
    sizes = _u32(clip.width << 16, clip.height << 16)
    tkhd = _full(b"tkhd", _u32(0, 0, 1, 0, length) + bytes(8) + bytes(8) + _MATRIX + sizes, flags=3)
    mdhd = _full(b"mdhd", _u32(0, 0, FRAMES_PER_SECOND, length) + _UNDETERMINED.to_bytes(2, "big") + b"\0\0")
    hdlr = _full(b"hdlr", _u32(0) + b"vide" + bytes(12) + b"simulator\0")
    dinf = _box(b"dinf", _full(b"dref", _u32(1) + _full(b"url ", b"", flags=1)))
    vmhd = _full(b"vmhd", bytes(8), flags=1)
    minf = _box(b"minf", vmhd + dinf + _stbl(clip, encoder, samples, start))
    mdia = _box(b"mdia", mdhd + hdlr + minf)
    return _box(b"moov", mvhd + _box(b"trak", tkhd + mdia))


def _stbl(clip: Clip, encoder: Encoder, samples: list[bytes], start: int) -> bytes:
    sides = clip.width.to_bytes(2, "big") + clip.height.to_bytes(2, "big")
    avc1 = _box(
        b"avc1",
        bytes(6)
        + b"\0\x01"
        + bytes(16)
        + sides
        + _u32(0x480000, 0x480000, 0)
        + b"\0\x01"
        + bytes(32)
        + b"\0\x18\xff\xff"
        + _box(b"avcC", encoder.decoder_configuration()),
    )
    keys = range(1, len(samples) + 1, FRAMES_PER_SECOND)
    return _box(
        b"stbl",
        _full(b"stsd", _u32(1) + avc1)
        + _full(b"stts", _u32(1, len(samples), 1))
        + _full(b"stss", _u32(len(keys), *keys))
        + _full(b"stsc", _u32(1, 1, len(samples), 1))
        + _full(b"stsz", _u32(0, len(samples), *map(len, samples)))
        + _full(b"stco", _u32(1, start)),
    )


def _box(kind: bytes, body: bytes) -> bytes:
    return _u32(len(body) + _BOX_HEAD_BYTES) + kind + body


def _full(kind: bytes, body: bytes, *, flags: int = 0) -> bytes:
    return _box(kind, _u32(flags) + body)


def _u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)

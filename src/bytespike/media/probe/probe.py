"""A file's facts, while it goes past."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from bytespike.media.probe.images import gif, jpeg, png, webp
from bytespike.media.probe.mp4 import mp4
from bytespike.media.probe.stream import Format, Found, Reader
from bytespike.media.probe.webm import webm

UNKNOWN_TYPE: Final = "application/octet-stream"
#: No picture has longer sides, pixels, and no video is longer, seconds.
SIDE_MAX: Final = 1_000_000
SECONDS_MAX: Final = 10_000_000.0
#: A file shorter than this is nothing that is known.
_HEAD_BYTES: Final = 12
#: QuickTime files and those of ISO's family begin with one of these boxes.
_FIRST_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})
#: Brands of the same family that are pictures: nobody here makes them.
_PICTURES: Final = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"})


class Facts(Struct, frozen=True):
    """What a file says of itself. `content_type`: "application/octet-stream" where the format is not known. `width`, `height` in
    pixels, 0: not told; `duration_seconds` of a video, None: not told."""

    content_type: str = UNKNOWN_TYPE
    width: int = 0
    height: int = 0
    duration_seconds: float | None = None


class Probe:
    """Is fed a file in pieces of any size; `facts` tells what has come to light. It keeps next to nothing."""

    __slots__ = ("_found", "_head", "_reader", "_type")

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._type = UNKNOWN_TYPE
        self._found = Found()
        self._reader: Reader | None = None

    def feed(self, piece: bytes) -> None:
        if self._head is not None:
            self._head = piece = self._head + piece
            if len(piece) < _HEAD_BYTES:
                return
            self._head = None
            known = _format(piece)
            if known is None:
                return
            self._type, format = known
            self._reader = Reader(format(self._found))
        if self._reader is not None and not self._reader.done:
            self._reader.feed(piece)

    def facts(self) -> Facts:
        """What is beyond all measure counts as not told."""
        width, height, seconds = self._found.width, self._found.height, self._found.seconds
        if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
            width = height = 0
        if seconds is not None and not 0 < seconds <= SECONDS_MAX:
            seconds = None
        return Facts(self._type, width, height, seconds)


def _format(head: bytes) -> tuple[str, Format] | None:
    """By the first bytes alone: a name or a declared type may lie."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png", png
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", jpeg
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif", gif
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp", webp
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm", webm
    if head[4:8] in _FIRST_BOXES and head[8:12] not in _PICTURES:
        return ("video/quicktime" if head[4:12] == b"ftypqt  " else "video/mp4"), mp4
    return None

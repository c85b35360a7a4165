"""Finding base64 payloads (images, PDFs, sound) in the raw bytes of a request, without reading its JSON.

A payload is a long run of bytes without a quote. So the body is probed every `STRIDE` bytes: where the next quote is
farther than that, a run has been met, and its two ends are the quotes around it. Every run of two strides is found;
half a megabyte of text costs 130 probes. Shorter payloads stay unseen and count as text, which is about what a small
image costs anyway.

A run is a payload if it is base64 and stands where dialects put media: in a data URL, or as the value of a member
called `data`, `file_data` or the like. Base64 that someone pasted into a prompt is text, and so is reasoning that a
provider encrypted (`encrypted_content`, `signature`): nobody reads those as pictures.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

STRIDE = 4096
#: Bytes before a run in which its member's name must end.
_NAME_BYTES = 48
#: Bytes of a data URL before its comma.
_DATA_URL_HEAD_BYTES = 256
_SAMPLE_BYTES = 128

_MEMBER = re.compile(rb'"(?:data|file_data|bytes|imageBytes|videoBytes|b64_json)"\s*:\s*"$')
_REDACTED = b"redacted_thinking"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=\\-]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

#: The first bytes of media files.
_IMAGE_HEADS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_ISO_IMAGES = ((b"ftyp", b"hei"), (b"ftyp", b"avi"), (b"ftyp", b"mif"))
_STREAM_HEADS = (
    b"ID3",
    b"\xff\xfb",
    b"\xff\xf3",
    b"\xff\xf2",
    b"\xff\xf1",
    b"OggS",
    b"fLaC",
    b"\x1aE\xdf\xa3",
)

MediaKind = Literal["image", "document", "stream"]


class Payload(Struct, frozen=True):
    """`size`: bytes of base64 text. `kind`: an image; sound or video ("stream"); a PDF or anything else."""

    size: int
    kind: MediaKind


def payloads(body: bytes) -> Iterator[Payload]:
    """The media that a request carries inline, in order."""
    position, end = 0, len(body) - STRIDE
    while position < end:
        if body.find(b'"', position, position + STRIDE) >= 0:
            position += STRIDE
            continue
        start = body.rfind(b'"', 0, position) + 1
        stop = body.find(b'"', position + STRIDE)
        if stop < 0:
            stop = len(body)
        first = _payload_start(body, start)
        if first is not None and _BASE64.fullmatch(body, first, min(stop, first + _SAMPLE_BYTES)):
            yield Payload(stop - first, _kind(body[first : first + 16]))
        position = stop + 1


def _payload_start(body: bytes, start: int) -> int | None:
    """Where the base64 of a run begins, if the run stands where media does."""
    if body.startswith(b"data:", start):
        comma = body.find(b",", start, start + _DATA_URL_HEAD_BYTES)
        return comma + 1 if comma > 0 else None
    before = body[max(0, start - _NAME_BYTES) : start]
    if _MEMBER.search(before) and _REDACTED not in before:
        return start
    return None


def _kind(head: bytes) -> MediaKind:
    try:
        data = binascii.a2b_base64(head.translate(_URL_SAFE))
    except binascii.Error:
        return "document"
    if data.startswith(_IMAGE_HEADS) or data[8:12] == b"WEBP" or (data[4:8], data[8:11]) in _ISO_IMAGES:
        return "image"
    if data.startswith(_STREAM_HEADS) or data[8:12] in (b"WAVE", b"AVI ") or data[4:8] == b"ftyp":
        return "stream"
    return "document"

"""Finding the inline media (images, PDFs, sound) of a raw request: what is not to be counted as text.

A payload is only what stands where a dialect puts media, and is declared as such: the `source` of an image or document
block, an `image_url`, `input_audio`, `file`, `inlineData`. Base64 anywhere else is text, and costs what text costs: in a
prompt, in the input of a tool, in what a provider encrypted. So the structure decides, never the bytes themselves;
whoever dresses text up as a picture in a place for text pays for text.

Most bodies are not read for it. A payload is a long run of bytes without a quote, so the body is probed every `STRIDE`
bytes: where the next quote is farther than that, a run has been met. Every run of two strides is found; half a megabyte
of text costs 130 probes. Only if some run begins like a data URL, or is the value of a member that media have, is the
structure looked at, and then values are left as the bytes that they are. Shorter payloads stay unseen and count as text,
which is about what a small image costs anyway.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Raw, Struct

STRIDE = 4096
#: Containers within containers: body > message > tool result > block.
_DEPTH_MAX = 6
#: The beginning of a value, in which a data URL says its type.
_HEAD_BYTES = 256
#: Bytes before a run in which its member's name must end.
_NAME_BYTES = 48
_MEMBER = re.compile(rb'"(?:data|url|file_data|image_url|result)"\s*:\s*"$')
_ABSENT = Raw()
_PDF_HEAD = b"JVBERi"

MediaKind = Literal["image", "document", "stream"]


class Payload(Struct, frozen=True):
    """`size`: bytes of base64 text. `kind`: an image; sound or video ("stream"); a PDF."""

    size: int
    kind: MediaKind


class _Top(Struct, gc=False):
    """The lists in which requests hold their conversation: Messages and chat, Responses, Gemini."""

    messages: Raw = _ABSENT
    input: Raw = _ABSENT
    contents: Raw = _ABSENT


class _Block(Struct, gc=False):
    """A message, an item, a part or a block, of any dialect: its places for media, and for further blocks."""

    type: Raw = _ABSENT
    # blocks within
    content: Raw = _ABSENT
    parts: Raw = _ABSENT
    output: Raw = _ABSENT
    images: Raw = _ABSENT
    functionResponse: Raw = _ABSENT
    function_response: Raw = _ABSENT
    # media
    source: Raw = _ABSENT
    image_url: Raw = _ABSENT
    input_audio: Raw = _ABSENT
    file: Raw = _ABSENT
    file_data: Raw = _ABSENT
    inlineData: Raw = _ABSENT
    inline_data: Raw = _ABSENT
    result: Raw = _ABSENT


class _Media(Struct, gc=False):
    """What holds the bytes, of any dialect."""

    type: str | None = None
    media_type: str | None = None
    mimeType: str | None = None
    mime_type: str | None = None
    data: Raw = _ABSENT
    url: Raw = _ABSENT
    file_data: Raw = _ABSENT
    content: Raw = _ABSENT


_decode_top = msgspec.json.Decoder(_Top).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_blocks = msgspec.json.Decoder(list[_Block]).decode
_decode_media = msgspec.json.Decoder(_Media).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def payloads(body: bytes) -> list[Payload]:
    """The media that a request carries inline, in order. Never raises: what cannot be read holds none."""
    found: list[Payload] = []
    if not _may_hold_media(body):
        return found
    try:
        top = _decode_top(body)
    except _UNREADABLE:
        return found
    for conversation in (top.messages, top.input, top.contents):
        _blocks(conversation, found, 0)
    return found


def _may_hold_media(body: bytes) -> bool:
    position, end = 0, len(body) - STRIDE
    while position < end:
        if body.find(b'"', position, position + STRIDE) >= 0:
            position += STRIDE
            continue
        start = body.rfind(b'"', 0, position) + 1
        if body.startswith(b"data:", start) or _MEMBER.search(body[max(0, start - _NAME_BYTES) : start]):
            return True
        stop = body.find(b'"', position + STRIDE)
        position = len(body) if stop < 0 else stop + 1
    return False


def _blocks(raw: Raw, found: list[Payload], depth: int) -> None:
    """The media of one block or a list of them; nothing for a value that is neither, or too small to matter."""
    view = memoryview(raw)
    if len(view) < STRIDE or depth > _DEPTH_MAX:
        return
    try:
        if view[0] == 0x5B:
            blocks = _decode_blocks(raw)
        elif view[0] == 0x7B:
            blocks = [_decode_block(raw)]
        else:
            return
    except _UNREADABLE:
        return
    for block in blocks:
        _block(block, found, depth)


def _block(block: _Block, found: list[Payload], depth: int) -> None:
    for within in (
        block.content,
        block.parts,
        block.output,
        block.images,
        block.functionResponse,
        block.function_response,
    ):
        if within is not _ABSENT:
            _blocks(within, found, depth + 1)
    if block.source is not _ABSENT:
        _source(block, found, depth)
    if block.image_url is not _ABSENT:
        _url(block.image_url, found)
    if block.input_audio is not _ABSENT:
        media = _media(block.input_audio)
        if media is not None:
            _take(media.data, "stream", found)
    if block.file is not _ABSENT:
        media = _media(block.file)
        if media is not None:
            _file(media.file_data, found)
    if block.file_data is not _ABSENT:
        _file(block.file_data, found)
    for inline in (block.inlineData, block.inline_data):
        media = _media(inline) if inline is not _ABSENT else None
        if media is not None:
            _take(media.data, _kind(media.mimeType or media.mime_type or "", None), found)
    if block.result is not _ABSENT and block.type == Raw(b'"image_generation_call"'):
        _take(block.result, "image", found)


def _media(raw: Raw) -> _Media | None:
    if len(memoryview(raw)) < STRIDE:
        return None
    try:
        return _decode_media(raw)
    except _UNREADABLE:
        return None


def _source(block: _Block, found: list[Payload], depth: int) -> None:
    """Anthropic's `source`, of an image or a document."""
    kind = bytes(block.type)
    if kind not in (b'"image"', b'"document"'):
        return
    media = _media(block.source)
    if media is None:
        return
    if media.type == "base64":
        default: MediaKind = "image" if kind == b'"image"' else "document"
        _take(media.data, _kind(media.media_type or "", default), found)
    elif media.type == "url":
        _url(media.url, found)
    elif media.content is not _ABSENT:
        _blocks(media.content, found, depth + 1)


def _url(raw: Raw, found: list[Payload]) -> None:
    """A URL, or an object that holds one. Only data URLs have bytes."""
    if bytes(memoryview(raw)[:1]) == b"{":
        media = _media(raw)
        if media is None:
            return
        raw = media.url
    _data_url(raw, "image", found)


def _file(raw: Raw, found: list[Payload]) -> None:
    """OpenAI's `file_data`: a data URL, or bare base64."""
    if not _data_url(raw, None, found) and bytes(memoryview(raw)[1 : 1 + len(_PDF_HEAD)]) == _PDF_HEAD:
        _take(raw, "document", found)


def _data_url(raw: Raw, default: MediaKind | None, found: list[Payload]) -> bool:
    view = memoryview(raw)
    head = bytes(view[:_HEAD_BYTES])
    if not head.startswith(b'"data:'):
        return False
    comma = head.find(b",")
    if comma > 0:
        declared = head[6:comma].partition(b";")[0].decode("latin-1")
        _take(raw, _kind(declared, default), found, skip=comma)
    return True


def _take(raw: Raw, kind: MediaKind | None, found: list[Payload], skip: int = 0) -> None:
    """`skip`: bytes of the JSON string, its quote included, that are no base64."""
    size = len(memoryview(raw)) - 2 - skip
    if kind is not None and size >= STRIDE:
        found.append(Payload(size, kind))


def _kind(declared: str, default: MediaKind | None) -> MediaKind | None:
    """What a provider takes the bytes for, by their declared type; None for text, whatever it is called."""
    declared = declared.strip().lower()
    if declared == "application/pdf":
        return "document"
    if declared.startswith("image/"):
        # A drawing in XML is text to whoever takes it at all.
        return None if declared == "image/svg+xml" else "image"
    if declared.startswith(("audio/", "video/")):
        return "stream"
    return default if not declared else None

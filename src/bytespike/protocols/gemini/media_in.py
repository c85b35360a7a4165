"""Media in parts, read: `inlineData` and `fileData`, of contents and of function responses."""

from __future__ import annotations

import mimetypes
from typing import Final
from urllib.parse import urlsplit

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    DocumentPart,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    Source,
    UrlSource,
)
from bytespike.core.json_types import JSONObject
from bytespike.protocols.gemini.names import NAME, aside
from bytespike.protocols.gemini.proto_json import camel_keys
from bytespike.wire import fields as f

#: The kind of a ForeignPart that holds media which no other dialect has: video, and files of an unknown type.
FOREIGN_MEDIA: Final = "video"

_AUDIO_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}
_BLOB: Final = frozenset({"data", "mimeType", "displayName"})
_FILE: Final = frozenset({"fileUri", "mimeType", "displayName"})
_DETAILS: Final = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_MEDIUM": "auto",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "original",
}
_GOOGLE_HOSTS: Final = ("generativelanguage.googleapis.com",)
_VIDEO_HOSTS: Final = ("youtube.com", "youtu.be")


def read_media(part: JSONObject, kept: JSONObject) -> Part:
    """A part with `inlineData` or `fileData`. `kept`: its other members. Raises `Wrong`."""
    inline = "inlineData" in part
    key = "inlineData" if inline else "fileData"
    try:
        blob = camel_keys(f.object_at(part, key))
        media_type = (f.optional_text(blob, "mimeType") or "").partition(";")[0].strip().lower()
        name = f.optional_text(blob, "displayName")
        beside = f.rest(blob, _BLOB if inline else _FILE)
        if inline:
            source: Source = Base64Source(media_type, f.text(blob, "data"))
        else:
            uri = f.text(blob, "fileUri")
            media_type = media_type or _guessed(uri)
            source = _source(uri, media_type)
            if isinstance(source, FileSource) and media_type:
                beside["mimeType"] = media_type
    except f.Wrong as wrong:
        raise (wrong.under(key) if isinstance(part.get(key), dict) else wrong) from None
    if beside:
        kept = {**kept, "_blob": beside}
    family = media_type.partition("/")[0]
    if family == "image":
        detail = _detail(kept)
        return ImagePart(source, detail, extras=aside(kept))
    if family == "audio":
        subtype = media_type.partition("/")[2]
        return AudioPart(source, _AUDIO_FORMATS.get(subtype, subtype), extras=aside(kept))
    if family == "video" or not media_type:
        return ForeignPart(NAME, FOREIGN_MEDIA, part)
    return DocumentPart(source, filename=name, extras=aside(kept))


def _detail(kept: JSONObject) -> str | None:
    """The resolution of one part, as OpenAI's `detail`; the member itself is kept for this dialect's writer."""
    told = kept.pop("mediaResolution", None)
    if told is None:
        return None
    kept["_mediaResolution"] = told
    level = camel_keys(told).get("level") if isinstance(told, dict) else told
    return _DETAILS.get(level.upper()) if isinstance(level, str) else None


def _source(uri: str, media_type: str) -> Source:
    """A public URL that anybody may fetch; everything else (the Files API, Cloud Storage, YouTube) only Google has."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return FileSource(uri, NAME)
    if parts.scheme not in ("http", "https") or host in _GOOGLE_HOSTS:
        return FileSource(uri, NAME)
    if any(host == video or host.endswith("." + video) for video in _VIDEO_HOSTS):
        return FileSource(uri, NAME)
    return UrlSource(uri, media_type)


def _guessed(uri: str) -> str:
    try:
        path = urlsplit(uri).path
    except ValueError:
        return ""
    return mimetypes.guess_type(path)[0] or ""

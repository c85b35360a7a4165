"""Content parts of messages, read."""

from __future__ import annotations

from typing import Final

from bytespike.core.content import (
    AudioPart,
    CacheMark,
    DocumentPart,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    UrlSource,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.inline_media import data_url, located
from bytespike.protocols.openai_chat.names import NAME, aside
from bytespike.protocols.openai_content import bare_file, read_audio
from bytespike.wire import fields as f

#: Members that mark a part for caching.
_MARKS: Final = frozenset({"prompt_cache_breakpoint", "cache_control"})
_TEXT_MEMBERS: Final = frozenset({"type", "text"})
_IMAGE_MEMBERS: Final = frozenset({"type", "image_url"})
_AUDIO_MEMBERS: Final = frozenset({"type", "input_audio"})
_FILE_MEMBERS: Final = frozenset({"type", "file"})
_REFUSAL_MEMBERS: Final = frozenset({"type", "refusal"})
_DOCUMENT_URL_MEMBERS: Final = frozenset({"type", "document_url"})


def read_content(content: JSON, key: str = "content") -> list[Part]:
    """The parts of a message's content: a string or an array. Raises `Wrong` under `key`."""
    if isinstance(content, str):
        return [TextPart(content)]
    if not isinstance(content, list):
        raise f.Wrong(f"must be a string or an array of parts, not {f.kind_of(content)}", key)
    parts: list[Part] = []
    for index, part in enumerate(content):
        if isinstance(part, str):
            # Not in OpenAI's types, but some clients send it and some vendors take it.
            parts.append(TextPart(part))
            continue
        if not isinstance(part, dict):
            raise f.Wrong(f"must be an object, not {f.kind_of(part)}", key, index)
        try:
            parts.append(read_part(part))
        except f.Wrong as wrong:
            raise wrong.under(key, index) from None
    return parts


def read_part(part: JSONObject) -> Part:
    """One part. Raises `Wrong`."""
    match f.text(part, "type"):
        case "text":
            if len(part) == 2:
                return TextPart(f.text(part, "text"))
            cache, kept = _aside(part, _TEXT_MEMBERS)
            return TextPart(f.text(part, "text"), cache=cache, extras=aside(kept))
        case "image_url":
            return _image(part)
        case "input_audio":
            return _audio(part)
        case "file":
            return _file(part)
        case "refusal":
            kept = {**f.rest(part, _REFUSAL_MEMBERS), "_part": True}
            return RefusalPart(f.text(part, "refusal"), extras=aside(kept))
        case "document_url":
            return _document_url(part)
        case "thinking":
            return _thinking(part)
        case kind:
            return ForeignPart(NAME, kind, part, _aside(part, frozenset())[0])


def _aside(part: JSONObject, known: frozenset[str]) -> tuple[CacheMark | None, JSONObject]:
    """The part's cache mark, and its members that the hub does not know.

    The mark is OpenAI's `prompt_cache_breakpoint`, or `cache_control` as OpenRouter and Alibaba took it from Anthropic. It
    is also put aside as it was spelt, so that this dialect's writer gives back the spelling that came.
    """
    cache: CacheMark | None = None
    kept: JSONObject = {}
    for key, value in part.items():
        if key in known:
            continue
        if key not in _MARKS or value is None:
            kept[key] = value
            continue
        mark = f.object_at(part, key)
        try:
            cache = CacheMark(f.optional_text(mark, "ttl"))
        except f.Wrong as wrong:
            raise wrong.under(key) from None
        kept[f"_{key}"] = mark
    return cache, kept


def spelt_marks(members: JSONObject) -> JSONObject:
    """Of what was put aside, the cache marks, under the names that they came with."""
    return {key: members[f"_{key}"] for key in _MARKS if f"_{key}" in members}


def _image(part: JSONObject) -> ImagePart:
    image = part.get("image_url")
    detail: str | None = None
    if isinstance(image, str):
        source = located(image, "image_url")
    else:
        image = f.object_at(part, "image_url")
        try:
            source = located(f.text(image, "url"), "url")
            detail = f.optional_text(image, "detail")
        except f.Wrong as wrong:
            raise wrong.under("image_url") from None
    cache, kept = _aside(part, _IMAGE_MEMBERS)
    return ImagePart(source, detail, cache, aside(kept))


def _audio(part: JSONObject) -> AudioPart:
    source, format_name = read_audio(part)
    cache, kept = _aside(part, _AUDIO_MEMBERS)
    return AudioPart(source, format_name, cache, aside(kept))


def _file(part: JSONObject) -> DocumentPart:
    file = f.object_at(part, "file")
    cache, kept = _aside(part, _FILE_MEMBERS)
    try:
        data = f.optional_text(file, "file_data")
        file_id = f.optional_text(file, "file_id")
        filename = f.optional_text(file, "filename")
        if data is not None:
            source = _file_source(data, filename)
        elif file_id is not None:
            source = FileSource(file_id, NAME)
        else:
            raise f.Wrong("must have file_data or file_id")
    except f.Wrong as wrong:
        raise wrong.under("file") from None
    return DocumentPart(source, filename=filename, cache=cache, extras=aside(kept))


def _file_source(data: str, filename: str | None) -> Source:
    found = data_url(data, "file_data")
    if found is not None:
        return found
    if "://" in data[:16]:
        # OpenRouter takes a public URL here.
        return UrlSource(data)
    return bare_file(data, filename)


def _document_url(part: JSONObject) -> DocumentPart:
    """Mistral's document part: {"type": "document_url", "document_url": "https://..."}."""
    cache, kept = _aside(part, _DOCUMENT_URL_MEMBERS)
    url = f.text(part, "document_url")
    source = data_url(url, "document_url") or UrlSource(url)
    return DocumentPart(source, cache=cache, extras=aside({**kept, "_type": "document_url"}))


def _thinking(part: JSONObject) -> ReasoningPart:
    """Mistral's thinking part: {"type": "thinking", "thinking": [{"type": "text", "text": "..."}] | "..."}."""
    thinking = part.get("thinking")
    if isinstance(thinking, str):
        return ReasoningPart(thinking, extras=aside({"_part": part}))
    pieces = [f.text(piece, "text") for piece in f.objects(f.array_at(part, "thinking"), "thinking")]
    return ReasoningPart("".join(pieces), extras=aside({"_part": part}))

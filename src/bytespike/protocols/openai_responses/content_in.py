"""Content parts of messages and of tool outputs, read: `input_text`, `input_image`, `input_file`, and an assistant's
`output_text` and `refusal`."""

from __future__ import annotations

from typing import Final

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    CacheMark,
    DocumentPart,
    FileSource,
    ForeignPart,
    ImagePart,
    Part,
    RefusalPart,
    Source,
    TextPart,
)
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.inline_media import data_url, located
from bytespike.protocols.openai_content import bare_file, read_audio
from bytespike.protocols.openai_responses.annotations import read_annotations
from bytespike.protocols.openai_responses.names import NAME, aside
from bytespike.wire import fields as f

_TEXT_MEMBERS: Final = frozenset({"type", "text"})
_OUTPUT_MEMBERS: Final = frozenset({"type", "text", "annotations", "logprobs"})
_REFUSAL_MEMBERS: Final = frozenset({"type", "refusal"})
_IMAGE_MEMBERS: Final = frozenset({"type", "image_url", "file_id", "detail"})
_FILE_MEMBERS: Final = frozenset({"type", "file_data", "file_url", "file_id", "filename"})
_AUDIO_MEMBERS: Final = frozenset({"type", "input_audio"})
_BREAKPOINT: Final = "prompt_cache_breakpoint"


def read_content(content: JSON, key: str = "content") -> list[Part]:
    """The parts of a message's content or of a tool's output: a string or an array. Raises `Wrong` under `key`."""
    if isinstance(content, str):
        return [TextPart(content)]
    if not isinstance(content, list):
        raise f.Wrong(f"must be a string or an array of parts, not {f.kind_of(content)}", key)
    parts: list[Part] = []
    for index, part in enumerate(content):
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
        case "input_text" | "text" | "summary_text" | "reasoning_text":
            if len(part) == 2:
                return TextPart(f.text(part, "text"))
            cache, kept = _aside(part, _TEXT_MEMBERS)
            return TextPart(f.text(part, "text"), cache=cache, extras=aside(kept))
        case "output_text":
            return read_output_text(part)
        case "refusal":
            return RefusalPart(f.text(part, "refusal"), extras=aside(f.rest(part, _REFUSAL_MEMBERS)))
        case "input_image":
            return _image(part)
        case "input_file":
            return _file(part)
        case "input_audio":
            return _audio(part)
        case kind:
            return ForeignPart(NAME, kind, part, _aside(part, frozenset())[0])


def read_output_text(part: JSONObject) -> TextPart:
    """An assistant's text with its annotations; log probabilities belong to the answer. Raises `Wrong`."""
    citations = read_annotations(part)
    kept = f.rest(part, _OUTPUT_MEMBERS) if len(part) > 2 else {}
    return TextPart(f.text(part, "text"), citations, extras=aside(kept))


def _aside(part: JSONObject, known: frozenset[str]) -> tuple[CacheMark | None, JSONObject]:
    """The part's cache mark, and its members that the hub does not know. The mark is also noted as it was spelt."""
    kept = f.rest(part, known)
    kept.pop(_BREAKPOINT, None)
    mark = f.optional_object(part, _BREAKPOINT)
    if mark is None:
        return None, kept
    try:
        cache = CacheMark(f.optional_text(mark, "ttl"))
    except f.Wrong as wrong:
        raise wrong.under(_BREAKPOINT) from None
    kept["_mark"] = mark
    return cache, kept


def _image(part: JSONObject) -> ImagePart:
    url = f.optional_text(part, "image_url")
    file_id = f.optional_text(part, "file_id")
    if url is not None:
        source = located(url, "image_url")
    elif file_id is not None:
        source = FileSource(file_id, NAME)
    else:
        raise f.Wrong("must have image_url or file_id")
    cache, kept = _aside(part, _IMAGE_MEMBERS)
    return ImagePart(source, f.optional_text(part, "detail"), cache, aside(kept))


def _file(part: JSONObject) -> DocumentPart:
    data = f.optional_text(part, "file_data")
    url = f.optional_text(part, "file_url")
    file_id = f.optional_text(part, "file_id")
    filename = f.optional_text(part, "filename")
    source: Source
    if data:
        # The API wants a data URL.
        source = data_url(data, "file_data") or bare_file(data, filename)
    elif url:
        source = located(url, "file_url")
    elif file_id:
        source = FileSource(file_id, NAME)
    else:
        raise f.Wrong("must have file_data, file_url or file_id")
    cache, kept = _aside(part, _FILE_MEMBERS)
    if url and isinstance(source, Base64Source):
        kept["_member"] = "file_url"
    return DocumentPart(source, filename=filename, cache=cache, extras=aside(kept))


def _audio(part: JSONObject) -> AudioPart:
    source, format_name = read_audio(part)
    cache, kept = _aside(part, _AUDIO_MEMBERS)
    return AudioPart(source, format_name, cache, aside(kept))

"""Content parts of messages, written for an upstream."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
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
    PartsSource,
    SearchResultPart,
    TextPart,
    TextSource,
    UrlSource,
)
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, Extras, JSONObject
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.content_in import spelt_marks
from bytespike.protocols.openai_chat.losses import Losses
from bytespike.protocols.openai_chat.names import NAME, own, wire_members
from bytespike.protocols.openai_chat.tools import cache_control

_DEFAULT_FILENAME: Final = "document.pdf"
#: TTLs that OpenAI's `prompt_cache_breakpoint` knows. Others fall back to its default, the shorter one.
_BREAKPOINT_TTLS: Final = frozenset({"30m", "12h"})
#: The first base64 characters of the image formats that every provider takes.
_IMAGE_MAGIC: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


def unsupported(message: str, param: str = "messages") -> UnsupportedFeature:
    return UnsupportedFeature(message, param=param)


class ContentWriter:
    """Writes parts for one target; what is lost goes to `losses`. Raises `UnsupportedFeature`."""

    __slots__ = ("capabilities", "losses", "quirks")

    def __init__(self, target: Target, losses: Losses) -> None:
        self.capabilities = target.capabilities
        self.quirks = target.quirks
        self.losses = losses

    def user_parts(self, parts: Iterable[Part]) -> list[JSONObject]:
        """The entries of a user message. One part may take several."""
        entries: list[JSONObject] = []
        for part in parts:
            match part:
                case TextPart():
                    entries.append(self.text(part))
                case ImagePart():
                    entries.append(self.image(part))
                case DocumentPart():
                    entries.extend(self.document(part))
                case SearchResultPart():
                    entries.append(self.search_result(part))
                case AudioPart():
                    entries.append(self.audio(part))
                case ForeignPart():
                    entries.append(foreign(part))
                case _:
                    raise unsupported(f"A user message cannot hold a {type(part).__name__}.")
        return entries

    def text_only(self, parts: Iterable[Part], role: str) -> list[JSONObject]:
        """The entries of a message that takes only text."""
        entries: list[JSONObject] = []
        for part in parts:
            match part:
                case TextPart():
                    entries.append(self.text(part))
                case SearchResultPart():
                    entries.append(self.search_result(part))
                case DocumentPart() if is_text(part):
                    entries.extend(self.document(part))
                case ForeignPart():
                    entries.append(foreign(part))
                case _:
                    raise unsupported(f"A {role} message can hold only text for this model.")
        return entries

    def text(self, part: TextPart) -> JSONObject:
        if part.citations and q.SERVER_TOOL_CALLS not in self.quirks:
            self.losses.dropped("messages.citations", "the model takes no citations back")
        entry: JSONObject = {"type": "text", "text": part.text}
        if part.cache is not None or part.extras:
            self._finish(entry, part.cache, part.extras)
        return entry

    def image(self, part: ImagePart) -> JSONObject:
        if "vision" not in self.capabilities:
            raise unsupported("This model takes no images. Choose one with the capability 'vision'.")
        match part.source:
            case Base64Source(media_type=media_type, data=data):
                url = f"data:{media_type or _image_type(data)};base64,{data}"
            case UrlSource(url=url):
                pass
            case _:
                raise unsupported("This model takes images only as base64 or by URL.")
        image: JSONObject = {"url": url}
        if part.detail is not None:
            image["detail"] = part.detail
        return self._finish({"type": "image_url", "image_url": image}, part.cache, part.extras)

    def audio(self, part: AudioPart) -> JSONObject:
        if "audio" not in self.capabilities:
            raise unsupported("This model takes no audio. Choose one with the capability 'audio'.")
        if not isinstance(part.source, Base64Source):
            raise unsupported("This model takes audio only as base64.")
        audio: JSONObject = {"data": part.source.data, "format": part.format}
        return self._finish({"type": "input_audio", "input_audio": audio}, part.cache, part.extras)

    def document(self, part: DocumentPart) -> list[JSONObject]:
        if part.cite:
            self.losses.dropped("documents.citations", "the model does not cite documents")
        if own(part.extras).get("_type") == "document_url":
            return [self._mistral_document(part)]
        match part.source:
            case Base64Source(media_type=media_type, data=data) if media_type.startswith("text/"):
                if NAME not in part.extras and part.filename is None:
                    return [self._text_document(part, _decoded(data))]
                file: JSONObject = {"file_data": f"data:{media_type};base64,{data}"}
            case Base64Source(media_type=media_type, data=data):
                file = {"file_data": f"data:{media_type};base64,{data}" if media_type else data}
            case FileSource(file_id=file_id, dialect=dialect) if dialect == NAME:
                file = {"file_id": file_id}
            case FileSource():
                raise unsupported("A file that was uploaded to one provider cannot be given to another.")
            case TextSource(text=text):
                return [self._text_document(part, text)]
            case PartsSource(parts=parts):
                self.losses.approximated("documents", "written as plain content")
                heading = _heading(part)
                return (
                    [{"type": "text", "text": heading}, *self.user_parts(parts)]
                    if heading
                    else self.user_parts(parts)
                )
            case UrlSource(url=url):
                return [self._document_url(part, url)]
        if "documents" not in self.capabilities:
            raise unsupported("This model takes no documents. Choose one with the capability 'documents'.")
        name = part.filename or _titled(part)
        if name is not None or ("file_data" in file and NAME not in part.extras):
            file["filename"] = name or _DEFAULT_FILENAME
        if part.context:
            self.losses.dropped("documents.context", "files have no such member")
        return [self._finish({"type": "file", "file": file}, part.cache, part.extras)]

    def _mistral_document(self, part: DocumentPart) -> JSONObject:
        """A part of Mistral's own type goes back as it came."""
        match part.source:
            case Base64Source(media_type=media_type, data=data):
                url = f"data:{media_type};base64,{data}"
            case UrlSource(url=url):
                pass
            case _:
                raise unsupported("This model takes documents only as base64 or by URL.")
        return self._finish({"type": "document_url", "document_url": url}, part.cache, part.extras)

    def _document_url(self, part: DocumentPart, url: str) -> JSONObject:
        if q.FILE_URLS in self.quirks:
            file: JSONObject = {
                "file_data": url,
                "filename": part.filename or _titled(part) or _DEFAULT_FILENAME,
            }
            return self._finish({"type": "file", "file": file}, part.cache, part.extras)
        raise unsupported("This model does not fetch documents by URL; send the document as base64.")

    def _text_document(self, part: DocumentPart, text: str) -> JSONObject:
        self.losses.approximated("documents", "written as text")
        heading = _heading(part)
        entry: JSONObject = {"type": "text", "text": f"{heading}\n\n{text}" if heading else text}
        return self._finish(entry, part.cache, part.extras)

    def search_result(self, part: SearchResultPart) -> JSONObject:
        self.losses.approximated("search_result", "written as text")
        lines = [line for line in (part.title, part.source) if line]
        body = "\n\n".join(text.text for text in part.content)
        return self._finish({"type": "text", "text": "\n".join([*lines, "", body])}, part.cache, part.extras)

    def _finish(self, entry: JSONObject, cache: CacheMark | None, extras: Extras) -> JSONObject:
        """Add the cache mark and what the same dialect had put aside."""
        if extras:
            entry.update(wire_members(extras))
            self.losses.foreign_extras(extras, "content.")
            marks = spelt_marks(own(extras))
            if marks:
                entry.update(marks)
                return entry
        if cache is not None:
            self._mark(entry, cache)
        return entry

    def _mark(self, entry: JSONObject, cache: CacheMark) -> None:
        if q.CACHE_BREAKPOINTS in self.quirks or q.CACHE_BREAKPOINTS in self.capabilities:
            point: JSONObject = {"mode": "explicit"}
            if cache.ttl in _BREAKPOINT_TTLS:
                point["ttl"] = cache.ttl
            elif cache.ttl == "1h":
                self.losses.approximated("cache_control.ttl", "30m")
            entry["prompt_cache_breakpoint"] = point
        elif q.CACHE_CONTROL in self.quirks:
            entry["cache_control"] = cache_control(cache)
        else:
            self.losses.cache_mark()

    def content(self, entries: list[JSONObject], separator: str) -> JSON:
        """A message's `content`: a string where it can be one, else the array. `separator` stands between texts where
        the target takes only strings."""
        if len(entries) == 1 and _plain(entries[0]):
            return entries[0]["text"]
        if q.STRING_CONTENT in self.quirks and all(_plain(entry) for entry in entries):
            return separator.join(str(entry["text"]) for entry in entries)
        return [*entries]


def foreign(part: ForeignPart) -> JSONObject:
    """A part of a type that only its own dialect knows. Raises `UnsupportedFeature`."""
    if part.dialect != NAME or not isinstance(part.raw, dict):
        raise unsupported(f"This model cannot be given content of type '{part.kind}'.")
    return part.raw


def is_text(part: DocumentPart) -> bool:
    """Whether a document is nothing but text."""
    match part.source:
        case TextSource():
            return True
        case PartsSource(parts=parts):
            return all(isinstance(inner, (TextPart, SearchResultPart)) for inner in parts)
        case _:
            return False


def _plain(entry: JSONObject) -> bool:
    return len(entry) == 2 and entry.get("type") == "text"


def _titled(part: DocumentPart) -> str | None:
    """A file name of a document's title. The API tells a file's kind by the end of its name, which titles have not."""
    title, source = part.title, part.source
    if not title or title.lower().endswith(".pdf"):
        return title or None
    other = isinstance(source, Base64Source) and source.media_type not in ("", "application/pdf")
    return title if other else f"{title}.pdf"


def _heading(part: DocumentPart) -> str:
    title = part.title or part.filename
    lines = [f"[document: {title}]" if title else "", part.context or ""]
    return "\n".join(line for line in lines if line)


def _image_type(data: str) -> str:
    for magic, media_type in _IMAGE_MAGIC:
        if data.startswith(magic):
            return media_type
    return "image/png"


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise unsupported("A text document's data is not valid base64.") from None

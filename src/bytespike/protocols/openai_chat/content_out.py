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
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature, untaken_url
from bytespike.protocols.documents_as_text import headed, heading, search_result_text
from bytespike.protocols.inline_media import image_type
from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.content_in import spelt_marks
from bytespike.protocols.openai_chat.names import NAME, own, wire_members
from bytespike.protocols.openai_chat.tools import cache_control
from bytespike.protocols.openai_content import DEFAULT_FILENAME, cache_breakpoint, titled, write_audio

#: Of an image that does not tell its type.
_UNKNOWN_IMAGE: Final = "image/png"


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
                url = f"data:{media_type or image_type(data) or _UNKNOWN_IMAGE};base64,{data}"
            case UrlSource(url=url):
                if q.NO_IMAGE_URLS in self.quirks and not url.startswith("data:"):
                    message = "This model does not fetch images by URL; send the image as base64."
                    raise untaken_url(message, "image", "messages")
            case _:
                raise unsupported("This model takes images only as base64 or by URL.")
        image: JSONObject = {"url": url}
        if part.detail is not None:
            image["detail"] = part.detail
        return self._finish({"type": "image_url", "image_url": image}, part.cache, part.extras)

    def audio(self, part: AudioPart) -> JSONObject:
        return self._finish(write_audio(part, self.capabilities, "messages"), part.cache, part.extras)

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
                above = heading(part)
                return (
                    [{"type": "text", "text": above}, *self.user_parts(parts)]
                    if above
                    else self.user_parts(parts)
                )
            case UrlSource(url=url):
                return [self._document_url(part, url)]
        if "documents" not in self.capabilities:
            raise unsupported("This model takes no documents. Choose one with the capability 'documents'.")
        name = part.filename or titled(part)
        if name is not None or ("file_data" in file and NAME not in part.extras):
            file["filename"] = name or DEFAULT_FILENAME
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
                "filename": part.filename or titled(part) or DEFAULT_FILENAME,
            }
            return self._finish({"type": "file", "file": file}, part.cache, part.extras)
        if "documents" in self.capabilities:
            message = "This model does not fetch documents by URL; send the document as base64."
            raise untaken_url(message, "document", "messages")
        raise unsupported("This model takes no documents. Choose one with the capability 'documents'.")

    def _text_document(self, part: DocumentPart, text: str) -> JSONObject:
        self.losses.approximated("documents", "written as text")
        entry: JSONObject = {"type": "text", "text": headed(heading(part), text)}
        return self._finish(entry, part.cache, part.extras)

    def search_result(self, part: SearchResultPart) -> JSONObject:
        self.losses.approximated("search_result", "written as text")
        return self._finish({"type": "text", "text": search_result_text(part)}, part.cache, part.extras)

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
            entry["prompt_cache_breakpoint"] = cache_breakpoint(cache, self.losses)
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


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise unsupported("A text document's data is not valid base64.") from None

"""Content parts of messages and of tool outputs, written for an upstream."""

from __future__ import annotations

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
    Source,
    TextPart,
    TextSource,
    UrlSource,
)
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON, Extras, JSONObject
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.documents_as_text import headed, search_result_text
from bytespike.protocols.inline_media import image_type
from bytespike.protocols.openai_content import DEFAULT_FILENAME, PDF, cache_breakpoint, titled, write_audio
from bytespike.protocols.openai_responses import quirks as q
from bytespike.protocols.openai_responses.names import NAME, noted, own, wire_members

_DETAILS: Final = frozenset({"low", "high", "auto", "original"})


#: Of an image that does not tell its type.
_UNKNOWN_IMAGE: Final = "image/png"


def unsupported(message: str, param: str = "input") -> UnsupportedFeature:
    return UnsupportedFeature(message, param=param)


class ContentWriter:
    """Writes parts for one target; what is lost goes to `losses`. Raises `UnsupportedFeature`."""

    __slots__ = ("capabilities", "losses", "quirks")

    def __init__(self, target: Target, losses: Losses) -> None:
        self.capabilities = target.capabilities
        self.quirks = target.quirks
        self.losses = losses

    def parts(self, parts: Iterable[Part], what: str) -> list[JSON]:
        """The entries of a message or of a tool's output (`what`, for messages). One part may take several."""
        entries: list[JSON] = []
        for part in parts:
            match part:
                case TextPart():
                    entries.append(self.text(part))
                case ImagePart():
                    entries.append(self.image(part))
                case DocumentPart():
                    entries.extend(self.document(part, what))
                case SearchResultPart():
                    entries.append(self._search_result(part))
                case AudioPart():
                    entries.append(self._audio(part))
                case ForeignPart():
                    entries.append(foreign(part))
                case _:
                    raise unsupported(f"{what} cannot hold a {type(part).__name__}.")
        return entries

    def content(self, entries: list[JSON]) -> JSON:
        """One plain text as a string, for that is how clients write it; everything else as it is."""
        first = entries[0] if len(entries) == 1 else None
        plain = isinstance(first, dict) and first.keys() == {"type", "text"} and first["type"] == "input_text"
        return first["text"] if plain and isinstance(first, dict) else entries

    def text(self, part: TextPart) -> JSONObject:
        if part.citations:
            self.losses.dropped("messages.citations", "only on an assistant's texts")
        return self._finish({"type": "input_text", "text": part.text}, part.cache, part.extras)

    def image(self, part: ImagePart) -> JSONObject:
        if "vision" not in self.capabilities:
            raise unsupported("This model takes no images. Choose one with the capability 'vision'.")
        entry: JSONObject = {
            "type": "input_image",
            "detail": part.detail if part.detail in _DETAILS else "auto",
        }
        match part.source:
            case Base64Source(media_type=media_type, data=data):
                entry["image_url"] = f"data:{media_type or image_type(data) or _UNKNOWN_IMAGE};base64,{data}"
            case UrlSource(url=url):
                entry["image_url"] = url
            case FileSource(file_id=file_id, dialect=dialect) if dialect == NAME:
                entry["file_id"] = file_id
            case _:
                raise unsupported("This model takes images only as base64 or by URL.")
        return self._finish(entry, part.cache, part.extras)

    def _audio(self, part: AudioPart) -> JSONObject:
        return self._finish(write_audio(part, self.capabilities, "input"), part.cache, part.extras)

    def document(self, part: DocumentPart, what: str) -> list[JSON]:
        if part.cite:
            self.losses.dropped("documents.citations", "the model does not cite documents")
        match part.source:
            case TextSource(text=text):
                return [self._text_document(part, text)]
            case PartsSource(parts=parts):
                self.losses.approximated("documents", "written as plain content")
                heading = _heading(part)
                head: list[JSON] = [{"type": "input_text", "text": heading}] if heading else []
                return [*head, *self.parts(parts, what)]
            case source:
                entry = self._file(part, source)
        if "documents" not in self.capabilities:
            raise unsupported("This model takes no documents. Choose one with the capability 'documents'.")
        if part.context:
            self.losses.dropped("documents.context", "files have no such member")
        return [self._finish(entry, part.cache, part.extras)]

    def _file(self, part: DocumentPart, source: Source) -> JSONObject:
        entry: JSONObject = {"type": "input_file"}
        name = part.filename or titled(part)
        match source:
            case Base64Source(media_type=media_type, data=data):
                member = "file_url" if own(part.extras).get("_member") == "file_url" else "file_data"
                entry[member] = f"data:{media_type or PDF};base64,{data}"
                if name is None and NAME not in part.extras:
                    # The API reads the kind of a file from its name.
                    name = DEFAULT_FILENAME if (media_type or PDF) == PDF else "document.txt"
            case UrlSource(url=url):
                entry["file_url"] = url
                # With a URL the API takes no name.
                name = part.filename
                if name is None and part.title:
                    self.losses.dropped("documents.title", "with a URL the API takes no name")
            case FileSource(file_id=file_id, dialect=dialect) if dialect == NAME:
                entry["file_id"] = file_id
                name = part.filename
            case _:
                raise unsupported("A file that was uploaded to one provider cannot be given to another.")
        if name is not None:
            entry["filename"] = name
        return entry

    def _text_document(self, part: DocumentPart, text: str) -> JSONObject:
        self.losses.approximated("documents", "written as text")
        entry: JSONObject = {"type": "input_text", "text": headed(_heading(part), text)}
        return self._finish(entry, part.cache, part.extras)

    def _search_result(self, part: SearchResultPart) -> JSONObject:
        self.losses.approximated("search_result", "written as text")
        entry: JSONObject = {"type": "input_text", "text": search_result_text(part)}
        return self._finish(entry, part.cache, part.extras)

    def _finish(self, entry: JSONObject, cache: CacheMark | None, extras: Extras) -> JSONObject:
        """Add the cache mark and what this dialect's reader had put aside."""
        if extras:
            entry.update(wire_members(extras))
            self.losses.foreign_extras(extras, "content.")
            mark = noted(extras, "_mark")
            if mark:
                entry["prompt_cache_breakpoint"] = mark
                return entry
        if cache is not None:
            self._mark(entry, cache)
        return entry

    def _mark(self, entry: JSONObject, cache: CacheMark) -> None:
        if q.CACHE_BREAKPOINTS not in self.quirks and q.CACHE_BREAKPOINTS not in self.capabilities:
            self.losses.cache_mark()
            return
        entry["prompt_cache_breakpoint"] = cache_breakpoint(cache, self.losses)


def foreign(part: ForeignPart) -> JSON:
    """A part of this dialect as it came. Raises `UnsupportedFeature` for any other."""
    if part.dialect != NAME:
        raise unsupported(
            f"This model cannot be given content of type '{part.kind[:60]}', which only {part.dialect} knows."
        )
    return part.raw


def _heading(part: DocumentPart) -> str:
    return "\n".join(line for line in (part.title or part.filename, part.context) if line)

"""The images and documents that a request gives by URL: found, and replaced by their bytes.

For a target that takes such content inline only. URLs that hold their data themselves (`data:`) are not meant: every
writer takes those for bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import structs

from bytespike.core.content import (
    Base64Source,
    DocumentPart,
    ImagePart,
    Part,
    PartsSource,
    ToolResultPart,
    UrlSource,
)
from bytespike.core.request import ChatRequest

Media: TypeAlias = Literal["image", "document"]


def urls_of(request: ChatRequest, media: Media) -> tuple[str, ...]:
    """The URLs of the request's images or documents, each once, in the order of their first use."""
    found: dict[str, None] = {}
    for url in _urls(request.system, media):
        found[url] = None
    for turn in request.turns:
        for url in _urls(turn.parts, media):
            found[url] = None
    return tuple(found)


def with_bytes(request: ChatRequest, media: Media, found: Mapping[str, Base64Source]) -> ChatRequest:
    """The request with those of its images or documents inline whose URLs are in `found`."""
    return structs.replace(
        request,
        system=_replaced(request.system, media, found),
        turns=tuple(
            structs.replace(turn, parts=_replaced(turn.parts, media, found)) for turn in request.turns
        ),
    )


def _urls(parts: Iterable[Part], media: Media) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ToolResultPart):
            yield from _urls(part.content, media)
        elif isinstance(part, DocumentPart) and isinstance(part.source, PartsSource):
            yield from _urls(part.source.parts, media)
        else:
            url = _url_of(part, media)
            if url is not None:
                yield url


def _url_of(part: Part, media: Media) -> str | None:
    if not isinstance(part, ImagePart if media == "image" else DocumentPart):
        return None
    source = part.source
    if not isinstance(source, UrlSource) or source.url[:5].lower() == "data:":
        return None
    return source.url


def _replaced(parts: tuple[Part, ...], media: Media, found: Mapping[str, Base64Source]) -> tuple[Part, ...]:
    return tuple(_with(part, media, found) for part in parts)


def _with(part: Part, media: Media, found: Mapping[str, Base64Source]) -> Part:
    if isinstance(part, ToolResultPart):
        return structs.replace(part, content=_replaced(part.content, media, found))
    if isinstance(part, DocumentPart) and isinstance(part.source, PartsSource):
        return structs.replace(part, source=PartsSource(_replaced(part.source.parts, media, found)))
    url = _url_of(part, media)
    source = None if url is None else found.get(url)
    if source is None or not isinstance(part, ImagePart | DocumentPart):
        return part
    return structs.replace(part, source=source)

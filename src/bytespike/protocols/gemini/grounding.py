"""Citations: `groundingMetadata` and `citationMetadata`.

    groundingChunks:   [{"web": {"uri", "title"}} | {"retrievedContext": {"uri", "title", "text"}} | {"maps"} | {"image"}]
    groundingSupports: [{"segment": {"partIndex"?, "startIndex"?, "endIndex", "text"}, "groundingChunkIndices": [...]}]

A segment's offsets are bytes of UTF-8 in its part (google-genai, Segment), the hub's are characters. `partIndex` is
mostly left out, even where the text is not the first part (recorded traffic), and in a stream the part is the whole text
so far; so the segment's own text decides which part is meant.

Written for a client, each citation is one support. What a support has no member for (a quoted text, the place in a
document, a provider's index) stands in `citation`, a member of our own that clients skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args

from bytespike.core.content import Citation, TextPart
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.gemini.names import NAME, aside, own

#: More supports or chunks than any answer has.
SUPPORTS_MAX: Final = 10_000
#: A support that names more sources than this is cut off.
SOURCES_MAX: Final = 100

_Kind: TypeAlias = Literal["web", "char", "page", "block", "search_result"]
_KINDS: Final = frozenset(get_args(_Kind))


class Cited(NamedTuple):
    """A citation and the number of the text that it belongs to; None: of none of them."""

    citation: Citation
    text: int | None


# --- reading ---------------------------------------------------------------------------------------------------


def read_grounding(
    grounding: JSON, citations: JSON, texts: Sequence[str], numbers: Sequence[int]
) -> list[Cited]:
    """All citations of a candidate. `texts`: its text parts, without thoughts; `numbers`: which parts of the content they
    are. Never raises: what makes no sense is not a citation."""
    found: list[Cited] = []
    if isinstance(grounding, dict):
        chunks = _objects(grounding.get("groundingChunks"))
        for support in _objects(grounding.get("groundingSupports")):
            found.extend(_read_support(support, chunks, texts, numbers))
    if isinstance(citations, dict):
        for source in _objects(citations.get("citations")):
            cited = _read_source(source, texts)
            if cited is not None:
                found.append(cited)
    return found


def _read_support(
    support: JSONObject, chunks: list[JSONObject], texts: Sequence[str], numbers: Sequence[int]
) -> list[Cited]:
    told = support.get("segment")
    segment = told if isinstance(told, dict) else {}
    place = _place(segment, texts, numbers)
    sources = support.get("groundingChunkIndices")
    found: list[Cited] = []
    for number in sources[:SOURCES_MAX] if isinstance(sources, list) else ():
        if isinstance(number, int) and 0 <= number < len(chunks):
            citation = _citation(number, chunks[number], place, support)
            if citation is not None:
                found.append(Cited(citation, place.text))
    return found


class _Place(NamedTuple):
    """Character offsets in the text of that number, as far as they are known."""

    text: int | None
    start: int | None
    end: int | None


def _place(segment: JSONObject, texts: Sequence[str], numbers: Sequence[int]) -> _Place:
    start, end = _offset(segment.get("startIndex")), _offset(segment.get("endIndex"))
    quoted = segment.get("text")
    part = segment.get("partIndex")
    hinted = numbers.index(part) if isinstance(part, int) and part in numbers else None
    if not isinstance(quoted, str) or not quoted:
        return _place_unquoted(start, end, texts, hinted)
    wanted = quoted.encode("utf-8", "surrogatepass")
    order = range(len(texts)) if hinted is None else (hinted, *range(len(texts)))
    for number in order:
        text = texts[number]
        # By far the most texts are ASCII, where bytes are characters.
        if text.isascii():
            if text[start:end] == quoted:
                return _Place(number, start, end)
            continue
        raw = text.encode("utf-8", "surrogatepass")
        if raw[start:end] == wanted:
            at = len(raw[:start].decode("utf-8", "replace"))
            return _Place(number, at, at + len(quoted))
    for number in order:
        at = texts[number].find(quoted)
        if at >= 0:
            return _Place(number, at, at + len(quoted))
    return _Place(len(texts) - 1 if texts else None, None, None)


def _place_unquoted(start: int, end: int, texts: Sequence[str], hinted: int | None) -> _Place:
    number = len(texts) - 1 if hinted is None else hinted
    if number < 0:
        return _Place(None, None, None)
    raw = texts[number].encode("utf-8", "surrogatepass")
    if not 0 <= start < end <= len(raw):
        return _Place(number, None, None)
    at = len(raw[:start].decode("utf-8", "replace"))
    return _Place(number, at, at + len(raw[start:end].decode("utf-8", "replace")))


def _offset(value: JSON) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _citation(number: int, chunk: JSONObject, place: _Place, support: JSONObject) -> Citation | None:
    ours = support.get("citation")
    for name in ("web", "retrievedContext", "maps", "image"):
        source = chunk.get(name)
        if isinstance(source, dict):
            if isinstance(ours, dict):
                return _own_citation(ours, source, place)
            return _of_source(number, name, source, place)
    return None


def _of_source(number: int, name: str, source: JSONObject, place: _Place) -> Citation:
    url = _text(source, "sourceUri" if name == "image" else "uri")
    title = source.get("title")
    title = title if isinstance(title, str) else None
    if name == "retrievedContext":
        # Offsets of a search result are places in the source: here always the whole of it.
        return Citation("search_result", url, title, _text(source, "text"), 0, 1, number)
    return Citation("web", url, title, start=place.start, end=place.end)


def _own_citation(ours: JSONObject, source: JSONObject, place: _Place) -> Citation:
    kind = ours.get("kind")
    kind = cast(_Kind, kind) if isinstance(kind, str) and kind in _KINDS else "web"
    title = source.get("title")
    proof = ours.get("proof")
    placed = kind == "web" and ours.get("placed") is not False
    kept = ours.get("extras")
    extras: dict[str, JSONObject] = {}
    if isinstance(kept, dict):
        extras = {dialect: members for dialect, members in kept.items() if isinstance(members, dict)}
    return Citation(
        kind,
        _text(source, "uri"),
        title if isinstance(title, str) else None,
        _text(ours, "citedText"),
        place.start if placed else _number(ours, "start"),
        place.end if placed else _number(ours, "end"),
        _number(ours, "documentIndex"),
        proof if isinstance(proof, str) else None,
        extras,
    )


def _number(holder: JSONObject, key: str) -> int | None:
    value = holder.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(holder: JSONObject, key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def _read_source(source: JSONObject, texts: Sequence[str]) -> Cited | None:
    """One entry of `citationMetadata`: a passage that the model recites."""
    url = _text(source, "uri")
    if not url:
        return None
    place = _place_unquoted(_offset(source.get("startIndex")), _offset(source.get("endIndex")), texts, None)
    title = source.get("title")
    kept: JSONObject = {key: source[key] for key in ("license", "publicationDate") if key in source}
    citation = Citation(
        "web",
        url,
        title if isinstance(title, str) else None,
        start=place.start,
        end=place.end,
        extras=aside(kept),
    )
    return Cited(citation, place.text)


def _objects(values: JSON) -> list[JSONObject]:
    if not isinstance(values, list):
        return []
    # An entry that is no object keeps its number: supports refer to chunks by it.
    return [value if isinstance(value, dict) else {} for value in values[:SUPPORTS_MAX]]


# --- writing ---------------------------------------------------------------------------------------------------


def write_grounding(texts: Sequence[tuple[int, TextPart]], queries: Sequence[str]) -> JSONObject:
    """`groundingMetadata`; empty where there is nothing to say. `texts`: the text parts with their wire numbers.
    `queries`: what the provider's search was asked for."""
    chunks: list[JSON] = []
    known: dict[tuple[str, str, str | None, str], int] = {}
    supports: list[JSON] = []
    for number, part in texts:
        for citation in part.citations:
            name = "web" if citation.kind == "web" else "retrievedContext"
            quoted = citation.cited_text if name == "retrievedContext" else ""
            key = (name, citation.url, citation.title, quoted)
            if key not in known:
                known[key] = len(chunks)
                source: JSONObject = {"uri": citation.url}
                if citation.title is not None:
                    source["title"] = citation.title
                if quoted:
                    source["text"] = quoted
                chunks.append({name: source})
            supports.append(_support(citation, part.text, number, known[key]))
    grounding: JSONObject = {}
    if queries:
        grounding["webSearchQueries"] = [*queries]
    if chunks:
        grounding["groundingChunks"] = chunks
        grounding["groundingSupports"] = supports
    return grounding


def _support(citation: Citation, text: str, number: int, chunk: int) -> JSONObject:
    """A citation without offsets belongs to its whole text."""
    web = citation.kind == "web"
    start, end = citation.start, citation.end
    placed = web and start is not None and end is not None and 0 <= start < end <= len(text)
    if not placed or start is None or end is None:
        start, end = 0, len(text)
    before = len(text[:start].encode("utf-8", "surrogatepass"))
    within = len(text[start:end].encode("utf-8", "surrogatepass"))
    segment: JSONObject = {"startIndex": before, "endIndex": before + within, "text": text[start:end]}
    if number:
        segment["partIndex"] = number
    support: JSONObject = {"segment": segment, "groundingChunkIndices": [chunk]}
    ours = _ours(citation, placed=placed)
    if ours:
        support["citation"] = ours
    return support


def _ours(citation: Citation, *, placed: bool) -> JSONObject:
    """What Google has no member for."""
    web = citation.kind == "web"
    foreign: JSONObject = {name: members for name, members in citation.extras.items() if name != NAME}
    mine = own(citation.extras)
    if web and placed and not (citation.cited_text or citation.proof or foreign or mine):
        return {}
    ours: JSONObject = {"kind": citation.kind}
    if not placed:
        ours["placed"] = False
    for name, value in (
        ("citedText", citation.cited_text or None),
        ("proof", citation.proof),
        ("documentIndex", citation.document_index),
        ("start", None if placed else citation.start),
        ("end", None if placed else citation.end),
    ):
        if value is not None:
            ours[name] = value
    if citation.extras:
        extras: JSONObject = {**citation.extras}
        ours["extras"] = extras
    return ours

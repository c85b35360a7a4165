"""Citations: `annotations`, and our own `citation_details`.

OpenAI's annotations know web pages only, and the SDKs' types and some clients' validators reject any other type, so that
citations of documents travel in a list of their own:

    "annotations":      [{"type": "url_citation", "url_citation": {"url", "title", "start_index", "end_index", ...}}]
    "citation_details": [{"kind": "char" | "page" | "block" | "search_result", "start_index", "end_index", ...}]

`start_index` and `end_index` are character offsets in the message's whole text (all its text parts, joined). A hub
citation without offsets belongs to a whole text part: it is written with the part's span and `"block": true`, and such a
span is a text part of its own again when it is read. What OpenAI has no member for has its own: `cited_text`,
`encrypted_index` (the proof), `extras`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from msgspec import structs

from bytespike.core.content import Citation, ForeignPart, Part, TextPart
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras, JSONObject
from bytespike.protocols.openai_chat.names import NAME, aside, wire_members
from bytespike.wire import fields as f

#: The kind of a ForeignPart that holds an annotation of a type that is no citation (OpenRouter's "file").
FOREIGN_ANNOTATION: Final = "annotation"

Kind: TypeAlias = Literal["web", "char", "page", "block", "search_result"]
_DOCUMENT_KINDS: Final = frozenset({"char", "page", "block", "search_result"})
_WEB_MEMBERS: Final = frozenset(
    {
        "url",
        "title",
        "start_index",
        "end_index",
        "cited_text",
        "encrypted_index",
        "block",
        "extras",
        "type",
        "index",
    }
)


def is_annotation(part: ForeignPart) -> bool:
    """Whether the part is an annotation that is no citation."""
    return part.dialect == NAME and part.kind == FOREIGN_ANNOTATION


class Placed(NamedTuple):
    """A citation and the span of the message's text that it belongs to. `whole`: the span is a text part."""

    citation: Citation
    start: int | None
    end: int | None
    whole: bool


def read_web(annotation: JSONObject) -> Placed | None:
    """One annotation; None if it is no web citation. Raises `Wrong`."""
    if annotation.get("type") != "url_citation":
        return None
    nested = annotation.get("url_citation")
    # Some vendors put the members beside the type, as OpenAI's Responses do.
    inner = nested if isinstance(nested, dict) else annotation
    start = f.optional_integer(inner, "start_index", least=0)
    end = f.optional_integer(inner, "end_index", least=0)
    whole = f.optional_flag(inner, "block") or False
    citation = Citation(
        "web",
        url=f.optional_text(inner, "url") or "",
        title=f.optional_text(inner, "title") or None,
        cited_text=f.optional_text(inner, "cited_text") or "",
        start=None if whole else start,
        end=None if whole else end,
        proof=f.optional_text(inner, "encrypted_index"),
        extras=_read_extras(inner) or aside(f.rest(inner, _WEB_MEMBERS)),
    )
    return Placed(citation, start, end, whole)


def read_document(detail: JSONObject) -> Placed:
    """One entry of `citation_details`. Raises `Wrong`."""
    kind = f.text(detail, "kind")
    if kind not in _DOCUMENT_KINDS:
        raise f.Wrong(f"must be one of {', '.join(sorted(_DOCUMENT_KINDS))}", "kind")
    citation = Citation(
        cast(Kind, kind),
        url=f.optional_text(detail, "url") or "",
        title=f.optional_text(detail, "title"),
        cited_text=f.optional_text(detail, "cited_text") or "",
        start=f.optional_integer(detail, "start"),
        end=f.optional_integer(detail, "end"),
        document_index=f.optional_integer(detail, "document_index"),
        proof=f.optional_text(detail, "encrypted_index"),
        extras=_read_extras(detail),
    )
    start = f.optional_integer(detail, "start_index", least=0)
    end = f.optional_integer(detail, "end_index", least=0)
    return Placed(citation, start, end, True)


def _read_extras(member: JSONObject) -> Extras:
    kept = f.optional_object(member, "extras")
    if not kept:
        return NO_EXTRAS
    return {dialect: members for dialect, members in kept.items() if isinstance(members, dict)}


def read_citations(message: JSONObject) -> tuple[list[Placed], list[ForeignPart]]:
    """All citations of a message, and its annotations that are none. Raises `Wrong`."""
    placed: list[Placed] = []
    foreign: list[ForeignPart] = []
    for index, annotation in enumerate(_list(message, "annotations")):
        try:
            web = read_web(annotation)
        except f.Wrong as wrong:
            raise wrong.under("annotations", index) from None
        if web is None:
            told: JSONObject = {key: value for key, value in annotation.items() if key != "index"}
            foreign.append(ForeignPart(NAME, FOREIGN_ANNOTATION, told))
        else:
            placed.append(web)
    for index, detail in enumerate(_list(message, "citation_details")):
        try:
            placed.append(read_document(detail))
        except f.Wrong as wrong:
            raise wrong.under("citation_details", index) from None
    return placed, foreign


def _list(message: JSONObject, key: str) -> list[JSONObject]:
    values = f.optional_array(message, key)
    return f.objects(values, key) if values else []


def attach(texts: Sequence[TextPart], placed: Sequence[Placed]) -> list[TextPart]:
    """The text parts with their citations. Spans of whole parts become parts; offsets become relative to their part."""
    if not placed:
        return list(texts)
    parts = _split(texts or [TextPart("")], placed)
    citations: list[list[Citation]] = [[] for _ in parts]
    starts: list[int] = []
    at = 0
    for part in parts:
        starts.append(at)
        at += len(part.text)
    for item in placed:
        home = _home(parts, starts, item)
        citation = item.citation
        if not item.whole and starts[home] and citation.start is not None:
            citation = structs.replace(
                citation,
                start=citation.start - starts[home],
                end=None if citation.end is None else citation.end - starts[home],
            )
        citations[home].append(citation)
    return [
        structs.replace(part, citations=part.citations + tuple(found)) if found else part
        for part, found in zip(parts, citations, strict=True)
    ]


def _home(parts: Sequence[TextPart], starts: Sequence[int], item: Placed) -> int:
    """The number of the part that a citation belongs to: the one where its span ends, else the last."""
    if item.start is None:
        return len(parts) - 1
    for number, (part, start) in enumerate(zip(parts, starts, strict=True)):
        if start <= item.start < start + len(part.text):
            return number
    return len(parts) - 1


def _split(texts: Sequence[TextPart], placed: Sequence[Placed]) -> list[TextPart]:
    """The texts, cut at the ends of every span that is a whole part."""
    cuts = sorted({cut for item in placed if item.whole for cut in (item.start, item.end) if cut is not None})
    parts: list[TextPart] = []
    at = 0
    for part in texts:
        end = at + len(part.text)
        inner = [cut - at for cut in cuts if at < cut < end]
        bounds = [0, *inner, len(part.text)]
        pieces = [structs.replace(part, text=part.text[a:b]) for a, b in pairwise(bounds)]
        parts.extend(pieces)
        at = end
    return parts


# --- writing ---------------------------------------------------------------------------------------------------


def write_citation(citation: Citation, start: int, end: int) -> tuple[str, JSONObject]:
    """The member's name ("annotations" or "citation_details") and the entry. `start`, `end`: the text part's span."""
    if citation.kind != "web":
        return "citation_details", _write_document(citation, start, end)
    inner: JSONObject = {
        **wire_members(citation.extras),
        "url": citation.url,
        "title": citation.title or "",
        "start_index": start if citation.start is None else start + citation.start,
        "end_index": end if citation.end is None else start + citation.end,
    }
    if citation.start is None:
        inner["block"] = True
    _add_extensions(inner, citation)
    return "annotations", {"type": "url_citation", "url_citation": inner}


def _write_document(citation: Citation, start: int, end: int) -> JSONObject:
    entry: JSONObject = {"kind": citation.kind, "start_index": start, "end_index": end}
    if citation.url:
        entry["url"] = citation.url
    if citation.title is not None:
        entry["title"] = citation.title
    for name, number in (
        ("document_index", citation.document_index),
        ("start", citation.start),
        ("end", citation.end),
    ):
        if number is not None:
            entry[name] = number
    _add_extensions(entry, citation)
    return entry


def _add_extensions(entry: JSONObject, citation: Citation) -> None:
    if citation.cited_text:
        entry["cited_text"] = citation.cited_text
    if citation.proof is not None:
        entry["encrypted_index"] = citation.proof
    foreign: dict[str, JSON] = {name: members for name, members in citation.extras.items() if name != NAME}
    if foreign:
        entry["extras"] = foreign


def citation_lists(parts: Sequence[Part]) -> dict[str, list[JSONObject]]:
    """`annotations` and `citation_details` of a whole message, as far as there are any."""
    lists: dict[str, list[JSONObject]] = {}
    at = 0
    for part in parts:
        if isinstance(part, TextPart):
            for citation in part.citations:
                member, entry = write_citation(citation, at, at + len(part.text))
                lists.setdefault(member, []).append(entry)
            at += len(part.text)
        elif isinstance(part, ForeignPart) and is_annotation(part) and isinstance(part.raw, dict):
            lists.setdefault("annotations", []).append(part.raw)
    return lists

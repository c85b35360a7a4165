"""Citations: the `annotations` of an `output_text`, both ways.

    url_citation             url, title, start_index, end_index   a web page; offsets in this text
    file_citation            file_id, filename, index             a file that file search found
    container_file_citation  container_id, file_id, filename, start_index, end_index
    file_path                file_id, index

Only these four types exist, and clients' validators reject any other. A citation of a document (Anthropic's) goes out as
a `file_citation` that shows its title. What the wire has no member for travels in one member of our own, `bytespike`:
the proof (Anthropic's `encrypted_index`), the cited text, the range in the document. A web citation without offsets
belongs to its whole text: it gets the text's span, and `"block": true` in our member.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, cast

from bytespike.core.content import Citation
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras, JSONObject
from bytespike.protocols.openai_responses.names import NAME, OWN_MEMBER, aside, noted, wire_members
from bytespike.wire import fields as f

_Kind: TypeAlias = Literal["web", "char", "page", "block", "search_result"]
_KINDS: Final = frozenset({"web", "char", "page", "block", "search_result"})
_WEB_MEMBERS: Final = frozenset({"type", "url", "title", "start_index", "end_index", OWN_MEMBER})
#: Where an annotation about a file is kept as it came.
_RAW: Final = "_annotation"


def read_annotations(part: JSONObject) -> tuple[Citation, ...]:
    """Of an `output_text`. Raises `Wrong`."""
    values = f.optional_array(part, "annotations")
    if not values:
        return ()
    citations: list[Citation] = []
    for index, annotation in enumerate(f.objects(values, "annotations")):
        try:
            citations.append(read_annotation(annotation))
        except f.Wrong as wrong:
            raise wrong.under("annotations", index) from None
    return tuple(citations)


def read_annotation(annotation: JSONObject) -> Citation:
    """One annotation. One of a type that nobody knows is kept whole. Raises `Wrong`."""
    told = f.optional_object(annotation, OWN_MEMBER)
    if told is not None:
        try:
            return _told(annotation, told)
        except f.Wrong as wrong:
            raise wrong.under(OWN_MEMBER) from None
    if annotation.get("type") == "url_citation":
        return Citation(
            "web",
            url=f.optional_text(annotation, "url") or "",
            title=f.optional_text(annotation, "title") or None,
            start=f.optional_integer(annotation, "start_index", least=0),
            end=f.optional_integer(annotation, "end_index", least=0),
            extras=aside(f.rest(annotation, _WEB_MEMBERS)),
        )
    index = f.optional_integer(annotation, "index", least=0) or 0
    start = f.optional_integer(annotation, "start_index", least=0)
    end = f.optional_integer(annotation, "end_index", least=0)
    return Citation(
        "search_result",
        title=f.optional_text(annotation, "filename"),
        start=index if start is None else start,
        end=index if end is None else end,
        document_index=0,
        extras=aside({_RAW: annotation}),
    )


def _told(annotation: JSONObject, told: JSONObject) -> Citation:
    """An annotation that this gateway had written."""
    kind = f.optional_text(told, "kind") or "web"
    if kind not in _KINDS:
        raise f.Wrong(f"must be one of {', '.join(sorted(_KINDS))}", "kind")
    web = kind == "web"
    whole = f.optional_flag(told, "block") or False
    place: JSONObject = annotation if web and not whole else {} if web else told
    start, end = ("start_index", "end_index") if web else ("start", "end")
    return Citation(
        cast(_Kind, kind),
        url=(f.optional_text(annotation, "url") or "") if web else (f.optional_text(told, "url") or ""),
        title=(f.optional_text(annotation, "title") or None) if web else f.optional_text(told, "title"),
        cited_text=f.optional_text(told, "cited_text") or "",
        start=f.optional_integer(place, start),
        end=f.optional_integer(place, end),
        document_index=f.optional_integer(told, "document_index"),
        proof=f.optional_text(told, "proof"),
        extras=_read_extras(told),
    )


def _read_extras(told: JSONObject) -> Extras:
    kept = f.optional_object(told, "extras")
    if not kept:
        return NO_EXTRAS
    return {dialect: members for dialect, members in kept.items() if isinstance(members, dict)}


# --- writing ---------------------------------------------------------------------------------------------------


def write_annotation(citation: Citation, text_chars: int) -> JSONObject:
    """One annotation for a client. `text_chars`: how long the cited text part is."""
    raw = noted(citation.extras, _RAW)
    if raw:
        return raw
    return _web(citation, text_chars) if citation.kind == "web" else _document(citation, text_chars)


def _web(citation: Citation, text_chars: int) -> JSONObject:
    whole = citation.start is None and citation.end is None
    written: JSONObject = {
        "type": "url_citation",
        "start_index": citation.start or 0,
        "end_index": text_chars if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title or "",
        **wire_members(citation.extras),
    }
    told: JSONObject = {}
    if whole:
        told["block"] = True
    _tell(told, citation)
    if told:
        written[OWN_MEMBER] = told
    return written


def _document(citation: Citation, text_chars: int) -> JSONObject:
    told: JSONObject = {"kind": citation.kind}
    for key, value in (
        ("url", citation.url or None),
        ("title", citation.title),
        ("start", citation.start),
        ("end", citation.end),
        ("document_index", citation.document_index),
    ):
        if value is not None:
            told[key] = value
    _tell(told, citation)
    return {
        "type": "file_citation",
        "file_id": "",
        "filename": citation.title or citation.url,
        "index": text_chars,
        OWN_MEMBER: told,
    }


def _tell(told: JSONObject, citation: Citation) -> None:
    if citation.cited_text:
        told["cited_text"] = citation.cited_text
    if citation.proof is not None:
        told["proof"] = citation.proof
    kept: dict[str, JSON] = {
        # Our own extras are the annotation's further members, beside ours.
        dialect: members
        for dialect, members in citation.extras.items()
        if members and dialect != NAME
    }
    if kept:
        told["extras"] = kept

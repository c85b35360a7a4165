"""Citations of text blocks, both ways.

Wire facts: `TextCitation` and `TextCitationParam` of the official SDK. End offsets of characters and blocks are
exclusive, page numbers count from 1; the hub carries them as they are.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from bytespike.core.content import Citation
from bytespike.core.json_types import JSONObject
from bytespike.protocols.anthropic_messages.envelope import index_of, read_index
from bytespike.protocols.anthropic_messages.fields import Fields, extras_of, own_extras


class _Range(NamedTuple):
    """How one kind of location spells its members."""

    kind: Literal["char", "page", "block", "search_result"]
    title: str
    number: str
    start: str
    end: str


_RANGES = {
    "char_location": _Range("char", "document_title", "document_index", "start_char_index", "end_char_index"),
    "page_location": _Range(
        "page", "document_title", "document_index", "start_page_number", "end_page_number"
    ),
    "content_block_location": _Range(
        "block", "document_title", "document_index", "start_block_index", "end_block_index"
    ),
    "search_result_location": _Range(
        "search_result", "title", "search_result_index", "start_block_index", "end_block_index"
    ),
}
_TYPES = {form.kind: name for name, form in _RANGES.items()}
_WEB = "web_search_result_location"
_WEB_MEMBERS = frozenset({"type", "url", "title", "cited_text", "encrypted_index"})


def read_citation(fields: Fields) -> Citation | None:
    """None for a type that the hub does not know. Raises `WireError`."""
    type_ = fields.string("type")
    cited_text = fields.optional_string("cited_text") or ""
    if type_ == _WEB:
        proof, start, end = read_index(fields.optional_string("encrypted_index") or "")
        return Citation(
            "web",
            url=fields.optional_string("url") or "",
            title=fields.optional_string("title"),
            cited_text=cited_text,
            start=start,
            end=end,
            proof=proof,
            extras=extras_of(fields.rest(_WEB_MEMBERS)),
        )
    form = _RANGES.get(type_)
    if form is None:
        return None
    known = frozenset({"type", "cited_text", "source", form.title, form.number, form.start, form.end})
    return Citation(
        form.kind,
        url=fields.optional_string("source") or "",
        title=fields.optional_string(form.title),
        cited_text=cited_text,
        start=fields.optional_integer(form.start),
        end=fields.optional_integer(form.end),
        document_index=fields.optional_integer(form.number),
        extras=extras_of(fields.rest(known)),
    )


def write_citation(citation: Citation) -> JSONObject:
    """The citation for a client. A web citation without Anthropic's index gets an envelope in its place."""
    if citation.kind == "web":
        written: JSONObject = {
            "type": _WEB,
            "url": citation.url,
            "title": citation.title,
            "cited_text": citation.cited_text,
            "encrypted_index": index_of(citation),
        }
    else:
        type_ = _TYPES[citation.kind]
        form = _RANGES[type_]
        start = citation.start or 0
        written = {
            "type": type_,
            "cited_text": citation.cited_text,
            form.number: citation.document_index or 0,
            form.title: citation.title,
            form.start: start,
            form.end: start if citation.end is None else citation.end,
        }
        if citation.kind == "search_result":
            written["source"] = citation.url
    written.update(own_extras(citation.extras))
    return written

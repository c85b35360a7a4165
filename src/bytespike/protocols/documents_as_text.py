"""Documents and search results as text, for a wire that has no parts for them."""

from __future__ import annotations

from bytespike.core.content import DocumentPart, SearchResultPart


def heading(part: DocumentPart) -> str:
    """What stands above a document's text: its name and its context. "" where it has neither."""
    title = part.title or part.filename
    lines = [f"[document: {title}]" if title else "", part.context or ""]
    return "\n".join(line for line in lines if line)


def headed(above: str, text: str) -> str:
    """A document's text under its heading."""
    return f"{above}\n\n{text}" if above else text


def search_result_text(part: SearchResultPart) -> str:
    lines = [line for line in (part.title, part.source) if line]
    body = "\n\n".join(text.text for text in part.content)
    return "\n".join([*lines, "", body])

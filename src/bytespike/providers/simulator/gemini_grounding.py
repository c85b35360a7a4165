"""Gemini: what an answer was grounded on, as `groundingMetadata`.

Segments are counted in bytes of UTF-8, as the API does; a start of 0 is left out, as protocol buffers do.
"""

from __future__ import annotations

from bytespike.core.json_types import JSON, JSONObject
from bytespike.providers.simulator.brain import Answer, Say, Search


def grounding(answer: Answer) -> JSONObject | None:
    """The searches of an answer, their pages, and which stretch of the text rests on which page; None without any."""
    searches = [piece for piece in answer.pieces if isinstance(piece, Search)]
    if not searches:
        return None
    pages = {hit.url: hit.title for search in searches for hit in search.hits}
    numbers = {url: number for number, url in enumerate(pages)}
    chunks: list[JSON] = [{"web": {"uri": url, "title": title}} for url, title in pages.items()]
    supports: list[JSON] = []
    at = 0
    for piece in answer.pieces:
        if not isinstance(piece, Say):
            continue
        end = at + len(piece.text.encode())
        cited: list[JSON] = [numbers[quote.url] for quote in piece.quotes if quote.url in numbers]
        if cited and piece.text:
            segment: JSONObject = {"startIndex": at} if at else {}
            segment |= {"endIndex": end, "text": piece.text}
            supports.append({"segment": segment, "groundingChunkIndices": cited})
        at = end
    queries: list[JSON] = [search.query for search in searches]
    return {
        "webSearchQueries": queries,
        "searchEntryPoint": {"renderedContent": "<div>A search of the simulator</div>"},
        "groundingChunks": chunks,
        "groundingSupports": supports,
    }

"""Answers as Google's Gemini API gives them (google-genai's `types.GenerateContentResponse`; the API reference)."""

from __future__ import annotations

import json
from typing import Any

from tests.support.vendor_wires.told import Answer, Told, logprobs_of, opaque, pieces, spans

_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "refusal": "PROHIBITED_CONTENT"}
_HEAD = {"modelVersion": "upstream-model", "responseId": "upstreamGemini"}


def whole(answer: Answer) -> dict[str, Any]:
    candidates = [
        _candidate(index, [_part(part, number) for number, part in enumerate(parts) if _says(part)])
        | {"finishReason": _REASONS.get(answer.finish, "STOP")}
        | _beside(parts)
        for index, parts in enumerate(answer.all_choices)
    ]
    return {"candidates": candidates, "usageMetadata": _usage(answer), **_HEAD}


def stream(answer: Answer) -> list[bytes]:
    """Texts come in pieces, calls whole; the candidates take turns; the last chunk of each says why it ended."""
    lanes: list[list[dict[str, Any]]] = []
    for index, parts in enumerate(answer.all_choices):
        cut = [
            piece for number, part in enumerate(parts) if _says(part) for piece in _cut(_part(part, number))
        ]
        lane = [_candidate(index, [piece]) for piece in cut]
        last = lane.pop() if lane else _candidate(index, [{"text": ""}])
        lanes.append([*lane, {**last, "finishReason": _REASONS.get(answer.finish, "STOP"), **_beside(parts)}])
    chunks: list[dict[str, Any]] = []
    while any(lanes):
        chunks += [lane.pop(0) for lane in lanes if lane]
    usage = _usage(answer)
    return [
        b"data: %b\r\n\r\n"
        % json.dumps({"candidates": [each], "usageMetadata": usage, **_HEAD}, ensure_ascii=False).encode()
        for each in chunks
    ]


def _candidate(index: int, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"parts": parts, "role": "model"}, "index": index}


def _says(part: Told) -> bool:
    return part.search is None


def _part(part: Told, number: int) -> dict[str, Any]:
    if part.thinking is not None:
        return {"text": part.thinking, "thought": True}
    if part.redacted:
        return {"text": "", "thoughtSignature": opaque("google", number)}
    if part.image is not None:
        return {"inlineData": {"mimeType": "image/png", "data": part.image}}
    if part.call is not None:
        text = part.arguments_text
        # There are no free-form tools here: the gateway has made a function with one string of it.
        given = {"input": text} if part.custom else json.loads(text) if text else {}
        call: dict[str, Any] = {"name": part.flat_name, "args": given}
        if part.id:
            call["id"] = part.id
        return {
            "functionCall": call,
            **({"thoughtSignature": opaque("google", number)} if part.signed else {}),
        }
    return {"text": part.text if part.text is not None else part.refusal}


def _cut(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "text" not in part or not part["text"]:
        return [part]
    return [{**part, "text": piece} for piece in pieces(part["text"])]


def _beside(parts: tuple[Told, ...]) -> dict[str, Any]:
    """What a candidate has beside its content: what it was grounded on, and its log probabilities."""
    found: dict[str, Any] = {}
    searches = [part for part in parts if part.search is not None]
    if searches:
        found["groundingMetadata"] = _grounding(parts, searches)
    tokens = [token for part in parts if part.logprobs for token in logprobs_of(part.text or "")]
    if tokens:
        found["avgLogprobs"] = -0.25
        found["logprobsResult"] = {
            "topCandidates": [
                {
                    "candidates": [
                        {"token": top["token"], "tokenId": 7, "logProbability": top["logprob"]}
                        for top in token["top_logprobs"]
                    ]
                }
                for token in tokens
            ],
            "chosenCandidates": [
                {"token": token["token"], "tokenId": 7, "logProbability": token["logprob"]}
                for token in tokens
            ],
        }
    return found


def _grounding(parts: tuple[Told, ...], searches: list[Told]) -> dict[str, Any]:
    pages = {page.url: page.title for search in searches for page in search.found}
    numbers = {url: number for number, url in enumerate(pages)}
    supports: list[dict[str, Any]] = []
    for part, (start, end) in zip(parts, spans(parts, in_bytes=True), strict=True):
        if part.cites:
            # A start of 0 is left out, as protocol buffers do.
            segment = {**({"startIndex": start} if start else {}), "endIndex": end, "text": part.text}
            chunks = [numbers[page.url] for page in part.cites]
            supports.append({"segment": segment, "groundingChunkIndices": chunks})
    return {
        "webSearchQueries": [search.search for search in searches],
        "groundingChunks": [{"web": {"uri": url, "title": title}} for url, title in pages.items()],
        "groundingSupports": supports,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    figures = answer.usage
    usage = {
        "promptTokenCount": figures.prompt,
        "candidatesTokenCount": figures.output - figures.reasoning,
        "totalTokenCount": figures.prompt + figures.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": figures.prompt}],
    }
    if figures.cache_read:
        usage["cachedContentTokenCount"] = figures.cache_read
    if figures.reasoning:
        usage["thoughtsTokenCount"] = figures.reasoning
    return usage

"""Answers as Anthropic gives them (the SDK's `types/message.py`, `raw_message_stream_event.py`; "Streaming Messages")."""

from __future__ import annotations

import json
from typing import Any

from tests.support.vendor_wires.told import Answer, Figures, Told, opaque, pieces

_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "stop_sequence": "stop_sequence",
    "pause": "pause_turn",
    "context_window": "model_context_window_exceeded",
}


def whole(answer: Answer) -> dict[str, Any]:
    return {
        "id": "msg_01Upstream",
        "type": "message",
        "role": "assistant",
        "model": "upstream-model",
        "content": _blocks(answer),
        "stop_reason": _REASONS[answer.finish],
        "stop_sequence": answer.stopped_at,
        "usage": _usage(answer, answer.usage.output),
    }


def stream(answer: Answer) -> list[bytes]:
    told = whole(answer)
    begun = {**told, "content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(answer, 1)}
    frames: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(told["content"]):
        start, deltas = _cut(block)
        frames.append({"type": "content_block_start", "index": index, "content_block": start})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": told["stop_reason"], "stop_sequence": told["stop_sequence"]}
    frames.append({"type": "message_delta", "delta": ending, "usage": told["usage"]})
    frames.append({"type": "message_stop"})
    return [b"event: %b\ndata: %b\n\n" % (each["type"].encode(), _text(each).encode()) for each in frames]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _usage(answer: Answer, output: int) -> dict[str, Any]:
    figures: Figures = answer.usage
    usage: dict[str, Any] = {
        "input_tokens": figures.input,
        "cache_creation_input_tokens": figures.cache_written,
        "cache_read_input_tokens": figures.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": figures.cache_write_5m,
            "ephemeral_1h_input_tokens": figures.cache_write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }
    if figures.reasoning and output > 1:
        usage["output_tokens_details"] = {"thinking_tokens": figures.reasoning}
    if answer.searches:
        usage["server_tool_use"] = {"web_search_requests": answer.searches, "web_fetch_requests": 0}
    return usage


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, part in enumerate(answer.all_choices[0]):
        found += _block(part, number)
    return found


def _block(part: Told, number: int) -> list[dict[str, Any]]:
    if part.text is not None or part.refusal is not None:
        block: dict[str, Any] = {"type": "text", "text": part.text or part.refusal}
        cites = [_citation(page.url, page.title, page.quote, at) for at, page in enumerate(part.cites)]
        return [{**block, "citations": cites or None}]
    if part.thinking is not None:
        # Only a signed block can be given back, and Anthropic signs each.
        return [{"type": "thinking", "thinking": part.thinking, "signature": opaque("anthropic", number)}]
    if part.redacted:
        return [{"type": "redacted_thinking", "data": opaque("anthropic", number)}]
    if part.call is not None:
        text = part.arguments_text
        # There are no free-form tools here: the gateway has made a function with one string of it.
        given = {"input": text} if part.custom else json.loads(text) if text else {}
        return [
            {"type": "tool_use", "id": part.id or f"toolu_0{number}", "name": part.flat_name, "input": given}
        ]
    if part.search is not None:
        id_ = f"srvtoolu_0{number}"
        results = [
            {
                "type": "web_search_result",
                "url": page.url,
                "title": page.title,
                "encrypted_content": opaque("page", at),
                "page_age": None,
            }
            for at, page in enumerate(part.found)
        ]
        call = {"type": "server_tool_use", "id": id_, "name": "web_search", "input": {"query": part.search}}
        return [call, {"type": "web_search_tool_result", "tool_use_id": id_, "content": results}]
    return []


def _citation(url: str, title: str, quote: str, at: int) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "cited_text": quote,
        "url": url,
        "title": title,
        "encrypted_index": opaque("index", at),
    }


def _cut(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            cites = block["citations"] or []
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            return {**block, "text": "", "citations": [] if cites else None}, [
                *({"type": "citations_delta", "citation": cite} for cite in cites),
                *deltas,
            ]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
        case "tool_use" | "server_tool_use":
            text = _text(block["input"]) if block["input"] else ""
            parts = ["", *pieces(text)]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
            return {**block, "input": {}}, deltas
        case _:
            return block, []

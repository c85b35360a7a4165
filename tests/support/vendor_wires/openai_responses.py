"""Answers as OpenAI's Responses give them (the SDK's `types/responses`; the reference of the streaming events)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.vendor_wires.told import Answer, Told, logprobs_of, opaque, pieces

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def whole(answer: Answer) -> dict[str, Any]:
    reason = _REASONS.get(answer.finish)
    output = [_item(part, number) for number, part in enumerate(answer.all_choices[0])]
    return {
        "id": "resp_upstream",
        "object": "response",
        "created_at": 1700000001,
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "upstream-model",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(answer),
        "user": None,
        "metadata": {},
    }


def stream(answer: Answer) -> list[bytes]:
    told = whole(answer)
    begun = {**told, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(told["output"]):
        start, middle = _cut(item)
        events.append({"type": "response.output_item.added", "output_index": index, "item": start})
        events += [{**event, "item_id": item["id"], "output_index": index} for event in middle]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": f"response.{told['status']}", "response": told})
    return [
        b"event: %b\ndata: %b\n\n"
        % (
            each["type"].encode(),
            json.dumps({**each, "sequence_number": number}, ensure_ascii=False).encode(),
        )
        for number, each in enumerate(events)
    ]


def _item(part: Told, number: int) -> dict[str, Any]:
    if part.thinking is not None or part.redacted:
        summary = [{"type": "summary_text", "text": part.thinking}] if part.thinking else []
        return {
            "id": f"rs_0{number}",
            "type": "reasoning",
            "summary": summary,
            "encrypted_content": opaque("openai", number),
        }
    if part.call is not None:
        space = {"namespace": part.namespace} if part.namespace else {}
        return {
            **_call(part, number),
            **space,
            "status": "completed",
            "call_id": part.id or f"call_0{number}",
        }
    if part.search is not None:
        action = {"type": "search", "query": part.search, "queries": [part.search]}
        return {"id": f"ws_0{number}", "type": "web_search_call", "status": "completed", "action": action}
    if part.image is not None:
        return {
            "id": f"ig_0{number}",
            "type": "image_generation_call",
            "status": "completed",
            "result": part.image,
            "output_format": "png",
        }
    content: dict[str, Any]
    if part.refusal is not None:
        content = {"type": "refusal", "refusal": part.refusal}
    else:
        text = part.text or ""
        cites = [
            {
                "type": "url_citation",
                "url": page.url,
                "title": page.title,
                "start_index": 0,
                "end_index": len(text),
            }
            for page in part.cites
        ]
        tokens = logprobs_of(text) if part.logprobs else []
        content = {"type": "output_text", "text": text, "annotations": cites, "logprobs": tokens}
    return {
        "id": f"msg_0{number}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }


def _call(part: Told, number: int) -> dict[str, Any]:
    text = part.arguments_text
    if part.custom:
        return {"id": f"ctc_0{number}", "type": "custom_tool_call", "name": part.call, "input": text}
    return {"id": f"fc_0{number}", "type": "function_call", "name": part.call, "arguments": text or "{}"}


def _usage(answer: Answer) -> dict[str, Any]:
    figures = answer.usage
    given: dict[str, Any] = {
        "cached_tokens": figures.cache_read,
        "cache_write_tokens": figures.cache_written,
    }
    if figures.cache_write_1h:
        given["cache_write_tokens_details"] = {
            "ttl_30m_tokens": figures.cache_write_5m,
            "ttl_12h_tokens": figures.cache_write_1h,
        }
    return {
        "input_tokens": figures.prompt,
        "input_tokens_details": given,
        "output_tokens": figures.output,
        "output_tokens_details": {"reasoning_tokens": figures.reasoning},
        "total_tokens": figures.prompt + figures.output,
    }


def _cut(item: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How an item begins, and the events until it is done."""
    match item["type"]:
        case "message":
            begun = {**item, "status": "in_progress", "content": []}
            return begun, [event for at, part in enumerate(item["content"]) for event in _part(part, at)]
        case "reasoning":
            return {**item, "summary": []}, [
                event for at, part in enumerate(item["summary"]) for event in _summary(part, at)
            ]
        case "function_call":
            return _arguments(item, "response.function_call_arguments", "arguments")
        case "custom_tool_call":
            return _arguments(item, "response.custom_tool_call_input", "input")
        case "web_search_call":
            steps = ("in_progress", "searching", "completed")
            begun = {name: value for name, value in item.items() if name != "action"}
            return {**begun, "status": "in_progress"}, [
                {"type": f"response.web_search_call.{step}"} for step in steps
            ]
        case _:
            steps = ("in_progress", "generating", "completed")
            return {**item, "status": "in_progress", "result": None}, [
                {"type": f"response.image_generation_call.{step}"} for step in steps
            ]


def _arguments(item: dict[str, Any], stem: str, member: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    deltas = [{"type": f"{stem}.delta", "delta": piece} for piece in pieces(item[member])]
    done = {"type": f"{stem}.done", member: item[member]}
    return {**item, "status": "in_progress", member: ""}, [*deltas, done]


def _part(part: dict[str, Any], at: int) -> Iterator[dict[str, Any]]:
    refused = part["type"] == "refusal"
    member = "refusal" if refused else "text"
    stem = f"response.{part['type']}"
    empty = {**part, member: ""} if refused else {**part, "text": "", "annotations": [], "logprobs": []}
    yield {"type": "response.content_part.added", "content_index": at, "part": empty}
    tokens = list(part.get("logprobs") or ())
    for piece in pieces(part[member]):
        logprobs = {} if refused else {"logprobs": [tokens.pop(0)] if tokens else []}
        yield {"type": f"{stem}.delta", "content_index": at, "delta": piece, **logprobs}
    for number, cite in enumerate(part.get("annotations", ())):
        yield {
            "type": "response.output_text.annotation.added",
            "content_index": at,
            "annotation_index": number,
            "annotation": cite,
        }
    logprobs = {} if refused else {"logprobs": part["logprobs"]}
    yield {"type": f"{stem}.done", "content_index": at, member: part[member], **logprobs}
    yield {"type": "response.content_part.done", "content_index": at, "part": part}


def _summary(part: dict[str, Any], at: int) -> Iterator[dict[str, Any]]:
    stem = "response.reasoning_summary"
    yield {"type": f"{stem}_part.added", "summary_index": at, "part": {**part, "text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": f"{stem}_text.delta", "summary_index": at, "delta": piece}
    yield {"type": f"{stem}_text.done", "summary_index": at, "text": part["text"]}
    yield {"type": f"{stem}_part.done", "summary_index": at, "part": part}

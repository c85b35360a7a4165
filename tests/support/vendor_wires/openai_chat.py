"""Answers as OpenAI's Chat Completions give them (the SDK's `types/chat`), with the members that its followers add:
`reasoning_content` (DeepSeek) and `images` (OpenRouter)."""

from __future__ import annotations

import json
from typing import Any

from tests.support.vendor_wires.told import Answer, Told, logprobs_of, pieces, spans

_REASONS = {"tool_calls": "tool_calls", "length": "length", "content_filter": "content_filter"}


def whole(answer: Answer) -> dict[str, Any]:
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1700000001,
        "model": "upstream-model",
        "choices": [
            {
                "index": index,
                "message": _message(parts),
                "logprobs": _logprobs(parts),
                "finish_reason": _REASONS.get(answer.finish, "stop"),
            }
            for index, parts in enumerate(answer.all_choices)
        ],
        "usage": _usage(answer),
    }


def stream(answer: Answer) -> list[bytes]:
    """The choices take turns, as they do where several are asked for."""
    told = whole(answer)
    lanes = [_deltas(choice) for choice in told["choices"]]
    chunks: list[list[dict[str, Any]]] = []
    while any(lanes):
        chunks += [[lane.pop(0)] for lane in lanes if lane]
    frames = [{**_head(told), "choices": choices, "usage": None} for choices in chunks]
    frames.append({**_head(told), "choices": [], "usage": told["usage"]})
    return [
        *(b"data: %b\n\n" % json.dumps(each, ensure_ascii=False).encode() for each in frames),
        b"data: [DONE]\n\n",
    ]


def _head(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": told["id"],
        "object": "chat.completion.chunk",
        "created": told["created"],
        "model": told["model"],
    }


def _message(parts: tuple[Told, ...]) -> dict[str, Any]:
    text = "".join(part.text or "" for part in parts)
    refusal = "".join(part.refusal or "" for part in parts)
    thinking = "".join(part.thinking or "" for part in parts)
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal or None}
    cites = [
        {
            "type": "url_citation",
            "url_citation": {"url": page.url, "title": page.title, "start_index": start, "end_index": end},
        }
        for part, (start, end) in zip(parts, spans(parts), strict=True)
        for page in part.cites
    ]
    images = [
        {"type": "image_url", "index": 0, "image_url": {"url": f"data:image/png;base64,{part.image}"}}
        for part in parts
        if part.image
    ]
    calls = [_call(part, number) for number, part in enumerate(parts) if part.call is not None]
    message["annotations"] = cites
    if thinking:
        message["reasoning_content"] = thinking
    if images:
        message["images"] = images
    if calls:
        message["tool_calls"] = calls
    return message


def _call(part: Told, number: int) -> dict[str, Any]:
    id_ = part.id or f"call_0{number}"
    if part.custom:
        return {"id": id_, "type": "custom", "custom": {"name": part.flat_name, "input": part.arguments_text}}
    return {
        "id": id_,
        "type": "function",
        "function": {"name": part.flat_name, "arguments": part.arguments_text or "{}"},
    }


def _logprobs(parts: tuple[Told, ...]) -> dict[str, Any] | None:
    content = [token for part in parts if part.logprobs for token in logprobs_of(part.text or "")]
    return {"content": content, "refusal": None} if content else None


def _usage(answer: Answer) -> dict[str, Any]:
    figures = answer.usage
    return {
        "prompt_tokens": figures.prompt,
        "completion_tokens": figures.output,
        "total_tokens": figures.prompt + figures.output,
        "prompt_tokens_details": {
            "cached_tokens": figures.cache_read,
            "audio_tokens": 0,
            "cache_write_tokens": figures.cache_written,
        },
        "completion_tokens_details": {
            "reasoning_tokens": figures.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _deltas(choice: dict[str, Any]) -> list[dict[str, Any]]:
    message, tokens = choice["message"], (choice["logprobs"] or {}).get("content") or []
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if message["content"] else None}]
    deltas += [{"reasoning_content": piece} for piece in pieces(message.get("reasoning_content", ""))]
    texts = pieces(message["content"] or "")
    deltas += [{"content": piece} for piece in texts]
    deltas += [{"refusal": piece} for piece in pieces(message["refusal"] or "")]
    if message["annotations"]:
        deltas.append({"annotations": message["annotations"]})
    if "images" in message:
        deltas.append({"images": message["images"]})
    for index, call in enumerate(message.get("tool_calls", ())):
        kind = call["type"]
        member = "input" if kind == "custom" else "arguments"
        start = {**call[kind], member: ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": kind, kind: start}]})
        deltas += [
            {"tool_calls": [{"index": index, kind: {member: piece}}]} for piece in pieces(call[kind][member])
        ]
    frames: list[dict[str, Any]] = []
    for delta in deltas:
        # Texts with log probabilities are cut where the tokens are.
        told = [tokens.pop(0)] if tokens and delta.get("content") else []
        logprobs = {"content": told, "refusal": None} if told else None
        frames.append({"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None})
    end = {"index": choice["index"], "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
    return [*frames, end]

"""Recorded exchanges with the provider's own token figures: what estimates are measured against."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TRAFFIC = Path(os.environ.get("BYTESPIKE_TRAFFIC") or Path(__file__).parents[2] / ".." / "shared" / "traffic")


class Exchange(NamedTuple):
    """`body` is the request as a client would send it. `prompt_tokens` counts all of it, cached or not; `output_tokens`
    reasoning included. `reasoning_tokens`: 0 where the provider does not say."""

    name: str
    provider: str
    kind: str
    request: dict[str, Any]
    body: bytes
    answer: dict[str, Any]
    prompt_tokens: int
    output_tokens: int
    reasoning_tokens: int


def exchanges() -> Iterator[Exchange]:
    """Every successful exchange for which the provider reported what it counted."""
    for folder in (TRAFFIC, TRAFFIC / "streams"):
        for path in sorted(folder.glob("*/*.json")):
            if path.parent.parent.name == "responses-only":
                continue
            recorded = json.loads(path.read_text("utf-8"))
            request = recorded.get("request")
            if not isinstance(request, dict) or recorded.get("status", 200) != 200:
                continue
            answer = recorded.get("response")
            if not isinstance(answer, dict):
                answer = {}
            figures = _figures(answer) or _figures_of_stream(recorded.get("response_stream", ""))
            prompt, output, reasoning = _tokens(figures, answer)
            if prompt:
                body = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
                name = f"{path.parent.name}/{path.stem}"
                yield Exchange(
                    name,
                    recorded["provider"],
                    recorded["kind"],
                    request,
                    body,
                    answer,
                    prompt,
                    output,
                    reasoning,
                )


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    for holder in (answer, answer.get("message"), answer.get("response")):
        if isinstance(holder, dict):
            found = holder.get("usage") or holder.get("usageMetadata")
            if isinstance(found, dict):
                return found
    return {}


def _figures_of_stream(stream: str) -> dict[str, Any]:
    """The latest of each figure: providers repeat and complete them."""
    latest: dict[str, Any] = {}
    for line in stream.splitlines():
        if line.startswith("data:") and line.endswith("}"):
            event = json.loads(line[5:])
            if isinstance(event, dict):
                latest.update({key: value for key, value in _figures(event).items() if value is not None})
    return latest


def _tokens(figures: dict[str, Any], answer: dict[str, Any]) -> tuple[int, int, int]:
    if "promptTokenCount" in figures:
        thoughts = figures.get("thoughtsTokenCount", 0)
        return figures["promptTokenCount"], figures.get("candidatesTokenCount", 0) + thoughts, thoughts
    if "prompt_tokens" in figures:
        details = figures.get("completion_tokens_details") or {}
        return (
            figures["prompt_tokens"],
            figures.get("completion_tokens", 0),
            details.get("reasoning_tokens") or 0,
        )
    if "input_tokens" in figures:
        prompt = figures["input_tokens"]
        if "input_tokens_details" not in figures:
            prompt += figures.get("cache_read_input_tokens") or 0
            prompt += figures.get("cache_creation_input_tokens") or 0
        return prompt, figures.get("output_tokens", 0), 0
    return answer.get("input_tokens") or answer.get("totalTokens") or 0, 0, 0

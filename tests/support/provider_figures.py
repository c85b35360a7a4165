"""What providers say that they counted, read from their own JSON and from nothing of ours: what is billed must be this.

Each provider's figures in disjoint buckets. Anthropic's input leaves cached tokens out, everybody else's has them in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Buckets(NamedTuple):
    """Tokens; `web_searches` uses, None where the provider does not count them."""

    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    web_searches: int | None = None


def of_answer(dialect: str, body: bytes) -> Buckets | None:
    """Of a whole answer; None where the provider says nothing."""
    answer = json.loads(body)
    told = answer.get("usageMetadata") if dialect == "gemini" else answer.get("usage")
    return _READERS[dialect](told) if told else None


def of_stream(dialect: str, stream: bytes) -> Buckets | None:
    """Of a stream: the latest of each figure, for providers repeat and complete them."""
    latest: dict[str, Any] = {}
    for event in _events(stream):
        for holder in (event, event.get("message"), event.get("response"), event.get("x_groq")):
            if isinstance(holder, dict):
                told = holder.get("usage") or holder.get("usageMetadata") or {}
                latest.update({name: value for name, value in told.items() if value is not None})
    return _READERS[dialect](latest) if latest else None


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    """The events of the first answer: some recordings have several in one file."""
    for line in stream.splitlines():
        if line.startswith(b"data:") and line.rstrip().endswith(b"}"):
            try:
                event = json.loads(line[5:])
            except ValueError:
                continue  # a cut recording
            yield event
            if event.get("type") in ("message_stop", "response.completed"):
                return


def _anthropic(told: dict[str, Any]) -> Buckets:
    written = told.get("cache_creation_input_tokens") or 0
    by_time = told.get("cache_creation") or {}
    for_an_hour = by_time.get("ephemeral_1h_input_tokens") or 0
    return Buckets(
        input=told["input_tokens"],
        cache_read=told.get("cache_read_input_tokens") or 0,
        cache_write_5m=written - for_an_hour,
        cache_write_1h=for_an_hour,
        output=told["output_tokens"],
        web_searches=(told.get("server_tool_use") or {}).get("web_search_requests") or 0,
    )


def _chat(told: dict[str, Any]) -> Buckets:
    details = told.get("prompt_tokens_details") or {}
    vendors = (told.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"))
    read = next((count for count in (details.get("cached_tokens"), *vendors) if count is not None), 0)
    written = details.get("cache_write_tokens") or 0
    prompt = told["prompt_tokens"]
    # Some vendors leave reasoning out of completion_tokens; the total has it.
    return Buckets(prompt - read - written, read, written, 0, told["total_tokens"] - prompt)


def _responses(told: dict[str, Any]) -> Buckets:
    details = told.get("input_tokens_details") or {}
    read = details.get("cached_tokens") or 0
    written = details.get("cache_write_tokens") or 0
    return Buckets(told["input_tokens"] - read - written, read, written, 0, told["output_tokens"])


def _gemini(told: dict[str, Any]) -> Buckets:
    # What the provider's own tools gave the model to read stands beside the prompt, and is charged as input.
    prompt = told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    read = told.get("cachedContentTokenCount", 0)
    output = told.get("candidatesTokenCount", 0) + told.get("thoughtsTokenCount", 0)
    return Buckets(prompt - read, read, 0, 0, output)


_READERS = {
    "anthropic_messages": _anthropic,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
}

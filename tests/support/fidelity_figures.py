"""Probes of why an answer ended and of what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bytespike.core.response import ChatResponse
from tests.support.fidelity import ANSWER, Answered, C, G, M, R
from tests.support.fidelity_answers import CALLS, HELLO, MESSAGE, chat, said


def endings() -> Iterator[tuple[str, Answered]]:
    def ended(reason: str) -> Callable[[ChatResponse], bool]:
        return lambda response: response.candidates[0].finish.reason == reason

    yield "stop_end", Answered(ended("stop"), {each: {} for each in (M, C, R, G)})
    yield (
        "stop_length",
        Answered(
            ended("length"),
            {
                M: {"stop_reason": "max_tokens"},
                C: chat({}, "length"),
                R: {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
                G: said(HELLO, finish="MAX_TOKENS"),
            },
        ),
    )
    yield "stop_calls", Answered(ended("tool_calls"), CALLS)
    yield (
        "stop_sequence",
        Answered(
            lambda response: response.candidates[0].finish.sequence == "END",
            {M: {"stop_reason": "stop_sequence", "stop_sequence": "END"}},
            frozenset({M, C, G}),
        ),
    )
    yield (
        "stop_filter",
        Answered(
            lambda response: response.candidates[0].finish.reason in ("content_filter", "refusal"),
            {
                M: {"stop_reason": "refusal"},
                C: chat({}, "content_filter"),
                R: {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
                G: said(HELLO, finish="SAFETY"),
            },
        ),
    )
    yield (
        "stop_window",
        Answered(
            lambda response: response.candidates[0].finish.reason in ("context_window", "length"),
            {M: {"stop_reason": "model_context_window_exceeded"}},
        ),
    )
    yield "stop_pause", Answered(ended("pause"), {M: {"stop_reason": "pause_turn"}})


def figures() -> Iterator[tuple[str, Answered]]:
    def counted(**buckets: int) -> Callable[[ChatResponse], bool]:
        return lambda response: all(getattr(response.usage, name) == value for name, value in buckets.items())

    def chat_usage(**members: Any) -> dict[str, Any]:
        return {"usage": {**ANSWER[C]["usage"], **members}}

    def responses_usage(**members: Any) -> dict[str, Any]:
        return {"usage": {**ANSWER[R]["usage"], **members}}

    def gemini_usage(**members: Any) -> dict[str, Any]:
        return {"usageMetadata": {**ANSWER[G]["usageMetadata"], **members}}

    def claude_usage(**members: Any) -> dict[str, Any]:
        return {"usage": {**ANSWER[M]["usage"], **members}}

    yield "usage_tokens", Answered(counted(input=10, output=5), {each: {} for each in (M, C, R, G)})
    yield (
        "usage_cache_read",
        Answered(
            counted(cache_read=4),
            {
                M: claude_usage(cache_read_input_tokens=4),
                C: chat_usage(prompt_tokens_details={"cached_tokens": 4}),
                R: responses_usage(input_tokens_details={"cached_tokens": 4}),
                G: gemini_usage(cachedContentTokenCount=4),
            },
        ),
    )
    yield (
        "usage_cache_write",
        Answered(
            counted(cache_write_5m=3),
            {
                M: claude_usage(cache_creation_input_tokens=3),
                C: chat_usage(prompt_tokens_details={"cache_write_tokens": 3}),
                R: responses_usage(input_tokens_details={"cached_tokens": 0, "cache_write_tokens": 3}),
            },
        ),
    )
    yield (
        "usage_cache_write_1h",
        Answered(
            counted(cache_write_5m=1, cache_write_1h=2),
            {
                M: claude_usage(
                    cache_creation_input_tokens=3,
                    cache_creation={"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
                )
            },
        ),
    )
    yield (
        "usage_reasoning",
        Answered(
            counted(reasoning=2, output=5),
            {
                M: claude_usage(output_tokens_details={"thinking_tokens": 2}),
                C: chat_usage(completion_tokens_details={"reasoning_tokens": 2}),
                R: responses_usage(output_tokens_details={"reasoning_tokens": 2}),
                G: gemini_usage(candidatesTokenCount=3, thoughtsTokenCount=2),
            },
        ),
    )
    yield (
        "usage_searches",
        Answered(
            counted(web_searches=2),
            {
                M: claude_usage(server_tool_use={"web_search_requests": 2}),
                R: {
                    "output": [
                        {
                            "type": "web_search_call",
                            "id": f"ws_{number}",
                            "status": "completed",
                            "action": {"type": "search", "query": "paris"},
                        }
                        for number in (1, 2)
                    ]
                    + [MESSAGE]
                },
                G: said(HELLO, groundingMetadata={"webSearchQueries": ["paris", "france"]}),
            },
            figure=True,
        ),
    )

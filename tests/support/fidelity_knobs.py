"""Probes of thinking, output, knobs, caches, accounts, and of what one vendor alone has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from tests.support.fidelity import QUIRKS, Asked, C, G, M, R
from tests.support.fidelity_words import (
    SCHEMA,
    parts,
    some,
    user,
)


def thinking() -> Iterator[tuple[str, Asked]]:
    def effort(level: str) -> Callable[[ChatRequest], bool]:
        return lambda request: request.reasoning is not None and request.reasoning.effort == level

    for level in ("low", "medium", "high", "xhigh"):
        yield (
            f"effort_{level}",
            Asked(
                effort(level),
                {
                    M: {"output_config": {"effort": level}, "thinking": {"type": "adaptive"}},
                    C: {"reasoning_effort": level},
                    R: {"reasoning": {"effort": level}},
                    G: {"generationConfig": {"thinkingConfig": {"thinkingLevel": level.upper()}}},
                },
            ),
        )
    yield (
        "thinking_budget",
        Asked(
            lambda request: request.reasoning is not None and request.reasoning.budget_tokens == 2048,
            {
                M: {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}},
                G: {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2048}}},
            },
            {M: QUIRKS[M] - {"adaptive_thinking"}},
        ),
    )
    yield (
        "thinking_adaptive",
        Asked(
            # Where neither an effort nor a budget is named, the model decides.
            lambda request: (
                request.reasoning is None
                or (
                    request.reasoning.mode != "off"
                    and (request.reasoning.effort, request.reasoning.budget_tokens) == (None, None)
                )
            ),
            {
                M: {"thinking": {"type": "adaptive"}},
                G: {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
            },
        ),
    )
    yield (
        "thinking_off",
        Asked(
            lambda request: request.reasoning is not None and request.reasoning.mode == "off",
            {
                M: {"thinking": {"type": "disabled"}},
                C: {"reasoning_effort": "none"},
                R: {"reasoning": {"effort": "none"}},
                G: {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
            },
        ),
    )
    yield (
        "thinking_shown",
        Asked(
            lambda request: (
                request.reasoning is not None and request.reasoning.display not in (None, "omitted")
            ),
            {
                M: {"thinking": {"type": "adaptive", "display": "summarized"}},
                R: {"reasoning": {"effort": "low", "summary": "auto"}},
                G: {
                    "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}}
                },
            },
        ),
    )


def output() -> Iterator[tuple[str, Asked]]:
    yield (
        "json_object",
        Asked(
            lambda request: request.output_format is not None and request.output_format.kind == "json_object",
            {
                C: {"response_format": {"type": "json_object"}},
                R: {"text": {"format": {"type": "json_object"}}},
                G: {"generationConfig": {"responseMimeType": "application/json"}},
            },
        ),
    )
    named = {"name": "place", "schema": SCHEMA, "strict": True}
    yield (
        "json_schema",
        Asked(
            lambda request: request.output_format is not None and request.output_format.schema == SCHEMA,
            {
                M: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
                C: {"response_format": {"type": "json_schema", "json_schema": named}},
                R: {"text": {"format": {"type": "json_schema", **named}}},
                G: {
                    "generationConfig": {
                        "responseMimeType": "application/json",
                        "responseJsonSchema": SCHEMA,
                    }
                },
            },
        ),
    )
    yield (
        "max_tokens",
        Asked(
            lambda request: request.max_output_tokens == 77,
            {
                M: {"max_tokens": 77},
                C: {"max_completion_tokens": 77},
                R: {"max_output_tokens": 77},
                G: {"generationConfig": {"maxOutputTokens": 77}},
            },
        ),
    )
    yield (
        "stop_sequences",
        Asked(
            lambda request: request.stop == ("END",),
            {
                M: {"stop_sequences": ["END"]},
                C: {"stop": ["END"]},
                G: {"generationConfig": {"stopSequences": ["END"]}},
            },
        ),
    )
    yield (
        "verbosity",
        Asked(
            lambda request: request.verbosity == "low",
            {C: {"verbosity": "low"}, R: {"text": {"verbosity": "low"}}},
        ),
    )
    yield (
        "logprobs",
        Asked(
            lambda request: request.logprobs == 3,
            {
                C: {"logprobs": True, "top_logprobs": 3},
                R: {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
                G: {"generationConfig": {"responseLogprobs": True, "logprobs": 3}},
            },
        ),
    )
    yield (
        "candidates",
        Asked(
            lambda request: request.candidates == 2,
            {C: {"n": 2}, G: {"generationConfig": {"candidateCount": 2}}},
        ),
    )
    yield (
        "image_output",
        Asked(
            lambda request: bool(request.extras) or bool(request.tools),
            {
                C: {"modalities": ["text", "image"]},
                R: {"tools": [{"type": "image_generation"}]},
                G: {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
            },
        ),
    )


def knobs() -> Iterator[tuple[str, Asked]]:
    def sampled(name: str, value: Any) -> Callable[[ChatRequest], bool]:
        return lambda request: getattr(request.sampling, name) == value

    def config(**members: Any) -> dict[str, Any]:
        return {"generationConfig": members}

    half: dict[str, Any] = {"temperature": 0.5}
    yield (
        "temperature",
        Asked(
            sampled("temperature", 0.5),
            {M: half, C: half, R: half, G: config(temperature=0.5)},
        ),
    )
    most: dict[str, Any] = {"top_p": 0.9}
    yield "top_p", Asked(sampled("top_p", 0.9), {M: most, C: most, R: most, G: config(topP=0.9)})
    yield "top_k", Asked(sampled("top_k", 40), {M: {"top_k": 40}, G: config(topK=40)})
    yield "seed", Asked(sampled("seed", 7), {C: {"seed": 7}, G: config(seed=7)})
    yield (
        "frequency_penalty",
        Asked(
            sampled("frequency_penalty", 0.5),
            {C: {"frequency_penalty": 0.5}, G: config(frequencyPenalty=0.5)},
        ),
    )
    yield (
        "presence_penalty",
        Asked(
            sampled("presence_penalty", 0.5),
            {C: {"presence_penalty": 0.5}, G: config(presencePenalty=0.5)},
        ),
    )
    yield "logit_bias", Asked(sampled("logit_bias", {"50256": -100}), {C: {"logit_bias": {"50256": -100}}})


def account() -> Iterator[tuple[str, Asked]]:
    def marked(ttl: str | None) -> Callable[[ChatRequest], bool]:
        return lambda request: any(
            part.cache is not None and part.cache.ttl == ttl for part in parts(request, c.TextPart)
        )

    block = {"type": "text", "text": "Hi"}
    yield (
        "cache_control",
        Asked(marked(None), {M: user({**block, "cache_control": {"type": "ephemeral"}})}),
    )
    yield (
        "cache_ttl",
        Asked(marked("1h"), {M: user({**block, "cache_control": {"type": "ephemeral", "ttl": "1h"}})}),
    )
    yield (
        "prompt_cache_key",
        Asked(
            lambda request: request.prompt_cache_key == "k",
            {C: {"prompt_cache_key": "k"}, R: {"prompt_cache_key": "k"}},
        ),
    )
    yield (
        "user_id",
        Asked(
            lambda request: request.user_id == "u1",
            {
                M: {"metadata": {"user_id": "u1"}},
                C: {"safety_identifier": "u1"},
                R: {"safety_identifier": "u1"},
            },
        ),
    )
    yield (
        "metadata",
        Asked(
            lambda request: request.metadata == {"job": "7"},
            {C: {"metadata": {"job": "7"}}, R: {"metadata": {"job": "7"}}},
        ),
    )
    yield (
        "service_tier",
        Asked(
            lambda request: request.service_tier in ("flex", "standard_only", "default"),
            {
                M: {"service_tier": "standard_only"},
                C: {"service_tier": "flex"},
                R: {"service_tier": "flex"},
                G: {"serviceTier": "flex"},
            },
        ),
    )
    yield (
        "store",
        Asked(lambda request: request.store is True, {C: {"store": True}, R: {"store": True}}),
    )
    yield (
        "safety_settings",
        Asked(
            lambda request: "safetySettings" in str(request.extras),
            {G: {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}},
        ),
    )
    yield (
        "cached_content",
        Asked(some(c.ForeignPart), {G: {"cachedContent": "cachedContents/abc"}}),
    )
    yield (
        "context_management",
        Asked(
            lambda request: "context_management" in str(request.extras),
            {
                M: {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
                R: {"context_management": [{"type": "compaction", "compact_threshold": 100000}]},
            },
        ),
    )
    yield (
        "mcp_servers",
        Asked(
            lambda request: "mcp" in str(request.extras) + str(request.tools),
            {
                M: {"mcp_servers": [{"type": "url", "url": "https://example.com/mcp", "name": "x"}]},
                R: {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://example.com/mcp"}]},
                G: {
                    "tools": [
                        {"mcpServers": [{"name": "x", "streamableHttpTransport": {"url": "https://a.org"}}]}
                    ]
                },
            },
        ),
    )
    yield (
        "threads",
        Asked(lambda request: "thread" in str(request.extras), {M: {"thread": {"type": "create"}}}),
    )
    yield (
        "truncation",
        Asked(lambda request: "truncation" in str(request.extras), {R: {"truncation": "auto"}}),
    )
    yield "background", Asked(lambda request: True, {R: {"background": True}})
    yield (
        "unknown_member",
        Asked(
            lambda request: "hologram" in str(request.extras),
            {each: {"hologram": {"depth": 3}} for each in (M, C, R, G)},
        ),
    )

"""The estimates, measured against what real providers counted. docs/explain/pricing.md states these figures."""

from __future__ import annotations

import json
import re
from functools import cache
from statistics import median

import pytest

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from bytespike.pricing.estimate import (
    SEARCH_PROMPT_TOKENS,
    count_tokens,
    estimate_prompt_tokens,
    tokens_of_chars,
    tokens_of_text,
)
from bytespike.pricing.payloads import payloads
from bytespike.protocols.anthropic_messages.request_read import read_request as read_anthropic
from bytespike.protocols.openai_chat.request_in import read_request as read_openai
from tests.support.recorded_usage import TRAFFIC, Exchange, exchanges

pytestmark = [
    pytest.mark.traffic,
    pytest.mark.skipif(not TRAFFIC.is_dir(), reason="the recorded traffic is not here"),
]

#: Content that the body only names, or that a tool fetches: nobody can see its size in the request.
ELSEWHERE = re.compile(
    rb"youtu|cachedContent|previous_response_id|file_id|fileUri|mcp_servers|connector|\"conversation\""
    rb"|code_interpreter|file_search|compound|code_execution|\"mode\":\"pro\""
)
SEARCHES = re.compile(rb"web_search|web_fetch|google_?[sS]earch|url_?[cC]ontext")
MEDIA = re.compile(rb"base64|inline_?[dD]ata|file_?[dD]ata|image_url|\"url\"|\"file|audio|fileUri|https?://")
PROVIDER_TOOL = re.compile(
    rb"_202[0-9]|web_search|web_fetch|tool_search|advisor|googleSearch|google_search|urlContext|codeExecution"
    rb"|code_execution|file_search|\"mcp\"|x_search|plugins|browser_search|apply_patch|\"shell|citations"
)


@cache
def recorded() -> tuple[Exchange, ...]:
    return tuple(exchanges())


def test_there_is_enough_to_measure_against() -> None:
    assert len(recorded()) > 1_000


def test_the_bound_holds_for_every_recorded_prompt_that_is_whole() -> None:
    too_low, checked = [], 0
    for each in recorded():
        if ELSEWHERE.search(each.body):
            continue
        checked += 1
        bound = estimate_prompt_tokens(each.body)
        if SEARCHES.search(each.body):
            bound += SEARCH_PROMPT_TOKENS
        if bound < each.prompt_tokens:
            too_low.append((each.name, bound, each.prompt_tokens))
    assert checked > 800
    assert too_low == []


def test_the_bound_is_not_far_off_for_long_texts() -> None:
    ratios = [
        estimate_prompt_tokens(each.body) / each.prompt_tokens
        for each in recorded()
        if len(each.body) > 4_000 and not MEDIA.search(each.body) and b"ignature" not in each.body
    ]
    assert len(ratios) > 20
    assert median(ratios) < 3


def test_inline_media_are_found_and_do_not_count_as_text() -> None:
    found = 0
    for each in recorded():
        media = list(payloads(each.body))
        if media and not ELSEWHERE.search(each.body):
            found += 1
            assert each.prompt_tokens <= estimate_prompt_tokens(each.body) < each.prompt_tokens + 20_000, (
                each.name
            )
    assert found > 15


def guessed(each: Exchange) -> int:
    if each.kind == "chat":
        return count_tokens(read_openai(each.body))
    # count_tokens bodies have no limit, which a message needs.
    return count_tokens(read_anthropic(json.dumps({"max_tokens": 1, **each.request}).encode()))


def test_counted_prompts_are_within_a_factor_of_two_and_forty_tokens() -> None:
    far, checked, with_tools = [], 0, []
    for each in recorded():
        if (each.provider, each.kind) not in {
            ("anthropic", "messages"),
            ("anthropic", "count_tokens"),
            ("openai", "chat"),
            ("deepseek", "chat"),
        }:
            continue
        if MEDIA.search(each.body) or PROVIDER_TOOL.search(each.body):
            continue
        checked += 1
        guess, true = guessed(each), each.prompt_tokens
        if each.provider == "anthropic" and each.request.get("tools"):
            with_tools.append(guess / true)
        if not true / 2 - 40 <= guess <= true * 2 + 40:
            far.append((each.name, guess, true))
    assert checked > 250
    # Older reasoning models take tools into account differently; they are not in the catalog.
    assert len(far) <= checked * 0.02, far
    assert 0.9 < median(with_tools) < 1.1
    assert min(with_tools) > 0.75
    assert max(with_tools) < 1.6


def test_the_recorded_count_tokens_answers() -> None:
    by_provider = {
        each.provider: each
        for each in recorded()
        if each.kind == "count_tokens" and "tools" not in each.request
    }
    anthropic = by_provider["anthropic"]
    assert guessed(anthropic) == pytest.approx(anthropic.prompt_tokens, rel=0.25)
    gemini = by_provider["gemini"]
    turns = tuple(
        c.Turn("user", tuple(c.TextPart(part["text"]) for part in content["parts"]))
        for content in gemini.request["contents"]
    )
    assert abs(count_tokens(ChatRequest("gemini-2.5-flash", turns)) - gemini.prompt_tokens) <= 10


def plain_text(each: Exchange) -> str | None:
    """The answer's text, if it is all that was generated."""
    texts: list[str] = []
    if each.kind == "messages":
        blocks = each.answer.get("content") or []
        if any(block["type"] != "text" for block in blocks):
            return None
        texts = [block["text"] for block in blocks]
    elif each.kind == "chat":
        for choice in each.answer.get("choices") or []:
            message = choice["message"]
            if set(message) & {"tool_calls", "reasoning_content", "reasoning", "executed_tools"} and any(
                message.get(name)
                for name in ("tool_calls", "reasoning_content", "reasoning", "executed_tools")
            ):
                return None
            if isinstance(message.get("content"), str):
                texts.append(message["content"])
    text = "".join(texts)
    return text if len(text) >= 80 and not each.reasoning_tokens else None


def test_produced_text_is_counted_within_a_factor_of_two_and_a_half() -> None:
    by_text, by_chars = [], []
    for each in recorded():
        text = plain_text(each)
        if text is not None and not PROVIDER_TOOL.search(each.body):
            by_text.append(tokens_of_text(text) / each.output_tokens)
            by_chars.append(tokens_of_chars(len(text)) / each.output_tokens)
    assert len(by_text) > 40
    for ratios in (by_text, by_chars):
        assert 0.85 < median(ratios) < 1.15
        assert min(ratios) > 0.4
        assert max(ratios) < 2.5

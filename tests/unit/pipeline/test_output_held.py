"""How many tokens of answer the money is held for, and that nothing that is sent asks for more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.catalog.load import load_models
from bytespike.core.dialect import Target
from bytespike.core.request import ReasoningConfig
from bytespike.pipeline.plan import RAISED_TOKENS_MAX, output_held
from bytespike.protocols import anthropic_messages, openai_chat
from bytespike.protocols.anthropic_messages.thinking import BUDGET_MIN

MODELS = {model.slug: model for model in load_models()}


def held(body: dict[str, Any], slug: str, *, raised: bool) -> int:
    peek = openai_chat.DIALECT.peek(json.dumps({"model": "m", "messages": [], **body}).encode())
    return output_held(peek, MODELS[slug], raised=raised)


def test_without_a_limit_the_catalogs_guess_is_held() -> None:
    for raised in (False, True):
        assert held({}, "claude-sonnet-4-6", raised=raised) == MODELS["claude-sonnet-4-6"].hold_output_tokens


def test_a_limit_is_held_as_it_is_where_the_bytes_pass() -> None:
    assert held({"max_tokens": 300}, "gpt-5-5", raised=False) == 300
    assert held({"max_tokens": 10**9}, "gpt-5-5", raised=False) == MODELS["gpt-5-5"].max_output_tokens


def test_a_translation_holds_what_it_may_raise_a_limit_by() -> None:
    assert RAISED_TOKENS_MAX == BUDGET_MIN
    assert held({"max_tokens": 300}, "claude-sonnet-4-6", raised=True) == 300 + BUDGET_MIN


@pytest.mark.parametrize("limit", [None, 1, 300, 1024, 1500, 20_000, 10**7])
@pytest.mark.parametrize("effort", [None, "low", "high", "max"])
@pytest.mark.parametrize("slug", ["claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-8"])
def test_no_translated_request_asks_for_more_than_is_held(
    slug: str, effort: str | None, limit: int | None
) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
    body |= {"max_tokens": limit} if limit else {}
    body |= {"reasoning_effort": effort} if effort else {}
    request = openai_chat.DIALECT.read_request(json.dumps({"model": "m", **body}).encode())
    assert request.reasoning is None or isinstance(request.reasoning, ReasoningConfig)
    most = held(body, slug, raised=True)
    model = MODELS[slug]
    target = Target("up", "claude", model.capabilities, model.max_output_tokens, output_tokens_held=most)
    written = json.loads(anthropic_messages.DIALECT.write_request(request, target).body)
    assert written["max_tokens"] <= most

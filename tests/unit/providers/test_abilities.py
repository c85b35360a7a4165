"""What a model can and cannot do becomes switches of the dialect in which it is asked."""

from __future__ import annotations

import pytest

from bytespike.catalog.load import load_models
from bytespike.protocols.anthropic_messages import names
from bytespike.protocols.gemini import names as gemini
from bytespike.protocols.openai_chat import quirks as chat
from bytespike.protocols.openai_responses import quirks as responses
from bytespike.providers.abilities import quirks_of
from bytespike.providers.platforms import PLATFORMS

TEXT = {model.slug: model for model in load_models() if model.kind == "text"}
CLAUDE = {value for name, value in vars(names).items() if name.startswith("QUIRK_")}
GEMINI = {value for name, value in vars(gemini).items() if name.startswith("QUIRK_")}


@pytest.mark.parametrize(
    ("slug", "dialect", "expected"),
    [
        ("gpt-4o", "openai_chat", set()),
        ("gpt-5-5", "openai_chat", {"fixed_sampling", "no_stop", "no_logprobs"}),
        ("gpt-5-mini", "openai_chat", {"fixed_sampling", "no_stop", "no_logprobs", "effort_basic"}),
        ("deepseek-v4-pro", "openai_chat", set()),
        ("minimax-m2-7", "openai_chat", {"no_json_object", "no_stop", "no_logprobs"}),
        ("claude-sonnet-4-6", "openai_chat", {"no_logprobs"}),
        ("claude-sonnet-4-5", "anthropic_messages", set()),
        ("claude-sonnet-4-6", "anthropic_messages", {"adaptive_thinking"}),
        ("claude-opus-4-7", "anthropic_messages", {"adaptive_thinking", "no_sampling", "effort_xhigh"}),
        (
            "claude-opus-4-8",
            "anthropic_messages",
            {"adaptive_thinking", "no_sampling", "effort_xhigh", "system_turns"},
        ),
        ("deepseek-v4-pro", "anthropic_messages", set()),
        ("gpt-5-5", "anthropic_messages", set()),
        ("gpt-5-5", "gemini", set()),
    ],
)
def test_a_models_switches(slug: str, dialect: str, expected: set[str]) -> None:
    assert quirks_of(TEXT[slug], dialect) == expected


@pytest.mark.parametrize("slug", sorted(TEXT))
def test_only_switches_that_the_dialect_knows(slug: str) -> None:
    assert quirks_of(TEXT[slug], "openai_chat") <= chat.ALL
    assert quirks_of(TEXT[slug], "anthropic_messages") <= CLAUDE


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_platforms_have_only_switches_that_the_dialect_knows(name: str) -> None:
    known = {
        "openai_chat": chat.ALL,
        "anthropic_messages": CLAUDE,
        "openai_responses": responses.ALL,
        "gemini": GEMINI,
    }
    for dialect, surface in PLATFORMS[name].surfaces.items():
        if dialect not in known:
            assert not surface.quirks, "an API for media has its adapter"
            continue
        assert surface.quirks <= known[dialect], dialect

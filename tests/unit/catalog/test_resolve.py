"""Every form of a model's name that the contract promises, and what happens to all others."""

from __future__ import annotations

import pytest
from msgspec import structs

from bytespike.catalog.load import Alias, load_models
from bytespike.catalog.names import NAME_CHARS_MAX
from bytespike.catalog.resolve import NAMES_REMEMBERED, Catalog, load_catalog
from bytespike.errors import ModelNotFound

CATALOG = load_catalog()

# name -> slug
FORMS = {
    # the canonical slugs
    "claude-sonnet-4-6": "claude-sonnet-4-6",
    "gpt-5-5": "gpt-5-5",
    "gemini-3-1-pro": "gemini-3-1-pro",
    "sora2": "sora2",
    # dots and dashes are interchangeable
    "gpt-5.5": "gpt-5-5",
    "sora-2": "sora2",
    "veo-3.1": "veo3-1",
    "gpt-5.4-mini": "gpt-5-4-mini",
    "claude-sonnet-4.6": "claude-sonnet-4-6",
    "gemini-2.5-flash": "gemini-2-5-flash",
    "deepseek-v3.2": "deepseek-v3-2",
    "kimi-k2.6": "kimi-k2-6",
    "glm-5.1": "glm-5-1",
    "MiniMax-M2.7": "minimax-m2-7",
    "veo-3.1-fast": "veo3-1-fast",
    "sora-2-pro": "sora2-pro",
    "seedream-4.5": "seedream-4-5",
    "seedance-1.5-pro": "seedance-1-5-pro",
    "gpt_4o_mini": "gpt-4o-mini",
    # case and surrounding space
    "GPT-4o": "gpt-4o",
    "Claude-Opus-4-8": "claude-opus-4-8",
    " gpt-4o ": "gpt-4o",
    # `models/` on Gemini paths, vendor prefixes, paths of Vertex
    "models/gemini-2.5-pro": "gemini-2-5-pro",
    "anthropic/claude-sonnet-4.5": "claude-sonnet-4-5",
    "openai/gpt-5.5": "gpt-5-5",
    "openai/claude-haiku-4-5": "claude-haiku-4-5",
    "google/gemini-3-flash-preview": "gemini-3-flash",
    "moonshotai/kimi-k2.5": "kimi-k2-5",
    "publishers/google/models/gemini-2.5-flash": "gemini-2-5-flash",
    # dated ids of vendors
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
    "claude-opus-4-5-20251101": "claude-opus-4-5",
    "claude-haiku-4-5@20251001": "claude-haiku-4-5",
    "gpt-4o-2024-08-06": "gpt-4o",
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "gpt-5.5-2026-04-23": "gpt-5-5",
    "gpt-5.4-mini-2026-03-17": "gpt-5-4-mini",
    "gpt-5.2-2025-12-11": "gpt-5-2",
    "gpt-5-mini-2025-08-07": "gpt-5-mini",
    "gemini-2.5-flash-preview-05-20": "gemini-2-5-flash",
    "gemini-2.5-pro-preview-05-06": "gemini-2-5-pro",
    "deepseek-v4-flash-0731": "deepseek-v4-flash",
    "doubao-seed-2-0-pro-260215": "doubao-seed-2-0-pro",
    "sora-2-2025-10-06": "sora2",
    "veo-3.1-generate-preview": "veo3-1",
    "veo-3.1-fast-generate-001": "veo3-1-fast",
    # what vendors call their models
    "gemini-3.1-pro-preview": "gemini-3-1-pro",
    "gemini-2.5-flash-image": "nano-banana",
    "doubao-seedream-4-0-250828": "seedream-v4",
    "doubao-seedance-1-0-pro-fast-251015": "seedance-pro-fast",
    # legacy
    "deepseek-chat": "deepseek-v4-flash",
    "deepseek-reasoner": "deepseek-v4-pro",
    # newer defaults of clients
    "claude-opus-5-5": "claude-opus-4-8",
    "claude-sonnet-5": "claude-sonnet-4-6",
    "claude-haiku-5-5": "claude-haiku-4-5",
    "gpt-6-sol": "gpt-5-5",
}

UNKNOWN = [
    "",
    "-",
    "gpt",
    "gpt-5",
    "gpt-5-2025-08-07",  # GPT-5 of August 2025, not GPT-5.2 of some year 025
    "claude-3-5-haiku-20241022",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4-6-latest",
    "gemini-2.5-flash-preview-tts",
    "gemini-2.5-flash-lite",
    "models/",
    "anthropic/",
    "mycorp/claude-sonnet-4-6",
    "claude-sonnet-4-6/../gpt-4o",
    "gpt-4o*",
    "text-embedding-3-large",
]


@pytest.mark.parametrize(("name", "slug"), FORMS.items())
def test_a_name_means_its_model(name: str, slug: str) -> None:
    resolution = CATALOG.resolve(name)
    assert resolution.model.slug == slug
    assert resolution.requested == name


@pytest.mark.parametrize("name", UNKNOWN)
def test_any_other_name_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        CATALOG.resolve(name)
    assert caught.value.param == "model"


@pytest.mark.parametrize("model", load_models(), ids=lambda model: model.slug)
def test_every_slug_and_every_vendor_id_resolves(model) -> None:
    assert CATALOG.resolve(model.slug).model == model
    vendors = CATALOG.resolve(model.vendor_id).model
    assert vendors == model or model.slug == "gpt-image-2-official"


def test_only_the_reasoner_asks_for_thinking() -> None:
    assert {name for name in FORMS if CATALOG.resolve(name).thinking} == {"deepseek-reasoner"}


def test_a_name_of_another_model_is_marked_as_a_substitute() -> None:
    substitutes = {name for name in FORMS if CATALOG.resolve(name).substitute}
    assert substitutes == {"claude-opus-5-5", "claude-sonnet-5", "claude-haiku-5-5", "gpt-6-sol"}


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("claude-sonet-4-5", "claude-sonnet-4-5"),
        ("gpt-5.5-turbo", "gpt-5-5"),
        ("gemini-3.1-prp", "gemini-3-1-pro"),
        ("anthropic/claude-opus-4.9", "claude-opus-4-8"),
        ("deepseek", "deepseek-v4-pro"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(name: str, suggested: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        CATALOG.resolve(name)
    message = caught.value.message
    assert suggested in message
    assert message.count(", ") <= 2


def test_a_name_that_resembles_nothing_gets_no_wild_guess() -> None:
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        CATALOG.resolve("zzzzzz")


def test_a_name_is_not_repeated_at_length() -> None:
    with pytest.raises(ModelNotFound) as caught:
        CATALOG.resolve("x" * NAME_CHARS_MAX)
    assert len(caught.value.message) < 200
    with pytest.raises(ModelNotFound) as caught:
        CATALOG.resolve("x" * 1_000_000)
    assert len(caught.value.message) < 200


def test_strangers_cannot_fill_the_memory() -> None:
    catalog = load_catalog()
    for number in range(NAMES_REMEMBERED * 2):
        with pytest.raises(ModelNotFound):
            catalog.resolve(f"{number}")
    assert catalog._find.cache_info().currsize == NAMES_REMEMBERED
    assert catalog.resolve("gpt-4o").model.slug == "gpt-4o"


# --- the operator's rows --------------------------------------------------------------------------------------


def slug_of(catalog: Catalog, name: str) -> str:
    return catalog.resolve(name).model.slug


def test_an_operators_alias_comes_before_the_shipped_ones() -> None:
    catalog = CATALOG.with_overrides(
        aliases=[Alias("claude-opus-5-*", "claude-opus-4-7"), Alias("deepseek-chat", "deepseek-v3-2")]
    )
    assert slug_of(catalog, "claude-opus-5-5") == "claude-opus-4-7"
    assert slug_of(catalog, "deepseek-chat") == "deepseek-v3-2"
    assert slug_of(catalog, "deepseek-reasoner") == "deepseek-v4-pro"


def test_an_exact_alias_comes_before_a_glob() -> None:
    catalog = CATALOG.with_overrides(aliases=[Alias("fast-*", "gpt-4o"), Alias("fast-one", "gpt-4o-mini")])
    assert slug_of(catalog, "fast-one") == "gpt-4o-mini"
    assert slug_of(catalog, "fast.one") == "gpt-4o-mini"
    assert slug_of(catalog, "fast-two") == "gpt-4o"


def test_of_several_globs_the_most_specific_wins() -> None:
    rows = [
        Alias("*", "gpt-4o-mini"),
        Alias("claude-*", "claude-haiku-4-5"),
        Alias("claude-*-max", "claude-opus-4-8"),
    ]
    for order in (rows, rows[::-1]):
        catalog = CATALOG.with_overrides(aliases=order)
        assert slug_of(catalog, "claude-3-max") == "claude-opus-4-8"
        assert slug_of(catalog, "claude-3") == "claude-haiku-4-5"
        assert slug_of(catalog, "llama-9") == "gpt-4o-mini"
        assert slug_of(catalog, "gpt-4o") == "gpt-4o"


def test_an_alias_may_have_a_prefix_of_its_own() -> None:
    catalog = CATALOG.with_overrides(
        aliases=[Alias("mycorp/best", "claude-opus-4-8"), Alias("eu/*", "gpt-5-5")]
    )
    assert slug_of(catalog, "mycorp/best") == "claude-opus-4-8"
    assert slug_of(catalog, "eu/anything") == "gpt-5-5"


def test_a_slug_always_means_its_own_model() -> None:
    catalog = CATALOG.with_overrides(aliases=[Alias("gpt-4o", "gpt-4o-mini"), Alias("gpt-*", "gpt-4o-mini")])
    assert slug_of(catalog, "gpt-4.o") == "gpt-4o"
    assert catalog.problems == ("the alias gpt-4o is the name of a model",)


def test_an_alias_to_nowhere_is_left_out_and_reported() -> None:
    catalog = CATALOG.with_overrides(aliases=[Alias("mine", "no-such-model"), Alias("ours", "gpt-4o")])
    assert catalog.problems == ("the alias mine leads to no-such-model, which is not in the catalog",)
    assert slug_of(catalog, "ours") == "gpt-4o"
    with pytest.raises(ModelNotFound):
        catalog.resolve("mine")


def test_a_star_in_a_name_is_not_a_pattern() -> None:
    catalog = CATALOG.with_overrides(aliases=[Alias("[a-z]*", "gpt-4o"), Alias("what?", "gpt-4o-mini")])
    with pytest.raises(ModelNotFound):
        catalog.resolve("abc")
    assert slug_of(catalog, "[a-z]bc") == "gpt-4o"
    assert slug_of(catalog, "what1") == "gpt-4o-mini"
    with pytest.raises(ModelNotFound):
        catalog.resolve("what12")


def test_a_pattern_full_of_stars_does_not_hang() -> None:
    catalog = CATALOG.with_overrides(aliases=[Alias("*a" * 40 + "b", "gpt-4o")])
    with pytest.raises(ModelNotFound):
        catalog.resolve("a" * NAME_CHARS_MAX)


def test_an_operators_model_is_added_or_takes_the_place_of_a_shipped_one() -> None:
    own = structs.replace(CATALOG.models["gpt-4o"], slug="house-model", vendor_id="house-model-v1")
    bigger = structs.replace(CATALOG.models["gpt-5-5"], context_window=2_000_000)
    catalog = CATALOG.with_overrides(models=[own, bigger], aliases=[Alias("house", "house-model")])
    assert slug_of(catalog, "house.model") == slug_of(catalog, "house-model-v1") == slug_of(catalog, "house")
    assert catalog.resolve("gpt-5.5").model.context_window == 2_000_000
    assert len(catalog.models) == len(CATALOG.models) + 1
    assert slug_of(catalog, "deepseek-chat") == "deepseek-v4-flash"


def test_overrides_leave_the_first_catalog_as_it_was() -> None:
    CATALOG.with_overrides(aliases=[Alias("mine", "gpt-4o")])
    with pytest.raises(ModelNotFound):
        CATALOG.resolve("mine")

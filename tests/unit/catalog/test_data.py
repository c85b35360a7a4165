"""The shipped catalog: complete, exact, and what the contract says."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bytespike.catalog.load import CatalogDataError, load_aliases, load_models, read_family
from bytespike.catalog.models import CAPABILITIES, TokenRates
from bytespike.catalog.names import bare, is_glob
from bytespike.catalog.usd import micros_of_usd, usd_of_micros

MODELS = {model.slug: model for model in load_models()}

TEXT_NAMES = """
claude-opus-4-8 claude-opus-4-7 claude-opus-4-6 claude-opus-4-5 claude-sonnet-4-6 claude-sonnet-4-5 claude-haiku-4-5
gpt-5-5 gpt-5-5-instant gpt-5-4 gpt-5-4-pro gpt-5-4-mini gpt-5-4-nano gpt-5-3-codex gpt-5-2 gpt-5-mini gpt-5-nano
gpt-4o gpt-4o-mini gemini-3-1-pro gemini-3-5-flash gemini-3-flash gemini-2-5-pro gemini-2-5-flash deepseek-v4-pro
deepseek-v4-flash deepseek-v3-2 deepseek-v3-anthropic kimi-k2-6 kimi-k2-5 glm-5-1 glm-5 minimax-m2-7 minimax-m2-5
doubao-seed-2-0-pro
"""
IMAGE_NAMES = """
seedream-v4 seedream-4-5 seedream-v5lite gpt-image-2 gpt-image-2-official gpt-4o-image nano-banana nano-banana-pro
nano-banana-v2
"""
VIDEO_NAMES = """
sora2 sora2-pro veo3-1 veo3-1-fast seedance-1-5-pro seedance-pro seedance-pro-fast seedance-2 seedance-2-fast
"""

TEXT, IMAGE, VIDEO = (names.split() for names in (TEXT_NAMES, IMAGE_NAMES, VIDEO_NAMES))

# CONTRACT section 10, row by row: USD per million tokens: input, cache write, cache read, output.
PRICES = {
    "claude-haiku-4-5": "1.00 1.25 0.10 5.00",
    "claude-sonnet-4-5 claude-sonnet-4-6": "3.00 3.75 0.30 15.00",
    "claude-opus-4-5 claude-opus-4-6": "15.00 18.75 1.50 75.00",
    "claude-opus-4-7 claude-opus-4-8": "5.00 6.25 0.50 25.00",
    "gpt-4o-mini": "0.15 0.15 0.075 0.60",
    "gpt-4o": "2.50 2.50 1.25 10.00",
    "gpt-5-nano gpt-5-4-nano": "0.05 0.05 0.025 0.40",
    "gpt-5-mini gpt-5-4-mini": "0.25 0.25 0.125 2.00",
    "gpt-5-2 gpt-5-3-codex gpt-5-4": "1.25 1.25 0.625 10.00",
    "gpt-5-4-pro": "3.00 3.00 1.50 15.00",
    "gpt-5-5-instant": "2.50 2.50 1.25 20.00",
    "gpt-5-5": "5.00 5.00 0.50 30.00",
    "gemini-3-flash gemini-3-5-flash gemini-2-5-flash": "0.30 0.30 0.075 2.50",
    "gemini-3-1-pro gemini-2-5-pro": "3.50 3.50 0.875 25.00",
    "deepseek-v3-2 deepseek-v3-anthropic": "0.27 0.27 0.027 1.10",
    "deepseek-v4-flash": "0.20 0.20 0.02 0.80",
    "deepseek-v4-pro": "0.55 0.55 0.055 2.20",
    "kimi-k2-5 kimi-k2-6": "0.60 0.60 0.06 2.50",
    "glm-5 glm-5-1": "0.50 0.50 0.05 1.50",
    "minimax-m2-5 minimax-m2-7": "0.40 0.40 0.04 1.20",
    "doubao-seed-2-0-pro": "0.40 0.40 0.04 1.20",
}
PRICE_ROWS = [(slug, row) for slugs, row in PRICES.items() for slug in slugs.split()]

IMAGE_PRICES = {
    "seedream-v4": [("", 0, "0.024")],
    "seedream-4-5": [("", 0, "0.030")],
    "seedream-v5lite": [("", 0, "0.012")],
    "nano-banana": [("", 0, "0.020")],
    "nano-banana-v2": [("", 0, "0.040")],
    "nano-banana-pro": [("", 0, "0.040"), ("hd", 0, "0.080")],
    "gpt-image-2": [("", 0, "0.030"), ("high", 0, "0.080"), ("high", 2048 * 2048, "0.250")],
    "gpt-4o-image": [("", 0, "0.080")],
}
VIDEO_PRICES = {
    "sora2": "0.30",
    "sora2-pro": "0.45",
    "veo3-1": "0.10",
    "veo3-1-fast": "0.04",
    "seedance-1-5-pro": "0.08",
    "seedance-2": "0.06",
    "seedance-pro": "0.15",
    "seedance-pro-fast": "0.12",
    "seedance-2-fast": "0.03",
}


def exact(usd: str) -> int:
    """Micro-dollars by another way than the code's."""
    micros = Fraction(usd) * 1_000_000
    assert micros.denominator == 1
    return micros.numerator


def test_every_model_of_the_contract_is_there_and_no_other() -> None:
    assert sorted(MODELS) == sorted(TEXT + IMAGE + VIDEO)
    for kind, slugs in (("text", TEXT), ("image", IMAGE), ("video", VIDEO)):
        assert {slug for slug in MODELS if MODELS[slug].kind == kind} == set(slugs)


def test_the_price_table_covers_every_text_model() -> None:
    assert sorted(slug for slug, _ in PRICE_ROWS) == sorted(TEXT)


@pytest.mark.parametrize(("slug", "row"), PRICE_ROWS)
def test_token_prices_are_the_contracts_exactly(slug: str, row: str) -> None:
    rates = MODELS[slug].rates
    assert [rates.input, rates.cache_write_5m, rates.cache_read, rates.output] == list(
        map(exact, row.split())
    )


@pytest.mark.parametrize("slug", TEXT)
def test_an_hour_in_the_cache_costs_claude_twice_the_input_and_others_their_cache_write(slug: str) -> None:
    rates = MODELS[slug].rates
    expected = 2 * rates.input if MODELS[slug].family == "claude" else rates.cache_write_5m
    assert rates.cache_write_1h == expected


@pytest.mark.parametrize("slug", TEXT)
def test_web_search_costs_what_the_contract_says_where_a_model_has_it(slug: str) -> None:
    model = MODELS[slug]
    per_thousand = {"claude": "10", "gpt": "10", "gemini": "35"}.get(model.family, "0")
    assert model.rates.web_search == exact(per_thousand)
    assert ("web_search" in model.capabilities) == (model.rates.web_search > 0)


@pytest.mark.parametrize("slug", IMAGE)
def test_image_prices_are_the_contracts(slug: str) -> None:
    found = [(rate.quality, rate.pixels_min, rate.price) for rate in MODELS[slug].images]
    if slug == "gpt-image-2-official":
        plain = IMAGE_PRICES["gpt-image-2"]
        assert found == [(quality, pixels, exact(usd) * 5 // 4) for quality, pixels, usd in plain]
    else:
        assert found == [(quality, pixels, exact(usd)) for quality, pixels, usd in IMAGE_PRICES[slug]]
    assert {rate.per for rate in MODELS[slug].images} == {"turn" if slug == "gpt-4o-image" else "image"}


@pytest.mark.parametrize("slug", VIDEO)
def test_video_prices_are_the_contracts(slug: str) -> None:
    video = MODELS[slug].video
    assert video is not None
    assert video.submit_fee == exact("0.05")
    assert [(rate.resolution, rate.per_second) for rate in video.seconds] == [("", exact(VIDEO_PRICES[slug]))]


@pytest.mark.parametrize("slug", sorted(MODELS))
def test_a_model_is_described_in_the_closed_vocabulary(slug: str) -> None:
    model = MODELS[slug]
    assert model.capabilities
    assert model.capabilities <= CAPABILITIES.keys()
    assert model.protocols
    assert model.published
    assert ("vision" in model.capabilities) == (model.kind == "text" and "image" in model.input_modalities)
    assert ("documents" in model.capabilities) == ("pdf" in model.input_modalities)
    assert ("audio" in model.capabilities) == ("audio" in model.input_modalities)


@pytest.mark.parametrize("slug", TEXT)
def test_what_is_held_for_an_answer_fits_the_model(slug: str) -> None:
    model = MODELS[slug]
    assert 0 < model.hold_output_tokens <= model.max_output_tokens <= model.context_window


@pytest.mark.parametrize("slug", IMAGE + VIDEO)
def test_image_and_video_models_have_no_token_prices(slug: str) -> None:
    assert MODELS[slug].rates == TokenRates()


def test_names_without_their_separators_are_unique() -> None:
    assert len({bare(slug) for slug in MODELS}) == len(MODELS)


def test_no_vendor_id_is_the_name_of_another_model() -> None:
    slugs = {bare(slug): slug for slug in MODELS}
    clashes = {
        slug: slugs[bare(model.vendor_id)]
        for slug, model in MODELS.items()
        if slugs.get(bare(model.vendor_id), slug) != slug
    }
    # One upstream model at two prices: its name means the plain one.
    assert clashes == {"gpt-image-2-official": "gpt-image-2"}


def test_every_alias_leads_to_a_model_and_shadows_none() -> None:
    aliases, _ = load_aliases()
    assert aliases
    slugs = {bare(slug) for slug in MODELS}
    for alias in aliases:
        assert alias.model in MODELS, alias.pattern
        assert is_glob(alias.pattern) or bare(alias.pattern) not in slugs, alias.pattern
    assert len({alias.pattern for alias in aliases}) == len(aliases)


FAMILY = """
[family]
name = "x"
vendor = "X"
platform = "x"
kind = "text"
protocols = ["openai_chat"]
published = ["openai_chat"]
[[models]]
slug = "x-1"
display_name = "X 1"
created = 2026-01-02
context_window = 10
max_output_tokens = 10
hold_output_tokens = 10
input_modalities = ["text"]
output_modalities = ["text"]
capabilities = ["tools"]
price = { input = "1", output = "2", cache_read = "0.5", cache_write = "1" }
"""


def test_a_family_file_is_read_whole() -> None:
    (model,) = read_family("x.toml", FAMILY)
    assert model.slug == model.vendor_id == "x-1"
    assert model.created == 1_767_312_000  # 2026-01-02T00:00:00Z
    assert model.limits == "assumed"
    assert model.rates == TokenRates(1_000_000, 2_000_000, 500_000, 1_000_000, 1_000_000, 0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('capabilities = ["tools"]', 'capabilities = ["fly"]', "x-1: capabilities: unknown capability fly"),
        ('input_modalities = ["text"]', 'input_modalities = ["smell"]', "unknown modality smell"),
        ('published = ["openai_chat"]', 'published = ["smtp"]', "unknown protocol smtp"),
        ('input = "1"', 'input = "1.0000001"', "a part of a micro-dollar"),
        ('input = "1"', "input = 1.5", "Expected `str`"),
        (
            "hold_output_tokens = 10",
            "hold_output_tokens = 11",
            "hold_output_tokens: expected 1 to max_output_tokens, 10",
        ),
        ('slug = "x-1"', 'slug = "x-1"\ncolour = "red"', "unknown field `colour`"),
        ("price =", "# price =", "has a price"),
        ('kind = "text"', 'kind = "image"', "image price table"),
        ('kind = "text"', 'kind = "video"', "price per second"),
        ("[family]", "[famly]", "family"),
        ('name = "x"', 'name = "x', "x.toml"),
    ],
)
def test_a_wrong_data_file_says_where_it_is_wrong(old: str, new: str, told: str) -> None:
    assert FAMILY.count(old) == 1
    with pytest.raises(CatalogDataError, match=r"x\.toml: ") as caught:
        read_family("x.toml", FAMILY.replace(old, new))
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "1.", ".5", "-1", "1e3", "1,5", " 1", "1_000", "٣", "1.0000005", "NaN"])
def test_only_plain_amounts_are_amounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"USD|micro-dollar"):
        micros_of_usd(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (50_000, "0.05"), (3_750_000, "3.75"), (1, "0.000001"), (37_500, "0.0375")],
)
def test_amounts_are_shown_with_two_decimals_or_as_many_as_needed(micros: int, text: str) -> None:
    assert usd_of_micros(micros) == text
    assert micros_of_usd(text) == micros

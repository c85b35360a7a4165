from __future__ import annotations

import pytest

from bytespike.catalog.definition import (
    ModelDefinition,
    PriceDefinition,
    WrongDefinition,
    build,
    merged,
    read_stored,
    stored,
)
from bytespike.catalog.load import CatalogDataError, load_models, read_family
from bytespike.catalog.models import TokenRates, TokenTier
from bytespike.catalog.tiers import TIERS_MAX, TierDefinition, tiers_of

BASE = TokenRates(1_250_000, 10_000_000, 125_000, 1_250_000, 2_000_000)
SHIPPED = {model.slug: model for model in load_models()}


def test_what_a_tier_does_not_name_costs_what_it_costs_below() -> None:
    tiers = tiers_of(
        [TierDefinition(500_000, cache_write="4"), TierDefinition(200_000, input="2.50", output="15")], BASE
    )
    assert tiers == (
        TokenTier(200_000, 2_500_000, 15_000_000, 125_000, 1_250_000, 2_000_000),
        # One time to live alone means both, as in a price.
        TokenTier(500_000, 2_500_000, 15_000_000, 125_000, 4_000_000, 4_000_000),
    )
    (apart,) = tiers_of([TierDefinition(1, cache_write="4", cache_write_1h="8")], BASE)
    assert (apart.cache_write_5m, apart.cache_write_1h) == (4_000_000, 8_000_000)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([TierDefinition(0, input="1")], "above 1"),
        ([TierDefinition(-5, input="1")], "above 1"),
        ([TierDefinition(10**9, input="1")], "above 1"),
        ([TierDefinition(5, input="1"), TierDefinition(5, input="2")], "another number"),
        ([TierDefinition(5, input="1.0000001")], "micro-dollar"),
        ([TierDefinition(5, input="-1")], "not an amount"),
        ([TierDefinition(5, input="1e3")], "not an amount"),
        ([TierDefinition(each, input="1") for each in range(1, TIERS_MAX + 2)], "more than"),
    ],
)
def test_tiers_that_cannot_be_billed_by_are_refused(definitions: list[TierDefinition], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiers_of(definitions, BASE)


def test_an_operators_model_has_tiers_and_keeps_them_until_they_are_replaced() -> None:
    definition = ModelDefinition(
        "long-one",
        like="gemini-2-5-pro",
        price=PriceDefinition(input="1.25", tiers=(TierDefinition(200_000, input="2.50"),)),
    )
    model = build(read_stored(stored(definition)), SHIPPED, 0)
    assert [(tier.above, tier.input, tier.output) for tier in model.rates.tiers] == [
        (200_000, 2_500_000, model.rates.output)
    ]
    dearer = merged(definition, ModelDefinition("long-one", price=PriceDefinition(output="20")))
    assert build(dearer, SHIPPED, 0).rates.tiers[0].output == 20_000_000
    none = merged(definition, ModelDefinition("long-one", price=PriceDefinition(tiers=())))
    assert build(none, SHIPPED, 0).rates.tiers == ()
    with pytest.raises(WrongDefinition, match="above") as caught:
        build(
            ModelDefinition("x", like="gpt-5-5", price=PriceDefinition(tiers=(TierDefinition(0),))),
            SHIPPED,
            0,
        )
    assert caught.value.field == "price.tiers"


FAMILY = """
[family]
name = "x"
vendor = "X"
platform = "openai"
kind = "text"
protocols = ["openai_chat"]
published = ["openai_chat"]

[[models]]
slug = "x-1"
display_name = "X"
created = 2026-01-01
context_window = 1000
max_output_tokens = 100
hold_output_tokens = 100
capabilities = []
input_modalities = ["text"]
output_modalities = ["text"]
price = { input = "1", output = "2", cache_read = "1", cache_write = "1", tiers = [{ above = %d, input = "2" }] }
"""


def test_a_data_file_may_have_tiers() -> None:
    (model,) = read_family("x.toml", FAMILY % 500)
    assert model.rates.tiers == (TokenTier(500, 2_000_000, 2_000_000, 1_000_000, 1_000_000, 1_000_000),)
    with pytest.raises(CatalogDataError, match=r"x-1.*above"):
        read_family("x.toml", FAMILY % 0)

"""What usage costs: worked examples, and which buckets count."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET, structs

from bytespike.catalog.load import load_models
from bytespike.catalog.models import TokenRates, TokenTier
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.pricing.cost import cost
from bytespike.pricing.defaults import default_price
from bytespike.pricing.estimate import worst_case
from bytespike.pricing.price import ONE_PPM, Price

SONNET = Price(
    input=3_000_000,
    output=15_000_000,
    cache_read=300_000,
    cache_write_5m=3_750_000,
    cache_write_1h=6_000_000,
    web_search=10_000_000,
)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "usd_micros"),
    [
        (NO_USAGE, 0),
        (Usage(input=MILLION), 3_000_000),
        (Usage(output=MILLION), 15_000_000),
        (Usage(cache_read=MILLION), 300_000),
        (Usage(cache_write_5m=MILLION), 3_750_000),
        (Usage(cache_write_1h=MILLION), 6_000_000),
        (Usage(web_searches=1000), 10_000_000),
        (Usage(web_searches=1), 10_000),
        # A turn of an agent: 1,000 x 3 + 20,000 x 0.3 + 500 x 3.75 + 700 x 15 = 21,375 micro-dollars.
        (Usage(input=1_000, cache_read=20_000, cache_write_5m=500, output=700), 21_375),
        (Usage(input=8, output=10), 174),
    ],
)
def test_a_bill_is_the_sum_of_its_buckets(usage: Usage, usd_micros: int) -> None:
    assert cost(usage, SONNET, ONE_PPM) == usd_micros


def test_reasoning_is_a_part_of_the_output_and_not_billed_again() -> None:
    assert cost(Usage(output=100, reasoning=90), SONNET, ONE_PPM) == cost(Usage(output=100), SONNET, ONE_PPM)


def test_the_submit_fee_is_owed_once() -> None:
    assert cost(NO_USAGE, Price(submit_fee=50_000), ONE_PPM) == 50_000
    assert cost(Usage(input=MILLION), Price(input=7, submit_fee=50_000), ONE_PPM) == 50_007


@pytest.mark.parametrize(
    ("multiplier_ppm", "micros"), [(0, 0), (500_000, 1_500), (1_000_000, 3_000), (1_250_000, 3_750), (1, 0)]
)
def test_the_groups_multiplier_applies_to_everything(multiplier_ppm: int, micros: int) -> None:
    assert cost(Usage(input=1_000), SONNET, multiplier_ppm) == micros


@pytest.mark.parametrize(
    ("tokens", "rate", "micros"),
    [
        (1, 499_999, 0),
        (1, 500_000, 1),  # exactly half: up
        (1, 1_500_000, 2),
        (1, 1_499_999, 1),
        (3, 500_000, 2),  # 1.5
    ],
)
def test_half_a_micro_dollar_is_rounded_up(tokens: int, rate: int, micros: int) -> None:
    assert cost(Usage(input=tokens), Price(input=rate), ONE_PPM) == micros


def test_buckets_are_not_rounded_one_by_one() -> None:
    price = Price(input=400_000, output=400_000, cache_read=400_000)
    assert cost(Usage(input=1, output=1, cache_read=1), price, ONE_PPM) == 1  # 3 x 0.4


def test_the_multiplier_comes_before_the_rounding() -> None:
    # 0.4 micro-dollars x 1.25 is a half; rounding first would have given nothing.
    assert cost(Usage(input=1), Price(input=400_000), 1_250_000) == 1


def test_figures_that_a_broken_upstream_made_negative_cost_nothing() -> None:
    assert cost(Usage(input=-5), SONNET, ONE_PPM) == 0


LONG = structs.replace(
    SONNET,
    tiers=(
        TokenTier(200_000, 6_000_000, 22_500_000, 600_000, 7_500_000, 12_000_000),
        TokenTier(500_000, 9_000_000, 30_000_000, 900_000, 9_000_000, 9_000_000),
    ),
)


@pytest.mark.parametrize(
    ("usage", "usd_micros"),
    [
        (Usage(input=200_000), 600_000),  # not above it yet
        (Usage(input=200_001), 1_200_006),  # all of it, not the part above
        (Usage(input=500_000), 3_000_000),
        (Usage(input=500_001), 4_500_009),
        # Cached tokens are prompt tokens: 100,000 x 6 + 100,001 x 0.6 + 1,000 x 22.5.
        (Usage(input=100_000, cache_read=100_001, output=1_000), 600_000 + 60_001 + 22_500),
        (Usage(cache_write_5m=150_000, cache_write_1h=100_000), 1_125_000 + 1_200_000),
        # Output does not make a prompt long.
        (Usage(input=10, output=300_000), 30 + 4_500_000),
        # Searches cost what they cost.
        (Usage(input=200_001, web_searches=1), 1_200_006 + 10_000),
    ],
)
def test_above_so_many_prompt_tokens_all_tokens_cost_the_tiers_rates(usage: Usage, usd_micros: int) -> None:
    assert cost(usage, LONG, ONE_PPM) == usd_micros


def test_what_is_held_for_a_long_prompt_covers_every_tier_that_it_may_reach() -> None:
    assert (
        worst_case(LONG, ONE_PPM, 200_000, 0, 1, False) == 200_000 * 6
    )  # the dearest rate below: an hour's cache
    assert worst_case(LONG, ONE_PPM, 200_001, 0, 1, False) == 200_001 * 12
    assert worst_case(LONG, ONE_PPM, 600_000, 1_000, 1, False) == 600_000 * 12 + 1_000 * 30
    # A search brings more into the prompt.
    assert worst_case(LONG, ONE_PPM, 150_001, 0, 1, True) == 200_001 * 12 + 5 * 10_000


def test_a_price_without_tiers_or_tables_says_nothing_of_them() -> None:
    """Each receipt keeps its price."""
    assert set(msgspec.to_builtins(SONNET)) == set(Price.__struct_fields__) - {"tiers", "images", "seconds"}
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(LONG)), Price) == LONG


def test_the_default_price_has_every_rate_of_the_catalog() -> None:
    """Two structs that must agree: the catalog's rates and a price."""
    own = {"id", "submit_fee", "images", "seconds"}
    assert set(TokenRates.__struct_fields__) == set(Price.__struct_fields__) - own
    for model in load_models():
        price = default_price(model)
        for field, value in structs.asdict(model.rates).items():
            assert getattr(price, field) == (UNSET if value == () else value), (model.slug, field)
        assert price.images == (model.images or UNSET)
        assert price.seconds == (UNSET if model.video is None else model.video.seconds)
        assert price.id == "catalog"
        assert price.submit_fee == (0 if model.video is None else model.video.submit_fee)

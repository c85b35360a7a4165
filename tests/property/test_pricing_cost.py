"""Costs are exact: the same as with fractions, rounded half up once; never negative, never a float."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs

from bytespike.catalog.models import TokenTier
from bytespike.core.usage import Usage
from bytespike.pricing.cost import cost
from bytespike.pricing.estimate import SEARCH_PROMPT_TOKENS, SEARCHES_HELD, worst_case
from bytespike.pricing.price import Price

TOKENS = st.integers(0, 2_000_000)
RATE = st.one_of(st.integers(0, 10), st.integers(0, 200_000_000))
RATES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "web_search")
BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
PRICES = st.fixed_dictionaries({**dict.fromkeys(RATES, RATE), "submit_fee": st.integers(0, 1_000_000)}).map(
    lambda fields: Price(**fields)
)
TIER = st.fixed_dictionaries({"above": st.integers(1, 1_000_000), **dict.fromkeys(RATES[:5], RATE)}).map(
    lambda fields: TokenTier(**fields)
)
TIERS = st.lists(TIER, max_size=3, unique_by=lambda tier: tier.above).map(
    lambda tiers: tuple(sorted(tiers, key=lambda tier: tier.above))
)
#: Such prices, and prices that change with the length of the prompt.
ANY_PRICE = st.one_of(
    PRICES, st.builds(lambda price, tiers: structs.replace(price, tiers=tiers or UNSET), PRICES, TIERS)
)
USAGES = st.fixed_dictionaries({**dict.fromkeys(BUCKETS, TOKENS), "web_searches": st.integers(0, 50)}).map(
    lambda fields: Usage(**fields)
)
MULTIPLIER = st.one_of(st.just(1_000_000), st.integers(0, 10_000_000))


def exactly(usage: Usage, price: Price, multiplier_ppm: int) -> Fraction:
    """The bill as the contract tells it, in micro-dollars."""
    per_token = Fraction(1, 1_000_000)
    prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    reached = [tier for tier in (price.tiers or ()) if prompt > tier.above]
    rates = reached[-1] if reached else price
    before = (
        usage.input * rates.input * per_token
        + usage.cache_read * rates.cache_read * per_token
        + usage.cache_write_5m * rates.cache_write_5m * per_token
        + usage.cache_write_1h * rates.cache_write_1h * per_token
        + usage.output * rates.output * per_token
        + usage.web_searches * price.web_search * Fraction(1, 1_000)
        + price.submit_fee
    )
    return before * Fraction(multiplier_ppm, 1_000_000)


@given(USAGES, ANY_PRICE, MULTIPLIER)
def test_a_cost_is_the_exact_bill_rounded_half_up(usage: Usage, price: Price, multiplier_ppm: int) -> None:
    credits = cost(usage, price, multiplier_ppm)
    assert type(credits) is int
    assert credits >= 0
    assert credits == floor(exactly(usage, price, multiplier_ppm) + Fraction(1, 2))


@given(USAGES, USAGES, PRICES, MULTIPLIER)
def test_a_bill_of_a_sum_is_the_sum_of_bills_within_a_micro_dollar(
    one: Usage, other: Usage, price: Price, multiplier_ppm: int
) -> None:
    price = structs.replace(price, submit_fee=0)
    fields = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "web_searches")
    both = Usage(**{name: getattr(one, name) + getattr(other, name) for name in fields})
    apart = cost(one, price, multiplier_ppm) + cost(other, price, multiplier_ppm)
    assert abs(cost(both, price, multiplier_ppm) - apart) <= 1


@given(
    ANY_PRICE,
    MULTIPLIER,
    st.integers(0, 500_000),
    st.integers(0, 500_000),
    st.integers(1, 8),
    st.booleans(),
    st.data(),
)
def test_no_usage_within_the_estimate_costs_more_than_was_held(
    price: Price,
    multiplier_ppm: int,
    prompt: int,
    output: int,
    candidates: int,
    search: bool,
    data: st.DataObject,
) -> None:
    held = worst_case(price, multiplier_ppm, prompt, output, candidates, search)
    left = prompt + (SEARCH_PROMPT_TOKENS if search else 0)
    buckets: list[int] = []
    for _ in range(4):
        buckets.append(data.draw(st.integers(0, left)))
        left -= buckets[-1]
    usage = Usage(
        input=buckets[0],
        cache_read=buckets[1],
        cache_write_5m=buckets[2],
        cache_write_1h=buckets[3],
        output=data.draw(st.integers(0, output * candidates)),
        web_searches=data.draw(st.integers(0, SEARCHES_HELD)) if search else 0,
    )
    assert type(held) is int
    assert 0 <= cost(usage, price, multiplier_ppm) <= held

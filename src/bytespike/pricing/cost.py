"""Usage x price -> micro-dollars, in integers from end to end.

A rate is micro-dollars per million tokens, a multiplier parts per million. So

    cost = (sum of tokens x rate / 10^6  +  searches x rate / 10^3  +  submit fee) x multiplier / 10^6

is a fraction with the denominator 10^12. Its numerator is summed exactly, and rounded once, at the end, half up.
Rounding each bucket, or before the multiplier, would make the sum of a bill differ from the bill of a sum by a
micro-dollar per bucket. The buckets of a usage are disjoint; `reasoning` is a part of `output` and is not added again.

A price may have tiers: above so many prompt tokens, cached ones among them, all tokens of the request cost the tier's
rates.
"""

from __future__ import annotations

from msgspec import UNSET

from bytespike.core.usage import Usage
from bytespike.pricing.price import ONE_PPM, Price

#: What the numerators below are counted in: 10^-12 micro-dollars.
DENOMINATOR = 10**12
_HALF = DENOMINATOR // 2
#: Micro-dollars and micro-dollars per 1,000 uses, in the unit of tokens x rate.
_PER_FEE = 1_000_000
_PER_SEARCH = 1_000


def nothing(usage: Usage) -> bool:
    """Nobody reported a token."""
    return not (
        usage.input or usage.output or usage.cache_read or usage.cache_write_5m or usage.cache_write_1h
    )


def numerator(usage: Usage, price: Price) -> int:
    """What a usage costs before the multiplier, in 10^-6 micro-dollars."""
    rates = price if price.tiers is UNSET else price.at(usage.prompt_total)
    total = usage.input * rates.input + usage.output * rates.output
    if usage.cache_read:
        total += usage.cache_read * rates.cache_read
    if usage.cache_write_5m:
        total += usage.cache_write_5m * rates.cache_write_5m
    if usage.cache_write_1h:
        total += usage.cache_write_1h * rates.cache_write_1h
    if usage.web_searches:
        total += usage.web_searches * price.web_search * _PER_SEARCH
    if price.submit_fee:
        total += price.submit_fee * _PER_FEE
    return total


def cost(usage: Usage, price: Price, multiplier_ppm: int) -> int:
    """Micro-dollars, rounded half up, never negative. `multiplier_ppm` is the group's, in parts per million.

    Images and seconds of video are not priced here: their price tables are the catalog's.
    """
    total = numerator(usage, price)
    if total <= 0:
        return 0
    if multiplier_ppm == ONE_PPM:
        # The same with smaller numbers, which are cheaper.
        return (total + ONE_PPM // 2) // ONE_PPM
    return (total * multiplier_ppm + _HALF) // DENOMINATOR

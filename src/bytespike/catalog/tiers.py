"""Long-context tiers as people write them: USD as text, above a number of prompt tokens.

What a tier does not name costs what it costs below it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from bytespike.catalog.models import TokenRates, TokenTier
from bytespike.catalog.usd import micros_of_usd

TIERS_MAX = 8
ABOVE_MAX = 100_000_000


class TierDefinition(Struct, frozen=True, forbid_unknown_fields=True):
    """USD per million tokens, for requests of more than `above` prompt tokens."""

    above: int
    input: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    cache_read: str | UnsetType = UNSET
    cache_write: str | UnsetType = UNSET
    cache_write_1h: str | UnsetType = UNSET


def tiers_of(definitions: Iterable[TierDefinition], rates: TokenRates) -> tuple[TokenTier, ...]:
    """The tiers, the shortest first; `rates` hold below them. Raises ValueError."""
    found: list[TokenTier] = []
    for each in sorted(definitions, key=lambda each: each.above):
        below = found[-1] if found else rates
        write = _rate(each.cache_write, below.cache_write_5m)
        # As in a price: who names one time to live alone means both.
        write_1h = below.cache_write_1h if each.cache_write is UNSET else write
        found.append(
            TokenTier(
                above=each.above,
                input=_rate(each.input, below.input),
                output=_rate(each.output, below.output),
                cache_read=_rate(each.cache_read, below.cache_read),
                cache_write_5m=write,
                cache_write_1h=_rate(each.cache_write_1h, write_1h),
            )
        )
    check_tiers(found)
    return tuple(found)


def check_tiers(tiers: Iterable[TokenTier]) -> None:
    """That they are few, each above another number of tokens, the lowest first. Raises ValueError."""
    found = [each.above for each in tiers]
    if len(found) > TIERS_MAX:
        raise ValueError(f"more than {TIERS_MAX} tiers")
    if any(not 0 < above <= ABOVE_MAX for above in found):
        raise ValueError(f"a tier is above 1 to {ABOVE_MAX} prompt tokens")
    if found != sorted(set(found)):
        raise ValueError("each tier is above another number of tokens, the lowest first")


def _rate(text: str | UnsetType, below: int) -> int:
    return below if text is UNSET else micros_of_usd(text)

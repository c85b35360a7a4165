"""A price: integer micro-dollars, per million tokens unless the name says otherwise."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from bytespike.catalog.models import ImageRate, TokenTier, VideoRate

#: A group's multiplier of 1, in parts per million.
ONE_PPM = 1_000_000


class Price(Struct, frozen=True):
    """What one model costs on one channel. Micro-dollars per million tokens for the token rates (so $3.00 per million
    is 3_000_000), micro-dollars per 1,000 uses for `web_search`, per request for `submit_fee`.

    `tiers`: what all tokens of a request with a long prompt cost instead, the lowest first. `images` and `seconds`: what
    image and video models cost. UNSET where a price has none, so that the many receipts of such prices carry nothing.

    `id` names the row that it came from ("catalog" for the default price), and is kept on the usage row.
    """

    id: str = "catalog"
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    web_search: int = 0
    submit_fee: int = 0
    tiers: tuple[TokenTier, ...] | UnsetType = UNSET
    images: tuple[ImageRate, ...] | UnsetType = UNSET
    seconds: tuple[VideoRate, ...] | UnsetType = UNSET

    def at(self, prompt_tokens: int) -> Price | TokenTier:
        """The token rates that hold for a request with so many prompt tokens, cached ones among them."""
        rates: Price | TokenTier = self
        if self.tiers is not UNSET:
            for tier in self.tiers:
                if prompt_tokens > tier.above:
                    rates = tier
        return rates

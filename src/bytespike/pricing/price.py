"""A price: integer micro-dollars, per million tokens unless the name says otherwise."""

from __future__ import annotations

from msgspec import Struct

#: A group's multiplier of 1, in parts per million.
ONE_PPM = 1_000_000


class Price(Struct, frozen=True):
    """What one model costs on one channel. Micro-dollars per million tokens for the token rates (so $3.00 per million
    is 3_000_000), micro-dollars per 1,000 uses for `web_search`, per request for `submit_fee`.

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

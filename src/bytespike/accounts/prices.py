"""Prices that the operator sets: a row for a model, on one channel or on all, from a time on."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.control import Write
from bytespike.accounts.routes import DefaultPrice, PriceList
from bytespike.accounts.rules import CREDITS_MAX, NAME_CHARS_MAX
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.catalog.tiers import check_tiers
from bytespike.errors import InvalidRequest, NotFound
from bytespike.pricing.price import Price
from bytespike.store import channels, prices

#: A price may be set for up to a year ahead, and for the past never: what was billed stays as it was.
AHEAD_US_MAX = 366 * 86_400 * 1_000_000
#: Rows of a table of image or video prices.
TABLE_ROWS_MAX = 64

_RATES = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "web_search",
    "submit_fee",
)
_TIER_RATES = _RATES[:5]


class Rates(Struct, frozen=True):
    """The rates of `pricing.price.Price` that change, in its units; what is UNSET stays as it holds now. An empty tuple
    takes tiers or tables away."""

    input: int | UnsetType = UNSET
    output: int | UnsetType = UNSET
    cache_read: int | UnsetType = UNSET
    cache_write_5m: int | UnsetType = UNSET
    cache_write_1h: int | UnsetType = UNSET
    web_search: int | UnsetType = UNSET
    submit_fee: int | UnsetType = UNSET
    tiers: tuple[TokenTier, ...] | UnsetType = UNSET
    images: tuple[ImageRate, ...] | UnsetType = UNSET
    seconds: tuple[VideoRate, ...] | UnsetType = UNSET


async def set_price(
    write: Write,
    model: str,
    rates: Rates,
    default_price: DefaultPrice,
    *,
    channel_id: str | None = None,
    effective_at: int | None = None,
) -> Price:
    """A new price from `effective_at` on (Unix microseconds; None: now). The row is whole: it does not change when the
    catalog's defaults do.

    Raises: InvalidRequest (a wrong rate, time, or nothing to set), NotFound (the channel).
    """
    at = write.now_us if effective_at is None else effective_at
    changed = {name: rate for name, rate in structs.asdict(rates).items() if rate is not UNSET}
    if not changed:
        raise InvalidRequest("no rate was given")
    before = await current(write.connection, model, default_price, at, channel_id=channel_id)
    whole = structs.replace(
        before or Price(), **{name: rate or _none(name) for name, rate in changed.items()}
    )
    return await put_price(write, model, whole, at, channel_id=channel_id)


async def put_price(
    write: Write, model: str, price: Price, effective_at: int, *, channel_id: str | None = None
) -> Price:
    """This price, whole, from `effective_at` on; it gets an id of its own.

    Raises: InvalidRequest (a wrong rate or time), NotFound (the channel).
    """
    if not write.now_us <= effective_at <= write.now_us + AHEAD_US_MAX:
        raise InvalidRequest("a price begins now, or in the year to come", param="effective_at")
    if channel_id is not None and await channels.get(write.connection, channel_id) is None:
        raise NotFound(f"there is no channel {channel_id!r}")
    check_price(price)
    price_id = await prices.add(
        write.connection,
        channel_id=channel_id,
        model=model,
        rates=stored(price),
        effective_at=effective_at,
        created_at=write.now_us,
    )
    await write.note(
        "prices.set",
        f"price_{price_id}",
        "price",
        ref=model,
        model=model,
        channel_id=channel_id,
        effective_at=effective_at,
        **_noted(price),
    )
    return structs.replace(price, id=f"price_{price_id}")


def stored(price: Price) -> dict[str, object]:
    """A price as a row keeps it: all rates, without the id, and without tables that it does not have."""
    rates = cast("dict[str, object]", msgspec.to_builtins(price))
    del rates["id"]
    return rates


def check_price(price: Price) -> None:
    """That a price can be billed by. Raises `InvalidRequest`, naming the rate."""
    for name in _RATES:
        _check_rate(name, getattr(price, name))
    tiers = () if price.tiers is UNSET else price.tiers
    try:
        check_tiers(tiers)
    except ValueError as error:
        raise InvalidRequest(str(error), param="tiers") from None
    for tier in tiers:
        for name in _TIER_RATES:
            _check_rate(f"tiers.{name}", getattr(tier, name))
    for image in () if price.images is UNSET else price.images:
        _check_rate("images.price", image.price)
        if image.pixels_min < 0 or len(image.quality) > NAME_CHARS_MAX:
            raise InvalidRequest(
                "a row of image prices has a quality and a least number of pixels", param="images"
            )
    for second in () if price.seconds is UNSET else price.seconds:
        _check_rate("seconds.per_second", second.per_second)
        if len(second.resolution) > NAME_CHARS_MAX:
            raise InvalidRequest("a resolution is a word such as 720p", param="seconds")
    for name, rows in (("images", price.images), ("seconds", price.seconds)):
        if rows is not UNSET and len(rows) > TABLE_ROWS_MAX:
            raise InvalidRequest(f"a price table has at most {TABLE_ROWS_MAX} rows", param=name)


def _check_rate(name: str, rate: int) -> None:
    if not 0 <= rate <= CREDITS_MAX:
        raise InvalidRequest(f"{name} is out of range", param=name)


def _none(name: str) -> int | UnsetType:
    """What a rate of nothing is: 0, and for tables no table."""
    return 0 if name in _RATES else UNSET


def _noted(price: Price) -> dict[str, int | str]:
    """A price for the audit log: tables as JSON text."""
    return {
        name: value if isinstance(value, int) else msgspec.json.encode(value).decode()
        for name, value in stored(price).items()
    }


async def current(
    connection: AsyncConnection,
    model: str,
    default_price: DefaultPrice,
    now_us: int,
    *,
    channel_id: str | None = None,
) -> Price | None:
    """The price of a model now, on a channel or on those without their own; None: it has none."""
    rows = await prices.listing(connection, model=model)
    return PriceList(rows, default_price, now_us).find(channel_id, model)

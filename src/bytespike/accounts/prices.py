"""Prices that the operator sets: a row for a model, on one channel or on all, from a time on."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.control import Write
from bytespike.accounts.routes import DefaultPrice, PriceList
from bytespike.accounts.rules import CREDITS_MAX
from bytespike.errors import InvalidRequest, NotFound
from bytespike.pricing.price import Price
from bytespike.store import channels, prices

#: A price may be set for up to a year ahead, and for the past never: what was billed stays as it was.
AHEAD_US_MAX = 366 * 86_400 * 1_000_000


class Rates(Struct, frozen=True):
    """The rates of `pricing.price.Price` that change, in its units; what is UNSET stays as it holds now."""

    input: int | UnsetType = UNSET
    output: int | UnsetType = UNSET
    cache_read: int | UnsetType = UNSET
    cache_write_5m: int | UnsetType = UNSET
    cache_write_1h: int | UnsetType = UNSET
    web_search: int | UnsetType = UNSET
    submit_fee: int | UnsetType = UNSET


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
    if not write.now_us <= at <= write.now_us + AHEAD_US_MAX:
        raise InvalidRequest("a price begins now, or in the year to come", param="effective_at")
    if channel_id is not None and await channels.get(write.connection, channel_id) is None:
        raise NotFound(f"there is no channel {channel_id!r}")
    changed = {name: rate for name, rate in structs.asdict(rates).items() if rate is not UNSET}
    if not changed:
        raise InvalidRequest("no rate was given")
    for name, rate in changed.items():
        if not 0 <= rate <= CREDITS_MAX:
            raise InvalidRequest(f"{name} is out of range", param=name)
    before = await current(write.connection, model, default_price, at, channel_id=channel_id)
    whole = structs.replace(before or Price(), **changed)
    stored = msgspec.convert(
        {name: value for name, value in structs.asdict(whole).items() if name != "id"}, dict[str, int]
    )
    price_id = await prices.add(
        write.connection,
        channel_id=channel_id,
        model=model,
        rates=stored,
        effective_at=at,
        created_at=write.now_us,
    )
    await write.note(
        "prices.set", f"price_{price_id}", "price", ref=model, model=model, channel_id=channel_id, **stored
    )
    return structs.replace(whole, id=f"price_{price_id}")


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

"""All prices that the operator set, out to a file and in from one.

What is read is compared with what is there: a price that holds already at its time, for its channel and model, is left
alone. So a file that is imported again changes nothing, and so does an export. What has begun in the past begins now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import UNSET, Struct, structs

from bytespike.accounts import channels
from bytespike.accounts.control import Write
from bytespike.accounts.prices import current, put_price
from bytespike.accounts.routes import price_of
from bytespike.catalog.models import TokenRates
from bytespike.catalog.resolve import Catalog
from bytespike.catalog.tiers import tiers_of
from bytespike.errors import GatewayError, InvalidRequest
from bytespike.pricing.defaults import default_prices
from bytespike.pricing.price import Price
from bytespike.pricing.price_file import FilePrice, PriceFileError, Written
from bytespike.store import prices
from bytespike.store.prices import PriceRow


class Imported(Struct, frozen=True):
    """Ids of the prices that are new, and how many were there already."""

    added: tuple[str, ...]
    unchanged: int


def written(
    rows: Iterable[PriceRow], names: Mapping[str, str], now_us: int, *, history: bool = False
) -> list[Written]:
    """The prices that hold now and those to come, by model, channel and time; with `history` those of the past too.
    `names`: of channels, by id."""
    found: list[Written] = []
    holding: set[tuple[str, str | None]] = set()
    for row in rows:  # the newest first
        scope = (row.model, row.channel_id)
        if row.effective_at <= now_us:
            if scope in holding and not history:
                continue
            holding.add(scope)
        channel = None if row.channel_id is None else names[row.channel_id]
        found.append(Written(row.model, channel, row.effective_at, price_of(row)))
    # Rows of one time stay in the order in which they were made, for the last one holds.
    found.reverse()
    return sorted(found, key=lambda each: (each.model, each.channel or "", each.begins))


async def import_prices(write: Write, found: Iterable[FilePrice], catalog: Catalog) -> Imported:
    """Set what is not there already, all or nothing. Raises `PriceFileError`, with every problem."""
    added: list[str] = []
    problems: list[str] = []
    unchanged = 0
    for each in await _in_order(write, found, catalog, problems):
        try:
            price_id = await _import(write, each, catalog)
        except GatewayError as error:
            where = each.price.model + (f" on {each.price.channel}" if each.price.channel else "")
            problems.append(f"{where}: {error.param or 'wrong'}: {error.message}")
            continue
        if price_id is None:
            unchanged += 1
        else:
            added.append(price_id)
    if problems:
        raise PriceFileError(tuple(problems))
    return Imported(tuple(added), unchanged)


class _Placed(Struct, frozen=True):
    """A price of the file, and what it means here: a slug, a channel's id, a time that is not over."""

    price: FilePrice
    model: str
    channel_id: str | None
    begins: int


async def _in_order(
    write: Write, found: Iterable[FilePrice], catalog: Catalog, problems: list[str]
) -> list[_Placed]:
    """By time. Of what has begun in the past, only the newest for each channel and model."""
    placed: list[_Placed] = []
    begun: dict[tuple[str, str | None], tuple[int, _Placed]] = {}
    for price in found:
        try:
            model = catalog.resolve(price.model).model.slug
            channel_id = (
                None
                if price.channel is None
                else (await channels.find(write.connection, price.channel)).channel.id
            )
        except GatewayError as error:
            problems.append(f"{price.model}: {error.message}")
            continue
        begins = write.now_us if price.begins is None else price.begins
        one = _Placed(price, model, channel_id, max(begins, write.now_us))
        if begins > write.now_us:
            placed.append(one)
            continue
        before = begun.get((model, channel_id))
        if before is None or before[0] <= begins:
            begun[model, channel_id] = (begins, one)
    placed += [one for _, one in begun.values()]
    # Prices of all channels first: a channel's own takes from them what it does not name.
    return sorted(placed, key=lambda one: (one.begins, one.channel_id or ""))


async def _import(write: Write, placed: _Placed, catalog: Catalog) -> str | None:
    """The new price's id; None: it holds already."""
    default = default_prices(catalog.models)
    before = await current(
        write.connection, placed.model, default, placed.begins, channel_id=placed.channel_id
    )
    whole = _whole(placed.price, before or Price())
    rows = await prices.listing(write.connection, model=placed.model)
    own = next(
        (row for row in rows if row.channel_id == placed.channel_id and row.effective_at <= placed.begins),
        None,
    )
    if own is not None and structs.replace(price_of(own), id="") == structs.replace(whole, id=""):
        return None
    made = await put_price(write, placed.model, whole, placed.begins, channel_id=placed.channel_id)
    return made.id


def _whole(price: FilePrice, before: Price) -> Price:
    """Raises `InvalidRequest`."""
    whole = structs.replace(before, **price.rates)
    if price.images is not UNSET:
        whole = structs.replace(whole, images=price.images or UNSET)
    if price.seconds is not UNSET:
        whole = structs.replace(whole, seconds=price.seconds or UNSET)
    if price.tiers is UNSET:
        return whole
    below = TokenRates(
        input=whole.input,
        output=whole.output,
        cache_read=whole.cache_read,
        cache_write_5m=whole.cache_write_5m,
        cache_write_1h=whole.cache_write_1h,
    )
    try:
        return structs.replace(whole, tiers=tiers_of(price.tiers, below) or UNSET)
    except ValueError as error:
        raise InvalidRequest(str(error), param="tiers") from None

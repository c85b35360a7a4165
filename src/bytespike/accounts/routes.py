"""The snapshot that routing looks at, read from the database whole.

Prices: of the rows whose time has come, the newest for the channel and the model; else the newest for the model on any
channel; else the catalog's default. A model on a channel without any of these is left out: it could not be billed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec
import structlog
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.models import alias_of, built
from bytespike.accounts.records import Channel, ChannelModel, Group, Routes
from bytespike.accounts.secrets import Place, SecretBox, SecretUnreadable
from bytespike.catalog.models import Model
from bytespike.pricing.defaults import default_prices
from bytespike.pricing.price import Price
from bytespike.providers.endpoint import ChannelUnusable, endpoints
from bytespike.store import aliases, channels, groups, models, prices

log = structlog.get_logger("bytespike.accounts")

DefaultPrice: TypeAlias = Callable[[str], Price | None]

_NO_ROUTES = Routes(groups={}, channels={}, by_group_model={})


class Snapshot(Struct, frozen=True):
    """`next_price_at`: when the next price that is known already comes into force; None: no such price."""

    routes: Routes = _NO_ROUTES
    next_price_at: int | None = None


class PriceList:
    """Which price holds now."""

    __slots__ = ("_any_channel", "_default", "_own", "next_at", "updated_at")

    def __init__(self, rows: Iterable[prices.PriceRow], default: DefaultPrice, now_us: int) -> None:
        """`rows` as `store.prices.listing` orders them: the newest first."""
        self._default = default
        self._own: dict[tuple[str, str], Price] = {}
        self._any_channel: dict[str, Price] = {}
        self.next_at: int | None = None
        self.updated_at = 0
        for row in rows:
            if row.effective_at > now_us:
                self.next_at = min(row.effective_at, self.next_at or row.effective_at)
                continue
            self.updated_at = max(self.updated_at, row.effective_at)
            if row.channel_id is None:
                self._any_channel.setdefault(row.model, price_of(row))
            else:
                self._own.setdefault((row.channel_id, row.model), price_of(row))

    def find(self, channel_id: str | None, model: str) -> Price | None:
        """The price of a model on a channel, or (None) on a channel that has no price of its own."""
        own = self._own.get((channel_id, model)) if channel_id is not None else None
        return own or self._any_channel.get(model) or self._default(model)


def price_of(row: prices.PriceRow) -> Price:
    """A stored price; its id names the row. Rates that it does not have are 0."""
    return structs.replace(msgspec.convert(row.rates, Price), id=f"price_{row.id}")


async def read_routes(
    connection: AsyncConnection,
    box: SecretBox,
    default_price: DefaultPrice,
    now_us: int,
    shipped: Mapping[str, Model],
) -> Snapshot:
    """Everything that routing needs, of one database snapshot. `shipped`: the package's models, which the operator's
    build on; `default_price` is of those."""
    own, problems = built(await models.listing(connection), shipped)
    own_price = default_prices({model.slug: model for model in own})

    def default(slug: str) -> Price | None:
        return own_price(slug) or default_price(slug)

    price_list = PriceList(await prices.listing(connection), default, now_us)
    group_rows = await groups.listing(connection)
    found = await _read_channels(connection, box, price_list)
    routes = Routes(
        groups={
            row.id: Group(row.id, row.name, row.multiplier_ppm, row.exclusive, row.status)
            for row in group_rows
        },
        channels=found,
        by_group_model=_by_group_model(found),
        models=own,
        aliases=tuple(alias_of(row) for row in await aliases.listing(connection)),
        problems=problems,
        prices_updated_at=price_list.updated_at,
    )
    return Snapshot(routes, price_list.next_at)


async def _read_channels(
    connection: AsyncConnection, box: SecretBox, price_list: PriceList
) -> dict[str, Channel]:
    served: defaultdict[str, dict[str, ChannelModel]] = defaultdict(dict)
    for each in await channels.served(connection):
        price = price_list.find(each.channel_id, each.model)
        if price is None:
            log.warning("no price, so it is not served there", channel=each.channel_id, model=each.model)
            continue
        served[each.channel_id][each.model] = ChannelModel(each.model, each.upstream_model, price)
    members: defaultdict[str, set[int]] = defaultdict(set)
    for membership in await channels.memberships(connection):
        members[membership.channel_id].add(membership.group_id)
    secrets = {sealed.id: sealed for sealed in await channels.all_sealed(connection)}
    found: dict[str, Channel] = {}
    for row in await channels.listing(connection):
        try:
            credential, proxy = open_channel(box, secrets[row.id])
        except SecretUnreadable as error:
            # One damaged channel must not take the others down with it.
            log.error("a channel is left out", channel=row.name, reason=str(error))
            continue
        channel = Channel(
            id=row.id,
            name=row.name,
            platform=row.platform,
            base_urls=row.base_urls,
            credential=credential,
            models=served[row.id],
            group_ids=frozenset(members[row.id]),
            priority=row.priority,
            weight=row.weight,
            region=row.region,
            rpm=row.rpm,
            tpm=row.tpm,
            enabled=row.enabled,
            proxy=proxy,
            headers=row.headers,
            timeouts=row.timeouts,
        )
        try:
            found[row.id] = structs.replace(channel, endpoints=endpoints(channel))
        except ChannelUnusable as error:
            log.error("a channel is left out", channel=row.name, reason=str(error))
    return found


def open_channel(box: SecretBox, sealed: channels.Sealed) -> tuple[str, str | None]:
    """A channel's credential and proxy URL in the clear. Raises `SecretUnreadable`."""
    credential = box.open(sealed.credential, channel_place(sealed.id, "credential"))
    proxy = None if sealed.proxy is None else box.open(sealed.proxy, channel_place(sealed.id, "proxy"))
    return credential, proxy


def channel_place(channel_id: str, column: str) -> Place:
    """Where a channel's secret lives; `column` is "credential" or "proxy"."""
    return Place("channels", column, channel_id)


def _by_group_model(found: Mapping[str, Channel]) -> dict[int, dict[str, tuple[Channel, ...]]]:
    """The enabled channels by group and model, in the order of `found`: by priority."""
    lists: defaultdict[int, defaultdict[str, list[Channel]]] = defaultdict(lambda: defaultdict(list))
    for channel in found.values():
        if channel.enabled:
            for group_id in channel.group_ids:
                for slug in channel.models:
                    lists[group_id][slug].append(channel)
    return {
        group_id: {slug: tuple(serving) for slug, serving in models.items()}
        for group_id, models in lists.items()
    }

"""Keys, groups and channels as the data plane sees them: frozen snapshots of rows, with secrets already opened."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from msgspec import Struct

from bytespike.catalog.load import Alias
from bytespike.catalog.models import Model
from bytespike.pricing.price import Price
from bytespike.providers.endpoint import Endpoint

Network: TypeAlias = IPv4Network | IPv6Network

#: Requests in flight per account, by tier (CONTRACT section 3). Enterprise is as set on the user.
TIER_CONCURRENCY: Mapping[str, int] = {"free": 5, "pro": 25, "max": 100, "enterprise": 1000}


class ModelCap(Struct, frozen=True):
    """What may be spent on one model ("": whatever the model): `amount` micro-dollars in a `span`, "lifetime", "5h", "1d"
    or "7d"."""

    model: str
    span: str
    amount: int


class KeyRecord(Struct, frozen=True):
    """A key and what stands above it. Money in micro-dollars, 0 is unlimited; times in Unix microseconds.

    `account_id` is the wallet that pays: the org's when `org_id` is set, else the user's. `caps`: on single models.
    `member_caps`: on all that its user spends with his keys of the org. `spent` is what the key had posted when the record
    was read: the ledger keeps the live figure.
    """

    id: str
    name: str
    user_id: str
    org_id: str | None
    account_id: str
    group_id: int
    quota: int = 0
    limit_5h: int = 0
    limit_1d: int = 0
    limit_7d: int = 0
    spent: int = 0
    status: str = "active"
    owner_status: str = "active"  # the user's: active | disabled
    org_status: str = "active"  # active | paused
    expires_at: int | None = None
    ip_whitelist: tuple[Network, ...] = ()
    ip_blacklist: tuple[Network, ...] = ()
    allowed_models: frozenset[str] | None = None
    caps: tuple[ModelCap, ...] = ()
    member_caps: tuple[ModelCap, ...] = ()
    concurrency: int = 5
    rpm: int | None = None


class Group(Struct, frozen=True):
    id: int
    name: str
    multiplier_ppm: int = 1_000_000
    exclusive: bool = False
    status: str = "active"


class ChannelModel(Struct, frozen=True):
    """A model on a channel: the upstream's own name for it, and the price there."""

    slug: str
    upstream_model: str
    price: Price


class Channel(Struct, frozen=True):
    """One upstream account. `base_urls` by dialect name; `credential` and `proxy` are secrets in the clear, so this
    struct is never logged (its repr hides them). `endpoints` by dialect, rendered with the snapshot."""

    id: str
    name: str
    platform: str
    base_urls: Mapping[str, str]
    credential: str
    models: Mapping[str, ChannelModel]
    group_ids: frozenset[int]
    priority: int = 0
    weight: int = 1
    region: str = ""
    rpm: int | None = None
    tpm: int | None = None
    enabled: bool = True
    proxy: str | None = None
    headers: Mapping[str, str] = {}
    timeouts: Mapping[str, float] = {}
    endpoints: Mapping[str, Endpoint] = {}

    def __repr__(self) -> str:
        return f"Channel(id={self.id!r}, name={self.name!r}, platform={self.platform!r})"


class Routes(Struct, frozen=True):
    """Everything that routing looks at, in one immutable snapshot, replaced whole when something changes.

    `by_group_model[group_id][slug]`: the enabled channels of that group that serve the model. `models` and `aliases`: the
    operator's; `problems`: what of his had to be left out, a sentence each. `prices_updated_at`: Unix microseconds since which the newest of his prices holds, 0: none.
    """

    groups: Mapping[int, Group]
    channels: Mapping[str, Channel]
    by_group_model: Mapping[int, Mapping[str, tuple[Channel, ...]]]
    models: tuple[Model, ...] = ()
    aliases: tuple[Alias, ...] = ()
    problems: tuple[str, ...] = ()
    prices_updated_at: int = 0

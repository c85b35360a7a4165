"""The shapes in which resources are shown: by the management API, and by the command line's `--json`.

Amounts are USD as text ("12.50"), with at least two decimals and as many as needed; a limit of "0.00" is no limit.
Times are as `http/moments.py` writes them. Secrets are in none of these but `NewKeyView`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from bytespike.accounts.channels import ChannelView as StoredChannel
from bytespike.accounts.groups import format_multiplier
from bytespike.accounts.keys import MintedKey
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.pricing.price import Price
from bytespike.store.aliases import AliasRow
from bytespike.store.audit import AuditRow
from bytespike.store.groups import GroupRow
from bytespike.store.keys import KeyRow
from bytespike.store.orgs import OrgRow
from bytespike.store.users import UserRow

T = TypeVar("T")


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(View, Generic[T]):
    """One page of a list. `total` counts all pages."""

    items: list[T]
    total: int
    page: int
    page_size: int


class UserView(View):
    id: str
    email: str
    role: str
    tier: str
    concurrency: int | None
    rpm: int | None
    status: str
    created_at: str

    @classmethod
    def of(cls, row: UserRow) -> UserView:
        return cls(
            id=row.id,
            email=row.email,
            role=row.role,
            tier=row.tier,
            concurrency=row.concurrency,
            rpm=row.rpm,
            status=row.status,
            created_at=moment(row.created_at),
        )


class OrgView(View):
    id: str
    name: str
    status: str
    created_at: str

    @classmethod
    def of(cls, row: OrgRow) -> OrgView:
        return cls(id=row.id, name=row.name, status=row.status, created_at=moment(row.created_at))


class GroupView(View):
    """`multiplier` as text: "1", "1.25"."""

    id: int
    name: str
    multiplier: str
    exclusive: bool
    status: str
    created_at: str

    @classmethod
    def of(cls, row: GroupRow) -> GroupView:
        return cls(
            id=row.id,
            name=row.name,
            multiplier=format_multiplier(row.multiplier_ppm),
            exclusive=row.exclusive,
            status=row.status,
            created_at=moment(row.created_at),
        )


class KeyView(View):
    """`masked`: "sk-byts-…****1234"."""

    id: str
    name: str
    masked: str
    user_id: str
    org_id: str | None
    group_id: int
    status: str
    quota: str
    spent: str
    rate_limit_5h: str
    rate_limit_1d: str
    rate_limit_7d: str
    ip_whitelist: list[str]
    ip_blacklist: list[str]
    allowed_models: list[str] | None
    expires_at: str | None
    created_at: str

    @classmethod
    def of(cls, row: KeyRow) -> KeyView:
        return cls(
            id=row.id,
            name=row.name,
            masked=row.masked,
            user_id=row.user_id,
            org_id=row.org_id,
            group_id=row.group_id,
            status=row.status,
            quota=format_usd(row.quota),
            spent=format_usd(row.spent),
            rate_limit_5h=format_usd(row.limit_5h),
            rate_limit_1d=format_usd(row.limit_1d),
            rate_limit_7d=format_usd(row.limit_7d),
            ip_whitelist=list(row.ip_whitelist),
            ip_blacklist=list(row.ip_blacklist),
            allowed_models=None if row.allowed_models is None else list(row.allowed_models),
            expires_at=None if row.expires_at is None else moment(row.expires_at),
            created_at=moment(row.created_at),
        )


class NewKeyView(KeyView):
    """A key with its plaintext: the answer to create, rotate and reveal, and nothing else."""

    key: str

    @classmethod
    def minted(cls, minted: MintedKey) -> NewKeyView:
        return cls.model_validate({**KeyView.of(minted.row).model_dump(), "key": minted.plaintext})


class ChannelView(View):
    """A channel without its credential and proxy. `base_urls`: those that differ from the platform's own."""

    id: str
    name: str
    platform: str
    base_urls: dict[str, str]
    models: dict[str, str]
    group_ids: list[int]
    priority: int
    weight: int
    region: str
    rpm: int | None
    tpm: int | None
    enabled: bool
    disabled_reason: str | None
    headers: list[str]
    timeouts: dict[str, float]
    created_at: str

    @classmethod
    def of(cls, stored: StoredChannel) -> ChannelView:
        row = stored.channel
        return cls(
            id=row.id,
            name=row.name,
            platform=row.platform,
            base_urls=row.base_urls,
            models=dict(stored.models),
            group_ids=list(stored.group_ids),
            priority=row.priority,
            weight=row.weight,
            region=row.region,
            rpm=row.rpm,
            tpm=row.tpm,
            enabled=row.enabled,
            disabled_reason=row.disabled_reason,
            # Their values may be secrets too.
            headers=sorted(row.headers),
            timeouts=row.timeouts,
            created_at=moment(row.created_at),
        )


class TierView(View):
    """What all tokens cost, USD per million, when the prompt has more than `above`."""

    above: int
    input: str
    output: str
    cache_read: str
    cache_write_5m: str
    cache_write_1h: str

    @classmethod
    def of(cls, tier: TokenTier) -> TierView:
        return cls(
            above=tier.above,
            input=format_usd(tier.input),
            output=format_usd(tier.output),
            cache_read=format_usd(tier.cache_read),
            cache_write_5m=format_usd(tier.cache_write_5m),
            cache_write_1h=format_usd(tier.cache_write_1h),
        )


class ImagePriceView(View):
    """USD for an image, or a chat turn (`per`), of a quality (null is any) from so many pixels on."""

    price: str
    quality: str | None
    pixels_min: int
    per: str

    @classmethod
    def of(cls, rate: ImageRate) -> ImagePriceView:
        return cls(
            price=format_usd(rate.price),
            quality=rate.quality or None,
            pixels_min=rate.pixels_min,
            per=rate.per,
        )


class SecondPriceView(View):
    """USD for a second of video at a resolution (null is any)."""

    price: str
    resolution: str | None

    @classmethod
    def of(cls, rate: VideoRate) -> SecondPriceView:
        return cls(price=format_usd(rate.per_second), resolution=rate.resolution or None)


class PriceView(View):
    """USD per million tokens; per 1,000 uses for `web_search`, per request for `submit_fee`. `tiers`: for long prompts."""

    id: str
    input: str
    output: str
    cache_read: str
    cache_write_5m: str
    cache_write_1h: str
    web_search: str
    submit_fee: str
    tiers: list[TierView]
    images: list[ImagePriceView]
    seconds: list[SecondPriceView]

    @classmethod
    def of(cls, price: Price) -> PriceView:
        return cls(
            id=price.id,
            input=format_usd(price.input),
            output=format_usd(price.output),
            cache_read=format_usd(price.cache_read),
            cache_write_5m=format_usd(price.cache_write_5m),
            cache_write_1h=format_usd(price.cache_write_1h),
            web_search=format_usd(price.web_search),
            submit_fee=format_usd(price.submit_fee),
            tiers=[TierView.of(tier) for tier in price.tiers or ()],
            images=[ImagePriceView.of(rate) for rate in price.images or ()],
            seconds=[SecondPriceView.of(rate) for rate in price.seconds or ()],
        )


class AliasView(View):
    """`source`: who says so, a command or the catalog file."""

    pattern: str
    model: str
    substitute: bool
    thinking: bool
    source: str
    created_at: str

    @classmethod
    def of(cls, row: AliasRow) -> AliasView:
        return cls(
            pattern=row.pattern,
            model=row.model,
            substitute=row.substitute,
            thinking=row.thinking,
            source=row.source,
            created_at=moment(row.created_at),
        )


class AuditView(View):
    at: str
    actor: str
    action: str
    target: str
    detail: Mapping[str, str | int | bool | None]

    @classmethod
    def of(cls, row: AuditRow) -> AuditView:
        return cls(
            at=moment(row.at), actor=row.actor, action=row.action, target=row.target, detail=row.detail
        )

"""GET /v1/usage and /v1/balance: what this key has used, and what is left. Free."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qs

from bytespike.accounts.records import KeyRecord
from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.inbound.exchange import Exchange
from bytespike.http.inbound.gateway import Handler
from bytespike.http.inbound.head import secret_of
from bytespike.http.inbound.request import Inbound
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.usage_queries import PAGE_MAX, UsageFilter, UsagePage, UsageRow
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.wire.json import encode

PAGE_SIZE = 50
#: Pages that are looked up: beyond, narrow the time.
PAGE_NUMBER_MAX = 10_000


class Lookup(Protocol):
    """Reads a page of receipts, the newest first."""

    def __call__(self, wanted: UsageFilter, *, limit: int, offset: int) -> Awaitable[UsagePage]: ...


def usage(parts: Parts, lookup: Lookup) -> Handler:
    """`?page=&page_size=&model=&request_id=&since=&until=`; times are Unix seconds or ISO 8601."""

    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key = await _caller(parts, inbound, exchange)
        query = {name: values[-1] for name, values in parse_qs(inbound.query.decode("latin-1")).items()}
        page = _number(query, "page", 1, PAGE_NUMBER_MAX)
        size = _number(query, "page_size", PAGE_SIZE, PAGE_MAX)
        model = query.get("model")
        found = await lookup(
            UsageFilter(
                key_id=key.id,
                user_id=key.user_id,
                model=None if model is None else parts.catalog.current.resolve(model).model.slug,
                request_id=query.get("request_id"),
                since=_moment(query, "since"),
                until=_moment(query, "until"),
            ),
            limit=size,
            offset=(page - 1) * size,
        )
        items: list[JSON] = [usage_row(row) for row in found.items]
        body: JSONObject = {
            "object": "list",
            "items": items,
            "total": found.total,
            "total_is_exact": found.total_is_exact,
            "page": page,
            "page_size": size,
        }
        exchange.respond(encode(body), ())

    return handler


def balance(parts: Parts) -> Handler:
    async def handler(inbound: Inbound, exchange: Exchange) -> None:
        key = await _caller(parts, inbound, exchange)
        account = parts.ledger.account(key) or await parts.ledger.open(key)
        standing = parts.ledger.standing(account)
        window = standing.window
        body: JSONObject = {
            "object": "balance",
            "currency": "USD",
            "balance": format_usd(account.wallet.balance - account.wallet.undrained),
            "held": format_usd(account.wallet.held),
            "key": {
                "id": key.id,
                "name": key.name,
                "quota": format_usd(key.quota) if key.quota else None,
                "quota_remaining": format_usd(standing.quota_remaining),
            },
            "window": None
            if window is None
            else {
                "name": window.name,
                "limit": format_usd(window.limit),
                "remaining": format_usd(window.remaining),
                "reset": window.reset,
            },
        }
        exchange.respond(encode(body), ())

    return handler


async def _caller(parts: Parts, inbound: Inbound, exchange: Exchange) -> KeyRecord:
    key, account = await authenticate(parts, secret_of(inbound.headers, inbound.query), inbound.client_ip)
    exchange.identified(account)
    return key


def usage_row(row: UsageRow) -> JSONObject:
    """One receipt. Credits are USD as text."""
    price: JSONObject = {
        "id": row.price.id,
        "input": format_usd(row.price.input),
        "output": format_usd(row.price.output),
        "cache_read": format_usd(row.price.cache_read),
        "cache_write_5m": format_usd(row.price.cache_write_5m),
        "cache_write_1h": format_usd(row.price.cache_write_1h),
        "web_search": format_usd(row.price.web_search),
        "submit_fee": format_usd(row.price.submit_fee),
        "tiers": [_tier(tier) for tier in row.price.tiers or ()],
        "images": [_image(rate) for rate in row.price.images or ()],
        "seconds": [_second(rate) for rate in row.price.seconds or ()],
    }
    notices: list[JSON] = list(row.notices)
    return {
        "request_id": row.request_id,
        "at": moment(row.at),
        "api_key_id": row.key_id,
        "model": row.model,
        "requested_model": row.requested_model,
        "upstream_provider": row.upstream_provider,
        "protocol": row.protocol,
        "upstream_protocol": row.upstream_protocol,
        "stream": row.stream,
        "input_tokens": row.input_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_5m_tokens": row.cache_write_5m_tokens,
        "cache_write_1h_tokens": row.cache_write_1h_tokens,
        "output_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "web_searches": row.web_searches,
        "images": row.images,
        "seconds": row.seconds,
        "credits": format_usd(row.credits),
        "price_per_million": price,
        "multiplier_ppm": row.multiplier_ppm,
        "estimated": row.estimated,
        "end_reason": row.end_reason,
        "notices": notices,
        "latency_ms": row.latency_ms,
        "first_token_ms": row.first_token_ms,
    }


def _tier(tier: TokenTier) -> JSONObject:
    """What all tokens cost when the prompt has more than `above`."""
    return {
        "above": tier.above,
        "input": format_usd(tier.input),
        "output": format_usd(tier.output),
        "cache_read": format_usd(tier.cache_read),
        "cache_write_5m": format_usd(tier.cache_write_5m),
        "cache_write_1h": format_usd(tier.cache_write_1h),
    }


def _image(rate: ImageRate) -> JSONObject:
    """What an image costs, or a turn; a `quality` of null is any."""
    return {
        "price": format_usd(rate.price),
        "quality": rate.quality or None,
        "pixels_min": rate.pixels_min,
        "per": rate.per,
    }


def _second(rate: VideoRate) -> JSONObject:
    """What a second of video costs; a `resolution` of null is any."""
    return {"price": format_usd(rate.per_second), "resolution": rate.resolution or None}


def _number(query: dict[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most:
        raise InvalidRequest(f"{name}: a number from 1 to {most}", param=name)
    return int(text)


def _moment(query: dict[str, str], name: str) -> int | None:
    """Unix microseconds."""
    text = query.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text) * 1_000_000
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{name}: Unix seconds, or a time in ISO 8601", param=name) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return int(parsed.timestamp()) * 1_000_000

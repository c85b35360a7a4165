"""Receipts as they are shown: an object each, or a line each of a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol, TypeAlias

from bytespike.catalog.models import ImageRate, TokenTier, VideoRate
from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.moments import moment
from bytespike.http.spreadsheet import csv_lines
from bytespike.ledger import usage_queries
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.usage_queries import UsageFilter, UsagePage, UsageRow
from bytespike.wire.json import encode

#: What the file is called.
FILE = "usage"
#: A receipt in one line: its rates have columns of their own.
COLUMNS = (
    "request_id",
    "at",
    "api_key_id",
    "model",
    "requested_model",
    "upstream_provider",
    "protocol",
    "upstream_protocol",
    "stream",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "web_searches",
    "images",
    "seconds",
    "credits",
    "price_id",
    "price_input",
    "price_output",
    "price_cache_read",
    "price_cache_write_5m",
    "price_cache_write_1h",
    "price_web_search",
    "price_submit_fee",
    "price_tiers",
    "price_images",
    "price_seconds",
    "multiplier_ppm",
    "estimated",
    "end_reason",
    "notices",
    "latency_ms",
    "first_token_ms",
)
#: What of a price is a table: a cell has it as JSON.
_TABLES = ("tiers", "images", "seconds")


class Lookup(Protocol):
    """Reads a page of receipts, the newest first."""

    def __call__(self, wanted: UsageFilter, *, limit: int, offset: int) -> Awaitable[UsagePage]: ...


#: Reads all of them, the newest first, in pieces.
Every: TypeAlias = Callable[[UsageFilter], AsyncGenerator[list[UsageRow]]]


async def refuse_too_many(lookup: Lookup, wanted: UsageFilter) -> None:
    """A file has all that match, or is not begun. Raises InvalidRequest."""
    counted = await lookup(wanted, limit=1, offset=0)
    most = usage_queries.COUNT_MAX
    if not counted.total_is_exact or counted.total > most:
        raise InvalidRequest(f"more than {most} receipts: ask for a shorter time", param="since")


async def receipt_lines(every: Every, wanted: UsageFilter) -> AsyncGenerator[str]:
    """CSV: a line of column names, and a line for each receipt, in pieces."""
    yield csv_lines([COLUMNS])
    async with aclosing(every(wanted)) as pieces:
        async for found in pieces:
            yield csv_lines([row.get(column) for column in COLUMNS] for row in map(flat, found))


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


def flat(row: UsageRow) -> JSONObject:
    """A receipt with its rates beside the rest."""
    shown = usage_row(row)
    price = shown.pop("price_per_million")
    assert isinstance(price, dict), "a receipt has rates"
    tables = {f"price_{name}": price.pop(name) for name in _TABLES}
    rates = {f"price_{name}": value for name, value in price.items()}
    # Most prices have none of them.
    return shown | rates | {name: encode(rows).decode() if rows else None for name, rows in tables.items()}

"""GET /usage: a row per billed request of the caller's keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from bytespike.core.json_types import JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.inbound.wallet import usage_row
from bytespike.http.management.deps import CallerParam, Deps, DepsParam, PagingParam
from bytespike.http.management.money_views import ReceiptsView, answers
from bytespike.http.management.pages import page_response
from bytespike.http.management.period import Moment, micros
from bytespike.http.management.spreadsheet import FormatParam, csv_response
from bytespike.ledger import usage_queries
from bytespike.ledger.usage_queries import UsageFilter, UsageRow, every_usage, list_usage
from bytespike.wire.json import encode

router = APIRouter(tags=["usage"])

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


@router.get("/usage", response_model=None, responses=answers(ReceiptsView))
async def rows(
    caller: CallerParam,
    deps: DepsParam,
    paging: PagingParam,
    format: FormatParam,
    api_key_id: Annotated[str | None, Query(max_length=100)] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    request_id: Annotated[str | None, Query(max_length=100)] = None,
    since: Moment = None,
    until: Moment = None,
) -> Response:
    """The newest first. `since` is included, `until` is not. As CSV: all that match, not a page."""
    wanted = UsageFilter(
        key_id=api_key_id,
        user_id=caller.user.id,
        model=None if model is None else deps.parts.catalog.current.resolve(model).model.slug,
        request_id=request_id,
        since=micros(since),
        until=micros(until),
    )
    if format == "csv":
        return await _as_csv(deps, wanted)
    found = await list_usage(deps.control.engine, wanted, limit=paging.page_size, offset=paging.offset)
    items = [usage_row(row) for row in found.items]
    return page_response(items, found.total, paging, total_is_exact=found.total_is_exact)


async def _as_csv(deps: Deps, wanted: UsageFilter) -> Response:
    counted = await list_usage(deps.control.engine, wanted, limit=1)
    if not counted.total_is_exact or counted.total > usage_queries.COUNT_MAX:
        most = usage_queries.COUNT_MAX
        raise InvalidRequest(f"more than {most} receipts: ask for a shorter time", param="since")

    async def pieces() -> AsyncIterator[list[JSONObject]]:
        async for found in every_usage(deps.control.engine, wanted):
            yield [flat(row) for row in found]

    return csv_response("usage", COLUMNS, pieces())


def flat(row: UsageRow) -> JSONObject:
    """A receipt with its rates beside the rest."""
    shown = usage_row(row)
    price = shown.pop("price_per_million")
    assert isinstance(price, dict), "a receipt has rates"
    tables = {f"price_{name}": price.pop(name) for name in _TABLES}
    rates = {f"price_{name}": value for name, value in price.items()}
    # Most prices have none of them.
    return shown | rates | {name: encode(rows).decode() if rows else None for name, rows in tables.items()}

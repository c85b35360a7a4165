"""GET /usage: a row per billed request of the caller's keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from bytespike.core.json_types import JSONObject
from bytespike.http.inbound.wallet import usage_row
from bytespike.http.management.deps import CallerParam, DepsParam, PagingParam
from bytespike.ledger.usage_queries import UsageFilter, list_usage

router = APIRouter(tags=["usage"])


@router.get("/usage", response_model=None)
async def rows(
    caller: CallerParam,
    deps: DepsParam,
    paging: PagingParam,
    api_key_id: Annotated[str | None, Query(max_length=100)] = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    request_id: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[datetime | None, Query()] = None,
    until: Annotated[datetime | None, Query()] = None,
) -> JSONObject:
    """The newest first. `since` is included, `until` is not; without a zone they are UTC."""
    wanted = UsageFilter(
        key_id=api_key_id,
        user_id=caller.user.id,
        model=None if model is None else deps.parts.catalog.current.resolve(model).model.slug,
        request_id=request_id,
        since=_micros(since),
        until=_micros(until),
    )
    found = await list_usage(deps.control.engine, wanted, limit=paging.page_size, offset=paging.offset)
    return {
        "items": [usage_row(row) for row in found.items],
        "total": found.total,
        "total_is_exact": found.total_is_exact,
        "page": paging.page,
        "page_size": paging.page_size,
    }


def _micros(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond

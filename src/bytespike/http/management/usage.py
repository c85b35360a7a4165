"""GET /usage: a row per billed request of the caller's keys."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from bytespike.http.management.deps import CallerParam, DepsParam, PagingParam
from bytespike.http.management.money_views import ReceiptsView, answers
from bytespike.http.management.pages import page_response
from bytespike.http.management.period import Moment, micros
from bytespike.http.management.spreadsheet import FormatParam, csv_file
from bytespike.http.receipts import FILE, receipt_lines, refuse_too_many, usage_row
from bytespike.ledger.usage_queries import UsageFilter, every_usage, list_usage

router = APIRouter(tags=["usage"])


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
    engine = deps.control.engine
    if format == "csv":
        await refuse_too_many(partial(list_usage, engine), wanted)
        return csv_file(FILE, receipt_lines(partial(every_usage, engine), wanted))
    found = await list_usage(engine, wanted, limit=paging.page_size, offset=paging.offset)
    items = [usage_row(row) for row in found.items]
    return page_response(items, found.total, paging, total_is_exact=found.total_is_exact)

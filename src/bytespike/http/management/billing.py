"""GET /me/billing/transactions: what moved on the caller's wallet, the newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from bytespike.core.json_types import JSONObject
from bytespike.errors import InvalidRequest
from bytespike.http.management.deps import CallerParam, Deps, DepsParam, PagingParam
from bytespike.http.management.money_views import TransactionsView, answers
from bytespike.http.management.pages import page_response
from bytespike.http.management.period import Moment, micros
from bytespike.http.management.spreadsheet import FormatParam, csv_response
from bytespike.http.moments import moment
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.entries import Kind
from bytespike.ledger.statements import KINDS, Entry, EntryFilter, statement, whole
from bytespike.store.wallets import user_wallet

router = APIRouter(tags=["me"])

COLUMNS = ("id", "created_at", "kind", "amount", "request_id", "note")


@router.get("/me/billing/transactions", response_model=None, responses=answers(TransactionsView))
async def transactions(
    caller: CallerParam,
    deps: DepsParam,
    paging: PagingParam,
    format: FormatParam,
    kind: Annotated[list[Kind] | None, Query(description="repeatable; left out, all")] = None,
    since: Moment = None,
    until: Moment = None,
) -> Response:
    """Of the user's own wallet, whatever the key that was sent: an organisation's is not everybody's to read. `amount`
    is negative where money left the wallet; all amounts add up to its balance. As CSV: all that match, not a page."""
    wanted = EntryFilter(
        account_id=user_wallet(caller.user.id),
        kinds=frozenset(kind or KINDS),
        since=micros(since),
        until=micros(until),
    )
    if format == "csv":
        return await _as_csv(deps, wanted)
    found = await statement(deps.control.engine, wanted, limit=paging.page_size, offset=paging.offset)
    items = [shown(entry) for entry in found.items]
    return page_response(items, found.total, paging, total_is_exact=found.total_is_exact)


async def _as_csv(deps: Deps, wanted: EntryFilter) -> Response:
    counted = await statement(deps.control.engine, wanted, limit=1)
    if not counted.total_is_exact:
        raise InvalidRequest(f"more than {counted.total} entries: ask for a shorter time", param="since")

    async def pieces() -> AsyncIterator[list[JSONObject]]:
        async for entries in whole(deps.control.engine, wanted):
            yield [shown(entry) for entry in entries]

    return csv_response("transactions", COLUMNS, pieces())


def shown(entry: Entry) -> JSONObject:
    """`amount`: USD as text."""
    return {
        "id": entry.id,
        "created_at": moment(entry.created_at),
        "kind": entry.kind,
        "amount": format_usd(entry.amount),
        "request_id": entry.request_id,
        "note": entry.note,
    }

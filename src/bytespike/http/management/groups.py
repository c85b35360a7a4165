"""GET /groups/available: the groups that the caller's keys may be bound to."""

from __future__ import annotations

from fastapi import APIRouter

from bytespike.http.management.deps import CallerParam, DepsParam, PagingParam
from bytespike.http.management.views import GroupView, Page
from bytespike.store import groups

router = APIRouter(tags=["groups"])


@router.get("/groups/available")
async def available(caller: CallerParam, deps: DepsParam, paging: PagingParam) -> Page[GroupView]:
    async with deps.control.reading() as connection:
        rows = await groups.open_to(connection, caller.user.id)
    shown = rows[paging.offset : paging.offset + paging.page_size]
    return Page(
        items=[GroupView.of(row) for row in shown],
        total=len(rows),
        page=paging.page,
        page_size=paging.page_size,
    )

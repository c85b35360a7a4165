"""`bytespike usage`: what was billed."""

from __future__ import annotations

from typing import Annotated, TypeAlias, cast, get_args

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import users
from bytespike.cli.answer import Answer, listing
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.cli.options import Offset, Org, User, time_us
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.http.moments import moment
from bytespike.http.receipts import usage_row
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.usage_queries import PAGE_MAX, Grouping, Totals, UsageFilter, list_usage, totals

usage = group("usage", "What was billed: a row per request, and sums.")

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

Key: TypeAlias = Annotated[str | None, typer.Option("--key", help="Only this key's id.")]
Model: TypeAlias = Annotated[str | None, typer.Option("--model", help="Only this model.")]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since", help="From this time on: ISO 8601, UTC where it names no zone. Left out, from the first."
    ),
]
Until: TypeAlias = Annotated[
    str | None, typer.Option("--until", help="Before this time, likewise. Left out, until now.")
]
Rows: TypeAlias = Annotated[int, typer.Option("--limit", min=1, max=PAGE_MAX, help="How many, at most.")]


@command(usage, "list")
async def list_rows(
    desk: Desk,
    user: User = None,
    org: Org = None,
    key: Key = None,
    model: Model = None,
    request_id: Annotated[str | None, typer.Option(help="Only this request.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Rows = 50,
    offset: Offset = 0,
) -> Answer:
    """List billed requests, the newest first. `credits` is what each cost, in USD; `--json` has the whole receipt."""
    async with desk.reading() as connection:
        wanted = await _filter(desk, connection, user, org, key, model, since, until, request_id)
    found = await list_usage(desk.engine, wanted, limit=limit, offset=offset)
    rows = [usage_row(row) for row in found.items]
    columns = ("at", "request_id", "model", "output_tokens", "images", "seconds", "credits")
    return listing(rows, columns, total=found.total)


@command(
    usage, "sum", epilog="Example: bytespike usage sum --since 2026-11-01 --group-by day --group-by model"
)
async def sum_rows(
    desk: Desk,
    user: User = None,
    org: Org = None,
    key: Key = None,
    model: Model = None,
    since: Since = None,
    until: Until = None,
    group_by: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(GROUPINGS)}. Repeatable; none given: one sum.")
    ] = None,
) -> Answer:
    """Add up what was billed."""
    for name in group_by or ():
        if name not in GROUPINGS:
            raise InvalidRequest(f"{name[:40]!r} is not one of {', '.join(GROUPINGS)}", param="--group-by")
    async with desk.reading() as connection:
        wanted = await _filter(desk, connection, user, org, key, model, since, until, None)
    groups = cast("list[Grouping]", list(dict.fromkeys(group_by or ())))
    rows = [_totals(each) for each in await totals(desk.engine, wanted, groups)]
    names = ["bucket" if name in ("hour", "day") else name for name in groups]
    return listing(
        rows, (*names, "requests", "input_tokens", "output_tokens", "images", "seconds", "credits")
    )


async def _filter(
    desk: Desk,
    connection: AsyncConnection,
    user: str | None,
    org: str | None,
    key: str | None,
    model: str | None,
    since: str | None,
    until: str | None,
    request_id: str | None,
) -> UsageFilter:
    return UsageFilter(
        key_id=key,
        user_id=None if user is None else (await users.find(connection, user)).id,
        org_id=None if org is None else (await users.find_org(connection, org)).id,
        model=None if model is None else await desk.slug(connection, model),
        request_id=request_id,
        since=time_us(since, "--since"),
        until=time_us(until, "--until"),
    )


def _totals(row: Totals) -> dict[str, JSON]:
    return {
        "bucket": None if row.bucket is None else moment(row.bucket),
        "model": row.model,
        "api_key": row.api_key,
        "user": row.user,
        "provider": row.provider,
        "requests": row.requests,
        "input_tokens": row.input_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "output_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "web_searches": row.web_searches,
        "images": row.images,
        "seconds": row.seconds,
        "credits": format_usd(row.credits),
    }

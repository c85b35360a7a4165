"""Reading receipts: rows of usage, newest first, and what they add up to.

Every list is bounded by `PAGE_MAX`, every count by `COUNT_MAX`: beyond that the total says "at least so many", for
counting millions of rows takes longer than anybody waits for a page. What no index leads to (a model's rows, a page far
down) is found by the rollups of its user, which say in which days it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct, structs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    cast,
    func,
    literal,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.errors import InvalidRequest
from bytespike.ledger import rollups
from bytespike.ledger.windows import HOUR_US
from bytespike.pricing.price import Price
from bytespike.store.engine import reading
from bytespike.store.media_tables import escrows
from bytespike.store.rows import every
from bytespike.store.tables import attempts, keys, usage

#: Rows of one page.
PAGE_MAX = 200
#: Rows that are counted.
COUNT_MAX = 100_000
#: Pages that begin so far down are found by their day.
LOCATED_FROM = 2_000
#: Later than any row, at the start of a day.
TIME_MAX = (1 << 62) // (24 * HOUR_US) * 24 * HOUR_US
#: Rows of a whole list that are read at once.
PIECE_ROWS = 200
#: Groups of one rollup.
GROUPS_MAX = 10_000

Grouping: TypeAlias = Literal["hour", "day", "model", "api_key", "user", "provider"]

_BUCKETS_US = {"hour": HOUR_US, "day": 24 * HOUR_US}
_COLUMNS: dict[str, ColumnElement[str]] = {
    "model": usage.c.model,
    "api_key": usage.c.key_id,
    "user": usage.c.user_id,
    "provider": usage.c.upstream_provider,
}
_NOTHING = cast(null(), Text)


class UsageRow(Struct, frozen=True):
    """One billed request. `credits` and `held` micro-dollars; `at` Unix microseconds, when it was settled."""

    request_id: str
    at: int
    key_id: str
    user_id: str
    org_id: str | None
    account_id: str
    group_id: int
    channel_id: str
    upstream_provider: str
    model: str
    requested_model: str
    upstream_model: str
    protocol: str
    upstream_protocol: str
    stream: bool
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    web_searches: int
    credits: int
    held: int
    price: Price
    multiplier_ppm: int
    estimated: bool
    end_reason: str
    notices: tuple[str, ...]
    latency_ms: int
    first_token_ms: int
    images: int
    seconds: int


class AttemptRow(Struct, frozen=True):
    """One upstream call of a request. `cost`: what its provider charges, micro-dollars."""

    request_id: str
    ordinal: int
    at: int
    channel_id: str
    upstream_provider: str
    upstream_model: str
    status: int
    outcome: str
    error: str
    input_tokens: int
    output_tokens: int
    cost: int
    latency_ms: int
    first_token_ms: int
    images: int
    seconds: int
    reason: str
    passed_over: str


class UsageFilter(Struct, frozen=True):
    """All that are set must hold. `since` (included) and `until` (excluded) Unix microseconds."""

    key_id: str | None = None
    user_id: str | None = None
    org_id: str | None = None
    model: str | None = None
    request_id: str | None = None
    since: int | None = None
    until: int | None = None


class UsagePage(Struct, frozen=True):
    """`total`: how many match; at least so many where `total_is_exact` is false."""

    items: tuple[UsageRow, ...]
    total: int
    total_is_exact: bool


class Totals(Struct, frozen=True):
    """Sums over a group of rows. What was not grouped by is None. `bucket`: Unix microseconds at which the hour or the
    day (UTC) begins."""

    bucket: int | None
    model: str | None
    api_key: str | None
    user: str | None
    provider: str | None
    requests: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    web_searches: int
    credits: int
    images: int
    seconds: int


async def list_usage(
    engine: AsyncEngine, wanted: UsageFilter, *, limit: int = 50, offset: int = 0
) -> UsagePage:
    """A page of receipts, the newest first."""
    limit = min(limit, PAGE_MAX)
    if wanted.user_id is not None and _far(wanted, offset):
        return await _located(engine, wanted, wanted.user_id, limit, offset)
    async with reading(engine) as connection:
        wanted = await _of_key_alone(connection, wanted)
        some = (
            select(literal(1)).select_from(usage).where(*_conditions(wanted)).limit(COUNT_MAX + 1).subquery()
        )
        total = (await connection.execute(select(func.count()).select_from(some))).scalar_one()
        items = await every(connection, _page(wanted, limit, offset), UsageRow)
    return UsagePage(tuple(items), min(total, COUNT_MAX), total <= COUNT_MAX)


async def _of_key_alone(connection: AsyncConnection, wanted: UsageFilter) -> UsageFilter:
    """The same question without the user, where the key is that user's: then an index answers it by itself."""
    if wanted.key_id is None or wanted.user_id is None:
        return wanted
    owner = (await connection.execute(select(keys.c.user_id).where(keys.c.id == wanted.key_id))).scalar()
    return structs.replace(wanted, user_id=None) if owner == wanted.user_id else wanted


def _page(wanted: UsageFilter, limit: int, offset: int) -> Select[*tuple[object, ...]]:
    return (
        select(usage)
        .where(*_conditions(wanted))
        .order_by(usage.c.at.desc(), usage.c.request_id.desc())
        .limit(limit)
        .offset(offset)
    )


def _far(wanted: UsageFilter, offset: int) -> bool:
    """Rows that no index leads to: those of one model, and those of a page far down. Rollups say in which days they are,
    where the time that is asked for begins and ends at full hours."""
    hours = all(us is None or us % HOUR_US == 0 for us in (wanted.since, wanted.until))
    return hours and wanted.request_id is None and (wanted.model is not None or offset >= LOCATED_FROM)


async def _located(
    engine: AsyncEngine, wanted: UsageFilter, user_id: str, limit: int, offset: int
) -> UsagePage:
    """The same page, of the days alone in which its rows are."""
    span = rollups.Wanted(
        user_id,
        since=wanted.since or 0,
        until=TIME_MAX if wanted.until is None else wanted.until,
        model=wanted.model,
        key_id=wanted.key_id,
    )
    async with reading(engine) as connection:
        days = await rollups.counted(connection, span)
        total = sum(requests for _, _, requests in days)
        items: list[UsageRow] = []
        for start, end, requests in days:
            if offset >= requests:
                offset -= requests
                continue
            # One day after the other: between them may be many that have none.
            day = structs.replace(wanted, since=start, until=end)
            items += await every(connection, _page(day, limit - len(items), offset), UsageRow)
            offset = 0
            if len(items) >= limit:
                break
    return UsagePage(tuple(items), total, total_is_exact=True)


async def every_usage(engine: AsyncEngine, wanted: UsageFilter) -> AsyncGenerator[list[UsageRow]]:
    """All receipts, the newest first, in pieces. The database is not held between them."""
    async with reading(engine) as connection:
        wanted = await _of_key_alone(connection, wanted)
    where = _conditions(wanted)
    newest_first = select(usage).order_by(usage.c.at.desc(), usage.c.request_id.desc()).limit(PIECE_ROWS)
    after: list[ColumnElement[bool]] = []
    while True:
        async with reading(engine) as connection:
            piece = await every(connection, newest_first.where(*where, *after), UsageRow)
        if piece:
            yield piece
        if len(piece) < PIECE_ROWS:
            return
        last = piece[-1]
        # Said of the time alone too, which is what the indexes are asked by.
        after = [usage.c.at <= last.at, tuple_(usage.c.at, usage.c.request_id) < (last.at, last.request_id)]


async def attempts_of(engine: AsyncEngine, request_id: str) -> list[AttemptRow]:
    """The upstream calls of one request, in order."""
    query = select(attempts).where(attempts.c.request_id == request_id).order_by(attempts.c.ordinal)
    async with reading(engine) as connection:
        return await every(connection, query, AttemptRow)


async def is_known(engine: AsyncEngine, request_id: str) -> bool:
    """Whether something was billed or is set aside under that id, an upstream call of it or not."""
    billed = select(literal(1)).where(usage.c.request_id == request_id)
    set_aside = select(literal(1)).where(escrows.c.request_id == request_id)
    async with reading(engine) as connection:
        return (await connection.execute(union_all(billed, set_aside).limit(1))).first() is not None


async def totals(engine: AsyncEngine, wanted: UsageFilter, group_by: Sequence[Grouping] = ()) -> list[Totals]:
    """What the matching rows add up to, by group, the groups in order; without groups one row, of zeros if nothing
    matches. Raises: InvalidRequest (both hour and day, or more than `GROUPS_MAX` groups)."""
    times = [name for name in group_by if name in _BUCKETS_US]
    if len(times) > 1:
        raise InvalidRequest("group by hour or by day, not by both", param="group_by")
    groups = {name: column if name in group_by else _NOTHING for name, column in _COLUMNS.items()}
    bucket_us = _BUCKETS_US[times[0]] if times else 0
    # Integer arithmetic: the start of the bucket that `at` is in.
    bucket = ((usage.c.at // bucket_us) * bucket_us) if bucket_us else null()
    used = [groups[name] for name in _COLUMNS if name in group_by] + ([bucket] if times else [])
    query = (
        select(
            cast(bucket, BigInteger).label("bucket"),
            *(column.label(name) for name, column in groups.items()),
            cast(func.count(), Integer).label("requests"),
            _sum(usage.c.input_tokens).label("input_tokens"),
            _sum(usage.c.cache_read_tokens).label("cache_read_tokens"),
            _sum(usage.c.cache_write_5m_tokens + usage.c.cache_write_1h_tokens).label("cache_write_tokens"),
            _sum(usage.c.output_tokens).label("output_tokens"),
            _sum(usage.c.reasoning_tokens).label("reasoning_tokens"),
            _sum(usage.c.web_searches).label("web_searches"),
            _sum(usage.c.credits).label("credits"),
            _sum(usage.c.images).label("images"),
            _sum(usage.c.seconds).label("seconds"),
        )
        .where(*_conditions(wanted))
        .group_by(*used)
        .order_by(*used)
        .limit(GROUPS_MAX + 1)
    )
    async with reading(engine) as connection:
        found = await every(connection, query, Totals)
    if len(found) > GROUPS_MAX:
        raise InvalidRequest(f"more than {GROUPS_MAX} groups: ask for a shorter time", param="group_by")
    return found


def _conditions(wanted: UsageFilter) -> list[ColumnElement[bool]]:
    equal = [
        column == value
        for column, value in (
            (usage.c.key_id, wanted.key_id),
            (usage.c.user_id, wanted.user_id),
            (usage.c.org_id, wanted.org_id),
            (usage.c.model, wanted.model),
            (usage.c.request_id, wanted.request_id),
        )
        if value is not None
    ]
    if wanted.since is not None:
        equal.append(usage.c.at >= wanted.since)
    if wanted.until is not None:
        equal.append(usage.c.at < wanted.until)
    return equal


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """PostgreSQL adds BIGINTs up to a NUMERIC; we keep integers."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)

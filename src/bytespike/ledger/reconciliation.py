"""What providers will charge, as the attempts say: to be held against an invoice.

Every upstream call leaves an attempt, also one that failed, that a client left, or that another channel took over from;
its `cost` is its tokens, images and seconds of video at the channel's own price, before any group's multiplier, and nothing where the provider
reported nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Executable, Text, case, cast, func, null, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.errors import InvalidRequest
from bytespike.ledger.rollups import DAY_US
from bytespike.store.engine import reading
from bytespike.store.rows import every
from bytespike.store.tables import attempts

#: The longest time that is added up at once.
DAYS_MAX = 366
#: Lines of one answer, before days become months.
LINES_MAX = 100_000

Period: TypeAlias = Literal["whole", "day", "month"]


class ChargeFilter(Struct, frozen=True):
    """All that are set must hold. `since` (included) and `until` (excluded): Unix microseconds, when attempts ended."""

    since: int
    until: int
    provider: str | None = None
    channel_id: str | None = None


class Charge(Struct, frozen=True):
    """What attempts come to. `period`: "2026-11-21" or "2026-11" (UTC), None for the whole time; `channel_id` None for
    all channels. `attempts` is the sum of the three kinds after it. `cost`: micro-dollars."""

    provider: str
    model: str
    channel_id: str | None
    period: str | None
    attempts: int
    completed: int
    client_gone: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: int
    images: int = 0
    seconds: int = 0


class _Line(Struct, frozen=True):
    """As the database has it: `day` counts from 1970."""

    provider: str
    model: str
    channel_id: str | None
    day: int | None
    attempts: int
    completed: int
    client_gone: int
    input_tokens: int
    output_tokens: int
    images: int
    seconds: int
    cost: int


async def charges(
    engine: AsyncEngine, wanted: ChargeFilter, *, by: Period = "whole", by_channel: bool = False
) -> list[Charge]:
    """By provider, period, the provider's name of the model, and channel if that is wanted; in that order. Raises:
    InvalidRequest (a time that is empty or too long, more than `LINES_MAX` lines)."""
    if not wanted.since < wanted.until:
        raise InvalidRequest("the end must be after the beginning", param="to")
    if wanted.until - wanted.since > DAYS_MAX * DAY_US:
        raise InvalidRequest(f"at most {DAYS_MAX} days are added up at once", param="from")
    async with reading(engine) as connection:
        lines = await every(connection, _query(wanted, by, by_channel), _Line)
    if len(lines) > LINES_MAX:
        raise InvalidRequest(f"more than {LINES_MAX} lines: ask for a shorter time", param="from")
    return _folded(lines, by)


def _query(wanted: ChargeFilter, by: Period, by_channel: bool) -> Executable:
    day = attempts.c.at // DAY_US if by != "whole" else cast(null(), BigInteger)
    channel = attempts.c.channel_id if by_channel else cast(null(), Text)
    groups: list[ColumnElement[str] | ColumnElement[int]] = [
        attempts.c.upstream_provider,
        attempts.c.upstream_model,
        *([channel] if by_channel else []),
        *([day] if by != "whole" else []),
    ]
    where = [attempts.c.at >= wanted.since, attempts.c.at < wanted.until]
    if wanted.provider is not None:
        where.append(attempts.c.upstream_provider == wanted.provider)
    if wanted.channel_id is not None:
        where.append(attempts.c.channel_id == wanted.channel_id)
    return (
        select(
            attempts.c.upstream_provider.label("provider"),
            attempts.c.upstream_model.label("model"),
            channel.label("channel_id"),
            day.label("day"),
            cast(func.count(), BigInteger).label("attempts"),
            _sum(case((attempts.c.outcome == "completed", 1), else_=0)).label("completed"),
            _sum(case((attempts.c.outcome == "client_gone", 1), else_=0)).label("client_gone"),
            _sum(attempts.c.input_tokens).label("input_tokens"),
            _sum(attempts.c.output_tokens).label("output_tokens"),
            _sum(attempts.c.images).label("images"),
            _sum(attempts.c.seconds).label("seconds"),
            _sum(attempts.c.cost).label("cost"),
        )
        .where(*where)
        .group_by(*groups)
        .limit(LINES_MAX + 1)
    )


def _folded(lines: Sequence[_Line], by: Period) -> list[Charge]:
    """Days are put together to months here, for no arithmetic of both databases knows a calendar."""
    sums: dict[tuple[str, str, str, str], list[int]] = {}
    for line in lines:
        period = "" if line.day is None else _day(line.day)[: 7 if by == "month" else 10]
        found = sums.setdefault((line.provider, period, line.model, line.channel_id or ""), [0] * 8)
        figures = (
            line.attempts,
            line.completed,
            line.client_gone,
            line.input_tokens,
            line.output_tokens,
            line.images,
            line.seconds,
            line.cost,
        )
        for place, figure in enumerate(figures):
            found[place] += figure
    return [
        Charge(
            provider=provider,
            model=model,
            channel_id=channel_id or None,
            period=period or None,
            attempts=count,
            completed=completed,
            client_gone=client_gone,
            failed=count - completed - client_gone,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            images=images,
            seconds=seconds,
            cost=cost,
        )
        for (provider, period, model, channel_id), (
            count,
            completed,
            client_gone,
            input_tokens,
            output_tokens,
            images,
            seconds,
            cost,
        ) in sorted(sums.items())
    ]


def _day(number: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=number)).isoformat()


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """PostgreSQL adds BIGINTs up to a NUMERIC; we keep integers."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)

"""Claiming rows: who works on what, until when, and which writes still count.

A claim is one statement for many rows. SQLite's writers run one after the other anyway; PostgreSQL's pass over rows that
another one has just locked (`FOR UPDATE SKIP LOCKED`), so several workers share what is due without waiting for each
other. It sets `claimed_until` and moves `due_at` there, so that a row whose claimant dies is due again by itself, and adds
one to `fence`. Releasing is a write like any other, under the fence.

Leases compare clocks of machines: they must agree to within a fraction of a lease, which is a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, func, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.media.tasks.record import Ending, State, Step
from bytespike.store.media_tables import callbacks as tries
from bytespike.store.media_tables import tasks
from bytespike.store.rows import every

#: Steps that take a moment, and those that may take minutes: a fetch, and a submission that brings the images with it.
Group: TypeAlias = Literal["quick", "slow"]


class Claim(Struct, frozen=True):
    """A claimed row, without its large columns. All as in `record.Task`."""

    id: str
    key_id: str
    group_id: int
    model: str
    kind: Literal["image", "video"]
    seconds: int
    channel_id: str
    upstream_model: str
    upstream_id: str | None
    state: State
    step: Step
    submit_begun: bool
    begun_at: int | None
    cancel_asked: bool
    progress: int
    estimated_seconds: int
    ending: Ending
    error_code: str
    seq: int
    created_at: int
    started_at: int | None
    expires_at: int
    failures: int
    fence: int


class CallbackClaim(Struct, frozen=True):
    """A claimed try. `at`: it was begun before, by somebody who died."""

    task_id: str
    attempt: int
    at: int | None
    fence: int


_COLUMNS = tuple(tasks.c[name] for name in Claim.__struct_fields__)
_CALLBACK_COLUMNS = tuple(tries.c[name] for name in CallbackClaim.__struct_fields__)
_SLOW: ColumnElement[bool] = or_(
    tasks.c.step == "fetch",
    and_(tasks.c.step == "submit", tasks.c.kind == "image", tasks.c.submit_begun.is_(False)),
)
# As the partial index has it, word for word: with parameters in it SQLite would not use it.
_UNDER_WAY = text("submit_begun AND step IN ('submit', 'poll')")
_IN_GROUP: dict[Group, ColumnElement[bool]] = {"slow": _SLOW, "quick": ~_SLOW}


async def next_due(connection: AsyncConnection, groups: Sequence[Group], *, callbacks: bool) -> int | None:
    """When the first row of these groups, or the first callback, is due, Unix microseconds."""
    firsts: list[ScalarSelect[int]] = []
    if groups:
        query = select(func.min(tasks.c.due_at)).where(tasks.c.due_at.is_not(None))
        if len(groups) == 1:
            query = query.where(_IN_GROUP[groups[0]])
        firsts.append(query.scalar_subquery())
    if callbacks:
        query = select(func.min(tries.c.due_at)).where(tries.c.due_at.is_not(None))
        firsts.append(query.scalar_subquery())
    if not firsts:
        return None
    found = (await connection.execute(select(*firsts))).one()
    return min((each for each in found if each is not None), default=None)


async def claim(
    connection: AsyncConnection, name: str, group: Group, limit: int, now_us: int, until_us: int
) -> list[Claim]:
    """Up to `limit` due rows, the longest due first, claimed by the process `name` until `until_us`."""
    due: Select[tuple[str]] = (
        select(tasks.c.id)
        .where(tasks.c.due_at <= now_us, _IN_GROUP[group])
        .order_by(tasks.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # A part of its own, so that PostgreSQL runs it once: run again for each row it would lock more than the limit.
    chosen = due.cte("due")
    statement = (
        update(tasks)
        .where(tasks.c.id.in_(select(chosen.c.id)))
        .values(claimed_by=name, claimed_until=until_us, due_at=until_us, fence=tasks.c.fence + 1)
        .returning(*_COLUMNS)
    )
    return await every(connection, statement, Claim)


async def claim_callbacks(
    connection: AsyncConnection, name: str, limit: int, now_us: int, until_us: int
) -> list[CallbackClaim]:
    due = (
        select(tries.c.task_id, tries.c.attempt)
        .where(tries.c.due_at <= now_us)
        .order_by(tries.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        update(tries)
        .where(tuple_(tries.c.task_id, tries.c.attempt).in_(select(due.c.task_id, due.c.attempt)))
        .values(claimed_by=name, claimed_until=until_us, due_at=until_us, fence=tries.c.fence + 1)
        .returning(*_CALLBACK_COLUMNS)
    )
    return await every(connection, statement, CallbackClaim)


async def renew(connection: AsyncConnection, name: str, ids: Collection[str], until_us: int) -> None:
    """Keep claims whose steps take long. Rows that somebody is just writing are left for the next time: whoever waits for
    rows one after the other while others do may wait for ever."""
    held = (
        select(tasks.c.id)
        .where(tasks.c.id.in_(ids), tasks.c.claimed_by == name, tasks.c.claimed_until > 0)
        .with_for_update(skip_locked=True)
        .cte("held")
    )
    await connection.execute(
        update(tasks).where(tasks.c.id.in_(select(held.c.id))).values(claimed_until=until_us, due_at=until_us)
    )


async def take_over(connection: AsyncConnection, name: str, now_us: int) -> None:
    """What an earlier process of the same name had claimed is due at once: it is dead, for the name goes with a lock."""
    for table in (tasks, tries):
        await connection.execute(
            update(table)
            .where(table.c.due_at.is_not(None), table.c.claimed_by == name, table.c.claimed_until > 0)
            .values(claimed_until=0, claimed_by=None, due_at=now_us)
        )


async def under_way(connection: AsyncConnection) -> dict[str, int]:
    """Renders at each channel that may be under way."""
    query = select(tasks.c.channel_id, func.count()).where(_UNDER_WAY).group_by(tasks.c.channel_id)
    return {str(channel_id): int(count) for channel_id, count in await connection.execute(query)}

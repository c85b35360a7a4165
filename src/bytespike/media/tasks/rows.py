"""Reading tasks, and their one insertion."""

from __future__ import annotations

from typing import Literal

from msgspec import to_builtins
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.media.tasks.record import OVER, Task, TaskEvent, columns_of
from bytespike.store.media_tables import task_events, task_pictures, tasks
from bytespike.store.rows import every, first

#: Events read at once.
EVENTS_MAX = 500
_COLUMNS = tuple(tasks.c)


class NameTaken(Exception):
    """The key has a task of this `out_task_id` already."""


async def add(connection: AsyncConnection, task: Task) -> None:
    """Insert it, with its pictures and its first event. Raises NameTaken."""
    try:
        await connection.execute(insert(tasks).values(columns_of(task)))
    except IntegrityError as error:
        if task.out_task_id is not None and "out_task_id" in str(error.orig).lower():
            raise NameTaken(task.out_task_id) from None
        raise
    if task.order.pictures:
        pictures = to_builtins(task.order.pictures)
        await connection.execute(insert(task_pictures).values(task_id=task.id, pictures=pictures))
    await connection.execute(
        insert(task_events).values(
            task_id=task.id, seq=task.seq, at=task.created_at, state=task.state, progress=task.progress
        )
    )


async def by_id(connection: AsyncConnection, id: str) -> Task | None:
    return await first(connection, select(*_COLUMNS).where(tasks.c.id == id), Task)


async def by_out_id(connection: AsyncConnection, key_id: str, out_task_id: str) -> Task | None:
    query = select(*_COLUMNS).where(tasks.c.key_id == key_id, tasks.c.out_task_id == out_task_id)
    return await first(connection, query, Task)


async def of_key(
    connection: AsyncConnection,
    key_id: str,
    kind: Literal["image", "video"],
    limit: int,
    after: str | None,
    newest_first: bool,
) -> list[Task]:
    """A key's tasks of a kind, by age. `after`: the id of the last one seen; ids are in the order of their creation."""
    query = select(*_COLUMNS).where(tasks.c.key_id == key_id, tasks.c.kind == kind)
    if after is not None:
        query = query.where(tasks.c.id < after if newest_first else tasks.c.id > after)
    order = tasks.c.id.desc() if newest_first else tasks.c.id
    return await every(connection, query.order_by(order).limit(limit), Task)


async def events_after(connection: AsyncConnection, task_id: str, seq: int) -> list[TaskEvent]:
    query = (
        select(*task_events.c)
        .where(task_events.c.task_id == task_id, task_events.c.seq > seq)
        .order_by(task_events.c.seq)
        .limit(EVENTS_MAX)
    )
    return await every(connection, query, TaskEvent)


async def newest_seqs(connection: AsyncConnection, ids: list[str]) -> dict[str, int]:
    """The number of each task's newest event; those that are gone are not among them."""
    query = select(tasks.c.id, tasks.c.seq).where(tasks.c.id.in_(ids))
    return {str(id): int(seq) for id, seq in await connection.execute(query)}


async def drop_pictures(connection: AsyncConnection, limit: int) -> int:
    """Of up to `limit` tasks that are over; how many there were."""
    over = (
        select(task_pictures.c.task_id)
        .join(tasks, tasks.c.id == task_pictures.c.task_id)
        .where(tasks.c.state.in_(sorted(OVER)), tasks.c.due_at.is_(None))
        .limit(limit)
    )
    done = await connection.execute(
        delete(task_pictures).where(task_pictures.c.task_id.in_(over.scalar_subquery()))
    )
    return done.rowcount


async def remove(connection: AsyncConnection, id: str) -> None:
    """With its events and callbacks."""
    await connection.execute(delete(tasks).where(tasks.c.id == id))


async def remove_before(connection: AsyncConnection, id: str, limit: int) -> int:
    """Up to `limit` tasks with a smaller id that are over; how many there were."""
    old = (
        select(tasks.c.id)
        .where(tasks.c.id < id, tasks.c.state.in_(sorted(OVER)), tasks.c.due_at.is_(None))
        .order_by(tasks.c.id)
        .limit(limit)
    )
    done = await connection.execute(delete(tasks).where(tasks.c.id.in_(old.scalar_subquery())))
    return done.rowcount

"""What watchers of tasks are told: rows, written with what they tell of (`writing.py`), so that any process has them.

Whoever waits for news of a task waits for one signal. It comes at once where the news was made in this process, and else
from one query for all watched tasks of the process, a few times a second while anybody watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.media.tasks import rows
from bytespike.media.tasks.record import TaskEvent
from bytespike.store.engine import reading

log = structlog.get_logger("bytespike.media")

#: Seconds between two looks for what other processes wrote.
LOOK_S: Final = 0.5
#: Tasks in one query.
BATCH_MAX: Final = 500


class Watch:
    """Of one process. Keep `run` running."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # By task: the number of the newest event that its watchers have seen, and who waits for the next.
        self._waiting: dict[str, tuple[int, set[asyncio.Event]]] = {}
        self._somebody = asyncio.Event()

    @property
    def watched(self) -> int:
        """Tasks of which somebody waits for news."""
        return len(self._waiting)

    def tell(self, task_ids: Iterable[str]) -> None:
        """There is news of these."""
        for task_id in task_ids:
            found = self._waiting.get(task_id)
            if found is not None:
                for waiter in found[1]:
                    waiter.set()

    async def after(self, task_id: str, seq: int, wait_s: float) -> list[TaskEvent]:
        """The events after number `seq`; where there are none, the first that come within `wait_s` seconds, or []. Raises
        SQLAlchemyError, OSError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        waiter = asyncio.Event()
        self._add(task_id, seq, waiter)
        try:
            while True:
                waiter.clear()
                async with reading(self._engine) as connection:
                    found = await rows.events_after(connection, task_id, seq)
                if found or loop.time() >= until:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await waiter.wait()
        finally:
            self._remove(task_id, waiter)

    async def run(self) -> None:
        """Look for what other processes write, while anybody watches; until cancelled."""
        while True:
            await self._somebody.wait()
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except (SQLAlchemyError, OSError) as error:
                log.warning("events of tasks cannot be read, trying again", error=type(error).__name__)

    async def _look(self) -> None:
        watched = [(task_id, seq) for task_id, (seq, _) in self._waiting.items()]
        for start in range(0, len(watched), BATCH_MAX):
            seen = dict(watched[start : start + BATCH_MAX])
            async with reading(self._engine) as connection:
                newest = await rows.newest_seqs(connection, list(seen))
            # A task that is gone has no more news; its watchers find that out themselves.
            self.tell(task_id for task_id, seq in seen.items() if newest.get(task_id, seq + 1) > seq)

    def _add(self, task_id: str, seq: int, waiter: asyncio.Event) -> None:
        lowest, waiters = self._waiting.get(task_id, (seq, set[asyncio.Event]()))
        waiters.add(waiter)
        self._waiting[task_id] = (min(lowest, seq), waiters)
        self._somebody.set()

    def _remove(self, task_id: str, waiter: asyncio.Event) -> None:
        _, waiters = self._waiting[task_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[task_id]
        if not self._waiting:
            self._somebody.clear()

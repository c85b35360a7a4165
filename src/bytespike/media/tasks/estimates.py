"""How long a task will take: the median of the last ones of the same model and length, or a guess where there are none."""

from __future__ import annotations

from collections import OrderedDict
from statistics import median
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.clock import Clock
from bytespike.media.order import Order
from bytespike.store.engine import reading
from bytespike.store.media_tables import tasks

#: Tasks that are looked at.
SAMPLE_MAX: Final = 50
#: How long an estimate is used before it is learned again, seconds; and how many are remembered.
FRESH_S: Final = 60
KNOWN_MAX: Final = 1_000
#: Without history, seconds: for an image, and for a video so much and so much for each of its seconds.
IMAGE_S: Final = 30
VIDEO_S: Final = 45
VIDEO_S_PER_SECOND: Final = 10
_NS_PER_S: Final = 1_000_000_000
_US_PER_S: Final = 1_000_000


class Estimates:
    """Of one process."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], tuple[int, int]] = OrderedDict()

    async def seconds(self, model: str, order: Order) -> int:
        """From submission to the end, whole seconds, at least 1. Raises SQLAlchemyError, OSError."""
        key = (model, order.seconds)
        now_ns = self._clock.monotonic_ns()
        known = self._known.get(key)
        if known is not None and now_ns < known[0]:
            return known[1]
        learned = await self._learned(model, order.seconds)
        estimate = guess(order) if learned is None else learned
        self._known[key] = (now_ns + FRESH_S * _NS_PER_S, estimate)
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return estimate

    async def _learned(self, model: str, seconds: int) -> int | None:
        query = (
            select(tasks.c.created_at, tasks.c.finished_at)
            .where(tasks.c.model == model, tasks.c.seconds == seconds, tasks.c.state == "completed")
            .order_by(tasks.c.finished_at.desc())
            .limit(SAMPLE_MAX)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).all()
        took = [finished_at - created_at for created_at, finished_at in found if finished_at is not None]
        return max(1, -(-round(median(took)) // _US_PER_S)) if took else None


def guess(order: Order) -> int:
    """Whole seconds, from nothing but the order."""
    return IMAGE_S if order.kind == "image" else VIDEO_S + VIDEO_S_PER_SECOND * order.seconds

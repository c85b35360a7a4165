"""A process with a worker of tasks, to be killed. Started by a fork server that has everything imported, so that it is there in no
time; it shares nothing with the test but the folder, the database and the provider."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import func, select

from bytespike.clock import SystemClock
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks, tasks
from bytespike.testing.crash_points import POINTS, CrashPoint
from tests.support.ledger_house import House, key_record
from tests.support.task_house import HURRY, channel, process

_FORKS = multiprocessing.get_context("forkserver")


class Orders(Struct, frozen=True):
    """What the process is to do. `url` of the database, None: SQLite in the folder. `point` "": it lives until nothing is left to
    be done, and ends. `submits`: so many tasks, under names of this `round`."""

    folder: str
    url: str | None
    provider: str
    name: str = "one"
    point: str = ""
    nth: int = 1
    round: int = 0
    submits: int = 0
    lease_s: float = 30.0


def start(orders: Orders) -> BaseProcess:
    """A running process."""
    _FORKS.set_forkserver_preload(["tests.support.task_process"])
    started = _FORKS.Process(target=_run, args=(msgspec.json.encode(orders),), daemon=True)
    started.start()
    return started


def _run(encoded: bytes) -> None:
    asyncio.run(_work(msgspec.json.decode(encoded, type=Orders)))


async def _work(orders: Orders) -> None:
    house = House(Path(orders.folder), orders.url)
    house.clock = SystemClock()
    reached = CrashPoint(orders.point, orders.nth) if orders.point in POINTS else None
    pace = msgspec.structs.replace(HURRY, lease_s=orders.lease_s)
    place = channel(orders.provider)
    async with process(house, key_record(), place, name=orders.name, reached=reached, pace=pace) as one:
        for number in range(orders.submits):
            await one.submit(
                f"{orders.round} {number}",
                out_task_id=f"{orders.round}-{number}",
                callback_url=f"{orders.provider}/callback",
            )
        while orders.point or not await _done(house):
            await asyncio.sleep(0.05)
    await house.engine.dispose()


async def _done(house: House) -> bool:
    async with reading(house.engine) as connection:
        left = [
            (await connection.execute(select(func.count()).where(table.c.due_at.is_not(None)))).scalar_one()
            for table in (tasks, callbacks)
        ]
    return left == [0, 0]

"""A process that spends for two keys as fast as it can: requests, and tasks that it submits and that it or others end.

    python -m tests.support.escrow_process <folder> <database URL> <name>

It says "started", then a line for each thing that it was told is done: "placed <task>", "ended <task>". It stops when it is told to, if it is not killed
before.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike import ids
from bytespike.accounts.records import KeyRecord, ModelCap
from bytespike.clock import SystemClock
from bytespike.errors import GatewayError
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.spool import Spool
from bytespike.observe.logs import configure_logs
from bytespike.store.engine import reading
from bytespike.store.media_tables import escrows as table
from bytespike.store.media_tables import tasks
from tests.support.escrow_house import VIDEO, attempt_of, begun, receipt_of
from tests.support.ledger_house import House, attempt_for, key_record, receipt_for

#: Micro-dollars, tenths of a cent: what a request and a task may cost.
REQUEST, TASK = 4_000, 20_000
CLIENTS = 6
USD = 1_000_000
KEYS: tuple[KeyRecord, ...] = (
    key_record("key_1", quota=USD),
    key_record("key_2", limit_5h=USD, caps=(ModelCap(VIDEO, "lifetime", USD // 2),)),
)


def told(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class Spender:
    def __init__(self, built: House, ledger: Ledger) -> None:
        self.built = built
        self.ledger = ledger
        self.desk = Escrows(built.engine, ledger, built.clock)
        self.stopping = asyncio.Event()

    async def spend(self) -> None:
        while not self.stopping.is_set():
            key = random.choice(KEYS)
            try:
                await random.choice((self.ask, self.submit, self.end))(key)
            except (GatewayError, SQLAlchemyError, OSError):  # a limit is reached, or the database is busy
                await asyncio.sleep(0.02)

    async def ask(self, key: KeyRecord) -> None:
        account = self.ledger.account(key) or await self.ledger.open(key)
        hold = await self.ledger.acquire(account, f"req_{ids.ulid()}", REQUEST)
        await asyncio.sleep(random.uniform(0, 0.02))
        at = self.built.clock.now_us()
        self.ledger.post(hold, receipt_for(hold, at, random.randint(1, REQUEST)), (attempt_for(hold, at),))

    async def submit(self, key: KeyRecord) -> None:
        id = f"task_{ids.ulid()}"
        account = self.ledger.account(key) or await self.ledger.open(key)
        hold = await self.ledger.acquire(account, id, TASK, VIDEO)
        at = self.built.clock.now_us()
        try:
            await self.desk.place(hold, Escrow(id, at), begun(hold, id, at))
        finally:
            if hold.state == "open":
                self.ledger.void(hold)
        told(f"placed {id}")

    async def end(self, _: KeyRecord) -> None:
        """Any task that is under way, whoever submitted it; several may try at once."""
        some = select(table.c.id).where(table.c.state == "held").order_by(func.random()).limit(1)
        async with reading(self.built.engine) as connection:
            id = (await connection.execute(some)).scalar()
        row = None if id is None else await self.desk.find(id)
        if row is None:
            await asyncio.sleep(0.005)
            return

        async def write(connection: AsyncConnection) -> None:
            # Counts how often: a task ends once.
            ended = {"state": "completed", "seq": tasks.c.seq + 1}
            await connection.execute(update(tasks).where(tasks.c.id == row.id).values(ended))

        at = self.built.clock.now_us()
        if random.random() < 0.5:
            done = await self.desk.void(row.id, (), write)
        else:
            receipt = receipt_of(row, at, random.randint(1, TASK))
            done = await self.desk.post(row.id, receipt, (attempt_of(row, at),), write)
        if done:
            told(f"ended {row.id}")


async def main(folder: str, url: str, name: str) -> None:
    built = House(Path(folder), url)
    built.clock = SystemClock()
    spool = Spool(Path(folder) / f"spool-{name}", built.clock.monotonic_ns)
    ledger = Ledger(built.engine, spool, built.clock, drain_interval_ms=20)
    await ledger.start()
    spender = Spender(built, ledger)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, spender.stopping.set)
    told("started")
    await asyncio.gather(*(spender.spend() for _ in range(CLIENTS)))
    await spender.desk.close()
    await ledger.stop()
    await built.engine.dispose()


if __name__ == "__main__":
    configure_logs("error", "json")  # to standard error
    asyncio.run(main(*sys.argv[1:]))

"""Several ledgers on one database, in one process: their lives and deaths, and what must hold between them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.ledger import doctor
from bytespike.ledger.ledger import Ledger
from bytespike.store import tables
from bytespike.store.engine import reading


async def kill(ledger: Ledger) -> None:
    """What a dead process leaves: its spool's files and what it had borrowed, and no lock."""
    tasks = tuple(ledger._upkeep.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ledger._sharing.wake.close()
    await ledger._drain.close()
    ledger._spool.close()


async def look_after(by: Ledger, dead: Collection[str]) -> None:
    """Everything that the `dead` borrowers left has been taken care of: by `by`, or by whoever of the others, all of which
    look from time to time, had begun with it before."""
    async with asyncio.timeout(60):
        while True:
            await by._sharing.adopt_dead()
            if not {each.id for each in await by._sharing._look_around()}.intersection(dead):
                return
            await asyncio.sleep(0.01)


async def leases(engine: AsyncEngine) -> dict[tuple[str, str], int]:
    """Every lease: (cap, borrower) and its amount."""
    async with reading(engine) as connection:
        found = await connection.execute(
            select(tables.leases.c.cap, tables.leases.c.borrower, tables.leases.c.amount)
        )
        return {(cap, borrower): amount for cap, borrower, amount in found}


async def borrowers(engine: AsyncEngine) -> list[str]:
    async with reading(engine) as connection:
        return list((await connection.execute(select(tables.borrowers.c.id))).scalars())


async def nothing_lent_beyond_what_is_written(ledgers: list[Ledger], engine: AsyncEngine) -> None:
    """No process may hold against more than its rows say."""
    rows = await leases(engine)
    for ledger in ledgers:
        for meter in ledger._book.borrowed():
            written = rows.get((meter.cap, ledger._sharing.id), 0)
            assert meter.granted <= written, (meter.cap, meter.granted, written)


async def books_are_right(engine: AsyncEngine) -> None:
    report = await doctor.examine(engine)
    assert report.ok, report.findings

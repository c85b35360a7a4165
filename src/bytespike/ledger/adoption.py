"""What a dead process leaves behind: a spool that nobody owns, and leases that cover what is in it.

Whoever holds a spool's lock is its owner, and the kernel gives the lock back when its owner dies, so on one host there
is no guessing: a borrower whose spool can be locked is dead. Its spool is drained, then everything that it had borrowed
comes back, and its row goes. Its own successor does the same when it starts (`Ledger.start`); both cannot do it at once.

A borrower on another host is only known to be late (`lending.overdue`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.ledger import lending
from bytespike.ledger.drain import Drain, Drained
from bytespike.ledger.lending import Borrower
from bytespike.ledger.spool import Spool, SpoolLocked

log = structlog.get_logger("bytespike.ledger")


async def adopt(
    engine: AsyncEngine,
    dead: Borrower,
    directory: Path,
    books: asyncio.Lock,
    now_us: Callable[[], int],
    monotonic_ns: Callable[[], int],
    low_balance: int = 0,
) -> bool:
    """If this borrower of our own host, whose spool is in `directory`, is dead: drain it, and give back what it had
    borrowed. True if it was. `low_balance`: as in `Drain`.

    Raises what the database raises, and OSError; what is not done then is done the next time.
    """
    spool = Spool(directory, monotonic_ns)
    try:
        spool.open(adopting=True)
    except SpoolLocked:
        return False
    drain = Drain(engine, spool, books, _nothing, low_balance)
    records = 0
    try:
        drain.look_until(spool.tail)
        while count := await drain.once():
            records += count
        async with engine.begin() as connection:
            await lending.bury(connection, dead.id, now_us())
    finally:
        await drain.close()
        spool.close()
    log.warning("ledger.adopted", borrower=dead.id, spool=dead.spool, records=records)
    return True


def _nothing(_: Drained) -> None:
    """It was in no meter of this process."""

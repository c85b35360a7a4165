"""`bytespike borrowers`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import Desk
from bytespike.core.json_types import JSONObject
from bytespike.errors import InvalidRequest, NotFound
from bytespike.ledger import lending

borrowers = group("borrowers", "The gateway processes that spend from this database.")

COLUMNS = ("id", "host", "spool", "alone", "state", "leases")
_US_PER_S = 1_000_000


@command(borrowers, "list")
async def list_borrowers(desk: Desk) -> Answer:
    """List them, how many leases each has, and which have not been heard of for long."""
    now_us = time.time_ns() // 1000
    async with desk.reading() as connection:
        found = await lending.borrowers(connection)
        counts = await lending.leases_counted(connection)
    rows: list[JSONObject] = [
        {
            "id": each.id,
            "host": each.host,
            "spool": each.spool,
            "alone": each.alone,
            "state": "overdue" if each.expires_at < now_us else "there",
            "leases": counts.get(each.id, 0),
        }
        for each in found
    ]
    return listing(rows, COLUMNS)


@command(
    borrowers, "release", epilog="Example: bytespike borrowers release 01K5… (after its machine was lost)"
)
async def release(
    desk: Desk,
    borrower: Annotated[str, typer.Argument(metavar="ID", help="As `bytespike borrowers list` shows it.")],
    force: Annotated[bool, typer.Option("--force", help="Even if it was heard of lately.")] = False,
) -> Answer:
    """Write off a gateway that is gone with its disk: what it had borrowed can be spent again.

    What it had served and not brought into the database is lost with its spool. If the spool still exists, start a
    gateway on it instead: that loses nothing.
    """
    now_us = time.time_ns() // 1000
    async with desk.writing() as write:
        found = {each.id: each for each in await lending.borrowers(write.connection)}.get(borrower)
        if found is None:
            raise NotFound(f"there is no borrower {borrower!r}")
        if found.expires_at >= now_us and not force:
            raise InvalidRequest(
                f"it was heard of lately, and may live: wait {(found.expires_at - now_us) // _US_PER_S} s, or --force",
                param="ID",
            )
        leases = (await lending.leases_counted(write.connection)).get(borrower, 0)
        await lending.bury(write.connection, borrower, now_us)
        await write.note("borrowers.release", borrower, None, host=found.host, leases=leases)
    return record({"id": borrower, "released_leases": leases})

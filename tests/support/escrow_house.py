"""Tasks' money in a small house: what is set aside, what becomes of it, and tasks' rows that move with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from msgspec import Struct, structs
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.core.usage import Usage
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.entries import HELD
from bytespike.ledger.escrow import Escrow, EscrowRow, Escrows
from bytespike.ledger.ledger import Hold, Ledger
from bytespike.ledger.records import Attempt, Receipt
from bytespike.pricing.price import Price
from bytespike.store.engine import reading
from bytespike.store.media_tables import tasks
from tests.support.ledger_house import House

VIDEO = "sora2"


async def nothing(_: AsyncConnection) -> None:
    """A write of nothing."""


def begun(hold: Hold, id: str, at: int) -> Callable[[AsyncConnection], Awaitable[None]]:
    """The task's row comes with its money."""
    record = hold.account.record
    row = {
        "id": id,
        "key_id": record.id,
        "user_id": record.user_id,
        "org_id": record.org_id,
        "account_id": record.account_id,
        "group_id": 1,
        "input_hash": "",
        "surface": "tasks",
        "model": hold.model,
        "requested_model": hold.model,
        "kind": "video",
        "order": {},
        "channel_id": "ch_1",
        "upstream_provider": "simulator",
        "upstream_model": hold.model,
        "state": "pending",
        "step": "submit",
        "price": {},
        "multiplier_ppm": 1_000_000,
        "held": hold.amount,
        "estimated_seconds": 60,
        "attempts": [],
        "created_at": at,
        "updated_at": at,
        "expires_at": at + 3_600_000_000,
    }

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(insert(tasks).values(row))

    return write


def over(id: str, state: str) -> Callable[[AsyncConnection], Awaitable[None]]:
    async def write(connection: AsyncConnection) -> None:
        await connection.execute(update(tasks).where(tasks.c.id == id).values(state=state, step="done"))

    return write


async def set_aside(
    built: House,
    escrows: Escrows,
    ledger: Ledger,
    account: KeyAccount,
    id: str,
    amount: int,
    model: str = VIDEO,
) -> EscrowRow:
    """Hold and place at once."""
    hold = await ledger.acquire(account, f"req_{id}", amount, model)
    now_us = built.clock.now_us()
    await escrows.place(hold, Escrow(id, now_us), begun(hold, id, now_us))
    row = await escrows.find(id)
    assert row is not None
    return row


def receipt_of(row: EscrowRow, at: int, credits: int, **fields: object) -> Receipt:
    base = Receipt(
        request_id=row.request_id,
        at=at,
        key_id=row.key_id,
        user_id=row.user_id,
        org_id=row.org_id,
        account_id=row.account_id,
        group_id=1,
        channel_id="ch_1",
        upstream_provider="simulator",
        model=row.model,
        requested_model=row.model,
        upstream_model=row.model,
        protocol="tasks",
        upstream_protocol="openai_videos",
        stream=False,
        usage=Usage(seconds=8),
        credits=credits,
        held=row.amount,
        price=Price(submit_fee=50_000),
        multiplier_ppm=1_000_000,
        end_reason="completed",
        notices=(),
        latency_ms=60_000,
        first_token_ms=0,
    )
    return structs.replace(base, **fields)


def attempt_of(row: EscrowRow, at: int, **fields: object) -> Attempt:
    base = Attempt(
        request_id=row.request_id,
        ordinal=0,
        at=at,
        channel_id="ch_1",
        upstream_provider="simulator",
        upstream_model=row.model,
        status=200,
        outcome="completed",
        cost=70,
        latency_ms=100,
        seconds=8,
    )
    return structs.replace(base, **fields)


async def post(built: House, escrows: Escrows, row: EscrowRow, credits: int) -> bool:
    now_us = built.clock.now_us()
    return await escrows.post(
        row.id, receipt_of(row, now_us, credits), (attempt_of(row, now_us),), over(row.id, "completed")
    )


async def void(built: House, escrows: Escrows, row: EscrowRow) -> bool:
    failed = attempt_of(row, built.clock.now_us(), outcome="failed", status=500, cost=0, seconds=0)
    return await escrows.void(row.id, (failed,), over(row.id, "failed"))


async def held(built: House) -> int:
    """What the account of held money has."""
    return await built.balance(HELD)


async def task_states(built: House) -> dict[str, str]:
    async with reading(built.engine) as connection:
        found = await connection.execute(select(tasks.c.id, tasks.c.state))
        return {id: state for id, state in found}


async def forget_task(built: House, id: str) -> None:
    async with built.engine.begin() as connection:
        await connection.execute(delete(tasks).where(tasks.c.id == id))


class Refused(Exception):
    """What a write raises that finds a newer fence."""


#: What becomes of a transaction: as it should, the write refuses, or its commit is not confirmed, done or not.
FATES = ("whole", "whole", "whole", "refused", "done", "not done")
BROKEN = OperationalError("COMMIT", {}, OSError("connection reset"))


@contextmanager
def commits(fate: str) -> Generator[None]:
    """Within, the next commit is done, or not, and then the connection breaks."""
    if fate not in ("done", "not done"):
        yield
        return
    whole = AsyncConnection.commit

    async def broken(connection: AsyncConnection) -> None:
        AsyncConnection.commit = whole
        await (whole(connection) if fate == "done" else connection.rollback())
        raise BROKEN

    AsyncConnection.commit = broken
    try:
        yield
    finally:
        AsyncConnection.commit = whole


async def refuse(_: AsyncConnection) -> None:
    raise Refused


class Counted(Struct):
    """How often a write ran."""

    times: int = 0

    async def write(self, _: AsyncConnection) -> None:
        self.times += 1

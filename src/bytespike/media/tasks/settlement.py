"""The end of a task: the escrow is posted or voided in the transaction that writes the final state. Once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from msgspec import structs, to_builtins
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger.records import Attempt, Receipt
from bytespike.media.tasks import charging
from bytespike.media.tasks.channels import way_back
from bytespike.media.tasks.claims import Claim
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.record import Found, Task
from bytespike.media.tasks.rows import by_id
from bytespike.media.tasks.submission import model_of
from bytespike.media.tasks.writing import FenceLost, changed_row, fenced
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks, escrows

log = structlog.get_logger("bytespike.media")

_PROTOCOL: Final = "tasks"


async def settle(parts: TaskParts, claim: Claim, told: Callable[[list[str]], None]) -> None:
    """Raises SQLAlchemyError, OSError."""
    async with reading(parts.engine) as connection:
        task = await by_id(connection, claim.id)
    if task is None or task.fence != claim.fence:
        return
    charge = _charge(parts, task)
    now_us = parts.clock.now_us()
    fields: dict[str, object] = {
        "state": task.ending,
        "step": "done",
        "credits": charge.credits,
        "finished_at": now_us,
        "due_at": None,
        "failures": 0,
        "attempts": to_builtins(_attempts(task, charge)),
    }
    if task.ending == "completed":
        fields["progress"] = 100
    if task.started_at is None and task.submit_begun:
        fields["started_at"] = task.begun_at

    async def callback(connection: AsyncConnection) -> None:
        if task.callback_url is not None:
            await connection.execute(insert(callbacks).values(task_id=task.id, attempt=1, due_at=now_us))
        parts.reached("settle_written", task.id)

    write = fenced(claim, parts.clock, fields, callback)
    attempts = _attempts(task, charge)
    parts.reached("settling", claim.id)
    try:
        if charge.billed:
            receipt = _receipt(parts, task, charge, now_us)
            resolved = await parts.escrows.post(task.id, receipt, attempts, write)
        else:
            resolved = await parts.escrows.void(task.id, attempts, write)
    except FenceLost:
        return
    if not resolved:
        await _already_resolved(parts, claim, task, fields, callback)
    parts.reached("settled", claim.id)
    told([claim.id])


async def _already_resolved(
    parts: TaskParts,
    claim: Claim,
    task: Task,
    fields: dict[str, object],
    also: Callable[[AsyncConnection], Awaitable[None]],
) -> None:
    """Only somebody's hand in the database does that. The task ends with what the books have for it."""
    log.error("an escrow was resolved and its task was not over", task_id=task.id)
    async with parts.engine.begin() as connection:
        posted = await connection.execute(select(escrows.c.posted).where(escrows.c.id == task.id))
        credits = posted.scalar() or 0
        if await changed_row(connection, claim, parts.clock.now_us(), {**fields, "credits": credits}):
            await also(connection)


def _charge(parts: TaskParts, task: Task) -> charging.Charge:
    """What it costs: what was made, or what the provider charges for a render that was called off."""
    found = task.found or Found()
    if task.ending == "completed" and task.output:
        return charging.of_output(task, model_of(parts, task.model), task.output, found.seconds)
    if task.ending == "cancelled" and task.upstream_id is not None and found.billed:
        return charging.of_order(task, model_of(parts, task.model))
    return charging.NO_CHARGE


def _attempts(task: Task, charge: charging.Charge) -> tuple[Attempt, ...]:
    """The submissions, with what the provider charges on the one that was taken."""
    attempts = task.attempts
    if not attempts or attempts[-1].outcome != "completed":
        return attempts
    last = attempts[-1]
    if charge.billed:
        images, seconds = charge.usage.images, charge.usage.seconds
        last = structs.replace(last, cost=charge.cost, images=images, seconds=seconds)
    else:
        # It was taken, and nothing came of it.
        last = structs.replace(last, outcome=task.ending, error=task.error_code)
    return (*attempts[:-1], last)


def _receipt(parts: TaskParts, task: Task, charge: charging.Charge, now_us: int) -> Receipt:
    way = way_back(parts, task.channel_id, model_of(parts, task.model))
    latency_ms = max(0, now_us - task.created_at) // 1000
    return Receipt(
        request_id=task.id,
        at=now_us,
        key_id=task.key_id,
        user_id=task.user_id,
        org_id=task.org_id,
        account_id=task.account_id,
        group_id=task.group_id,
        channel_id=task.channel_id,
        upstream_provider=task.upstream_provider,
        model=task.model,
        requested_model=task.requested_model,
        upstream_model=task.upstream_model,
        protocol=_PROTOCOL,
        upstream_protocol="" if way is None else way.surface,
        stream=False,
        usage=charge.usage,
        credits=charge.credits,
        held=task.held,
        price=charge.price,
        multiplier_ppm=task.multiplier_ppm,
        end_reason=task.ending,
        notices=(),
        latency_ms=latency_ms,
        first_token_ms=latency_ms,
    )

"""What is written about claimed rows: gathered for a moment, and then one transaction for all of it.

Ten thousand renders under way are asked for a thousand times a second, and nearly every answer says the same: still
running. What that costs is the write of when to ask again, so such writes are parameters of one statement. The others
are statements of their own in the same transaction.

Every write names the fence that its claim was made under, and does nothing where somebody has claimed the row since. A
database that is away is tried again until it is back: what a provider has answered must not be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog
from sqlalchemy import BigInteger, Boolean, Integer, Text, and_, bindparam, case, insert, not_, select, update
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.clock import Clock
from bytespike.media.tasks import claims
from bytespike.media.tasks.claims import Claim
from bytespike.store.media_tables import task_events, tasks

log = structlog.get_logger("bytespike.media")

#: How long after a failed transaction it is tried again, seconds.
RETRY_S = 1.0

Parameters: TypeAlias = dict[str, object]
Changed: TypeAlias = tuple[Claim, Mapping[str, object], asyncio.Future[bool]]

_HELD = and_(
    tasks.c.id == bindparam("the_id", type_=Text()),
    tasks.c.fence == bindparam("the_fence", type_=BigInteger()),
)
#: Somebody asked for a cancellation while the step was under way: it is seen to at once.
_DUE = case(
    (
        and_(tasks.c.cancel_asked, not_(bindparam("saw_cancel", type_=Boolean()))),
        bindparam("the_now", type_=BigInteger()),
    ),
    else_=bindparam("the_due", type_=BigInteger()),
)
_RELEASED = {"claimed_by": None, "claimed_until": 0}
_RESCHEDULE = update(tasks).where(_HELD).values(due_at=_DUE, failures=bindparam("the_failures"), **_RELEASED)
_PROGRESS = (
    update(tasks)
    .where(_HELD)
    .values(
        due_at=_DUE,
        failures=0,
        progress=bindparam("the_progress"),
        seq=bindparam("the_seq", type_=Integer()),
        updated_at=bindparam("the_now", type_=BigInteger()),
        **_RELEASED,
    )
)
_EVENT = insert(task_events).from_select(
    ["task_id", "seq", "at", "state", "progress"],
    select(
        tasks.c.id, tasks.c.seq, bindparam("the_now", type_=BigInteger()), tasks.c.state, tasks.c.progress
    ).where(_HELD, tasks.c.seq == bindparam("the_seq", type_=Integer())),
)


class FenceLost(Exception):
    """Somebody else has claimed the row since. Nothing was written."""


class Writer:
    """Of one process, for what its worker has claimed. `told(task_ids)` is called for those with new events, `nudge()`
    where something may be due at once."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        name: str,
        told: Callable[[list[str]], None],
        nudge: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._name = name
        self._told = told
        self._nudge = nudge
        self._rescheduled: list[Parameters] = []
        self._progressed: list[Parameters] = []
        self._changed: list[Changed] = []
        self._wake = asyncio.Event()

    # --- what steps say --------------------------------------------------------------------------------------------

    def reschedule(self, claim: Claim, due_at: int, failures: int = 0) -> None:
        """Nothing is new; the claim is given back, and the row is due at `due_at`."""
        self._rescheduled.append(
            {
                "the_id": claim.id,
                "the_fence": claim.fence,
                "the_due": due_at,
                "the_failures": failures,
                "saw_cancel": claim.cancel_asked,
                "the_now": self._clock.now_us(),
            }
        )
        self._wake.set()

    def progress(self, claim: Claim, progress: int, due_at: int) -> None:
        """The same, and its progress is another."""
        self._progressed.append(
            {
                "the_id": claim.id,
                "the_fence": claim.fence,
                "the_due": due_at,
                "saw_cancel": claim.cancel_asked,
                "the_now": self._clock.now_us(),
                "the_progress": progress,
                "the_seq": claim.seq + 1,
            }
        )
        self._wake.set()

    async def change(self, claim: Claim, **fields: object) -> bool:
        """Write columns, and wait until they are written; False: the claim was lost, and nothing was. An event goes with
        it where `state` or `progress` is among them. With `due_at` the claim is given back."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._changed.append((claim, fields, done))
        self._wake.set()
        return await done

    def now_us(self) -> int:
        """Unix microseconds."""
        return self._clock.now_us()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be written."""
        return not (self._rescheduled or self._progressed or self._changed)

    # --- the one task ----------------------------------------------------------------------------------------------

    async def run(self, gather_s: float) -> None:
        """Write what there is, until cancelled."""
        while True:
            await self._wake.wait()
            # What else is said in the meantime goes along.
            await asyncio.sleep(gather_s)
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what there is now, however long the database keeps it waiting."""
        rescheduled, self._rescheduled = self._rescheduled, []
        progressed, self._progressed = self._progressed, []
        changed, self._changed = self._changed, []
        if not (rescheduled or progressed or changed):
            return
        while True:
            try:
                async with self._engine.begin() as connection:
                    written = await self._write(connection, rescheduled, progressed, changed)
                break
            except (DataError, IntegrityError, ProgrammingError) as error:
                # No trying again helps: what the database does not take must not keep the rest from being written.
                changed = await self._without_wrong(changed, error)
            except (SQLAlchemyError, OSError) as error:
                log.warning("tasks cannot be written, trying again", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        told = [str(each["the_id"]) for each in progressed]
        for (claim, _, done), held in zip(changed, written, strict=True):
            if held:
                told.append(claim.id)
            if not done.done():
                done.set_result(held)
        if told:
            self._told(told)
        if changed:
            self._nudge()

    async def _without_wrong(self, changed: list[Changed], error: SQLAlchemyError) -> list[Changed]:
        """Those that can be written; whoever wanted one of the others gets its error. `error`: of all together."""
        if not changed:
            # It is not one of these: then it is ours, and a person has to look.
            log.error("tasks cannot be written", exc_info=error)
            await asyncio.sleep(RETRY_S)
        good: list[Changed] = []
        for each in changed:
            claim, fields, done = each
            try:
                async with self._engine.connect() as connection:
                    await changed_row(connection, claim, self._clock.now_us(), fields)
                    await connection.rollback()
            except (DataError, IntegrityError, ProgrammingError) as wrong:
                if not done.done():
                    done.set_exception(wrong)
                continue
            except (SQLAlchemyError, OSError):
                # The database is away: all of them are tried again, together.
                pass
            good.append(each)
        return good

    async def _write(
        self,
        connection: AsyncConnection,
        rescheduled: list[Parameters],
        progressed: list[Parameters],
        changed: list[Changed],
    ) -> list[bool]:
        if rescheduled:
            await connection.execute(_RESCHEDULE, rescheduled)
        if progressed:
            await connection.execute(_PROGRESS, progressed)
            events = [
                {name: each[name] for name in ("the_id", "the_fence", "the_now", "the_seq")}
                for each in progressed
            ]
            await connection.execute(_EVENT, events)
        now_us = self._clock.now_us()
        return [await changed_row(connection, claim, now_us, fields) for claim, fields, _ in changed]

    async def renew(self, ids: list[str], until_us: int) -> None:
        """Keep these claims until then. Raises SQLAlchemyError, OSError."""
        async with self._engine.begin() as connection:
            await claims.renew(connection, self._name, ids, until_us)


async def changed_row(
    connection: AsyncConnection, claim: Claim, now_us: int, fields: Mapping[str, object]
) -> bool:
    """Write columns of a claimed row; False: the claim was lost. See `Writer.change`."""
    values: dict[str, object] = {**fields, "updated_at": now_us}
    if "due_at" in fields:
        due_at = fields["due_at"]
        values |= _RELEASED
        if due_at is not None and not claim.cancel_asked:
            values["due_at"] = case((tasks.c.cancel_asked, now_us), else_=due_at)
    told = "state" in fields or "progress" in fields
    if told:
        values["seq"] = claim.seq + 1
    done = await connection.execute(
        update(tasks).where(tasks.c.id == claim.id, tasks.c.fence == claim.fence).values(values)
    )
    if done.rowcount == 0:
        return False
    if told:
        await connection.execute(
            insert(task_events).values(
                task_id=claim.id,
                seq=claim.seq + 1,
                at=now_us,
                state=fields.get("state", claim.state),
                progress=fields.get("progress", claim.progress),
            )
        )
    return True


def fenced(
    claim: Claim,
    clock: Clock,
    fields: Mapping[str, object],
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
) -> Callable[[AsyncConnection], Awaitable[None]]:
    """The same as part of somebody else's transaction, which it rolls back by `FenceLost`. `also`: what goes with it."""

    async def write(connection: AsyncConnection) -> None:
        if not await changed_row(connection, claim, clock.now_us(), fields):
            raise FenceLost(claim.id)
        if also is not None:
            await also(connection)

    return write

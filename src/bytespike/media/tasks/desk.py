"""What clients do with tasks: submit, query, cancel, list, watch, remove."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike import ids
from bytespike.accounts.records import KeyRecord
from bytespike.catalog.models import Model
from bytespike.errors import (
    Conflict,
    DuplicateOutTaskId,
    GatewayError,
    InvalidRequest,
    ModelNotInGroup,
    NoAvailableChannel,
    PermissionDenied,
    TaskNotFound,
    UnsupportedFeature,
)
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.escrow import Escrow
from bytespike.media.tasks import charging, rows
from bytespike.media.tasks.callbacks import check_callback_url
from bytespike.media.tasks.channels import Way, resting, serving, ways
from bytespike.media.tasks.estimates import Estimates
from bytespike.media.tasks.events import Watch
from bytespike.media.tasks.new_task import Submission, new_task
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.record import (
    ID_PREFIX,
    OUT_TASK_ID_CHARS_MAX,
    Task,
    TaskEvent,
    input_hash,
    storable,
)
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks, task_events, tasks
from bytespike.upstream.guard import Resolver

#: How long a cancellation waits for the provider's answer, and how often it looks, seconds.
CANCEL_S: Final = 3.0
CANCEL_LOOK_S: Final = 0.25
#: Tasks in one page.
LISTING_MAX: Final = 101


class Submitted(Struct, frozen=True):
    """`repeated`: the key had submitted it before under this `out_task_id`, with the same inputs."""

    task: Task
    repeated: bool


class Estimate(Struct, frozen=True):
    """`credits` micro-dollars that would be set aside; `seconds` until it would be over."""

    credits: int
    seconds: int


class _Unchanged(Exception):
    """The row is no longer as it has to be for this. Nothing was written."""


class Desk:
    """`resolver`: of callbacks. `nudge`: tells the worker of this process that something is due."""

    def __init__(self, parts: TaskParts, watch: Watch, resolver: Resolver, nudge: Callable[[], None]) -> None:
        self._parts = parts
        self._watch = watch
        self._resolver = resolver
        self._nudge = nudge
        self._estimates = Estimates(parts.engine, parts.clock)
        # Who submits under a name just now, by key and name: others of the same name wait for what comes of it.
        self._submitting: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    # --- submitting ------------------------------------------------------------------------------------------------

    def model_for(self, key: KeyRecord, name: str) -> Model:
        """The model of a task. Raises: ModelNotFound, PermissionDenied, ModelNotInGroup, InvalidRequest (a text model),
        NoAvailableChannel."""
        model = self._parts.catalog.current.resolve(name).model
        if model.kind == "text":
            raise InvalidRequest(
                f"{model.slug} is a text model; tasks are for images and video, text models answer at once",
                param="model",
            )
        if key.allowed_models is not None and model.slug not in key.allowed_models:
            raise PermissionDenied(f"this key may not use the model {model.slug}", param="model")
        routes = self._parts.directory.routes
        group = routes.groups.get(key.group_id)
        if group is None or group.status != "active":
            raise PermissionDenied("this key's group is not active")
        if serving(self._parts, key.group_id, model):
            return model
        channels = [
            each
            for each in routes.channels.values()
            if model.slug in each.models and key.group_id in each.group_ids
        ]
        if not channels:
            raise ModelNotInGroup(
                f"no channel of the group {group.name} serves {model.slug}; GET /v1/models lists what this key reaches",
                param="model",
            )
        if any(each.enabled for each in channels):
            raise UnsupportedFeature(f"{model.slug} cannot be made by a task", param="model")
        raise NoAvailableChannel(
            f"every channel for {model.slug} is disabled; its operator has to look", retry_after=60
        )

    async def estimate(self, key: KeyRecord, account: KeyAccount, submission: Submission) -> Estimate:
        """What it would cost and take; nothing is set aside for longer than this call. Raises what `submit` raises, but for Conflict."""
        way, _ = self._planned(key, submission)
        await self._check(submission)
        credits = self._credits(key, way, submission)
        ledger = self._parts.ledger
        hold = await ledger.acquire(account, ID_PREFIX + ids.ulid(), credits, submission.model.slug)
        ledger.void(hold)
        return Estimate(credits, await self._estimates.seconds(submission.model.slug, submission.order))

    async def submit(self, key: KeyRecord, account: KeyAccount, submission: Submission) -> Submitted:
        """The task, pending, with its price fixed and its money in escrow; `task.held` is what it may cost.

        Raises: Conflict (`out_task_id` names a task with other inputs), InvalidRequest (`out_task_id`, `callback_url`, or
        an order that the channel's API cannot carry), NoAvailableChannel, and what `Ledger.acquire` raises.
        """
        name = submission.out_task_id
        if name is None:
            return await self._submitted(key, account, submission)
        if not 0 < len(name) <= OUT_TASK_ID_CHARS_MAX or storable(name) != name:
            raise InvalidRequest(
                f"out_task_id has 1 to {OUT_TASK_ID_CHARS_MAX} characters", param="out_task_id"
            )
        place = (key.id, name)
        lock, waiting = self._submitting.get(place, (asyncio.Lock(), 0))
        self._submitting[place] = (lock, waiting + 1)
        try:
            async with lock:
                before = await self._before(key.id, name, submission)
                if before is not None:
                    return before
                try:
                    return await self._submitted(key, account, submission)
                except (GatewayError, rows.NameTaken):
                    # Another process may have been quicker, and have what is left of the money for it.
                    before = await self._before(key.id, name, submission)
                    if before is None:
                        raise
                    return before
        finally:
            lock, waiting = self._submitting[place]
            if waiting == 1:
                del self._submitting[place]
            else:
                self._submitting[place] = (lock, waiting - 1)

    async def _submitted(self, key: KeyRecord, account: KeyAccount, submission: Submission) -> Submitted:
        """Raises NameTaken besides what `submit` raises."""
        way, group_ppm = self._planned(key, submission)
        await self._check(submission)
        credits = self._credits(key, way, submission)
        seconds = await self._estimates.seconds(submission.model.slug, submission.order)
        task = new_task(
            key,
            submission,
            way,
            multiplier_ppm=group_ppm,
            credits=credits,
            seconds=seconds,
            now_us=self._parts.clock.now_us(),
            age_s_max=self._parts.limits.age_s_max,
        )
        self._try_order(way, submission, task.id)
        ledger = self._parts.ledger
        hold = await ledger.acquire(account, task.id, credits, submission.model.slug)

        async def write(connection: AsyncConnection) -> None:
            await rows.add(connection, task)

        try:
            await self._parts.escrows.place(hold, Escrow(task.id, task.created_at), write)
        finally:
            if hold.state == "open":
                ledger.void(hold)
        self._parts.reached("placed", task.id)
        self._nudge()
        return Submitted(task, repeated=False)

    def _planned(self, key: KeyRecord, submission: Submission) -> tuple[Way, int]:
        """The channel that it goes to as things are, and the group's multiplier."""
        model = submission.model
        found = ways(self._parts, key.group_id, model) or resting(self._parts, key.group_id, model)
        if not found:
            raise NoAvailableChannel(
                f"every channel for {model.slug} is refused by its upstream; its operator has to look",
                retry_after=60,
            )
        return found[0], self._parts.directory.routes.groups[key.group_id].multiplier_ppm

    def _credits(self, key: KeyRecord, way: Way, submission: Submission) -> int:
        price = way.channel.models[submission.model.slug].price
        group = self._parts.directory.routes.groups[key.group_id]
        return charging.estimate(submission.model, submission.order, price, group.multiplier_ppm)

    async def _check(self, submission: Submission) -> None:
        if submission.callback_url is not None:
            await check_callback_url(submission.callback_url, self._resolver)

    def _try_order(self, way: Way, submission: Submission, task_id: str) -> None:
        """What the channel's API cannot carry is told now, not when the task is submitted there. Pictures by URL that it takes
        inline only are fetched then."""
        renderer = self._parts.renderers.get(way.surface) if submission.model.kind == "video" else None
        if renderer is None:
            return
        upstream_model = way.channel.models[submission.model.slug].upstream_model
        try:
            renderer.submit(submission.order, upstream_model, task_id)
        except UnsupportedFeature as error:
            if error.by_url != "image":
                raise

    async def _before(self, key_id: str, name: str, submission: Submission) -> Submitted | None:
        """The task that the key has under this name already. Raises Conflict."""
        async with reading(self._parts.engine) as connection:
            task = await rows.by_out_id(connection, key_id, name)
        if task is None:
            return None
        if task.input_hash != input_hash(submission.model.slug, submission.order):
            raise DuplicateOutTaskId(
                f"out_task_id {name[:80]!r} names {task.id}, which has another model or other parameters",
                param="out_task_id",
            )
        return Submitted(task, repeated=True)

    # --- looking ---------------------------------------------------------------------------------------------------

    async def query(self, key_id: str, *, task_id: str | None = None, out_task_id: str | None = None) -> Task:
        """Exactly one of both is given. Raises: NotFound."""
        async with reading(self._parts.engine) as connection:
            if task_id is not None:
                task = await rows.by_id(connection, task_id)
            else:
                task = await rows.by_out_id(connection, key_id, out_task_id or "")
        if task is None or task.key_id != key_id:
            raise TaskNotFound(f"there is no task {(task_id or out_task_id or '')[:80]!r} of this key")
        return task

    async def listing(
        self,
        key_id: str,
        kind: Literal["image", "video"],
        *,
        limit: int,
        after: str | None = None,
        newest_first: bool = True,
    ) -> list[Task]:
        """A key's tasks of a kind, however they were submitted, `LISTING_MAX` at most. `after`: the id of the last one seen."""
        async with reading(self._parts.engine) as connection:
            return await rows.of_key(connection, key_id, kind, min(limit, LISTING_MAX), after, newest_first)

    async def events(self, key_id: str, task_id: str, after: int, wait_s: float) -> list[TaskEvent]:
        """The events after number `after`, waiting for the first of them up to `wait_s` seconds: [] if none came (the time for a
        keep-alive). The last event of a task has a state that is over. Raises: NotFound."""
        found = await self._watch.after(task_id, after, wait_s)
        if not found:
            # It may be somebody else's, or gone.
            await self.query(key_id, task_id=task_id)
        return found

    # --- ending ----------------------------------------------------------------------------------------------------

    async def cancel(
        self, key_id: str, *, task_id: str | None = None, out_task_id: str | None = None
    ) -> Task:
        """The task as it is after a short wait: mostly cancelled; still running where the provider has yet to answer; or
        as it ended, where that was first. Raises: NotFound."""
        task = await self.query(key_id, task_id=task_id, out_task_id=out_task_id)
        if task.over or await self._cancelled_unsubmitted(task):
            return await self.query(key_id, task_id=task.id)
        async with self._parts.engine.begin() as connection:
            await connection.execute(
                update(tasks)
                .where(tasks.c.id == task.id, tasks.c.due_at.is_not(None))
                .values(cancel_asked=True)
            )
            # One that nobody works on is due now; else whoever does sees to it when he writes.
            await connection.execute(
                update(tasks)
                .where(tasks.c.id == task.id, tasks.c.due_at.is_not(None), tasks.c.claimed_until == 0)
                .values(due_at=self._parts.clock.now_us())
            )
        self._nudge()
        loop = asyncio.get_running_loop()
        until = loop.time() + CANCEL_S
        while True:
            task = await self.query(key_id, task_id=task.id)
            left = until - loop.time()
            if task.over or left <= 0:
                return task
            await self._watch.after(task.id, task.seq, min(left, CANCEL_LOOK_S))

    async def _cancelled_unsubmitted(self, task: Task) -> bool:
        """Where nobody has begun with it, it ends here and now, and costs nothing. False: somebody has."""
        if task.step != "submit" or task.submit_begun:
            return False
        now_us = self._parts.clock.now_us()

        async def write(connection: AsyncConnection) -> None:
            done = await connection.execute(
                update(tasks)
                .where(tasks.c.id == task.id, tasks.c.fence == task.fence, tasks.c.claimed_until == 0)
                .where(tasks.c.step == "submit", tasks.c.submit_begun.is_(False))
                .values(
                    state="cancelled",
                    step="done",
                    due_at=None,
                    fence=tasks.c.fence + 1,
                    seq=task.seq + 1,
                    finished_at=now_us,
                    updated_at=now_us,
                )
            )
            if done.rowcount == 0:
                raise _Unchanged
            await connection.execute(
                task_events.insert().values(
                    task_id=task.id,
                    seq=task.seq + 1,
                    at=now_us,
                    state="cancelled",
                    progress=task.progress,
                )
            )
            if task.callback_url is not None:
                await connection.execute(callbacks.insert().values(task_id=task.id, attempt=1, due_at=now_us))

        try:
            done = await self._parts.escrows.void(task.id, task.attempts, write)
        except _Unchanged:
            return False
        self._watch.tell([task.id])
        self._nudge()
        return done

    async def remove(self, key_id: str, task_id: str) -> Task:
        """Forget a task that is over, and what it made. Raises: NotFound, Conflict (it is not over)."""
        task = await self.query(key_id, task_id=task_id)
        if not task.over:
            raise Conflict(f"{task_id} is {task.state}; cancel it first")
        await self._parts.store.delete_of_task(task_id, key_id)
        async with self._parts.engine.begin() as connection:
            await rows.remove(connection, task_id)
        return task

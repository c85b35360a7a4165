"""The worker: claims what is due, has it done, keeps the claims of what takes long. One in every serving process.

It looks when something becomes due, when somebody in its process has made something due (`nudge`), and once a second anyway, for what other
processes left. Each look is one read; only where that finds something is there a write. What is claimed together is
worked on at once, each step in a task of its own, and what they say goes to the database together (`writing.py`).

So the cost of a render that is under way is that of its polls, and nothing else: no timer, no task, no memory.

When it is told to stop it claims nothing more, gives the steps under way a moment to end, and gives back the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bytespike import ids
from bytespike.errors import InternalError
from bytespike.media.tasks import claims, rows
from bytespike.media.tasks.callbacks import Callbacks
from bytespike.media.tasks.channels import Way, way_back
from bytespike.media.tasks.claims import CallbackClaim, Claim, Group
from bytespike.media.tasks.endings import failed
from bytespike.media.tasks.events import Watch
from bytespike.media.tasks.fetching import fetch, fetch_again
from bytespike.media.tasks.pacing import micros, retry_us
from bytespike.media.tasks.parts import TaskParts
from bytespike.media.tasks.polling import expire, poll
from bytespike.media.tasks.reconciling import reconcile
from bytespike.media.tasks.record import ID_PREFIX
from bytespike.media.tasks.settlement import settle
from bytespike.media.tasks.submission import Begun, begin, model_of, submit, unsubmitted
from bytespike.media.tasks.writing import Writer
from bytespike.store.engine import reading

log = structlog.get_logger("bytespike.media")

#: Rows claimed at once.
BATCH_MAX: Final = 256
#: Callbacks that are made at once.
CALLBACKS_MAX: Final = 64
#: After a database error, seconds.
RETRY_S: Final = 1.0
#: Old tasks are looked for so often, and so many deleted at once.
SWEEP_S: Final = 600.0
SWEEP_MAX: Final = 500
_GROUPS: Final[tuple[Group, ...]] = ("quick", "slow")
_S_PER_DAY: Final = 86_400


class Worker:
    """`start`, then `stop`. `nudge()`: something has become due just now."""

    def __init__(self, parts: TaskParts, watch: Watch) -> None:
        self._parts = parts
        self._watch = watch
        self._writer = Writer(parts.engine, parts.clock, parts.name, watch.tell, self.nudge)
        self._calls_back = Callbacks(parts)
        self._wake = asyncio.Event()
        self._stopping = False
        self._steps: dict[Group, set[asyncio.Task[None]]] = {group: set() for group in _GROUPS}
        self._callbacks: set[asyncio.Task[None]] = set()
        self._held: dict[str, tuple[Claim, int]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._swept_ns = 0
        #: Something may be due that nobody has a hand free for.
        self._full = False

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier process of this name had claimed, and begin. Raises SQLAlchemyError, OSError."""
        async with self._parts.engine.begin() as connection:
            await claims.take_over(connection, self._parts.name, self._parts.clock.now_us())
        for coroutine in (self._run(), self._writer.run(0.0), self._renew()):
            self._background.append(asyncio.create_task(coroutine))

    async def stop(self) -> None:
        """Steps under way may end, for `Pace.grace_s`; what is left is given back."""
        self._stopping = True
        self._wake.set()
        runner, writer, renewer = self._background
        await runner
        # Some begin others.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._parts.pace.grace_s):
                while under_way := self._tasks():
                    await asyncio.wait(under_way)
        while under_way := self._tasks():
            for step in under_way:
                step.cancel()
            await asyncio.wait(under_way)
        for each in (writer, renewer):
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each
        # Rows that are still held: a submission whose answer never came among them, which the next one reconciles.
        now_us = self._parts.clock.now_us()
        for claim, _ in self._held.values():
            self._writer.reschedule(claim, now_us, claim.failures)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._parts.pace.grace_s):
                await self._writer.flush()

    def nudge(self) -> None:
        self._wake.set()

    @property
    def under_way(self) -> int:
        """Steps that are being taken now."""
        return len(self._tasks())

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._steps["quick"], *self._steps["slow"], *self._callbacks]

    # --- looking for work ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pace = self._parts.pace
        while not self._stopping:
            self._wake.clear()
            try:
                pause = await self._look()
                await self._sweep()
            except (SQLAlchemyError, OSError) as error:
                log.warning("tasks cannot be claimed, trying again", error=type(error).__name__)
                pause = RETRY_S
            if self._stopping:
                return
            if pause > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
            # What becomes due within a moment is done together.
            await asyncio.sleep(pace.gather_s)

    async def _look(self) -> float:
        """Claim what is due and begin with it; seconds until the next look."""
        pace = self._parts.pace
        groups: list[Group] = [group for group in _GROUPS if self._room(group)]
        callbacks = CALLBACKS_MAX - len(self._callbacks)
        self._full = len(groups) < len(_GROUPS) or not callbacks
        now_us = self._parts.clock.now_us()
        async with reading(self._parts.engine) as connection:
            due_at = await claims.next_due(connection, groups, callbacks=callbacks > 0)
        if due_at is None:
            return pace.idle_s
        if due_at > now_us:
            return min((due_at - now_us) / 1_000_000, pace.idle_s)
        await self._claim(groups, callbacks, now_us)
        return 0.0

    def _room(self, group: Group) -> int:
        """How many more steps may be taken now."""
        return min(BATCH_MAX, self._parts.limits.steps_max[group] - len(self._steps[group]))

    async def _claim(self, groups: list[Group], callbacks: int, now_us: int) -> None:
        name = self._parts.name
        until_us = now_us + micros(self._parts.pace.lease_s)
        found: dict[Group, list[Claim]] = {}
        called_back: list[CallbackClaim] = []
        async with self._parts.engine.begin() as connection:
            for group in groups:
                room = self._room(group)
                found[group] = await claims.claim(connection, name, group, room, now_us, until_us)
            if callbacks:
                called_back = await claims.claim_callbacks(connection, name, callbacks, now_us, until_us)
        for group, claimed in found.items():
            self._held.update((claim.id, (claim, until_us)) for claim in claimed)
            self._begin_steps(group, claimed)
        for each in called_back:
            self._track(self._callbacks, self._calls_back.call(each))

    def _begin_steps(self, group: Group, claimed: list[Claim]) -> None:
        submissions: list[Claim] = []
        for claim in claimed:
            if self._may_begin(claim):
                submissions.append(claim)
            else:
                self._track(self._steps[group], self._guarded(claim, self._step(claim)))
        if submissions:
            self._track(self._steps[group], self._submit_all(group, submissions))

    def _may_begin(self, claim: Claim) -> bool:
        return (
            claim.step == "submit"
            and not claim.submit_begun
            and not claim.cancel_asked
            and claim.expires_at > self._parts.clock.now_us()
        )

    def _track(self, among: set[asyncio.Task[None]], coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        if self._full:
            self._wake.set()

    # --- steps -----------------------------------------------------------------------------------------------------

    async def _submit_all(self, group: Group, claimed: list[Claim]) -> None:
        """One transaction says that they begin; then each is a step of its own."""
        begun: list[Begun] = []
        try:
            begun = await begin(self._parts, self._writer, claimed)
        except (SQLAlchemyError, OSError) as error:
            log.warning("submissions cannot begin", error=type(error).__name__)
            for claim in claimed:
                self._rest(claim)
        except Exception as error:
            # As in `_guarded`.
            log.error("submissions cannot begin", exc_info=error)
            for claim in claimed:
                self._rest(claim)
        held = {each.claim.id for each in begun}
        for claim in claimed:
            if claim.id not in held:
                self._held.pop(claim.id, None)
        for each in begun:
            self._track(
                self._steps[group], self._guarded(each.claim, submit(self._parts, self._writer, each))
            )

    async def _guarded(self, claim: Claim, step: Coroutine[None, None, None]) -> None:
        """A step must not take the worker down with it."""
        try:
            await step
        except (SQLAlchemyError, OSError, InternalError) as error:
            log.warning("a step could not be written", task_id=claim.id, error=type(error).__name__)
            self._rest(claim)
        except Exception as error:
            # Whatever it was: the row is tried again, less and less often, until its time is over.
            log.error("a step broke", task_id=claim.id, step=claim.step, exc_info=error)
            self._rest(claim)
        except asyncio.CancelledError:
            # The worker stops: the claim is given back there.
            return
        self._held.pop(claim.id, None)

    def _rest(self, claim: Claim) -> None:
        failures = claim.failures + 1
        now_us = self._parts.clock.now_us()
        self._writer.reschedule(claim, retry_us(self._parts.pace, failures, now_us), failures)

    async def _step(self, claim: Claim) -> None:
        parts, writer = self._parts, self._writer
        if claim.step == "settle":
            await settle(parts, claim, self._watch.tell)
            # Its callback is due.
            self.nudge()
            return
        if await unsubmitted(parts, writer, claim):
            return
        way = self._way(claim)
        if claim.expires_at <= parts.clock.now_us():
            await expire(parts, writer, claim, way)
        elif claim.step == "submit":
            await reconcile(parts, writer, claim)
        elif claim.step == "poll":
            await poll(parts, writer, claim, way)
        else:
            error = await fetch(parts, writer, claim, way)
            if error is not None and not await fetch_again(writer, parts, claim, error):
                await failed(writer, claim, error.error)

    def _way(self, claim: Claim) -> Way | None:
        return way_back(self._parts, claim.channel_id, model_of(self._parts, claim.model))

    # --- housekeeping ----------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Keep the claims of steps that take long: twice in each lease."""
        lease_us = micros(self._parts.pace.lease_s)
        while True:
            await asyncio.sleep(self._parts.pace.lease_s / 4)
            now_us = self._parts.clock.now_us()
            old = [id for id, (_, until_us) in self._held.items() if until_us - now_us < lease_us * 2 // 3]
            if not old:
                continue
            try:
                await self._writer.renew(old, now_us + lease_us)
            except (SQLAlchemyError, OSError) as error:
                log.warning("claims cannot be renewed", error=type(error).__name__)
                continue
            for id in old:
                if id in self._held:
                    self._held[id] = (self._held[id][0], now_us + lease_us)

    async def _sweep(self) -> None:
        """Delete tasks that have been over for long, and pictures of those that are over. Raises SQLAlchemyError, OSError."""
        now_ns = self._parts.clock.monotonic_ns()
        if now_ns - self._swept_ns < SWEEP_S * 1_000_000_000 and self._swept_ns:
            return
        self._swept_ns = now_ns
        limits = self._parts.limits
        age_us = micros(limits.days * _S_PER_DAY + limits.age_s_max)
        oldest = ID_PREFIX + ids.ulid_floor((self._parts.clock.now_us() - age_us) // 1000)
        while not self._stopping:
            async with self._parts.engine.begin() as connection:
                gone = await rows.remove_before(connection, oldest, SWEEP_MAX)
                dropped = await rows.drop_pictures(connection, SWEEP_MAX)
            if max(gone, dropped) < SWEEP_MAX:
                return

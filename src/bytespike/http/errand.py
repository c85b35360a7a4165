"""A request's coroutine on its way to its end: what a task is to asyncio, without what a task costs.

A task is made with a name, listed with all others, begun in the loop's next turn, and told of in another when it is over.
A request needs none of that: its connection begins it, and it goes on whenever what it waits for is there. For asyncio's
timeouts, and for whoever asks which task is running, an errand is one: it has `cancel`, `uncancel` and `cancelling`, and
asyncio is told of it while it runs, in the way that its documentation has for tasks of one's own.

What wants more of a task than that, as AnyIO does, is run in a real one (`inbound/bridge.py`).
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import Any, cast

import structlog

log = structlog.get_logger("bytespike.http")


class Errand:
    """`running`: the set that it is in until it is over. `begin` it once, outside of any task."""

    __slots__ = (
        "_cancel_requests",
        "_context",
        "_coroutine",
        "_loop",
        "_must_cancel",
        "_over",
        "_running",
        "_waits_for",
    )

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, running: set[Errand]
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._running = running
        self._context = contextvars.copy_context()
        self._waits_for: asyncio.Future[Any] | None = None
        self._must_cancel = False
        self._cancel_requests = 0
        self._over = False

    def begin(self) -> None:
        """As far as it gets without waiting."""
        self._running.add(self)
        self._context.run(self._step, None)

    # --- what a task has -----------------------------------------------------------------------------------------

    def cancel(self, msg: object = None) -> bool:
        """Raise CancelledError where it waits, or as soon as it does. False: it is over."""
        del msg
        if self._over:
            return False
        self._cancel_requests += 1
        waits_for = self._waits_for
        if waits_for is None or not waits_for.cancel():
            self._must_cancel = True
        return True

    def uncancel(self) -> int:
        """One of the requests to cancel was dealt with. How many are left."""
        if self._cancel_requests > 0:
            self._cancel_requests -= 1
        return self._cancel_requests

    def cancelling(self) -> int:
        """How many requests to cancel there are."""
        return self._cancel_requests

    def done(self) -> bool:
        return self._over

    # --- within --------------------------------------------------------------------------------------------------

    def _step(self, error: BaseException | None) -> None:
        if self._must_cancel:
            self._must_cancel = False
            if not isinstance(error, asyncio.CancelledError):
                error = asyncio.CancelledError()
        self._waits_for = None
        loop = self._loop
        task = cast("asyncio.Task[None]", self)
        coroutine = self._coroutine
        _enter_task(loop, task)
        try:
            waits_for = coroutine.send(None) if error is None else coroutine.throw(error)
        except (StopIteration, asyncio.CancelledError):
            self._end()
            return
        except Exception as failure:  # the boundary of one request
            self._end()
            log.error("unexpected error", exc_info=failure)
            return
        except BaseException:
            self._end()
            raise
        finally:
            _leave_task(loop, task)
        if waits_for is None:
            loop.call_soon(self._step, None, context=self._context)
            return
        if (
            getattr(waits_for, "_asyncio_future_blocking", None) is not True
            or waits_for.get_loop() is not loop
        ):
            wrong = RuntimeError(f"a request waits for {waits_for!r}, which is no future of this loop")
            loop.call_soon(self._step, wrong, context=self._context)
            return
        waits_for._asyncio_future_blocking = False
        self._waits_for = waits_for
        waits_for.add_done_callback(self._wake, context=self._context)
        if self._must_cancel and waits_for.cancel():
            self._must_cancel = False

    def _wake(self, future: asyncio.Future[Any]) -> None:
        # What it came to is found by the coroutine itself, which awaits it.
        del future
        self._step(None)

    def _end(self) -> None:
        self._over = True
        self._running.discard(self)

"""What is done once for all requests of one turn of the event loop, at its end.

A busy loop has several answers ready in a turn. Each would cost a write to the spool and one to its client, with work on
the next in between; the client falls asleep meanwhile and has to be woken for each. Gathered, the receipts are one write,
and the answers leave in one go behind it. A request that is alone in its turn waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger("bytespike.loop")


class LoopTurn:
    """One for each event loop. `first` must hold before anything of `then` happens: receipts are durable, then answers
    leave."""

    __slots__ = ("_first", "_scheduled", "_then")

    def __init__(self) -> None:
        self._first: list[Callable[[], None]] = []
        self._then: list[Callable[[], None]] = []
        self._scheduled = False

    def first(self, action: Callable[[], None]) -> None:
        """At the end of this turn, before everything that was given to `then`."""
        self._first.append(action)
        if not self._scheduled:
            self._schedule()

    def then(self, action: Callable[[], None]) -> None:
        """At the end of this turn, in the order of the calls."""
        self._then.append(action)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        first, then = self._first, self._then
        self._first, self._then = [], []
        self._scheduled = False
        for action in first:
            _run(action)
        for action in then:
            _run(action)


def _run(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:  # the boundary between one request and the others
        log.error("unexpected error at the end of a loop's turn", exc_info=error)

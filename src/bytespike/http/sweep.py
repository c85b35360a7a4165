"""What the connections of one server share: a sweep that keeps their deadlines, and the date."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Protocol

from bytespike.loop_turn import LoopTurn

SWEEP_SECONDS = 0.5


class Timed(Protocol):
    """A connection. `deadline`: the loop time at which `late` is to be called; 0: never."""

    @property
    def deadline(self) -> float: ...
    def late(self) -> None: ...


class Shared:
    """What the connections of one server share: the sweep that keeps their deadlines, the `date` of answers, and the turn
    of the loop at whose end answers leave. `stopping`: the server stops."""

    __slots__ = ("_connections", "_date", "_loop", "_second", "_timer", "stopping", "turn")

    def __init__(self, turn: LoopTurn) -> None:
        self.turn = turn
        self.stopping = False
        self._connections: set[Timed] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._date = b""

    def add(self, connection: Timed, loop: asyncio.AbstractEventLoop) -> None:
        self._connections.add(connection)
        if self._timer is None:
            self._loop = loop
            self._timer = loop.call_later(SWEEP_SECONDS, self._look)

    def discard(self, connection: Timed) -> None:
        self._connections.discard(connection)

    def date(self) -> bytes:
        """The header line, made once a second."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        return self._date

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for connection in list(self._connections):
            if connection.deadline and connection.deadline <= now:
                connection.late()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._look) if self._connections else None

"""The state of one request and its answer.

It is shared by two: the connection puts in what comes from the socket, the answer takes out what its reader wants.
Whoever waits does so on `waiter`, a future that never carries anything: it says "look again". Once the exchange is
complete or has failed, the connection lets go of it, and it is only a box with the bytes that are left.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from bytespike.upstream.errors import Kind, TransportError
from bytespike.upstream.limits import Timeouts


class Line(Protocol):
    """What an exchange needs of its connection."""

    def resume(self) -> None:
        """The reader has taken what there was."""
        ...

    def fail(self, kind: Kind, message: str) -> None:
        """Cut the connection; the exchange fails with this."""
        ...


class Exchange:
    """`line` is set while a connection works on it. At the end exactly one of `complete` and `failure` is set.

    `patience`: the reader waits so long at most, in seconds; the sweep, when it first sees it waiting, notes until when
    (`wake_at`, loop time), and then wakes it and says so (`overdue`). So waiting with patience costs no look at the clock.
    `untouched`: it failed before one byte of an answer came. All times are the loop's, in seconds.
    """

    __slots__ = (
        "complete",
        "failure",
        "head_done",
        "head_only",
        "headers",
        "line",
        "overdue",
        "patience",
        "pieces",
        "sent_at",
        "started_at",
        "status",
        "timeouts",
        "unread",
        "untouched",
        "waiter",
        "wake_at",
    )

    def __init__(self, timeouts: Timeouts, started_at: float, *, head_only: bool) -> None:
        self.timeouts = timeouts
        self.started_at = started_at
        self.head_only = head_only
        self.line: Line | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.patience: float | None = None
        self.wake_at: float | None = None
        self.overdue = False
        self.sent_at = started_at
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.head_done = False
        self.pieces: list[bytes] = []
        self.unread = 0
        self.complete = False
        self.failure: tuple[Kind, str] | None = None
        self.untouched = False

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def take(self) -> bytes:
        """All unread bytes. There are some."""
        pieces = self.pieces
        self.pieces = []
        self.unread = 0
        if self.line is not None:
            self.line.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def cut(self, kind: Kind, message: str) -> None:
        """Give up on an answer that is still coming. Nothing happens if it has ended."""
        if self.line is not None:
            self.line.fail(kind, message)

    def error(self) -> TransportError:
        """A fresh error for each raise, so that no traceback is shared or kept alive."""
        kind, message = self.failure or ("reset", "the answer was given up")
        return TransportError(kind, message, sent=True)

"""A process that dies at a point that a test names, as if somebody had pulled the plug.

The worker of tasks tells whoever built it what it has reached (`media.tasks.parts.TaskParts.reached`): in a gateway that
serves, nobody listens. A test gives it a `CrashPoint`, and the process is killed (SIGKILL: nothing is flushed, closed or
undone) the nth time that the point is reached.

The points, in the order of a task's life. What a crash falls on in the middle of a call, the other side of the call has to do.

    submit            claimed; nothing is written
    submit_begun      committed that a submission begins; no byte is sent
    submit_answered   the provider has answered; that is not written
    submit_written    it is
    poll, poll_answered
    fetch, fetch_begun (the head of the result is there), fetched (it is stored; that is not written)
    settling, settle_written (inside of the transaction), settled (committed)
    callback_begun, callback_made (the receiver has answered; that is not written), callback_recorded
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Final

POINTS: Final[Sequence[str]] = (
    "submit",
    "submit_begun",
    "submit_answered",
    "submit_written",
    "poll",
    "poll_answered",
    "fetch",
    "fetch_begun",
    "fetched",
    "settling",
    "settle_written",
    "settled",
    "callback_begun",
    "callback_made",
    "callback_recorded",
)


class CrashPoint:
    """Kills the process at `point`, the `nth` time (from 1) that it is reached."""

    def __init__(self, point: str, nth: int = 1) -> None:
        if point not in POINTS:
            raise ValueError(f"{point} is no crash point")
        self._point = point
        self._left = nth

    def __call__(self, point: str, task_id: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

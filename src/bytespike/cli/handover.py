"""What a supervisor hands to the program that takes its place: its sockets, its workers, the pipe that they follow.

A restart is the same process running the program anew (`exec`), so that whoever started it still has it, and its workers
are still its children. What is handed over is open descriptors, whose numbers stand in a variable of the environment.
Before that, the new program is asked whether it would start at all: `serve --check` with the same words.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger("bytespike.workers")

#: Not a setting's name: it is for the next program alone, which takes it out of the environment at once.
VARIABLE = "_BYTESPIKE_HANDOVER"
CHECK_SECONDS_MAX = 60.0
#: Kept back until the new program knows what to do with them.
HELD_BACK = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
_TOLD_CHARS_MAX = 500


class Handover(Struct, frozen=True):
    """`sockets`, `lifeline`, `held`, `shared`: descriptors. `workers`: numbers and process ids of those that serve, in the
    order in which they are to be replaced; `leaving`: of those that were told to go. `address`: as it was asked for."""

    address: tuple[str, int]
    sockets: tuple[int, ...]
    lifeline: int
    held: int
    shared: int
    workers: tuple[tuple[int, int], ...]
    leaving: tuple[tuple[int, int], ...] = ()

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (*self.sockets, self.lifeline, self.held, self.shared)


def program() -> list[str]:
    """The command that this process runs."""
    return [sys.executable, *sys.orig_argv[1:]]


def would_start() -> bool:
    """Whether the program as it is installed now, with the settings as they are now, would serve. If not, the log says
    why."""
    try:
        done = subprocess.run(
            [*program(), "--check"],
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS_MAX,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("restart.refused", reason=type(error).__name__)
        return False
    if done.returncode:
        log.error("restart.refused", reason=(done.stderr or done.stdout).strip()[-_TOLD_CHARS_MAX:])
        return False
    return True


def hand_over(handover: Handover) -> None:
    """Run the program anew in this process. Returns only if that cannot be done. Signals are to be held back before."""
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, True)
    os.environ[VARIABLE] = msgspec.json.encode(handover).decode()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, program())
    except OSError as error:
        log.error("restart.refused", reason=type(error).__name__)
        del os.environ[VARIABLE]
        for descriptor in handover.descriptors:
            os.set_inheritable(descriptor, False)


def pending() -> bool:
    """Whether there was a program before this one."""
    return VARIABLE in os.environ


def taken_over() -> Handover | None:
    """What the program before this one has left, once; None: there was none."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    handover = msgspec.json.decode(text, type=Handover)
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, False)
    return handover


def hold_back() -> None:
    """Signals wait until somebody knows what to do with them, also in the next program."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def let_in() -> None:
    """Those that waited are delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def sockets_of(handover: Handover) -> list[socket.socket]:
    return [socket.socket(fileno=descriptor) for descriptor in handover.sockets]

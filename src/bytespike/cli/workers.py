"""One process among those that serve together: its sockets, its birth, its life. `supervisor` looks after them.

A worker is a fork: what has been imported is shared memory. It has the sockets of its slot, which the supervisor keeps, so
that connections that wait in the queue of a worker that has died are served by its successor. It has a number of its own
as long as it lives, and the spool of that number. It says when it listens, through a pipe. One whose supervisor has gone
stops: it holds the reading end of another pipe of which the supervisor has the other end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

import structlog

from bytespike.app import BACKLOG, Place
from bytespike.app import serve as serve_application
from bytespike.settings import Settings

log = structlog.get_logger("bytespike.workers")


class Worker:
    """One of them. `pid`: 0 once it has ended. `ready_fd`: becomes readable when it listens, or has ended; -1 then.
    `end_s`: when one that was told to stop is killed, by the monotonic clock; 0: it was not told."""

    def __init__(self, number: int, pid: int, ready_fd: int = -1) -> None:
        self.number = number
        self.pid = pid
        self.ready_fd = ready_fd
        self.ready = ready_fd < 0
        self.since_s = time.monotonic()
        self.end_s = 0.0

    def look(self) -> bool:
        """Whether it listens. Only after its descriptor has become readable."""
        if self.ready_fd >= 0:
            self.ready = os.read(self.ready_fd, 1) != b""
            self.forget_ready()
        return self.ready

    def forget_ready(self) -> None:
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1

    def tell(self, grace_s: float) -> None:
        """It shall finish its requests, and go."""
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
        self.end_s = time.monotonic() + grace_s

    def kill(self) -> None:
        log.error("worker.killed", worker=self.number, pid=self.pid)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def ended(self) -> int | None:
        """Its exit code, if it has ended since the last call; of one that was killed, the signal's number below 0."""
        if not self.pid:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = 0
        self.forget_ready()
        return os.waitstatus_to_exitcode(status)


def listening_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Bound and listening, one for each worker where the kernel spreads connections over them (Linux), else one for all;
    port 0 takes a free one, the same for all. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    if not sys.platform.startswith("linux"):
        one = _bound(family, address, spread=False)
        one.listen(BACKLOG)
        return [one, *(one.dup() for _ in range(count - 1))]
    # A port that another program has with the same option would be shared with it: ask without the option first.
    probe = _bound(family, address, spread=False)
    address = probe.getsockname()
    probe.close()
    sockets = [_bound(family, address, spread=True) for _ in range(count)]
    for each in sockets:
        each.listen(BACKLOG)
    return sockets


def more_sockets(like: socket.socket, count: int) -> list[socket.socket]:
    """So many more at the same address. Raises OSError."""
    if not sys.platform.startswith("linux"):
        return [like.dup() for _ in range(count)]
    sockets = [_bound(like.family, like.getsockname(), spread=True) for _ in range(count)]
    for each in sockets:
        each.listen(BACKLOG)
    return sockets


def _bound(family: int, address: tuple[str | int | bytes, ...], *, spread: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if spread:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def started(place: Place, settings: Settings, lifeline: int, held: int) -> Worker:
    """A new worker. `lifeline`, `held`: the ends of the pipe that tells it of the supervisor's end."""
    sys.stdout.flush()
    sys.stderr.flush()
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        os.close(readable)
        code = 1
        try:
            code = _work(place, settings, lifeline, writable)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(writable)
    log.info("worker.started", worker=place.number, pid=pid)
    return Worker(place.number, pid, readable)


# --- within the worker -----------------------------------------------------------------------------------------------


def _work(place: Place, settings: Settings, lifeline: int, ready: int) -> int:
    """The life of a worker; gives its exit code."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # A terminal that closes tells everybody; the supervisor decides.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _told)
    threading.Thread(target=_follow, args=(lifeline,), name="lifeline", daemon=True).start()

    def listens(_: str) -> None:
        os.write(ready, b"\n")
        os.close(ready)

    try:
        serve_application(settings, listens, place)
    except (KeyboardInterrupt, SystemExit) as ended:
        return 1 if isinstance(ended, SystemExit) and ended.code else 0
    except Exception as error:  # the process's boundary
        log.error("worker.failed", worker=place.number, exc_info=error)
        return 1
    return 0


def _told(number: int, frame: object) -> None:
    raise SystemExit(0)


def _follow(lifeline: int) -> None:
    """End with the supervisor: nothing is ever written into the pipe, so reading ends when its other end is closed."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)

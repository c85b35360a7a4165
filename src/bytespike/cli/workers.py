"""`bytespike serve --workers N`: one supervisor, and processes that serve together on one port.

The supervisor makes the sockets, one for each worker where the kernel spreads connections over them (Linux), else one
for all, and keeps them: connections that wait in the queue of a worker that has died are served by its successor. A
worker is a fork: what has been imported is shared memory.

A worker that ends is started anew, at once, or, when it ended soon after its start, after a pause that doubles. It
takes over the spool of the one before it (`ledger/adoption.py` has what happens until then). SIGTERM and SIGINT are
passed on; workers finish their requests, drain and go, and who has not gone in time is killed, which loses nothing. A
worker whose supervisor has gone stops too: it holds the reading end of a pipe of which the supervisor has the other.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import structlog

from bytespike.app import Place, prepare
from bytespike.app import serve as serve_application
from bytespike.ledger.ledger import STOP_S_MAX
from bytespike.observe.logs import configure_logs
from bytespike.settings import Settings

log = structlog.get_logger("bytespike.workers")

BACKLOG = 4096
#: A worker that lived this long is started again at once.
SETTLED_S = 10.0
#: Else after a pause: the first, and the longest.
PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 30.0
#: What workers get to stop, beside the time for their requests and for their spool.
STOP_SLACK_S = 5.0
_FOREVER_S = 3600.0


class Worker:
    """One of them. `pid`: 0 while there is none. `due_s`: when to start it again, by the monotonic clock."""

    def __init__(self, number: int, listening: socket.socket) -> None:
        self.number = number
        self.listening = listening
        self.pid = 0
        self.since_s = 0.0
        self.due_s = 0.0
        self.failures = 0


def supervise(settings: Settings) -> None:
    """Run `settings.workers` workers until told to stop (SIGTERM, SIGINT).

    Raises: MasterKeyError, SQLAlchemyError, OSError (the port is taken, ...), before any worker runs.
    """
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(prepare(settings))
    sockets = listening_sockets(settings.host, settings.port, settings.workers)
    workers = [Worker(number, each) for number, each in enumerate(sockets)]
    lifeline, held = os.pipe()
    try:
        with _signals() as (signalled, stopping):
            while not stopping():
                now_s = time.monotonic()
                for worker in workers:
                    if worker.pid == 0 and worker.due_s <= now_s:
                        _start(worker, settings, lifeline, held)
                wait_s = min((each.due_s - now_s for each in workers if each.pid == 0), default=_FOREVER_S)
                select.select([signalled], [], [], max(0.0, wait_s))
                _swallow(signalled)
                for worker, status in _ended(workers):
                    _plan_next(worker, status)
            _stop(workers, settings.shutdown_grace_s + STOP_S_MAX + STOP_SLACK_S)
    finally:
        os.close(lifeline)
        os.close(held)
        for each in sockets:
            each.close()


def listening_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Bound and listening; port 0 takes a free one, the same for all. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]

    def bound(address: tuple[str | int | bytes, ...], *, spread: bool) -> socket.socket:
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if spread:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
        return made

    if not sys.platform.startswith("linux"):
        one = bound(address, spread=False)
        one.listen(BACKLOG)
        return [one, *(one.dup() for _ in range(count - 1))]
    # A port that another program has with the same option would be shared with it: ask without the option first.
    probe = bound(address, spread=False)
    address = probe.getsockname()
    probe.close()
    sockets = [bound(address, spread=True) for _ in range(count)]
    for each in sockets:
        each.listen(BACKLOG)
    return sockets


# --- within the supervisor -------------------------------------------------------------------------------------------


def _start(worker: Worker, settings: Settings, lifeline: int, held: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        code = 1
        try:
            code = _work(worker, settings, lifeline)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    worker.pid = pid
    worker.since_s = time.monotonic()
    log.info("worker.started", worker=worker.number, pid=pid)


def _work(worker: Worker, settings: Settings, lifeline: int) -> int:
    """The life of a worker; gives its exit code."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _told)
    threading.Thread(target=_follow, args=(lifeline,), name="lifeline", daemon=True).start()
    try:
        serve_application(settings, None, Place(worker.number, worker.listening))
    except (KeyboardInterrupt, SystemExit) as ended:
        return 1 if isinstance(ended, SystemExit) and ended.code else 0
    except Exception as error:  # the process's boundary
        log.error("worker.failed", worker=worker.number, exc_info=error)
        return 1
    return 0


def _told(number: int, frame: object) -> None:
    raise SystemExit(0)


def _follow(lifeline: int) -> None:
    """End with the supervisor: nothing is ever written into the pipe, so reading ends when its other end is closed."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _ended(workers: list[Worker]) -> list[tuple[Worker, int]]:
    """The workers that have ended since the last call, and how."""
    found: list[tuple[Worker, int]] = []
    for worker in workers:
        if worker.pid:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                worker.pid = 0
                found.append((worker, os.waitstatus_to_exitcode(status)))
    return found


def _plan_next(worker: Worker, status: int) -> None:
    now_s = time.monotonic()
    settled = now_s - worker.since_s >= SETTLED_S
    worker.failures = 0 if settled else worker.failures + 1
    # The first time at once: one `kill -9` is no reason to wait.
    pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2 ** (worker.failures - 2)) if worker.failures > 1 else 0.0
    worker.due_s = now_s + pause_s
    log.error("worker.ended", worker=worker.number, status=status, again_in_s=pause_s)


def _stop(workers: list[Worker], grace_s: float) -> None:
    """Tell all to stop, and see to it that they have."""
    for worker in workers:
        if worker.pid:
            os.kill(worker.pid, signal.SIGTERM)
    end_s = time.monotonic() + grace_s
    while any(each.pid for each in workers) and time.monotonic() < end_s:
        _ended(workers)
        time.sleep(0.02)
    for worker in workers:
        if worker.pid:
            log.error("worker.killed", worker=worker.number, pid=worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
            worker.pid = 0


@contextmanager
def _signals() -> Generator[tuple[int, Callable[[], bool]]]:
    """A descriptor that becomes readable when a signal has come, and whether one said to stop."""
    told: list[int] = []
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)

    def note(number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            told.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = {number: signal.signal(number, note) for number in numbers}
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        yield readable, lambda: bool(told)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)


def _swallow(descriptor: int) -> None:
    try:
        while os.read(descriptor, 256):
            pass
    except BlockingIOError:
        pass

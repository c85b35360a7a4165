"""`bytespike serve --workers N`: one supervisor, and processes that serve together on one port.

The supervisor keeps the sockets, and a slot for each worker. A worker that ends is started anew, at once, or, when it
ended soon after its start, after a pause that doubles. It gets a number that nobody has, and with it a spool
(`ledger/adoption.py` has what happens to the spool of the one before it).

**Stopping.** SIGTERM and SIGINT are passed on; workers finish their requests, drain and go, and who has not gone in time
is killed, which loses nothing.

**Restarting.** On SIGHUP the supervisor sees whether the program would start as it is now, and then runs it anew in its
own place (`handover`): a new version, new settings. The new one starts workers beside the old ones, one after the other.
Each listens on the sockets of the one that it replaces; when it does, the old one is told to go, and finishes its
requests. So there is always somebody who accepts, and nobody's request is cut. If the new program cannot start workers,
the old ones go on.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import structlog

from bytespike.app import Place, prepare
from bytespike.cli.handover import (
    Handover,
    hand_over,
    hold_back,
    let_in,
    sockets_of,
    taken_over,
    would_start,
)
from bytespike.cli.workers import Worker, listening_sockets, more_sockets, started
from bytespike.ledger.ledger import STOP_S_MAX
from bytespike.observe.logs import configure_logs
from bytespike.routing.ceilings import REGIONS_MAX, shared_words, use_region
from bytespike.settings import Settings

log = structlog.get_logger("bytespike.workers")

#: A worker that lived this long is started again at once.
SETTLED_S = 10.0
#: Else after a pause: the first, and the longest.
PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 30.0
#: What workers get to stop, beside the time for their requests and for their spool.
STOP_SLACK_S = 5.0
#: How often it is looked whether workers that were told to stop have.
STOPPING_S = 0.02
_LEAVING_S = 1.0
_FOREVER_S = 3600.0


def supervise(settings: Settings) -> None:
    """Run `settings.workers` workers until told to stop (SIGTERM, SIGINT), or to restart (SIGHUP).

    Raises: MasterKeyError, SQLAlchemyError, OSError (the port is taken, ...), before any worker runs.
    """
    configure_logs(settings.log_level, settings.log_format)
    before = taken_over()
    asyncio.run(prepare(settings, again=before is not None))
    supervisor = Supervisor(settings, before)
    try:
        supervisor.run()
    finally:
        supervisor.close()


class Slot:
    """A worker's place. `worker`: None while there is none. `due_s`: when to start one, by the monotonic clock."""

    def __init__(self, listening: tuple[socket.socket, ...]) -> None:
        self.listening = listening
        self.worker: Worker | None = None
        self.due_s = 0.0
        self.failures = 0


class Supervisor:
    """Raises OSError where its sockets cannot be had. `before`: what the program before this one has left."""

    def __init__(self, settings: Settings, before: Handover | None) -> None:
        self._settings = settings
        self._grace_s = settings.shutdown_grace_s + STOP_S_MAX + STOP_SLACK_S
        self._address = (settings.host, settings.port)
        #: Workers of the program before this one that still serve, and those that were told to go.
        self._old: deque[Worker] = deque()
        self._leaving: list[Worker] = []
        self._restarting = before is not None
        self._sockets: list[socket.socket] = []
        if before is None:
            self._lifeline, self._held = os.pipe()
            self._shared = _memory()
        else:
            self._lifeline, self._held, self._shared = before.lifeline, before.held, before.shared
            self._old.extend(Worker(number, pid) for number, pid in before.workers)
            for number, pid in before.leaving:
                worker = Worker(number, pid)
                worker.tell(self._grace_s)
                self._leaving.append(worker)
            inherited = sockets_of(before)
            if before.address == self._address:
                self._sockets = inherited
            else:
                for each in inherited:
                    each.close()
        self._words = shared_words(self._shared)
        self._slots = self._made_slots()

    def _made_slots(self) -> list[Slot]:
        count = self._settings.workers
        if not self._sockets:
            self._sockets = listening_sockets(*self._address, count)
        elif len(self._sockets) < count:
            self._sockets += more_sockets(self._sockets[0], count - len(self._sockets))
        # There may be more than are needed: what waits in their queues must be served too.
        return [Slot(tuple(self._sockets[number::count])) for number in range(count)]

    def run(self) -> None:
        with _signals() as told:
            let_in()
            while True:
                self._look()
                self._start_what_is_due()
                pending = [each.worker.ready_fd for each in self._slots if each.worker is not None]
                readable = [told.descriptor, *(each for each in pending if each >= 0)]
                select.select(readable, [], [], self._wait_s())
                told.swallow()
                if told.stop():
                    break
                if told.restart() and would_start():
                    hold_back()
                    if not told.stop():
                        log.info("restarting")
                        hand_over(self._left())
                    let_in()
            self._stop()

    def close(self) -> None:
        os.close(self._lifeline)
        os.close(self._held)
        os.close(self._shared)
        for each in self._sockets:
            each.close()

    # --- within ------------------------------------------------------------------------------------------------------

    def _everybody(self) -> list[Worker]:
        """That lives, as far as is known."""
        own = [each.worker for each in self._slots if each.worker is not None]
        return [each for each in (*own, *self._old, *self._leaving) if each.pid]

    def _look(self) -> None:
        """Who has ended, and who listens."""
        for slot in self._slots:
            worker = slot.worker
            if worker is None:
                continue
            status = worker.ended()
            if status is not None:
                slot.worker = None
                _plan_next(slot, worker, status)
            elif worker.ready_fd >= 0 and select.select([worker.ready_fd], [], [], 0)[0] and worker.look():
                self._retire_one()
        for worker in (*self._old, *self._leaving):
            status = worker.ended()
            if status is not None:
                log.info("worker.left", worker=worker.number, status=status)
            elif worker.end_s and worker.end_s < time.monotonic():
                worker.kill()
        self._old = deque(each for each in self._old if each.pid)
        self._leaving = [each for each in self._leaving if each.pid]
        if self._restarting and all(each.worker is not None and each.worker.ready for each in self._slots):
            self._restarting = False
            while self._old:
                self._retire_one()
            log.info("restarted", workers=len(self._slots))

    def _retire_one(self) -> None:
        if self._old:
            worker = self._old.popleft()
            worker.tell(self._grace_s)
            self._leaving.append(worker)

    def _start_what_is_due(self) -> None:
        now_s = time.monotonic()
        for slot in self._slots:
            if self._one_is_starting():
                return
            if slot.worker is None and slot.due_s <= now_s:
                number = self._free_number()
                if number is None:
                    slot.due_s = now_s + _LEAVING_S
                    continue
                use_region(self._words, number)
                place = Place(number, slot.listening, self._words)
                slot.worker = started(place, self._settings, self._lifeline, self._held)

    def _one_is_starting(self) -> bool:
        """Beside workers of before one begins at a time, so that there is never much more than one too many."""
        return bool(self._old) and any(
            each.worker is not None and not each.worker.ready for each in self._slots
        )

    def _free_number(self) -> int | None:
        """The lowest that no living worker has; None: there are very many, and some of them will leave soon."""
        taken = {each.number for each in self._everybody()}
        return next((number for number in range(REGIONS_MAX) if number not in taken), None)

    def _wait_s(self) -> float:
        now_s = time.monotonic()
        dues = [each.due_s - now_s for each in self._slots if each.worker is None]
        if self._one_is_starting():
            dues = []
        if self._leaving:
            dues.append(_LEAVING_S)
        return max(0.0, min(dues, default=_FOREVER_S))

    def _left(self) -> Handover:
        """What the next program gets. Those that do not listen yet are told to go: it starts its own."""
        serving = [
            each.worker
            for each in self._slots
            if each.worker is not None and each.worker.pid and each.worker.ready
        ]
        others = [each for each in self._everybody() if each not in serving and each not in self._old]
        for each in others:
            each.forget_ready()
        return Handover(
            address=self._address,
            sockets=tuple(each.fileno() for each in self._sockets),
            lifeline=self._lifeline,
            held=self._held,
            shared=self._shared,
            workers=tuple((each.number, each.pid) for each in (*self._old, *serving)),
            leaving=tuple((each.number, each.pid) for each in others),
        )

    def _stop(self) -> None:
        """Tell all to stop, and see to it that they have."""
        for worker in self._everybody():
            worker.tell(self._grace_s)
        end_s = time.monotonic() + self._grace_s
        while self._everybody() and time.monotonic() < end_s:
            for worker in self._everybody():
                worker.ended()
            time.sleep(STOPPING_S)
        for worker in self._everybody():
            worker.kill()


def _memory() -> int:
    """A descriptor of memory that workers share, and that the next program gets."""
    if sys.platform == "linux":
        return os.memfd_create("bytespike-ceilings")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _plan_next(slot: Slot, worker: Worker, status: int) -> None:
    now_s = time.monotonic()
    settled = now_s - worker.since_s >= SETTLED_S
    slot.failures = 0 if settled else slot.failures + 1
    # The first time at once: one `kill -9` is no reason to wait.
    pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2 ** (slot.failures - 2)) if slot.failures > 1 else 0.0
    slot.due_s = now_s + pause_s
    log.error("worker.ended", worker=worker.number, status=status, again_in_s=pause_s)


class _Told:
    """What signals have said. `descriptor` becomes readable when one has come."""

    def __init__(self, descriptor: int, numbers: list[int]) -> None:
        self.descriptor = descriptor
        self._numbers = numbers

    def stop(self) -> bool:
        return any(number in (signal.SIGTERM, signal.SIGINT) for number in self._numbers)

    def restart(self) -> bool:
        """Once for however many came."""
        found = signal.SIGHUP in self._numbers
        self._numbers[:] = [number for number in self._numbers if number != signal.SIGHUP]
        return found

    def swallow(self) -> None:
        try:
            while os.read(self.descriptor, 256):
                pass
        except BlockingIOError:
            pass


@contextmanager
def _signals() -> Generator[_Told]:
    numbers: list[int] = []
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)

    def note(number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            numbers.append(number)

    watched = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, note) for number in watched}
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        yield _Told(readable, numbers)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)

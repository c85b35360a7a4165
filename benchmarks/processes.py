"""The processes that a run starts: each pinned to a core, each with its output in a file, all ended with the run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
_TAIL_CHARS = 600
#: Enough for 5,000 streams: two sockets each in the gateway.
OPEN_FILES = 32_768


class NotMeasured(RuntimeError):
    """A figure could not be taken; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the measured process alone on one core, its load and its upstream elsewhere."""

    measured: int
    load: int
    upstream: int

    @staticmethod
    def choose(available: Sequence[int]) -> Cores:
        """With two cores load and upstream share one; with one core everything shares it, and figures suffer."""
        cores = sorted(available)
        return Cores(
            measured=cores[0], load=cores[min(1, len(cores) - 1)], upstream=cores[min(2, len(cores) - 1)]
        )


class Processes:
    """Starts processes and, as a context manager, ends those that still run."""

    def __init__(self, taskset: str, work: Path, root: Path) -> None:
        self._taskset = taskset
        self.root = root
        self._running: list[subprocess.Popen[bytes]] = []
        self.work = work

    def __enter__(self) -> Processes:
        _raise_open_files()
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            _end(process)
        self._running.clear()

    def start(
        self, name: str, command: Sequence[str], core: int, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts `command` on `core`, in a session of its own. Its output goes to `<work>/<name>.log`."""
        with (self.work / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.pinned(command, core),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def pinned(self, command: Sequence[str], core: int) -> list[str]:
        """`command`, bound to `core`."""
        return [self._taskset, "-c", str(core), *command]

    def ready(
        self, name: str, process: subprocess.Popen[bytes], port: int, seconds: float = READY_SECONDS_MAX
    ) -> None:
        """Waits until something listens on `port`. Raises NotMeasured, with the end of the log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise NotMeasured(f"{name} ended with {process.returncode}: {last_words(self.work, name)}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise NotMeasured(
            f"{name} did not listen on port {port} within {seconds:.0f} s: {last_words(self.work, name)}"
        )

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends one process and what it started."""
        if process in self._running:
            self._running.remove(process)
        _end(process)


def last_words(work: Path, name: str) -> str:
    """The end of a process's log, on one line."""
    log = work / f"{name}.log"
    return " ".join(log.read_text(errors="replace").split())[-_TAIL_CHARS:] if log.exists() else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)
    # Its session is its own: whatever is left there was started by it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def terminated_as_exit() -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that no process is left behind."""

    def unwind(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

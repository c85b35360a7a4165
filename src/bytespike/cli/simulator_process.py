"""The simulator as a child process that dies with its parent, however the parent dies.

The child watches its standard input, whose other end only the parent holds: when the parent is gone, killed or not, the
pipe closes and the child ends. A thread of the parent starts the child again, on the same port, should it ever die.

    python -m bytespike.cli.simulator_process PORT SEED     what the parent runs; prints its base URL once it listens
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType

from bytespike.providers.simulator.server import run

START_S_MAX = 20.0
STOP_S_MAX = 5.0
RESTART_S = 0.5


class SimulatorDied(OSError):
    """The child did not start."""


class SimulatorProcess:
    """`with SimulatorProcess() as simulator:` runs it; `base_url` is where it listens."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._stopping = threading.Event()
        self._child, self.base_url = self._start(0)
        self._watcher = threading.Thread(target=self._watch, name="simulator-watch", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._end(self._child)
        self._watcher.join(STOP_S_MAX)

    def _start(self, port: int) -> tuple[subprocess.Popen[str], str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "bytespike.cli.simulator_process", str(port), str(self._seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Its own session: Ctrl-C is for the parent, which then stops the child.
            start_new_session=True,
        )
        # A child that hangs instead of starting is killed, which ends the wait for its line.
        deadline = threading.Timer(START_S_MAX, child.kill)
        deadline.start()
        line = child.stdout.readline().strip() if child.stdout is not None else ""
        deadline.cancel()
        if not line:
            self._end(child)
            raise SimulatorDied("the simulator did not start")
        return child, line

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._child.wait()
            if self._stopping.wait(RESTART_S):
                return
            self._close_pipes(self._child)
            try:
                self._child, _ = self._start(int(self.base_url.rsplit(":", 1)[1]))
            except OSError:
                time.sleep(RESTART_S)

    def _end(self, child: subprocess.Popen[str]) -> None:
        child.terminate()
        try:
            child.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._close_pipes(child)

    @staticmethod
    def _close_pipes(child: subprocess.Popen[str]) -> None:
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _announce(base_url: str) -> None:
    sys.stdout.write(base_url + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    # Not through sys.stdin: its lock would still be held when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """The child."""
    port, seed = int(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run("127.0.0.1", port, seed, announce=_announce)


if __name__ == "__main__":
    main()

"""`bytespike serve --workers N`: the supervisor's side."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bytespike.cli.workers import listening_sockets
from tests.support.raw_http import ask
from tests.support.served import Served, environment, free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def served(tmp_path: Path) -> Generator[Served]:
    found = Served(tmp_path, 2)
    try:
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.kill(found.process.pid, signal.SIGTERM)
        found.process.wait(timeout=180)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Not gone, and not waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_every_worker_answers_on_the_same_port(served: Served) -> None:
    assert len(served.workers()) == 2

    async def many() -> list[int]:
        answers = await asyncio.gather(
            *(ask("127.0.0.1", served.port, "/v1/chat/completions", b"{}", {}) for _ in range(50))
        )
        return [answer.status for answer in answers]

    assert asyncio.run(many()) == [401] * 50


def test_a_worker_that_dies_is_started_again_and_nobody_is_refused(served: Served) -> None:
    first, second = served.workers()
    os.kill(first, signal.SIGKILL)
    for _ in range(60):
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/healthz", timeout=120) as answer:
            assert answer.status == 200
    until(lambda: len(served.workers()) == 2)
    assert second in served.workers()
    assert first not in served.workers()


def test_sigterm_ends_everybody_with_exit_code_0(served: Served) -> None:
    workers = served.workers()
    assert served.stop() == 0, served.log()[-2000:]
    assert not any(map(alive, workers))
    assert "worker.killed" not in served.log()


def test_workers_do_not_outlive_their_supervisor(served: Served) -> None:
    workers = served.workers()
    served.process.kill()
    served.process.wait(timeout=120)
    until(lambda: not any(map(alive, workers)))


def test_a_port_that_is_taken_is_told_before_any_worker_runs(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["serve", "--workers", "2", "--port", str(port), "--data-dir", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-m", "bytespike.cli.main", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "worker.started" not in done.stderr


def test_a_worker_that_cannot_start_is_tried_less_and_less_often(tmp_path: Path) -> None:
    # Where its spool should be there is a file.
    (tmp_path / "spool-1").write_text("")
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bytespike.cli.main",
                "serve",
                "--workers",
                "2",
                "--port",
                str(port),
                "--data-dir",
                str(tmp_path),
            ],
            env=environment(),
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: log.read_text("utf-8").count("worker.ended") >= 4)
        text = log.read_text("utf-8")
        assert "again_in_s=0.0" in text
        assert "again_in_s=0.25" in text
        assert "again_in_s=0.5" in text
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=180) == 0


def test_port_0_is_one_free_port_for_all() -> None:
    sockets = listening_sockets("127.0.0.1", 0, 3)
    try:
        assert len({each.getsockname() for each in sockets}) == 1
    finally:
        for each in sockets:
            each.close()

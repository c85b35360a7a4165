"""`bytespike serve` as processes of their own, and many clients of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.support.raw_http import Answer, ask

#: On a machine that is slow and busy.
READY_S = 120
STOP_S = 120
CROWD_S = 240


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Served:
    """`workers` of them on one port. `log`: what they wrote to standard error."""

    def __init__(self, data_dir: Path, workers: int, database_url: str | None = None) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.database_url = database_url
        self._path = data_dir / f"serve-{self.port}.log"
        words = ["serve", "--port", str(self.port), "--workers", str(workers), "--data-dir", str(data_dir)]
        if database_url is not None:
            words += ["--database-url", database_url]
        with self._path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bytespike.cli.main", *words],
                env=environment(),
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready(workers)

    def wait_until_ready(self, workers: int) -> None:
        """Until so many workers have said that they listen, and one answers."""
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            if self.log().count("listening") >= workers:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                        return
                except (urllib.error.URLError, OSError):
                    pass
            time.sleep(0.05)
        raise AssertionError("not ready: " + self.log()[-2000:])

    def log(self) -> str:
        return self._path.read_text("utf-8", "replace")

    def workers(self) -> list[int]:
        """Process ids."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii")
        return [int(word) for word in children.split()]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_S)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BYTESPIKE_")}


def doctor(data_dir: Path, database_url: str | None = None) -> dict[str, object]:
    """`bytespike doctor --money`, which must find no error."""
    words = ["doctor", "--money", "--json", "--data-dir", str(data_dir)]
    if database_url is not None:
        words += ["--database-url", database_url]
    done = subprocess.run(
        [sys.executable, "-m", "bytespike.cli.main", *words],
        capture_output=True,
        check=False,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def chat(model: str, max_tokens: int, directive: str, *, stream: bool = False) -> bytes:
    """A chat completion; `directive` tells the simulator what to do."""
    return json.dumps(
        {
            "model": model,
            "max_tokens": max_tokens,
            "stream": stream,
            "messages": [{"role": "user", "content": f"[[sim: {directive}]] go"}],
        }
    ).encode()


async def crowd(
    port: int,
    keys: list[str],
    body: bytes,
    clients: int,
    until_refused: int,
    refused: Callable[[Answer], bool] | None = None,
) -> list[Answer]:
    """`clients` at once, each asking again and again until it was refused so many times. Every answer. `refused`: which
    answers are refusals, all but those with status 200 where that is not said."""
    answers: list[Answer] = []

    async def client(number: int) -> None:
        refusals = 0
        while refusals < until_refused:
            key = keys[number % len(keys)]
            answer = await ask("127.0.0.1", port, "/v1/chat/completions", body, {"x-api-key": key})
            answers.append(answer)
            if answer.status != 200:
                refusals += refused is None or refused(answer)
                await asyncio.sleep(0.05)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return answers


async def crowd_until(
    enough: Callable[[list[Answer]], bool],
    port: int,
    key: str,
    body: bytes,
    clients: int,
    pause_s: float,
) -> list[Answer]:
    """`clients` at once, each asking again and again until the answers are enough; after a refusal it waits. Every answer."""
    answers: list[Answer] = []
    over = False

    async def client() -> None:
        nonlocal over
        while not over:
            answer = await ask("127.0.0.1", port, "/v1/chat/completions", body, {"x-api-key": key})
            answers.append(answer)
            over = over or enough(answers)
            if answer.status != 200 and not over:
                await asyncio.sleep(pause_s)

    async with asyncio.timeout(CROWD_S):
        await asyncio.gather(*(client() for _ in range(clients)))
    return answers

"""`kill -9` under load, and a restart: what was delivered whole is on the books once, and nothing is there twice.

`KILL_ROUNDS` says how many rounds, each takes some seconds; `KILL_SEED` says which.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import CLAUDE, GPT, RunningGateway
from tests.support.raw_http import ask

SEED = int(os.environ.get("KILL_SEED", "20261121"))
ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
RATE = 100
#: Answers that are received whole before a kill, at least, and at most; and how long everything may take.
WHOLE_MIN, WHOLE_MAX = 51, 220
DEADLINE_S = 240.0


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Served:
    """`bytespike serve` as a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self._log = (data_dir / "serve.log").open("ab")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BYTESPIKE_")}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bytespike.cli.main",
                "serve",
                "--port",
                str(self.port),
                "--data-dir",
                str(data_dir),
            ],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            assert self.process.poll() is None, "the gateway ended by itself"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=20):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError("the gateway is not ready")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=DEADLINE_S)
        self._log.close()
        return code


async def load(served: Served, key: str, kill_after: int) -> list[str]:
    """About `RATE` requests a second until `kill_after` were received whole, and the process is killed; the ids of those that were received whole."""
    whole: list[str] = []

    async def one(number: int) -> None:
        path = ("/v1/messages", "/v1/chat/completions")[number % 2]
        model = (CLAUDE, GPT)[number // 2 % 2]
        stream = number % 3 == 0
        body = {
            "model": model,
            "max_tokens": 30,
            "stream": stream,
            "messages": [{"role": "user", "content": f"[[sim: tokens=20 pace=0.002]] {number}"}],
        }
        try:
            answer = await ask("127.0.0.1", served.port, path, json.dumps(body).encode(), {"x-api-key": key})
        except (OSError, ValueError, IndexError, AssertionError):
            return
        if answer.status != 200:
            return
        if stream:
            ended = b"message_stop" if path == "/v1/messages" else b"[DONE]"
            if ended not in answer.body:
                return
        elif len(answer.body) != int(answer.headers["content-length"]):
            return
        whole.append(answer.headers["request-id"])

    tasks: list[asyncio.Task[None]] = []
    async with asyncio.timeout(DEADLINE_S):
        for number in itertools.count():
            tasks.append(asyncio.create_task(one(number)))
            await asyncio.sleep(1 / RATE)
            if len(whole) >= kill_after:
                served.process.kill()
                break
    await asyncio.gather(*tasks)
    return whole


@pytest.mark.slow
def test_a_kill_under_load_loses_nothing_that_was_delivered_and_bills_nothing_twice(tmp_path):
    chance = random.Random(SEED)
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim) as gateway:
            key = gateway.key
            user = gateway.user
            funds = gateway.balance()
        delivered: list[str] = []
        for _ in range(ROUNDS):
            served = Served(tmp_path)
            delivered += asyncio.run(load(served, key, chance.randint(WHOLE_MIN, WHOLE_MAX)))
            served.process.wait(timeout=DEADLINE_S)
            served.end(signal.SIGKILL)
        assert len(delivered) >= WHOLE_MIN * ROUNDS
        # One more start recovers the spool; a graceful stop leaves everything in the database.
        assert Served(tmp_path).end(signal.SIGTERM) == 0
    doctor = subprocess.run(
        [
            sys.executable,
            "-m",
            "bytespike.cli.main",
            "doctor",
            "--money",
            "--json",
            "--data-dir",
            str(tmp_path),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    with closing(sqlite3.connect(tmp_path / "bytespike.db")) as database:
        billed = dict(database.execute("SELECT request_id, credits FROM usage"))
        moved = list(database.execute("SELECT request_id, amount FROM transfers WHERE kind = 'usage'"))
        balance = database.execute(
            "SELECT balance FROM accounts WHERE id = ?", (f"wallet:user:{user}",)
        ).fetchone()[0]
    assert set(delivered) <= set(billed)
    assert len(moved) == len(billed)
    assert dict(moved) == billed
    assert balance == funds - sum(billed.values())

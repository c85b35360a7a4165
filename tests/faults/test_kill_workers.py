"""`kill -9` of one worker of four, or of all, under load: what was delivered is on the books once, and what the dead had
borrowed comes back.

`KILL_ROUNDS` says how many rounds; each takes some seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from bytespike.providers.simulator.server import Simulator
from bytespike.store.engine import create_engine, reading
from tests.support import postgres
from tests.support.gateway import CLAUDE, GPT, RunningGateway
from tests.support.raw_http import ask
from tests.support.served import Served, doctor

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
WORKERS = 4
RATE = 80
LOAD_S = 3.0


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bytespike.db'}"
    elif not postgres.installed():
        pytest.skip("PostgreSQL is not installed")
    else:
        with postgres.postgres() as url:
            yield url


async def load(served: Served, keys: list[str], kill_after_s: float, victims: list[int]) -> list[str]:
    """About `RATE` requests a second; the ids of those that were received whole."""
    whole: list[str] = []

    async def one(number: int) -> None:
        path = ("/v1/messages", "/v1/chat/completions")[number % 2]
        stream = number % 3 == 0
        body = {
            "model": (CLAUDE, GPT)[number // 2 % 2],
            "max_tokens": 30,
            "stream": stream,
            "messages": [{"role": "user", "content": f"[[sim: tokens=20 pace=0.002]] {number}"}],
        }
        headers = {"x-api-key": keys[number % len(keys)]}
        try:
            answer = await ask("127.0.0.1", served.port, path, json.dumps(body).encode(), headers)
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
    started = time.monotonic()
    for number in range(int(RATE * LOAD_S)):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(1 / RATE)
        if victims and time.monotonic() - started > kill_after_s:
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            victims = []
    _, late = await asyncio.wait(tasks, timeout=30)
    for task in late:
        task.cancel()
    return whole


async def books(url: str) -> list[list[tuple[object, ...]]]:
    engine = create_engine(url)
    try:
        async with reading(engine) as connection:
            return [
                [tuple(row) for row in await connection.execute(text(query))]
                for query in (
                    "SELECT request_id, credits FROM usage",
                    "SELECT request_id, amount FROM transfers WHERE kind = 'usage'",
                    "SELECT cap, borrower FROM leases WHERE until IS NULL",
                    "SELECT id FROM borrowers",
                )
            ]
    finally:
        await engine.dispose()


def test_a_worker_that_is_killed_loses_nothing_and_gives_back_what_it_had_borrowed(
    tmp_path: Path, database: str
) -> None:
    chance = random.Random(20261121)
    delivered: list[str] = []
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            keys = [gateway.key, gateway.new_key(quota=500_000_000, limit_5h=500_000_000)]
            user, funds = gateway.user, gateway.balance()
        for number in range(ROUNDS):
            served = Served(tmp_path, WORKERS, database)
            workers = served.workers()
            everybody = number % 2 == 1
            victims = [served.process.pid, *workers] if everybody else [chance.choice(workers)]
            delivered += asyncio.run(load(served, keys, chance.uniform(0.5, LOAD_S - 1), victims))
            if everybody:
                served.process.wait(timeout=10)
            else:
                assert sorted(served.workers()) != sorted(workers), "nobody took its place"
                assert served.stop() == 0, served.log()[-2000:]
        # One more start recovers whatever is left; a stop leaves everything in the database.
        assert Served(tmp_path, WORKERS, database).stop() == 0
        assert len(delivered) > 60 * ROUNDS
    doctor(tmp_path, database)
    usage, moved, leases, borrowers = asyncio.run(books(database))
    billed = dict(usage)
    assert set(delivered) <= set(billed)
    assert len(set(delivered)) == len(delivered)
    assert dict(moved) == billed
    assert len(moved) == len(usage) == len(billed)
    assert (leases, borrowers) == ([], [])
    assert user
    assert funds > 0


def test_what_a_dead_worker_had_borrowed_can_be_spent_by_the_others(tmp_path: Path, database: str) -> None:
    """A worker dies with nearly all of a wallet in its hands, and its successor's place stays empty for a while."""
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(2_000_000)
            key = gateway.new_key(user)
        served = Served(tmp_path, 2, database)
        body = json.dumps(
            {
                "model": GPT,
                "max_tokens": 60_000,
                "messages": [{"role": "user", "content": "[[sim: tokens=5]] hello"}],
            }
        ).encode()

        async def spend() -> list[int]:
            """Each request needs nearly the whole wallet for a moment; they come on many connections."""
            statuses = []
            for _ in range(12):
                answer = await ask("127.0.0.1", served.port, "/v1/chat/completions", body, {"x-api-key": key})
                statuses.append(answer.status)
            return statuses

        before = asyncio.run(spend())
        os.kill(served.workers()[0], signal.SIGKILL)
        time.sleep(3)
        after = asyncio.run(spend())
        assert served.stop() == 0
        assert before == after == [200] * 12, served.log()[-3000:]
    doctor(tmp_path, database)

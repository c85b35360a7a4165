"""`kill -9` of one worker of four, or of all, under load: what was delivered is on the books once, and what the dead had
borrowed comes back.

`KILL_ROUNDS` and `KILL_LIVES` say how many rounds (a life is five), each takes some seconds; `KILL_SEED` says which.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import CLAUDE, GPT, RunningGateway
from tests.support.raw_http import ask
from tests.support.served import Served, doctor
from tests.support.shared_caps import queried

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("KILL_SEED", "20261121"))
ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
WORKERS = 4
RATE = 80
#: Of a round in which one dies, or all: answers that are received whole before that, at least and at most; and, of one,
#: after it.
WHOLE_MIN, WHOLE_MAX, WHOLE_AFTER = 61, 130, 61
#: How often workers start together; so many of them die one by one, and then all that are there at once: fifteen rounds on
#: each database.
LIVES = int(os.environ.get("KILL_LIVES", "3"))
DEATHS = 4
#: Answers that are received whole between two deaths, at least; and how long they may take.
BETWEEN_DEATHS = 15
DEADLINE_S = 240.0


async def load(served: Served, keys: list[str], kill_after: int, victims: list[int], after: int) -> list[str]:
    """About `RATE` requests a second until `kill_after` were received whole, the victims were killed, and `after` more were
    received whole; the ids of those that were."""
    whole: list[str] = []
    tasks: list[asyncio.Task[None]] = []
    goal = kill_after
    async with asyncio.timeout(DEADLINE_S):
        for number in itertools.count():
            tasks.append(asyncio.create_task(request(served, keys, number, whole)))
            await asyncio.sleep(1 / RATE)
            if victims and len(whole) >= goal:
                kill(victims)
                victims, goal = [], len(whole) + after
            if not victims and len(whole) >= goal:
                break
    await the_rest(tasks)
    return whole


async def load_until_all_are_dead(served: Served, keys: list[str], chance: random.Random) -> list[str]:
    """Likewise, while one worker after the other is killed, and in the end all of them, and whoever starts them."""
    whole: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def steady() -> None:
        for number in itertools.count():
            tasks.append(asyncio.create_task(request(served, keys, number, whole)))
            await asyncio.sleep(1 / RATE)

    async def enough() -> None:
        goal = len(whole) + BETWEEN_DEATHS
        async with asyncio.timeout(DEADLINE_S):
            while len(whole) < goal or len(served.workers()) < WORKERS:
                await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0, 0.2))

    loading = asyncio.create_task(steady())
    for _ in range(DEATHS):
        await enough()
        kill([chance.choice(served.workers())])
    await enough()
    kill([served.process.pid, *served.workers()])
    loading.cancel()
    await the_rest(tasks)
    served.process.wait(timeout=DEADLINE_S)
    return whole


def kill(victims: list[int]) -> None:
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def the_rest(tasks: list[asyncio.Task[None]]) -> None:
    _, late = await asyncio.wait(tasks, timeout=30)
    for task in late:
        task.cancel()


async def request(served: Served, keys: list[str], number: int, whole: list[str]) -> None:
    """One, unary or streamed, in one dialect or the other; its id is noted when it was received whole."""
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


async def books(url: str) -> list[list[tuple[Any, ...]]]:
    return await queried(
        url,
        "SELECT request_id, credits FROM usage",
        "SELECT request_id, amount FROM transfers WHERE kind = 'usage'",
        "SELECT cap, borrower FROM leases WHERE until IS NULL",
        "SELECT id FROM borrowers",
    )


def test_a_worker_that_is_killed_loses_nothing_and_gives_back_what_it_had_borrowed(
    tmp_path: Path, database: str
) -> None:
    chance = random.Random(SEED)
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
            kill_after = chance.randint(WHOLE_MIN, WHOLE_MAX)
            after = 0 if everybody else WHOLE_AFTER
            delivered += asyncio.run(load(served, keys, kill_after, victims, after))
            if everybody:
                served.process.wait(timeout=DEADLINE_S)
            else:
                until(
                    lambda now=served, old=set(workers): len(set(now.workers()) - old) == 1, "its successor"
                )
                assert served.stop() == 0, served.log()[-2000:]
        # One more start recovers whatever is left; a stop leaves everything in the database.
        assert Served(tmp_path, WORKERS, database).stop() == 0
        assert len(delivered) >= WHOLE_MIN * ROUNDS
    every_answer_is_billed_once(tmp_path, database, delivered)
    assert user
    assert funds > 0


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {what}"
        time.sleep(0.05)


def every_answer_is_billed_once(tmp_path: Path, database: str, delivered: list[str]) -> None:
    doctor(tmp_path, database)
    usage, moved, leases, borrowers = asyncio.run(books(database))
    billed = dict(usage)
    assert set(delivered) <= set(billed)
    assert len(set(delivered)) == len(delivered)
    assert dict(moved) == billed
    assert len(moved) == len(usage) == len(billed)
    assert (leases, borrowers) == ([], [])


def test_of_fifteen_rounds_of_deaths_every_answer_is_billed_once(tmp_path: Path, database: str) -> None:
    chance = random.Random(SEED + 1)
    delivered: list[str] = []
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            keys = [gateway.key, gateway.new_key(quota=500_000_000, limit_5h=500_000_000)]
        for _ in range(LIVES):
            served = Served(tmp_path, WORKERS, database)
            delivered += asyncio.run(load_until_all_are_dead(served, keys, chance))
        assert Served(tmp_path, WORKERS, database).stop() == 0
    assert len(delivered) >= LIVES * (DEATHS + 1) * BETWEEN_DEATHS
    every_answer_is_billed_once(tmp_path, database, delivered)


def test_what_a_dead_worker_had_borrowed_can_be_spent_by_the_others(tmp_path: Path, database: str) -> None:
    """A worker dies with nearly all of a wallet in its hands; its successor gives it back."""
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
        until(lambda: served.log().count("listening") == 3, "its successor, which gives back what it had")
        after = asyncio.run(spend())
        assert served.stop() == 0
        assert before == after == [200] * 12, served.log()[-3000:]
    doctor(tmp_path, database)

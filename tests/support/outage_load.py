"""A steady load on gateways whose database is away for a while: what was asked, what was answered, and the books afterwards."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.outages import Outage
from tests.support.raw_http import Answer, ask, parse_answer
from tests.support.served import Served, doctor
from tests.support.shared_caps import queried

log = structlog.get_logger("tests.outage")

#: How long the database is away; a minute by hand.
SECONDS = float(os.environ.get("OUTAGE_SECONDS", "3"))
WORKERS = 2
#: Requests a second.
RATE = 40
#: Answered at least while the database is away, and again when it is back, however slow the machine is.
ANSWERED_MIN = 40
DEADLINE_S = 240.0
#: How often somebody asks whether the gateways are ready, and how many at a time: more than the pool keeps connections.
READY_EVERY_S = 1.0
READY_AT_ONCE = 12

#: By path, the model, what the question is written in, and how a whole stream ends.
_DIALECTS: tuple[tuple[str, str, str, bytes], ...] = (
    ("/v1/messages", CLAUDE, "messages", b"message_stop"),
    ("/v1/chat/completions", GPT, "messages", b"[DONE]"),
    ("/v1/responses", GPT_RESPONSES, "input", b"response.completed"),
    ("/v1/messages", GEMINI, "messages", b"message_stop"),
)


class Load:
    """`whole`: ids of the answers that were received whole. `wrong`: whatever else came."""

    def __init__(self, served: Served, keys: list[str]) -> None:
        self._served = served
        self._keys = keys
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = False
        self.whole: list[str] = []
        self.wrong: Counter[str] = Counter()

    async def steady(self) -> None:
        """Until it is told to stop."""
        began = time.monotonic()
        for number in itertools.count():
            if self._stop:
                break
            self._start(self._one(number))
            if number % int(RATE * READY_EVERY_S) == 0:
                for _ in range(READY_AT_ONCE):
                    self._start(self._ready())
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        self._stop = True

    async def more(self, count: int) -> None:
        """Until so many more were answered, or something went wrong."""
        goal = len(self.whole) + count
        async with asyncio.timeout(DEADLINE_S):
            while len(self.whole) < goal and not self.wrong:
                await asyncio.sleep(0.02)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, number: int) -> None:
        path, model, field, ending = _DIALECTS[number % len(_DIALECTS)]
        stream = number // len(_DIALECTS) % 2 == 0
        text = f"[[sim: tokens=20 pace=0.002]] {number}"
        body = {"model": model, "stream": stream, field: [{"role": "user", "content": text}]}
        body["max_output_tokens" if field == "input" else "max_tokens"] = 30
        key = self._keys[number // 8 % len(self._keys)]
        try:
            async with asyncio.timeout(DEADLINE_S):
                answer = await ask(
                    "127.0.0.1", self._served.port, path, json.dumps(body).encode(), {"x-api-key": key}
                )
        except (OSError, ValueError, IndexError, AssertionError) as error:
            self.wrong[f"{path} {stream=}: {error!r}"] += 1
            return
        if answer.status == 200 and _is_whole(answer, ending if stream else None):
            self.whole.append(answer.headers["request-id"])
        else:
            self.wrong[f"{path} {stream=}: {answer.status} {answer.body[-300:]!r}"] += 1

    async def _ready(self) -> None:
        """A gateway that can serve stays in the rotation."""
        try:
            answer = await fetched(self._served, "/readyz")
        except (OSError, ValueError, IndexError) as error:
            self.wrong[f"/readyz: {error!r}"] += 1
            return
        if answer.status != 200:
            self.wrong[f"/readyz: {answer.status} {answer.body[-300:]!r}"] += 1


def _is_whole(answer: Answer, ending: bytes | None) -> bool:
    if ending is None:
        return len(answer.body) == int(answer.headers["content-length"])
    return ending in answer.body


async def fetched(served: Served, path: str) -> Answer:
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".encode())
            return parse_answer(await reader.read())
        finally:
            writer.close()


async def waiting(served: Served) -> int:
    """Receipts that are in no database yet, of all workers, as far as they have told each other."""
    told = (await fetched(served, "/metrics")).body.decode()
    found = re.findall(r"^bytespike_spool_records(?:\{[^}]*\})? (\S+)$", told, re.MULTILINE)
    assert found, told[:2000]
    return sum(int(float(each)) for each in found)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not await condition():
        assert time.monotonic() < end, f"it did not happen in time: {what}"
        await asyncio.sleep(0.05)


async def through(outage: Outage, served: Served, keys: list[str], database: str) -> Load:
    """Load before, during and after it. What it came to."""
    load = Load(served, keys)

    async def borrowed() -> bool:
        """Every worker has borrowed of every key's limits, and something is in the books."""
        (leases, rows) = await queried(
            database,
            "SELECT cap, borrower FROM leases WHERE until IS NULL AND amount > 0 AND cap LIKE 'key:%'",
            "SELECT request_id FROM usage LIMIT 1",
        )
        return len(leases) == WORKERS * len(keys) and bool(rows)

    loading = asyncio.create_task(load.steady())
    try:
        await until(borrowed, "every worker has borrowed of every key")
        async with outage(served):
            before = len(load.whole)
            end = time.monotonic() + SECONDS
            await load.more(ANSWERED_MIN)
            while time.monotonic() < end and not load.wrong:
                await asyncio.sleep(0.05)
            answered = len(load.whole) - before
            kept = await waiting(served)
        log.info("away", seconds=SECONDS, answered=answered, receipts_waiting=kept, wrong=dict(load.wrong))
        assert load.wrong == Counter()
        assert kept > 0, "it was not away"
        await load.more(ANSWERED_MIN)
    finally:
        load.stop()
        await loading
    assert load.wrong == Counter()

    async def drained() -> bool:
        return await waiting(served) == 0

    await until(drained, "the spool is empty")
    return load


def no_request_fails_and_no_row_is_missing(tmp_path: Path, database: str, outage: Outage) -> None:
    """The rule of all these tests."""
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            keys = [
                gateway.new_key(quota=500_000_000),
                gateway.new_key(quota=500_000_000, limit_5h=500_000_000),
            ]
            user, funds = gateway.user, gateway.balance()
        served = Served(tmp_path, WORKERS, database)
        try:
            load = asyncio.run(through(outage, served, keys, database))
        finally:
            code = served.stop()
    assert code == 0, served.log()[-3000:]
    assert list(tmp_path.glob("spool*/*.log")) == [], "something is left in a spool"
    doctor(tmp_path, database)
    usage, moved, balances, leases, borrowers = asyncio.run(
        queried(
            database,
            "SELECT request_id, credits FROM usage",
            "SELECT request_id, amount FROM transfers WHERE kind = 'usage'",
            f"SELECT balance FROM accounts WHERE id = 'wallet:user:{user}'",
            "SELECT cap FROM leases WHERE until IS NULL",
            "SELECT id FROM borrowers",
        )
    )
    billed = dict(usage)
    assert len(usage) == len(moved) == len(load.whole) == len(set(load.whole))
    assert set(billed) == set(load.whole)
    assert dict(moved) == billed
    assert balances == [(funds - sum(billed.values()),)]
    assert (leases, borrowers) == ([], [])

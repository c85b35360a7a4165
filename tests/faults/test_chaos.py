"""Three channels for one model: one that comes and goes in every way there is, one that is slow, one that is well; and a
mixed load on them. No client hears of it, and the books are right.

`CHAOS_SECONDS` says for how long; two minutes by hand, less where it runs with all the others.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bytespike.store import tables
from tests.support.gateway import RunningGateway
from tests.support.raw_http import ask
from tests.support.routing_fronts import MOODS, PREFIXES, Fleet, asking, said, whole

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("CHAOS_SECONDS", "10"))
CLIENTS = 10
PAUSE_S = 0.05
#: On a machine that is slow it takes longer.
REQUESTS_MIN = 150
FUNDS = 900_000_000
#: How long the first channel is well, and then is not.
PHASE_S = 0.8
SLOW_S = 0.5
FLAPPING, SLOW, WELL = 0, 1, 2


class Moody:
    """Well, then broken in one way, then well, then broken in the next way."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> str:
        phase = int((time.monotonic() - self._began) / PHASE_S)
        return "well" if phase % 2 == 0 else MOODS[phase // 2 % len(MOODS)]


class Load:
    """Clients that ask in all dialects, whole and streamed, in conversations that go on. `expected`: by request id, the
    tokens that its answer has."""

    def __init__(self, fleet: Fleet, key: str) -> None:
        self._fleet = fleet
        self._headers = {"x-api-key": key}
        self.expected: dict[str, int] = {}
        self.wrong: list[str] = []

    async def client(self, number: int, end_s: float) -> None:
        chance = random.Random(number)
        dialects = tuple(PREFIXES)
        for talk in itertools.count(number, CLIENTS):
            dialect, stream = chance.choice(dialects), chance.random() < 0.5
            for turn in range(1, 4):
                if time.monotonic() > end_s and len(self.expected) + len(self.wrong) >= REQUESTS_MIN:
                    return
                await self._ask(dialect, stream, talk, turn, chance.randint(3, 30))
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, dialect: str, stream: bool, talk: int, turn: int, tokens: int) -> None:
        lines = said(talk, turn)
        lines[-1] += f" [[sim: tokens={tokens} pace=0.002]]"
        path, body = asking(dialect, lines, stream=stream)
        gateway = self._fleet.gateway
        answer = await ask(gateway.host, gateway.port, path, body, self._headers)
        if answer.status != 200 or not whole(dialect, answer.body, stream=stream):
            self.wrong.append(f"{dialect} stream={stream}: {answer.status} {answer.body[-400:]!r}")
        else:
            self.expected[answer.headers["request-id"]] = tokens

    async def run(self) -> None:
        end_s = time.monotonic() + SECONDS
        await asyncio.gather(*(self.client(number, end_s) for number in range(CLIENTS)))


def rows_of(gateway: RunningGateway, query: Any) -> list[Any]:
    async def read() -> list[Any]:
        async with gateway.application.control.reading() as connection:
            return list((await connection.execute(query)).mappings())

    return gateway.run(read())


@pytest.mark.parametrize("speaks", [tuple(PREFIXES), ("anthropic_messages",)], ids=["native", "translated"])
def test_what_a_healthy_channel_can_spare_the_client_it_is_spared(
    tmp_path: Path, speaks: tuple[str, ...]
) -> None:
    with RunningGateway(tmp_path) as gateway, Fleet(gateway, 3, speaks=speaks) as fleet:
        user = gateway.new_user(FUNDS, concurrency=100)
        load = Load(fleet, gateway.run(fleet.new_key(user)))
        # Only so that its silences do not take the whole time.
        fleet.change(FLAPPING, timeouts={"first_byte": 1.0})
        fleet.fronts[FLAPPING].mood = Moody()
        fleet.fronts[SLOW].delay_s = SLOW_S
        asyncio.run(load.run())

        assert load.wrong == []
        gateway.nothing_left_over()
        left = gateway.balance(user)
        usage = rows_of(gateway, select(tables.usage).where(tables.usage.c.user_id == user))
        attempts = rows_of(
            gateway, select(tables.attempts).where(tables.attempts.c.channel_id.in_(fleet.ids))
        )

    receipts = {row["request_id"]: row for row in usage}
    assert len(receipts) == len(usage), "nobody is billed twice"
    assert receipts.keys() == load.expected.keys(), "nor for anything else"
    assert {name: row["output_tokens"] for name, row in receipts.items()} == load.expected
    assert sum(row["credits"] for row in usage) == FUNDS - left

    completed = Counter(row["request_id"] for row in attempts if row["outcome"] == "completed")
    assert completed.keys() == receipts.keys()
    assert set(completed.values()) == {1}
    failed = [row for row in attempts if row["outcome"] == "failed"]
    assert failed
    assert {row["channel_id"] for row in failed} == {fleet.ids[FLAPPING]}
    assert len(failed) < len(completed) / 2, "it rests when it fails"
    served = Counter(row["channel_id"] for row in attempts if row["outcome"] == "completed")
    assert set(served) == set(fleet.ids), "also the one that comes and goes, while it is there"
    reasons = Counter(row["reason"] for row in attempts)
    assert {"affinity", "failover", "probe"} <= reasons.keys()

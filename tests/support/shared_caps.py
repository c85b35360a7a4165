"""Several workers, many clients, one cap: everybody spends until everybody was refused, and the database says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bytespike.store.engine import create_engine, reading
from tests.support.gateway import GPT
from tests.support.raw_http import Answer
from tests.support.served import Served, chat, crowd, doctor

WORKERS = 4
CROWD = 1000
USD = 1_000_000
#: About three cents each, held and spent.
BODY = chat(GPT, 1000, "tokens=1000 delay=0.02")


async def queried(url: str, *queries: str) -> list[list[tuple[Any, ...]]]:
    """The rows of each query."""
    engine = create_engine(url)
    try:
        async with reading(engine) as connection:
            return [[tuple(row) for row in await connection.execute(text(query))] for query in queries]
    finally:
        await engine.dispose()


class Spend:
    """What the database says in the end."""

    def __init__(self, url: str) -> None:
        self.rows, accounts, self.leases, self.borrowers, self.spans = asyncio.run(
            queried(
                url,
                "SELECT request_id, key_id, credits, held FROM usage",
                "SELECT id, balance FROM accounts",
                "SELECT cap, borrower FROM leases WHERE until IS NULL",
                "SELECT id FROM borrowers",
                "SELECT at - latency_ms * 1000, at FROM attempts",
            )
        )
        self.balances = dict(accounts)

    def of(self, key_ids: set[str] | None = None) -> int:
        return sum(credits for _, key, credits, _ in self.rows if key_ids is None or key in key_ids)

    @property
    def largest_hold(self) -> int:
        return max(held for *_, held in self.rows)

    @property
    def most_at_once(self) -> int:
        """How many requests were with the upstream at the same time."""
        edges = sorted([(start, 1) for start, _ in self.spans] + [(end, -1) for _, end in self.spans])
        most = now = 0
        for _, change in edges:
            now += change
            most = max(most, now)
        return most


def refused(answer: Answer) -> bool:
    """For good, not to come again because the processes are in each other's way."""
    return answer.status != 200 and b"draw on what is left of a limit; try again" not in answer.body


def spend_with(
    tmp_path: Path,
    database: str,
    keys: list[str],
    statuses: set[int],
    clients: int = CROWD,
    until: Callable[[Answer], bool] | None = None,
) -> Spend:
    """Let everybody spend until everybody was refused a few times, then stop. `until`: what is a refusal."""
    served = Served(tmp_path, WORKERS, database)
    try:
        answers = asyncio.run(crowd(served.port, keys, BODY, clients, until_refused=3, refused=until))
    finally:
        code = served.stop()
    assert code == 0, served.log()[-2000:]
    found = {answer.status for answer in answers if until is None or answer.status == 200 or until(answer)}
    assert found == {200} | statuses, served.log()[-2000:]
    doctor(tmp_path, database)
    spend = Spend(database)
    whole = [answer for answer in answers if answer.status == 200]
    assert len(whole) == len(spend.rows)
    assert {answer.headers["request-id"] for answer in whole} == {row[0] for row in spend.rows}
    assert spend.leases == []
    assert spend.borrowers == []
    return spend


def exactly(cap: int, spend: Spend, spent: int) -> None:
    """The cap is not passed, and what is left of it is less than one request."""
    assert spent <= cap
    assert cap - spent < spend.largest_hold, (cap, spent, spend.largest_hold)

"""Four processes spend and set aside under shared caps, and are killed at random: no cap is passed at any moment, no money
is lost or given out twice, and every task ends once.

`KILL_ROUNDS` says how many are killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from bytespike.ledger import doctor
from bytespike.ledger.escrow import Escrows
from bytespike.store.engine import reading
from tests.support.escrow_house import VIDEO, post
from tests.support.escrow_process import KEYS
from tests.support.ledger_house import USD, House

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
PROCESSES = 4
#: How much is done between two kills, at least.
ENDED_A_ROUND = 15
#: For everything that is waited for.
DEADLINE_S = 240.0


class Spenders:
    """`told`: what they said is done."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._outputs: list[Path] = []

    def start(self, name: str) -> None:
        said = self._folder / f"said-{len(self._outputs)}"
        self._outputs.append(said)
        words = [sys.executable, "-m", "tests.support.escrow_process", str(self._folder), self._url, name]
        with said.open("wb") as output, (self._folder / "errors").open("ab") as errors:
            self._running[name] = subprocess.Popen(words, stdout=output, stderr=errors)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)

    def stop(self) -> list[int]:
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(DEADLINE_S) for process in self._running.values()]
        self._running.clear()
        return codes

    def told(self) -> Counter[str]:
        # The last line of one that was killed may be half a line.
        lines = [line for said in self._outputs for line in said.read_text().split("\n")[:-1]]
        return Counter(line for line in lines if line != "started")

    def started(self) -> int:
        return sum(said.read_text().startswith("started\n") for said in self._outputs)


async def no_cap_is_passed(built: House) -> None:
    """Posted, set aside, and all that is lent are within the limit, in any snapshot of the database."""
    sums = f"""
        SELECT (SELECT spent FROM keys WHERE id = 'key_1'),
               (SELECT coalesce(sum(amount), 0) FROM leases WHERE cap = 'key:key_1'),
               (SELECT coalesce(sum(amount), 0) FROM meter_sums WHERE meter_id = 'key_2/5h'),
               (SELECT coalesce(sum(amount), 0) FROM leases WHERE cap = 'key:key_2'),
               (SELECT coalesce(sum(amount), 0) FROM meter_sums WHERE meter_id = 'key_2/{VIDEO}/lifetime'),
               (SELECT coalesce(sum(amount), 0) FROM leases WHERE cap = 'key:key_2/{VIDEO}'),
               (SELECT balance FROM accounts WHERE id = 'wallet:user:u1'),
               (SELECT coalesce(sum(amount), 0) FROM leases WHERE cap = 'wallet:user:u1'),
               (SELECT balance FROM accounts WHERE id = 'system:held'),
               (SELECT coalesce(sum(amount), 0) FROM escrows WHERE state = 'held')
    """
    async with reading(built.engine) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        row = tuple(int(each) for each in (await connection.execute(text(sums))).one())
    for (used, lent), limit in zip((row[0:2], row[2:4], row[4:6]), (USD, USD, USD // 2), strict=True):
        assert used + lent <= limit, row
    balance, lent, held, set_aside = row[6:]
    assert 0 <= lent <= balance
    assert held == set_aside


async def rounds(spenders: Spenders, built: House) -> None:
    chance = random.Random(6)
    names = [str(number) for number in range(PROCESSES)]
    for name in names:
        spenders.start(name)
    ended = 0
    for killed in range(ROUNDS + 1):
        ended += ENDED_A_ROUND
        end_s = time.monotonic() + DEADLINE_S
        while spenders.started() < PROCESSES + killed or done(spenders, "ended") < ended:
            assert time.monotonic() < end_s, (built.folder / "errors").read_text()[-2000:]
            await no_cap_is_passed(built)
            await asyncio.sleep(0.05)
        if killed < ROUNDS:
            name = chance.choice(names)
            spenders.kill(name)
            await no_cap_is_passed(built)
            spenders.start(name)


def done(spenders: Spenders, what: str) -> int:
    return sum(line.startswith(what) for line in spenders.told())


def test_no_death_loses_money_or_gives_it_out_twice(tmp_path: Path, database: str) -> None:
    async def main() -> None:
        built = House(tmp_path, database)
        await built.build()
        for key in KEYS:
            await built.add_key(key)
        # Less than both caps together: the wallet is one, too.
        await built.fund(2 * USD - USD // 4)
        spenders = Spenders(tmp_path, database)
        try:
            await rounds(spenders, built)
        finally:
            codes = spenders.stop()
        assert codes == [0] * PROCESSES, (tmp_path / "errors").read_text()[-2000:]
        told = spenders.told()
        assert set(told.values()) == {1}, "something was done twice"
        await everything_adds_up(built, told)
        await built.engine.dispose()

    asyncio.run(main())


async def everything_adds_up(built: House, told: Counter[str]) -> None:
    async with reading(built.engine) as connection:
        rows = list(
            await connection.execute(
                text(
                    "SELECT escrows.id, escrows.state, tasks.state, tasks.seq FROM escrows JOIN tasks USING (id)"
                )
            )
        )
        count = (await connection.execute(text("SELECT count(*) FROM tasks"))).scalar_one()
        leases = (await connection.execute(text("SELECT count(*) FROM leases"))).scalar_one()
    # A task is there with its money or not at all, and ended with it, once.
    assert len(rows) == count
    assert all(
        (task, times) == (("pending", 0) if state == "held" else ("completed", 1))
        for _, state, task, times in rows
    )
    # Whoever was told that it is done was told the truth.
    placed = {line.removeprefix("placed ") for line in told if line.startswith("placed")}
    ended = {line.removeprefix("ended ") for line in told if line.startswith("ended")}
    assert placed <= {id for id, *_ in rows}
    assert ended <= {id for id, state, *_ in rows if state != "held"}
    assert leases == 0
    report = await doctor.examine(built.engine, *built.folder.glob("spool-*"))
    assert report.ok, report.findings
    assert report.spool_undrained == 0
    # What is still set aside can be billed by somebody who comes later.
    ledger = built.process("last")
    await ledger.start()
    desk = Escrows(built.engine, ledger, built.clock)
    for id, state, *_ in rows:
        if state == "held":
            row = await desk.find(id)
            assert row is not None
            assert await post(built, desk, row, row.amount)
    await ledger.stop()
    for key, limit in zip(KEYS, (USD, USD), strict=True):
        assert await built.spent(key.id) <= limit
    assert (await doctor.examine(built.engine)).ok

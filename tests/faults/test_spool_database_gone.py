"""The database cannot be written for a while: requests go on, nothing is lost, and it catches up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bytespike.clock import SystemClock
from bytespike.errors import InsufficientBalance
from bytespike.ledger import doctor, upkeep
from bytespike.ledger import ledger as ledger_module
from bytespike.store import engine as engine_module
from tests.support.ledger_house import USD, house, key_record, running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 20)
    monkeypatch.setattr(upkeep, "BACKOFF_MS_MIN", 5)
    monkeypatch.setattr(upkeep, "BACKOFF_MS_MAX", 40)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def test_while_the_database_is_locked_requests_are_served_and_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1000)
            first, second = await built.add_key(key_record("key_1")), await built.add_key(key_record("key_2"))
            built.clock = SystemClock()
            async with running(built, drain_interval_ms=5) as ledger:
                account = await ledger.open(first)
                locker = sqlite3.connect(built.database, isolation_level=None)
                locker.execute("BEGIN IMMEDIATE")
                for number in range(400):
                    built.spend(ledger, account, f"a{number:03d}", 1)
                    if number % 40 == 0:
                        await asyncio.sleep(0.005)
                await until(lambda: ledger.stats().drain_failures > 2)
                # A key that was not in memory is served too: it is only read.
                other = await ledger.open(second)
                for number in range(600):
                    built.spend(ledger, other, f"b{number:03d}", 1)
                with pytest.raises(InsufficientBalance):
                    ledger.hold(account, "over", 1)
                assert ledger.stats().spool_records == 1000
                assert await built.usage_ids() == []
                locker.execute("ROLLBACK")
                locker.close()
                await until(lambda: ledger.stats().spool_records == 0)
                assert account.wallet.free() == 0
            assert await built.balance() == 0
            assert len(await built.usage_ids()) == 1000
            assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    asyncio.run(main())


def test_a_gateway_that_stops_while_the_database_is_locked_leaves_it_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "STOP_S_MAX", 0.2)

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            locker = sqlite3.connect(built.database, isolation_level=None)
            async with running(built) as ledger:
                account = await ledger.open(key_record())
                for number in range(700):
                    built.spend(ledger, account, f"r{number}", 1)
                locker.execute("BEGIN IMMEDIATE")
            assert await built.usage_ids() == []
            locker.execute("ROLLBACK")
            locker.close()
            async with running(built):
                assert len(await built.usage_ids()) == 700
            assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    asyncio.run(main())


def test_a_top_up_beside_a_running_drain_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 5_000)

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            async with running(built, drain_interval_ms=1) as ledger:
                account = await ledger.open(key_record())
                for number in range(60):
                    built.spend(ledger, account, f"r{number}", 10)
                    if number % 10 == 0:
                        await built.fund(100)
                        await ledger.reload("wallet", account.wallet.id)
                        await ledger.reload("key", "key_1")
                    assert account.wallet.free() == 1 * USD + (number // 10 + 1) * 100 - (number + 1) * 10
                    await asyncio.sleep(0.001)
                await until(lambda: ledger.stats().spool_records == 0)
                assert await built.balance() == account.wallet.free() == 1 * USD + 600 - 600

    asyncio.run(main())

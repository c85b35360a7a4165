from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bytespike.clock import SystemClock
from bytespike.errors import InsufficientBalance, InternalError
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.spool import SpoolLocked
from tests.support.ledger_house import USD, House, house, key_record, receipt_for, running


async def opened(built: House, ledger: Ledger) -> KeyAccount:
    return await ledger.open(key_record())


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
    return True


def test_what_is_posted_reaches_the_database_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built, drain_interval_ms=5, sync_interval_ms=1) as ledger:
                account = await opened(built, ledger)
                built.spend(ledger, account, "r1", 3)
                await until(lambda: ledger.stats().drained == 1)
                assert await built.balance() == 10 * USD - 3

    asyncio.run(main())


def test_stopping_drains_what_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                account = await opened(built, ledger)
                for number in range(1000):
                    built.spend(ledger, account, f"r{number}", 3)
            assert await built.balance() == 10 * USD - 3000
            assert list(built.spool_dir.glob("*.log")) == []

    asyncio.run(main())


def test_starting_brings_in_what_an_earlier_process_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            key = await built.add_key(key_record(quota=9 * USD, limit_5h=9 * USD))
            first = built.ledger()
            await first.start()
            account = await first.open(key)
            for number in range(700):
                built.spend(first, account, f"r{number}", 3)
            abandon(first)
            async with running(built) as second:
                assert await built.balance() == 10 * USD - 2100
                again = await second.open(key)
                assert again.wallet.free() == 10 * USD - 2100
                assert again.quota_free() == 9 * USD - 2100
                assert again.windows["5h"].total(built.clock.now_us()) == 2100

    asyncio.run(main())


def abandon(ledger: Ledger) -> None:
    """What the death of a process leaves: files, and no lock."""
    for task in ledger._upkeep.tasks:
        task.cancel()
    ledger._sharing.wake.close()
    ledger._spool.close()


def test_a_second_gateway_on_the_same_spool_does_not_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built, running(built):
            with pytest.raises(SpoolLocked):
                await built.ledger().start()

    asyncio.run(main())


def test_a_start_that_fails_lets_go_of_the_spool(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            good = built.engine
            built.engine = House(tmp_path / "nowhere" / "else").engine
            with pytest.raises(Exception, match="unable to open database file"):
                await built.ledger().start()
            await built.engine.dispose()
            built.engine = good
            async with running(built):
                pass

    asyncio.run(main())


def test_the_upkeep_expires_old_holds(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built, sync_interval_ms=1, hold_age_s_max=60) as ledger:
                ledger.hold(await opened(built, ledger), "r1", 5)
                built.clock.forward(61)
                await until(lambda: ledger.stats().expired == 1)
                assert ledger.stats().held == 0

    asyncio.run(main())


def test_no_holds_while_the_spool_can_take_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built, spool=built.spool(backlog_max=2)) as ledger:
                account = await opened(built, ledger)
                late = ledger.hold(account, "late", 1)
                with monkeypatch.context() as patch:
                    patch.setattr("bytespike.ledger.spool.os.write", no_room)
                    built.spend(ledger, account, "r1", 1)
                    built.spend(ledger, account, "r2", 1)
                    with pytest.raises(InternalError, match="spool"):
                        ledger.hold(account, "r3", 1)
                    ledger.void(late)  # what is under way can still resolve
                    assert ledger.stats().unwritten == 2
                    assert account.wallet.free() == 10 * USD - 2
                ledger._spool.retry()
                built.spend(ledger, account, "r3", 1)
                await ledger.flush()
                assert await built.usage_ids() == ["r1", "r2", "r3"]

    asyncio.run(main())


def no_room(_fd: int, _data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_the_lag_is_the_age_of_what_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                account = await opened(built, ledger)
                built.clock.forward(100)
                await ledger.flush()
                built.spend(ledger, account, "r1", 1)
                built.clock.forward(7)
                assert ledger.stats().drain_lag_ms == 7_000
                await ledger.flush()
                assert ledger.stats().drain_lag_ms == 0

    asyncio.run(main())


def test_two_hundred_requests_at_once_on_money_for_fifty(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(50)
            key = await built.add_key(key_record())
            built.clock = SystemClock()
            async with running(built, drain_interval_ms=1) as ledger:

                async def request(number: int) -> bool:
                    account = ledger.account(key) or await ledger.open(key)
                    try:
                        hold = ledger.hold(account, f"r{number}", 1)
                    except InsufficientBalance:
                        return False
                    await asyncio.sleep(0.001 * (number % 7))
                    ledger.post(hold, receipt_for(hold, built.clock.now_us(), 1), ())
                    return True

                served = await asyncio.gather(*(request(number) for number in range(200)))
            assert sum(served) == 50
            assert await built.balance() == 0
            assert len(await built.usage_ids()) == 50

    asyncio.run(main())

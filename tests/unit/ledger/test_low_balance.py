"""A wallet that gets low leaves an event: once each time that its balance crosses the threshold downwards."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.errors import InvalidRequest, NotFound
from bytespike.ledger import transfers
from bytespike.ledger.entries import user_wallet
from bytespike.ledger.low_balance import LOW_BALANCE, set_threshold
from bytespike.ledger.spool import Spool
from bytespike.store import events
from bytespike.store.engine import reading
from tests.support.ledger_house import START_US, USD, House, house, key_record, receipt_for, running
from tests.support.shared_ledgers import kill, look_after

WALLET = user_wallet("u1")


async def told(built: House) -> list[tuple[str, str]]:
    """(threshold, balance) of the events about the wallet, the oldest first."""
    async with reading(built.engine) as connection:
        found, _ = await events.listing(connection)
    assert all((event.kind, event.subject) == (LOW_BALANCE, WALLET) for event in found)
    return [(event.payload["threshold"], event.payload["balance"]) for event in reversed(found)]


async def threshold(built: House, amount: int | None) -> None:
    async with built.engine.begin() as connection:
        await set_threshold(connection, WALLET, amount)


def lived(folder: Path, live: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            await live(built)

    asyncio.run(main())


def test_crossing_it_downwards_is_told_once_and_again_after_a_topup(tmp_path: Path) -> None:
    async def live(built: House) -> None:
        async with running(built, low_balance=4 * USD) as ledger:
            account = await ledger.open(key_record())
            for number, (cost, expected) in enumerate(
                [
                    (6 * USD, []),  # $4.00 is not below $4.00
                    (1, [("4.00", "3.999999")]),
                    (USD, [("4.00", "3.999999")]),
                ]
            ):
                built.spend(ledger, account, f"r{number}", cost)
                await ledger.flush()
                assert await told(built) == expected
            await built.fund(USD)  # still below: not another crossing
            built.spend(ledger, account, "r3", USD // 2)
            await ledger.flush()
            assert len(await told(built)) == 1
            await built.fund(2 * USD)
            await ledger.reload("wallet", WALLET)
            built.spend(ledger, account, "r4", 2 * USD)
            await ledger.flush()
            assert await told(built) == [("4.00", "3.999999"), ("4.00", "3.499999")]

    lived(tmp_path, live)


def test_a_wallets_own_threshold_goes_before_the_default_and_0_is_none(tmp_path: Path) -> None:
    async def live(built: House) -> None:
        async with running(built, low_balance=9 * USD) as ledger:
            account = await ledger.open(key_record())
            await threshold(built, 5 * USD)
            built.spend(ledger, account, "r1", 2 * USD)
            await ledger.flush()
            assert await told(built) == []
            built.spend(ledger, account, "r2", 4 * USD)
            await ledger.flush()
            assert await told(built) == [("5.00", "4.00")]
            await threshold(built, 0)
            built.spend(ledger, account, "r3", 4 * USD)
            await ledger.flush()
            assert len(await told(built)) == 1
            await built.fund(10 * USD)
            await threshold(built, None)
            await ledger.reload("wallet", WALLET)
            built.spend(ledger, account, "r4", 2 * USD)
            await ledger.flush()
            assert (await told(built))[1:] == [("9.00", "8.00")]

    lived(tmp_path, live)


def test_an_operator_who_takes_money_back_is_told_of_too(tmp_path: Path) -> None:
    async def live(built: House) -> None:
        for _ in range(3):
            await transfers.admin_debit(
                built.engine, WALLET, 3 * USD, actor="test", now_us=START_US, low_balance=5 * USD
            )
        assert await told(built) == [("5.00", "4.00")]

    lived(tmp_path, live)


def test_a_batch_that_was_committed_and_is_read_again_tells_nothing(tmp_path: Path) -> None:
    async def live(built: House) -> None:
        async with running(built, low_balance=5 * USD) as ledger:
            account = await ledger.open(key_record())
            built.spend(ledger, account, "r1", 6 * USD)
            left = built.folder / "left"
            shutil.copytree(built.spool_dir, left)
            await ledger.flush()
            assert len(await told(built)) == 1
        # Its successor finds the same records in the spool.
        async with running(built, spool=Spool(left, built.clock.monotonic_ns), low_balance=5 * USD):
            pass
        assert len(await told(built)) == 1
        assert await built.balance() == 4 * USD

    lived(tmp_path, live)


def test_many_processes_tell_it_once(tmp_path: Path) -> None:
    async def live(built: House) -> None:
        ledgers = [built.process(name, low_balance=5 * USD) for name in "abc"]
        for ledger in ledgers:
            await ledger.start()
        for number in range(9):
            ledger = ledgers[number % 3]
            account = await ledger.open(key_record())
            hold = await ledger.acquire(account, f"r{number}", USD)
            ledger.post(hold, receipt_for(hold, built.clock.now_us(), USD), ())
        # One dies with its spool full: another of the host drains that.
        await kill(ledgers[0])
        await asyncio.gather(ledgers[1].flush(), ledgers[2].flush())
        await look_after(ledgers[1], {ledgers[0]._sharing.id})
        assert await built.balance() == 1 * USD
        assert len(await told(built)) == 1
        for ledger in ledgers[1:]:
            await ledger.stop()
        assert len(await told(built)) == 1

    lived(tmp_path, live)


@pytest.mark.parametrize(
    ("account", "amount", "error"), [("wallet:user:x", 1, NotFound), (WALLET, -1, InvalidRequest)]
)
def test_a_threshold_is_of_a_wallet_and_not_negative(
    tmp_path: Path, account: str, amount: int, error: type[Exception]
) -> None:
    async def live(built: House) -> None:
        with pytest.raises(error):
            async with built.engine.begin() as connection:
                await set_threshold(connection, account, amount)

    lived(tmp_path, live)

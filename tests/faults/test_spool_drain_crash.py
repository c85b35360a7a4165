"""The drain is broken off at each of its steps. Afterwards every receipt is in the books once, whoever goes on: the same
process, or the next one with what is left on disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Transaction, event

from bytespike.ledger import doctor
from bytespike.ledger.ledger import Ledger
from tests.support.ledger_house import USD, House, house, key_record, running

#: Statements of one batch: begin, balances, their change, spend, its change, meters, usage, transfers, attempts, rollups.
STATEMENTS = 10
CREDITS = 7
RECORDS = 6


class Broken(Exception):
    """What breaks the drain off."""


@contextmanager
def failing_statement(ledger: Ledger, number: int) -> Iterator[Callable[[], int]]:
    """The statement of that number fails; gives how many were seen."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number + 1:
            raise sqlite3.OperationalError("disk I/O error")

    engine = ledger._drain._writer._engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield lambda: seen
    finally:
        event.remove(engine, "before_cursor_execute", count)


def drains() -> bool:
    """Whether this is the drain's own thread."""
    return threading.current_thread().name.startswith("bytespike-writer")


async def post_some(built: House, ledger: Ledger) -> None:
    account = await ledger.open(key_record())
    for number in range(RECORDS):
        built.spend(ledger, account, f"r{number}", CREDITS)


async def assert_all_once(built: House) -> None:
    assert await built.usage_ids() == [f"r{number}" for number in range(RECORDS)]
    assert await built.balance() == 1 * USD - RECORDS * CREDITS
    assert await built.spent() == RECORDS * CREDITS
    assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()


async def assert_nothing(built: House) -> None:
    assert await built.usage_ids() == []
    assert await built.balance() == 1 * USD
    assert await built.spent() == 0


async def die(ledger: Ledger) -> None:
    """The process is gone: its connection and its lock with it."""
    for task in ledger._upkeep.tasks:
        task.cancel()
    ledger._sharing.wake.close()
    await ledger._drain.close()
    ledger._spool.close()


@pytest.mark.parametrize("step", range(STATEMENTS))
@pytest.mark.parametrize("who", ["same process", "next process"])
def test_a_batch_that_fails_at_any_statement_happens_once_later(tmp_path: Path, step: int, who: str) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            ledger = built.ledger()
            await ledger.start()
            await post_some(built, ledger)
            with failing_statement(ledger, step), pytest.raises(Exception, match="disk I/O error"):
                await ledger.flush()
            await assert_nothing(built)
            assert ledger.stats().spool_records == RECORDS
            account = await ledger.open(key_record())
            assert account.wallet.free() == 1 * USD - RECORDS * CREDITS
            if who == "next process":
                await die(ledger)
                ledger = built.ledger()
                await ledger.start()
            await ledger.flush()
            await assert_all_once(built)
            account = await ledger.open(key_record())
            assert (account.wallet.free(), account.wallet.undrained) == (1 * USD - RECORDS * CREDITS, 0)
            await ledger.stop()

    asyncio.run(main())


def test_the_steps_above_are_all_there_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                await post_some(built, ledger)
                # Six records are two pieces of each statement for many rows: four and two.
                pieces = 3
                with failing_statement(ledger, 10_000) as seen:
                    await ledger.flush()
                    assert seen() == STATEMENTS + pieces

    asyncio.run(main())


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("who", ["same process", "next process"])
def test_a_commit_of_which_nobody_knows_whether_it_was_done_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool, who: str
) -> None:
    commit = Transaction.commit

    def lost(transaction: Transaction) -> None:
        if done or not drains():
            commit(transaction)
        if drains():
            raise Broken("broken connection")

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            ledger = built.ledger()
            await ledger.start()
            await post_some(built, ledger)
            with monkeypatch.context() as patch:
                patch.setattr(Transaction, "commit", lost)
                with pytest.raises(Broken):
                    await ledger.flush()
            assert len(await built.usage_ids()) == (RECORDS if done else 0)
            if who == "next process":
                await die(ledger)
                ledger = built.ledger()
                await ledger.start()
            # A window that is capped just now must not count what is in the rows and in the spool.
            account = await ledger.open(key_record(limit_5h=1 * USD))
            assert account.windows["5h"].total(built.clock.now_us()) == RECORDS * CREDITS
            await ledger.flush()
            await assert_all_once(built)
            assert (account.wallet.free(), account.undrained) == (1 * USD - RECORDS * CREDITS, 0)
            assert account.windows["5h"].total(built.clock.now_us()) == RECORDS * CREDITS
            await ledger.stop()

    asyncio.run(main())


def test_a_drain_that_is_cancelled_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                await post_some(built, ledger)
                for turns in range(0, 60, 2):
                    task = asyncio.create_task(ledger.flush())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                await ledger.flush()
                await assert_all_once(built)
                account = await ledger.open(key_record())
                assert (account.wallet.free(), account.wallet.undrained) == (1 * USD - RECORDS * CREDITS, 0)

    asyncio.run(main())


def test_a_failure_between_the_halves_of_a_refused_batch_counts_the_first_half_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poisonous record splits the batch; the database goes away when a part of it is committed."""

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(1 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                await post_some(built, ledger)
                account = await ledger.open(key_record())
                built.spend(ledger, account, "r0", CREDITS + 1)  # another receipt of the same request
                commit = Transaction.commit
                commits = 0

                def first_only(transaction: Transaction) -> None:
                    nonlocal commits
                    commits += drains()
                    if commits == 2 and drains():
                        raise Broken("broken connection")
                    commit(transaction)

                with monkeypatch.context() as patch:
                    patch.setattr(Transaction, "commit", first_only)
                    with pytest.raises(Broken):
                        await ledger.flush()
                assert 0 < len(await built.usage_ids()) < RECORDS
                free = 1 * USD - RECORDS * CREDITS
                assert account.wallet.free() == free - CREDITS - 1
                await ledger.flush()
                assert (account.wallet.free(), account.wallet.undrained) == (free, 0)
                assert await built.balance() == free
                assert len(await built.usage_ids()) == RECORDS
                assert ledger.stats().set_aside == 1

    asyncio.run(main())

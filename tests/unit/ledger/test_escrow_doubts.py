"""A commit that nobody confirmed: it was done or it was not, and until that is known the money stays set aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts.records import ModelCap
from bytespike.errors import InsufficientBalance, InternalError
from bytespike.ledger import doctor, escrow
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.escrow_books import EscrowBooks
from bytespike.ledger.ledger import HoldResolved, Ledger
from tests.support.escrow_house import BROKEN, VIDEO, begun, commits, held, post, set_aside, task_states, void
from tests.support.ledger_house import House, house, key_record, running
from tests.support.shared_ledgers import nothing_lent_beyond_what_is_written

RECORD = key_record(limit_5h=900, caps=(ModelCap(VIDEO, "lifetime", 800),))
Scene = tuple[House, Ledger, Escrows, KeyAccount]


@pytest.fixture(params=["alone", "sharing"])
def company(request: pytest.FixtureRequest) -> bool:
    """Whether another process spends here too."""
    return request.param == "sharing"


@asynccontextmanager
async def scene(folder: Path, company: bool) -> AsyncIterator[Scene]:
    async with house(folder) as built:
        await built.add_key(RECORD)
        await built.fund(1000)
        async with running(built) as ledger:
            other = built.process("other") if company else None
            if other is not None:
                await asyncio.gather(other.start(), _shares(ledger))
            escrows = Escrows(built.engine, ledger, built.clock)
            yield built, ledger, escrows, await ledger.open(RECORD)
            await escrows.close()
            if other is not None:
                await nothing_lent_beyond_what_is_written([ledger, other], built.engine)
                await other.stop()
        assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()


async def _shares(ledger: Ledger) -> None:
    async with asyncio.timeout(30):
        while ledger._sharing.alone:
            await asyncio.sleep(0.01)


def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The database cannot be asked either, until the function that this gives is called."""
    whole = EscrowBooks.look
    back = False

    async def look(*arguments: object) -> object:
        if not back:
            raise BROKEN
        return await whole(*arguments)

    def comes_back() -> None:
        nonlocal back
        back = True

    monkeypatch.setattr(EscrowBooks, "look", look)
    return comes_back


def test_placed_after_all(tmp_path: Path, company: bool) -> None:
    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            hold = await ledger.acquire(account, "req_1", 300, VIDEO)
            now_us = built.clock.now_us()
            with commits("done"):
                await escrows.place(hold, Escrow("task_1", now_us), begun(hold, "task_1", now_us))
            assert hold.state == "escrowed"
            await there(built, ledger, account)
            row = await escrows.find("task_1")
            assert row is not None
            assert await void(built, escrows, row)
            assert (account.wallet.balance, account.spent, account.models[VIDEO].spent) == (1000, 0, 0)

    asyncio.run(main())


async def there(built: House, ledger: Ledger, account: KeyAccount) -> None:
    """The 300 are in the books, and nothing is held for them."""
    assert (await held(built), await built.spent()) == (300, 300)
    assert (account.wallet.balance, account.wallet.held, account.held) == (700, 0, 0)
    assert (account.spent, account.models[VIDEO].spent) == (300, 300)
    assert account.windows["5h"].total(built.clock.now_us()) == 300
    assert (ledger.stats().held, ledger.stats().open_holds) == (0, 0)


def test_not_placed(tmp_path: Path, company: bool) -> None:
    """The caller gets the database's error, and its hold back."""

    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            hold = await ledger.acquire(account, "req_1", 300, VIDEO)
            with commits("not done"), pytest.raises(OperationalError):
                await escrows.place(hold, Escrow("task_1", built.clock.now_us()), begun(hold, "task_1", 0))
            assert hold.state == "open"
            assert account.held == 300
            ledger.void(hold)
            assert (await held(built), await task_states(built)) == (0, {})
            assert (account.wallet.balance, account.held, account.spent) == (1000, 0, 0)

    asyncio.run(main())


@pytest.mark.parametrize("done", [True, False])
def test_while_nobody_knows_it_is_held_and_cannot_be_resolved(
    tmp_path: Path, company: bool, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            monkeypatch.setattr(escrow, "CONFIRM_S_MAX", 0.1)
            hold = await ledger.acquire(account, "req_1", 300, VIDEO)
            comes_back = away(monkeypatch)
            now_us = built.clock.now_us()
            with commits("done" if done else "not done"), pytest.raises(InternalError):
                await escrows.place(hold, Escrow("task_1", now_us), begun(hold, "task_1", now_us))
            assert hold.state == "doubtful"
            with pytest.raises(HoldResolved):
                ledger.void(hold)
            built.clock.forward(24 * 3600)
            assert ledger.expire() == 0
            built.clock.jump(-24 * 3600)
            assert account.held == 300
            comes_back()
            async with asyncio.timeout(30):
                while hold.state in ("doubtful", "open"):
                    await asyncio.sleep(0.01)
            assert hold.state == ("escrowed" if done else "voided")
            if done:
                await there(built, ledger, account)
            else:
                assert (account.held, ledger.stats().held, ledger.stats().open_holds) == (0, 0, 0)
                assert (account.wallet.balance, await held(built)) == (1000, 0)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["post", "void"])
def test_resolved_after_all(tmp_path: Path, company: bool, kind: str) -> None:
    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            row = await set_aside(built, escrows, ledger, account, "task_1", 300)
            with commits("done"):
                assert await (post(built, escrows, row, 100) if kind == "post" else void(built, escrows, row))
            spent = 100 if kind == "post" else 0
            assert (await held(built), await built.spent()) == (0, spent)
            assert (account.wallet.balance, account.spent) == (1000 - spent, spent)
            assert account.models[VIDEO].spent == spent
            assert account.windows["5h"].total(built.clock.now_us()) == spent

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["post", "void"])
def test_not_resolved_can_be_tried_again(tmp_path: Path, company: bool, kind: str) -> None:
    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            row = await set_aside(built, escrows, ledger, account, "task_1", 300)

            async def resolve() -> bool:
                return await (post(built, escrows, row, 100) if kind == "post" else void(built, escrows, row))

            with commits("not done"), pytest.raises(OperationalError):
                await resolve()
            assert (await held(built), account.wallet.balance, account.spent) == (300, 700, 300)
            assert await resolve()
            assert not await resolve()

    asyncio.run(main())


def test_a_database_that_is_gone_before_the_commit_leaves_the_hold_open(
    tmp_path: Path, company: bool
) -> None:
    async def main() -> None:
        async with scene(tmp_path, company) as (built, ledger, escrows, account):
            hold = await ledger.acquire(account, "req_1", 300, VIDEO)

            async def gone(_: AsyncConnection) -> None:
                raise BROKEN

            with pytest.raises(OperationalError):
                await escrows.place(hold, Escrow("task_1", built.clock.now_us()), gone)
            assert hold.state == "open"
            with pytest.raises(InsufficientBalance):
                await ledger.acquire(account, "req_2", 701)
            ledger.void(hold)

    asyncio.run(main())

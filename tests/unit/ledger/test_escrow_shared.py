"""Tasks' money where several processes spend: what one sets aside is spent for all, and any of them may end it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.accounts.records import ModelCap
from bytespike.errors import InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger.account import Meter
from bytespike.ledger.entries import org_wallet, user_wallet
from bytespike.ledger.escrow import Escrow, Escrows
from bytespike.ledger.ledger import Ledger
from tests.support.escrow_house import VIDEO, begun, held, post, set_aside, void
from tests.support.ledger_house import House, house, key_record, org_key
from tests.support.shared_ledgers import (
    books_are_right,
    borrowers,
    kill,
    leases,
    look_after,
    nothing_lent_beyond_what_is_written,
)

Body = Callable[[House, Ledger, Ledger], Awaitable[None]]
WALLET = user_wallet("u1")
RECORD = key_record(quota=900, limit_5h=800, caps=(ModelCap(VIDEO, "lifetime", 700),))
CAPS = (WALLET, "key:key_1", f"key:key_1/{VIDEO}")


def with_two(folder: Path, body: Body) -> None:
    """Two processes share a thousand; in the end nothing is lent, and the books are right."""

    async def main() -> None:
        async with house(folder) as built:
            await built.fund(1000)
            first, second = built.process("a"), built.process("b")
            await first.start()
            await second.start()
            try:
                await body(built, first, second)
            finally:
                await first.stop()
                await second.stop()
            await books_are_right(built.engine)
            assert [cap for cap, _ in await leases(built.engine) if not cap.startswith("starts:")] == []
            assert await borrowers(built.engine) == []

    asyncio.run(main())


def desk(built: House, ledger: Ledger) -> Escrows:
    return Escrows(built.engine, ledger, built.clock)


def test_what_is_set_aside_moves_from_the_lease_to_what_is_spent(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        await built.add_key(RECORD)
        account = await first.open(RECORD)
        hold = await first.acquire(account, "req_1", 200, VIDEO)
        before = await leases(built.engine)
        meters = (account.wallet, account, account.models[VIDEO])
        granted = [meter.granted for meter in meters]
        at = built.clock.now_us()
        await desk(built, first).place(hold, Escrow("task_1", at), begun(hold, "task_1", at))
        after = await leases(built.engine)
        mine = first._sharing.id
        for cap, meter, had in zip(CAPS, meters, granted, strict=True):
            assert after[cap, mine] == before[cap, mine] - 200
            assert meter.granted == had - 200
            assert meter.held == 0
        # The slot is free; that it was lent is another matter.
        assert account.owner.in_flight == 0
        await nothing_lent_beyond_what_is_written([first, second], built.engine)

    with_two(tmp_path, body)


@pytest.mark.parametrize("end", ["post", "void"])
def test_any_process_may_end_it_and_both_know(tmp_path: Path, end: str) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        await built.add_key(RECORD)
        one, other = await first.open(RECORD), await second.open(RECORD)
        row = await set_aside(built, desk(built, first), first, one, "task_1", 600)
        with pytest.raises(QuotaExceeded):
            await second.acquire(other, "req_2", 101, VIDEO)
        with pytest.raises(RateLimited):
            await second.acquire(other, "req_3", 201)
        ending = desk(built, second)
        assert await (post(built, ending, row, 300) if end == "post" else void(built, ending, row))
        assert not await void(built, desk(built, first), row)
        spent = 300 if end == "post" else 0
        now_us = built.clock.now_us()
        assert (other.wallet.balance, other.spent, other.models[VIDEO].spent) == (1000 - spent, spent, spent)
        assert other.windows["5h"].total(now_us) == spent
        # The one that set it aside borrows what came back.
        built.clock.forward(1)
        second.void(await second.acquire(other, "req_4", 700 - spent, VIDEO))
        built.clock.forward(1)
        first.void(await first.acquire(one, "req_5", 700 - spent, VIDEO))
        assert one.models[VIDEO].spent == spent

    with_two(tmp_path, body)


def test_no_two_processes_set_the_same_money_aside(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        await built.add_key(RECORD)
        accounts = {ledger: await ledger.open(RECORD) for ledger in (first, second)}
        desks = {ledger: desk(built, ledger) for ledger in (first, second)}

        async def order(number: int) -> int:
            ledger = (first, second)[number % 2]
            try:
                await set_aside(built, desks[ledger], ledger, accounts[ledger], f"task_{number:02d}", 90)
            except QuotaExceeded:
                return 0
            return 90

        placed = sum(await asyncio.gather(*(order(number) for number in range(30))))
        # As many as fit under the cap on the model, which is the tightest.
        assert placed == 630 == await held(built) == await built.spent()

    with_two(tmp_path, body)


def test_what_a_dead_process_set_aside_stays_and_what_it_had_borrowed_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            key = await built.add_key(org_key("key_1"))
            await built.fund(1000, org_wallet("o1"))
            first, second = built.process("a"), built.process("b")
            await first.start()
            await second.start()
            row = await set_aside(built, desk(built, first), first, await first.open(key), "task_1", 300)
            hold = await first.acquire(await first.open(key), "req_lost", 100)
            assert hold.state == "open"
            dead = first._sharing.id
            await kill(first)
            await look_after(second, [dead])
            assert await built.balance(org_wallet("o1")) == 700
            account = await second.open(key)
            second.void(await second.acquire(account, "req_1", 700))
            with pytest.raises(InsufficientBalance):
                await second.acquire(account, "req_2", 701)
            built.clock.forward(1)
            assert await post(built, desk(built, second), row, 300)
            await second.stop()
            await books_are_right(built.engine)

    asyncio.run(main())


def test_one_that_was_alone_shares_what_it_holds_and_what_it_has_set_aside(tmp_path: Path) -> None:
    """A second process joins while the first is in the middle of setting money aside."""

    async def main() -> None:
        async with house(tmp_path) as built:
            await built.add_key(RECORD)
            await built.fund(1000)
            first, second = built.process("a"), built.process("b")
            await first.start()
            account = await first.open(RECORD)
            hold = first.hold(account, "req_1", 400, VIDEO)
            other = first.hold(account, "req_2", 100, VIDEO)
            at = built.clock.now_us()
            joining: list[asyncio.Task[None]] = []

            async def write(connection: object) -> None:
                joining.append(asyncio.create_task(second.start()))
                await asyncio.sleep(0.05)
                await begun(hold, "task_1", at)(connection)

            assert first._sharing.alone
            await desk(built, first).place(hold, Escrow("task_1", at), write)
            await joining[0]
            assert not first._sharing.alone
            newcomer = await second.open(RECORD)
            with pytest.raises(QuotaExceeded):
                await second.acquire(newcomer, "req_3", 201, VIDEO)
            built.clock.forward(1)
            second.void(await second.acquire(newcomer, "req_4", 200, VIDEO))
            first.void(other)
            row = await desk(built, second).find("task_1")
            assert row is not None
            assert await void(built, desk(built, second), row)
            for ledger in (first, second):
                await ledger.stop()
            await books_are_right(built.engine)

    asyncio.run(main())


def test_a_cap_that_comes_while_requests_are_under_way_counts_them_in_every_process(tmp_path: Path) -> None:
    """There was no cap when they were admitted, so nothing was borrowed for them."""

    async def body(built: House, first: Ledger, second: Ledger) -> None:
        free = key_record()
        await built.add_key(free)
        hold = await first.acquire(await first.open(free), "req_1", 80)
        capped = key_record(quota=100, caps=(ModelCap(VIDEO, "1d", 100),))
        one, other = await first.open(capped), await second.open(capped)
        async with asyncio.timeout(30):
            while any(meter.uncovered(0) for meter in first._book.borrowed() if isinstance(meter, Meter)):
                await asyncio.sleep(0.002)
        assert one.granted >= 80
        with pytest.raises(QuotaExceeded):
            await second.acquire(other, "req_2", 21)
        built.clock.forward(1)
        second.void(await second.acquire(other, "req_3", 20))
        first.void(hold)

    with_two(tmp_path, body)

"""Money that is set aside for a task: it leaves every cap, and comes back to every cap or is billed, once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import event, text

from bytespike.accounts.records import KeyRecord, ModelCap
from bytespike.core.usage import Usage
from bytespike.errors import InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger import doctor, transfers
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.entries import REVENUE, org_wallet, user_wallet
from bytespike.ledger.escrow import Escrow, Escrows, UnknownEscrow
from bytespike.ledger.ledger import HoldResolved, Ledger
from bytespike.ledger.rollups import DAY_US, Wanted, summed, total
from bytespike.ledger.statements import EntryFilter, statement
from bytespike.ledger.transfers import RefundTooLarge
from bytespike.ledger.usage_queries import UsageFilter, attempts_of, list_usage
from bytespike.store.engine import reading
from tests.support.escrow_house import (
    VIDEO,
    Counted,
    Refused,
    attempt_of,
    begun,
    held,
    nothing,
    post,
    receipt_of,
    refuse,
    set_aside,
    task_states,
    void,
)
from tests.support.ledger_house import USD, House, house, key_record, org_key, running

Body = Callable[[House, Ledger, Escrows, KeyAccount], Awaitable[None]]


def with_a_task_desk(folder: Path, body: Body, record: KeyRecord | None = None, funds: int = 1000) -> None:
    """A house whose key may spend; at the end the books are right."""

    async def main() -> None:
        async with house(folder) as built:
            key = await built.add_key(record or key_record())
            await built.fund(funds, key.account_id)
            async with running(built) as ledger:
                escrows = Escrows(built.engine, ledger, built.clock)
                await body(built, ledger, escrows, await ledger.open(key))
                assert ledger.stats().held == 0
            report = await doctor.examine(built.engine, built.spool_dir)
            assert report.findings == ()

    asyncio.run(main())


def test_what_is_set_aside_has_left_the_wallet_and_takes_no_slot(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        assert (row.state, row.amount, row.model, row.request_id) == ("held", 300, VIDEO, "req_task_1")
        assert (await built.balance(), await held(built), await built.spent()) == (700, 300, 300)
        assert (account.wallet.free(), account.spent, account.held) == (700, 300, 0)
        assert account.owner.in_flight == 0
        assert await task_states(built) == {"task_1": "pending"}
        assert await built.usage_ids() == []

    with_a_task_desk(tmp_path, body)


def test_what_was_made_is_billed_and_the_rest_comes_back(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        assert await post(built, escrows, row, 120)
        assert (await built.balance(), await held(built), await built.spent()) == (880, 0, 120)
        assert await built.balance(REVENUE) == 120
        assert (account.wallet.free(), account.spent) == (880, 120)
        assert await task_states(built) == {"task_1": "completed"}
        (billed,) = (await list_usage(built.engine, UsageFilter())).items
        assert (billed.request_id, billed.credits, billed.held, billed.seconds) == ("req_task_1", 120, 300, 8)
        (attempt,) = await attempts_of(built.engine, "req_task_1")
        assert (attempt.cost, attempt.seconds) == (70, 8)

    with_a_task_desk(tmp_path, body)


def test_what_failed_costs_nothing(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        assert await void(built, escrows, row)
        assert (await built.balance(), await held(built), await built.spent()) == (1000, 0, 0)
        assert (account.wallet.free(), account.spent) == (1000, 0)
        assert await built.usage_ids() == []
        assert len(await attempts_of(built.engine, "req_task_1")) == 1
        found = await escrows.find("task_1")
        assert found is not None
        assert (found.state, found.posted) == ("voided", 0)

    with_a_task_desk(tmp_path, body)


def test_an_escrow_resolves_once_and_the_first_one_wins(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        counted = Counted()
        first, second = [await set_aside(built, escrows, ledger, account, f"task_{n}", 100) for n in (1, 2)]
        assert await post(built, escrows, first, 100)
        assert await void(built, escrows, second)
        for row in (first, second):
            receipt = receipt_of(row, built.clock.now_us(), 100)
            assert not await escrows.post(row.id, receipt, (), counted.write)
            assert not await escrows.void(row.id, (), counted.write)
        assert counted.times == 0
        assert (await built.balance(), await built.spent()) == (900, 100)

    with_a_task_desk(tmp_path, body)


def test_of_many_who_resolve_at_once_one_does(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 100)
        counted = Counted()
        receipt = receipt_of(row, built.clock.now_us(), 60)
        attempts = (attempt_of(row, built.clock.now_us()),)
        done = await asyncio.gather(
            *(escrows.post(row.id, receipt, attempts, counted.write) for _ in range(10)),
            *(escrows.void(row.id, (), counted.write) for _ in range(10)),
        )
        assert (done.count(True), counted.times) == (1, 1)
        assert account.wallet.free() == await built.balance() in (940, 1000)

    with_a_task_desk(tmp_path, body)


@pytest.mark.parametrize(
    ("record", "refusal"),
    [
        (key_record(), InsufficientBalance),
        (key_record(quota=1000), QuotaExceeded),
        (key_record(limit_5h=1000), RateLimited),
        (key_record(limit_7d=1000), RateLimited),
        (key_record(caps=(ModelCap(VIDEO, "1d", 1000),)), RateLimited),
        (key_record(caps=(ModelCap(VIDEO, "lifetime", 1000),)), QuotaExceeded),
        (org_key("key_1", member_caps=(ModelCap("", "lifetime", 1000),)), QuotaExceeded),
        (org_key("key_1", member_caps=(ModelCap("", "5h", 1000),)), RateLimited),
    ],
)
def test_it_counts_under_every_cap_until_it_comes_back(
    tmp_path: Path, record: KeyRecord, refusal: type[Exception]
) -> None:
    """A thousand under the cap; in the wallet more, unless that is the cap."""

    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 800)
        with pytest.raises(refusal):
            ledger.hold(account, "req_2", 201, VIDEO)
        ledger.void(ledger.hold(account, "req_3", 200, VIDEO))
        assert await void(built, escrows, row)
        again = await set_aside(built, escrows, ledger, account, "task_2", 900)
        assert await post(built, escrows, again, 500)
        with pytest.raises(refusal):
            ledger.hold(account, "req_4", 501, VIDEO)
        ledger.void(ledger.hold(account, "req_5", 500, VIDEO))

    with_a_task_desk(tmp_path, body, record, funds=1000 if refusal is InsufficientBalance else 5000)


@pytest.mark.parametrize("by_another", [False, True])
def test_a_window_counts_it_from_when_it_was_set_aside(tmp_path: Path, by_another: bool) -> None:
    """Also for a process that comes later and reads the sums."""

    async def main() -> None:
        async with house(tmp_path) as built:
            key = await built.add_key(key_record(limit_5h=500))
            await built.fund(5000)
            async with running(built) as ledger:
                escrows = Escrows(built.engine, ledger, built.clock)
                row = await set_aside(built, escrows, ledger, await ledger.open(key), "task_1", 400)
                if not by_another:
                    await billed_late(built, ledger, escrows, row)
            if by_another:
                async with running(built) as later:
                    await billed_late(built, later, Escrows(built.engine, later, built.clock), row)
            assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    async def billed_late(built: House, ledger: Ledger, escrows: Escrows, row) -> None:
        account = await ledger.open(key_record(limit_5h=500))
        built.clock.forward(4 * 3600)
        assert await post(built, escrows, row, 300)
        with pytest.raises(RateLimited):
            ledger.hold(account, "req_a", 201)
        ledger.void(ledger.hold(account, "req_b", 200))
        # Billed four hours later, it leaves an hour after that all the same.
        built.clock.forward(3600 + 61)
        account = await ledger.open(key_record(limit_5h=500))
        ledger.void(ledger.hold(account, "req_c", 500))

    asyncio.run(main())


def test_a_window_that_begins_later_has_what_was_set_aside_and_what_was_billed(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        first = await set_aside(built, escrows, ledger, account, "task_1", 300)
        second = await set_aside(built, escrows, ledger, account, "task_2", 200)
        third = await set_aside(built, escrows, ledger, account, "task_3", 90)
        built.clock.forward(3600)
        assert await post(built, escrows, second, 150)
        assert await void(built, escrows, third)
        built.spend(ledger, account, "req_text", 10)
        await ledger.flush()
        capped = key_record(limit_5h=500, caps=(ModelCap(VIDEO, "lifetime", 470), ModelCap(VIDEO, "1d", 455)))
        account = await ledger.open(capped)
        now_us = built.clock.now_us()
        assert account.windows["5h"].total(now_us) == 460
        assert account.models[VIDEO].spent == 450
        assert account.models[VIDEO].windows["1d"].total(now_us) == 450
        assert await void(built, escrows, first)
        assert account.windows["5h"].total(now_us) == 160
        assert account.models[VIDEO].spent == 150
        # What was set aside an hour ago leaves an hour earlier than what was spent now.
        built.clock.forward(4 * 3600 + 61)
        assert account.windows["5h"].total(built.clock.now_us()) == 10

    with_a_task_desk(tmp_path, body)


def test_a_write_that_refuses_rolls_everything_back(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        hold = ledger.hold(account, "req_1", 300, VIDEO)
        with pytest.raises(Refused):
            await escrows.place(hold, Escrow("task_1", built.clock.now_us()), refuse)
        assert hold.state == "open"
        assert account.wallet.free() == 700
        assert (await built.balance(), await held(built)) == (1000, 0)
        ledger.void(hold)
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        for resolve in (
            escrows.post("task_1", receipt_of(row, built.clock.now_us(), 1), (), refuse),
            escrows.void("task_1", (), refuse),
        ):
            with pytest.raises(Refused):
                await resolve
        assert (await built.balance(), await held(built)) == (700, 300)
        assert await post(built, escrows, row, 300)

    with_a_task_desk(tmp_path, body)


def test_only_an_open_hold_is_placed_and_only_once(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        hold = ledger.hold(account, "req_1", 300, VIDEO)
        now_us = built.clock.now_us()
        await escrows.place(hold, Escrow("task_1", now_us), begun(hold, "task_1", now_us))
        assert hold.state == "escrowed"
        with pytest.raises(HoldResolved):
            await escrows.place(hold, Escrow("task_2", now_us), nothing)
        with pytest.raises(HoldResolved):
            ledger.void(hold)
        gone = ledger.hold(account, "req_2", 10, VIDEO)
        ledger.void(gone)
        with pytest.raises(HoldResolved):
            await escrows.place(gone, Escrow("task_2", now_us), nothing)
        row = await escrows.find("task_1")
        assert row is not None
        assert await post(built, escrows, row, 300)

    with_a_task_desk(tmp_path, body)


def test_a_second_escrow_of_one_task_or_of_one_request_is_refused_by_the_database(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        for request, task in (("req_2", "task_1"), ("req_task_1", "task_2")):
            hold = ledger.hold(account, request, 50, VIDEO)
            with pytest.raises(Exception, match="UNIQUE"):
                await escrows.place(hold, Escrow(task, built.clock.now_us()), nothing)
            assert hold.state == "open"
            ledger.void(hold)
        assert (await built.balance(), await held(built)) == (700, 300)
        assert await void(built, escrows, row)

    with_a_task_desk(tmp_path, body)


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": "req_other"},
        {"account_id": user_wallet("u2")},
        {"key_id": "key_2"},
        {"user_id": "u2"},
        {"org_id": "o1"},
        {"model": "veo3-1"},
        {"credits": 301},
        {"credits": -1},
        {"credits": True},
        {"held": 299},
    ],
)
def test_a_receipt_that_is_not_the_escrows_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 300)
        counted = Counted()
        wrong = structs.replace(receipt_of(row, built.clock.now_us(), 300), **fields)
        with pytest.raises(ValueError, match=r"receipt|held"):
            await escrows.post("task_1", wrong, (), counted.write)
        assert counted.times == 0
        assert await held(built) == 300
        assert await void(built, escrows, row)

    with_a_task_desk(tmp_path, body)


def test_nothing_is_resolved_that_was_never_placed(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        assert await escrows.find("task_9") is None
        with pytest.raises(UnknownEscrow):
            await escrows.void("task_9", (), nothing)

    with_a_task_desk(tmp_path, body)


def test_a_model_that_costs_nothing_has_an_escrow_of_nothing(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        row = await set_aside(built, escrows, ledger, account, "task_1", 0)
        assert row.amount == 0
        assert await post(built, escrows, row, 0)
        assert await built.usage_ids() == ["req_task_1"]
        row = await set_aside(built, escrows, ledger, account, "task_2", 0)
        assert await void(built, escrows, row)

    with_a_task_desk(tmp_path, body)


def test_the_wallets_usage_is_what_its_receipts_say_and_its_entries_add_up_to_its_balance(
    tmp_path: Path,
) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        wallet = user_wallet("u1")
        rows = [await set_aside(built, escrows, ledger, account, f"task_{n}", 100) for n in range(3)]
        assert await post(built, escrows, rows[0], 70)
        assert await void(built, escrows, rows[1])
        built.spend(ledger, account, "req_text", 5)
        await ledger.flush()
        entries = (await statement(built.engine, EntryFilter(wallet))).items
        assert sum(entry.amount for entry in entries) == await built.balance() == 825
        assert {(entry.kind, entry.amount) for entry in entries if entry.note == "task_0"} == {
            ("hold", -100),
            ("release", 100),
        }
        used = (await statement(built.engine, EntryFilter(wallet, frozenset({"usage"})))).items
        assert sorted(entry.amount for entry in used) == [-70, -5]
        for kind, count in (("hold", 3), ("release", 2), ("topup", 1), ("admin_debit", 0)):
            found = await statement(built.engine, EntryFilter(wallet, frozenset({kind})))
            assert (len(found.items), found.total) == (count, count), kind
        both = await statement(built.engine, EntryFilter(wallet, frozenset({"hold", "admin_debit", "topup"})))
        assert both.total == 4
        assert await void(built, escrows, rows[2])

    with_a_task_desk(tmp_path, body)


def test_what_is_set_aside_is_looked_up_without_reading_the_wallets_usage(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        asked: list[tuple[str, Any]] = []
        event.listen(
            built.engine.sync_engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, parameters, *_: asked.append((statement, parameters)),
        )
        await statement(built.engine, EntryFilter(user_wallet("u1"), frozenset({"hold", "admin_debit"})))
        with sqlite3.connect(built.database) as connection:
            plans = [
                row[3]
                for query, parameters in asked
                if query.startswith("SELECT")
                for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)
            ]
        connection.close()
        looked_up = [plan for plan in plans if "transfers" in plan]
        assert any("ix_transfers_hold" in plan for plan in looked_up)
        assert not any("ix_transfers_debit_account" in plan or "SCAN" in plan for plan in looked_up)

    with_a_task_desk(tmp_path, body)


def test_a_refund_gives_back_what_tasks_have_cost_and_nothing_that_is_set_aside(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        async def refund(amount: int) -> None:
            now_us = built.clock.now_us()
            await transfers.refund(built.engine, user_wallet("u1"), amount, actor="t", now_us=now_us)

        first, second = [await set_aside(built, escrows, ledger, account, f"task_{n}", 300) for n in (1, 2)]
        with pytest.raises(RefundTooLarge):
            await refund(1)
        assert await post(built, escrows, first, 200)
        with pytest.raises(RefundTooLarge):
            await refund(201)
        await refund(150)
        assert await void(built, escrows, second)
        with pytest.raises(RefundTooLarge):
            await refund(51)
        await refund(50)
        assert (await built.balance(), await built.balance(REVENUE)) == (1000, 0)
        # What a key has spent stays spent.
        assert await built.spent() == 200

    with_a_task_desk(tmp_path, body)


def test_a_wallet_that_gets_low_by_what_is_set_aside_is_told_of_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            key = await built.add_key(org_key("key_1"))
            await built.fund(1000, org_wallet("o1"))
            async with running(built, low_balance=500) as ledger:
                escrows = Escrows(built.engine, ledger, built.clock)
                account = await ledger.open(key)
                row = await set_aside(built, escrows, ledger, account, "task_1", 600)
                another = await set_aside(built, escrows, ledger, account, "task_2", 100)
                assert await events(built) == 1
                assert await void(built, escrows, row)
                await set_aside(built, escrows, ledger, account, "task_3", 600)
                assert await events(built) == 2
                assert await post(built, escrows, another, 100)
                assert await events(built) == 2

    async def events(built: House) -> int:
        async with reading(built.engine) as connection:
            return (await connection.execute(text("SELECT count(*) FROM events"))).scalar_one()

    asyncio.run(main())


def test_receipts_and_rollups_count_images_and_seconds(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        for number, usage in enumerate((Usage(images=3), Usage(seconds=8))):
            row = await set_aside(built, escrows, ledger, account, f"task_{number}", 10)
            receipt = receipt_of(row, built.clock.now_us(), 10, usage=usage)
            attempt = attempt_of(row, built.clock.now_us(), images=usage.images, seconds=usage.seconds)
            assert await escrows.post(row.id, receipt, (attempt,), nothing)
        day = built.clock.now_us() // DAY_US * DAY_US
        sums = total(await summed(built.engine, Wanted("u1", day, day + DAY_US)))
        assert (sums.requests, sums.images, sums.seconds) == (2, 3, 8)

    with_a_task_desk(tmp_path, body)


def test_a_caller_who_goes_away_waits_for_the_transaction(tmp_path: Path) -> None:
    """It is placed or not when the caller hears of its cancellation, and the hold says which."""

    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def slow(_: object) -> None:
            entered.set()
            await leave.wait()

        hold = ledger.hold(account, "req_1", 300, VIDEO)
        placing = asyncio.create_task(escrows.place(hold, Escrow("task_1", built.clock.now_us()), slow))
        await entered.wait()
        for _ in range(3):
            placing.cancel()
            await asyncio.sleep(0)
        assert not placing.done()
        assert hold.state == "open"
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await placing
        assert hold.state == "escrowed"
        row = await escrows.find("task_1")
        assert row is not None
        assert await void(built, escrows, row)

        async def slow_refusal(_: object) -> None:
            await asyncio.sleep(0.01)
            raise Refused

        hold = ledger.hold(account, "req_2", 300, VIDEO)
        placing = asyncio.create_task(
            escrows.place(hold, Escrow("task_2", built.clock.now_us()), slow_refusal)
        )
        await asyncio.sleep(0)
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        assert hold.state == "open"
        ledger.void(hold)

    with_a_task_desk(tmp_path, body)


def test_money_is_dollars_here_too(tmp_path: Path) -> None:
    """An order of a hundred dollars at once, by many, under one cap: just as many as fit."""

    async def body(built: House, ledger: Ledger, escrows: Escrows, account: KeyAccount) -> None:
        async def order(number: int) -> bool:
            try:
                await set_aside(built, escrows, ledger, account, f"task_{number:03d}", 3 * USD)
            except QuotaExceeded:
                return False
            return True

        placed = await asyncio.gather(*(order(number) for number in range(60)))
        assert placed.count(True) == 33
        assert await held(built) == await built.spent() == 99 * USD

    with_a_task_desk(tmp_path, body, key_record(quota=100 * USD), funds=1000 * USD)

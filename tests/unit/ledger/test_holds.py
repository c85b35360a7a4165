from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs

from bytespike.ledger.account import KeyAccount
from bytespike.ledger.ledger import Hold, HoldResolved, Ledger
from tests.support.compiled_form import types_are_checked_at_the_door
from tests.support.ledger_house import USD, House, attempt_for, house, key_record, receipt_for, running

Body = Callable[[House, Ledger, KeyAccount], Awaitable[None]]


def with_key(folder: Path, body: Body, **options: int) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD)
            key = await built.add_key(key_record(quota=100 * USD, limit_5h=100 * USD))
            async with running(built, **options) as ledger:
                await body(built, ledger, await ledger.open(key))

    asyncio.run(main())


def meters(account: KeyAccount) -> tuple[int, ...]:
    """Everything that a hold or a receipt moves."""
    window = account.windows["5h"]
    return (
        account.wallet.free(),
        account.wallet.held,
        account.quota_free(),
        account.held,
        account.open_holds,
        account.owner.in_flight,
        window.total(0),
    )


@pytest.mark.parametrize("credits", [0, 1, 3 * USD, 5 * USD])
def test_posting_bills_what_was_delivered_and_gives_back_the_rest(tmp_path: Path, credits: int) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 3 * USD)
        assert meters(account) == (7 * USD, 3 * USD, 97 * USD, 3 * USD, 1, 1, 0)
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), credits), ())
        assert meters(account) == (10 * USD - credits, 0, 100 * USD - credits, 0, 0, 0, credits)
        await ledger.flush()
        assert meters(account) == (10 * USD - credits, 0, 100 * USD - credits, 0, 0, 0, credits)
        assert await built.balance() == 10 * USD - credits

    with_key(tmp_path, body)


def test_voiding_gives_everything_back(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        before = meters(account)
        ledger.void(ledger.hold(account, "r1", 3 * USD))
        assert meters(account) == before
        await ledger.flush()
        assert await built.usage_ids() == []

    with_key(tmp_path, body)


def resolved(built: House, ledger: Ledger, account: KeyAccount, how: str) -> Hold:
    hold = ledger.hold(account, "r1", 3 * USD)
    if how == "posted":
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 1 * USD), ())
    else:
        ledger.void(hold)
    return hold


@pytest.mark.parametrize("first", ["posted", "voided"])
def test_a_hold_resolves_once_and_the_second_time_changes_nothing(tmp_path: Path, first: str) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = resolved(built, ledger, account, first)
        assert hold.state == first
        after = meters(account), ledger.stats()
        attempts = (attempt_for(hold, built.clock.now_us()),)
        with pytest.raises(HoldResolved, match=first):
            ledger.post(hold, receipt_for(hold, built.clock.now_us(), 1), attempts)
        with pytest.raises(HoldResolved, match=first):
            ledger.void(hold, attempts)
        assert ledger.expire() == 0
        assert (meters(account), ledger.stats()) == after

    with_key(tmp_path, body)


def test_a_hold_expires_at_its_maximum_age_and_not_before(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        before = meters(account)
        old = ledger.hold(account, "r1", 1)
        built.clock.forward(59)
        young = ledger.hold(account, "r2", 1)
        assert ledger.expire() == 0
        built.clock.forward(1)
        assert ledger.expire() == 1
        assert (old.state, young.state) == ("expired", "open")
        assert ledger.stats().expired == 1
        ledger.void(young)
        assert meters(account) == before

    with_key(tmp_path, body, hold_age_s_max=60)


def test_what_an_expired_hold_delivers_after_all_is_billed_once(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 3 * USD)
        built.clock.forward(60)
        assert ledger.expire() == 1
        assert meters(account) == (10 * USD, 0, 100 * USD, 0, 0, 0, 0)
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 2 * USD), ())
        assert meters(account) == (8 * USD, 0, 98 * USD, 0, 0, 0, 2 * USD)
        for again in (lambda: ledger.void(hold), lambda: ledger.post(hold, receipt_for(hold, 1, 1), ())):
            with pytest.raises(HoldResolved):
                again()
        await ledger.flush()
        assert meters(account) == (8 * USD, 0, 98 * USD, 0, 0, 0, 2 * USD)
        assert await built.balance() == 8 * USD

    with_key(tmp_path, body, hold_age_s_max=60)


def test_a_meter_is_not_dropped_while_an_expired_hold_may_still_be_posted(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 3 * USD)
        built.clock.forward(60)
        ledger.expire()
        for number in range(2, 5):
            await ledger.open(await built.add_key(key_record(f"key_{number}")))
        assert ledger.account(account.record) is account
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 1 * USD), ())
        await ledger.flush()
        assert account.wallet.free() == 9 * USD == await built.balance()
        assert (account.undrained, account.pins) == (0, 0)

    with_key(tmp_path, body, hold_age_s_max=60, accounts_max=1)


def test_an_expired_hold_of_which_nothing_was_delivered_keeps_its_attempts(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        before = meters(account)
        hold = ledger.hold(account, "r1", 3 * USD)
        built.clock.forward(60)
        ledger.expire()
        ledger.void(hold, (attempt_for(hold, built.clock.now_us(), outcome="failed", status=500),))
        assert (hold.state, ledger.stats().spool_records) == ("voided", 1)
        assert meters(account) == before

    with_key(tmp_path, body, hold_age_s_max=60)


def test_a_hold_does_not_expire_while_its_request_says_that_it_lives(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 1)
        for _ in range(5):
            hold.keep()
            built.clock.forward(60)
            assert ledger.expire() == 0
        built.clock.forward(59)
        assert ledger.expire() == 0
        built.clock.forward(1)
        assert ledger.expire() == 1

    with_key(tmp_path, body, hold_age_s_max=60)


def test_a_stream_that_outgrows_its_hold_sets_more_aside_while_there_is_more(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 3 * USD)
        assert ledger.extend(hold, 5 * USD)
        assert (hold.amount, ledger.stats().held) == (8 * USD, 8 * USD)
        assert meters(account) == (2 * USD, 8 * USD, 92 * USD, 8 * USD, 1, 1, 0)
        assert not ledger.extend(hold, 2 * USD + 1)
        assert not await ledger.extend_borrowing(hold, 2 * USD + 1)
        assert await ledger.extend_borrowing(hold, 2 * USD)
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 9 * USD), ())
        assert meters(account) == (1 * USD, 0, 91 * USD, 0, 0, 0, 9 * USD)
        with pytest.raises(HoldResolved):
            ledger.extend(hold, 1)

    with_key(tmp_path, body)


def test_a_window_binds_what_a_stream_asks_for_too(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        capped = ledger.account(key_record(limit_5h=4 * USD))
        assert capped is account
        hold = ledger.hold(account, "r1", 3 * USD)
        assert not ledger.extend(hold, 1 * USD + 1)
        assert ledger.extend(hold, 1 * USD)

    with_key(tmp_path, body)


def test_a_clock_that_is_set_does_not_expire_holds(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 1)
        built.clock.jump(86_400)
        assert ledger.expire() == 0

    with_key(tmp_path, body, hold_age_s_max=60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": "r2"},
        {"account_id": "wallet:user:u2"},
        {"key_id": "key_2"},
        {"credits": -1},
        pytest.param({"credits": 1.0}, marks=types_are_checked_at_the_door),
        pytest.param({"credits": True}, marks=types_are_checked_at_the_door),
        pytest.param({"held": 0.5}, marks=types_are_checked_at_the_door),
    ],
)
def test_a_receipt_that_is_not_this_holds_changes_nothing(tmp_path: Path, wrong: dict[str, object]) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 1 * USD)
        before = meters(account)
        receipt = structs.replace(receipt_for(hold, built.clock.now_us(), 5), **wrong)
        with pytest.raises(ValueError, match="receipt"):
            ledger.post(hold, receipt, ())
        assert hold.state == "open"
        assert meters(account) == before
        assert ledger.stats().spool_records == 0
        ledger.void(hold)

    with_key(tmp_path, body)


def test_a_huge_model_name_does_not_make_a_request_free(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 1 * USD)
        name = "m" * 1_000_000
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 5, requested_model=name), ())
        await ledger.flush()
        assert await built.balance() == 10 * USD - 5

    with_key(tmp_path, body)


def test_a_receipt_that_cannot_be_written_leaves_the_hold_open(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 1 * USD)
        with pytest.raises(ValueError, match="cannot be written"):
            ledger.post(hold, receipt_for(hold, built.clock.now_us(), 2**70), ())
        assert hold.state == "open"
        ledger.void(hold)

    with_key(tmp_path, body)


def test_attempts_of_a_voided_hold_are_kept(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 1 * USD)
        failed = attempt_for(hold, built.clock.now_us(), outcome="failed", status=500, error="upstream_error")
        ledger.void(hold, (failed,))
        assert ledger.stats().spool_records == 1
        await ledger.flush()
        assert await built.usage_ids() == []
        assert await built.balance() == 10 * USD

    with_key(tmp_path, body)


def test_stats_count_what_is_open_and_what_became_of_the_rest(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 5)
        ledger.void(ledger.hold(account, "r2", 5))
        ledger.hold(account, "r3", 7)
        ledger.hold(account, "r4", 11)
        stats = ledger.stats()
        assert (stats.accounts, stats.open_holds, stats.held) == (1, 2, 18)
        assert (stats.posted, stats.voided, stats.expired) == (1, 1, 0)
        assert (stats.spool_records, stats.unwritten) == (1, 0)
        assert stats.spool_bytes > 0
        await ledger.flush()
        stats = ledger.stats()
        assert (stats.spool_records, stats.spool_bytes, stats.drain_lag_ms) == (0, 0, 0)

    with_key(tmp_path, body)

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from bytespike.errors import InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger import transfers
from bytespike.ledger.entries import org_wallet, user_wallet
from bytespike.ledger.ledger import Ledger
from tests.support.ledger_house import USD, House, house, key_record, receipt_for, running

Body = Callable[[House, Ledger], Awaitable[None]]


def with_ledger(folder: Path, body: Body, **options: int) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD)
            async with running(built, **options) as ledger:
                await body(built, ledger)

    asyncio.run(main())


def count_selects(built: House) -> list[str]:
    """A list that grows with every query from now on."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(built.engine.sync_engine, "before_cursor_execute", note)
    return seen


def test_an_account_in_memory_is_found_without_the_database(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record())
        assert ledger.account(key) is None
        opened = await ledger.open(key)
        queries = count_selects(built)
        assert ledger.account(key) is opened
        assert await ledger.open(key) is opened
        assert queries == []

    with_ledger(tmp_path, body)


def test_concurrent_opens_of_one_key_read_it_once(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record(limit_5h=1))
        queries = count_selects(built)
        opened = await asyncio.gather(*(ledger.open(key) for _ in range(20)))
        assert all(account is opened[0] for account in opened)
        # The balance, the spend, one window; and again once the window's meter is begun, with the key locked.
        assert len(queries) == 3 + 1 + 3

    with_ledger(tmp_path, body)


def test_an_opener_who_gives_up_does_not_hinder_the_others(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record())
        impatient = asyncio.create_task(ledger.open(key))
        patient = asyncio.create_task(ledger.open(key))
        await asyncio.sleep(0)
        impatient.cancel()
        account = await patient
        assert ledger.account(key) is account

    with_ledger(tmp_path, body)


def test_changed_limits_hold_from_the_next_request(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record(quota=5 * USD)))
        built.spend(ledger, account, "r1", 2 * USD)
        assert ledger.account(key_record(quota=2 * USD)) is account
        with pytest.raises(QuotaExceeded):
            ledger.hold(account, "r2", 1)
        assert ledger.account(key_record(quota=0)) is account
        ledger.hold(account, "r3", 8 * USD)

    with_ledger(tmp_path, body)


def test_a_window_that_is_capped_later_knows_what_was_spent_before(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record()))
        built.spend(ledger, account, "r1", 1 * USD)
        await ledger.flush()
        built.spend(ledger, account, "r2", 2 * USD)  # in the spool only
        capped = key_record(limit_1d=4 * USD)
        assert ledger.account(capped) is None
        assert await ledger.open(capped) is account
        assert account.windows["1d"].total(built.clock.now_us()) == 3 * USD
        with pytest.raises(RateLimited):
            ledger.hold(account, "r3", 1 * USD + 1)
        await ledger.flush()
        assert account.windows["1d"].total(built.clock.now_us()) == 3 * USD

    with_ledger(tmp_path, body)


def test_a_window_that_is_no_longer_capped_goes_on_counting(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record(limit_5h=5 * USD)))
        built.spend(ledger, account, "r1", 1 * USD)
        assert ledger.account(key_record()) is account
        built.spend(ledger, account, "r2", 1 * USD)
        assert ledger.account(key_record(limit_5h=2 * USD)) is account
        with pytest.raises(RateLimited):
            ledger.hold(account, "r3", 1)

    with_ledger(tmp_path, body)


def test_windows_and_spend_survive_a_restart(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        caps = {"quota": 9 * USD, "limit_5h": 9 * USD, "limit_1d": 9 * USD, "limit_7d": 9 * USD}
        key = await built.add_key(key_record(**caps))
        account = await ledger.open(key)
        for number, hours in enumerate((0, 3, 20, 100)):
            built.clock.forward(hours * 3600)
            built.spend(ledger, account, f"r{number}", 1 * USD)
        now_us = built.clock.now_us()
        before = {name: window.total(now_us) for name, window in account.windows.items()}
        assert before == {"5h": 1 * USD, "1d": 1 * USD, "7d": 4 * USD}
        await ledger.stop()
        async with running(built) as second:
            again = await second.open(key)
            assert again is not account
            assert {name: window.total(now_us) for name, window in again.windows.items()} == before
            assert again.quota_free() == 5 * USD
            assert again.wallet.free() == 6 * USD

    with_ledger(tmp_path, body)


def test_the_accounts_that_were_not_used_for_the_longest_are_dropped(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        keys = [await built.add_key(key_record(f"key_{number}")) for number in range(4)]
        for key in keys[:3]:
            await ledger.open(key)
        ledger.account(keys[0])
        await ledger.open(keys[3])
        assert [ledger.account(key) is not None for key in keys] == [True, False, True, True]
        assert ledger.stats().accounts == 3

    with_ledger(tmp_path, body, accounts_max=3)


def test_an_account_with_holds_or_undrained_spend_is_never_dropped(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        keys = [await built.add_key(key_record(f"key_{number}")) for number in range(5)]
        hold = ledger.hold(await ledger.open(keys[0]), "r0", 1)
        built.spend(ledger, await ledger.open(keys[1]), "r1", 1)
        for key in keys[2:]:
            await ledger.open(key)
        assert ledger.account(keys[0]) is not None
        assert ledger.account(keys[1]) is not None
        ledger.void(hold)
        await ledger.flush()
        await ledger.open(keys[2])
        await ledger.open(keys[3])
        assert ledger.account(keys[0]) is None
        assert ledger.account(keys[1]) is None

    with_ledger(tmp_path, body, accounts_max=1)


def test_a_dropped_account_comes_back_as_it_was(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        first = await built.add_key(key_record("key_1", quota=5 * USD, limit_5h=5 * USD))
        second = await built.add_key(key_record("key_2", user_id="u2", account_id=user_wallet("u2")))
        built.spend(ledger, await ledger.open(first), "r1", 2 * USD)
        await ledger.flush()
        await ledger.open(second)
        assert ledger.account(first) is None
        account = await ledger.open(first)
        assert account.quota_free() == 3 * USD
        assert account.wallet.free() == 8 * USD
        assert account.windows["5h"].total(built.clock.now_us()) == 2 * USD

    with_ledger(tmp_path, body, accounts_max=1)


def test_reloading_a_wallet_sees_a_topup_and_keeps_undrained_spend(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record()))
        built.spend(ledger, account, "r1", 4 * USD)
        hold = ledger.hold(account, "r2", 6 * USD)
        await built.fund(5 * USD)
        with pytest.raises(InsufficientBalance):
            ledger.hold(account, "r3", 1)
        await ledger.reload("wallet", user_wallet("u1"))
        assert account.wallet.free() == 5 * USD
        await ledger.flush()
        assert account.wallet.free() == 5 * USD
        ledger.void(hold)
        assert account.wallet.free() == 11 * USD == await built.balance()

    with_ledger(tmp_path, body)


def test_draining_sees_a_topup_too(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record()))
        built.spend(ledger, account, "r1", 4 * USD)
        await built.fund(5 * USD)
        await ledger.flush()
        assert account.wallet.free() == 11 * USD

    with_ledger(tmp_path, body)


def test_a_debit_by_an_operator_is_seen_on_reload(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record()))
        await transfers.admin_debit(built.engine, user_wallet("u1"), 9 * USD, actor="test", now_us=1)
        await ledger.reload("wallet", user_wallet("u1"))
        with pytest.raises(InsufficientBalance):
            ledger.hold(account, "r1", 1 * USD + 1)

    with_ledger(tmp_path, body)


def test_reloading_a_key_reads_its_spend_and_keeps_what_is_undrained(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        account = await ledger.open(await built.add_key(key_record(quota=10 * USD)))
        built.spend(ledger, account, "r1", 1 * USD)
        await built.change_key("key_1", spent=2 * USD)  # as another node's drain would
        await ledger.reload("key", "key_1")
        assert account.quota_free() == 7 * USD

    with_ledger(tmp_path, body)


@pytest.mark.parametrize(
    ("kind", "ref"), [("wallet", "wallet:user:nobody"), ("key", "key_9"), ("channel", "ch_1")]
)
def test_reloading_what_is_not_in_memory_does_nothing(tmp_path: Path, kind: str, ref: str) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        queries = count_selects(built)
        await ledger.reload(kind, ref)
        assert queries == []

    with_ledger(tmp_path, body)


def test_a_clock_that_went_back_brings_back_what_had_left(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record(limit_5h=3 * USD))
        account = await ledger.open(key)
        built.spend(ledger, account, "r1", 1 * USD)
        await ledger.flush()
        built.spend(ledger, account, "r2", 1 * USD)  # in the spool only
        built.clock.jump(6 * 3600)
        assert ledger.standing(account).window.remaining == 3 * USD
        built.clock.jump(-6 * 3600)
        assert ledger.account(key) is None
        assert await ledger.open(key) is account
        assert ledger.standing(account).window.remaining == 1 * USD
        assert ledger.account(key) is account

    with_ledger(tmp_path, body)


def test_a_small_step_back_reads_nothing_again(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record(limit_5h=3 * USD))
        account = await ledger.open(key)
        built.spend(ledger, account, "r1", 1 * USD)
        built.clock.forward(3600)
        built.clock.jump(-5)
        assert ledger.account(key) is account

    with_ledger(tmp_path, body)


def test_a_key_that_moved_to_an_org_draws_on_the_orgs_wallet_and_its_old_holds_on_the_old(
    tmp_path: Path,
) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        await built.fund(20 * USD, org_wallet("o1"))
        account = await ledger.open(await built.add_key(key_record()))
        old_wallet = account.wallet
        hold = ledger.hold(account, "r1", 1 * USD)
        moved = key_record(org_id="o1", account_id=org_wallet("o1"))
        assert ledger.account(moved) is None
        assert await ledger.open(moved) is account
        assert account.wallet.id == org_wallet("o1")
        assert old_wallet.held == 1 * USD
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 1 * USD), ())
        built.spend(ledger, account, "r2", 2 * USD)
        await ledger.flush()
        assert (old_wallet.held, old_wallet.undrained) == (0, 0)
        assert await built.balance() == 9 * USD
        assert await built.balance(org_wallet("o1")) == 18 * USD

    with_ledger(tmp_path, body)


def test_a_wallet_that_is_missing_is_made(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        key = await built.add_key(key_record("key_9", account_id=user_wallet("u9")))
        account = await ledger.open(key)
        assert account.wallet.free() == 0
        built.spend(ledger, account, "r1", 0)
        await ledger.flush()
        assert await built.usage_ids() == ["r1"]
        assert await built.balance(user_wallet("u9")) == 0

    with_ledger(tmp_path, body)


def test_meters_forget_wallets_that_nobody_uses(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger) -> None:
        for number in range(5):
            wallet = user_wallet(f"w{number}")
            key = key_record(f"key_{number}", user_id="u1", account_id=wallet)
            await ledger.open(await built.add_key(key))
        assert len(ledger._book.wallets) == 2
        assert len(ledger._book.owners) == 1

    with_ledger(tmp_path, body, accounts_max=2)

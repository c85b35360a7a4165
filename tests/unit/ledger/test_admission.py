from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.errors import (
    ConcurrencyLimited,
    InsufficientBalance,
    InternalError,
    QuotaExceeded,
    RateLimited,
)
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.admission import ASK_FOR_LESS
from bytespike.ledger.entries import org_wallet, user_wallet
from bytespike.ledger.ledger import Ledger
from tests.support.compiled_form import types_are_checked_at_the_door
from tests.support.ledger_house import USD, House, house, key_record, receipt_for, running

Body = Callable[[House, Ledger, KeyAccount], Awaitable[None]]


def with_key(folder: Path, body: Body, funds: int = 10 * USD, **caps: object) -> None:
    """Run `body` with a ledger and one key of a wallet with `funds`."""

    async def main() -> None:
        async with house(folder) as built:
            if funds:
                await built.fund(funds)
            key = await built.add_key(key_record(**caps))
            async with running(built) as ledger:
                await body(built, ledger, await ledger.open(key))

    asyncio.run(main())


def test_a_wallet_can_be_held_to_the_last_micro_dollar_and_no_further(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 4 * USD)
        ledger.hold(account, "r2", 6 * USD)
        with pytest.raises(InsufficientBalance, match=r"\$0\.00 left, and this request may cost \$0\.000001"):
            ledger.hold(account, "r3", 1)

    with_key(tmp_path, body)


def test_a_refused_hold_takes_nothing(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        for caps in ({"quota": 1}, {"limit_5h": 1}, {"concurrency": 0}, {"rpm": 0}, {}):
            key = key_record(**caps)
            followed = ledger.account(key) or await ledger.open(key)
            with pytest.raises((QuotaExceeded, RateLimited, ConcurrencyLimited, InsufficientBalance)):
                ledger.hold(followed, "r1", 11 * USD if not caps else 2)
        stats = ledger.stats()
        assert (stats.open_holds, stats.held) == (0, 0)
        assert (account.held, account.wallet.held, account.owner.in_flight) == (0, 0, 0)
        assert account.owner.recent.total(2**60) == 0

    with_key(tmp_path, body)


def test_a_request_that_costs_nothing_needs_no_money(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.void(ledger.hold(account, "r1", 0))
        with pytest.raises(InsufficientBalance):
            ledger.hold(account, "r2", 1)

    with_key(tmp_path, body, funds=0)


def test_the_lifetime_quota_counts_posted_and_held(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 2 * USD)
        ledger.hold(account, "r2", 2 * USD)
        with pytest.raises(QuotaExceeded, match=r"quota of \$5\.00 has \$1\.00 left"):
            ledger.hold(account, "r3", 1 * USD + 1)
        ledger.hold(account, "r4", 1 * USD)

    with_key(tmp_path, body, quota=5 * USD)


@pytest.mark.parametrize(
    ("cap", "leaves_s"), [("limit_5h", 5 * 3600), ("limit_1d", 24 * 3600), ("limit_7d", 7 * 24 * 3600)]
)
def test_a_window_counts_posted_and_held_until_the_spend_is_that_old(
    tmp_path: Path, cap: str, leaves_s: int
) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 2 * USD)
        hold = ledger.hold(account, "r2", 1 * USD)
        with pytest.raises(RateLimited, match=r"limit of \$3\.00 has \$0\.00 left"):
            ledger.hold(account, "r3", 1)
        ledger.void(hold)
        built.clock.forward(leaves_s)
        with pytest.raises(RateLimited):  # never early
            ledger.hold(account, "r4", 2 * USD)
        built.clock.forward(1800)
        ledger.hold(account, "r5", 3 * USD)

    with_key(tmp_path, body, **{cap: 3 * USD})


def test_retry_after_is_when_the_request_fits(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 1 * USD)
        built.clock.forward(600)
        built.spend(ledger, account, "r2", 2 * USD)
        for amount in (1 * USD, 2 * USD):
            with pytest.raises(RateLimited) as caught:
                ledger.hold(account, f"r{amount}", amount)
            wait = caught.value.retry_after
            assert wait is not None
            built.clock.forward(wait - 1)
            with pytest.raises(RateLimited):
                ledger.hold(account, f"early{amount}", amount)
            built.clock.forward(1)
            ledger.void(ledger.hold(account, f"again{amount}", amount))

    with_key(tmp_path, body, limit_5h=3 * USD)


def test_a_request_over_the_whole_window_never_fits(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        with pytest.raises(RateLimited, match="more than the whole limit") as caught:
            ledger.hold(account, "r1", 3 * USD + 1)
        assert caught.value.retry_after is None

    with_key(tmp_path, body, limit_1d=3 * USD)


def test_where_only_holds_are_in_the_way_it_is_worth_trying_soon(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 3 * USD)
        with pytest.raises(RateLimited) as caught:
            ledger.hold(account, "r2", 1)
        assert caught.value.retry_after == 1

    with_key(tmp_path, body, limit_5h=3 * USD)


def test_where_holds_and_spend_are_in_the_way_the_spend_tells_how_long(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 1 * USD)
        ledger.hold(account, "r2", 2 * USD)
        with pytest.raises(RateLimited) as caught:
            ledger.hold(account, "r3", 3 * USD)
        assert 5 * 3600 < (caught.value.retry_after or 0) <= 5 * 3600 + 60

    with_key(tmp_path, body, limit_5h=3 * USD)


def test_concurrency_is_the_users_over_all_keys(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        other = await ledger.open(await built.add_key(key_record("key_2", concurrency=2)))
        first = ledger.hold(account, "r1", 1)
        ledger.hold(other, "r2", 1)
        with pytest.raises(ConcurrencyLimited) as caught:
            ledger.hold(other, "r3", 1)
        assert caught.value.retry_after == 1
        ledger.void(first)
        ledger.hold(other, "r4", 1)

    with_key(tmp_path, body, concurrency=2)


def test_another_users_requests_do_not_count(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        await built.fund(USD, user_wallet("u2"))
        key = key_record("key_2", user_id="u2", account_id=user_wallet("u2"), concurrency=1)
        other = await ledger.open(await built.add_key(key))
        ledger.hold(account, "r1", 1)
        ledger.hold(other, "r2", 1)

    with_key(tmp_path, body, concurrency=1)


def test_requests_per_minute_are_the_users_and_count_what_was_admitted(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        other = await ledger.open(await built.add_key(key_record("key_2", rpm=3)))
        ledger.void(ledger.hold(account, "r1", 1))
        built.clock.forward(10)
        ledger.void(ledger.hold(other, "r2", 1))
        ledger.void(ledger.hold(account, "r3", 1))
        with pytest.raises(RateLimited, match="3 requests per minute") as caught:
            ledger.hold(account, "r4", 1)
        assert caught.value.retry_after == 51  # the first one is 10 s old, and leaves with its second
        built.clock.forward(50)
        with pytest.raises(RateLimited):
            ledger.hold(account, "r5", 1)
        built.clock.forward(1)
        ledger.hold(account, "r6", 1)
        with pytest.raises(RateLimited):
            ledger.hold(account, "r7", 1)

    with_key(tmp_path, body, rpm=3)


def test_a_clock_set_back_keeps_nobody_waiting_for_requests_per_minute(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 1)
        built.clock.jump(-86_400)
        built.clock.forward(61)
        ledger.hold(account, "r2", 1)

    with_key(tmp_path, body, rpm=1)


def test_keys_of_one_wallet_share_it(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        other = await ledger.open(await built.add_key(key_record("key_2")))
        ledger.hold(account, "r1", 7 * USD)
        built.spend(ledger, other, "r2", 2 * USD)
        with pytest.raises(InsufficientBalance):
            ledger.hold(other, "r3", 1 * USD + 1)
        ledger.hold(other, "r4", 1 * USD)

    with_key(tmp_path, body)


def test_an_org_key_draws_on_the_orgs_wallet_and_the_users_concurrency(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        await built.fund(1 * USD, org_wallet("o1"))
        key = key_record("key_2", org_id="o1", account_id=org_wallet("o1"), concurrency=1)
        org_account = await ledger.open(await built.add_key(key))
        with pytest.raises(InsufficientBalance):
            ledger.hold(org_account, "r1", 1 * USD + 1)
        ledger.hold(org_account, "r2", 1 * USD)
        with pytest.raises(ConcurrencyLimited):
            ledger.hold(account, "r3", 1)

    with_key(tmp_path, body, concurrency=1)


@types_are_checked_at_the_door
@pytest.mark.parametrize("amount", [-1, 1.0, "1", True, None])
def test_only_whole_micro_dollars_can_be_held(tmp_path: Path, amount: object) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        with pytest.raises(ValueError, match="not an amount"):
            ledger.hold(account, "r1", amount)
        assert ledger.stats().open_holds == 0

    with_key(tmp_path, body)


def test_one_request_has_one_open_hold(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 1)
        with pytest.raises(ValueError, match="open hold already"):
            ledger.hold(account, "r1", 1)
        assert account.held == 1

    with_key(tmp_path, body)


def test_more_than_the_wallet_can_be_posted_and_then_nothing_more_is_held(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 10 * USD)
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 11 * USD), ())
        assert account.wallet.free() == -1 * USD
        with pytest.raises(InsufficientBalance, match=r"has \$0\.00 left"):
            ledger.hold(account, "r2", 1)

    with_key(tmp_path, body)


def test_an_account_that_was_dropped_takes_no_holds(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(USD)
            first = await built.add_key(key_record("key_1"))
            second = await built.add_key(key_record("key_2"))
            async with running(built, accounts_max=1) as ledger:
                dropped = await ledger.open(first)
                await ledger.open(second)
                assert ledger.account(first) is None
                with pytest.raises(InternalError):
                    ledger.hold(dropped, "r1", 1)

    asyncio.run(main())


def test_a_worst_case_above_all_that_the_wallet_has_is_told_as_that_with_what_helps(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        with pytest.raises(InsufficientBalance) as caught:
            ledger.hold(account, "r1", 11 * USD)
        assert caught.value.message == (
            "the wallet has $10.00 left, and this request may cost $11.00: more than all that is in it. "
            f"{ASK_FOR_LESS}, or top up the wallet"
        )
        assert "max_tokens" in ASK_FOR_LESS

    with_key(tmp_path, body)


def test_what_is_only_more_than_is_left_of_the_wallet_is_told_without_advice(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        ledger.hold(account, "r1", 8 * USD)
        with pytest.raises(InsufficientBalance) as caught:
            ledger.hold(account, "r2", 3 * USD)
        assert caught.value.message == "the wallet has $2.00 left, and this request may cost $3.00"

    with_key(tmp_path, body)


def test_asking_for_less_does_not_help_where_a_wallet_is_empty(tmp_path: Path) -> None:
    async def body(_: House, ledger: Ledger, account: KeyAccount) -> None:
        with pytest.raises(InsufficientBalance) as caught:
            ledger.hold(account, "r1", 1)
        assert caught.value.message == "the wallet has $0.00 left, and this request may cost $0.000001"

    with_key(tmp_path, body, funds=0)


def test_a_worst_case_above_the_whole_quota_is_told_as_that_with_what_helps(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 2 * USD)
        with pytest.raises(QuotaExceeded) as caught:
            ledger.hold(account, "r2", 6 * USD)
        assert caught.value.message == (
            "this key's quota of $5.00 has $3.00 left, and this request may cost $6.00: more than the whole quota. "
            f"{ASK_FOR_LESS}, or have the quota raised"
        )
        with pytest.raises(QuotaExceeded) as caught:
            ledger.hold(account, "r3", 5 * USD)
        assert caught.value.message == (
            "this key's quota of $5.00 has $3.00 left, and this request may cost $5.00"
        )

    with_key(tmp_path, body, quota=5 * USD)

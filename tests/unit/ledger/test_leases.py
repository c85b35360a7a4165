"""Several ledgers on one database: what each borrows, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from bytespike.accounts.records import ModelCap
from bytespike.errors import (
    ConcurrencyLimited,
    InsufficientBalance,
    InternalError,
    QuotaExceeded,
    RateLimited,
)
from bytespike.ledger.entries import user_wallet
from bytespike.ledger.leases import slice_of
from bytespike.ledger.ledger import KeyAccount, Ledger, NotBorrowed
from tests.support.ledger_house import USD, House, house, key_record, receipt_for
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


def with_two(folder: Path, body: Body, funds: int = 10 * USD) -> None:
    """Run `body` with two processes that share; in the end nothing is lent, and the books are right."""

    async def main() -> None:
        async with house(folder) as built:
            if funds:
                await built.fund(funds)
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


async def both(built: House, first: Ledger, second: Ledger, **caps: object) -> tuple[KeyAccount, KeyAccount]:
    key = await built.add_key(key_record(**caps))
    return await first.open(key), await second.open(key)


def statements(built: House) -> list[str]:
    seen: list[str] = []
    event.listen(built.engine.sync_engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


# --- how much ---------------------------------------------------------------------------------------------------------


def test_slices_shrink_to_single_requests_as_the_limit_comes_near() -> None:
    posted, sizes = 0, []
    while posted + 10 <= 10_000:
        amount = slice_of(10_000 - posted, 10, borrowers=4)
        sizes.append(amount)
        posted += amount
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 10 + 9_990 // 8
    assert sizes[-1] == 10
    assert posted > 9_990
    assert len(sizes) < 100


def test_who_is_the_only_one_borrows_everything() -> None:
    assert slice_of(10_000, 10, borrowers=1) == 10_000


# --- alone ------------------------------------------------------------------------------------------------------------


def test_a_process_alone_asks_the_database_nothing_and_writes_no_lease(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            key = await built.add_key(key_record(quota=9 * USD, limit_5h=9 * USD, rpm=100))
            ledger = built.process("a")
            await ledger.start()
            account = await ledger.open(key)
            seen = statements(built)
            for number in range(20):
                ledger.void(await ledger.acquire(account, f"r{number}", 1 * USD))
            with pytest.raises(QuotaExceeded):
                await ledger.acquire(account, "too much", 9 * USD + 1)
            assert seen == []
            assert await leases(built.engine) == {}
            assert ledger.stats().alone == 1
            await ledger.stop()

    asyncio.run(main())


def test_a_second_process_waits_until_the_first_has_written_down_what_it_uses(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            key = await built.add_key(key_record(quota=8 * USD))
            first, second = built.process("a"), built.process("b")
            await first.start()
            account = await first.open(key)
            hold = first.hold(account, "r1", 3 * USD)
            built.spend(first, account, "r2", 2 * USD)
            await second.start()
            assert first.stats().alone == second.stats().alone == 0
            mine = first._sharing.id
            found = await leases(built.engine)
            assert found[WALLET, mine] == found["key:key_1", mine] == 5 * USD
            assert found["slots:u1", mine] == 1
            there = await second.open(key)
            with pytest.raises(QuotaExceeded, match=r"\$3\.00 left"):
                await second.acquire(there, "r3", 3 * USD + 1)
            await second.acquire(there, "r4", 3 * USD)
            first.void(hold)
            await first.stop()
            await second.stop()
            assert await built.balance() == 8 * USD

    asyncio.run(main())


# --- sharing ----------------------------------------------------------------------------------------------------------


def test_what_is_borrowed_is_held_against_without_the_database(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        account, _ = await both(built, first, second, quota=9 * USD)
        with pytest.raises(NotBorrowed):
            first.hold(account, "r0", 1000)
        first.void(await first.acquire(account, "r0", 1000))
        seen = statements(built)
        for number in range(1, 100):
            first.void(await first.acquire(account, f"r{number}", 1000))
        assert seen == []
        await nothing_lent_beyond_what_is_written([first, second], built.engine)

    with_two(tmp_path, body)


def test_money_that_lies_idle_with_one_is_given_to_the_other(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second)
        first.void(await first.acquire(one, "r1", 9 * USD))
        assert one.wallet.granted >= 9 * USD
        hold = await second.acquire(other, "r2", 10 * USD)
        assert (one.wallet.granted, other.wallet.granted) == (0, 10 * USD)
        built.clock.forward(1)
        with pytest.raises(InsufficientBalance, match=r"\$0\.00 left"):
            await first.acquire(one, "r3", 1)
        second.void(hold)

    with_two(tmp_path, body)


def test_what_is_in_use_is_not_given_away(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second, limit_1d=8 * USD)
        hold = await first.acquire(one, "r1", 3 * USD)
        built.spend(first, one, "r2", 1 * USD, held=1 * USD) if one.granted > 4 * USD else None
        with pytest.raises(RateLimited):
            await second.acquire(other, "r3", 5 * USD + 1)
        first.post(hold, receipt_for(hold, built.clock.now_us(), 2 * USD), ())
        built.clock.forward(1)
        await second.acquire(other, "r4", 5 * USD)

    with_two(tmp_path, body)


def test_draining_moves_money_from_the_lease_to_what_is_posted(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        caps = {"quota": 9 * USD, "limit_5h": 9 * USD, "caps": (ModelCap("gpt-5-5", "1d", 9 * USD),)}
        one, other = await both(built, first, second, **caps)
        hold = await first.acquire(one, "r1", 3 * USD, "gpt-5-5")
        first.post(hold, receipt_for(hold, built.clock.now_us(), 3 * USD), ())
        before = await leases(built.engine)
        await first.flush()
        after = await leases(built.engine)
        mine = first._sharing.id
        for cap in (WALLET, "key:key_1", "key:key_1/gpt-5-5"):
            assert after[cap, mine] == before[cap, mine] - 3 * USD
        assert one.wallet.granted == after[WALLET, mine]
        with pytest.raises(QuotaExceeded, match=r"\$6\.00 left"):
            await second.acquire(other, "r2", 6 * USD + 1)
        second.void(await second.acquire(other, "r3", 6 * USD, "gpt-5-5"))

    with_two(tmp_path, body)


def test_slots_are_shared_and_come_back(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second, concurrency=3)
        mine = [await first.acquire(one, f"a{number}", 0) for number in range(2)]
        last = await second.acquire(other, "b0", 0)
        for ledger, account in ((first, one), (second, other)):
            built.clock.forward(1)
            with pytest.raises(ConcurrencyLimited, match="3 requests are in flight, of 3"):
                await ledger.acquire(account, "c", 0)
        first.void(mine[0])
        built.clock.forward(1)
        second.void(await second.acquire(other, "d", 0))
        second.void(last)

    with_two(tmp_path, body)


def test_a_start_counts_for_a_minute_wherever_it_was_made(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second, rpm=3)
        for number in range(2):
            first.void(await first.acquire(one, f"a{number}", 0))
        second.void(await second.acquire(other, "b", 0))
        built.clock.forward(1)
        with pytest.raises(RateLimited, match="3 requests per minute"):
            await second.acquire(other, "c", 0)
        built.clock.forward(61)
        for number in range(3):
            second.void(await second.acquire(other, f"d{number}", 0))

    with_two(tmp_path, body)


def test_what_a_process_that_stopped_had_started_goes_on_counting(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            first, second = built.process("a"), built.process("b")
            await first.start()
            await second.start()
            one, other = await both(built, first, second, rpm=2)
            for number in range(2):
                first.void(await first.acquire(one, f"a{number}", 0))
            await first.stop()
            built.clock.forward(30)
            with pytest.raises(RateLimited):
                await second.acquire(other, "b", 0)
            built.clock.forward(35)
            await second.acquire(other, "c", 0)
            await second.stop()

    asyncio.run(main())


# --- limits that change -----------------------------------------------------------------------------------------------


def test_a_lower_limit_holds_for_what_was_borrowed_under_a_higher_one(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second, quota=8 * USD)
        first.void(await first.acquire(one, "r1", 4 * USD))
        assert one.granted >= 4 * USD
        lower = key_record(quota=2 * USD)
        assert first.account(lower) is one
        assert second.account(lower) is other
        with pytest.raises(QuotaExceeded):
            await first.acquire(one, "r2", 2 * USD + 1)
        built.clock.forward(1)
        hold = await first.acquire(one, "r3", 2 * USD)
        with pytest.raises(QuotaExceeded):
            await second.acquire(other, "r4", 1)
        first.void(hold)

    with_two(tmp_path, body)


@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        ({"quota": 9 * USD}, {"quota": 2 * USD}, QuotaExceeded),
        ({"limit_5h": 9 * USD}, {"limit_5h": 2 * USD}, RateLimited),
        ({}, {"quota": 2 * USD}, QuotaExceeded),
        (
            {"caps": (ModelCap("m", "lifetime", 9 * USD),)},
            {"caps": (ModelCap("m", "lifetime", 2 * USD),)},
            QuotaExceeded,
        ),
    ],
)
def test_what_was_in_use_under_a_higher_limit_is_not_held_against_when_it_is_free_again(
    tmp_path: Path, before: dict[str, object], after: dict[str, object], refusal: type[Exception]
) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _other = await both(built, first, second, **before)
        hold = await first.acquire(one, "r1", 6 * USD, "m")
        lower = key_record(**after)
        assert (first.account(lower) or await first.open(lower)) is one
        first.void(hold)
        with pytest.raises(refusal):
            await first.acquire(one, "r2", 3 * USD, "m")
        built.clock.forward(1)
        first.void(await first.acquire(one, "r3", 2 * USD, "m"))

    with_two(tmp_path, body)


def test_slots_that_were_in_use_under_a_higher_limit_are_not_taken_again(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second, concurrency=4)
        holds = [await first.acquire(one, f"a{number}", 0) for number in range(2)]
        theirs = [await second.acquire(other, f"b{number}", 0) for number in range(2)]
        lower = key_record(concurrency=2)
        assert first.account(lower) is one
        assert second.account(lower) is other
        first.void(holds.pop())
        # Three are in flight.
        with pytest.raises(ConcurrencyLimited):
            await first.acquire(one, "a2", 0)
        for hold in theirs:
            second.void(hold)
        built.clock.forward(1)
        first.void(await first.acquire(one, "a3", 0))
        first.void(holds.pop())

    with_two(tmp_path, body)


def test_what_was_held_of_a_wallet_is_not_held_again_when_it_was_taken_away_meanwhile(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _other = await both(built, first, second)
        hold = await first.acquire(one, "r1", 6 * USD)
        await built.take(9 * USD)
        await first.reload("wallet", WALLET)
        first.void(hold)
        with pytest.raises(InsufficientBalance):
            await first.acquire(one, "r2", 2 * USD)
        built.clock.forward(1)
        first.void(await first.acquire(one, "r3", 1 * USD))

    with_two(tmp_path, body)


def test_a_cap_on_one_model_binds_that_model_alone_in_every_process(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        caps = (ModelCap("opus", "lifetime", 2 * USD), ModelCap("opus", "5h", 1 * USD))
        one, other = await both(built, first, second, caps=caps)
        hold = await first.acquire(one, "r1", 1 * USD, "opus")
        first.post(hold, receipt_for(hold, built.clock.now_us(), 1 * USD, model="opus"), ())
        with pytest.raises(RateLimited, match="for opus"):
            await second.acquire(other, "r2", 1, "opus")
        second.void(await second.acquire(other, "r3", 5 * USD, "haiku"))
        await first.flush()
        built.clock.forward(5 * 3600 + 61)
        hold = await second.acquire(other, "r4", 1 * USD, "opus")
        second.post(hold, receipt_for(hold, built.clock.now_us(), 1 * USD, model="opus"), ())
        await second.flush()
        built.clock.forward(5 * 3600 + 61)
        with pytest.raises(QuotaExceeded, match=r"quota of \$2\.00 for opus has \$0\.00 left"):
            await first.acquire(one, "r5", 1, "opus")

    with_two(tmp_path, body)


def test_money_that_is_taken_from_a_wallet_is_not_held_against(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second)
        first.void(await first.acquire(one, "r1", 8 * USD))
        await built.take(9 * USD)
        for ledger in (first, second):
            await ledger.reload("wallet", WALLET)
        with pytest.raises(InsufficientBalance, match=r"\$1\.00 left"):
            await first.acquire(one, "r2", 1 * USD + 1)

    with_two(tmp_path, body)


# --- idle, gone, dead -------------------------------------------------------------------------------------------------


def test_idle_leases_are_given_back_and_their_meters_forgotten(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second, quota=9 * USD)
        hold = await first.acquire(one, "r1", 1 * USD)
        for _ in range(2):
            await first._sharing.give_back_idle()
        found = await leases(built.engine)
        assert found[WALLET, first._sharing.id] == found["key:key_1", first._sharing.id] == 1 * USD
        first.void(hold)
        for _ in range(2):
            await first._sharing.give_back_idle()
        assert await leases(built.engine) == {}
        assert one.idle

    with_two(tmp_path, body)


@pytest.mark.parametrize("who", ["its successor", "another process"])
def test_a_dead_process_keeps_what_it_had_borrowed_until_its_spool_is_drained(
    tmp_path: Path, who: str
) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            first, second = built.process("a"), built.process("b")
            await first.start()
            await second.start()
            one, other = await both(built, first, second)
            hold = await first.acquire(one, "r1", 3 * USD)
            first.post(hold, receipt_for(hold, built.clock.now_us(), 3 * USD), ())
            lost = await first.acquire(one, "r2", 4 * USD)
            dead = first._sharing.id
            await kill(first)
            assert lost.state == "open"
            lent = (await leases(built.engine))[WALLET, dead]
            assert lent >= 7 * USD
            third = None
            if who == "its successor":
                third = built.process("a")
                await third.start()
                assert third._sharing.id == dead
            else:
                await look_after(second, {dead})
                assert await borrowers(built.engine) == [second._sharing.id]
            assert (WALLET, dead) not in await leases(built.engine)
            assert await built.usage_ids() == ["r1"]
            built.clock.forward(1)
            await second.acquire(other, "r3", 7 * USD)
            await second.stop()
            if third is not None:
                await third.stop()
            await books_are_right(built.engine)

    asyncio.run(main())


def test_one_that_lives_is_not_taken_for_dead(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second)
        hold = await first.acquire(one, "r1", 3 * USD)
        built.clock.forward(86_400)
        await second._sharing.adopt_dead()
        assert len(await borrowers(built.engine)) == 2
        assert (await leases(built.engine))[WALLET, first._sharing.id] >= 3 * USD
        first.void(hold)

    with_two(tmp_path, body)


def test_a_process_whose_row_was_removed_writes_down_what_it_uses_again(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second)
        hold = await first.acquire(one, "r1", 3 * USD)
        await built.bury(first._sharing.id)
        await first._sharing.renew()
        assert sorted(await borrowers(built.engine)) == sorted([first._sharing.id, second._sharing.id])
        assert (await leases(built.engine))[WALLET, first._sharing.id] == 3 * USD
        first.void(hold)

    with_two(tmp_path, body)


def test_without_the_database_requests_are_served_from_what_is_borrowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second)
        hold = await first.acquire(one, "r0", 1000)
        first.void(hold)

        async def gone(*_: object, **__: object) -> None:
            raise OSError("the database is gone")

        with monkeypatch.context() as patch:
            patch.setattr("bytespike.ledger.lending.look", gone)
            for number in range(1, 50):
                first.void(await first.acquire(one, f"r{number}", 1000))
            with pytest.raises(InternalError, match="cannot reach its database"):
                await first.acquire(one, "more", 9 * USD)
        first.void(await first.acquire(one, "r99", 9 * USD))

    with_two(tmp_path, body)


def test_a_stream_asks_for_what_others_have_idle_before_it_ends(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, other = await both(built, first, second)
        second.void(await second.acquire(other, "r1", 6 * USD))
        hold = await first.acquire(one, "r2", 1 * USD)
        assert not first.extend(hold, 8 * USD)
        assert await first.extend_borrowing(hold, 8 * USD)
        assert hold.amount == 9 * USD
        built.clock.forward(1)
        assert not await first.extend_borrowing(hold, 1 * USD + 1)
        first.post(hold, receipt_for(hold, built.clock.now_us(), 9 * USD), ())

    with_two(tmp_path, body)


def test_a_crowd_that_finds_nothing_asks_the_database_a_few_times(tmp_path: Path) -> None:
    async def body(built: House, first: Ledger, second: Ledger) -> None:
        one, _ = await both(built, first, second)
        before = first.stats().borrowings

        async def request(number: int) -> bool:
            try:
                await first.acquire(one, f"r{number}", 1)
            except InsufficientBalance:
                return False
            return True

        assert not any(await asyncio.gather(*(request(number) for number in range(200))))
        assert first.stats().borrowings - before <= 3

    with_two(tmp_path, body, funds=0)

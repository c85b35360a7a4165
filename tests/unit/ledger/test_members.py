"""A member's caps bind all his keys of an org together; the org's wallet pays for them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs

from bytespike.accounts.records import ModelCap
from bytespike.errors import InsufficientBalance, QuotaExceeded, RateLimited
from bytespike.ledger.account import member_limits
from bytespike.ledger.doctor import examine
from bytespike.ledger.entries import org_wallet
from bytespike.ledger.ledger import Ledger
from tests.support.ledger_house import USD, House, house, org_key, receipt_for, running
from tests.support.shared_ledgers import leases

ORG = org_wallet("o1")
HOUR_S = 3600


def capped(**amounts: int) -> tuple[ModelCap, ...]:
    spans = {"lifetime": "lifetime", "five": "5h", "day": "1d", "week": "7d"}
    return tuple(ModelCap("", spans[name], amount) for name, amount in amounts.items())


def lived(folder: Path, live: Callable[[House, Ledger], Awaitable[None]]) -> None:
    """In a house with $10 in the org's wallet, and keys one and two of u1 and three of u2; afterwards the books are right."""

    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD, ORG)
            for id, user in (("one", "u1"), ("two", "u1"), ("three", "u2")):
                await built.add_key(org_key(id, user))
            async with running(built) as ledger:
                await live(built, ledger)
            report = await examine(built.engine, built.spool_dir)
            assert report.ok, report.findings

    asyncio.run(main())


def test_the_orgs_wallet_pays_and_the_header_says_what_it_has_left(tmp_path: Path) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        account = await ledger.open(org_key("one"))
        built.spend(ledger, account, "r1", 4 * USD)
        standing = ledger.standing(account)
        assert (standing.org_remaining, standing.quota_remaining, standing.window) == (6 * USD, 6 * USD, None)
        with pytest.raises(InsufficientBalance):
            ledger.hold(await ledger.open(org_key("three", "u2")), "r2", 6 * USD + 1)
        await ledger.flush()
        assert await built.balance(ORG) == 6 * USD

    lived(tmp_path, live)


@pytest.mark.parametrize(
    ("span", "refusal", "words"),
    [
        ("lifetime", QuotaExceeded, r"your quota of \$1.00 in the organisation has \$0.40 left"),
        ("five", RateLimited, r"your 5h limit of \$1.00 in the organisation has \$0.40 left"),
        ("day", RateLimited, "your 1d limit"),
        ("week", RateLimited, "your 7d limit"),
    ],
)
def test_a_cap_is_checked_over_all_keys_of_the_member(
    tmp_path: Path, span: str, refusal: type[Exception], words: str
) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        caps = capped(**{span: USD})
        one = await ledger.open(org_key("one", member_caps=caps))
        two = await ledger.open(org_key("two", member_caps=caps))
        three = await ledger.open(org_key("three", "u2"))
        built.spend(ledger, one, "r1", 400_000)
        hold = ledger.hold(two, "r2", 200_000)
        with pytest.raises(refusal, match=words):
            ledger.hold(one, "r3", 400_001)
        ledger.void(ledger.hold(one, "r4", 400_000))
        # Another member of the org has nothing to do with it.
        ledger.void(ledger.hold(three, "r5", 5 * USD))
        ledger.void(hold)
        ledger.void(ledger.hold(two, "r6", 600_000))
        await ledger.flush()
        with pytest.raises(refusal):
            ledger.hold(two, "r7", 600_001)

    lived(tmp_path, live)


def test_what_was_spent_before_there_was_a_cap_counts(tmp_path: Path) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        one = await ledger.open(org_key("one"))
        built.spend(ledger, one, "r1", 100)
        await ledger.flush()
        built.spend(ledger, one, "r2", 20)  # in the spool
        hold = ledger.hold(await ledger.open(org_key("two")), "r3", 3)  # in flight
        caps = capped(lifetime=1000, five=1000)
        two = await ledger.open(org_key("two", member_caps=caps))
        assert two.member is not None
        assert (two.member.quota_free(), one.member) == (1000 - 123, two.member)
        ledger.post(hold, receipt_for(hold, built.clock.now_us(), 5), ())
        assert two.member.quota_free() == 1000 - 125
        await ledger.flush()
        assert (two.member.quota_free(), two.member.spent, two.member.undrained) == (1000 - 125, 125, 0)
        limit, window, _ = two.member.caps[0]
        assert two.member.window_free(limit, window, built.clock.now_us()) == 1000 - 125

    lived(tmp_path, live)


def test_money_leaves_a_members_window_as_it_leaves_a_keys(tmp_path: Path) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        caps = capped(five=USD)
        one = await ledger.open(org_key("one", member_caps=caps))
        built.spend(ledger, one, "r1", USD)
        await ledger.flush()
        built.clock.forward(4 * HOUR_S)
        two = await ledger.open(org_key("two", member_caps=caps))
        with pytest.raises(RateLimited) as refused:
            ledger.hold(two, "r2", 1)
        assert HOUR_S <= (refused.value.retry_after or 0) <= HOUR_S + 60
        built.clock.forward(refused.value.retry_after or 0)
        ledger.void(ledger.hold(two, "r3", USD))

    lived(tmp_path, live)


def test_a_changed_cap_holds_for_all_keys_from_the_next_request(tmp_path: Path) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        caps = capped(lifetime=100)
        one = await ledger.open(org_key("one", member_caps=caps))
        two = await ledger.open(org_key("two", member_caps=caps))
        with pytest.raises(QuotaExceeded):
            ledger.hold(two, "r1", 101)
        more = structs.replace(org_key("one"), member_caps=capped(lifetime=300))
        assert ledger.account(more) is one
        ledger.void(ledger.hold(two, "r2", 300))
        # No cap any more, and what is spent meanwhile goes on being counted.
        assert ledger.account(org_key("one")) is one
        built.spend(ledger, one, "r3", 50)
        assert ledger.account(org_key("two", member_caps=capped(lifetime=60))) is two
        with pytest.raises(QuotaExceeded):
            ledger.hold(one, "r4", 11)

    lived(tmp_path, live)


def test_the_headers_tell_the_nearest_of_the_keys_and_the_members_limits(tmp_path: Path) -> None:
    async def live(built: House, ledger: Ledger) -> None:
        caps = capped(lifetime=900, day=500)
        one = await ledger.open(org_key("one", member_caps=caps, limit_5h=700, quota=800))
        built.spend(ledger, one, "r1", 100)
        standing = ledger.standing(one)
        assert standing.window is not None
        assert (standing.window.name, standing.window.limit, standing.window.remaining) == ("1d", 500, 400)
        assert standing.quota_remaining == 700
        two = await ledger.open(org_key("two", member_caps=caps))
        assert ledger.standing(two).quota_remaining == 800

    lived(tmp_path, live)


def test_processes_share_a_members_cap_exactly(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD, ORG)
            caps = capped(lifetime=1000)
            keys = [await built.add_key(org_key(id, member_caps=caps)) for id in ("one", "two")]
            ledgers = [built.process(name) for name in "ab"]
            for ledger in ledgers:
                await ledger.start()
            held = 0
            for number in range(40):
                ledger = ledgers[number % 2]
                account = await ledger.open(keys[number // 2 % 2])
                try:
                    hold = await ledger.acquire(account, f"r{number:02d}", 90)
                except QuotaExceeded:
                    built.clock.forward(1)
                    continue
                held += 90
                ledger.post(hold, receipt_for(hold, built.clock.now_us(), 90), ())
            assert held == 990
            lent = {cap: amount for (cap, _), amount in (await leases(built.engine)).items()}
            assert "member:o1/u1" in lent
            for ledger in ledgers:
                await ledger.stop()
            assert not [cap for cap, _ in await leases(built.engine) if cap.startswith("member:")]
            report = await examine(built.engine)
            assert report.ok, report.findings

    asyncio.run(main())


def test_an_account_that_is_not_used_takes_its_member_along(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(USD, ORG)
            caps = capped(lifetime=1000)
            for id in ("one", "two"):
                await built.add_key(org_key(id, member_caps=caps))
            await built.add_key(org_key("three", "u2"))
            async with running(built, accounts_max=1) as ledger:
                one = await ledger.open(org_key("one", member_caps=caps))
                built.spend(ledger, one, "r1", 5)
                await ledger.open(org_key("two", member_caps=caps))
                await ledger.flush()
                assert list(ledger._book.members) == ["member:o1/u1"]
                await ledger.open(org_key("three", "u2"))
                assert ledger._book.members == {}
                two = await ledger.open(org_key("two", member_caps=caps))
                assert two.member is not None
                assert two.member.quota_free() == 995

    asyncio.run(main())


def test_caps_by_span() -> None:
    assert member_limits(org_key("one", member_caps=capped(lifetime=1, day=2))) == {"lifetime": 1, "1d": 2}

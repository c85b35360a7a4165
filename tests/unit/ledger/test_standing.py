from __future__ import annotations

import asyncio
from pathlib import Path

from bytespike.ledger.entries import org_wallet
from bytespike.ledger.values import Standing, WindowStanding
from tests.support.ledger_house import START_US, USD, house, key_record, running


def standing(folder: Path, held: int = 0, posted: int = 0, later_s: int = 0, **caps: object) -> Standing:
    """How a key with these caps and $10 in its wallet stands."""

    async def main() -> Standing:
        async with house(folder) as built:
            await built.fund(10 * USD)
            await built.fund(20 * USD, org_wallet("o1"))
            async with running(built) as ledger:
                account = await ledger.open(await built.add_key(key_record(**caps)))
                if posted:
                    built.spend(ledger, account, "r1", posted)
                if held:
                    ledger.hold(account, "r2", held)
                built.clock.forward(later_s)
                return ledger.standing(account)

    return asyncio.run(main())


def test_an_unlimited_key_has_what_its_wallet_has(tmp_path: Path) -> None:
    assert standing(tmp_path, held=1 * USD, posted=2 * USD) == Standing(None, 7 * USD, None)


def test_a_key_with_a_quota_has_what_is_left_of_it(tmp_path: Path) -> None:
    assert standing(tmp_path, held=1 * USD, posted=2 * USD, quota=4 * USD) == Standing(None, 1 * USD, None)


def test_an_org_key_shows_the_orgs_wallet(tmp_path: Path) -> None:
    org = {"org_id": "o1", "account_id": org_wallet("o1")}
    assert standing(tmp_path, posted=2 * USD, quota=4 * USD, **org) == Standing(None, 2 * USD, 18 * USD)


def test_the_window_with_the_least_left_is_shown(tmp_path: Path) -> None:
    caps = {"limit_5h": 5 * USD, "limit_1d": 4 * USD, "limit_7d": 6 * USD}
    shown = standing(tmp_path, held=1 * USD, posted=2 * USD, **caps).window
    assert shown is not None
    assert (shown.name, shown.limit, shown.remaining) == ("1d", 4 * USD, 1 * USD)


def test_it_resets_when_the_oldest_bucket_leaves(tmp_path: Path) -> None:
    shown = standing(tmp_path, posted=2 * USD, later_s=100, limit_5h=5 * USD).window
    minute_us = 60_000_000
    leaves_us = (START_US // minute_us + 1) * minute_us + 5 * 60 * minute_us
    assert shown == WindowStanding("5h", 5 * USD, 3 * USD, leaves_us // 1_000_000)


def test_an_empty_window_is_free_now(tmp_path: Path) -> None:
    shown = standing(tmp_path, held=1, limit_5h=5 * USD).window
    assert shown == WindowStanding("5h", 5 * USD, 5 * USD - 1, START_US // 1_000_000 + 1)


def test_a_window_frees_itself_with_time(tmp_path: Path) -> None:
    shown = standing(tmp_path, posted=2 * USD, later_s=5 * 3600 + 60, limit_5h=5 * USD).window
    assert shown is not None
    assert shown.remaining == 5 * USD

"""Rollups, statements and reconciliation say the same on PostgreSQL, whose sums and divisions are of other types."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from bytespike.ledger import doctor
from bytespike.ledger.entries import user_wallet
from bytespike.ledger.reconciliation import ChargeFilter, charges
from bytespike.ledger.rollups import DAY_US, Sums, Wanted, summed, total
from bytespike.ledger.statements import EntryFilter, statement, whole
from bytespike.ledger.usage_queries import UsageFilter, every_usage
from tests.support import postgres
from tests.support.ledger_house import USD, House, key_record, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not postgres.installed(), reason="PostgreSQL is not installed"),
]


@pytest.fixture
def url() -> Generator[str]:
    with postgres.postgres() as found:
        yield found


def test_what_was_spent_is_one_figure_wherever_it_is_read(url: str, tmp_path: Path) -> None:
    async def main() -> None:
        built = House(tmp_path, url)
        await built.build()
        await built.fund(USD)
        key = await built.add_key(key_record())
        first_us = built.clock.now_us()
        async with running(built) as ledger:
            account = await ledger.open(key)
            for number in range(30):
                built.spend(ledger, account, f"r{number:02d}", 100 + number)
                if number % 8 == 0:
                    await ledger.flush()
                built.clock.jump(2 * 3600)
        spent = sum(100 + number for number in range(30))
        wallet = user_wallet("u1")
        since, until = first_us // DAY_US * DAY_US, first_us // DAY_US * DAY_US + 5 * DAY_US
        for group_by in ((), ("day",), ("hour", "model", "api_key", "protocol")):
            found = await summed(built.engine, Wanted("u1", since, until), group_by)
            assert total(found) == Sums(30, 3000, 600, 0, 0, 1500, 300, 0, spent)
        assert USD - await built.balance(wallet) == spent
        page = await statement(built.engine, EntryFilter(wallet), limit=5)
        assert (page.total, len(page.items)) == (31, 5)
        entries = [entry async for piece in whole(built.engine, EntryFilter(wallet)) for entry in piece]
        assert sum(entry.amount for entry in entries) == USD - spent
        assert tuple(entries[:5]) == page.items
        rows = [row async for piece in every_usage(built.engine, UsageFilter("key_1")) for row in piece]
        assert sum(row.credits for row in rows) == spent
        months = await charges(built.engine, ChargeFilter(since, until), by="month", by_channel=True)
        assert sum(each.attempts for each in months) == 30
        assert sum(each.cost for each in months) == 30 * 70
        assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()
        await built.engine.dispose()

    asyncio.run(main())

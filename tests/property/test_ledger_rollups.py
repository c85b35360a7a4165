"""Rollups, receipts, transfers and balances are one figure, whatever was spent, when, and in whatever batches it came
into the books."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bytespike.core.usage import Usage
from bytespike.ledger import doctor
from bytespike.ledger.entries import user_wallet
from bytespike.ledger.rollups import DAY_US, Grouping, Wanted, summed, total
from bytespike.ledger.statements import EntryFilter, statement
from bytespike.ledger.usage_queries import UsageFilter, totals
from bytespike.ledger.windows import HOUR_US
from bytespike.store import tables
from tests.support.ledger_house import House, attempt_for, house, key_record, receipt_for, running

FUNDS = 10**12
START = 20_000 * DAY_US
USERS = ("u1", "u2")


class Spending(NamedTuple):
    """A request of a user. `after_s`: seconds since the one before, fewer than none where somebody set the clock back."""

    user: str
    model: str
    protocol: str
    credits: int
    tokens: int
    after_s: int
    drained: bool


spendings = st.lists(
    st.builds(
        Spending,
        st.sampled_from(USERS),
        st.sampled_from(("m1", "m2", "m3")),
        st.sampled_from(("gemini", "openai_chat")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(-7200, 40_000),
        st.booleans(),
    ),
    max_size=30,
)
groupings: st.SearchStrategy[tuple[Grouping, ...]] = st.sampled_from(
    [(), ("day",), ("hour",), ("day", "model"), ("model", "api_key", "protocol")]
)


async def spend(built: House, found: list[Spending]) -> None:
    keys = {
        user: await built.add_key(key_record(f"key_of_{user}", user_id=user, account_id=user_wallet(user)))
        for user in USERS
    }
    async with running(built) as ledger:
        for number, one in enumerate(found):
            built.clock.us += one.after_s * 1_000_000
            account = await ledger.open(keys[one.user])
            hold = ledger.hold(account, f"r{number:03d}", one.credits)
            at = built.clock.now_us()
            used = Usage(input=one.tokens, output=one.tokens // 3, cache_write_1h=number)
            receipt = receipt_for(hold, at, one.credits, model=one.model, protocol=one.protocol, usage=used)
            ledger.post(hold, receipt, (attempt_for(hold, at),))
            if one.drained:
                await ledger.flush()


async def check(built: House, user: str, since: int, until: int, group_by: tuple[Grouping, ...]) -> None:
    engine, wallet = built.engine, user_wallet(user)
    whole = await summed(engine, Wanted(user, START - 4 * DAY_US, START + 20 * DAY_US), group_by)
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(func.count(), func.coalesce(func.sum(tables.usage.c.credits), 0)).where(
                tables.usage.c.user_id == user
            )
        )
        count, credits = rows.one()
    entries = await statement(engine, EntryFilter(wallet, frozenset({"usage"})))
    assert total(whole).credits == credits == FUNDS - await built.balance(wallet)
    assert -sum(entry.amount for entry in entries.items) == credits
    assert total(whole).requests == count == entries.total
    part = total(await summed(engine, Wanted(user, since, until), group_by))
    (row,) = await totals(engine, UsageFilter(user_id=user, since=since, until=until))
    assert (part.requests, part.credits, part.input_tokens, part.output_tokens) == (
        row.requests,
        row.credits,
        row.input_tokens,
        row.output_tokens,
    )
    assert part.cache_write_5m_tokens + part.cache_write_1h_tokens == row.cache_write_tokens


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(spendings, st.integers(-48, 200), st.integers(1, 200), groupings)
def test_what_is_rolled_up_is_what_was_billed(
    found: list[Spending], begin: int, hours: int, group_by: tuple[Grouping, ...]
) -> None:
    async def main(folder: Path) -> None:
        async with house(folder) as built:
            built.clock.us = START
            for user in USERS:
                await built.fund(FUNDS, user_wallet(user))
            await spend(built, found)
            since = START + begin * HOUR_US
            for user in USERS:
                await check(built, user, since, since + hours * HOUR_US, group_by)
            assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))

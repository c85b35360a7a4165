"""No float comes near money: not in a meter, not in a receipt, not in a column, whatever was asked for."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytespike.core.usage import Usage
from bytespike.ledger import statements, usage_queries
from bytespike.ledger.entries import user_wallet
from bytespike.ledger.escrow import Escrows
from bytespike.ledger.ledger import KeyAccount, Ledger
from bytespike.ledger.statements import EntryFilter
from bytespike.ledger.usage_queries import UsageFilter
from tests.support.escrow_house import nothing, post, receipt_of, set_aside
from tests.support.ledger_house import House, attempt_for, house, key_record, receipt_for, running

amounts = st.integers(min_value=0, max_value=10**15)


def assert_no_float(value: Any, where: str) -> None:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            assert_no_float(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, dict):
        for name, part in value.items():
            assert_no_float(part, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for part in value:
            assert_no_float(part, where)
    else:
        assert not isinstance(value, float), f"{where} is {value!r}"


def meters(ledger: Ledger, account: KeyAccount) -> list[object]:
    now_us = 10**15
    wallet = account.wallet
    return [
        *(wallet.balance, wallet.undrained, wallet.held, wallet.free()),
        *(account.spent, account.undrained, account.held, account.quota_free()),
        *(window.total(now_us) for window in account.windows.values()),
        *(window.frees_us(1, now_us) for window in account.windows.values()),
        ledger.standing(account),
        ledger.stats(),
    ]


async def live(folder: Path, funds: int, held: int, credits: int, tokens: int) -> None:
    async with house(folder) as built:
        await built.fund(funds)
        caps = {"quota": 10**17, "limit_5h": 10**17, "limit_1d": 10**17, "limit_7d": 10**17}
        key = await built.add_key(key_record(**caps))
        async with running(built) as ledger:
            account = await ledger.open(key)
            hold = ledger.hold(account, "r1", min(held, funds))
            assert_no_float(meters(ledger, account), "meters with a hold")
            usage = Usage(input=tokens, output=tokens // 3, web_searches=2)
            at = built.clock.now_us()
            ledger.post(
                hold, receipt_for(hold, at, credits, usage=usage), (attempt_for(hold, at, cost=credits),)
            )
            assert_no_float(meters(ledger, account), "meters with a receipt")
            await ledger.flush()
            assert_no_float(meters(ledger, account), "meters drained")
            desk = Escrows(built.engine, ledger, built.clock)
            left = min(held, max(0, account.wallet.free()))
            row = await set_aside(built, desk, ledger, account, "t1", left)
            assert_no_float([row, *meters(ledger, account)], "meters with an escrow")
            assert await post(built, desk, row, left // 2)
            assert_no_float([await desk.find("t1"), *meters(ledger, account)], "meters with an escrow posted")
        async with running(built) as ledger:
            assert_no_float(meters(ledger, await ledger.open(key)), "meters read again")
        page = await usage_queries.list_usage(built.engine, UsageFilter())
        assert_no_float(page, "a page of usage")
        assert {row.request_id: row.credits for row in page.items} == {"r1": credits, "req_t1": left // 2}
        assert_no_float(await usage_queries.totals(built.engine, UsageFilter(), ["day", "model"]), "totals")
        assert_no_float(await statements.statement(built.engine, EntryFilter(user_wallet("u1"))), "history")
        assert_no_float(columns(built), "columns")


def columns(built: House) -> list[tuple[object, ...]]:
    with sqlite3.connect(built.database) as connection:
        rows: list[tuple[object, ...]] = []
        for table in (
            "accounts",
            "transfers",
            "usage",
            "attempts",
            "keys",
            "rollups",
            "escrows",
            "meter_sums",
        ):
            rows += connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()
    return rows


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(funds=amounts.filter(bool), held=amounts, credits=amounts, tokens=st.integers(0, 10**9))
def test_money_is_whole_numbers_everywhere(funds: int, held: int, credits: int, tokens: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder), funds, held, credits, tokens))


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(amount=st.floats() | st.decimals() | st.fractions() | st.booleans() | st.text())
def test_what_is_no_whole_number_is_refused_where_money_comes_in(amount: Any) -> None:
    async def main(folder: Path) -> None:
        async with house(folder) as built:
            await built.fund(10)
            key = await built.add_key(key_record())
            with pytest.raises(ValueError):
                await built.fund(amount)
            async with running(built) as ledger:
                account = await ledger.open(key)
                with pytest.raises(ValueError):
                    ledger.hold(account, "r1", amount)
                hold = ledger.hold(account, "r1", 5)
                with pytest.raises(ValueError):
                    ledger.post(hold, receipt_for(hold, 1, amount), ())
                desk = Escrows(built.engine, ledger, built.clock)
                row = await set_aside(built, desk, ledger, account, "t1", 5)
                with pytest.raises(ValueError):
                    await desk.post("t1", receipt_of(row, 1, amount), (), nothing)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from sqlalchemy import Dialect, insert, select
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite_dialect

from bytespike.ledger import sql
from bytespike.ledger.account import KeyAccount, Owner, Wallet
from bytespike.ledger.holds import Hold
from bytespike.ledger.rows import attempt_row, transfer_row, usage_row
from bytespike.store import tables
from tests.support.ledger_house import attempt_for, house, key_record, receipt_for


class NumberedDialect(PGDialect):
    """PostgreSQL with the placeholders of asyncpg, which need not be installed."""

    default_paramstyle = "numeric_dollar"
    supports_statement_cache = False


NAMES: tuple[sql.Name, ...] = (
    "add_usage",
    "add_transfers",
    "add_attempts",
    "add_to_balances",
    "add_to_spent",
)
DIALECTS = [sqlite_dialect(), NumberedDialect(paramstyle="numeric_dollar")]


def written(dialect: Dialect, name: sql.Name, rows: int) -> str:
    return sql.ManyRows(dialect)._sql(name, rows)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=["sqlite", "postgresql"])
def test_a_statement_for_many_rows_is_the_one_for_one_row_with_more_values(
    dialect: Dialect, name: sql.Name
) -> None:
    one, three = written(dialect, name, 1), written(dialect, name, 3)
    head, tail = one.split("VALUES ")[0], one.rsplit(")", 1)[1]
    assert three.startswith(head)
    assert three.endswith(tail)
    numbers = [int(number) for number in re.findall(r"\$(\d+)", three)]
    if dialect.name == "sqlite":
        assert three.count("?") == 3 * one.count("?") > 0
    else:
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) == 3 * len(re.findall(r"\$\d+", one)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_statement_stays_under_both_databases_limit_of_variables(name: sql.Name) -> None:
    assert written(DIALECTS[0], name, sql.ROWS_MAX).count("?") <= 32_766


def test_rows_have_a_value_for_each_column_in_the_tables_order() -> None:
    account = KeyAccount(key_record(org_id="o1"), Wallet("wallet:user:u1", 0), Owner("u1"), 0)
    hold = Hold(account, "r1", 9, 0)
    receipt = receipt_for(hold, 77, 5, notices=("a",))
    for table, row in (
        (tables.usage, usage_row(receipt)),
        (tables.transfers, transfer_row(receipt)),
        (tables.attempts, attempt_row(attempt_for(hold, 77))),
    ):
        assert len(row) == len(table.columns)
    by_name = dict(zip(tables.usage.columns.keys(), usage_row(receipt), strict=True))
    for name in receipt.__struct_fields__:
        if name not in ("usage", "price", "notices"):
            assert by_name[name] == getattr(receipt, name), name
    attempt = attempt_for(hold, 77)
    assert attempt_row(attempt) == tuple(getattr(attempt, column.name) for column in tables.attempts.columns)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 300, 1025])
def test_any_number_of_rows_is_written(tmp_path: Path, count: int) -> None:
    async def main() -> None:
        async with house(tmp_path) as built, built.engine.begin() as connection:
            many = sql.ManyRows(built.engine.dialect)
            ids = [f"a{number}" for number in range(count)]
            if ids:
                rows = [{"id": id, "kind": "wallet", "balance": 5, "created_at": 0} for id in ids]
                await connection.execute(insert(tables.accounts), rows)
            pairs = [(id, number - 3) for number, id in enumerate(ids)]
            await many.write(connection, "add_to_balances", pairs, sql.PAIRS_MAX)
            found = await connection.execute(
                select(tables.accounts.c.id, tables.accounts.c.balance).where(tables.accounts.c.balance != 0)
            )
            assert dict(found.all()) == {id: number + 2 for number, id in enumerate(ids) if number + 2}

    asyncio.run(main())

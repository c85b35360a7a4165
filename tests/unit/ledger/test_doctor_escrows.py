"""The doctor finds whatever is wrong with what is set aside, and names the first transfer that breaks it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bytespike.accounts.records import ModelCap
from bytespike.ledger import doctor
from bytespike.ledger.escrow import Escrows
from tests.support.escrow_house import VIDEO, forget_task, over, post, set_aside, void
from tests.support.ledger_house import House, house, key_record, running

RECORD = key_record(limit_5h=10_000, caps=(ModelCap(VIDEO, "lifetime", 10_000),))


async def three_tasks(built: House) -> None:
    """task_1 is under way with 100, task_2 was billed 150 of 200, task_3 failed with 400."""
    await built.add_key(RECORD)
    await built.fund(1000)
    async with running(built) as ledger:
        escrows = Escrows(built.engine, ledger, built.clock)
        account = await ledger.open(RECORD)
        rows = []
        for number, amount in enumerate((100, 200, 400), 1):
            rows.append(await set_aside(built, escrows, ledger, account, f"task_{number}", amount))
            built.clock.forward(10)
        assert await post(built, escrows, rows[1], 150)
        assert await void(built, escrows, rows[2])


def test_books_with_tasks_of_every_kind_are_right(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await three_tasks(built)
            assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("statement", "checks", "transfer"),
    [
        # Resolved by hand, and nothing came back.
        (
            "UPDATE escrows SET state = 'voided' WHERE id = 'task_1'",
            {"escrows", "keys", "meters"},
            "release:task_1",
        ),
        # Held again: what came back is a transfer too many.
        (
            "UPDATE escrows SET state = 'held', posted = 0 WHERE id = 'task_3'",
            {"escrows", "keys", "meters"},
            "release:task_3",
        ),
        # Another amount than what was moved.
        (
            "UPDATE escrows SET amount = 101 WHERE id = 'task_1'",
            {"escrows", "keys", "meters"},
            "hold:task_1",
        ),
        (
            "UPDATE escrows SET posted = 149 WHERE id = 'task_2'",
            {"escrows", "meters"},
            "usage:req_task_2",
        ),
        (
            "DELETE FROM escrows WHERE id = 'task_1'",
            {"escrows", "keys", "meters"},
            "hold:task_1",
        ),
        # A transfer is gone, or is another.
        (
            "DELETE FROM transfers WHERE id = 'hold:task_1'",
            {"escrows", "balances"},
            "hold:task_1",
        ),
        (
            "DELETE FROM transfers WHERE id = 'release:task_3'",
            {"escrows", "balances"},
            "release:task_3",
        ),
        (
            "UPDATE transfers SET amount = 401 WHERE id = 'release:task_3'",
            {"escrows", "balances", "hashes"},
            "release:task_3",
        ),
        # Given back twice.
        (
            "INSERT INTO transfers SELECT 'release:again', debit_account, credit_account, amount, kind, 'release:again', "
            "input_hash, request_id, note, created_at + 1 FROM transfers WHERE id = 'release:task_3'",
            {"escrows", "balances"},
            "release:again",
        ),
        # Billed though it was voided, or not billed though it was posted.
        (
            "UPDATE escrows SET request_id = 'req_x' WHERE id = 'task_2'",
            {"escrows", "meters"},
            "hold:task_2",
        ),
        ("UPDATE usage SET credits = 0, held = 0", {"escrows", "receipts", "keys", "rollups"}, "usage:req_task_2"),
        # The account of held money, the key and its caps.
        (
            "UPDATE accounts SET balance = balance + 100 WHERE id = 'system:held'",
            {"escrows", "balances"},
            "hold:task_1",
        ),
        ("UPDATE keys SET spent = spent - 100", {"keys"}, "hold:task_1"),
        ("UPDATE keys SET spent = spent + 50", {"keys"}, "hold:task_2"),
        ("UPDATE meter_sums SET amount = amount + 400", {"meters"}, "hold:task_3"),
        ("UPDATE escrows SET at = at - 7200000000 WHERE id = 'task_1'", {"meters"}, "hold:task_1"),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_found(
    tmp_path: Path, statement: str, checks: set[str], transfer: str
) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await three_tasks(built)
            with sqlite3.connect(built.database) as connection:
                assert connection.execute(statement).rowcount > 0
            connection.close()
            report = await doctor.examine(built.engine, built.spool_dir)
            errors = [each for each in report.findings if each.severity == "error"]
            assert {each.check for each in errors} == checks
            first = next((each for each in errors if each.check == "escrows"), errors[0])
            assert transfer in (first.transfer, errors[0].transfer), errors

    asyncio.run(main())


def test_what_is_set_aside_for_a_task_that_is_over_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await three_tasks(built)
            for step in (over("task_1", "completed"), None):
                if step is None:
                    await forget_task(built, "task_1")
                else:
                    async with built.engine.begin() as connection:
                        await step(connection)
                report = await doctor.examine(built.engine, built.spool_dir)
                (finding,) = report.findings
                assert (finding.severity, finding.check, finding.subject) == ("warning", "escrows", "task_1")
                assert finding.transfer == "hold:task_1"

    asyncio.run(main())


def test_an_amount_that_is_no_integer_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await three_tasks(built)
            with sqlite3.connect(built.database) as connection:
                connection.execute("UPDATE escrows SET amount = 100.5 WHERE id = 'task_1'")
            connection.close()
            report = await doctor.examine(built.engine, built.spool_dir)
            assert [each.subject for each in report.findings] == ["escrows.amount"]

    asyncio.run(main())

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from bytespike.core.usage import Usage
from bytespike.ledger import doctor, frames
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.drain import BATCH_RECORDS, refused
from bytespike.ledger.entries import REVENUE, org_wallet, user_wallet
from bytespike.ledger.frames import decode_payload
from bytespike.ledger.ledger import Ledger
from bytespike.ledger.segments import QUARANTINE
from bytespike.store import tables
from tests.support.ledger_house import USD, House, attempt_for, house, key_record, receipt_for, running

Body = Callable[[House, Ledger, KeyAccount], Awaitable[None]]


class StateError(Exception):
    """A driver's error with an SQLSTATE."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__()
        self.sqlstate = sqlstate


def with_key(folder: Path, body: Body, **caps: object) -> None:
    async def main() -> None:
        async with house(folder) as built:
            await built.fund(10 * USD)
            key = await built.add_key(key_record(**caps))
            async with running(built) as ledger:
                await body(built, ledger, await ledger.open(key))

    asyncio.run(main())


async def rows(built: House, table: object) -> list[dict[str, object]]:
    async with built.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(select(table))).mappings()]


def quarantined(built: House) -> list[str]:
    """The request ids of what was set aside."""
    files = sorted((built.spool_dir / QUARANTINE).glob("*.record"))
    settled = [decode_payload(path.read_bytes()[frames.HEADER_BYTES :]) for path in files]
    return sorted(one.receipt.request_id if one.receipt else one.attempts[0].request_id for one in settled)


def test_a_receipt_becomes_a_usage_row_a_transfer_and_its_attempts(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 9)
        at = built.clock.now_us()
        usage = Usage(1, 2, 3, 4, 5, 6, 7, 8, 9, exact=False)
        receipt = receipt_for(
            hold, at, 7, usage=usage, stream=True, notices=("top_k: dropped",), end_reason="client_gone"
        )
        failed = attempt_for(hold, at - 9, 0, outcome="failed", status=500, error="upstream_error", cost=0)
        ledger.post(hold, receipt, (failed, attempt_for(hold, at, 1)))
        await ledger.flush()
        assert await rows(built, tables.usage) == [
            {
                "request_id": "r1",
                "at": at,
                "key_id": "key_1",
                "user_id": "u1",
                "org_id": None,
                "account_id": "wallet:user:u1",
                "group_id": 1,
                "channel_id": "ch_1",
                "upstream_provider": "simulator",
                "model": "gpt-5-5",
                "requested_model": "gpt-5.5",
                "upstream_model": "gpt-5.5-2026",
                "protocol": "openai_chat",
                "upstream_protocol": "anthropic_messages",
                "stream": True,
                "input_tokens": 1,
                "cache_read_tokens": 2,
                "cache_write_5m_tokens": 3,
                "cache_write_1h_tokens": 4,
                "output_tokens": 5,
                "reasoning_tokens": 6,
                "web_searches": 7,
                "credits": 7,
                "held": 9,
                "price": {
                    "id": "catalog",
                    "input": 1_000_000,
                    "output": 2_000_000,
                    "cache_read": 0,
                    "cache_write_5m": 0,
                    "cache_write_1h": 0,
                    "web_search": 0,
                    "submit_fee": 0,
                },
                "multiplier_ppm": 1_000_000,
                "estimated": True,
                "end_reason": "client_gone",
                "notices": ["top_k: dropped"],
                "latency_ms": 120,
                "first_token_ms": 30,
                "images": 8,
                "seconds": 9,
            }
        ]
        usage_transfers = [row for row in await rows(built, tables.transfers) if row["kind"] == "usage"]
        assert len(usage_transfers) == 1
        assert usage_transfers[0] | {"input_hash": ""} == {
            "id": "usage:r1",
            "debit_account": "wallet:user:u1",
            "credit_account": REVENUE,
            "amount": 7,
            "kind": "usage",
            "idempotency_key": "usage:r1",
            "input_hash": "",
            "request_id": "r1",
            "note": "",
            "created_at": at,
        }
        attempts = await rows(built, tables.attempts)
        assert [(row["ordinal"], row["outcome"], row["status"], row["cost"]) for row in attempts] == [
            (0, "failed", 500, 0),
            (1, "completed", 200, 70),
        ]
        assert await built.balance() == 10 * USD - 7
        assert await built.balance(REVENUE) == 7
        assert await built.spent() == 7

    with_key(tmp_path, body)


def test_many_receipts_of_many_wallets_and_keys_add_up(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        await built.fund(10 * USD, org_wallet("o1"))
        org_key = key_record("key_2", org_id="o1", account_id=org_wallet("o1"))
        other = await ledger.open(await built.add_key(org_key))
        count = 2 * BATCH_RECORDS + 77
        for number in range(count):
            built.spend(ledger, other if number % 3 else account, f"r{number}", number)
        assert await ledger.flush() == count
        mine = sum(number for number in range(count) if number % 3 == 0)
        theirs = sum(range(count)) - mine
        assert await built.balance() == 10 * USD - mine == account.wallet.free()
        assert await built.balance(org_wallet("o1")) == 10 * USD - theirs == other.wallet.free()
        assert await built.balance(REVENUE) == mine + theirs
        assert (await built.spent("key_1"), await built.spent("key_2")) == (mine, theirs)
        assert (account.undrained, other.undrained, account.wallet.undrained) == (0, 0, 0)
        assert len(await built.usage_ids()) == count
        assert (await doctor.examine(built.engine, built.spool_dir)).findings == ()

    with_key(tmp_path, body)


def test_what_was_drained_before_adds_nothing_when_it_is_found_again(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        for number in range(10):
            built.spend(ledger, account, f"r{number}", 5)
        segment = next(built.spool_dir.glob("*.log"))
        kept = segment.read_bytes()
        await ledger.stop()
        segment.with_name("000000000900.log").write_bytes(kept)
        async with running(built):
            assert await built.balance() == 10 * USD - 50
            assert await built.spent() == 50
            assert len(await built.usage_ids()) == 10
        assert (await doctor.examine(built.engine)).findings == ()

    with_key(tmp_path, body)


def test_one_request_posted_twice_is_billed_once(tmp_path: Path) -> None:
    """The pipeline never does: this is what the database's own uniqueness is for."""

    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 5)
        built.spend(ledger, account, "r2", 5)
        built.spend(ledger, account, "r1", 5)
        await ledger.flush()
        assert await built.balance() == 10 * USD - 10 == account.wallet.free()
        built.spend(ledger, account, "r2", 5)
        built.spend(ledger, account, "r3", 5)
        await ledger.flush()
        assert await built.balance() == 10 * USD - 15 == account.wallet.free()
        assert quarantined(built) == []
        assert (await doctor.examine(built.engine)).findings == ()

    with_key(tmp_path, body)


def test_another_receipt_under_the_same_request_is_set_aside(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 5)
        built.spend(ledger, account, "r2", 5)
        built.spend(ledger, account, "r1", 6)
        built.spend(ledger, account, "r3", 5)
        await ledger.flush()
        assert await built.usage_ids() == ["r1", "r2", "r3"]
        assert await built.balance() == 10 * USD - 15 == account.wallet.free()
        assert quarantined(built) == ["r1"]
        assert ledger.stats().set_aside == 1

    with_key(tmp_path, body)


def test_a_poisonous_record_is_set_aside_and_blocks_nothing(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        for number in range(40):
            hold = ledger.hold(account, f"r{number:02d}", 5)
            usage = Usage(input=2**64 - 1) if number in (7, 8, 31) else Usage(input=1)
            ledger.post(hold, receipt_for(hold, built.clock.now_us(), 5, usage=usage), ())
        await ledger.flush()
        assert len(await built.usage_ids()) == 37
        assert quarantined(built) == ["r07", "r08", "r31"]
        assert await built.balance() == 10 * USD - 37 * 5 == account.wallet.free()
        assert ledger.stats().spool_records == 0
        report = await doctor.examine(built.engine, built.spool_dir)
        assert report.quarantined == 3
        assert {finding.check for finding in report.findings if finding.severity == "error"} == {"spool"}

    with_key(tmp_path, body)


def test_a_receipt_whose_wallet_is_gone_is_set_aside(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        key = await built.add_key(key_record("key_9", account_id=user_wallet("u9")))
        lost = await ledger.open(key)
        async with built.engine.begin() as connection:
            await connection.execute(delete(tables.accounts).where(tables.accounts.c.id == user_wallet("u9")))
        built.spend(ledger, account, "r1", 5)
        built.spend(ledger, lost, "r2", 0)
        built.spend(ledger, account, "r3", 5)
        await ledger.flush()
        assert await built.usage_ids() == ["r1", "r3"]
        assert quarantined(built) == ["r2"]

    with_key(tmp_path, body)


def test_a_record_that_no_longer_decodes_is_set_aside(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 5)
        strange = frames.frame_of(b"\x93\x01\x02\x03")
        assert ledger._spool._write(strange, 1)
        built.spend(ledger, account, "r2", 5)
        await ledger.flush()
        assert await built.usage_ids() == ["r1", "r2"]
        assert [path.read_bytes() for path in (built.spool_dir / QUARANTINE).iterdir()] == [strange]

    with_key(tmp_path, body)


def test_a_key_that_was_deleted_keeps_nobody_from_draining(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        built.spend(ledger, account, "r1", 5)
        async with built.engine.begin() as connection:
            await connection.execute(delete(tables.keys))
        await ledger.flush()
        assert await built.usage_ids() == ["r1"]
        assert await built.balance() == 10 * USD - 5

    with_key(tmp_path, body)


def test_a_name_with_a_nul_is_kept_without_it(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 5)
        ledger.post(
            hold, receipt_for(hold, built.clock.now_us(), 5, requested_model="gpt\0-5", notices=("\0x",)), ()
        )
        await ledger.flush()
        (row,) = await rows(built, tables.usage)
        assert (row["requested_model"], row["notices"]) == ("gpt-5", ["x"])

    with_key(tmp_path, body)


def test_attempts_that_are_there_already_stay_as_they_are(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        hold = ledger.hold(account, "r1", 5)
        first = attempt_for(hold, 1, cost=1, outcome="failed")
        async with built.engine.begin() as connection:
            values = {name: getattr(first, name) for name in first.__struct_fields__}
            await connection.execute(insert(tables.attempts).values(values))
        ledger.void(hold, (attempt_for(hold, 2, cost=2, outcome="failed"), attempt_for(hold, 3, ordinal=1)))
        await ledger.flush()
        assert [(row["ordinal"], row["at"]) for row in await rows(built, tables.attempts)] == [(0, 1), (1, 3)]

    with_key(tmp_path, body)


def test_draining_gives_other_work_a_turn(tmp_path: Path) -> None:
    async def body(built: House, ledger: Ledger, account: KeyAccount) -> None:
        for number in range(BATCH_RECORDS):
            built.spend(ledger, account, f"r{number}", 1)
        turns = 0

        async def other_work() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other_work())
        await ledger.flush()
        task.cancel()
        assert turns > BATCH_RECORDS // 64

    with_key(tmp_path, body)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (IntegrityError("", {}, Exception()), True),
        (DataError("", {}, Exception()), True),
        (OverflowError(), True),
        (DBAPIError("", {}, StateError("22021")), True),  # a character that the database's encoding lacks
        (DBAPIError("", {}, StateError("23514")), True),  # a check that does not hold
        (DBAPIError("", {}, StateError("40001")), False),  # another transaction was first
        (DBAPIError("", {}, StateError("57P01")), False),  # the server is going down
        (DBAPIError("", {}, StateError(None)), False),
        (OperationalError("", {}, Exception("database is locked")), False),
        (OperationalError("", {}, Exception("database or disk is full")), False),
        (ProgrammingError("", {}, StateError("42P01")), False),  # no such table: not the record's fault
        (OSError(), False),
        (TimeoutError(), False),
    ],
)
def test_what_a_record_is_refused_for_and_what_passes(error: Exception, expected: bool) -> None:
    assert refused(error) is expected


def test_a_value_that_the_driver_cannot_encode_is_refused() -> None:
    error = StateError(None)
    error.__cause__ = ValueError("value out of int64 range")
    assert refused(DBAPIError("", {}, error))

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bytespike.accounts.records import ModelCap
from bytespike.ledger import doctor
from bytespike.ledger.doctor import Finding, Report, examine
from bytespike.ledger.entries import REVENUE, org_wallet, user_wallet
from tests.support.ledger_house import (
    USD,
    House,
    attempt_for,
    house,
    key_record,
    org_key,
    receipt_for,
    running,
)

WALLET = user_wallet("u1")


def examined(folder: Path, *statements: str, act: Callable[[House], Awaitable[None]] | None = None) -> Report:
    """What the doctor says of a house with five receipts after someone ran `statements` in its database."""

    async def main() -> Report:
        async with house(folder) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                account = await ledger.open(key_record())
                for number in range(5):
                    built.clock.forward(1)
                    built.spend(ledger, account, f"r{number}", 10 + number)
            if act is not None:
                await act(built)
            with sqlite3.connect(built.database) as connection:
                for statement in statements:
                    assert connection.execute(statement).rowcount != 0, f"changed nothing: {statement}"
            connection.close()
            return await examine(built.engine, built.spool_dir)

    return asyncio.run(main())


def only(report: Report, check: str) -> list[Finding]:
    assert report.findings, "the doctor found nothing"
    return [finding for finding in report.findings if finding.check == check]


def test_a_healthy_house_has_no_findings(tmp_path: Path) -> None:
    report = examined(tmp_path)
    assert report == Report((), 7, 6, 5, 0, 0, 0)
    assert report.ok


def test_a_balance_that_is_not_the_sum_of_its_transfers(tmp_path: Path) -> None:
    report = examined(tmp_path, f"UPDATE accounts SET balance = balance + 12 WHERE id = '{WALLET}'")
    assert not report.ok
    wrong, total = only(report, "balances")
    assert (wrong.subject, wrong.found, wrong.expected) == (WALLET, 10 * USD - 60 + 12, 10 * USD - 60)
    assert wrong.transfer == "usage:r2"  # the first one of just that amount
    assert (total.found, total.expected) == (12, 0)


def test_two_wrong_balances_are_found_though_they_add_up_to_zero(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        f"UPDATE accounts SET balance = balance + 999 WHERE id = '{WALLET}'",
        f"UPDATE accounts SET balance = balance - 999 WHERE id = '{REVENUE}'",
    )
    assert [finding.subject for finding in only(report, "balances")] == [REVENUE, WALLET]
    assert {finding.transfer for finding in only(report, "balances")} == {None}


def test_a_receipt_without_a_transfer(tmp_path: Path) -> None:
    report = examined(tmp_path, "DELETE FROM transfers WHERE request_id IN ('r1', 'r3')")
    found = only(report, "receipts")
    assert [(finding.subject, finding.transfer, finding.expected) for finding in found] == [
        ("r1", "usage:r1", 11),
        ("r3", "usage:r3", 13),
    ]


def test_a_transfer_without_a_receipt(tmp_path: Path) -> None:
    report = examined(tmp_path, "DELETE FROM usage WHERE request_id IN ('r1', 'r3')")
    assert [(finding.transfer, finding.found) for finding in only(report, "receipts")] == [
        ("usage:r1", 11),
        ("usage:r3", 13),
    ]
    assert [finding.subject for finding in only(report, "keys")] == ["key_1"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE usage SET credits = 99 WHERE request_id = 'r2'",
        "UPDATE usage SET account_id = 'wallet:user:u2' WHERE request_id = 'r2'",
        "UPDATE transfers SET amount = 99 WHERE request_id = 'r2'",
        "UPDATE transfers SET debit_account = 'wallet:user:u2' WHERE request_id = 'r2'",
        "UPDATE transfers SET credit_account = 'system:external' WHERE request_id = 'r2'",
    ],
)
def test_a_receipt_and_a_transfer_that_differ(tmp_path: Path, statement: str) -> None:
    (found,) = only(examined(tmp_path, statement), "receipts")
    assert (found.subject, found.transfer, found.severity) == ("r2", "usage:r2", "error")


def test_a_second_transfer_for_one_receipt(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        "INSERT INTO transfers SELECT 'again', debit_account, credit_account, amount, kind, 'again', input_hash, "
        "request_id, note, created_at FROM transfers WHERE request_id = 'r2'",
    )
    (found,) = only(report, "receipts")
    assert (found.subject, found.transfer) == ("r2", "again")
    assert {finding.transfer for finding in only(report, "balances")} == {"again"}


def test_a_keys_spend_that_is_not_the_sum_of_its_receipts(tmp_path: Path) -> None:
    (found,) = only(examined(tmp_path, "UPDATE keys SET spent = 1"), "keys")
    assert (found.subject, found.found, found.expected) == ("key_1", 1, 60)


def test_a_keys_spend_that_lacks_one_receipt_names_its_transfer(tmp_path: Path) -> None:
    (found,) = only(examined(tmp_path, "UPDATE keys SET spent = spent - 12"), "keys")
    assert (found.transfer, found.severity) == ("usage:r2", "error")


async def with_caps(built: House) -> None:
    """Receipts of a key with caps, and of a member with some."""
    own = key_record(id="capped", limit_5h=USD, caps=(ModelCap("gpt-5-5", "lifetime", USD),))
    shared = org_key("of-org", member_caps=(ModelCap("", "1d", USD),))
    await built.fund(USD, org_wallet("o1"))
    for key, name in ((own, "a"), (shared, "b")):
        await built.add_key(key)
        async with running(built) as ledger:
            account = await ledger.open(key)
            for number in range(3):
                built.spend(ledger, account, f"{name}{number}", 20 + number)


@pytest.mark.parametrize(
    ("meter", "transfer"),
    [
        ("capped/5h", "usage:a1"),
        ("capped/gpt-5-5/lifetime", "usage:a1"),
        ("member:o1/u1/1d", "usage:b1"),
    ],
)
def test_a_sum_behind_a_cap_that_is_not_that_of_its_receipts(
    tmp_path: Path, meter: str, transfer: str
) -> None:
    change = f"UPDATE meter_sums SET amount = amount + 21 WHERE meter_id = '{meter}'"
    (found,) = only(examined(tmp_path, change, act=with_caps), "meters")
    assert (found.severity, found.subject, found.transfer) == ("error", meter, transfer)
    assert (found.found, found.expected) == (63 + 21, 63)


def test_sums_that_have_left_their_window_and_are_forgotten_are_not_missed(tmp_path: Path) -> None:
    async def act(built: House) -> None:
        await with_caps(built)
        built.clock.forward(6 * 3600)
        async with running(built) as ledger:
            account = await ledger.open(key_record(id="capped"))
            built.spend(ledger, account, "late", 5)

    forgotten = (
        "DELETE FROM meter_sums WHERE meter_id = 'capped/5h' "
        "AND bucket < (SELECT max(bucket) FROM meter_sums WHERE meter_id = 'capped/5h')"
    )
    assert examined(tmp_path, forgotten, act=act).findings == ()


@pytest.mark.parametrize(
    ("lease", "borrower", "severity", "subject"),
    [
        ((WALLET, "ghost", 5), None, "error", WALLET),
        ((WALLET, "b1", 100 * USD), ("b1", 1 << 60), "warning", WALLET),
        (None, ("b1", 0), "warning", "b1"),
    ],
)
def test_leases_of_nobody_or_beyond_the_wallet_and_borrowers_that_are_overdue(
    tmp_path: Path,
    lease: tuple[str, str, int] | None,
    borrower: tuple[str, int] | None,
    severity: str,
    subject: str,
) -> None:
    statements: list[str] = []
    if lease is not None:
        cap, of, amount = lease
        statements.append(f"INSERT INTO leases VALUES ('{cap}', '{of}', {amount}, 0, 1, NULL)")
    if borrower is not None:
        id, expires_at = borrower
        statements.append(f"INSERT INTO borrowers VALUES ('{id}', 'host', '/spool', 0, 0, {expires_at})")
    (found,) = only(examined(tmp_path, *statements), "leases")
    assert (found.severity, found.subject) == (severity, subject)


@pytest.mark.parametrize("column", ["amount = 13", "note = 'x'", "kind = 'refund'", "request_id = 'r1'"])
def test_a_transfer_that_was_changed_afterwards(tmp_path: Path, column: str) -> None:
    found = only(examined(tmp_path, f"UPDATE transfers SET {column} WHERE id = 'usage:r2'"), "hashes")
    assert [finding.transfer for finding in found] == ["usage:r2"]


def test_the_first_changed_transfer_comes_first(tmp_path: Path) -> None:
    found = only(examined(tmp_path, "UPDATE transfers SET note = 'x' WHERE kind = 'usage'"), "hashes")
    assert [finding.transfer for finding in found] == [f"usage:r{number}" for number in range(5)]


def test_a_wallet_below_zero_by_what_was_underestimated_is_a_warning(tmp_path: Path) -> None:
    async def act(built: House) -> None:
        async with running(built) as ledger:
            account = await ledger.open(key_record())
            hold = ledger.hold(account, "over", 10 * USD - 60)
            ledger.post(hold, receipt_for(hold, built.clock.now_us(), 11 * USD), (attempt_for(hold, 1),))

    report = examined(tmp_path, act=act)
    (found,) = only(report, "wallets")
    assert (found.severity, found.subject, found.found) == ("warning", WALLET, -1 * USD - 60)
    assert found.transfer == "usage:over"
    assert report.ok


def test_a_wallet_further_below_zero_is_an_error(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        "INSERT INTO transfers VALUES ('t', 'wallet:user:u2', 'system:promotion', 5, 'admin_debit', 't', '', NULL, '', 0)",
        "UPDATE accounts SET balance = balance - 5 WHERE id = 'wallet:user:u2'",
        "UPDATE accounts SET balance = balance + 5 WHERE id = 'system:promotion'",
    )
    (found,) = only(report, "wallets")
    assert (found.severity, found.subject, found.transfer) == ("error", "wallet:user:u2", "t")


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("DELETE FROM attempts WHERE request_id = 'r1'", "r1"),
        ("UPDATE attempts SET cost = -1 WHERE request_id = 'r1'", "r1"),
        ("UPDATE attempts SET request_id = 'r9' WHERE request_id = 'r1'", "r9"),
    ],
)
def test_odd_attempts_are_warnings(tmp_path: Path, statement: str, subject: str) -> None:
    report = examined(tmp_path, statement)
    assert subject in [finding.subject for finding in only(report, "attempts")]
    assert report.ok


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("accounts", "balance"),
        ("transfers", "amount"),
        ("usage", "credits"),
        ("keys", "spent"),
        ("attempts", "cost"),
    ],
)
def test_money_that_is_no_integer(tmp_path: Path, table: str, column: str) -> None:
    found = only(examined(tmp_path, f"UPDATE {table} SET {column} = {column} + 0.5"), "integers")
    assert [finding.subject for finding in found] == [f"{table}.{column}"]


def test_findings_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FINDINGS_MAX", 2)
    report = examined(tmp_path, "UPDATE transfers SET note = 'x', amount = amount + 1")
    assert {len(only(report, check)) for check in ("hashes", "receipts")} == {2}


def test_receipts_in_the_spool_are_counted_while_the_gateway_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as built:
            await built.fund(10 * USD)
            await built.add_key(key_record())
            async with running(built) as ledger:
                account = await ledger.open(key_record())
                for number in range(5):
                    built.spend(ledger, account, f"r{number}", 1)
                await ledger.flush()
                for number in range(5, 8):
                    built.spend(ledger, account, f"r{number}", 1)
                ledger.void(
                    ledger.hold(account, "v", 1),
                    (attempt_for(ledger.hold(account, "w", 1), 1, outcome="failed"),),
                )
                report = await examine(built.engine, built.spool_dir)
                assert (report.spool_records, report.spool_undrained, report.usage_rows) == (9, 3, 5)
                assert [finding.severity for finding in report.findings] == ["warning"]
                assert report.ok

    asyncio.run(main())


def test_damage_in_the_spool_and_the_quarantine_are_errors(tmp_path: Path) -> None:
    async def act(built: House) -> None:
        built.spool_dir.joinpath("000000000007.log").write_bytes(b"\xff" * 100)
        quarantine = built.spool_dir / "quarantine"
        quarantine.mkdir()
        quarantine.joinpath("0123.record").write_bytes(b"")
        quarantine.joinpath("0123.bytes").write_bytes(b"")
        quarantine.joinpath("0123.part").write_bytes(b"")

    report = examined(tmp_path, act=act)
    assert [finding.subject for finding in only(report, "spool")] == [
        "000000000007.log",
        "quarantine/0123.bytes",
        "quarantine/0123.record",
    ]
    assert report.quarantined == 2
    assert not report.ok


def test_without_a_spool_only_the_database_is_examined(tmp_path: Path) -> None:
    async def main() -> Report:
        async with house(tmp_path) as built:
            await built.fund(1)
            assert await examine(built.engine, tmp_path / "nowhere") == await examine(built.engine)
            return await examine(built.engine)

    assert asyncio.run(main()).ok

"""Is the money right? Every invariant of the books, checked on any database, while a gateway runs or not.

    balances     each account's balance is the sum of its transfers; all balances add up to zero
    receipts     each usage row has one transfer of the same credits from the same wallet to revenue, and each usage
                 transfer has its row
    escrows      what the account of held money has is what is set aside for tasks that are not over; each escrow was
                 set aside by one transfer and came back by one, if it is resolved, and what it was billed is a receipt
    keys         a key's lifetime spend is the sum of its usage, and of what is set aside for its tasks
    meters       so is each sum that a cap of a key or a member is compared with; an escrow counts from when it was made
    rollups      and what usage pages show: each is what its usage rows add up to
    leases       no more is lent of a wallet than it has, and to somebody who is there
    wallets      none is below zero by more than its receipts were under-estimated
    hashes       each transfer still has the inputs that it was made with
    attempts     each is of a request that was billed, or of one that failed; no cost is negative
    integers     money columns hold integers (SQLite would take anything); if not, only this is reported, and the spool
    spool        what is not drained, and what had to be set aside

Everything is read in one snapshot, so a running gateway makes no false findings.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike.ledger import doctor_sql as sql
from bytespike.ledger.amounts import format_usd
from bytespike.ledger.doctor_escrows import escrow_findings, first_hold_of
from bytespike.ledger.entries import input_hash, usage_key
from bytespike.ledger.findings import FINDINGS_MAX, Finding
from bytespike.ledger.frames import decode_payload
from bytespike.ledger.rollups import DAY_US, wrong_rollups
from bytespike.ledger.segments import BYTES_SUFFIX, QUARANTINE, RECORD_SUFFIX, found_segments, read_frames
from bytespike.ledger.sql import TRANSFERS_KNOWN
from bytespike.ledger.stored import Frame, UnreadableRecord
from bytespike.store.engine import reading

#: Rows fetched at once, where every row is looked at.
_ROWS_AT_ONCE = 1_000
_IN_PIECES = {"yield_per": _ROWS_AT_ONCE}


class Report(Struct, frozen=True):
    """What was found, at most `FINDINGS_MAX` of each check, and how much was looked at. `spool_undrained`: records in
    the spool that the database does not have yet."""

    findings: tuple[Finding, ...]
    accounts: int
    transfers: int
    usage_rows: int
    spool_records: int
    spool_undrained: int
    quarantined: int

    @property
    def ok(self) -> bool:
        """No invariant is broken. Warnings may be there."""
        return all(finding.severity != "error" for finding in self.findings)


async def examine(engine: AsyncEngine, *spool_dirs: Path) -> Report:
    """Check everything. Raises what the database raises, and OSError for a spool that cannot be read."""
    async with reading(engine) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        findings = await _integers(connection)
        if not findings:  # else no sum means anything
            for check in (
                _balances,
                _receipts,
                escrow_findings,
                _keys,
                _meters,
                _rollups,
                _leases,
                _wallets,
                _hashes,
                _attempts,
            ):
                findings += await check(connection)
        records = undrained = quarantined = 0
        for each in spool_dirs:
            found = await _spool(connection, each)
            findings += found.findings
            records += found.records
            undrained += found.undrained
            quarantined += found.quarantined
        counts = [(await connection.execute(query)).scalar_one() for query in sql.COUNTS]
    return Report(
        tuple(findings),
        accounts=counts[0],
        transfers=counts[1],
        usage_rows=counts[2],
        spool_records=records,
        spool_undrained=undrained,
        quarantined=quarantined,
    )


async def _balances(connection: AsyncConnection) -> list[Finding]:
    findings: list[Finding] = []
    for id, balance, moved in await connection.execute(sql.wrong_balances(FINDINGS_MAX)):
        suspect = (await connection.execute(sql.first_transfer_of(id, abs(balance - moved)))).scalar()
        message = f"the balance is ${format_usd(balance)}, its transfers add up to ${format_usd(moved)}"
        findings.append(_differs("balances", id, message, suspect, expected=moved, found=balance))
    total = (await connection.execute(sql.SUM_OF_BALANCES)).scalar_one()
    if total:
        findings.append(
            Finding(
                "error",
                "balances",
                "all accounts",
                f"all balances add up to ${format_usd(total)}, not to zero",
                expected=0,
                found=total,
            )
        )
    return findings


async def _receipts(connection: AsyncConnection) -> list[Finding]:
    findings = [
        Finding(
            "error",
            "receipts",
            request_id,
            f"billed ${format_usd(credits)}, but there is no transfer",
            transfer=usage_key(request_id),
            expected=credits,
            found=0,
        )
        for request_id, credits in (await connection.execute(sql.usage_without_transfer(FINDINGS_MAX)))
    ]
    findings += [
        Finding(
            "error",
            "receipts",
            request_id or id,
            f"a transfer of ${format_usd(amount)} for usage without a receipt",
            transfer=id,
            expected=0,
            found=amount,
        )
        for id, request_id, amount in (await connection.execute(sql.transfer_without_usage(FINDINGS_MAX)))
    ]
    findings += [
        Finding(
            "error",
            "receipts",
            request_id,
            f"the receipt says ${format_usd(credits)} from {account}, the transfer ${format_usd(amount)} "
            f"from {debit} to {credit}",
            transfer=id,
            expected=credits,
            found=amount,
        )
        for id, request_id, credits, account, amount, debit, credit in (
            await connection.execute(sql.receipts_differing(FINDINGS_MAX))
        )
    ]
    return findings


async def _keys(connection: AsyncConnection) -> list[Finding]:
    findings: list[Finding] = []
    for id, spent, used in await connection.execute(sql.wrong_spent(FINDINGS_MAX)):
        suspect = await _suspect(connection, id, "", spent - used)
        message = f"the key has ${format_usd(spent)} as its lifetime spend, its receipts and escrows add up to ${format_usd(used)}"
        findings.append(_differs("keys", id, message, suspect, expected=used, found=spent))
    return findings


async def _suspect(connection: AsyncConnection, subject: str, model: str, difference: int) -> str | None:
    """The first transfer that may have been counted once too often, or not at all."""
    for query in (sql.first_receipt_of, first_hold_of):
        found = (await connection.execute(query(subject, model, abs(difference)))).scalar()
        if found is not None:
            return found
    return None


def _differs(
    check: str, subject: str, message: str, suspect: str | None, *, expected: int, found: int
) -> Finding:
    if suspect is not None:
        message += f"; transfer {suspect} has just this difference"
    return Finding("error", check, subject, message, transfer=suspect, expected=expected, found=found)


async def _wallets(connection: AsyncConnection) -> list[Finding]:
    findings: list[Finding] = []
    for id, balance, over in await connection.execute(sql.wallets_below_zero(FINDINGS_MAX)):
        explained = over >= -balance
        findings.append(
            Finding(
                "warning" if explained else "error",
                "wallets",
                id,
                f"the wallet is at ${format_usd(balance)}; its receipts came to ${format_usd(over)} more than was "
                "held for them",
                transfer=await _first_below_zero(connection, id),
                expected=0,
                found=balance,
            )
        )
    return findings


async def _first_below_zero(connection: AsyncConnection, account_id: str) -> str | None:
    balance = 0
    rows = await connection.stream(sql.movements_of(account_id), execution_options=_IN_PIECES)
    async for piece in rows.partitions():
        for id, change in piece:
            balance += change
            if balance < 0:
                return id
    return None


async def _hashes(connection: AsyncConnection) -> list[Finding]:
    findings: list[Finding] = []
    rows = await connection.stream(sql.TRANSFER_INPUTS, execution_options=_IN_PIECES)
    async for piece in rows.partitions():
        for id, kind, debit, credit, amount, request_id, note, hash in piece:
            if input_hash(kind, debit, credit, amount, request_id or "", note) != hash:
                message = (
                    f"the {kind} of ${format_usd(amount)} is not what was written: its hash does not match"
                )
                findings.append(
                    Finding("error", "hashes", request_id or id, message, transfer=id, found=amount)
                )
                if len(findings) == FINDINGS_MAX:
                    return findings
    return findings


async def _attempts(connection: AsyncConnection) -> list[Finding]:
    return [
        Finding("warning", "attempts", request_id, message)
        for query, message in sql.ODD_ATTEMPTS
        for (request_id,) in (await connection.execute(query.limit(FINDINGS_MAX)))
    ]


async def _integers(connection: AsyncConnection) -> list[Finding]:
    if connection.dialect.name != "sqlite":
        return []  # BIGINT columns hold nothing else
    findings: list[Finding] = []
    for name, query in sql.NOT_INTEGERS:
        count = (await connection.execute(query)).scalar_one()
        if count:
            findings.append(
                Finding("error", "integers", name, f"{count} rows of {name} hold no integer", found=count)
            )
    return findings


async def _meters(connection: AsyncConnection) -> list[Finding]:
    findings: list[Finding] = []
    for id, subject, model, summed, used in await connection.execute(sql.wrong_meters(FINDINGS_MAX)):
        suspect = await _suspect(connection, subject, model, summed - used)
        message = f"the sum that a cap is compared with is ${format_usd(summed)}, the receipts and escrows add up to ${format_usd(used)}"
        findings.append(_differs("meters", id, message, suspect, expected=used, found=summed))
    return findings


async def _rollups(connection: AsyncConnection) -> list[Finding]:
    return [
        Finding(
            "error",
            "rollups",
            f"{user_id}/{key_id}/{model}",
            f"the {'day' if span_us == DAY_US else 'hour'} from {start} on: its receipts are {requests} more than the "
            f"rollup has, and ${format_usd(credits)} more",
            expected=0,
            found=credits,
        )
        for user_id, span_us, start, model, key_id, credits, requests in (
            await connection.execute(wrong_rollups(FINDINGS_MAX))
        )
    ]


async def _leases(connection: AsyncConnection) -> list[Finding]:
    findings = [
        Finding(
            "warning",  # receipts over their holds, and debits, do that for a moment
            "leases",
            cap,
            f"${format_usd(lent)} is lent of a wallet that has ${format_usd(balance)}",
            expected=balance,
            found=lent,
        )
        for cap, lent, balance in (await connection.execute(sql.lent_beyond_balance(FINDINGS_MAX)))
    ]
    findings += [
        Finding("error", "leases", cap, f"a lease of a borrower that is gone ({borrower})")
        for cap, borrower in (await connection.execute(sql.leases_of_nobody(FINDINGS_MAX)))
    ]
    findings += [
        Finding(
            "warning",
            "leases",
            id,
            f"not heard of for long; what it had borrowed counts as spent until its spool, {spool} on {host}, is drained",
        )
        for id, host, spool in (await connection.execute(sql.BORROWERS_OVERDUE.limit(FINDINGS_MAX)))
    ]
    return findings


class _Spooled(Struct, frozen=True):
    """`records` in a spool, and those that the database has not; things in its quarantine."""

    findings: list[Finding]
    records: int
    undrained: int
    quarantined: int


async def _spool(connection: AsyncConnection, spool_dir: Path) -> _Spooled:
    findings: list[Finding] = []
    records = undrained = 0
    for segment in found_segments(spool_dir):
        keys: list[str] = []
        end = 0
        for found in read_frames(segment.path):
            if isinstance(found, Frame):
                end = found.end
                records += 1
                keys += _billed(found)
            elif found == "damaged":
                message = f"the segment is damaged from byte {end} on"
                findings.append(Finding("error", "spool", segment.path.name, message))
        undrained += await _missing(connection, keys)
    quarantine = spool_dir / QUARANTINE
    kept = sorted(path.name for path in quarantine.iterdir()) if quarantine.is_dir() else []
    kept = [name for name in kept if name.endswith((RECORD_SUFFIX, BYTES_SUFFIX))]
    findings += [
        Finding("error", "spool", f"{QUARANTINE}/{name}", "set aside: it is not in the books")
        for name in kept[:FINDINGS_MAX]
    ]
    if undrained:
        message = (
            f"{undrained} receipts wait to be drained: the gateway does it while it runs, and when it starts"
        )
        findings.append(Finding("warning", "spool", str(spool_dir), message, found=undrained))
    return _Spooled(findings, records, undrained, len(kept))


def _billed(frame: Frame) -> list[str]:
    """The idempotency key of the receipt in a frame, if it has one."""
    try:
        receipt = decode_payload(frame.payload).receipt
    except UnreadableRecord:
        return []
    return [] if receipt is None else [usage_key(receipt.request_id)]


async def _missing(connection: AsyncConnection, keys: list[str]) -> int:
    missing = 0
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        some = set(keys[start : start + _ROWS_AT_ONCE])
        known = await connection.execute(TRANSFERS_KNOWN, {"ids": [*some]})
        missing += len(some - {key for key, _ in known})
    return missing

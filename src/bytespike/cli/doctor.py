"""`bytespike doctor`: is everything as it must be?

Money: every invariant of the ledger. Besides, unless `--money` asks for that alone: each secret opens with the master
key, each channel can be turned into requests, each model on a channel has a price, each model that was added is whole, each
alias leads to a model.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bytespike.accounts.channels import check_usable
from bytespike.accounts.keys import key_place
from bytespike.accounts.routes import PriceList, open_channel
from bytespike.accounts.secrets import SecretUnreadable
from bytespike.cli.answer import Answer, listing
from bytespike.cli.command import command
from bytespike.cli.desk import Desk
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.ledger import doctor as ledger_doctor
from bytespike.ledger.findings import Finding
from bytespike.pricing.defaults import default_prices
from bytespike.store import channels, keys, prices

#: Sealed keys that are read at once.
_KEYS_AT_ONCE = 1000


def add_to(app: typer.Typer) -> None:
    """Declare the command on the program itself: it is no group."""
    command(app, "doctor", epilog="Exit code: 0 when nothing is wrong (warnings may be there), 1 otherwise.")(
        doctor
    )


async def doctor(
    desk: Desk, money: Annotated[bool, typer.Option("--money", help="Only the ledger.")] = False
) -> Answer:
    """Check the ledger, secrets, channels, prices, and the models and aliases that were added."""
    spools = sorted(desk.settings.data_dir.glob("spool*"))
    report = await ledger_doctor.examine(desk.engine, *spools)
    findings = list(report.findings)
    if not money:
        findings += [*await _secrets(desk), *await _channels(desk), *await _catalog(desk)]
    ok = all(finding.severity != "error" for finding in findings)
    answer = listing(
        [_shown(finding) for finding in findings],
        ("severity", "check", "subject", "message"),
        note=("Nothing is wrong." if ok else "Something is wrong.")
        + f" Looked at {report.accounts} accounts, {report.transfers} transfers, {report.usage_rows} receipts.",
    )
    counts: dict[str, JSON] = {
        "accounts": report.accounts,
        "transfers": report.transfers,
        "usage_rows": report.usage_rows,
        "spool_records": report.spool_records,
        "spool_undrained": report.spool_undrained,
        "quarantined": report.quarantined,
    }
    return Answer({"ok": ok, **answer.value, **counts}, answer.columns, answer.note, failed=not ok)


async def _secrets(desk: Desk) -> list[Finding]:
    """Every sealed secret opens, and its plaintext goes nowhere."""
    box = desk.control.box
    findings: list[Finding] = []
    async with desk.reading() as connection:
        for sealed in await channels.all_sealed(connection):
            try:
                open_channel(box, sealed)
            except SecretUnreadable as error:
                findings.append(Finding("error", "secrets", sealed.id, str(error)))
        last = ""
        while rows := await keys.sealed_after(connection, last, limit=_KEYS_AT_ONCE):
            for row in rows:
                try:
                    box.open(row.secret, key_place(row.id))
                except SecretUnreadable as error:
                    findings.append(Finding("error", "secrets", row.id, str(error)))
            last = rows[-1].id
    return findings


async def _channels(desk: Desk) -> list[Finding]:
    """Each channel can be turned into requests; each model that one serves is in the catalog and has a price."""
    findings: list[Finding] = []
    async with desk.reading() as connection:
        rows = {row.id: row for row in await channels.listing(connection)}
        served = await channels.served(connection)
        catalog = await desk.catalog(connection)
        price_list = PriceList(
            await prices.listing(connection), default_prices(catalog.models), desk.control.clock.now_us()
        )
    for row in rows.values():
        try:
            check_usable(row)
        except InvalidRequest as error:
            findings.append(Finding("error", "channels", row.name, error.message))
        if not row.enabled and row.disabled_reason:
            findings.append(Finding("warning", "channels", row.name, f"disabled: {row.disabled_reason}"))
    for each in served:
        name = rows[each.channel_id].name
        if each.model not in catalog.models:
            message = f"serves {each.model}, which is not in the catalog"
            findings.append(Finding("error", "channels", name, message))
        elif price_list.find(each.channel_id, each.model) is None:
            message = f"serves {each.model}, which has no price: it is left out"
            findings.append(Finding("error", "prices", name, message))
    return findings


async def _catalog(desk: Desk) -> list[Finding]:
    async with desk.reading() as connection:
        catalog = await desk.catalog(connection)
    return [Finding("warning", "catalog", "catalog", problem) for problem in catalog.problems]


def _shown(finding: Finding) -> dict[str, JSON]:
    """Amounts, where there are any, are micro-dollars here: they are compared, not paid."""
    return {
        "severity": finding.severity,
        "check": finding.check,
        "subject": finding.subject,
        "message": finding.message,
        "transfer": finding.transfer,
        "expected": finding.expected,
        "found": finding.found,
    }

"""`bytespike wallet`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, TypeAlias

import typer

from bytespike.cli.amount_command import AmountCommand
from bytespike.cli.answer import Answer, listing, record
from bytespike.cli.command import command, group
from bytespike.cli.desk import ACTOR, Desk
from bytespike.cli.options import Limit, Offset, Org, User
from bytespike.cli.options import wallet as wallet_of
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest
from bytespike.http.moments import moment
from bytespike.ledger import transfers
from bytespike.ledger.amounts import format_usd, parse_usd
from bytespike.ledger.statements import EntryFilter, statement
from bytespike.ledger.transfers import Transfer

wallet = group("wallet", "Wallets of users and organisations, and every entry in them.")

#: What is said of an amount that is none.
POSITIVE = "an amount is more than 0. `bytespike wallet debit` takes money out of a wallet; topup, credit and refund put it in"

Amount: TypeAlias = Annotated[str, typer.Argument(help="USD, more than 0: e.g. 25 or 0.50.")]
Note: TypeAlias = Annotated[str, typer.Option(help="Kept with the entry.")]
Once: TypeAlias = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key again does nothing again.", show_default=False),
]
Move: TypeAlias = Callable[..., Awaitable[Transfer]]


@command(wallet, "balance")
async def balance(desk: Desk, user: User = None, org: Org = None) -> Answer:
    """Show what a wallet has. A running gateway may hold or have spent more: it posts within a second."""
    async with desk.reading() as connection:
        account = await wallet_of(connection, user, org)
    return record(
        {"account_id": account, "balance": format_usd(await transfers.balance(desk.engine, account))}
    )


@command(
    wallet,
    "topup",
    cls=AmountCommand,
    epilog="Example: bytespike wallet topup 25 --user ada@example.com --note 'invoice 17'",
)
async def topup(
    desk: Desk,
    amount: Amount,
    user: User = None,
    org: Org = None,
    note: Note = "",
    idempotency_key: Once = None,
) -> Answer:
    """Add money that somebody paid."""
    return await moved(desk, transfers.topup, amount, user, org, note, idempotency_key)


@command(wallet, "refund", cls=AmountCommand)
async def refund(
    desk: Desk,
    amount: Amount,
    user: User = None,
    org: Org = None,
    note: Note = "",
    idempotency_key: Once = None,
) -> Answer:
    """Give back what requests have cost: no more than that in all. (To give more, use `credit`.)"""
    return await moved(desk, transfers.refund, amount, user, org, note, idempotency_key)


@command(wallet, "credit", cls=AmountCommand)
async def credit(
    desk: Desk,
    amount: Amount,
    user: User = None,
    org: Org = None,
    note: Note = "",
    idempotency_key: Once = None,
) -> Answer:
    """Add money as a present."""
    return await moved(desk, transfers.admin_credit, amount, user, org, note, idempotency_key)


@command(wallet, "debit", cls=AmountCommand)
async def debit(
    desk: Desk,
    amount: Amount,
    user: User = None,
    org: Org = None,
    note: Note = "",
    idempotency_key: Once = None,
) -> Answer:
    """Take money back, as far as there is any."""
    threshold = parse_usd(desk.settings.low_balance_usd)
    take = partial(transfers.admin_debit, low_balance=threshold)
    return await moved(desk, take, amount, user, org, note, idempotency_key)


@command(wallet, "history")
async def history(
    desk: Desk, user: User = None, org: Org = None, limit: Limit = 50, offset: Offset = 0
) -> Answer:
    """List a wallet's entries, the newest first."""
    async with desk.reading() as connection:
        account = await wallet_of(connection, user, org)
    found = await statement(desk.engine, EntryFilter(account), limit=limit, offset=offset)
    rows: list[dict[str, JSON]] = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "amount": format_usd(entry.amount),
            "other": entry.other,
            "request_id": entry.request_id,
            "note": entry.note,
            "created_at": moment(entry.created_at),
        }
        for entry in found.items
    ]
    return listing(rows, ("created_at", "kind", "amount", "request_id", "note"), total=found.total)


async def moved(
    desk: Desk,
    move: Move,
    amount: str,
    user: str | None,
    org: str | None,
    note: str,
    idempotency_key: str | None,
) -> Answer:
    """Make a transfer and tell of it. Raises what `move` raises; InvalidRequest: no amount, or not more than 0."""
    micros = None if amount.startswith("-") else parse_usd(amount)
    if not micros:
        raise InvalidRequest(f"{amount[:40]}: {POSITIVE}")
    async with desk.reading() as connection:
        account = await wallet_of(connection, user, org)
    now_us = desk.control.clock.now_us()
    made = await move(
        desk.engine, account, micros, actor=ACTOR, now_us=now_us, note=note, idempotency_key=idempotency_key
    )
    return record(
        {
            "id": made.id,
            "kind": made.kind,
            "account_id": made.account_id,
            "amount": format_usd(made.amount),
            "note": made.note,
            "created_at": moment(made.created_at),
            "balance": format_usd(made.balance),
            "repeated": made.repeated,
        }
    )

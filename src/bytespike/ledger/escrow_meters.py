"""What an escrow changes in the meters of this process, once its commit is known. Nothing is awaited in here, and the books are
locked: so no batch was committed in between.

A process that is alone knows everything that its windows hold, and what comes back is taken out of the bucket where it
was counted. One that shares may not have heard of what another set aside, so it takes over what the database has.
"""

from __future__ import annotations

from bytespike.ledger.account import Meter
from bytespike.ledger.book import Book
from bytespike.ledger.escrow_books import EscrowRow, Figures
from bytespike.ledger.holds import Hold
from bytespike.store.members import member_id


def placed(hold: Hold, row: EscrowRow, figures: Figures) -> None:
    """It is no longer held here, nor covered by what was borrowed: it is spent, as the database has it."""
    amount = row.amount
    uncover(hold, row)
    hold.wallet.balance = figures.balance
    account = hold.account
    if figures.spent is not None:
        account.spent = figures.spent
    for meter in _of_hold(hold, row):
        if meter is not account:
            meter.spent += amount
        for window in meter.windows.values():
            window.add(row.at, amount)


def uncover(hold: Hold, row: EscrowRow) -> None:
    """The leases that covered it are less by it."""
    hold.wallet.drained(row.amount)
    for meter in _of_hold(hold, row):
        meter.drained(row.amount)


def _of_hold(hold: Hold, row: EscrowRow) -> list[Meter]:
    """What it counts under."""
    account = hold.account
    meters: list[Meter] = [account]
    on_model = account.models.get(row.model)
    if on_model is not None:
        meters.append(on_model)
    if account.member is not None:
        meters.append(account.member)
    return meters


def known(book: Book, row: EscrowRow) -> list[Meter]:
    """The same of those that are in memory, whoever placed it."""
    meters: list[Meter] = []
    account = book.accounts.get(row.key_id)
    if account is not None:
        meters.append(account)
        on_model = account.models.get(row.model)
        if on_model is not None:
            meters.append(on_model)
    if row.org_id is not None:
        member = book.members.get(member_id(row.org_id, row.user_id))
        if member is not None:
            meters.append(member)
    return meters


def given_back(book: Book, row: EscrowRow, rest: int, figures: Figures) -> None:
    """So much of it is no longer spent; this process is alone."""
    _take_in(book, row, figures)
    account = book.accounts.get(row.key_id)
    for meter in known(book, row):
        if meter is not account:
            meter.spent -= rest
        for window in meter.windows.values():
            window.take(row.at, rest)


def read_again(book: Book, row: EscrowRow, figures: Figures) -> None:
    """Whatever became of it is in the figures; the sums are those of `known`."""
    _take_in(book, row, figures)
    book.restore(known(book, row), figures.sums)


def _take_in(book: Book, row: EscrowRow, figures: Figures) -> None:
    wallet = book.wallets.get(row.account_id)
    if wallet is not None:
        wallet.balance = figures.balance
    account = book.accounts.get(row.key_id)
    if account is not None:
        if figures.spent is not None:
            account.spent = figures.spent
        account.refused_until_ns = 0  # there may be enough now

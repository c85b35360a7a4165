"""The statements of `doctor`: each finds what should not be there."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from bytespike.ledger.entries import REVENUE
from bytespike.ledger.escrow_sql import COUNTED, OF_AN_ESCROW
from bytespike.store.media_tables import escrows
from bytespike.store.tables import (
    accounts,
    attempts,
    borrowers,
    keys,
    leases,
    members,
    meter_sums,
    meters,
    transfers,
    usage,
)


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


_movements = union_all(
    select(
        transfers.c.id,
        transfers.c.created_at,
        transfers.c.debit_account.label("account"),
        (-transfers.c.amount).label("change"),
    ),
    select(
        transfers.c.id,
        transfers.c.created_at,
        transfers.c.credit_account.label("account"),
        transfers.c.amount,
    ),
).subquery("movements")

COUNTS = (
    select(func.count()).select_from(accounts),
    select(func.count()).select_from(transfers),
    select(func.count()).select_from(usage),
)
SUM_OF_BALANCES = select(_sum(accounts.c.balance))


def wrong_balances(limit: int) -> Select[str, int, int]:
    """(account, its balance, what its transfers add up to) where they differ."""
    moved = (
        select(_movements.c.account, _sum(_movements.c.change).label("moved"))
        .group_by(_movements.c.account)
        .subquery()
    )
    sum_moved = func.coalesce(moved.c.moved, 0)
    return (
        select(accounts.c.id, accounts.c.balance, cast(sum_moved, BigInteger))
        .select_from(accounts.outerjoin(moved, moved.c.account == accounts.c.id))
        .where(accounts.c.balance != sum_moved)
        .order_by(accounts.c.id)
        .limit(limit)
    )


def first_transfer_of(account_id: str, amount: int) -> Select[str]:
    """The first transfer of an account that moved just this amount."""
    return (
        select(transfers.c.id)
        .where(
            or_(transfers.c.debit_account == account_id, transfers.c.credit_account == account_id),
            transfers.c.amount == amount,
        )
        .order_by(transfers.c.created_at, transfers.c.id)
        .limit(1)
    )


def usage_without_transfer(limit: int) -> Select[str, int]:
    """(request, credits)"""
    there = exists().where(transfers.c.idempotency_key == literal("usage:") + usage.c.request_id)
    return (
        select(usage.c.request_id, usage.c.credits)
        .where(~there)
        .order_by(usage.c.at, usage.c.request_id)
        .limit(limit)
    )


def transfer_without_usage(limit: int) -> Select[str, str | None, int]:
    """(transfer, request, amount)"""
    there = exists().where(usage.c.request_id == transfers.c.request_id)
    return (
        select(transfers.c.id, transfers.c.request_id, transfers.c.amount)
        .where(transfers.c.kind == "usage", ~there)
        .order_by(transfers.c.created_at, transfers.c.id)
        .limit(limit)
    )


def receipts_differing(limit: int) -> Select[str, str, int, str, int, str, str]:
    """(transfer, request, credits, wallet, amount, debit, credit) where the receipt and a transfer of its request do
    not agree, a second transfer of one request included."""
    agrees = and_(
        transfers.c.amount == usage.c.credits,
        transfers.c.debit_account == usage.c.account_id,
        transfers.c.credit_account == REVENUE,
        transfers.c.idempotency_key == literal("usage:") + usage.c.request_id,
    )
    return (
        select(
            transfers.c.id,
            usage.c.request_id,
            usage.c.credits,
            usage.c.account_id,
            transfers.c.amount,
            transfers.c.debit_account,
            transfers.c.credit_account,
        )
        .select_from(transfers.join(usage, usage.c.request_id == transfers.c.request_id))
        .where(transfers.c.kind == "usage", ~agrees)
        .order_by(transfers.c.created_at, transfers.c.id)
        .limit(limit)
    )


def wrong_spent(limit: int) -> Select[str, int, int]:
    """(key, its lifetime spend, the sum of its receipts and of what is set aside for its tasks) where they differ."""
    each = union_all(
        select(usage.c.key_id, usage.c.credits),
        select(escrows.c.key_id, escrows.c.amount.label("credits")).where(escrows.c.state == "held"),
    ).subquery("spending")
    used = select(each.c.key_id, _sum(each.c.credits).label("used")).group_by(each.c.key_id).subquery()
    sum_used = func.coalesce(used.c.used, 0)
    return (
        select(keys.c.id, keys.c.spent, cast(sum_used, BigInteger))
        .select_from(keys.outerjoin(used, used.c.key_id == keys.c.id))
        .where(keys.c.spent != sum_used)
        .order_by(keys.c.id)
        .limit(limit)
    )


def wrong_meters(limit: int) -> Select[str, str, str, int, int]:
    """(meter, whose, its model, what it sums up, the sum of the receipts and escrows) where they differ: of all time, or
    since its oldest bucket."""
    oldest = (
        select(func.min(meter_sums.c.bucket))
        .where(meter_sums.c.meter_id == meters.c.id)
        .correlate_except(meter_sums)
        .scalar_subquery()
    )
    # One that has no bucket has no receipt either, as far back as it goes.
    since_us = func.coalesce(oldest, 0) * meters.c.bucket_us
    summed = select(_sum(meter_sums.c.amount)).where(meter_sums.c.meter_id == meters.c.id).scalar_subquery()
    of_requests = (
        select(_sum(usage.c.credits))
        .where(
            _is_of(usage, meters.c.key_id),
            or_(meters.c.model == "", usage.c.model == meters.c.model),
            usage.c.at >= since_us,
            ~OF_AN_ESCROW,
        )
        .scalar_subquery()
    )
    of_tasks = (
        select(_sum(COUNTED))
        .where(
            _is_of(escrows, meters.c.key_id),
            or_(meters.c.model == "", escrows.c.model == meters.c.model),
            escrows.c.at >= since_us,
        )
        .scalar_subquery()
    )
    used = cast(of_requests + of_tasks, BigInteger)
    has_any = exists().where(meter_sums.c.meter_id == meters.c.id)
    return (
        select(meters.c.id, meters.c.key_id, meters.c.model, summed, used)
        .where(has_any, summed != used)
        .order_by(meters.c.id)
        .limit(limit)
    )


def _is_of(spending: Table, subject: ColumnElement[str]) -> ColumnElement[bool]:
    """A usage row, or an escrow, is of this key, or of this member. Either way an index finds it: one of them names nobody
    else."""
    user_id = select(members.c.user_id).where(members.c.id == subject).correlate_except(members)
    org_id = select(members.c.org_id).where(members.c.id == subject).correlate_except(members)
    return or_(
        spending.c.key_id == subject,
        and_(spending.c.user_id == user_id.scalar_subquery(), spending.c.org_id == org_id.scalar_subquery()),
    )


def first_receipt_of(subject: str, model: str, amount: int) -> Select[str]:
    """The first usage transfer of a key or a member, on one model or ("") any, of just this amount."""
    return (
        select(transfers.c.id)
        .select_from(transfers.join(usage, usage.c.request_id == transfers.c.request_id))
        .where(
            _is_of(usage, literal(subject, Text())),
            or_(literal(model, Text()) == "", usage.c.model == model),
            transfers.c.kind == "usage",
            transfers.c.amount == amount,
        )
        .order_by(transfers.c.created_at, transfers.c.id)
        .limit(1)
    )


def lent_beyond_balance(limit: int) -> Select[str, int, int]:
    """(wallet, what is lent of it, its balance)"""
    lent = select(leases.c.cap, _sum(leases.c.amount).label("lent")).group_by(leases.c.cap).subquery()
    return (
        select(lent.c.cap, cast(lent.c.lent, BigInteger), accounts.c.balance)
        .select_from(lent.join(accounts, accounts.c.id == lent.c.cap))
        .where(lent.c.lent > accounts.c.balance, lent.c.lent > 0)
        .order_by(lent.c.cap)
        .limit(limit)
    )


def leases_of_nobody(limit: int) -> Select[str, str]:
    """(cap, borrower)"""
    there = exists().where(borrowers.c.id == leases.c.borrower)
    return (
        select(leases.c.cap, leases.c.borrower)
        .where(leases.c.until.is_(None), ~there)
        .order_by(leases.c.cap)
        .limit(limit)
    )


#: (borrower, host, spool) of those that others have given up on.
BORROWERS_OVERDUE = (
    select(borrowers.c.id, borrowers.c.host, borrowers.c.spool)
    .where(borrowers.c.expires_at == 0)
    .order_by(borrowers.c.id)
)


def wallets_below_zero(limit: int) -> Select[str, int, int]:
    """(wallet, balance, by how much its receipts went over their holds)"""
    over = case((usage.c.credits > usage.c.held, usage.c.credits - usage.c.held), else_=0)
    sum_over = select(_sum(over)).where(usage.c.account_id == accounts.c.id).scalar_subquery()
    return (
        select(accounts.c.id, accounts.c.balance, sum_over)
        .where(accounts.c.kind == "wallet", accounts.c.balance < 0)
        .order_by(accounts.c.id)
        .limit(limit)
    )


def movements_of(account_id: str) -> Select[str, int]:
    """(transfer, micro-dollars in or out) of an account, the oldest first."""
    return (
        select(_movements.c.id, _movements.c.change)
        .where(_movements.c.account == account_id)
        .order_by(_movements.c.created_at, _movements.c.id)
    )


#: Everything that a transfer's hash is made of, and the hash, the oldest first.
TRANSFER_INPUTS = select(
    transfers.c.id,
    transfers.c.kind,
    transfers.c.debit_account,
    transfers.c.credit_account,
    transfers.c.amount,
    transfers.c.request_id,
    transfers.c.note,
    transfers.c.input_hash,
).order_by(transfers.c.created_at, transfers.c.id)

_billed = exists().where(usage.c.request_id == attempts.c.request_id)
_delivered = attempts.c.outcome == "completed"

ODD_ATTEMPTS: tuple[tuple[Select[str], str], ...] = (
    (
        select(attempts.c.request_id).where(_delivered, ~_billed).order_by(attempts.c.at),
        "an upstream answered whole, and nothing was billed",
    ),
    (
        select(usage.c.request_id)
        .where(~exists().where(attempts.c.request_id == usage.c.request_id))
        .order_by(usage.c.at),
        "billed, and no upstream was called",
    ),
    (
        select(attempts.c.request_id)
        .where(or_(attempts.c.cost < 0, attempts.c.ordinal < 0))
        .order_by(attempts.c.at),
        "an attempt has a negative cost or number",
    ),
)

_MONEY: tuple[Column[int], ...] = (
    accounts.c.balance,
    transfers.c.amount,
    usage.c.credits,
    usage.c.held,
    keys.c.spent,
    keys.c.quota,
    keys.c.limit_5h,
    keys.c.limit_1d,
    keys.c.limit_7d,
    attempts.c.cost,
    meter_sums.c.amount,
    leases.c.amount,
    escrows.c.amount,
    escrows.c.posted,
)

#: SQLite: (column, how many rows hold something else than an integer in it).
NOT_INTEGERS: tuple[tuple[str, Select[int]], ...] = tuple(
    (
        f"{column.table.name}.{column.name}",
        select(func.count()).select_from(column.table).where(func.typeof(column) != "integer"),
    )
    for column in _MONEY
)

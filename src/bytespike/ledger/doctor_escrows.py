"""Is what is set aside right? The part of `doctor` that looks at escrows.

Every escrow has one transfer that set its money aside. One that is resolved has one that gave it back, and, if it was posted,
one receipt of what it was billed; one that is not has neither. So the account of held money has what is not resolved.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger.amounts import format_usd
from bytespike.ledger.entries import HELD, hold_key, release_key
from bytespike.ledger.findings import FINDINGS_MAX, Finding
from bytespike.store.media_tables import escrows, tasks
from bytespike.store.members import MEMBER_PREFIX
from bytespike.store.rows import every
from bytespike.store.tables import accounts, transfers, usage

_HELD_IN_ALL = select(cast(func.coalesce(func.sum(escrows.c.amount), 0), BigInteger)).where(
    escrows.c.state == "held"
)
_BALANCE = select(accounts.c.balance).where(accounts.c.id == HELD)

_SET_ASIDE = literal(hold_key(""), Text()) + escrows.c.id
_GAVE_BACK = literal(release_key(""), Text()) + escrows.c.id


def _made_by(
    key: ColumnElement[str], debit: ColumnElement[str], credit: ColumnElement[str]
) -> ColumnElement[bool]:
    """A transfer is the one by which an escrow's money went this way."""
    return and_(
        transfers.c.id == key,
        transfers.c.idempotency_key == key,
        transfers.c.amount == escrows.c.amount,
        transfers.c.debit_account == debit,
        transfers.c.credit_account == credit,
        transfers.c.request_id == escrows.c.request_id,
    )


_held = literal(HELD, Text())
_IS_HOLD = _made_by(_SET_ASIDE, escrows.c.account_id, _held)
_IS_RELEASE = and_(_made_by(_GAVE_BACK, _held, escrows.c.account_id), escrows.c.state != "held")


class _Odd(Struct, frozen=True):
    """`transfer`: the one that breaks the rule, or that should be there."""

    escrow: str
    transfer: str
    amount: int


def _odd(
    escrow: ColumnElement[str],
    transfer: ColumnElement[str],
    amount: ColumnElement[int],
    *where: ColumnElement[bool],
    order: tuple[ColumnElement[int], ColumnElement[str]] = (escrows.c.at, escrows.c.id),
) -> Executable:
    """The first ones of which this is true, as `_Odd`."""
    columns = (escrow.label("escrow"), transfer.label("transfer"), amount.label("amount"))
    return select(*columns).where(*where).order_by(*order).limit(FINDINGS_MAX)


def _strangers(kind: str, made: ColumnElement[bool]) -> Executable:
    """The transfers of a kind that no escrow knows."""
    known = exists().where(escrows.c.id == transfers.c.note, made).correlate(transfers)
    return _odd(
        transfers.c.note,
        transfers.c.id,
        transfers.c.amount,
        transfers.c.kind == kind,
        ~known,
        order=(transfers.c.created_at, transfers.c.id),
    )


def _without(key: ColumnElement[str], made: ColumnElement[bool], *where: ColumnElement[bool]) -> Executable:
    """The escrows that miss a transfer."""
    there = exists().where(made).correlate(escrows)
    return _odd(escrows.c.id, key, escrows.c.amount, *where, ~there)


_billed = exists().where(usage.c.request_id == escrows.c.request_id).correlate(escrows)
_billed_right = (
    exists()
    .where(
        usage.c.request_id == escrows.c.request_id,
        usage.c.credits == escrows.c.posted,
        usage.c.held == escrows.c.amount,
        usage.c.account_id == escrows.c.account_id,
        usage.c.key_id == escrows.c.key_id,
        usage.c.user_id == escrows.c.user_id,
        usage.c.model == escrows.c.model,
    )
    .correlate(escrows)
)
_usage_of = literal("usage:", Text()) + escrows.c.request_id

_ERRORS: tuple[tuple[Executable, Callable[[str], str]], ...] = (
    (
        _strangers("hold", _IS_HOLD),
        lambda usd: f"${usd} was set aside, and no escrow says so",
    ),
    (
        _strangers("release", _IS_RELEASE),
        lambda usd: f"${usd} came back, and no escrow that is resolved says so",
    ),
    (
        _without(_SET_ASIDE, _IS_HOLD),
        lambda usd: f"an escrow of ${usd} for which nothing was set aside",
    ),
    (
        _without(_GAVE_BACK, _IS_RELEASE, escrows.c.state != "held"),
        lambda usd: f"an escrow of ${usd} that is resolved, and nothing came back",
    ),
    (
        _odd(escrows.c.id, _usage_of, escrows.c.posted, escrows.c.state == "posted", ~_billed_right),
        lambda usd: f"posted with ${usd}, and there is no such receipt",
    ),
    (
        _odd(escrows.c.id, _usage_of, escrows.c.amount, escrows.c.state != "posted", _billed),
        lambda usd: f"an escrow of ${usd} that is not posted, and was billed",
    ),
    (
        _odd(escrows.c.id, _SET_ASIDE, escrows.c.posted, escrows.c.state != "posted", escrows.c.posted != 0),
        lambda usd: f"an escrow that is not posted, and yet says ${usd}",
    ),
)

#: What is set aside for a task that is not there, or over: nobody will give it back.
_LEFT_BEHIND = _odd(
    escrows.c.id,
    _SET_ASIDE,
    escrows.c.amount,
    escrows.c.state == "held",
    ~exists().where(tasks.c.id == escrows.c.id, tasks.c.state.in_(("pending", "running"))).correlate(escrows),
)


async def escrow_findings(connection: AsyncConnection) -> list[Finding]:
    """What is wrong, at most `FINDINGS_MAX` of each kind."""
    findings: list[Finding] = []
    for query, message in _ERRORS:
        for odd in await every(connection, query, _Odd):
            said = message(format_usd(odd.amount))
            findings.append(
                Finding("error", "escrows", odd.escrow, said, transfer=odd.transfer, found=odd.amount)
            )
    held = (await connection.execute(_HELD_IN_ALL)).scalar_one()
    balance = (await connection.execute(_BALANCE)).scalar() or 0
    if held != balance:
        message = f"the account has ${format_usd(balance)}, and ${format_usd(held)} are set aside"
        named = (
            next((finding.transfer for finding in findings), None)
            or (await connection.execute(_first_of_held(abs(held - balance)))).scalar()
        )
        findings.append(
            Finding("error", "escrows", HELD, message, transfer=named, expected=held, found=balance)
        )
    for odd in await every(connection, _LEFT_BEHIND, _Odd):
        said = f"${format_usd(odd.amount)} is set aside for a task that is not there, or over"
        findings.append(
            Finding("warning", "escrows", odd.escrow, said, transfer=odd.transfer, found=odd.amount)
        )
    return findings


def _first_of_held(amount: int) -> Select[str]:
    """The first transfer of just this amount from or to the account of held money."""
    return (
        select(transfers.c.id)
        .where(
            or_(transfers.c.debit_account == HELD, transfers.c.credit_account == HELD),
            transfers.c.kind != "usage",
            transfers.c.amount == amount,
        )
        .order_by(transfers.c.created_at, transfers.c.id)
        .limit(1)
    )


def first_hold_of(subject: str, model: str, amount: int) -> Select[str]:
    """The first transfer that set just this amount aside for a key or a member, on one model or ("") any; or what was
    given back of one when it was posted."""
    whose = escrows.c.key_id == subject
    if subject.startswith(MEMBER_PREFIX):
        org_id, _, user_id = subject.removeprefix(MEMBER_PREFIX).partition("/")
        whose = and_(escrows.c.user_id == user_id, escrows.c.org_id == org_id)
    rest = case((escrows.c.state == "held", 0), else_=escrows.c.amount - escrows.c.posted)
    return (
        select(_SET_ASIDE)
        .where(
            whose,
            or_(literal(model, Text()) == "", escrows.c.model == model),
            or_(escrows.c.amount == amount, rest == amount),
        )
        .order_by(escrows.c.at, escrows.c.id)
        .limit(1)
    )

"""The statements of lending, each with what it is for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import (
    BigInteger,
    Delete,
    Dialect,
    Insert,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bytespike.store.tables import accounts, borrowers, leases, users

_ME = bindparam("me", type_=Text())
_CAPS = bindparam("caps", type_=Text(), expanding=True)
_NOW = bindparam("now", type_=BigInteger())

# --- borrowers -----------------------------------------------------------------------------------------------------

#: Every borrower.
BORROWERS = select(
    borrowers.c.id,
    borrowers.c.host,
    borrowers.c.spool,
    borrowers.c.alone,
    borrowers.c.wanted,
    borrowers.c.expires_at,
).order_by(borrowers.c.id)

#: How many borrowers there are.
BORROWERS_COUNTED = select(func.count()).select_from(borrowers)

#: The borrowers that are alone: somebody else wants to borrow too.
WANT_IN = update(borrowers).where(borrowers.c.alone.is_(True), borrowers.c.id != _ME).values(wanted=true())

#: A borrower is overdue, and known to be: it is not alone any more.
OVERDUE = update(borrowers).where(borrowers.c.id == _ME).values(alone=false(), wanted=false(), expires_at=0)

#: A borrower lives; gives (alone, wanted), nothing where its row is gone.
RENEW = (
    update(borrowers)
    .where(borrowers.c.id == _ME)
    .values(expires_at=bindparam("expiry_us", type_=BigInteger()))
    .returning(borrowers.c.alone, borrowers.c.wanted)
)

#: A borrower has gone.
LEAVE = delete(borrowers).where(borrowers.c.id == _ME)


def put_borrower(dialect: Dialect, row: Mapping[str, object]) -> Insert:
    """Make a borrower's row, or make it say this."""
    said = {name: value for name, value in row.items() if name != "id"}
    if dialect.name == "sqlite":
        return sqlite.insert(borrowers).values(row).on_conflict_do_update(index_elements=["id"], set_=said)
    return postgresql.insert(borrowers).values(row).on_conflict_do_update(index_elements=["id"], set_=said)


# --- leases --------------------------------------------------------------------------------------------------------

#: Everybody's leases of the caps `caps` that count at `now`.
LENT = select(leases.c.cap, leases.c.borrower, leases.c.amount, leases.c.recalled, leases.c.version).where(
    leases.c.cap.in_(_CAPS), or_(leases.c.until.is_(None), leases.c.until > _NOW)
)

#: How many leases each borrower has.
LEASES_COUNTED = select(leases.c.borrower, func.count()).group_by(leases.c.borrower)

#: The caps of which somebody wants back what is idle.
RECALLED = select(leases.c.cap).where(leases.c.borrower == _ME, leases.c.recalled.is_(True))

#: Everybody else's leases of the caps `caps` are wanted back.
RECALL = (
    update(leases)
    .where(leases.c.cap.in_(_CAPS), leases.c.borrower != _ME, leases.c.until.is_(None))
    .values(recalled=true())
)

#: Drained: the lease of `of_cap` covers `credits` less.
LESS = (
    update(leases)
    .where(leases.c.borrower == _ME, leases.c.cap == bindparam("of_cap", type_=Text()))
    .values(
        amount=case(
            (
                leases.c.amount > bindparam("credits", type_=BigInteger()),
                leases.c.amount - bindparam("credits", type_=BigInteger()),
            ),
            else_=0,
        )
    )
)

#: What a borrower that has gone had started in its last minute goes on counting until it is over, under another name.
KEEP_STARTS = (
    update(leases)
    .where(leases.c.borrower == _ME, leases.c.cap.like("starts:%"), leases.c.amount > 0)
    .values(
        borrower=bindparam("tomb", type_=Text()),
        until=bindparam("until_us", type_=BigInteger()),
        recalled=false(),
    )
)

#: A borrower's leases are gone.
RETURN_ALL = delete(leases).where(leases.c.borrower == _ME)

#: Its slots alone, when it is late and not known to be dead.
RETURN_SLOTS = delete(leases).where(leases.c.borrower == _ME, leases.c.cap.like("slots:%"))

#: Leases that count no longer.
FORGET_TOMBS = delete(leases).where(and_(leases.c.until.is_not(None), leases.c.until <= _NOW))


def put_leases(dialect: Dialect, borrower: str, amounts: Mapping[str, int], version: int) -> Insert:
    """A borrower's leases of these caps are of these amounts now, and nobody waits for them."""
    rows = [
        {
            "cap": cap,
            "borrower": borrower,
            "amount": amount,
            "recalled": False,
            "version": version,
            "until": None,
        }
        for cap, amount in sorted(amounts.items())
    ]
    if dialect.name == "sqlite":
        lite = sqlite.insert(leases).values(rows)
        said = {"amount": lite.excluded.amount, "recalled": false(), "version": version}
        return lite.on_conflict_do_update(index_elements=["cap", "borrower"], set_=said)
    big = postgresql.insert(leases).values(rows)
    said = {"amount": big.excluded.amount, "recalled": false(), "version": version}
    return big.on_conflict_do_update(index_elements=["cap", "borrower"], set_=said)


def drop_leases(borrower: str, caps: Collection[str]) -> Delete:
    """A borrower has nothing of these caps any more."""
    return delete(leases).where(leases.c.borrower == borrower, leases.c.cap.in_(sorted(caps)))


# --- limits --------------------------------------------------------------------------------------------------------

#: A wallet's balance; nobody drains or lends of it until the transaction ends.
BALANCE_LOCKED = (
    select(accounts.c.balance)
    .where(accounts.c.id == bindparam("id", type_=Text()))
    .with_for_update(key_share=True)
)

#: A user's row, likewise: lending its slots is one thing at a time.
USER_LOCKED = (
    select(users.c.id).where(users.c.id == bindparam("id", type_=Text())).with_for_update(key_share=True)
)

"""Money that people move: top-ups, refunds, credits and debits, one transaction each.

    topup, subscription_renew    system:external  -> wallet    somebody paid
    refund                       system:revenue   -> wallet    what a request cost is given back
    admin_credit                 system:promotion -> wallet    a present
    admin_debit                  wallet -> system:promotion    taken back

A refund gives back no more than requests have cost and earlier refunds have left: presents are credits.

Each writes the transfer, both balances, a row of the change feed (so that running gateways read the wallet again) and a
row of the audit log. Amounts are positive micro-dollars.

An idempotency key makes a retry harmless: the same key with the same kind, wallet, amount and note gives the transfer
that was made the first time; with anything else it is an `IdempotencyConflict`. Without a key every call is a transfer.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bytespike import ids
from bytespike.errors import InsufficientBalance, InvalidRequest, NotFound
from bytespike.ledger import sql
from bytespike.ledger.amounts import AMOUNT_MAX, format_usd
from bytespike.ledger.entries import (
    EXTERNAL,
    HELD,
    PROMOTION,
    REVENUE,
    SYSTEM_ACCOUNTS,
    WALLET_KIND,
    Kind,
    input_hash,
    is_wallet,
)
from bytespike.ledger.escrow_sql import HELD_OF
from bytespike.ledger.invalid_amount import InvalidAmount
from bytespike.ledger.low_balance import Change, tell
from bytespike.ledger.statements import credits_of, debits_of
from bytespike.store import audit, changes
from bytespike.store.engine import reading
from bytespike.store.tables import accounts, transfers

NOTE_CHARS_MAX = 500
IDEMPOTENCY_KEY_CHARS_MAX = 200
#: Keys that callers choose must not meet those of usage.
_CHOSEN_PREFIX = "chosen:"


class IdempotencyConflict(InvalidRequest):
    """The idempotency key was used for another transfer."""


class RefundTooLarge(InvalidRequest):
    """More is to be given back than requests have cost, less what was given back before."""


class Transfer(Struct, frozen=True):
    """What was done. `amount` micro-dollars, positive; `balance`: the wallet's after it. `repeated`: it had been done
    before, and nothing was done now."""

    id: str
    kind: str
    account_id: str
    amount: int
    note: str
    created_at: int
    balance: int
    repeated: bool


# --- accounts ------------------------------------------------------------------------------------------------------


async def ensure_account(connection: AsyncConnection, account_id: str, now_us: int) -> None:
    """Make the wallet `account_id`, empty, if it is not there, and the system's accounts. In the caller's transaction.

    Raises: InvalidRequest (not a wallet).
    """
    _check_wallet(account_id)
    found = [(account_id, WALLET_KIND), *SYSTEM_ACCOUNTS]
    await connection.execute(sql.add_accounts_missing(connection.dialect, found, now_us))


async def balance(engine: AsyncEngine, account_id: str) -> int:
    """What the books have for an account, micro-dollars. A running gateway may have spent more. Raises: NotFound."""
    async with reading(engine) as connection:
        found = (await connection.execute(sql.BALANCE, {"id": account_id})).scalar()
    if found is None:
        raise NotFound(f"there is no account {account_id}")
    return found


# --- the transfers -------------------------------------------------------------------------------------------------


async def topup(
    engine: AsyncEngine,
    account_id: str,
    amount: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    idempotency_key: str | None = None,
) -> Transfer:
    """Somebody paid. Raises: InvalidRequest, NotFound (no such wallet), IdempotencyConflict."""
    return await _transfer(engine, "topup", account_id, amount, actor, now_us, note, idempotency_key)


async def refund(
    engine: AsyncEngine,
    account_id: str,
    amount: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    idempotency_key: str | None = None,
) -> Transfer:
    """What a request cost is given back. Raises: RefundTooLarge, InvalidRequest, NotFound, IdempotencyConflict."""
    return await _transfer(engine, "refund", account_id, amount, actor, now_us, note, idempotency_key)


async def admin_credit(
    engine: AsyncEngine,
    account_id: str,
    amount: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    idempotency_key: str | None = None,
) -> Transfer:
    """A present. Raises: InvalidRequest, NotFound, IdempotencyConflict."""
    return await _transfer(engine, "admin_credit", account_id, amount, actor, now_us, note, idempotency_key)


async def admin_debit(
    engine: AsyncEngine,
    account_id: str,
    amount: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    idempotency_key: str | None = None,
    low_balance: int = 0,
) -> Transfer:
    """Taken back, as far as the books have it. `low_balance`: as in `Ledger`. Raises: InvalidRequest, NotFound,
    InsufficientBalance, IdempotencyConflict."""
    return await _transfer(
        engine, "admin_debit", account_id, amount, actor, now_us, note, idempotency_key, low_balance
    )


async def subscription_renew(
    engine: AsyncEngine,
    account_id: str,
    amount: int,
    *,
    actor: str,
    now_us: int,
    note: str = "",
    idempotency_key: str | None = None,
) -> Transfer:
    """A paid period's credit. Raises: InvalidRequest, NotFound, IdempotencyConflict."""
    return await _transfer(
        engine, "subscription_renew", account_id, amount, actor, now_us, note, idempotency_key
    )


async def _transfer(
    engine: AsyncEngine,
    kind: Kind,
    account_id: str,
    amount: int,
    actor: str,
    now_us: int,
    note: str,
    idempotency_key: str | None,
    low_balance: int = 0,
) -> Transfer:
    _check_wallet(account_id)
    _check_amount(amount)
    _check_text(note, idempotency_key)
    debit, credit = _sides(kind, account_id)
    key = f"{kind}:{ids.ulid()}" if idempotency_key is None else _CHOSEN_PREFIX + idempotency_key
    row = {
        "id": "tr_" + ids.ulid(),
        "debit_account": debit,
        "credit_account": credit,
        "amount": amount,
        "kind": kind,
        "idempotency_key": key,
        "input_hash": input_hash(kind, debit, credit, amount, "", note),
        "request_id": None,
        "note": note,
        "created_at": now_us,
    }
    async with engine.begin() as connection:
        await changes.in_turn(connection)
        await connection.execute(sql.add_accounts_missing(engine.dialect, SYSTEM_ACCOUNTS, now_us))
        # Both rows in one order, so that two writers cannot wait for each other.
        locked = await connection.execute(sql.BALANCES_LOCKED, {"ids": [debit, credit]})
        found = {id: (balance, threshold) for id, balance, threshold in locked}.get(account_id)
        if found is None:
            raise NotFound(f"there is no account {account_id}")
        before, threshold = found
        if not await _inserted(connection, row):
            return await _repeated(connection, key, str(row["input_hash"]), account_id, before)
        after = before + (amount if credit == account_id else -amount)
        if after < 0 and debit == account_id:
            raise InsufficientBalance(
                f"the wallet has ${format_usd(before)}, less than the ${format_usd(amount)} to be taken from it"
            )
        if kind == "refund":
            await _check_refund(connection, account_id, amount, before)
        await _add(connection, debit, -amount)
        await _add(connection, credit, amount)
        await tell(connection, [Change(account_id, before, after, threshold)], low_balance, now_us)
        await changes.announce(connection, "wallet", account_id, now_us)
        await audit.record(
            connection,
            at=now_us,
            actor=actor,
            action=f"wallet.{kind}",
            target=account_id,
            detail={"transfer": str(row["id"]), "amount": amount, "note": note},
        )
    return Transfer(str(row["id"]), kind, account_id, amount, note, now_us, after, repeated=False)


def _sides(kind: Kind, wallet: str) -> tuple[str, str]:
    """The accounts that a transfer of this kind debits and credits."""
    match kind:
        case "topup" | "subscription_renew":
            return EXTERNAL, wallet
        case "refund":
            return REVENUE, wallet
        case "admin_credit":
            return PROMOTION, wallet
        case "admin_debit":
            return wallet, PROMOTION
        case "usage":
            return wallet, REVENUE
        case "hold":
            return wallet, HELD
        case "release":
            return HELD, wallet


async def _check_refund(connection: AsyncConnection, wallet: str, amount: int, balance: int) -> None:
    """`balance`: before the refund, whose row is in place already. Raises: RefundTooLarge.

    What requests cost is not added up, for there may be millions: it is what people put in, less what they took out
    again, less what is set aside for tasks, less what is left. The wallet's row is locked, so no receipt comes in between.
    """
    into, out = credits_of(wallet), debits_of(wallet, frozenset({"admin_debit"}))
    people = [
        select(transfers.c.kind, func.sum(transfers.c.amount)).where(*side).group_by(transfers.c.kind)
        for side in (into, out)
    ]
    sums = {kind: int(found) for query in people for kind, found in await connection.execute(query)}
    refunded = sums.pop("refund", 0)
    taken = sums.pop("admin_debit", 0)
    sums.pop("release", None)
    held = (await connection.execute(HELD_OF, {"account_id": wallet})).scalar_one()
    # `refunded` has the new one in it, the balance has not: what is left for it, and for those before it, is the same.
    left = sum(sums.values()) - taken - held - balance
    if amount > left:
        before = refunded - amount
        raise RefundTooLarge(
            f"requests have cost this wallet ${format_usd(left + before)}, and ${format_usd(before)} of it was given "
            f"back: ${format_usd(left)} can be refunded. To give more away, use a credit",
            param="amount",
        )


async def _inserted(connection: AsyncConnection, row: Mapping[str, object]) -> bool:
    """Insert the transfer; False if its idempotency key is there already."""
    if connection.dialect.name == "sqlite":
        statement = (
            sqlite.insert(transfers).values(row).on_conflict_do_nothing(index_elements=["idempotency_key"])
        )
    else:
        statement = (
            postgresql.insert(transfers)
            .values(row)
            .on_conflict_do_nothing(index_elements=["idempotency_key"])
        )
    return (await connection.execute(statement.returning(transfers.c.id))).scalar() is not None


async def _repeated(
    connection: AsyncConnection, key: str, hash: str, account_id: str, balance: int
) -> Transfer:
    found = (
        await connection.execute(
            select(
                transfers.c.id,
                transfers.c.kind,
                transfers.c.amount,
                transfers.c.note,
                transfers.c.created_at,
                transfers.c.input_hash,
            ).where(transfers.c.idempotency_key == key)
        )
    ).one()
    if found.input_hash != hash:
        raise IdempotencyConflict(
            "this idempotency key was used for a transfer with other inputs", param="idempotency_key"
        )
    return Transfer(
        found.id, found.kind, account_id, found.amount, found.note, found.created_at, balance, repeated=True
    )


async def _add(connection: AsyncConnection, account_id: str, amount: int) -> None:
    await connection.execute(
        update(accounts).where(accounts.c.id == account_id).values(balance=accounts.c.balance + amount)
    )


# --- checks --------------------------------------------------------------------------------------------------------


def _check_wallet(account_id: str) -> None:
    if not is_wallet(account_id):
        raise InvalidRequest(f"{account_id!r} is not a wallet", param="account_id")


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 0 < amount <= AMOUNT_MAX:
        raise InvalidAmount("the amount must be more than 0 and at most 1,000,000,000 USD", param="amount")


def _check_text(note: str, idempotency_key: str | None) -> None:
    if len(note) > NOTE_CHARS_MAX:
        raise InvalidRequest(f"the note has more than {NOTE_CHARS_MAX} characters", param="note")
    if idempotency_key is not None and not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_CHARS_MAX:
        raise InvalidRequest(
            f"the idempotency key must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters",
            param="idempotency_key",
        )

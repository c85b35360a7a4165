"""The ledger's statements, each with its name and what it is for. They run on SQLite and on PostgreSQL.

Two kinds. The few that read are SQLAlchemy Core and executed as such. Those that the drain runs all the time write many
rows with one statement, are compiled once, and take a flat tuple of values. Why: a driver that writes row by row gives
the interpreter's lock away and fetches it back for each of them, and beside a busy event loop each fetch takes
milliseconds; one statement for many rows does its work in one go, in C, on the other core. Statements are made for
powers of two rows, so that few are needed and every one stays prepared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from sqlalchemy import (
    BigInteger,
    Dialect,
    Table,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    update,
    values,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Delete, Insert, Update

from bytespike.ledger.escrow_sql import spending
from bytespike.ledger.rows import Row, Value
from bytespike.store.tables import accounts, attempts, keys, members, meter_sums, meters, transfers, usage

#: Rows of one statement, at most: the interpreter stands still while their values are handed over. SQLite takes 32,766
#: variables, PostgreSQL 32,767 (a usage row has 33).
ROWS_MAX = 256
#: The same where a statement compares every row with every other.
PAIRS_MAX = 128

Name: TypeAlias = Literal[
    "add_usage", "add_transfers", "add_attempts", "add_to_balances", "add_to_spent", "add_to_sums"
]

# --- written many at once ----------------------------------------------------------------------------------------------


def _add_row(table: Table, dialect: Dialect, *, unless_there: bool = False) -> Insert:
    row = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    if not unless_there:
        return insert(table).values([row])
    if dialect.name == "sqlite":
        return sqlite.insert(table).values([row]).on_conflict_do_nothing()
    return postgresql.insert(table).values([row]).on_conflict_do_nothing()


def _add_to(table: Table, name: str) -> Update:
    pair = (bindparam("id", type_=Text()), bindparam("amount", type_=BigInteger()))
    deltas = (
        values(column("id", Text), column("amount", BigInteger), name="deltas").data([pair]).cte("deltas")
    )
    delta = select(deltas.c.amount).where(deltas.c.id == table.c.id).scalar_subquery()
    return update(table).where(table.c.id.in_(select(deltas.c.id))).values({name: table.c[name] + delta})


def _add_to_sums(dialect: Dialect) -> Insert:
    row = {column.name: bindparam(column.name, type_=column.type) for column in meter_sums.columns}
    key = [meter_sums.c.meter_id, meter_sums.c.bucket]
    if dialect.name == "sqlite":
        lite = sqlite.insert(meter_sums).values([row])
        return lite.on_conflict_do_update(
            index_elements=key, set_={"amount": meter_sums.c.amount + lite.excluded.amount}
        )
    big = postgresql.insert(meter_sums).values([row])
    return big.on_conflict_do_update(
        index_elements=key, set_={"amount": meter_sums.c.amount + big.excluded.amount}
    )


def _statement(name: Name, dialect: Dialect) -> Insert | Update:
    """For one row, with one list of values in it."""
    match name:
        case "add_usage":  # receipts; a request id that is there already is an error
            return _add_row(usage, dialect)
        case "add_transfers":  # what they cost; likewise
            return _add_row(transfers, dialect)
        case "add_attempts":  # upstream calls; those that are there already stay as they are
            return _add_row(attempts, dialect, unless_there=True)
        case "add_to_balances":  # (account, micro-dollars) pairs
            return _add_to(accounts, "balance")
        case "add_to_spent":  # (key, micro-dollars) pairs
            return _add_to(keys, "spent")
        case "add_to_sums":  # (meter, bucket, micro-dollars), each meter and bucket once
            return _add_to_sums(dialect)


_VALUES = re.compile(r"(.*\bVALUES )(\([^()]*\))(.*)", re.DOTALL)
_NUMBERED = re.compile(r"\$(\d+)")


def many_rows(sql: str, rows: int) -> str:
    """A statement for one list of values, as one for many: SQLAlchemy would take a second to write the longest."""
    match = _VALUES.fullmatch(sql)
    assert match is not None, f"no single list of values in {sql!r}"
    head, row, tail = match.groups()
    width = row.count("?") or len(_NUMBERED.findall(row))
    every = [_NUMBERED.sub(lambda found, n=n: f"${int(found[1]) + n * width}", row) for n in range(rows)]
    return head + ", ".join(every) + tail


class ManyRows:
    """The statements that write many rows, for one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[tuple[Name, int], str] = {}

    async def write(
        self, connection: AsyncConnection, name: Name, rows: Sequence[Row], rows_max: int = ROWS_MAX
    ) -> None:
        """Run a statement over all rows, in as few pieces as powers of two allow. Raises what the driver raises."""
        start = 0
        while start < len(rows):
            size = min(rows_max, 1 << ((len(rows) - start).bit_length() - 1))
            flat: list[Value] = []
            for row in rows[start : start + size]:
                flat += row
            await connection.exec_driver_sql(self._sql(name, size), tuple(flat))
            start += size

    def _sql(self, name: Name, rows: int) -> str:
        sql = self._compiled.get((name, rows))
        if sql is None:
            one = str(_statement(name, self._dialect).compile(dialect=self._dialect))
            sql = self._compiled[name, rows] = many_rows(one, rows)
        return sql


# --- read by the drain -------------------------------------------------------------------------------------------------

_IDS = bindparam("ids", type_=Text(), expanding=True)

#: Of the idempotency keys `ids`, those that are in the books already, and the hash of their inputs.
TRANSFERS_KNOWN = select(transfers.c.idempotency_key, transfers.c.input_hash).where(
    transfers.c.idempotency_key.in_(_IDS)
)

#: (account, balance, low-balance threshold) of the accounts `ids`, which are about to change. Always in the same order, so that two nodes cannot wait for
#: each other (SQLite has one writer and ignores the lock).
BALANCES_LOCKED = (
    select(accounts.c.id, accounts.c.balance, accounts.c.low_balance)
    .where(accounts.c.id.in_(_IDS))
    .order_by(accounts.c.id)
    .with_for_update(key_share=True)
)

#: Lifetime spend of the keys `ids`, likewise. A key that was deleted is missing.
SPENT_LOCKED = (
    select(keys.c.id, keys.c.spent)
    .where(keys.c.id.in_(_IDS))
    .order_by(keys.c.id)
    .with_for_update(key_share=True)
)

#: The members `ids`, likewise. Somebody who is no member any more is missing.
MEMBERS_LOCKED = (
    select(members.c.id).where(members.c.id.in_(_IDS)).order_by(members.c.id).with_for_update(key_share=True)
)

#: (meter, key, model, microseconds of its buckets) of the meters of the keys and members `ids`, which are locked.
METERS_OF = select(meters.c.id, meters.c.key_id, meters.c.model, meters.c.span_us, meters.c.bucket_us).where(
    meters.c.key_id.in_(_IDS)
)


# --- read when a key's account is opened ---------------------------------------------------------------------------------

_ID = bindparam("id", type_=Text())

#: The balance of the account `id`.
BALANCE = select(accounts.c.balance).where(accounts.c.id == _ID)

#: The lifetime spend of the key `id`.
SPENT = select(keys.c.spent).where(keys.c.id == _ID)

#: (meter, bucket, micro-dollars) of the meters `ids`; of one that has no sums yet a row with neither.
METER_SUMS = (
    select(meters.c.id, meter_sums.c.bucket, meter_sums.c.amount)
    .select_from(meters.outerjoin(meter_sums, meter_sums.c.meter_id == meters.c.id))
    .where(meters.c.id.in_(_IDS))
)

#: The key `id`, so that nobody drains or lends of it until the transaction ends.
KEY_LOCKED = select(keys.c.spent).where(keys.c.id == _ID).with_for_update(key_share=True)


def begin_meter(dialect: Dialect, id: str, key_id: str, model: str, span_us: int, bucket_us: int) -> Insert:
    """Make a meter if it is not there. Gives its id if it was made."""
    row = {"id": id, "key_id": key_id, "model": model, "span_us": span_us, "bucket_us": bucket_us}
    if dialect.name == "sqlite":
        return sqlite.insert(meters).values(row).on_conflict_do_nothing().returning(meters.c.id)
    return postgresql.insert(meters).values(row).on_conflict_do_nothing().returning(meters.c.id)


def fill_meter(id: str, key_id: str, model: str, bucket_us: int, since_us: int) -> Insert:
    """Give a new meter what the usage rows and escrows from `since_us` on say."""
    spent = spending(key_id, model, since_us).subquery("spent")
    bucket = spent.c.at // bucket_us if bucket_us else literal(0, BigInteger)
    sums = select(literal(id), bucket, cast(func.sum(spent.c.credits), BigInteger)).select_from(spent)
    if bucket_us:
        sums = sums.group_by(bucket)
    else:
        sums = sums.having(func.count() > 0)
    return insert(meter_sums).from_select(["meter_id", "bucket", "amount"], sums)


def forget_sums(before_us: int) -> Delete:
    """Drop the sums of buckets that had left their windows before a time."""
    left = (
        select(meters.c.id)
        .where(
            meters.c.id == meter_sums.c.meter_id,
            meters.c.span_us > 0,
            (meter_sums.c.bucket + 1) * meters.c.bucket_us + meters.c.span_us < before_us,
        )
        .exists()
    )
    return delete(meter_sums).where(left)


# --- accounts ----------------------------------------------------------------------------------------------------------


def add_accounts_missing(dialect: Dialect, found: Iterable[tuple[str, str]], now_us: int) -> Insert:
    """Make accounts, (id, kind) each, that are not there yet, with nothing in them."""
    rows = [{"id": id, "kind": kind, "balance": 0, "created_at": now_us} for id, kind in found]
    if dialect.name == "sqlite":
        return sqlite.insert(accounts).values(rows).on_conflict_do_nothing()
    return postgresql.insert(accounts).values(rows).on_conflict_do_nothing()

"""An account's statement: its transfers, the newest first, in pages or whole.

Each side of an account is read by its own index, so a page costs no more for an account with a long history. Counts stop
at `COUNT_MAX`: counting millions of entries takes longer than anybody waits for a page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import TypeAlias, cast, get_args

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    TextClause,
    and_,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from bytespike.ledger.entries import PROMOTION, Kind, is_wallet
from bytespike.store.engine import reading
from bytespike.store.rows import every
from bytespike.store.tables import transfers

#: Entries of one page, and those that are counted.
PAGE_MAX = 1_000
COUNT_MAX = 100_000
#: Entries of a whole statement that are read at once.
PIECE_ENTRIES = 200

KINDS: frozenset[Kind] = frozenset(cast("tuple[Kind, ...]", get_args(Kind)))
#: As the index of credits has it, word by word.
_NOT_USAGE = text("kind <> 'usage'")
#: As that of holds has it.
_HOLD = text("kind = 'hold'")
Condition: TypeAlias = "ColumnElement[bool] | TextClause"


class Entry(Struct, frozen=True):
    """A line of a statement. `amount` micro-dollars, negative where money left the account. `other`: the account on the
    other side. `created_at` Unix microseconds."""

    id: str
    kind: str
    amount: int
    other: str
    request_id: str | None
    note: str
    created_at: int


class EntryFilter(Struct, frozen=True):
    """All that are set must hold. `since` (included) and `until` (excluded): Unix microseconds."""

    account_id: str
    kinds: frozenset[Kind] = KINDS
    since: int | None = None
    until: int | None = None


class Statement(Struct, frozen=True):
    """`total`: how many entries match; at least so many where `total_is_exact` is false."""

    items: tuple[Entry, ...]
    total: int
    total_is_exact: bool


class _Side(Struct, frozen=True):
    """One of an account's two sides: which transfers, who is on the other one, which way the money goes."""

    mine: ColumnElement[bool]
    other: ColumnElement[str]
    sign: int


async def statement(
    engine: AsyncEngine, wanted: EntryFilter, *, limit: int = 50, offset: int = 0
) -> Statement:
    """A page of entries, the newest first."""
    sides = _sides(wanted)
    if not sides:
        return Statement((), 0, total_is_exact=True)
    page = _newest(sides, min(limit, PAGE_MAX), offset)
    total = 0
    async with reading(engine) as connection:
        for side in sides:
            some = select(literal(1)).select_from(transfers).where(side.mine).limit(COUNT_MAX + 1).subquery()
            total += (await connection.execute(select(func.count()).select_from(some))).scalar_one()
        items = await every(connection, page, Entry)
    return Statement(tuple(items), min(total, COUNT_MAX), total <= COUNT_MAX)


async def whole(engine: AsyncEngine, wanted: EntryFilter) -> AsyncGenerator[list[Entry]]:
    """Every entry, the newest first, in pieces. The database is not held between them."""
    last: Entry | None = None
    while sides := _sides(wanted, last):
        async with reading(engine) as connection:
            piece = await every(connection, _newest(sides, PIECE_ENTRIES, 0), Entry)
        if piece:
            yield piece
        if len(piece) < PIECE_ENTRIES:
            return
        last = piece[-1]


def _newest(sides: Iterable[_Side], limit: int, offset: int) -> Select[*tuple[object, ...]]:
    both = union_all(*(select(_page(side, limit + offset)) for side in sides)).subquery()
    return select(both).order_by(both.c.created_at.desc(), both.c.id.desc()).limit(limit).offset(offset)


def _page(side: _Side, limit: int) -> Subquery:
    return (
        select(
            transfers.c.id,
            transfers.c.kind,
            (transfers.c.amount * side.sign).label("amount"),
            side.other.label("other"),
            transfers.c.request_id,
            transfers.c.note,
            transfers.c.created_at,
        )
        .where(side.mine)
        .order_by(transfers.c.created_at.desc(), transfers.c.id.desc())
        .limit(limit)
        .subquery()
    )


def _sides(wanted: EntryFilter, before: Entry | None = None) -> list[_Side]:
    """The sides that can have what is wanted; `before`: only entries that come after this one in the list."""
    account, kinds = wanted.account_id, wanted.kinds
    more: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        more.append(transfers.c.created_at >= wanted.since)
    if wanted.until is not None:
        more.append(transfers.c.created_at < wanted.until)
    if before is not None:
        place = tuple_(transfers.c.created_at, transfers.c.id)
        # Said of the time alone too, which is what the index is asked by.
        more += [transfers.c.created_at <= before.created_at, place < (before.created_at, before.id)]
    if kinds != KINDS:
        more.append(transfers.c.kind.in_(sorted(kinds)))
    sides: list[_Side] = []
    if debits := debits_of(account, kinds):
        sides.append(_Side(and_(*debits, *more), transfers.c.credit_account, -1))
    if holds := _holds_of(account, kinds):
        sides.append(_Side(and_(*holds, *more), transfers.c.credit_account, -1))
    if credits := credits_of(account, kinds):
        sides.append(_Side(and_(*credits, *more), transfers.c.debit_account, 1))
    return sides


def debits_of(account_id: str, kinds: frozenset[Kind] = KINDS) -> list[Condition]:
    """What was taken from an account, as the index on one of the sides has it; nothing: no such kind takes from it."""
    mine = transfers.c.debit_account == account_id
    if "usage" in kinds or not is_wallet(account_id):
        return [mine]
    if "admin_debit" not in kinds:
        return []
    # A wallet's requests may be millions; what people take from it is few, and goes to one account. As an expression its
    # own name is in no index: else it would be looked up among those millions.
    return [transfers.c.credit_account == PROMOTION, transfers.c.debit_account + "" == account_id, _NOT_USAGE]


def _holds_of(account_id: str, kinds: frozenset[Kind]) -> list[Condition]:
    """What was set aside from a wallet, likewise, where `debits_of` has it not."""
    if "hold" not in kinds or "usage" in kinds or not is_wallet(account_id):
        return []
    return [transfers.c.debit_account == account_id, _HOLD]


def credits_of(account_id: str, kinds: frozenset[Kind] = KINDS) -> list[Condition]:
    """What was added to an account, likewise. Usage is never credited to a wallet, and the index leaves it out."""
    mine = transfers.c.credit_account == account_id
    if not is_wallet(account_id):
        return [mine]
    return [mine, _NOT_USAGE] if kinds - {"usage", "admin_debit", "hold"} else []

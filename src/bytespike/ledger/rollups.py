"""What usage rows add up to, by hour and by day, kept as the rows are written: so that a sum over a quarter of a year
costs the same whether it is of ten thousand requests or of ten million.

A rollup is one user's use of one model by one key through one protocol, in one hour and again in one day (UTC). The
drain adds each batch in the transaction that writes its usage rows: per distinct rollup one upsert, and nothing per
request. So a rollup is at every moment what the rows come to, which `doctor` checks (`wrong_rollups`).

Reading combines both. A time is covered by whole days as far as it goes and by hours at its ends; each piece is read in
the order of the primary key, and the few pieces are added up here. So a time may begin and end at any full hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    Select,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert

from bytespike.errors import InvalidRequest
from bytespike.ledger.additions import DAY_US, SUMMED, to_rollups
from bytespike.ledger.records import Receipt
from bytespike.ledger.rows import Value
from bytespike.ledger.sql import ROWS_MAX, many_rows
from bytespike.ledger.windows import HOUR_US
from bytespike.store.engine import reading
from bytespike.store.tables import rollups, usage

#: Both spans of which sums are kept, microseconds.
SPANS_US = (HOUR_US, DAY_US)
#: The longest time that is added up at once.
DAYS_MAX = 90
#: Groups of one answer.
GROUPS_MAX = 10_000

Grouping: TypeAlias = Literal["hour", "day", "model", "api_key", "protocol"]

_DIMENSIONS: dict[str, ColumnElement[str]] = {
    "model": rollups.c.model,
    "api_key": rollups.c.key_id,
    "protocol": rollups.c.protocol,
}
_KEY = [column for column in rollups.columns if column.primary_key]


class Sums(NamedTuple):
    """What some requests come to: tokens, uses, images, seconds of video, and micro-dollars for `credits`."""

    requests: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    web_searches: int = 0
    credits: int = 0
    images: int = 0
    seconds: int = 0


class Group(NamedTuple):
    """What was not grouped by is None. `start`: Unix microseconds at which the hour or the day (UTC) begins."""

    start: int | None
    model: str | None
    api_key: str | None
    protocol: str | None
    sums: Sums


class Wanted(NamedTuple):
    """All that are set must hold. `since` (included) and `until` (excluded): Unix microseconds of full hours."""

    user_id: str
    since: int
    until: int
    model: str | None = None
    key_id: str | None = None
    protocol: str | None = None


# --- written by the drain ----------------------------------------------------------------------------------------------


class Rollups:
    """Adds to the rollups of one database."""

    __slots__ = ("_compiled", "_dialect")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._compiled: dict[int, str] = {}

    async def add(self, connection: AsyncConnection, receipts: Iterable[Receipt]) -> None:
        """Add receipts that are new to the books, in the transaction that writes their usage rows."""
        rows = to_rollups(receipts)
        start = 0
        while start < len(rows):
            # Powers of two, as all of the drain's statements, so that few are prepared.
            size = min(ROWS_MAX, 1 << ((len(rows) - start).bit_length() - 1))
            flat: list[Value] = []
            for row in rows[start : start + size]:
                flat += row
            await connection.exec_driver_sql(self._sql(size), tuple(flat))
            start += size

    def _sql(self, rows: int) -> str:
        found = self._compiled.get(rows)
        if found is None:
            one = str(_upsert(self._dialect).compile(dialect=self._dialect))
            found = self._compiled[rows] = many_rows(one, rows)
        return found


def _upsert(dialect: Dialect) -> Insert:
    row = {column.name: bindparam(column.name, type_=column.type) for column in rollups.columns}
    if dialect.name == "sqlite":
        lite = sqlite.insert(rollups).values([row])
        return lite.on_conflict_do_update(
            index_elements=_KEY, set_={name: rollups.c[name] + lite.excluded[name] for name in SUMMED}
        )
    big = postgresql.insert(rollups).values([row])
    return big.on_conflict_do_update(
        index_elements=_KEY, set_={name: rollups.c[name] + big.excluded[name] for name in SUMMED}
    )


# --- read --------------------------------------------------------------------------------------------------------------


async def summed(engine: AsyncEngine, wanted: Wanted, group_by: Sequence[Grouping] = ()) -> list[Group]:
    """What the requests of a time add up to, by group, the groups in order; groups of nothing are left out.

    Raises: InvalidRequest (both hour and day, a time that is empty or too long, more than `GROUPS_MAX` groups).
    """
    times = [name for name in group_by if name in ("hour", "day")]
    if len(times) > 1:
        raise InvalidRequest("group by hour or by day, not by both", param="group_by")
    if not wanted.since < wanted.until:
        raise InvalidRequest("until must be after since", param="until")
    if wanted.until - wanted.since > DAYS_MAX * DAY_US + HOUR_US:
        raise InvalidRequest(f"at most {DAYS_MAX} days are added up at once", param="since")
    by = [name for name in _DIMENSIONS if name in group_by]
    bucket_us = {"hour": HOUR_US, "day": DAY_US}[times[0]] if times else 0
    found: dict[tuple[int | str, ...], Sums] = {}
    async with reading(engine) as connection:
        for span_us, since, until in pieces(wanted.since, wanted.until, by_hour=bucket_us == HOUR_US):
            query = _piece(wanted, span_us, since, until, bucket_us, by)
            for row in await connection.execute(query):
                key, sums = tuple(row[: -len(SUMMED)]), Sums._make(map(int, row[-len(SUMMED) :]))
                before = found.get(key)
                found[key] = sums if before is None else _plus(before, sums)
            if len(found) > GROUPS_MAX:
                raise InvalidRequest(
                    f"more than {GROUPS_MAX} groups: ask for a shorter time, or for fewer groupings",
                    param="group_by",
                )
    names = (["start"] if times else []) + by
    return [_group(dict(zip(names, key, strict=True)), found[key]) for key in sorted(found)]


async def counted(connection: AsyncConnection, wanted: Wanted) -> list[tuple[int, int, int]]:
    """(start, end, requests) of the days, or hours at the ends, in which there are any; the newest first."""
    found: list[tuple[int, int, int]] = []
    for span_us, since, until in pieces(wanted.since, wanted.until, by_hour=False):
        query = (
            select(rollups.c.start, _sum(rollups.c.requests))
            .where(*_conditions(wanted, span_us, since, until))
            .group_by(rollups.c.start)
        )
        found += [(start, start + span_us, requests) for start, requests in await connection.execute(query)]
    return sorted(found, reverse=True)


def total(groups: Iterable[Group]) -> Sums:
    """What groups come to together."""
    sums = Sums()
    for group in groups:
        sums = _plus(sums, group.sums)
    return sums


def _plus(left: Sums, right: Sums) -> Sums:
    return Sums._make(map(add, left, right))


def pieces(since: int, until: int, *, by_hour: bool) -> list[tuple[int, int, int]]:
    """(span, since, until) of the rollups that cover a time just once: whole days, and hours before and after."""
    first, last = -(-since // DAY_US) * DAY_US, until // DAY_US * DAY_US
    if by_hour or first >= last:
        return [(HOUR_US, since, until)]
    found = [(HOUR_US, since, first), (DAY_US, first, last), (HOUR_US, last, until)]
    return [piece for piece in found if piece[1] < piece[2]]


def _piece(
    wanted: Wanted, span_us: int, since: int, until: int, bucket_us: int, by: Sequence[str]
) -> Select[*tuple[int | str, ...]]:
    start = rollups.c.start if bucket_us in (0, span_us) else rollups.c.start // bucket_us * bucket_us
    groups = [*([start] if bucket_us else []), *(_DIMENSIONS[name] for name in by)]
    sums = [_sum(rollups.c[name]).label(name) for name in SUMMED]
    where = _conditions(wanted, span_us, since, until)
    query = select(*groups, *sums).where(*where).limit(GROUPS_MAX + 1)
    # Without groups there would be a row of zeros for nothing.
    return query.group_by(*groups) if groups else query.having(func.count() > 0)


def _conditions(wanted: Wanted, span_us: int, since: int, until: int) -> list[ColumnElement[bool]]:
    where = [
        rollups.c.user_id == wanted.user_id,
        rollups.c.span_us == span_us,
        rollups.c.start >= since,
        rollups.c.start < until,
    ]
    where += [
        column == value
        for column, value in (
            (rollups.c.model, wanted.model),
            (rollups.c.key_id, wanted.key_id),
            (rollups.c.protocol, wanted.protocol),
        )
        if value is not None
    ]
    return where


def _group(key: dict[str, int | str], sums: Sums) -> Group:
    start = key.get("start")
    model, api_key, protocol = (key.get(name) for name in _DIMENSIONS)
    return Group(
        None if start is None else int(start),
        None if model is None else str(model),
        None if api_key is None else str(api_key),
        None if protocol is None else str(protocol),
        sums,
    )


# --- checked -----------------------------------------------------------------------------------------------------------


def of_rows(span_us: int) -> Select[*tuple[int | str, ...]]:
    """The rollups of a span as the usage rows say they must be, in the order of the table's columns."""
    start = usage.c.at // span_us * span_us
    key = (usage.c.user_id, start, usage.c.model, usage.c.key_id, usage.c.protocol)
    sums = [_sum(usage.c[name]) for name in SUMMED[1:]]
    user_id, *rest = key
    return select(
        user_id.label("user_id"),
        literal(span_us, BigInteger).label("span_us"),
        *(column.label(name.name) for column, name in zip(rest, _KEY[2:], strict=True)),
        cast(func.count(), BigInteger).label("requests"),
        *(column.label(name) for column, name in zip(sums, SUMMED[1:], strict=True)),
    ).group_by(*key)


def wrong_rollups(limit: int) -> Select[str, int, int, str, str, int, int]:
    """(user, microseconds of the span, its start, model, key, and by how many micro-dollars and requests the rollup is
    too low) where rollups and rows differ in any figure."""
    both = union_all(
        *(select(of_rows(span_us).subquery()) for span_us in SPANS_US),
        select(*_KEY, *((-rollups.c[name]).label(name) for name in SUMMED)),
    ).subquery("differences")
    key = [both.c[column.name] for column in _KEY]
    user_id, span_us, start, model, key_id, _ = key
    return (
        select(user_id, span_us, start, model, key_id, _sum(both.c.credits), _sum(both.c.requests))
        .group_by(*key)
        .having(or_(*(_sum(both.c[name]) != 0 for name in SUMMED)))
        .order_by(*key)
        .limit(limit)
    )


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """PostgreSQL adds BIGINTs up to a NUMERIC; we keep integers."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)

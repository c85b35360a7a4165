"""What keys have spent in their rolling windows, as the database has it: for lists, where no gateway's memory is at hand.

A window that a gateway has met has a meter, whose sums the drain keeps (`metering.py`). One that nobody has met yet has none:
there the usage rows and the escrows of that time say it. What is held for requests in flight is in neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, Text, and_, bindparam, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger import escrow_sql
from bytespike.ledger.metering import Wanted
from bytespike.ledger.windows import WINDOWS, WindowSpec
from bytespike.store.tables import meter_sums, meters

#: (meter, micro-dollars from the bucket `first` on) of those of the meters `ids` that there are.
_SUMMED = (
    select(meters.c.id, cast(func.coalesce(func.sum(meter_sums.c.amount), 0), BigInteger))
    .select_from(
        meters.outerjoin(
            meter_sums,
            and_(
                meter_sums.c.meter_id == meters.c.id,
                meter_sums.c.bucket >= bindparam("first", type_=BigInteger()),
            ),
        )
    )
    .where(meters.c.id.in_(bindparam("ids", type_=Text(), expanding=True)))
    .group_by(meters.c.id)
)


async def window_spend(
    connection: AsyncConnection, capped: Iterable[tuple[str, Sequence[str]]], now_us: int
) -> Mapping[tuple[str, str], int]:
    """Micro-dollars by key and window. `capped`: keys with the names of those of their windows that are asked for."""
    wanted = [(key_id, set(names)) for key_id, names in capped]
    found: dict[tuple[str, str], int] = {}
    for spec in WINDOWS:
        keys = [key_id for key_id, names in wanted if spec.name in names]
        if keys:
            found |= {
                (key_id, spec.name): spent
                for key_id, spent in (await _of(connection, keys, spec, now_us)).items()
            }
    return found


async def _of(
    connection: AsyncConnection, keys: Sequence[str], spec: WindowSpec, now_us: int
) -> Mapping[str, int]:
    first = (now_us - spec.span_us) // spec.bucket_us
    by_meter = {Wanted(key_id, "", spec.name).id: key_id for key_id in keys}
    summed = await connection.execute(_SUMMED, {"ids": list(by_meter), "first": first})
    found = {by_meter[id]: int(spent) for id, spent in summed}
    for key_id in keys:
        if key_id not in found:
            rows = escrow_sql.spending(key_id, "", first * spec.bucket_us).subquery()
            total = select(cast(func.coalesce(func.sum(rows.c.credits), 0), BigInteger))
            found[key_id] = int((await connection.execute(total)).scalar_one())
    return found

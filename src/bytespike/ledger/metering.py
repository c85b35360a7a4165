"""The sums that caps are compared with: made when a cap is first met, read ever after, kept by the drain.

A meter is one key's spend, on one model or on all, or that of a member of an org, over one span, in buckets of the span's
resolution; what is set aside for tasks (`escrow.py`) counts in it from then on, as what they cost does after. It begins
in a transaction that holds the key's or the member's row, as draining does: what is in the usage rows and the escrows then
fills it, and every batch from then on adds to it. So its sums are always those of the rows, and reading them costs no more
for a busy key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.ledger import sql
from bytespike.ledger.windows import HOUR_US, WINDOWS, RollingWindow, WindowSpec
from bytespike.store.members import MEMBER_PREFIX, member_id

#: A new meter goes back so much further than its span: somebody may set the clock back.
CLOCK_BACK_US = 30 * 24 * HOUR_US
_LIFETIME = WindowSpec("lifetime", "", 0, 0)
_SPECS = {spec.name: spec for spec in (*WINDOWS, _LIFETIME)}


class Wanted(NamedTuple):
    """A meter of a key, or of a member (`key_id` is his id): a model, or "" for all, and a span."""

    key_id: str
    model: str
    span: str

    @property
    def id(self) -> str:
        return f"{self.key_id}/{self.model}/{self.span}" if self.model else f"{self.key_id}/{self.span}"


class Known(NamedTuple):
    """A meter that is in the database."""

    id: str
    key_id: str
    model: str
    span_us: int
    bucket_us: int


Sums = Mapping[str, Sequence[tuple[int, int]]]


async def read(connection: AsyncConnection, wanted: Sequence[Wanted]) -> Sums:
    """(bucket, micro-dollars) pairs by meter id; a meter that does not exist is missing."""
    if not wanted:
        return {}
    sums: dict[str, list[tuple[int, int]]] = {}
    for id, bucket, amount in await connection.execute(sql.METER_SUMS, {"ids": [each.id for each in wanted]}):
        found = sums.setdefault(id, [])
        if bucket is not None:
            found.append((bucket, amount))
    return sums


async def begin(connection: AsyncConnection, wanted: Iterable[Wanted], now_us: int) -> None:
    """Make the meters that are missing, with what the usage rows say. In a transaction that writes."""
    for each in wanted:
        spec = _SPECS[each.span]
        if each.key_id.startswith(MEMBER_PREFIX):
            await connection.execute(sql.MEMBERS_LOCKED, {"ids": [each.key_id]})
        else:
            await connection.execute(sql.KEY_LOCKED, {"id": each.key_id})
        made = await connection.execute(
            sql.begin_meter(
                connection.dialect, each.id, each.key_id, each.model, spec.span_us, spec.bucket_us
            )
        )
        if made.scalar() is not None:
            since_us = now_us - spec.span_us - CLOCK_BACK_US if spec.span_us else 0
            start = since_us // spec.bucket_us * spec.bucket_us if spec.bucket_us else 0
            await connection.execute(sql.fill_meter(each.id, each.key_id, each.model, spec.bucket_us, start))


def window_of(spec: WindowSpec, sums: Iterable[tuple[int, int]], now_us: int) -> RollingWindow:
    """The window that these sums make."""
    window = RollingWindow(spec.span_us, spec.bucket_us)
    first = window.since_us(now_us) // spec.bucket_us
    window.restore((bucket, amount) for bucket, amount in sums if bucket >= first)
    return window


class Spent(NamedTuple):
    """Who spent how much on what, and when: Unix microseconds, micro-dollars."""

    key_id: str
    user_id: str
    org_id: str | None
    model: str
    at: int
    credits: int

    @property
    def subjects(self) -> list[str]:
        """Whose meters count it."""
        return [self.key_id] if self.org_id is None else [self.key_id, member_id(self.org_id, self.user_id)]


def places(spent: Spent, meters: Iterable[Known]) -> list[tuple[str, int, int]]:
    """Where it counts: (meter, bucket, micro-dollars)."""
    subjects = spent.subjects
    return [
        (meter.id, spent.at // meter.bucket_us if meter.bucket_us else 0, spent.credits)
        for meter in meters
        if meter.key_id in subjects and meter.model in ("", spent.model)
    ]

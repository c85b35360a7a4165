"""A wallet gets low: an event, once each time that its balance crosses its threshold downwards.

Whatever changes a balance does so with the wallet's row locked, and knows what it was before. So a crossing is seen by just
the transaction that makes it, and the event is written in there: however many processes spend, and however often a batch
is tried, it is told once. A top-up to the threshold or above arms it again, for the next crossing is another one. What
is held, or spent and not drained yet, is in no balance; it is told when it is drained, within a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.errors import InvalidRequest, NotFound
from bytespike.ledger.amounts import AMOUNT_MAX, format_usd
from bytespike.store import events
from bytespike.store.events import NewEvent
from bytespike.store.tables import accounts

LOW_BALANCE: Final = "wallet.low_balance"


class Change(NamedTuple):
    """A balance before and after, micro-dollars. `threshold`: the wallet's own, None for the default."""

    account_id: str
    before: int
    after: int
    threshold: int | None


async def tell(connection: AsyncConnection, changes: Sequence[Change], default: int, at_us: int) -> None:
    """Write the events of these changes, in the transaction that makes them. `default`: micro-dollars, 0 for none."""
    found: list[NewEvent] = []
    for change in changes:
        threshold = default if change.threshold is None else change.threshold
        if change.after < threshold <= change.before:
            told = {
                "balance": format_usd(change.after),
                "threshold": format_usd(threshold),
                "currency": "USD",
            }
            found.append(NewEvent(LOW_BALANCE, change.account_id, at_us, told))
    if found:
        await events.add(connection, found)


async def set_threshold(connection: AsyncConnection, account_id: str, threshold: int | None) -> None:
    """A wallet's own threshold in micro-dollars, 0 for none; None: the default again. Raises: InvalidRequest, NotFound."""
    if threshold is not None and not 0 <= threshold <= AMOUNT_MAX:
        raise InvalidRequest("a threshold is 0 (none) to 1000000000 USD", param="threshold")
    changed = await connection.execute(
        update(accounts).where(accounts.c.id == account_id).values(low_balance=threshold)
    )
    if not changed.rowcount:
        raise NotFound(f"there is no account {account_id}")

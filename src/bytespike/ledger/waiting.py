"""A request for which too little is borrowed: it borrows more, asks the others, waits for their answers, or gives up.

Requests of one key take turns, so that a hundred of them that find nothing ask the database once. When nothing more can
be had, nobody asks again for a moment (`KeyAccount.refused_until_ns`), longer each time that it was in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bytespike.clock import Clock
from bytespike.errors import InternalError
from bytespike.ledger.account import KeyAccount
from bytespike.ledger.drain import reason_of
from bytespike.ledger.sharing import Asked, Outcome, Sharing

log = structlog.get_logger("bytespike.ledger")

T = TypeVar("T")

#: How long a request waits, for its turn and for others to give back what they have idle.
BORROW_S_MAX = 3.0
#: For one answer, until it looks again: taps on the shoulder may get lost.
ANSWER_POLL_S = 0.05
#: For how long nobody asks again when nothing could be had: the first time, and at most.
REFUSED_MS_MIN = 50
REFUSED_MS_MAX = 400

_NS_PER_MS = 1_000_000


class Waiting:
    """Of one process."""

    def __init__(self, sharing: Sharing, clock: Clock) -> None:
        self._sharing = sharing
        self._clock = clock

    async def borrow_for(
        self, account: KeyAccount, model: str, amount: int, places: int, attempt: Callable[[], T | None]
    ) -> T | None:
        """Borrow until `attempt` gives something, which is what is returned; None: there is no more to be had.

        `amount` micro-dollars and `places` slots are what it needs. Raises what `attempt` raises; InternalError: the
        database cannot be asked.
        """
        account.pins += 1
        end_s = asyncio.get_running_loop().time() + BORROW_S_MAX
        try:
            async with account.turn:
                found = await self._take_turn(account, model, amount, places, attempt, end_s)
        finally:
            account.pins -= 1
        if found is None:
            pause_ms = min(REFUSED_MS_MAX, REFUSED_MS_MIN << min(account.refusals, 10))
            account.refusals += 1
            account.refused_until_ns = self._clock.monotonic_ns() + pause_ms * _NS_PER_MS
        else:
            account.refusals = 0
        return found

    async def _take_turn(
        self,
        account: KeyAccount,
        model: str,
        amount: int,
        places: int,
        attempt: Callable[[], T | None],
        end_s: float,
    ) -> T | None:
        time_s = asyncio.get_running_loop().time
        asked: Asked | None = None
        wake = self._sharing.wake
        while True:
            # Those before us in the line may have borrowed enough, or learnt that there is too little: then this raises.
            found = attempt()
            if found is not None:
                return found
            # We ask now: what was learnt before is no answer any more.
            account.refused_until_ns = 0
            taps = wake.taps
            outcome = await self._borrow(account, model, amount, places, asked)
            found = attempt()
            if found is not None:
                return found
            if time_s() > end_s or (outcome.short and not outcome.asked):
                return None
            if outcome.short:
                await wake.tapped_since(taps, ANSWER_POLL_S)
                asked = outcome.asked

    async def _borrow(
        self, account: KeyAccount, model: str, amount: int, places: int, asked: Asked | None
    ) -> Outcome:
        """Tried twice: a database ends one of two transactions that wait for each other."""
        for last in (False, True):
            try:
                on_model = account.models.get(model)
                return await self._sharing.borrow(account, on_model, amount, places, asked)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("ledger.cannot_borrow", error=reason_of(error))
                if last:
                    raise InternalError(
                        "the gateway cannot reach its database, and what it had borrowed is used up; try again later"
                    ) from error
        raise AssertionError

"""A request that was served and billed, in an installation on disk: for commands that need one to have been."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bytespike.clock import SystemClock
from bytespike.ledger.entries import user_wallet
from tests.support.ledger_house import House, key_record, running


def bill(folder: Path, *, key_id: str, user_id: str, micros: int, request_id: str = "req_billed") -> None:
    """Hold, post and bring into the books, as a gateway on the data directory `folder` would."""

    async def main() -> None:
        house = House(folder)
        house.clock.us = SystemClock().now_us()
        try:
            async with running(house) as ledger:
                record = key_record(key_id, user_id=user_id, account_id=user_wallet(user_id))
                house.spend(ledger, await ledger.open(record), request_id, micros)
        finally:
            await house.engine.dispose()

    asyncio.run(main())
